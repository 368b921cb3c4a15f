//! Endings: reuse, logout, log out everywhere, a change of the password. Each is a row of steps, and may stop between
//! any two.

use crate::call::{Call, Ending, Verdict, Why};
use crate::mutant::Mutant;
use crate::protocol::{Protocol, bit};
use crate::state::{Cause, SESSIONS, State, Tick};
use crate::steps::Next;

/// One step of an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Find the session by the presented token's family.
    Find,
    /// Write the new password.
    Password,
    /// Raise the fence.
    Fence,
    /// List the user's sessions.
    List,
    /// Deny one of the listed sessions that isn't yet denied.
    Deny,
    /// Remove access tokens alone. Broken protocols alone do so.
    Access,
    /// Remove records and access tokens.
    Remove,
    /// Answer.
    Answer,
}

/// The rows of steps.
mod plans {
    use super::Part::{self, Access, Answer, Deny, Fence, Find, List, Password, Remove};

    pub(super) const REUSE: &[Part] = &[Remove, Answer];
    pub(super) const REUSE_SIGNED: &[Part] = &[Deny, Remove, Answer];
    pub(super) const REUSE_SIGNED_LATE: &[Part] = &[Remove, Deny, Answer];
    pub(super) const LOGOUT: &[Part] = &[Find, Remove, Answer];
    pub(super) const LOGOUT_ACCESS_FIRST: &[Part] = &[Find, Access, Remove, Answer];
    pub(super) const LOGOUT_SIGNED: &[Part] = &[Find, Deny, Remove, Answer];
    pub(super) const LOGOUT_SIGNED_LATE: &[Part] = &[Find, Remove, Deny, Answer];
    pub(super) const EVERYWHERE: &[Part] = &[Fence, Remove, Answer];
    pub(super) const EVERYWHERE_FENCE_LAST: &[Part] = &[Remove, Fence, Answer];
    pub(super) const EVERYWHERE_SIGNED: &[Part] = &[Fence, List, Deny, Remove, Answer];
    pub(super) const PASSWORD: &[Part] = &[Password, Fence, Remove, Answer];
    pub(super) const PASSWORD_LATE: &[Part] = &[Fence, Password, Remove, Answer];
    pub(super) const PASSWORD_ALONE: &[Part] = &[Password, Remove, Answer];
    pub(super) const PASSWORD_SIGNED: &[Part] = &[Password, Fence, List, Deny, Remove, Answer];
}

/// The steps of an ending, in order.
pub fn plan(model: &Protocol, why: Why) -> &'static [Part] {
    let late = model.is(Mutant::RemovedBeforeDenied);
    match (why, model.is_signed()) {
        (Why::Reuse(_), false) => plans::REUSE,
        (Why::Reuse(_), true) if late => plans::REUSE_SIGNED_LATE,
        (Why::Reuse(_), true) => plans::REUSE_SIGNED,
        (Why::Logout(_), false) if model.is(Mutant::AccessRemovedFirst) => plans::LOGOUT_ACCESS_FIRST,
        (Why::Logout(_), false) => plans::LOGOUT,
        (Why::Logout(_), true) if late => plans::LOGOUT_SIGNED_LATE,
        (Why::Logout(_), true) => plans::LOGOUT_SIGNED,
        (Why::Everywhere(_), false) if model.is(Mutant::FenceRaisedLast) => plans::EVERYWHERE_FENCE_LAST,
        (Why::Everywhere(_), false) => plans::EVERYWHERE,
        (Why::Everywhere(_), true) => plans::EVERYWHERE_SIGNED,
        (Why::Password { .. }, false) if model.is(Mutant::FenceBeforePassword) => plans::PASSWORD_LATE,
        (Why::Password { .. }, false) if model.is(Mutant::PasswordKeepsFence) => plans::PASSWORD_ALONE,
        (Why::Password { .. }, false) => plans::PASSWORD,
        (Why::Password { .. }, true) => plans::PASSWORD_SIGNED,
    }
}

/// What to do next.
pub fn next_part(model: &Protocol, ending: Ending) -> Option<Part> {
    plan(model, ending.why).get(usize::from(ending.done)).copied()
}

/// Ends the session of a token that was presented as reuse.
pub const fn reuse(session: u8, verdict: Verdict) -> Ending {
    Ending { why: Why::Reuse(verdict), listed: bit(session), done: 0 }
}

/// Logs the holder of a token out.
pub const fn log_out(token: u8) -> Ending {
    Ending { why: Why::Logout(token), listed: 0, done: 0 }
}

/// Begins to log out everywhere, or to change the password.
pub fn everywhere(model: &Protocol, state: &mut State) -> Option<Ending> {
    state.begun += 1;
    let number = state.begun;
    let why = if model.settings.password {
        Why::Password { number, keep: state.session_of(state.tabs.jar?)?, version: 0 }
    } else {
        Why::Everywhere(number)
    };
    Some(Ending { why, listed: 0, done: 0 })
}

