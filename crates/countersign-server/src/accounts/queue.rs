//! Two lines of passwords that wait to be hashed: those who register don't keep out those who log in.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// After so many of those who log in, one who registers has a turn.
const IN_A_ROW: u32 = 4;

/// For so long a thread without work keeps its memory at hand.
const IDLE: Duration = Duration::from_millis(100);

/// Which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Of those who have an account.
    Login,
    /// Of those who want one.
    Registration,
}

/// What a thread does next.
#[derive(Debug)]
pub(super) enum Next<T> {
    /// This.
    Job(T),
    /// Nothing: there has been no work for a while.
    Nothing,
    /// It ends.
    End,
}

/// Both lines.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lines: Mutex<Lines<T>>,
    changed: Condvar,
    places: usize,
}

#[derive(Debug)]
struct Lines<T> {
    logins: VecDeque<T>,
    registrations: VecDeque<T>,
    in_a_row: u32,
    is_closed: bool,
}

impl<T> Queue<T> {
    /// Lines with so many places for logins, and a quarter as many, though at least one, for registrations.
    pub(super) fn new(places: usize) -> Self {
        let lines = Lines { logins: VecDeque::new(), registrations: VecDeque::new(), in_a_row: 0, is_closed: false };
        Self { lines: Mutex::new(lines), changed: Condvar::new(), places }
    }

    /// Puts `job` at the end of a line; `false` when that line is full.
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

    /// Waits for what to do next. A thread that is resting waits for as long as it takes, another is told when to rest.
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
                lines = self.changed.wait(lines).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (guard, waited) = self.changed.wait_timeout(lines, IDLE).unwrap_or_else(PoisonError::into_inner);
            lines = guard;
            if waited.timed_out() && lines.is_empty() {
                return Next::Nothing;
            }
        }
    }

    /// Ends every thread when the lines are empty.
    pub(super) fn close(&self) {
        self.lines().is_closed = true;
        self.changed.notify_all();
    }

    fn lines(&self) -> MutexGuard<'_, Lines<T>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Lines<T> {
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
        let taken = (0..100).filter(|_| queue.push(Line::Registration, "registration")).count();
        assert_eq!(taken, 2);
        assert_eq!((0..100).filter(|_| queue.push(Line::Login, "login")).count(), 8);
        let order: Vec<&str> = std::iter::from_fn(|| match queue.next(false) {
            Next::Job(job) => Some(job),
            Next::Nothing | Next::End => None,
        })
        .collect();
        let (login, registration) = ("login", "registration");
        let expected = [login, login, login, login, registration, login, login, login, login, registration];
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
