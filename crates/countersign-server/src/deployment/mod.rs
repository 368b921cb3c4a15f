//! One truth per deployment: what its servers and commands must agree on stands in the shared store.
//!
//! The table `countersign_deployment` holds a [`Mark`]: strategy, profile, where denials go, issuer, audience, algorithm,
//! key id, and a check value of the secret. Whoever comes reads it before the first write ([`join`]), takes from it what
//! nobody told, and is refused where what it was told says otherwise. A [`change`] is a command of its own.
//!
//! ```text
//! agree    reads the mark; settings that nobody gave are taken from it, others must say the same     (no write yet)
//! join     … then the tables are brought up to date, secrets are made, and what isn't recorded yet is recorded
//! watch    a running server looks again, and says when the mark has changed
//! ```

mod agree;
pub mod change;
mod clock;
mod join;
mod mark;
mod record;
pub mod show;
mod watch;

pub use clock::{Skew, StoreClock};
pub use join::{Joined, join, migrate, planned, settled};
pub use mark::Mark;
pub use watch::Watch;

/// What somebody comes to a deployment for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve: it needs every key, and records what nobody has recorded.
    Serve,
    /// To end sessions. It signs nothing, but must know how tokens are made.
    EndSessions,
    /// To work on accounts or tables.
    Manage,
    /// To bring the tables up to date, and nothing else.
    Migrate,
}
