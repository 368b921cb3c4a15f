//! The log: structured, on standard error, and safe to show on a terminal (SECURITY rows G-01 and G-02). It never holds up
//! whoever logs (docs/decisions/log-queue.md).

mod escaped;
mod flood;
mod queue;

use std::io::{self, Write};
use std::time::Duration;

use tracing::{Dispatch, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{registry, reload};

use crate::config::{Log, LogFormat};
use escaped::Escaped;
use flood::{Flood, Sums};
use queue::Queue;

/// How long an end waits for the log to be read.
const PATIENCE: Duration = Duration::from_secs(1);

/// The log, as long as it is kept. Dropped, it writes what is still to be written, if that is read within a second.
#[derive(Debug)]
pub struct Logging {
    queue: Queue,
    sums: Sums,
    level: reload::Handle<Targets, Registry>,
}

/// Starts logging. Called once, before anything that logs.
///
/// # Errors
/// When the system grants no threads.
pub fn start(log: Log) -> io::Result<Logging> {
    // What was lost is said on the writing thread, past the queue: others can't take the place of that line.
    let aside = Dispatch::new(registry().with(lines(log.format, || Escaped(StandardError))));
    let queue = Queue::start(StandardError, move |lost| tracing::dispatcher::with_default(&aside, || say_lost(lost)))?;
    let (flood, sums) = Flood::start()?;
    let (targets, level) = reload::Layer::new(targets(log.level));
    let into = queue.clone();
    let lines = lines(log.format, move || Escaped(into.clone()));
    registry().with(targets).with(lines).with(flood).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(event = "panic", place, "a bug: please report it");
    }));
    Ok(Logging { queue, sums, level })
}

impl Logging {
    /// Logs as much as `level` says from now on.
    pub fn set_level(&self, level: LevelFilter) {
        // The subscriber lives as long as the process.
        let _ = self.level.reload(targets(level));
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.sums.finish();
        self.queue.flush(PATIENCE);
    }
}

fn say_lost(lines: u64) {
    tracing::warn!(event = "log_lines_dropped", lines, "the log was not read in time");
}

fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    }
}

/// Dependencies may print headers, statements and values below `warn`, whatever level is asked for; so they don't get
/// to.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("countersign", level)
        .with_target("countersign_server", level)
}

#[derive(Debug)]
struct StandardError;

impl Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
