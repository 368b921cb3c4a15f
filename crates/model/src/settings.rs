//! What a search is about: the lifetimes, and who may do what.

use crate::state::Tick;

/// How access tokens are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Kept in the store, and removed with their session.
    Opaque,
    /// Signed and kept nowhere; a session's id is denied when it ends.
    Signed,
}

/// When a call reads the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// When it looks; a write that comes late bears that time.
    Once,
    /// In each step, which writes do as well.
    EachStep,
}

/// What an ending of all that a user has may be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum All {
    /// Log out everywhere.
    Everywhere,
    /// A change of the password, which keeps the caller's session. Account and sessions may be in two databases.
    Password,
    /// The end of the account, which may come back. Account and fence change in one transaction.
    Disable,
}

/// How much clocks may differ: by so much an exchange may lie in the future of who looks at it, and so much longer than
/// their end entries stay in the denylist.
pub const DIFFERENCE: Tick = 1;

/// One configuration. Lifetimes are in ticks of a clock that may move between any two steps.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each switches one thing, in any combination")]
pub struct Settings {
    /// What the table calls it.
    pub name: &'static str,
    /// How access tokens are made.
    pub access: Access,
    /// When an exchange reads the clock.
    pub clock: Clock,
    /// `reuse_grace`; 0 is strict.
    pub window: Tick,
    /// Whether confirmation closes the window.
    pub close_on_use: bool,
    /// How long after it first presented a token an honest holder presents it again, and waits for an answer.
    pub patience: Tick,
    /// Whether every holder is honest, so that no session may end as reuse.
    pub honest: bool,
    /// Whether honest holders refresh while their access token is still good.
    pub eager: bool,
    /// An access token's life.
    pub access_life: Tick,
    /// The time without a rotation after which a session ends.
    pub idle: Tick,
    /// The time from birth at which it ends.
    pub absolute: Tick,
    /// The last tick.
    pub ticks: Tick,
    /// How many refresh tokens there can be, over all sessions.
    pub tokens: usize,
    /// How many calls can be under way at once.
    pub calls: usize,
    /// How often the thief may copy what the honest holders have.
    pub thefts: u8,
    /// How many sessions there can be, the first included; more than 1 lets logins happen.
    pub sessions: usize,
    /// Whether honest holders log out.
    pub logout: bool,
    /// How many calls may end all sessions.
    pub everywhere: u8,
    /// What for.
    pub all: &'static [All],
    /// How many ticks a server's clock may be ahead of another's: at most [`DIFFERENCE`].
    pub skew: Tick,
    /// How far all clocks are ahead until they are set back, which may happen once, at any time.
    pub ahead: Tick,
    /// Another access token's life, with which other servers sign.
    pub other_life: Option<Tick>,
    /// Whether the first session was recorded before there were fences.
    pub unfenced: bool,
    /// Whether the first session's access token is there from the beginning.
    pub first_access: bool,
    /// Whether statements see what was there when they began to wait for a row, as PostgreSQL's do.
    pub snapshots: bool,
    /// Whether rows that a mark has ended are removed, and what was remembered of it is forgotten.
    pub clears: bool,
    /// Whether ended entries of the denylist are removed.
    pub sweeps_denials: bool,
    /// How long after its last use a fence is removed that nothing is recorded behind.
    pub fence_swept: Option<Tick>,
    /// How long the fence is remembered, and the age at which a login is refused.
    pub fence_kept: Option<(Tick, Tick)>,
}

impl Settings {
    /// Two tabs, opaque tokens, and nothing else: what configurations start from.
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
