//! What a server is doing: one call each, and where it is. What isn't here is in the store, so a crash is to forget it.

use crate::settings::{All, Settings};
use crate::state::{State, Tick};

/// Who presents a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// An honest one.
    Tab,
    /// One that presents whatever it has, whenever it likes.
    Thief,
}

/// What the protocol owes a presentation, by what really happened. The server doesn't know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing: the token is current, or its session is over.
    Nothing,
    /// The successor that there is.
    Owed(u8),
    /// The successor, or the end of the session: whether it came in time is for the clocks to say.
    Either(u8),
    /// The end of the session.
    Reuse,
}

/// What the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// A refresh token, and until when its access token is good. `again` when nothing was written for it.
    Tokens {
        /// The successor.
        refresh: u8,
        /// The access token's end.
        access_ends: Tick,
        /// Whether it is the answer of an earlier rotation.
        again: bool,
    },
    /// No.
    Refused,
}

/// What servers differ in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Server {
    /// How far its clock is ahead of the others.
    pub skew: Tick,
    /// Whether it signs with the other life.
    pub other_life: bool,
}

/// An exchange of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Refresh {
    /// Who presented it.
    pub by: Holder,
    /// The presented token.
    pub token: u8,
    /// The server.
    pub server: Server,
    /// The clock as the call last read it.
    pub at: Tick,
    /// The fence of the record that was looked at, which the signed token carries.
    pub fence: u8,
    /// Whether another caller rotated it first.
    pub lost: bool,
    /// What it is owed, by the last look.
    pub verdict: Verdict,
    /// Where it is.
    pub stage: RefreshStage,
}

/// Where an exchange is: the next thing to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefreshStage {
    /// Look the token up.
    Look,
    /// Compare and set.
    Rotate,
    /// Set, after a compare in a step of its own. Broken protocols alone do so.
    Write,
    /// Answer.
    Answer(Answer),
}

/// A login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Login {
    /// The server.
    pub server: Server,
    /// The fence that was read when it began.
    pub fence: u8,
    /// When that was.
    pub at: Tick,
    /// How many calls to log out everywhere had begun by then.
    pub era: u8,
    /// The password that it proved.
    pub password: Option<u8>,
    /// Where it is.
    pub stage: LoginStage,
}

/// Where a login is: the next thing to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoginStage {
    /// Check the password.
    Password,
    /// Check the fence in a step of its own. Broken protocols alone do so.
    Fence,
    /// Insert the session, guarded by the fence.
    Insert,
    /// Answer with the refresh token, or refuse.
    Answer(Option<u8>),
}

/// Why sessions are being ended, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// A consumed token of the session was presented.
    Reuse(Verdict),
    /// The holder of this token logs out.
    Logout(u8),
    /// Everything of the user ends.
    All {
        /// What for.
        all: All,
        /// The how-manieth such call.
        number: u8,
        /// The session that stays.
        keep: Option<u8>,
        /// The new password, or the account's new state, once it is written.
        version: u8,
    },
}

/// An ending of sessions. Its steps are [`plan`](crate::steps::ending::plan)ned by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ending {
    /// What it is for.
    pub why: Why,
    /// The sessions that it found, one bit each.
    pub listed: u8,
    /// The fences whose signed tokens it denies, one bit each.
    pub fences: u8,
    /// Those of them that spare a session, which goes on.
    pub spared: u8,
    /// The access tokens that its statement saw, one bit each.
    pub seen: u8,
    /// Until when what it denies is denied at least.
    pub until: Tick,
    /// How many of its steps are done.
    pub done: u8,
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// Exchanges a refresh token.
    Refresh(Refresh),
    /// Opens a session.
    Login(Login),
    /// Ends sessions.
    Ending(Ending),
}

impl Call {
    /// Whether an honest holder's request has been on its way for longer than its sender waits: it never arrives.
    pub fn is_late(&self, state: &State, settings: &Settings) -> bool {
        let Self::Refresh(refresh) = self else { return false };
        refresh.by == Holder::Tab
            && refresh.stage == RefreshStage::Look
            && !refresh.lost
            && !is_patient(state, settings, refresh.token)
    }
}

/// Whether an honest holder of the token still presents it, and waits for the answer.
pub fn is_patient(state: &State, settings: &Settings, token: u8) -> bool {
    let sent = state.tokens.get(token).and_then(|token| token.first_sent);
    sent.is_none_or(|sent| state.now < sent.saturating_add(settings.patience))
}
