//! `countersign migrate`.

use serde_json::json;

use crate::cli::output::Output;
use crate::config::Config;
use crate::deployment;
use crate::error::Error;

/// Brings the tables up to date; interrupted, it goes on where it stopped.
pub(super) async fn run(config: &Config, output: Output) -> Result<(), Error> {
    let applied = deployment::migrate(config).await?;
    let applied: Vec<String> =
        applied.iter().map(|step| format!("{}/{} {}", step.set, step.version, step.name)).collect();
    let text = match applied.len() {
        0 => format!("{}: nothing to do", config.store.shown()),
        _ => format!("{}: applied {}", config.store.shown(), applied.join(", ")),
    };
    output.print(&json!({ "database": config.store.shown(), "applied": applied }), &text)
}
