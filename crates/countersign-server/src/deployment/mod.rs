//! The record of a deployment: the settings on which all its servers and commands must agree.
//!
//! A server that believed its own settings could report a logout that other servers don't see. So
//! the database holds one record, the [`Mark`], in the table `countersign_deployment`: strategy,
//! profile, the place of denied ids, issuer, audience, algorithm, the id of the signing key, and a
//! check value of the secret. Every server and every command reads it before it writes anything. A
//! setting that nobody gave is taken from the mark, and a setting that contradicts the mark is
//! refused as [`Mismatch`](crate::error::Error::Mismatch).
//!
//! ```text
//! agree    reads the mark, completes the settings, and refuses contradictions. Writes nothing.
//! join     agrees, brings the tables up to date, makes secrets, and records what is still open.
//! watch    reads the mark again while a server runs, and warns when it has changed.
//! change   replaces the mark, as a command of its own.
//! show     prints the mark.
//! ```
//!
//! Start at [`join()`]. The submodule `mark` has the form of the mark, `record` its place in the
//! database, and `clock` compares this host's clock with the database's before rows are deleted by
//! their age. The reasons for this design are in `docs/decisions/deployment-mark.md`.
//!
//! The order of the steps in [`join()`] matters: settings are compared with the record before the
//! first write, so a server that belongs to another deployment leaves no trace in this one.

mod agree;
pub mod change;
mod clock;
mod join;
mod mark;
mod record;
pub mod show;
mod watch;

pub use clock::StoreClock;
pub use join::{Joined, join, migrate, planned, settled};
pub use mark::Mark;
pub use watch::Watch;

/// The purpose for which a process joins a deployment.
///
/// It decides which keys must be there, and what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Serving requests. Every key is needed, and whatever isn't recorded yet is recorded.
    Serve,
    /// Ending sessions. No key is needed, but the strategy must be known.
    ///
    /// With the wrong strategy, a command would report sessions as ended whose tokens are still
    /// accepted.
    EndSessions,
    /// Work on accounts or tables.
    Manage,
    /// Bringing the tables up to date and nothing else. Settings aren't completed from the mark.
    Migrate,
}
