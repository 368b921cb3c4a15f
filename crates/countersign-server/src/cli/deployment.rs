//! The command `countersign deployment`, for the settings on which the servers of a deployment
//! agree.
//!
//! They are recorded in the shared database; [`deployment`](crate::deployment) says which and why.
//! `show` prints the record. `change` replaces it, after which every server has to be started with
//! the new settings.

use clap::Subcommand;
use serde_json::json;

use crate::cli::output::{Output, confirmed, table};
use crate::config::{Config, Log, Sources, Store};
use crate::deployment::change::{self, Row};
use crate::deployment::show;
use crate::error::Error;
use crate::telemetry;

#[derive(Debug, Subcommand)]
pub(super) enum DeploymentCommand {
    /// Shows what the servers of this deployment have agreed on
    Show,
    /// Changes it to what the settings given here come to; what isn't given stays
    Change {
        /// Takes a setting back to its default: profile, jwt_issuer, jwt_audience or redis_url
        #[arg(long, value_name = "SETTING")]
        unset: Vec<String>,
        /// Doesn't ask
        #[arg(long)]
        yes: bool,
    },
}

/// Runs a subcommand.
pub(super) async fn run(
    config: &Config,
    command: DeploymentCommand,
    output: Output,
) -> Result<(), Error> {
    match command {
        DeploymentCommand::Show => print(&config.store, output).await,
        DeploymentCommand::Change { unset, yes } => change(config, &unset, yes, output).await,
    }
}

/// Prints the record of the deployment, without secrets.
///
/// This needs no setting but the database, so it works where other settings contradict the record.
///
/// # Errors
/// [`Error`] if the database can't be reached, or if its record can't be read.
pub(super) async fn show(sources: &Sources, output: Output) -> Result<(), Error> {
    let store = Store::read(sources)?;
    let _logging =
        telemetry::start(Log::read(sources)?).map_err(Error::io("can't start the log"))?;
    print(&store, output).await
}

async fn print(store: &Store, output: Output) -> Result<(), Error> {
    let shown = show::show(store).await?;
    let text = match &shown.mark {
        None => format!(
            "{}: nothing is recorded; the first server that starts records it",
            store.shown()
        ),
        Some(_) => table(&shown.rows()),
    };
    output.print(&shown.json(), &text)
}

/// Shows what would change in the record, asks for confirmation unless `yes` is `true`, and changes
/// it.
async fn change(config: &Config, unset: &[String], yes: bool, output: Output) -> Result<(), Error> {
    let change = change::plan(config, unset).await?;
    let rows = change.rows.clone();
    if rows.is_empty() {
        return output.print(&json!({ "changed": [] }), "nothing to change");
    }
    let shown = shown(&rows);
    let question = format!("{shown}\n\nChange that for every server?");
    if !yes
        && !confirmed(
            &question,
            "changing the deployment needs --yes when nobody can be asked",
        )?
    {
        return Err(Error::Refused("nothing was changed".to_owned()));
    }
    change.make().await?;
    let text = format!("{shown}\n\nchanged; start every server again with these settings");
    output.print(&json!({ "changed": rows }), &text)
}

/// Returns the changes as a table.
fn shown(rows: &[Row]) -> String {
    let mut lines = vec![["WHAT", "FROM", "TO"].map(str::to_owned)];
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
    lines.extend(
        rows.iter()
            .map(|row| [row.what.to_owned(), text(&row.from), text(&row.to)]),
    );
    table(&lines)
}
