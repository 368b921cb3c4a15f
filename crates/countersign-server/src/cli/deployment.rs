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
    /// Show the settings recorded for this deployment
    Show,
    /// Change the recorded settings to the ones given; the others keep their values
    Change {
        /// Reset a setting to its default: profile, jwt_issuer, jwt_audience or redis_url
        #[arg(long, value_name = "SETTING")]
        unset: Vec<String>,
        /// Don't ask for confirmation
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
        telemetry::start(Log::read(sources)?).map_err(Error::io("can't start logging"))?;
    print(&store, output).await
}

async fn print(store: &Store, output: Output) -> Result<(), Error> {
    let shown = show::show(store).await?;
    let text = match &shown.mark {
        None => format!(
            "{}: no deployment is recorded yet; the first server that starts records one",
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
    let question = format!("{shown}\n\nChange these settings for every server?");
    if !yes
        && !confirmed(
            &question,
            "can't ask for confirmation without a terminal; pass --yes to change the deployment",
        )?
    {
        return Err(Error::Refused(
            "not confirmed; nothing was changed".to_owned(),
        ));
    }

    change.make().await?;
    let text = format!("{shown}\n\nchanged; restart every server with these settings");
    output.print(&json!({ "changed": rows }), &text)
}

/// Returns the changes as a table.
fn shown(rows: &[Row]) -> String {
    let mut lines = vec![["WHAT", "FROM", "TO"].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            row.what,
            or_dash(row.from.as_deref()),
            or_dash(row.to.as_deref()),
        ]
        .map(str::to_owned)
    }));
    table(&lines)
}

/// Returns the text of a value, or a dash for none.
fn or_dash(value: Option<&str>) -> &str {
    value.unwrap_or("–")
}
