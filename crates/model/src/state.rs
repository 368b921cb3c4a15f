//! All that there is at a moment: the store, the calls under way, the holders, and what really happened.

use crate::call::Call;
use crate::settings::Settings;
use crate::slots::Slots;

/// A moment of the abstract clock.
pub type Tick = u8;

/// How many sessions fit in a state.
pub const SESSIONS: usize = 3;
/// How many refresh tokens fit in a state.
pub const TOKENS: usize = 6;
/// How many calls fit in a state.
pub const CALLS: usize = 3;
/// How many consumed tokens keep their answer with `close_on_use` off. The protocol keeps eight.
pub const KEPT: usize = 3;

/// The text of a refresh token, with what really became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    /// The session that its family names.
    pub session: u8,
    /// The presented token and the salt that it was derived from.
    pub derived: Option<(u8, u8)>,
    /// When it was first exchanged.
    pub consumed: Option<Tick>,
    /// When an honest holder first presented it.
    pub first_sent: Option<Tick>,
}

/// A consumed token, as the record keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Consumed {
    /// Which.
    pub token: u8,
    /// When.
    pub at: Tick,
    /// From what its successor is derived.
    pub salt: u8,
}

/// A session's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record {
    /// The refresh token that is good now.
    pub current: u8,
    /// What it replaced, the newest first. With `close_on_use` on, the first alone is kept.
    pub consumed: [Option<Consumed>; KEPT],
    /// When the session was opened.
    pub birth: Tick,
    /// Moves with each rotation.
    pub idle_end: Tick,
    /// Never moves.
    pub absolute_end: Tick,
}

impl Record {
    /// Whether the session's ends are still to come.
    pub const fn is_live(&self, now: Tick) -> bool {
        now < self.idle_end && now < self.absolute_end
    }
}

/// What a server can read and write, and what it can ask of a signed token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// The user's fence, a new value each time that it is raised, and when that was.
    pub fence: (u8, Tick),
    /// Which password is the user's.
    pub password: u8,
    /// The sessions' records.
    pub records: Slots<Record, SESSIONS>,
    /// Until when each session's id is denied.
    pub denied: [Tick; SESSIONS],
    /// The end of the stored access token that was issued with each refresh token.
    pub access: Slots<Tick, TOKENS>,
    /// The last end of the signed access tokens that were ever made for a session. Nobody stores it; it is what the
    /// worst holder has.
    pub signed: [Tick; SESSIONS],
}

/// Why a session was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A consumed token was presented.
    Reuse,
    /// Its holder logged out.
    Logout,
    /// The user logged out everywhere, or changed the password.
    Everywhere,
}

/// What really happened to a session. No server reads it; the promises are judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct History {
    /// When it was opened.
    pub birth: Tick,
    /// When it ends at the latest.
    pub absolute_end: Tick,
    /// How many calls to log out everywhere had begun when its login began.
    pub era: u8,
    /// The password that its login proved.
    pub password: u8,
    /// What removed its record.
    pub ended: Option<Cause>,
    /// What was acknowledged, so that nothing of it may live.
    pub condemned: Option<Cause>,
    /// How many calls reported that they ended it as reuse.
    pub reports: u8,
    /// Whether it was exchanged by a call that came after its end.
    pub revived: bool,
}

/// The honest holders: tabs or processes that share what they hold, as tabs share a cookie jar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tabs {
    /// The refresh token that they hold.
    pub jar: Option<u8>,
    /// Until when their access token is good.
    pub access_ends: Tick,
}

/// A state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The clock.
    pub now: Tick,
    /// The store.
    pub store: Store,
    /// Every refresh token that was ever made.
    pub tokens: Slots<Token, TOKENS>,
    /// What really happened.
    pub history: Slots<History, SESSIONS>,
    /// What servers are doing.
    pub calls: Slots<Call, CALLS>,
    /// The honest holders.
    pub tabs: Tabs,
    /// The refresh tokens of the holder who presents whatever it has: a thief, or a device that logs in.
    pub loot: u8,
    /// How many copies the thief may still make.
    pub thefts: u8,
    /// How many calls to log out everywhere have begun.
    pub begun: u8,
    /// The last of them that was acknowledged.
    pub acknowledged: u8,
    /// The last password whose change was acknowledged.
    pub acknowledged_password: u8,
}

impl State {
    /// One session, just opened, whose tabs have yet to refresh it.
    pub fn first(settings: &Settings) -> Self {
        let mut state = Self {
            now: 0,
            store: Store::default(),
            tokens: Slots::new(),
            history: Slots::new(),
            calls: Slots::new(),
            tabs: Tabs::default(),
            loot: 0,
            thefts: settings.thefts,
            begun: 0,
            acknowledged: 0,
            acknowledged_password: 0,
        };
        state.tabs.jar = state.open(settings, 0, 0, false);
        state
    }

    /// The session that a token's family names.
    pub fn session_of(&self, token: u8) -> Option<u8> {
        self.tokens.get(token).map(|token| token.session)
    }

    /// The tokens that took `token`'s place.
    pub fn successors(&self, token: u8) -> impl Iterator<Item = (u8, &Token)> {
        self.tokens.iter().filter(move |(_, other)| other.derived.is_some_and(|(from, _)| from == token))
    }

    /// Whether the session's record is there and its ends are still to come.
    pub fn is_live(&self, session: u8) -> bool {
        self.store.records.get(session).is_some_and(|record| record.is_live(self.now))
    }

    /// Whether an access token of the session would be let in.
    pub fn has_access(&self, session: u8) -> bool {
        let place = usize::from(session);
        let stored =
            self.store.access.iter().any(|(token, ends)| self.now < *ends && self.session_of(token) == Some(session));
        let denied = self.store.denied.get(place).is_some_and(|until| self.now < *until);
        let signed = !denied && self.store.signed.get(place).is_some_and(|ends| self.now < *ends);
        stored || signed
    }

    /// Whether anything of the session would be accepted.
    pub fn is_accepted(&self, session: u8) -> bool {
        self.is_live(session) || self.has_access(session)
    }

    /// Moves the clock, and forgets what can no longer matter.
    pub fn tick(&mut self, settings: &Settings) {
        self.now += 1;
        let now = self.now;
        for token in (0..).take(TOKENS) {
            if self.store.access.get(token).is_some_and(|ends| *ends <= now) {
                self.store.access.set(token, None);
            }
        }
        for until in self.store.denied.iter_mut().chain(&mut self.store.signed) {
            *until = if *until <= now { 0 } else { *until };
        }
        if self.tabs.access_ends <= now {
            self.tabs.access_ends = 0;
        }
        for place in (0..).take(CALLS) {
            let late = self.calls.get(place).is_some_and(|call| call.is_late(self, settings));
            if late {
                self.calls.set(place, None);
            }
        }
    }
}
