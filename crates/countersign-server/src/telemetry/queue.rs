//! The bounded queue between the code that logs and the thread that writes.
//!
//! A reader of the log that stops reading makes writes to standard error block for ever. Therefore
//! only one thread writes there, and everybody else puts lines into a queue of 8,192 lines. If the
//! queue is full, the line is dropped and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The largest number of waiting lines.
const LINES: usize = 8192;
/// The shortest time between two reports of lost lines.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// The time between two attempts to put the last entry into a full queue.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A handle on the queue. Each write is one line and never waits.
///
/// Clones write to the same queue. A write never fails: a line that finds no room counts as lost.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    entries: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

/// An entry of the queue.
enum Entry {
    /// A line to write.
    Line(Vec<u8>),
    /// A request to answer as soon as all entries before it are written.
    Mark(SyncSender<()>),
}

impl Queue {
    /// Starts the thread that writes to `out`.
    ///
    /// `tell` is called on that thread with the number of lines that were lost since its last call,
    /// at most once per second and before each [`Entry::Mark`] is answered. It must not write to
    /// this queue, where its line could be lost too.
    ///
    /// # Errors
    /// Returns an [`io::Error`] if the operating system can't start the thread.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let (entries, waiting) = sync_channel(LINES);
        let lost = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&lost);
        thread::Builder::new()
            .name("countersign-log".to_owned())
            .spawn(move || write_all(out, &waiting, &counted, tell))?;
        Ok(Self { entries, lost })
    }

    /// Waits until all lines so far are written, for at most `patience`.
    ///
    /// Returns `true` if they are written, and `false` if the time ran out first.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let (done, written) = sync_channel(1);
        let mut mark = Entry::Mark(done);

        loop {
            match self.entries.try_send(mark) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => mark = back,
                Err(_) => return false,
            }
            thread::sleep(LOOK_AGAIN);
        }

        written
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .is_ok()
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.entries.try_send(Entry::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes entries until every handle on the queue is gone, and reports lost lines through `tell`.
fn write_all(mut out: impl Write, entries: &Receiver<Entry>, lost: &AtomicU64, tell: impl Fn(u64)) {
    let (mut told, mut told_at) = (0, None::<Instant>);
    while let Ok(entry) = entries.recv() {
        let known = lost.load(Ordering::Relaxed);
        let is_due =
            matches!(entry, Entry::Mark(_)) || told_at.is_none_or(|at| at.elapsed() >= TOLD_EVERY);
        if known > told && is_due {
            tell(known.saturating_sub(told));
            (told, told_at) = (known, Some(Instant::now()));
        }

        match entry {
            // An error here means that standard error is closed, so there is nowhere to report it.
            Entry::Line(line) => drop(out.write_all(&line)),
            Entry::Mark(done) => drop(done.try_send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Writes to a text once it is let.
    struct Stuck(Receiver<()>, Written);

    impl Write for Stuck {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Written = Arc<Mutex<Vec<u8>>>;

    fn stuck() -> (Queue, Sender<()>, Written, Receiver<u64>) {
        let ((letting, let_in), written) = (channel(), Arc::default());
        let (tell, told) = channel();
        let queue = Queue::start(Stuck(let_in, Arc::clone(&written)), move |lost| {
            tell.send(lost).unwrap();
        })
        .unwrap();
        (queue, letting, written, told)
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_was_lost_is_counted() {
        let (mut queue, letting, written, told) = stuck();
        let total = LINES as u64 + 1000;
        for _ in 0..total {
            queue.write_all(b"line\n").unwrap();
        }
        assert!(
            !queue.flush(Duration::from_millis(30)),
            "the last word waits for its time and no longer"
        );
        drop(letting);
        assert!(queue.flush(Duration::from_mins(1)));
        let lines = written.lock().unwrap().split(|byte| *byte == b'\n').count() as u64 - 1;
        assert_eq!(lines + told.try_iter().sum::<u64>(), total);
        assert!(lines >= LINES as u64, "{lines}");
    }

    #[test]
    fn a_flush_waits_for_what_was_written_before() {
        let (mut queue, letting, written, told) = stuck();
        for _ in 0..3 {
            queue.write_all(b"line\n").unwrap();
            letting.send(()).unwrap();
        }
        assert!(queue.flush(Duration::from_mins(1)));
        assert_eq!(written.lock().unwrap().as_slice(), b"line\nline\nline\n");
        assert_eq!(told.try_iter().count(), 0);
    }
}
