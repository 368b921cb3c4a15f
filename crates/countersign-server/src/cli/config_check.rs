//! `countersign config check`.

use serde_json::json;

use crate::cli::output::{Output, table};
use crate::compose;
use crate::config::{Config, Sources, effective};
use crate::error::Error;

/// Shows what the settings come to. Nothing is made and nobody is asked.
pub(super) fn run(sources: &Sources, output: Output) -> Result<(), Error> {
    let config = Config::read(&sources.settled())?;
    compose::check(&config)?;
    let settings = effective(sources, &config);
    let mut rows = vec![["SETTING", "VALUE", "FROM"].map(str::to_owned)];
    rows.extend(settings.iter().map(|row| [row.setting.clone(), row.value.clone(), row.from.clone()]));
    let file = sources.file().map(|path| path.display().to_string());
    let text = format!("{}\n\nThe configuration is in order.", table(&rows));
    output.print(&json!({ "ok": true, "file": file, "settings": settings }), &text)
}
