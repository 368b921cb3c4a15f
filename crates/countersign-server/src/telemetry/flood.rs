//! A limit on repeated warnings, errors and refusals, so that a flood of bad requests doesn't fill the disk.
//!
//! Lines are of the same [`Kind`] if they have the same event and the same reason. Of each kind,
//! the first 20 lines of a second are written. The rest is counted, and a thread logs the counts
//! once per second (`log_lines_summed`). Because each kind has a limit of its own, a client that
//! causes many lines of one kind hides no line of another.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// The largest number of lines of one kind in one second.
const LINES: u64 = 20;
/// The largest number of kinds that are counted. Lines of further kinds are written without a
/// limit.
///
/// Events and reasons are fixed names, so this many are never reached. The bound keeps the memory
/// finite all the same.
const KINDS: usize = 1024;
/// The time over which the counts are collected before they are logged.
const SECOND: Duration = Duration::from_secs(1);

/// The events that are never limited, because each line is about something else.
const EACH: [&str; 2] = ["refresh_token_reused", "log_lines_summed"];

/// The events at `info` that are limited too: anybody can cause them without a credential.
const ANYBODY: [&str; 1] = ["refused"];

/// A layer that limits warnings, errors and refusals of each kind, and lets all other lines through.
///
/// Other lines at `info` report something that was done for somebody. Lines below were asked for.
/// So neither is limited.
#[derive(Clone, Debug)]
pub(super) struct Flood(Arc<Counts>);

/// The thread that logs the counts, until it is [finished](Sums::finish).
#[derive(Debug)]
pub(super) struct Sums {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

/// The counts of all kinds, shared between the layer and the thread.
#[derive(Debug)]
struct Counts {
    kinds: Mutex<HashMap<Kind, Count>>,
    wake: Sender<Wake>,
    start: Instant,
}

/// The properties that lines have in common to be counted together.
///
/// A line without an event is counted by its target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Kind {
    event: String,
    reason: String,
}

/// The counts of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// The second that `lines` belongs to, counted from the start.
    second: u64,
    /// The number of lines in that second, written or not.
    lines: u64,
    /// The number of lines that weren't written and haven't been reported yet.
    more: u64,
}

/// A message to the thread.
enum Wake {
    /// There are lines that weren't written.
    More,
    /// The process ends: report everything and stop.
    Finish,
}

impl Flood {
    /// Starts the thread that logs the counts, once in each second that has some.
    ///
    /// # Errors
    /// Returns an [`io::Error`] if the operating system can't start the thread.
    pub(super) fn start() -> io::Result<(Self, Sums)> {
        let (wake, woken) = channel();
        let counts = Arc::new(Counts {
            kinds: Mutex::default(),
            wake: wake.clone(),
            start: Instant::now(),
        });

        let summed = Arc::clone(&counts);
        let thread = thread::Builder::new()
            .name("countersign-sums".to_owned())
            .spawn(move || say_sums(&summed, &woken))?;

        Ok((
            Self(counts),
            Sums {
                wake,
                thread: Some(thread),
            },
        ))
    }
}

impl Sums {
    /// Logs the pending counts and ends the thread. Does nothing when called again.
    pub(super) fn finish(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        if self.wake.send(Wake::Finish).is_ok() {
            // Joining is quick: the thread logs into the queue, which never waits.
            let _ = thread.join();
        }
    }
}

impl<S: Subscriber> Layer<S> for Flood {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let level = *event.metadata().level();
        if level > Level::INFO {
            return true;
        }

        let mut kind = Kind::default();
        event.record(&mut kind);
        let is_done = level == Level::INFO && !ANYBODY.contains(&kind.event.as_str());
        if is_done || EACH.contains(&kind.event.as_str()) {
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
    /// Counts a line of `kind`. Returns `true` if it is to be written.
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
            // The send fails only after the thread has finished, at the end of the process.
            let _ = self.wake.send(Wake::More);
        }
        count.more = count.more.saturating_add(1);
        false
    }

    /// Returns the lines of each kind that weren't written, and sets these counts to zero.
    fn take(&self) -> Vec<(Kind, u64)> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let sums = kinds.iter_mut().filter(|(_, count)| count.more > 0);
        sums.map(|(kind, count)| (kind.clone(), std::mem::take(&mut count.more)))
            .collect()
    }
}

/// Logs the counts, one second after the first line that wasn't written, until told to finish.
fn say_sums(counts: &Counts, woken: &Receiver<Wake>) {
    while let Ok(Wake::More) = woken.recv() {
        let end = Instant::now() + SECOND;
        let mut finished = false;

        // Further kinds may wake the thread within this second. All are logged together at its end.
        while !finished {
            match woken.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Wake::More) => {}
                Ok(Wake::Finish) | Err(RecvTimeoutError::Disconnected) => finished = true,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }

        for (
            Kind {
                event: kind,
                reason,
            },
            lines,
        ) in counts.take()
        {
            tracing::warn!(
                event = "log_lines_summed",
                kind,
                reason,
                lines,
                "further lines of this kind were not written"
            );
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
        let kind = |reason: &str| Kind {
            event: "refused".to_owned(),
            reason: reason.to_owned(),
        };
        let written = |reason: &str, second| {
            (0..100)
                .filter(|_| flood.0.admits(kind(reason), second))
                .count() as u64
        };
        sums.finish();
        assert_eq!(
            (
                written("malformed", 0),
                written("unknown", 0),
                written("malformed", 1)
            ),
            (LINES, LINES, LINES)
        );
        let mut sums = flood.0.take();
        sums.sort_by_key(|(_, lines)| *lines);
        assert_eq!(
            sums,
            [
                (kind("unknown"), 100 - LINES),
                (kind("malformed"), 200 - 2 * LINES)
            ]
        );
        assert_eq!(flood.0.take(), []);
    }
}
