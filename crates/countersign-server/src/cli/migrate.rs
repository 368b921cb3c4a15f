//! The command `countersign migrate`, which brings the database's tables up to date.
//!
//! `serve` and the commands that use tables do the same when they start. This command is for
//! deployments that want to do it at a time of their own, and see how far it is.
//!
//! As JSON it prints `database` and `applied`, or `planned` with `--dry-run`. Progress is printed
//! on standard error, one document per line.

use std::time::Duration;

use countersign::store::sql::{Applied, Planned, Progress};
use serde_json::{Value, json};

use crate::cli::output::{Output, table};
use crate::config::Config;
use crate::deployment;
use crate::error::Error;

#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// Print each statement that would run, the number of rows in its table and what it locks, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Brings the tables up to date and prints what was applied. It may be interrupted: the next run
/// continues where it stopped.
///
/// # Errors
/// [`Error`] if the database can't be reached, if a statement fails, or if a setting contradicts
/// the record of the deployment.
pub(super) async fn run(config: &Config, command: &Migrate, output: Output) -> Result<(), Error> {
    if command.dry_run {
        return show_plan(config, output).await;
    }

    let applied = deployment::migrate(config, move |progress| {
        let (json, text) = told(&progress);
        output.tell(&json!({ "progress": json }), &text);
    })
    .await?;
    let applied: Vec<String> = applied.iter().map(name).collect();
    let text = match applied.len() {
        0 => format!("{}: nothing to do", config.store.shown()),
        _ => format!("{}: applied {}", config.store.shown(), applied.join(", ")),
    };

    output.print(
        &json!({ "database": config.store.shown(), "applied": applied }),
        &text,
    )
}

/// Prints the statements that would run, and changes nothing.
async fn show_plan(config: &Config, output: Output) -> Result<(), Error> {
    let planned = deployment::planned(config).await?;
    let database = config.store.shown();
    let rows: Vec<Value> = planned.iter().map(as_json).collect();

    let text = if planned.is_empty() {
        format!("{database}: nothing to do")
    } else {
        let heading = ["MIGRATION", "ROWS", "LOCKING", "STATEMENT"].map(str::to_owned);
        let lines = planned.iter().map(|planned| {
            let rows = planned
                .rows
                .map(|rows| format!("about {rows}"))
                .unwrap_or_default();
            [
                name(&planned.step),
                rows,
                planned.lock.to_string(),
                in_one_line(&planned.statement),
            ]
        });
        table(&std::iter::once(heading).chain(lines).collect::<Vec<_>>())
    };

    output.print(&json!({ "database": database, "planned": rows }), &text)
}

fn as_json(planned: &Planned) -> Value {
    json!({
        "migration": name(&planned.step),
        "statement": in_one_line(&planned.statement),
        "table": planned.table,
        "rows": planned.rows,
        "lock": planned.lock.as_str(),
    })
}

fn name(step: &Applied) -> String {
    format!("{}/{} {}", step.set, step.version, step.name)
}

fn in_one_line(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the progress of a migration, as JSON and as text.
fn told(progress: &Progress) -> (Value, String) {
    match progress {
        Progress::Runs { step, statement } => {
            let (migration, statement) = (name(step), in_one_line(statement));
            let text = format!("{migration}: {statement}");
            (
                json!({ "event": "runs", "migration": migration, "statement": statement }),
                text,
            )
        }
        Progress::WaitsForTurn { waited } => {
            let text = format!(
                "waiting for another process to finish migrating, for {} so far",
                seconds(*waited)
            );
            (
                json!({ "event": "waits_for_turn", "waited": waited.as_secs() }),
                text,
            )
        }
        Progress::WaitsForLock {
            step,
            table,
            held_by,
            waited,
        } => {
            let (migration, waited) = (name(step), *waited);
            let by = held_by
                .as_ref()
                .map(|held_by| format!(", blocked by {held_by}"))
                .unwrap_or_default();
            let text = format!(
                "{migration}: waiting for a lock on table {table}{by}, for {} so far",
                seconds(waited)
            );
            let json = json!({
                "event": "waits_for_lock", "migration": migration, "table": table, "held_by": held_by,
                "waited": waited.as_secs(),
            });
            (json, text)
        }
        Progress::Builds {
            step,
            what,
            phase,
            percent,
            elapsed,
        } => {
            let percent_text = percent
                .map(|percent| format!(", {percent} %"))
                .unwrap_or_default();
            let phase_text = phase
                .as_ref()
                .map(|phase| format!(": {phase}{percent_text}"))
                .unwrap_or_default();
            let text = format!(
                "{}: still working on {what} after {}{phase_text}",
                name(step),
                seconds(*elapsed)
            );
            let json = json!({
                "event": "builds", "migration": name(step), "what": what, "phase": phase, "percent": percent,
                "elapsed": elapsed.as_secs(),
            });
            (json, text)
        }
        Progress::WritersWait { step, table } => {
            let text = format!(
                "{}: writes to table {table} are blocked until this finishes; the database has \
                 no online method for it",
                name(step)
            );
            (
                json!({ "event": "writers_wait", "migration": name(step), "table": table }),
                text,
            )
        }
        other => (json!({ "event": "other" }), format!("{other:?}")),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}
