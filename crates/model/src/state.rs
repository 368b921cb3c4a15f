//! A state of the model: the store, the calls under way, the holders, and what really happened.
//!
//! Servers read and write [`Store`] only. [`Token`], [`History`] and the acknowledgements in
//! [`State`] record the truth, by which the promises are judged.

use crate::call::Call;
use crate::settings::Settings;
use crate::slots::Slots;
use crate::steps::Opening;

/// A moment of the model's clock, or a number of its ticks.
pub type Tick = u8;

/// The number of sessions that a state has room for.
pub const SESSIONS: usize = 3;
/// The number of refresh tokens that a state has room for.
pub const TOKENS: usize = 6;
/// The number of calls that a state has room for.
pub const CALLS: usize = 3;
/// The number of fences that a state has room for, [`NO_FENCE`] included.
pub const FENCES: usize = 5;
/// The fence of sessions that were recorded before there were fences.
pub const NO_FENCE: u8 = 0;
/// The number of consumed tokens that a record keeps with `close_on_use` off. The protocol keeps
/// eight.
pub const KEPT: usize = 3;

/// A refresh token, with what really happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    /// The session that its family names.
    pub session: u8,
    /// The presented token and the salt that it was derived from, or `None` for a session's first
    /// token.
    pub derived: Option<(u8, u8)>,
    /// The time at which it was first exchanged.
    pub consumed: Option<Tick>,
    /// The number of ticks that the clocks were ahead of the time then.
    pub ahead: Tick,
    /// The time at which an honest holder first presented it.
    pub first_sent: Option<Tick>,
}

/// A consumed token in a session's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Consumed {
    /// The token.
    pub token: u8,
    /// The time at which it was exchanged, by the clock of the server.
    pub at: Tick,
    /// The salt that its successor is derived with.
    pub salt: u8,
}

/// The record of a session in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record {
    /// The current refresh token.
    pub current: u8,
    /// The tokens that were exchanged last, the newest first. With `close_on_use` on, only one is
    /// kept.
    pub consumed: [Option<Consumed>; KEPT],
    /// The time at which the session was opened.
    pub birth: Tick,
    /// The end of the session if it is not refreshed. Each rotation moves it.
    pub idle_end: Tick,
    /// The absolute end of the session, which never moves.
    pub absolute_end: Tick,
    /// The fence that the session is recorded behind.
    pub fence: u8,
    /// The latest end of the session's signed access tokens, which never moves back.
    pub access_end: Tick,
}

impl Record {
    /// Returns `true` if both ends of the session are after `now`.
    pub const fn is_live(&self, now: Tick) -> bool {
        now < self.idle_end && now < self.absolute_end
    }
}

/// An access token in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Access {
    /// The end of the token.
    pub ends: Tick,
    /// The fence that the token is recorded behind.
    pub fence: u8,
}

/// The note that a mark replaced a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ended {
    /// The session that the mark kept, until an ending has denied its id.
    pub kept: Option<u8>,
    /// `true` if the signed tokens with this fence are denied.
    pub settled: bool,
    /// The latest end of these tokens that was recorded when the fence was replaced.
    pub access_end: Tick,
}

/// The denylist: the end of each entry, or 0 if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Denylist {
    /// The entries for sessions' ids.
    pub sessions: [Tick; SESSIONS],
    /// The entries for fences.
    pub fences: [Tick; FENCES],
    /// The exceptions from a fence: the session that was kept, and the end of the exception.
    pub kept: [(u8, Tick); FENCES],
}

impl Denylist {
    /// Returns the ends of all entries.
    pub fn ends(&mut self) -> impl Iterator<Item = &mut Tick> {
        self.sessions
            .iter_mut()
            .chain(&mut self.fences)
            .chain(self.kept.iter_mut().map(|(_, until)| until))
    }

    /// Forgets the sessions of exceptions that are gone, so that equal denylists are equal states.
    pub fn drop_ended(&mut self) {
        for kept in self.kept.iter_mut().filter(|(_, until)| *until == 0) {
            *kept = (0, 0);
        }
    }

