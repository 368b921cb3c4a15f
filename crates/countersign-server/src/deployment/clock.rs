//! The comparison of this host's clock with the store's, before rows are deleted by their age.
//!
//! A clock that is wrong by a month would delete a month of live sessions. PostgreSQL and MySQL
//! have a clock of their own, and the two may differ by five minutes. An SQLite file has no clock.
//! Instead, the file holds the time at which it was last served. If this host's clock is more than
//! an hour past that, either nobody has served the file for long, or the clock is wrong. Then
//! nothing is deleted until the clock has run steadily for an hour, or somebody confirms it
//! (`countersign cleanup --clock-is-right`).
//!
//! Only sweeps ask this. Requests are judged by this host's clock alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use countersign::clock::{Clock, SystemClock};
use countersign::store::sql::{Dialect, Driver, Statement};
use countersign::{Failure, Timestamp};

use super::record::{last_served, note_served};
use crate::error::Skew;

/// The largest accepted difference between this host's clock and the database's.
const BOUND: Duration = Duration::from_mins(5);
/// The time for which an SQLite file may be unserved before the clock is doubted.
const ABSENCE: Duration = Duration::from_hours(1);
/// The time for which a doubted clock must run steadily.
const PROBATION: Duration = Duration::from_hours(1);
/// The age at which the note in an SQLite file is renewed.
const STALE: Duration = Duration::from_mins(1);

/// The comparison of this host's clock with the store's.
///
/// Clones share what is known of a doubted clock.
#[derive(Clone)]
pub struct StoreClock {
    driver: Arc<dyn Driver>,
    doubted: Arc<Mutex<Option<Sighting>>>,
}

/// A reading of this host's clock, with the steady time at which it was read.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    host: Timestamp,
    at: Instant,
}

impl StoreClock {
    /// Creates a comparison with the clock of this database.
    pub(crate) fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            driver,
            doubted: Arc::default(),
        }
    }

    /// Returns `None` if rows may be deleted by their age, and both times if the clocks are too far
    /// apart.
    ///
    /// On SQLite, a check that finds the clock right also renews the note in the file, at most once
    /// per minute.
    ///
    /// # Errors
    /// Returns [`Failure`] if the database can't be reached. Don't delete anything then.
    pub async fn check(&self) -> Result<Option<Skew>, Failure> {
        let own = match self.driver.dialect() {
            Dialect::Sqlite => return self.check_absence().await,
            Dialect::Postgres => "SELECT clock_timestamp()",
            Dialect::Mysql => "SELECT UTC_TIMESTAMP(6)",
        };

        let rows = self
            .driver
            .fetch(&Statement::new(self.driver.dialect(), own), &[])
            .await?;
        let store = rows
            .first()
            .and_then(|row| row.time(0).ok().flatten())
            .ok_or_else(|| Failure::internal("database", "can't read the database's clock"))?;

        let host = SystemClock.now();
        let apart = host.since(store).max(store.since(host));
        Ok((apart > BOUND).then_some(Skew {
            host,
            store,
            has_clock: true,
        }))
    }

    /// Accepts this host's clock as right.
    ///
    /// On SQLite this notes the current time in the file. On other databases it does nothing.
    ///
    /// # Errors
    /// Returns [`Failure`] if the note can't be written.
    pub async fn accept(&self) -> Result<(), Failure> {
        match self.driver.dialect() {
            Dialect::Sqlite => note_served(&*self.driver, SystemClock.now()).await,
            Dialect::Postgres | Dialect::Mysql => Ok(()),
        }
    }

    /// Compares this host's clock with the note in an SQLite file.
    async fn check_absence(&self) -> Result<Option<Skew>, Failure> {
        let (host, at) = (SystemClock.now(), Instant::now());
        let served = last_served(&*self.driver).await?;

        let verdict = {
            let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
            judge(Sighting { host, at }, served, &mut doubted)
        };
        if verdict == Verdict::Note {
            note_served(&*self.driver, host).await?;
        }

        let skew = served.filter(|_| verdict == Verdict::Doubt);
        Ok(skew.map(|store| Skew {
            host,
            store,
            has_clock: false,
        }))
    }
}

/// The verdict on this host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The clock is right.
    Fine,
    /// The clock is right, and that the file is served should be noted.
    Note,
    /// The clock may be wrong.
    Doubt,
}

