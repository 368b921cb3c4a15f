//! The queue of passwords that wait to be hashed.
//!
//! Logins and registrations wait in lines of their own, so that a crowd of registrations can't keep
//! logins out. Both lines are bounded: a full line refuses at once, instead of making clients wait
//! until they give up.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The number of logins in a row after which a waiting registration has its turn.
const IN_A_ROW: u32 = 4;

/// The time for which a thread without work keeps its memory.
const IDLE: Duration = Duration::from_millis(100);

/// The line in which a password waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The line of logins, and of password changes of existing accounts.
    Login,
    /// The line of registrations.
    Registration,
}

/// The next step of a hashing thread.
#[derive(Debug)]
pub(super) enum Next<T> {
    /// A job to do.
    Job(T),
    /// No job has come for a while. The thread should give its memory back.
    Nothing,
    /// The queue is closed and empty. The thread should end.
    End,
}

/// The queue: both lines, and the signal that wakes the threads.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lines: Mutex<Lines<T>>,
    changed: Condvar,
    places: usize,
}

/// The lines and their state, behind the lock.
#[derive(Debug)]
struct Lines<T> {
    logins: VecDeque<T>,
    registrations: VecDeque<T>,
    in_a_row: u32,
    is_closed: bool,
}

impl<T> Queue<T> {
    /// Creates a queue with `places` places for logins. Registrations have a quarter as many, but
    /// at least one.
    pub(super) fn new(places: usize) -> Self {
        let lines = Lines {
            logins: VecDeque::new(),
            registrations: VecDeque::new(),
            in_a_row: 0,
            is_closed: false,
        };
        Self {
            lines: Mutex::new(lines),
            changed: Condvar::new(),
            places,
        }
    }

    /// Appends `job` to a line. Returns `false` if that line is full.
    pub(super) fn push(&self, line: Line, job: T) -> bool {
        let mut lines = self.lines();
        let (line, places) = match line {
            Line::Login => (&mut lines.logins, self.places),
            Line::Registration => (&mut lines.registrations, (self.places / 4).max(1)),
        };
        if line.len() >= places {
            return false;
        }
        line.push_back(job);
        drop(lines);
        self.changed.notify_one();
        true
    }

    /// Waits for the next step of a thread.
    ///
    /// A thread that is resting (it has given back its memory) waits for as long as it takes.
    /// Another one gets [`Next::Nothing`] after [`IDLE`] without work.
    pub(super) fn next(&self, is_resting: bool) -> Next<T> {
        let mut lines = self.lines();
        loop {
            if let Some(job) = lines.take() {
                return Next::Job(job);
            }
            if lines.is_closed {
                return Next::End;
            }
            if is_resting {
                lines = self
                    .changed
                    .wait(lines)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }

            let (guard, waited) = self
                .changed
                .wait_timeout(lines, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            lines = guard;
            if waited.timed_out() && lines.is_empty() {
                return Next::Nothing;
            }
        }
    }

    /// Closes the queue. The threads end once both lines are empty.
    pub(super) fn close(&self) {
        self.lines().is_closed = true;
        self.changed.notify_all();
    }

    fn lines(&self) -> MutexGuard<'_, Lines<T>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Lines<T> {
    /// Takes the next job: from the logins, or from the registrations if there is no login or if
    /// [`IN_A_ROW`] logins came before.
    fn take(&mut self) -> Option<T> {
        let is_registrations_turn = self.logins.is_empty() || self.in_a_row >= IN_A_ROW;
        if is_registrations_turn && let Some(job) = self.registrations.pop_front() {
            self.in_a_row = 0;
            return Some(job);
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.logins.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.logins.is_empty() && self.registrations.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_leave_the_places_of_logins_alone() {
        let queue = Queue::new(8);
        let taken = (0..100)
            .filter(|_| queue.push(Line::Registration, "registration"))
            .count();
        assert_eq!(taken, 2);
        assert_eq!(
            (0..100)
                .filter(|_| queue.push(Line::Login, "login"))
                .count(),
            8
        );
        let order: Vec<&str> = std::iter::from_fn(|| match queue.next(false) {
            Next::Job(job) => Some(job),
            Next::Nothing | Next::End => None,
        })
        .collect();
        let (login, registration) = ("login", "registration");
        let expected = [
            login,
            login,
            login,
            login,
            registration,
            login,
            login,
            login,
            login,
            registration,
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_closed_queue_is_worked_off() {
        let queue = Queue::new(1);
        queue.push(Line::Login, ());
        queue.close();
        assert!(matches!(queue.next(true), Next::Job(())));
        assert!(matches!(queue.next(true), Next::End));
    }
}
