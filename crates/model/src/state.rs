//! All that there is at a moment: the store, the calls under way, the holders, and what really happened.

use crate::call::Call;
use crate::settings::Settings;
use crate::slots::Slots;
use crate::steps::Opening;

/// A moment of the abstract clock.
pub type Tick = u8;

/// How many sessions fit in a state.
pub const SESSIONS: usize = 3;
/// How many refresh tokens fit in a state.
pub const TOKENS: usize = 6;
/// How many calls fit in a state.
pub const CALLS: usize = 3;
/// How many fences fit in a state, with the place of [`NO_FENCE`].
pub const FENCES: usize = 5;
/// What a session is behind that was recorded before there were fences.
pub const NO_FENCE: u8 = 0;
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
    /// How far the clocks were ahead of the time by then.
    pub ahead: Tick,
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
    /// The fence that it is recorded behind.
    pub fence: u8,
    /// The latest end of the signed access tokens that were handed out for it. Never moves back.
    pub access_end: Tick,
}

impl Record {
    /// Whether the session's ends are still to come.
    pub const fn is_live(&self, now: Tick) -> bool {
        now < self.idle_end && now < self.absolute_end
    }
}

/// An access token in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Access {
    /// Until when it is good.
    pub ends: Tick,
    /// The fence that it is recorded behind.
    pub fence: u8,
}

/// A fence that a mark replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ended {
    /// The session that went on behind the next fence, until an ending has denied its id.
    pub kept: Option<u8>,
    /// Whether the signed tokens behind it are denied.
    pub settled: bool,
    /// The latest end of those tokens, as the mark found it recorded.
    pub access_end: Tick,
}

/// The denylist: until when each entry denies, 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Denylist {
    /// Sessions' ids.
    pub sessions: [Tick; SESSIONS],
    /// Fences.
    pub fences: [Tick; FENCES],
    /// Exceptions from a fence: the session that was kept, and until when.
    pub kept: [(u8, Tick); FENCES],
}

impl Denylist {
    /// Every entry's end.
    pub fn ends(&mut self) -> impl Iterator<Item = &mut Tick> {
        self.sessions.iter_mut().chain(&mut self.fences).chain(self.kept.iter_mut().map(|(_, until)| until))
    }

    /// Forgets for whom exceptions were that are gone.
    pub fn drop_ended(&mut self) {
        for kept in self.kept.iter_mut().filter(|(_, until)| *until == 0) {
            *kept = (0, 0);
        }
    }

    /// Whether a token of a session, signed behind `fence`, is refused at `clock`.
    pub fn refuses(&self, session: u8, fence: u8, clock: Tick) -> bool {
        let denies = |until: Option<&Tick>| until.is_some_and(|until| clock < *until);
        let spares = |kept: &(u8, Tick)| kept.0 == session && clock < kept.1;
        denies(self.sessions.get(usize::from(session)))
            || denies(self.fences.get(usize::from(fence))) && !self.kept.get(usize::from(fence)).is_some_and(spares)
    }
}

/// What a server can read and write, and what it can ask of a signed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// The user's fence, if one stands.
    pub fence: Option<u8>,
    /// When it was last used or replaced, where that matters.
    pub fence_used: Tick,
    /// How many fences were drawn: each is another value.
    pub fences: u8,
    /// The fences that marks replaced, as long as that is remembered.
    pub ended: [Option<Ended>; FENCES],
    /// Which password is the user's.
    pub password: u8,
    /// The sessions' records.
    pub records: Slots<Record, SESSIONS>,
    /// The stored access token that was issued with each refresh token.
    pub access: Slots<Access, TOKENS>,
    /// What is denied.
    pub denied: Denylist,
    /// The last end of the signed access tokens that were ever made for a session behind a fence. Nobody stores it; it is
    /// what the worst holder has.
    pub signed: [[Tick; FENCES]; SESSIONS],
}

