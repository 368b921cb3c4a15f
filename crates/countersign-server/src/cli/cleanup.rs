//! `countersign cleanup`.

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
    /// The most rows of each kind to remove at a time; fewer are, where a batch takes longer than 50 ms
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Sweeps although this host's clock is far from the database's, or an SQLite file wasn't served for long
    #[arg(long)]
    clock_is_right: bool,
}

/// Removes expired rows, batch by batch. Interrupted, it has done what it did, and the next one goes on.
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

/// Shown on a terminal alone.
fn progress(output: Output) -> ProgressBar {
    if output.is_json() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} expired rows removed, {per_sec}");
    let progress = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}
