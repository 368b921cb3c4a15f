//! The command `countersign cleanup`, which removes expired rows from the database now.
//!
//! A running server does the same at every `sweep_interval`. Rows are removed in batches that take
//! about 50 milliseconds each, with a pause after each, so that requests aren't held up. Redis
//! removes expired keys by itself.
//!
//! As JSON the command prints the number of removed rows: `access_tokens`, `refresh_tokens`,
//! `fences`, `denied_ids` and `login_failures`.

use std::time::Duration;

use countersign::store::SweepPace;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::output::Output;
use crate::compose::Services;
use crate::config::Config;
use crate::deployment::Purpose;
use crate::error::Error;
use crate::sweep::Removed;

#[derive(Debug, clap::Args)]
pub(super) struct Cleanup {
    /// Maximum number of rows of each kind to delete per batch; lowered while a batch takes longer than 50 ms
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Delete even if this host's clock differs from the database's, or an SQLite file was not served for long
    #[arg(long)]
    clock_is_right: bool,
}

/// Removes expired rows, batch by batch. It may be interrupted: what is left is removed the next
/// time.
///
/// # Errors
/// [`Error::Clock`] if the clock of this host is far from the database's, unless the caller says
/// that it is right. A wrong clock would remove rows that haven't expired. Another [`Error`] if a
/// store can't be reached, or if a setting contradicts the deployment.
pub(super) async fn run(config: &Config, command: Cleanup, output: Output) -> Result<(), Error> {
    let services = Services::open(config, Purpose::Manage).await?;
    let clock = &services.sweeper.store_clock;
    if command.clock_is_right {
        clock.accept().await?;
    } else if let Some(skew) = clock.check().await? {
        return Err(Error::Clock(skew));
    }

    let progress = progress(output);
    let mut total = Removed::default();
    let mut pace = SweepPace::new(command.batch);
    loop {
        let removed = services.sweeper.batch(&mut pace).await?;
        total.add(removed);
        progress.set_position(total.rows());
        if !removed.more {
            break;
        }
    }
    progress.finish_and_clear();

    let json = json!({
        "access_tokens": total.access,
        "refresh_tokens": total.refresh,
        "fences": total.fences,
        "denied_ids": total.denied,
        "login_failures": total.failures,
    });
    let text = format!(
        "removed {} access tokens, {} refresh tokens, {} fences, {} denied ids, {} login failures",
        total.access, total.refresh, total.fences, total.denied, total.failures
    );

    output.print(&json, &text)
}

/// Returns a progress bar. It is hidden if the answer is in JSON, or if standard error isn't a
/// terminal.
fn progress(output: Output) -> ProgressBar {
    if output.is_json() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{spinner} {human_pos} expired rows removed, {per_sec}");
    let progress = ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}