impl Store {
    /// Whether a fence was replaced.
    pub fn has_ended(&self, fence: u8) -> bool {
        self.ended.get(usize::from(fence)).is_some_and(Option::is_some)
    }

    /// A session's record, unless its fence was replaced.
    pub fn find(&self, session: u8) -> Option<&Record> {
        self.records.get(session).filter(|record| !self.has_ended(record.fence))
    }

    /// Whether anything is recorded behind a fence, found or not.
    pub fn is_used(&self, fence: u8) -> bool {
        self.records.iter().any(|(_, record)| record.fence == fence)
            || self.access.iter().any(|(_, access)| access.fence == fence)
    }
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
    /// The fence that it was last recorded behind.
    pub fence: u8,
    /// What removed its record.
    pub ended: Option<Cause>,
    /// What was acknowledged, so that nothing of it may live.
    pub condemned: Option<Cause>,
    /// How many calls reported that they ended it as reuse.
    pub reports: u8,
    /// Whether it was exchanged after its end.
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
    /// The time.
    pub now: Tick,
    /// How far all clocks are ahead of it, until they are set back.
    pub ahead: Tick,
    /// The entries of the denylist that a sweep has found ended, one bit each, and the moment that it judged by.
    pub sweep: Option<(u16, Tick)>,
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
            ahead: settings.ahead,
            sweep: None,
            store: Store {
                fence: if settings.unfenced { None } else { Some(1) },
                fence_used: 0,
                fences: u8::from(!settings.unfenced),
                ended: [None; FENCES],
                password: 0,
                records: Slots::new(),
                access: Slots::new(),
                denied: Denylist::default(),
                signed: [[0; FENCES]; SESSIONS],
            },
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
        let fence = if settings.unfenced { NO_FENCE } else { 1 };
        let opened = Opening { clock: state.clock(0), life: settings.access_life, fence, era: 0, password: 0 };
        state.tabs.jar = state.open(settings, opened, settings.first_access);
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

    /// What a server's clock shows that is `skew` ahead of the others.
    pub const fn clock(&self, skew: Tick) -> Tick {
        self.now.saturating_add(self.ahead).saturating_add(skew)
    }

    /// Whether a session's record is found, and its ends are still to come by the slowest clock.
    pub fn is_live(&self, session: u8) -> bool {
        self.store.find(session).is_some_and(|record| record.is_live(self.clock(0)))
    }

    /// Whether an access token of the session would be let in by a server whose clock is `skew` ahead.
    fn lets_in(&self, session: u8, skew: Tick) -> bool {
        let clock = self.clock(skew);
        let stored = self.store.access.iter().any(|(token, access)| {
            clock < access.ends && !self.store.has_ended(access.fence) && self.session_of(token) == Some(session)
        });
        let signed = self.store.signed.get(usize::from(session));
        stored
            || signed.is_some_and(|signed| {
                (0..)
                    .zip(signed)
                    .any(|(fence, ends)| clock < *ends && !self.store.denied.refuses(session, fence, clock))
            })
    }

    /// Whether an access token of the session would be let in by any server.
    pub fn has_access(&self, session: u8, settings: &Settings) -> bool {
        (0..=settings.skew).any(|skew| self.lets_in(session, skew))
    }

    /// Whether anything of the session would be accepted.
    pub fn is_accepted(&self, session: u8, settings: &Settings) -> bool {
        self.is_live(session) || self.has_access(session, settings)
    }

    /// Moves the time, and forgets what can no longer matter.
    pub fn tick(&mut self, settings: &Settings) {
        self.now += 1;
        let now = self.now;
        for token in (0..).take(TOKENS) {
            if self.store.access.get(token).is_some_and(|access| access.ends <= now) {
                self.store.access.set(token, None);
            }
        }
        let passed = |until: &mut Tick| *until = if *until <= now { 0 } else { *until };
        self.store.signed.iter_mut().flatten().for_each(passed);
        if !settings.sweeps_denials {
            self.store.denied.ends().for_each(passed);
            self.store.denied.drop_ended();
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
