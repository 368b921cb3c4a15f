//! The settings of a search: lifetimes, sizes, and the calls that holders may make.

use crate::state::Tick;

/// The form of access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Kept in the store, and removed with their session.
    Opaque,
    /// Signed and kept nowhere. The session's id or the user's fence is denied when they end.
    Signed,
}

/// The moments at which a refresh reads the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// At its look. A write that comes later still uses that time.
    Once,
    /// In each step, the write included.
    EachStep,
}

/// The occasion for ending everything that a user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum All {
    /// Log out everywhere.
    Everywhere,
    /// A password change, which keeps the caller's session. Account and sessions may be in two
    /// databases.
    Password,
    /// The end of the account, which may be enabled again. Account and fence change in one
    /// transaction.
    Disable,
}

/// The largest difference between two clocks.
///
/// A rotation may lie in the future by this much for a server that looks at it, and the denylist
/// keeps entries this much longer than their end.
pub const DIFFERENCE: Tick = 1;

/// One configuration: what a search is about.
///
/// Lifetimes are in ticks of a clock that may move between any two steps. Start from
/// [`plain`](Self::plain) and change what the configuration is about.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each switches one thing, in any combination"
)]
pub struct Settings {
    /// The name in tables.
    pub name: &'static str,
    /// The form of access tokens.
    pub access: Access,
    /// The moments at which a refresh reads the clock.
    pub clock: Clock,
    /// The window in which a retry gets its answer again (`reuse_grace`). 0 is strict.
    pub window: Tick,
    /// `true` if the use of the successor closes the window.
    pub close_on_use: bool,
    /// The time after its first presentation for which an honest holder presents a token again and
    /// waits for an answer.
    pub patience: Tick,
    /// `true` if every holder is honest, so that no session may end as reuse.
    pub honest: bool,
    /// `true` if honest holders refresh while their access token is still good.
    pub eager: bool,
    /// The lifetime of access tokens.
    pub access_life: Tick,
    /// The time without a rotation after which a session ends.
    pub idle: Tick,
    /// The time from its birth after which a session ends.
    pub absolute: Tick,
    /// The last tick of the search.
    pub ticks: Tick,
    /// The largest number of refresh tokens, over all sessions.
    pub tokens: usize,
    /// The largest number of calls under way at once.
    pub calls: usize,
    /// The number of times that the thief may copy what the honest holders have.
    pub thefts: u8,
    /// The largest number of sessions, the first one included. More than 1 lets logins happen.
    pub sessions: usize,
    /// `true` if honest holders log out.
    pub logout: bool,
    /// The largest number of calls that end everything.
    pub everywhere: u8,
    /// The occasions of these calls.
    pub all: &'static [All],
    /// The number of ticks by which a server's clock may be ahead of another's, at most
    /// [`DIFFERENCE`].
    pub skew: Tick,
    /// The number of ticks by which all clocks are ahead until they are set back. That may happen
    /// once, at any time.
    pub ahead: Tick,
    /// Another lifetime of access tokens, with which some servers sign.
    pub other_life: Option<Tick>,
    /// `true` if the first session was recorded before there were fences.
    pub unfenced: bool,
    /// `true` if the first session has an access token from the beginning.
    pub first_access: bool,
    /// `true` if statements see what was there when they began to wait for a row, as on PostgreSQL.
    pub snapshots: bool,
    /// `true` if records that a mark ended are removed, and the note about the mark is forgotten.
    pub clears: bool,
    /// `true` if expired entries of the denylist are removed.
    pub sweeps_denials: bool,
    /// The time since its last use after which a sweep removes a fence that nothing is recorded
    /// behind, if sweeps do.
    pub fence_swept: Option<Tick>,
    /// The time for which the store remembers a fence, and the age at which a login is refused, for
    /// a store that forgets.
    pub fence_kept: Option<(Tick, Tick)>,
}

impl Settings {
    /// Returns the settings that configurations start from: two tabs that hold opaque access tokens
    /// and refresh them.
    pub const fn plain(name: &'static str) -> Self {
        Self {
            name,
            access: Access::Opaque,
            clock: Clock::Once,
            window: 2,
            close_on_use: true,
            patience: 2,
            honest: true,
            eager: false,
            access_life: 3,
            idle: 5,
            absolute: 8,
            ticks: 8,
            tokens: 4,
            calls: 2,
            thefts: 0,
            sessions: 1,
            logout: false,
            everywhere: 0,
            all: &[All::Everywhere],
            skew: 0,
            ahead: 0,
            other_life: None,
            unfenced: false,
            first_access: false,
            snapshots: false,
            clears: false,
            sweeps_denials: false,
            fence_swept: None,
            fence_kept: None,
        }
    }
}