/// The call's next step. `None`: there is nothing to be done.
pub fn step(model: &Protocol, state: &mut State, mut ending: Ending) -> Option<Next> {
    let part = next_part(model, ending)?;
    match part {
        Part::Find => {
            let Why::Logout(token) = ending.why else { return None };
            let session = state.session_of(token)?;
            ending.listed = if state.store.records.get(session).is_some() { bit(session) } else { 0 };
        }
        Part::Password => {
            state.store.password += 1;
            if let Why::Password { version, .. } = &mut ending.why {
                *version = state.store.password;
            }
        }
        Part::Fence => {
            let (value, _) = state.store.fence;
            state.store.fence = (value + 1, if model.settings.fence_kept.is_some() { state.now } else { 0 });
        }
        Part::List => ending.listed = state.listed() & !bit_of(kept(ending)),
        Part::Deny => deny(model, state, ending),
        Part::Access => {
            for session in sessions(ending.listed) {
                state.remove_access(session);
            }
        }
        Part::Remove if plan(model, ending.why).contains(&Part::Deny) && !denied_long_enough(model, state, ending) => {
            ending.done -= 1;
            return Some(Next::Goes(Call::Ending(ending)));
        }
        Part::Remove => remove(model, state, ending),
        Part::Answer => {
            acknowledge(state, ending);
            return Some(Next::Over);
        }
    }
    let more = part == Part::Deny && sessions(ending.listed).any(|session| !is_denied(model, state, session));
    if !more {
        ending.done += 1;
    }
    Some(Next::Goes(Call::Ending(ending)))
}

/// Notes that nothing of a token's session may live.
pub fn condemn(state: &mut State, token: u8, cause: Cause) {
    let session = state.session_of(token);
    if let Some(history) = session.and_then(|session| state.history.get_mut(session)) {
        history.condemned = history.condemned.or(Some(cause));
    }
}

/// How much longer a session is denied than an access token can live that is signed now.
const IN_FLIGHT: Tick = 1;

/// Denies the first of the listed sessions that isn't denied.
fn deny(model: &Protocol, state: &mut State, ending: Ending) {
    let Some(session) = sessions(ending.listed).find(|session| !is_denied(model, state, *session)) else { return };
    let spare = if model.is(Mutant::DeniedForOneLife) { 0 } else { IN_FLIGHT };
    let until = state.now.saturating_add(model.settings.access_life).saturating_add(spare);
    let Some(history) = state.history.get(session) else { return };
    state.deny(session, until.min(history.absolute_end));
}

/// Whether the listed sessions are denied for as long as an access token can live that is signed before they are removed.
fn denied_long_enough(model: &Protocol, state: &State, ending: Ending) -> bool {
    let removed_first = model.is(Mutant::RemovedBeforeDenied) || model.is(Mutant::DeniedForOneLife);
    removed_first || sessions(ending.listed).all(|session| is_denied(model, state, session))
}

/// Whether a session is denied for the life of an access token that is signed now, or is past the point where it matters.
fn is_denied(model: &Protocol, state: &State, session: u8) -> bool {
    let last = if model.is(Mutant::DeniedForOneLife) { 1 } else { model.settings.access_life };
    let denied = state.store.denied.get(usize::from(session)).copied().unwrap_or_default();
    state.history.get(session).is_none_or(|history| {
        history.absolute_end <= state.now || denied >= state.now.saturating_add(last).min(history.absolute_end)
    })
}

fn remove(model: &Protocol, state: &mut State, ending: Ending) {
    let cause = match ending.why {
        Why::Reuse(_) => Cause::Reuse,
        Why::Logout(_) => Cause::Logout,
        Why::Everywhere(_) | Why::Password { .. } => Cause::Everywhere,
    };
    let unlisted = !model.is_signed() || model.is(Mutant::UnlistedRemoved);
    let removed = match ending.why {
        Why::Everywhere(_) | Why::Password { .. } if unlisted => state.listed() & !bit_of(kept(ending)),
        _ => ending.listed,
    };
    for session in sessions(removed) {
        if let Why::Logout(token) = ending.why {
            let current = state.store.records.get(session).map(|record| record.current);
            if model.is(Mutant::LogoutOfToken) && current != Some(token) {
                continue;
            }
        }
        let there = state.remove_record(session, cause);
        let spares = cause == Cause::Reuse && model.is(Mutant::ReuseSparesAccess);
        if !spares && !model.is(Mutant::AccessRemovedFirst) {
            state.remove_access(session);
        }
        let reports = cause == Cause::Reuse && (there || model.is(Mutant::ReuseReportedByAll));
        if let Some(history) = state.history.get_mut(session).filter(|_| reports) {
            history.reports += 1;
        }
    }
}

fn acknowledge(state: &mut State, ending: Ending) {
    match ending.why {
        Why::Reuse(Verdict::Reuse) => {
            for session in sessions(ending.listed) {
                if let Some(history) = state.history.get_mut(session) {
                    history.condemned = history.condemned.or(Some(Cause::Reuse));
                }
            }
        }
        Why::Reuse(_) => {}
        Why::Logout(token) => condemn(state, token, Cause::Logout),
        Why::Everywhere(number) => state.acknowledged = state.acknowledged.max(number),
        Why::Password { number, keep, version } => {
            state.acknowledged = state.acknowledged.max(number);
            state.acknowledged_password = state.acknowledged_password.max(version);
            if let Some(history) = state.history.get_mut(keep) {
                history.era = history.era.max(number);
                history.password = history.password.max(version);
            }
        }
    }
}

/// The session that stays.
fn kept(ending: Ending) -> Option<u8> {
    match ending.why {
        Why::Password { keep, .. } => Some(keep),
        _ => None,
    }
}

fn bit_of(session: Option<u8>) -> u8 {
    session.map_or(0, bit)
}

fn sessions(set: u8) -> impl Iterator<Item = u8> {
    (0..).take(SESSIONS).filter(move |session| set & bit(*session) != 0)
}
