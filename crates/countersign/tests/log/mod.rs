//! Everything that this process logs, at every level and from every target, and which thread said it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::io::Write;
use std::sync::{Mutex, Once};
use std::thread::{self, ThreadId};

use tracing_subscriber::fmt::format::FmtSpan;

static LINES: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());

struct Line;

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap().push((
            thread::current().id(),
            String::from_utf8_lossy(bytes).into_owned(),
        ));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Drivers speak through the older facade, which an application may send to the same log.
struct Facade;

impl log::Log for Facade {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!(
            "{} {}: {}\n",
            record.level(),
            record.target(),
            record.args()
        );
        LINES.lock().unwrap().push((thread::current().id(), line));
    }

    fn flush(&self) {}
}

/// Listens from now on, for the whole process: a subscriber of one thread races with those of others for the cache of
/// call sites.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(|| Line)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log::set_logger(&Facade).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// All lines so far.
pub fn everything() -> String {
    LINES
        .lock()
        .unwrap()
        .iter()
        .map(|(_, line)| line.as_str())
        .collect()
}

/// The lines that this thread said, and so a test with a runtime of its own.
pub fn of_this_thread() -> Vec<String> {
    let me = thread::current().id();
    LINES
        .lock()
        .unwrap()
        .iter()
        .filter(|(thread, _)| *thread == me)
        .map(|(_, line)| line.clone())
        .collect()
}