/// Returns the verdict on this host's clock, from the note and what was seen of a doubted clock.
///
/// A clock that was set back is never doubted, since it deletes less than it might. The note is
/// then set back as well. A doubted clock is accepted once it has advanced as much as the steady
/// time did, for an hour.
fn judge(now: Sighting, served: Option<Timestamp>, doubted: &mut Option<Sighting>) -> Verdict {
    let Some(served) = served else {
        return Verdict::Note;
    };

    if now.host.since(served) <= ABSENCE {
        *doubted = None;
        let is_stale = now.host.since(served).max(served.since(now.host)) > STALE;
        return if is_stale {
            Verdict::Note
        } else {
            Verdict::Fine
        };
    }

    let first = *doubted.get_or_insert(now);
    let (by_host, by_steady) = (
        now.host.since(first.host),
        now.at.saturating_duration_since(first.at),
    );
    if now.host < first.host || by_host.abs_diff(by_steady) > BOUND {
        // The clock jumped during its probation, so the probation begins again.
        *doubted = Some(now);
        return Verdict::Doubt;
    }
    if by_steady < PROBATION {
        return Verdict::Doubt;
    }

    *doubted = None;
    Verdict::Note
}

impl std::fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreClock")
            .field("dialect", &self.driver.dialect())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const MINUTE: Duration = Duration::from_mins(1);

    struct World {
        host: Timestamp,
        at: Instant,
        served: Option<Timestamp>,
        doubted: Option<Sighting>,
    }

    impl World {
        fn new(served: Option<Timestamp>) -> Self {
            Self {
                host: Timestamp::from_unix_seconds(1_768_477_800),
                at: Instant::now(),
                served,
                doubted: None,
            }
        }

        fn passes(&mut self, time: Duration) -> Verdict {
            self.at += time;
            self.host = self.host.saturating_add(time);
            self.look()
        }

        fn look(&mut self) -> Verdict {
            let verdict = judge(
                Sighting {
                    host: self.host,
                    at: self.at,
                },
                self.served,
                &mut self.doubted,
            );
            if verdict == Verdict::Note {
                self.served = Some(self.host);
            }
            verdict
        }
    }

    #[test]
    fn a_served_file_is_swept_and_noted() {
        let mut world = World::new(None);
        assert_eq!(world.look(), Verdict::Note);
        assert_eq!(world.passes(MINUTE / 2), Verdict::Fine);
        assert_eq!(world.passes(10 * MINUTE), Verdict::Note);
        assert_eq!(world.passes(HOUR), Verdict::Note);
    }

    #[test]
    fn after_a_long_absence_a_steady_hour_is_waited_for() {
        let mut world = World::new(None);
        world.look();
        world.host = world.host.saturating_add(200 * 24 * HOUR);
        assert_eq!(world.look(), Verdict::Doubt);
        for _ in 0..5 {
            assert_eq!(world.passes(10 * MINUTE), Verdict::Doubt);
        }
        assert_eq!(world.passes(10 * MINUTE), Verdict::Note);
        assert_eq!(world.passes(10 * MINUTE), Verdict::Note);
    }

    #[test]
    fn a_clock_that_is_set_again_begins_anew() {
        let mut world = World::new(None);
        world.look();
        world.host = world.host.saturating_add(200 * 24 * HOUR);
        assert_eq!(world.look(), Verdict::Doubt);
        assert_eq!(world.passes(59 * MINUTE), Verdict::Doubt);
        world.host = world.host.saturating_add(24 * HOUR);
        assert_eq!(world.passes(MINUTE), Verdict::Doubt);
        assert_eq!(world.passes(59 * MINUTE), Verdict::Doubt);
        world.host = world.host.saturating_sub(201 * 24 * HOUR);
        assert_eq!(
            world.look(),
            Verdict::Doubt,
            "that is two hours after it was served"
        );
        world.host = world.host.saturating_sub(2 * HOUR);
        assert_ne!(world.look(), Verdict::Doubt);
        assert!(world.doubted.is_none());
    }

    #[test]
    fn a_clock_that_is_behind_takes_the_note_back() {
        let mut world = World::new(None);
        world.look();
        world.host = world.host.saturating_sub(200 * 24 * HOUR);
        assert_eq!(world.look(), Verdict::Note);
        world.host = world.host.saturating_add(200 * 24 * HOUR);
        assert_eq!(world.look(), Verdict::Doubt);
    }
}