    /// Returns `true` if a token of `session`, signed with `fence`, is refused at `clock`.
    pub fn refuses(&self, session: u8, fence: u8, clock: Tick) -> bool {
        let is_kept = self
            .kept
            .get(usize::from(fence))
            .is_some_and(|(kept, until)| *kept == session && clock < *until);
        denies(self.sessions.get(usize::from(session)), clock)
            || denies(self.fences.get(usize::from(fence)), clock) && !is_kept
    }
}

/// Returns `true` if an entry of the denylist hasn't ended.
fn denies(until: Option<&Tick>, clock: Tick) -> bool {
    until.is_some_and(|until| clock < *until)
}

/// The store: everything that a server can read, write, or ask about a signed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// The user's current fence, if there is one.
    pub fence: Option<u8>,
    /// The time of its last use or replacement. It is 0 in configurations where that does not
    /// matter.
    pub fence_used: Tick,
    /// The number of fences that were drawn. Each draw is another value.
    pub fences: u8,
    /// The notes about replaced fences, for as long as the store keeps them.
    pub ended: [Option<Ended>; FENCES],
    /// The user's password: the number of changes of password and account.
    pub password: u8,
    /// The records of the sessions.
    pub records: Slots<Record, SESSIONS>,
    /// The stored access tokens, each at the place of the refresh token that it was issued with.
    pub access: Slots<Access, TOKENS>,
    /// The denylist.
    pub denied: Denylist,
    /// The latest end of the signed access tokens that were ever made, for each session and fence.
    ///
    /// No server stores it. It stands for the holder with the longest-lived token.
    pub signed: [[Tick; FENCES]; SESSIONS],
}

impl Store {
    /// Returns `true` if the fence was replaced and the store still has the note about it.
    pub fn has_ended(&self, fence: u8) -> bool {
        self.ended
            .get(usize::from(fence))
            .is_some_and(Option::is_some)
    }

    /// Returns a session's record, unless its fence was replaced.
    pub fn find(&self, session: u8) -> Option<&Record> {
        self.records
            .get(session)
            .filter(|record| !self.has_ended(record.fence))
    }

    /// Returns `true` if a record or an access token is behind the fence, whether or not it is
    /// still found.
    pub fn is_used(&self, fence: u8) -> bool {
        self.records.iter().any(|(_, record)| record.fence == fence)
            || self.access.iter().any(|(_, access)| access.fence == fence)
    }
}

/// The cause of a session's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A consumed token was presented.
    Reuse,
    /// The holder logged out.
    Logout,
    /// The user logged out everywhere, changed the password, or lost the account.
    Everywhere,
}

/// The true history of a session.
///
/// No server reads it. The promises are judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct History {
    /// The time at which the session was opened.
    pub birth: Tick,
    /// The absolute end of the session.
    pub absolute_end: Tick,
    /// The number of calls to end everything that had begun when its login began.
    pub era: u8,
    /// The password that its login proved.
    pub password: u8,
    /// The fence that it was last recorded behind.
    pub fence: u8,
    /// The cause for which its record was removed or ended.
    pub ended: Option<Cause>,
    /// The cause for which its end was acknowledged. Nothing of the session may be accepted from
    /// then on.
    pub condemned: Option<Cause>,
    /// The number of calls that reported that they ended it as reuse.
    pub reports: u8,
    /// `true` if it was refreshed after its end.
    pub revived: bool,
}

/// The honest holders: tabs or processes that share what they hold, as tabs share a cookie jar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tabs {
    /// The refresh token that they hold.
    pub jar: Option<u8>,
    /// The end of the access token that they hold, or 0.
    pub access_ends: Tick,
}

