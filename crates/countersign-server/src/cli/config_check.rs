//! The command `countersign config check`.
//!
//! As JSON it prints `ok`, `file`, and `settings`: a list of
//! [`Effective`](crate::config::Effective) values.

use serde_json::json;

use crate::cli::output::{Output, table};
use crate::compose;
use crate::config::{Config, Sources, effective};
use crate::error::Error;

/// Checks the settings and prints their effective values. Creates nothing and asks no store.
///
/// The settings are taken as complete, because without the database nobody knows what the
/// deployment's record would add.
///
/// # Errors
/// [`Error::Config`] if a setting can't work.
pub(super) fn run(sources: &Sources, output: Output) -> Result<(), Error> {
    let config = Config::read(&sources.settled())?;
    compose::check(&config)?;
    let settings = effective(sources, &config);

    let mut rows = vec![["SETTING", "VALUE", "FROM"].map(str::to_owned)];
    rows.extend(
        settings
            .iter()
            .map(|row| [row.setting.clone(), row.value.clone(), row.from.clone()]),
    );

    let file = sources.file().map(|path| path.display().to_string());
    let text = format!("{}\n\nThe configuration is valid.", table(&rows));
    output.print(
        &json!({ "ok": true, "file": file, "settings": settings }),
        &text,
    )
}
