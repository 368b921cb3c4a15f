//! The warnings of this process, each with the thread that gave it.

use std::io::Write;
use std::sync::{Mutex, Once};
use std::thread::{self, ThreadId};

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

/// Listens from now on, for the whole process.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let warnings = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false);
        tracing::subscriber::set_global_default(warnings.with_writer(|| Line).finish()).unwrap();
    });
}

/// The warnings that this thread has given since it was asked last, and so a test with a runtime of its own.
pub(crate) fn warnings() -> Vec<String> {
    let me = thread::current().id();
    let mut lines = LINES.lock().unwrap();
    let (mine, others) = lines.drain(..).partition(|(thread, _)| *thread == me);
    *lines = others;
    mine.into_iter()
        .map(|(_, line): (ThreadId, String)| line)
        .collect()
}