/// A state of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The time.
    pub now: Tick,
    /// The number of ticks by which all clocks are ahead of the time, until they are set back.
    pub ahead: Tick,
    /// The expired entries that a sweep of the denylist has found, one bit each, and the time that
    /// it judged by.
    pub sweep: Option<(u16, Tick)>,
    /// The store.
    pub store: Store,
    /// All refresh tokens that were ever made.
    pub tokens: Slots<Token, TOKENS>,
    /// The true history of each session.
    pub history: Slots<History, SESSIONS>,
    /// The calls under way.
    pub calls: Slots<Call, CALLS>,
    /// The honest holders.
    pub tabs: Tabs,
    /// The refresh tokens of the other holder, one bit each. It is a thief, or a device that logs
    /// in.
    pub loot: u8,
    /// The number of copies that the thief may still make.
    pub thefts: u8,
    /// The number of calls to end everything that have begun.
    pub begun: u8,
    /// The highest number of such a call that was acknowledged.
    pub acknowledged: u8,
    /// The last password whose change was acknowledged.
    pub acknowledged_password: u8,
}

impl State {
    /// Returns the first state: one session that was just opened and that its tabs have not
    /// refreshed yet.
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
        let opened = Opening {
            clock: state.clock(0),
            life: settings.access_life,
            fence,
            era: 0,
            password: 0,
        };

        state.tabs.jar = state.open(settings, opened, settings.first_access);
        state
    }

    /// Returns the session that a token's family names.
    pub fn session_of(&self, token: u8) -> Option<u8> {
        self.tokens.get(token).map(|token| token.session)
    }

    /// Returns the tokens that were derived from `token`.
    pub fn successors(&self, token: u8) -> impl Iterator<Item = (u8, &Token)> {
        self.tokens
            .iter()
            .filter(move |(_, other)| other.derived.is_some_and(|(from, _)| from == token))
    }

    /// Returns the time on the clock of a server that is `skew` ticks ahead of the others.
    pub const fn clock(&self, skew: Tick) -> Tick {
        self.now.saturating_add(self.ahead).saturating_add(skew)
    }

    /// Returns `true` if the session's record is found and its ends are in the future by the
    /// slowest clock.
    pub fn is_live(&self, session: u8) -> bool {
        self.store
            .find(session)
            .is_some_and(|record| record.is_live(self.clock(0)))
    }

    /// Returns `true` if a server whose clock is `skew` ticks ahead accepts an access token of the
    /// session.
    fn lets_in(&self, session: u8, skew: Tick) -> bool {
        let clock = self.clock(skew);
        let stored = self.store.access.iter().any(|(token, access)| {
            clock < access.ends
                && !self.store.has_ended(access.fence)
                && self.session_of(token) == Some(session)
        });
        let signed = self.store.signed.get(usize::from(session));

        stored
            || signed.is_some_and(|signed| {
                (0..).zip(signed).any(|(fence, ends)| {
                    clock < *ends && !self.store.denied.refuses(session, fence, clock)
                })
            })
    }

    /// Returns `true` if any server accepts an access token of the session.
    pub fn has_access(&self, session: u8, settings: &Settings) -> bool {
        (0..=settings.skew).any(|skew| self.lets_in(session, skew))
    }

    /// Returns `true` if anything of the session would be accepted.
    pub fn is_accepted(&self, session: u8, settings: &Settings) -> bool {
        self.is_live(session) || self.has_access(session, settings)
    }

    /// Moves the time by one tick, and forgets what can no longer matter.
    ///
    /// Forgetting makes states equal that differ in nothing that a later step asks for.
    pub fn tick(&mut self, settings: &Settings) {
        self.now += 1;
        let now = self.now;

        for token in (0..).take(TOKENS) {
            if self
                .store
                .access
                .get(token)
                .is_some_and(|access| access.ends <= now)
            {
                self.store.access.set(token, None);
            }
        }

        self.store
            .signed
            .iter_mut()
            .flatten()
            .for_each(|until| pass(until, now));
        if !settings.sweeps_denials {
            self.store.denied.ends().for_each(|until| pass(until, now));
            self.store.denied.drop_ended();
        }

        if self.tabs.access_ends <= now {
            self.tabs.access_ends = 0;
        }

        for place in (0..).take(CALLS) {
            let late = self
                .calls
                .get(place)
                .is_some_and(|call| call.is_late(self, settings));
            if late {
                self.calls.set(place, None);
            }
        }
    }
}

/// Sets an end to 0 if it has passed.
const fn pass(until: &mut Tick, now: Tick) {
    if *until <= now {
        *until = 0;
    }
}
