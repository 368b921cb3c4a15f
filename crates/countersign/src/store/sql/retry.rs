//! The decision to run an operation again after an error, for drivers of servers.
//!
//! An operation is repeated only if that can't apply it twice. The errors of a driver tell, by
//! [`Repeatable`]; the limits are the same for all drivers and are in [`Retry`].

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

#[cfg(any(feature = "mysql", feature = "sqlx-mysql", feature = "sqlx-postgres"))]
use crate::store::sql::Script;

/// The number of times an operation is run again after the server has rolled it back.
const REPEATS: usize = 10;

/// The number of times it is run again on a new connection after one was lost.
const REPEATS_AFTER_LOSS: usize = 1;

/// The purpose of statements, which decides about connection, repetition and isolation.
#[cfg(any(feature = "mysql", feature = "sqlx-mysql", feature = "sqlx-postgres"))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Reads,
    Writes,
    /// A write that must see rows whose primary key changes while it runs.
    WritesSeeingAll,
}

#[cfg(any(feature = "mysql", feature = "sqlx-mysql", feature = "sqlx-postgres"))]
impl Mode {
    /// Returns the mode of a script, which writes.
    pub(super) const fn of(script: &Script) -> Self {
        if script.sees_all() {
            Self::WritesSeeingAll
        } else {
            Self::Writes
        }
    }
}

/// An error that tells if the operation which it ended may be run again.
pub(super) trait Repeatable {
    /// Returns `true` if the connection can't be used any more.
    fn is_loss(&self) -> bool;

    /// Returns `true` if running the operation again can't apply it twice: the server says that
    /// nothing took effect, nothing was sent, or it only reads.
    fn may_be_repeated(&self, reads: bool) -> bool;
}

/// The attempts at one operation, until its deadline.
pub(super) struct Retry {
    reads: bool,
    repeats: usize,
    pauses: Pauses,
    after_loss: bool,
}

impl Retry {
    /// Begins an operation that must end by `deadline`. `reads` is `true` if it changes nothing.
    pub(super) const fn until(deadline: Instant, reads: bool) -> Self {
        Self {
            reads,
            repeats: 0,
            pauses: Pauses::until(deadline),
            after_loss: false,
        }
    }

    /// Returns `true` if the operation is to be run again after `error`.
    ///
    /// With `held`, another transaction holds a row that the operation needs, and the operation
    /// was undone: it waits a little, and is run again as often as the deadline allows. Other
    /// errors are followed by another attempt at once, and only a few times.
    pub(super) async fn again(&mut self, error: &impl Repeatable, held: bool) -> bool {
        if held {
            return self.pauses.pause().await;
        }

        self.repeats += 1;
        self.after_loss = error.is_loss();
        let limit = if self.after_loss {
            REPEATS_AFTER_LOSS
        } else {
            REPEATS
        };
        self.repeats <= limit && error.may_be_repeated(self.reads)
    }

    /// Returns `true` if an attempt lost its connection, so that the next one needs a new one.
    #[cfg(any(feature = "mysql", feature = "postgres", test))]
    pub(super) const fn after_loss(&self) -> bool {
        self.after_loss
    }
}

/// The shortest pause before a locked row is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause before a locked row is tried again.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Pauses between attempts that double in length, until a deadline.
struct Pauses {
    next: Duration,
    deadline: Instant,
}

impl Pauses {
    /// Creates pauses that end at `deadline`.
    const fn until(deadline: Instant) -> Self {
        Self {
            next: FIRST_PAUSE,
            deadline,
        }
    }

    /// Waits for the next pause. Returns `false`, without waiting, if the deadline would come
    /// first.
    async fn pause(&mut self) -> bool {
        let end = Instant::now() + self.next;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        if end >= self.deadline {
            return false;
        }
        let _ = timeout_at(end, std::future::pending::<()>()).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with all answers given.
    struct Told {
        loss: bool,
        repeatable: bool,
    }

    impl Repeatable for Told {
        fn is_loss(&self) -> bool {
            self.loss
        }

        fn may_be_repeated(&self, reads: bool) -> bool {
            reads || self.repeatable
        }
    }

    async fn attempts(error: Told, reads: bool) -> usize {
        let mut retry = Retry::until(Instant::now() + Duration::from_hours(1), reads);
        let mut attempts = 1;
        while retry.again(&error, false).await {
            attempts += 1;
        }
        assert_eq!(retry.after_loss(), error.loss);
        attempts
    }

    #[tokio::test]
    async fn what_may_have_taken_effect_is_never_run_again() {
        for (loss, repeatable, reads, expected) in [
            (false, false, false, 1),
            (true, false, false, 1),
            (false, true, false, 11),
            (true, true, false, 2),
            (true, false, true, 2),
        ] {
            let error = Told { loss, repeatable };
            assert_eq!(
                attempts(error, reads).await,
                expected,
                "{loss} {repeatable} {reads}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_row_is_waited_for_until_the_deadline() {
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut retry = Retry::until(deadline, false);
        let error = Told {
            loss: false,
            repeatable: false,
        };
        let mut waits = 0;
        while retry.again(&error, true).await {
            waits += 1;
        }
        assert!(Instant::now() < deadline, "no pause may pass the deadline");
        assert!(waits > REPEATS, "{waits}");
    }
}
