//! The log: structured lines on standard error, safe to show on a terminal.
//!
//! [`start`] installs the log once per process. A line passes these stages:
//!
//! 1. `targets` keeps the lines of other crates that are below `warn` out, at every level.
//! 2. `flood` limits warnings and errors of one kind to 20 per second, and counts the rest.
//! 3. The line is formatted as text or as JSON.
//! 4. `escaped` spells control characters out.
//! 5. `queue` hands the line to a thread that writes it, without ever waiting.
//!
//! So nothing that logs is held up, even if nobody reads standard error. The price is that lines
//! can be lost; their number is logged. The names of events are listed in `docs/LOGGING.md`, which
//! a test compares with the sources. The reasons for this design are in
//! `docs/decisions/log-queue.md`.

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

/// The time that the end of the process waits for the remaining lines to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// The running log.
///
/// Keep it until the process ends. Dropping it logs the pending sums and waits until all lines are
/// written, at most one second.
#[derive(Debug)]
pub struct Logging {
    queue: Queue,
    sums: Sums,
    level: reload::Handle<Targets, Registry>,
}

/// Installs the log for the whole process, and a hook that logs panics.
///
/// Call it once, before anything is logged. Lines of this server and of its library appear at the
/// level of `log` and above. Lines of other crates appear at `warn` and above at most, because
/// below that they may contain headers, statements and values.
///
/// # Errors
/// Returns an [`io::Error`] if the operating system can't start the two threads of the log.
///
/// # Panics
/// Panics if the process has a global subscriber already.
pub fn start(log: Log) -> io::Result<Logging> {
    // The number of lost lines is written on the writing thread, past the queue: in a full queue
    // that line would be lost too.
    let aside = Dispatch::new(registry().with(lines(log.format, || Escaped(StandardError))));
    let queue = Queue::start(StandardError, move |lost| {
        tracing::dispatcher::with_default(&aside, || say_lost(lost));
    })?;

    let (flood, sums) = Flood::start()?;
    let (targets, level) = reload::Layer::new(targets(log.level));
    let into = queue.clone();
    let lines = lines(log.format, move || Escaped(into.clone()));
    registry().with(targets).with(lines).with(flood).init();

    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(event = "panic", place, "this is a bug; please report it");
    }));

    Ok(Logging { queue, sums, level })
}

impl Logging {
    /// Changes the level of the log from now on. The format stays.
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

/// Logs the number of lost lines.
fn say_lost(lines: u64) {
    tracing::warn!(
        event = "log_lines_dropped",
        lines,
        "log lines were lost because the log was not read in time"
    );
}

/// Returns the layer that formats lines and writes them to `writer`.
fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed(),
    }
}

/// Returns the filter by level.
///
/// Lines of dependencies below `warn` are filtered out at every level, because they may contain
/// headers, statements and values, secrets among them.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("countersign", level)
        .with_target("countersign_server", level)
}

/// The standard error of the process, locked for each write.
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
