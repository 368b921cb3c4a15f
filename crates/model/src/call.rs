//! The calls that servers have under way, and the point that each has reached.
//!
//! Whatever is not in the store is here. A crash therefore only forgets the call.

use crate::settings::{All, Settings};
use crate::state::{State, Tick};

/// The kind of holder that presents a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// An honest holder.
    Tab,
    /// A holder that presents any of its tokens at any time.
    Thief,
}

/// The answer that the protocol owes to a presentation, by what really happened.
///
/// No server knows it. The promise that a retry is safe is judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// No particular answer: the token is current, or its session is over.
    Nothing,
    /// The successor with this number.
    Owed(u8),
    /// The successor with this number, or the end of the session. The clocks decide which.
    Either(u8),
    /// The end of the session.
    Reuse,
}

/// The answer to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// A refresh token and an access token.
    Tokens {
        /// The refresh token: the successor of the presented one.
        refresh: u8,
        /// The end of the access token.
        access_ends: Tick,
        /// `true` if it repeats the answer of an earlier rotation, so that nothing was written for
        /// it.
        again: bool,
    },
    /// A refusal.
    Refused,
}

/// The properties in which servers differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Server {
    /// The number of ticks that its clock is ahead of the others.
    pub skew: Tick,
    /// `true` if it signs access tokens with the other lifetime.
    pub other_life: bool,
}

/// A refresh: the exchange of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Refresh {
    /// The holder that presented the token.
    pub by: Holder,
    /// The presented token.
    pub token: u8,
    /// The server that handles the call.
    pub server: Server,
    /// The time of the server's clock when the call last read it.
    pub at: Tick,
    /// The fence in the record that the look found. The signed access token will carry it.
    pub fence: u8,
    /// `true` if another caller rotated the token first.
    pub lost: bool,
    /// The answer that it is owed, as of the last look.
    pub verdict: Verdict,
    /// The next step.
    pub stage: RefreshStage,
}

/// The next step of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefreshStage {
    /// Look the token up.
    Look,
    /// Compare and set.
    Rotate,
    /// Set, after a comparison in a step of its own. Only broken protocols do so.
    Write,
    /// Answer the caller.
    Answer(Answer),
}

/// A login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Login {
    /// The server that handles the call.
    pub server: Server,
    /// The fence that was read when the login began.
    pub fence: u8,
    /// The time at which the login began.
    pub at: Tick,
    /// The number of calls to end all sessions that had begun by then.
    pub era: u8,
    /// The password that was proved, once it is checked.
    pub password: Option<u8>,
    /// The next step.
    pub stage: LoginStage,
}

/// The next step of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoginStage {
    /// Check the password.
    Password,
    /// Check the fence in a step of its own. Only broken protocols do so.
    Fence,
    /// Insert the session if the fence is still the same.
    Insert,
    /// Answer with this refresh token, or refuse.
    Answer(Option<u8>),
}

/// The reason for an ending, with the sessions that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// A consumed token of the session was presented. Contains the answer that it is owed.
    Reuse(Verdict),
    /// The holder of this token logs out.
    Logout(u8),
    /// Everything of the user ends.
    All {
        /// The occasion.
        all: All,
        /// The number of this call among those that end everything, from 1.
        number: u8,
        /// The session that goes on.
        keep: Option<u8>,
        /// The new password or the new state of the account, once it is written.
        version: u8,
    },
}

/// An ending of sessions. [`plan`](crate::steps::ending::plan) lists its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ending {
    /// The reason.
    pub why: Why,
    /// The sessions to deny by id and to remove, one bit each.
    pub listed: u8,
    /// The fences whose signed tokens are to be denied, one bit each.
    pub fences: u8,
    /// The fences among these from which a kept session needs an exception, one bit each.
    pub spared: u8,
    /// The access tokens that its statement saw before it had to wait, one bit each.
    pub seen: u8,
    /// The time until which denials must last at least.
    pub until: Tick,
    /// The number of steps that are done.
    pub done: u8,
}

/// A call that a server has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// An exchange of a refresh token.
    Refresh(Refresh),
    /// An opening of a session.
    Login(Login),
    /// An end of sessions.
    Ending(Ending),
}

impl Call {
    /// Returns `true` if this is an honest holder's request that has been under way for longer than
    /// its sender waits.
    ///
    /// Such a request never arrives.
    pub fn is_late(&self, state: &State, settings: &Settings) -> bool {
        let Self::Refresh(refresh) = self else {
            return false;
        };
        refresh.by == Holder::Tab
            && refresh.stage == RefreshStage::Look
            && !refresh.lost
            && !is_patient(state, settings, refresh.token)
    }
}

/// Returns `true` if an honest holder of the token still presents it and waits for the answer.
pub fn is_patient(state: &State, settings: &Settings, token: u8) -> bool {
    let sent = state.tokens.get(token).and_then(|token| token.first_sent);
    sent.is_none_or(|sent| state.now < sent.saturating_add(settings.patience))
}
