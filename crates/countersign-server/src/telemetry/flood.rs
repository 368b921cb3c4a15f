//! Many lines of one kind: the first of each second are written, and one line says how many more there were. Whoever sends
//! rubbish fills no disk, and hides nothing that others do.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// How many lines of one kind a second may have.
const LINES: u64 = 20;
/// The most kinds that are told apart; names of events and reasons are fixed, so there are never as many.
const KINDS: usize = 1024;
const SECOND: Duration = Duration::from_secs(1);

/// What is written however often it comes: each of them is about something else.
const EACH: [&str; 2] = ["refresh_token_reused", "log_lines_summed"];

/// Lets warnings and errors through, so many of each kind a second, and counts the others. What is logged at `info`
/// has been done for somebody who may ask for it, and below that it was asked for: all of that is written.
#[derive(Clone, Debug)]
pub(super) struct Flood(Arc<Counts>);

/// Whoever says the sums, until it is [finished](Sums::finish).
#[derive(Debug)]
pub(super) struct Sums {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Counts {
    kinds: Mutex<HashMap<Kind, Count>>,
    wake: Sender<Wake>,
    start: Instant,
}

/// What lines have in common that are summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Kind {
    event: String,
    reason: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    second: u64,
    lines: u64,
    more: u64,
}

enum Wake {
    More,
    Finish,
}

impl Flood {
    /// Starts the thread that says the sums, each second in which there are any.
    pub(super) fn start() -> io::Result<(Self, Sums)> {
        let (wake, woken) = channel();
        let counts = Arc::new(Counts { kinds: Mutex::default(), wake: wake.clone(), start: Instant::now() });
        let summed = Arc::clone(&counts);
        let work = move || say_sums(&summed, &woken);
        let thread = thread::Builder::new().name("countersign-sums".to_owned()).spawn(work)?;
        Ok((Self(counts), Sums { wake, thread: Some(thread) }))
    }
}

impl Sums {
    /// Says what hasn't been said.
    pub(super) fn finish(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.wake.send(Wake::Finish).is_ok() {
            // It writes into the queue alone, which never waits.
            let _ = thread.join();
        }
    }
}

impl<S: Subscriber> Layer<S> for Flood {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let mut kind = Kind::default();
        event.record(&mut kind);
        if EACH.contains(&kind.event.as_str()) {
            return true;
        }
        if kind.event.is_empty() {
            event.metadata().target().clone_into(&mut kind.event);
        }
        self.0.admits(kind, self.0.start.elapsed().as_secs())
    }
}

impl Visit for Kind {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => value.clone_into(&mut self.event),
            "reason" => value.clone_into(&mut self.reason),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "reason" {
            self.reason = format!("{value:?}");
        }
    }
}

impl Counts {
    fn admits(&self, kind: Kind, second: u64) -> bool {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() >= KINDS && !kinds.contains_key(&kind) {
            return true;
        }
        let count = kinds.entry(kind).or_default();
        if count.second != second {
            (count.second, count.lines) = (second, 0);
        }
        count.lines = count.lines.saturating_add(1);
        if count.lines <= LINES {
            return true;
        }
        if count.more == 0 {
            // Whoever says the sums has finished when nobody hears this.
            let _ = self.wake.send(Wake::More);
        }
        count.more = count.more.saturating_add(1);
        false
    }

    fn take(&self) -> Vec<(Kind, u64)> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let sums = kinds.iter_mut().filter(|(_, count)| count.more > 0);
        sums.map(|(kind, count)| (kind.clone(), std::mem::take(&mut count.more))).collect()
    }
}

fn say_sums(counts: &Counts, woken: &Receiver<Wake>) {
    while let Ok(Wake::More) = woken.recv() {
        let end = Instant::now() + SECOND;
        let mut finished = false;
        // Other kinds wake as well meanwhile; all of them are said together.
        while !finished {
            match woken.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Wake::More) => {}
                Ok(Wake::Finish) | Err(RecvTimeoutError::Disconnected) => finished = true,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        for (Kind { event: kind, reason }, lines) in counts.take() {
            tracing::warn!(event = "log_lines_summed", kind, reason, lines, "more lines of this kind");
        }
        if finished {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_room_in_each_second() {
        let (flood, mut sums) = Flood::start().unwrap();
        let kind = |reason: &str| Kind { event: "refused".to_owned(), reason: reason.to_owned() };
        let written = |reason: &str, second| (0..100).filter(|_| flood.0.admits(kind(reason), second)).count() as u64;
        sums.finish();
        assert_eq!((written("malformed", 0), written("unknown", 0), written("malformed", 1)), (LINES, LINES, LINES));
        let mut sums = flood.0.take();
        sums.sort_by_key(|(_, lines)| *lines);
        assert_eq!(sums, [(kind("unknown"), 100 - LINES), (kind("malformed"), 200 - 2 * LINES)]);
        assert_eq!(flood.0.take(), []);
    }
}
