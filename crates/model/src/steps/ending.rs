//! Endings: of one session by reuse or logout, and of everything by a mark.
//!
//! An ending is a list of steps ([`plan`]) and may stop between any two. If it stops before the
//! last, nothing was acknowledged, and the next ending of the same session or user must be able to
//! complete it.

use crate::call::{Call, Ending, Server, Verdict, Why};
use crate::mutant::Mutant;
use crate::protocol::{Protocol, bit};
use crate::settings::All;
use crate::state::{Cause, Ended, FENCES, SESSIONS, State, Tick};
use crate::steps::{Next, fence};

/// A step of an ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Find the session by the family of the presented token. If it is not found, read as in
    /// [`Read`](Part::Read).
    Find,
    /// Read the latest end of signed tokens. Only broken protocols do so in a step of its own.
    Survey,
    /// Write the new password.
    Account,
    /// Replace the fence.
    Mark,
    /// Write the account's new state and replace the fence.
    AccountAndMark,
    /// Read the unsettled fences and the sessions that they spared, and the sessions behind no
    /// fence.
    Read,
    /// Add one more entry to the denylist.
    Deny,
    /// Begin to wait for the session's row, with a view of what is there now.
    Wait,
    /// Remove access tokens only. Only broken protocols do so.
    Access,
    /// Remove records and access tokens, if everything that was signed for them is denied.
    Remove,
    /// Remove access tokens once more. Only broken protocols do so in a step of its own.
    RemoveAgain,
    /// Note that what was read is denied.
    Settle,
    /// Answer the caller.
    Answer,
}

/// Returns the steps of an ending, in order.
pub fn plan(model: &Protocol, why: Why) -> impl Iterator<Item = Part> {
    let signed = model.is_signed();
    let Why::All { all, keep, .. } = why else {
        return plan_of_one(model, matches!(why, Why::Logout(_)));
    };

    let both = all == All::Disable;
    let password = all == All::Password;
    let first = password && model.is(Mutant::MarkBeforePassword);

    [
        (Part::Survey, model.is(Mutant::EndReadBeforeMark)),
        (Part::Mark, first),
        (Part::Account, password),
        (Part::Wait, model.settings.snapshots && keep.is_some()),
        (Part::AccountAndMark, both),
        (
            Part::Mark,
            !(both || first || model.is(Mutant::PasswordWithoutMark)),
        ),
        (Part::Read, signed),
        (Part::Deny, signed && !model.is(Mutant::MarkWithoutDenial)),
        (
            Part::Remove,
            model.settings.unfenced && !model.is(Mutant::UnfencedSpared),
        ),
        (Part::Settle, signed),
        (Part::Answer, true),
    ]
    .into_iter()
    .filter_map(taken as fn((Part, bool)) -> Option<Part>)
}

/// The steps of a plan. It names the iterator, so that both kinds of plans have one type.
type Planned =
    std::iter::FilterMap<std::array::IntoIter<(Part, bool), 11>, fn((Part, bool)) -> Option<Part>>;

/// Returns the steps of an ending of one session, in order.
fn plan_of_one(model: &Protocol, logout: bool) -> Planned {
    let signed = model.is_signed();
    let late = model.is(Mutant::RemovedBeforeDenied);

    [
        (Part::Find, logout),
        (Part::Deny, signed && !late),
        (Part::Wait, model.settings.snapshots),
        (Part::Access, model.is(Mutant::AccessRemovedFirst)),
        (Part::Remove, true),
        (Part::RemoveAgain, model.is(Mutant::SecondStatementApart)),
        (Part::Deny, signed && late),
        (Part::Settle, signed && logout),
        (Part::Answer, true),
        (Part::Answer, false),
        (Part::Answer, false),
    ]
    .into_iter()
    .filter_map(taken as fn((Part, bool)) -> Option<Part>)
}

/// Returns a step of a plan if it is taken.
fn taken((part, is): (Part, bool)) -> Option<Part> {
    Some(part).filter(|_| is)
}

/// Returns the next step of an ending, or `None` after the last.
pub fn next_part(model: &Protocol, ending: Ending) -> Option<Part> {
    plan(model, ending.why).nth(usize::from(ending.done))
}

/// Returns the ending of a session whose consumed token was presented outside its window.
///
/// `access_end` is the latest end of its signed tokens.
pub fn reuse(
    model: &Protocol,
    state: &State,
    session: u8,
    verdict: Verdict,
    access_end: Tick,
) -> Ending {
    let until = until(model, state, access_end);
    Ending {
        listed: bit(session),
        until,
        ..begun(Why::Reuse(verdict))
    }
}

/// Returns the logout of the holder of a token.
pub const fn log_out(token: u8) -> Ending {
    begun(Why::Logout(token))
}

/// Begins an ending of everything.
///
/// Returns `None` if the session to keep is not known.
pub fn everything(state: &mut State, all: All) -> Option<Ending> {
    state.begun += 1;
    let number = state.begun;
    let keep = if all == All::Password {
        Some(state.session_of(state.tabs.jar?)?)
    } else {
        None
    };

    Some(begun(Why::All {
        all,
        number,
        keep,
        version: 0,
    }))
}

/// Returns an ending of which no step is done.
const fn begun(why: Why) -> Ending {
    Ending {
        why,
        listed: 0,
        fences: 0,
        spared: 0,
        seen: 0,
        until: 0,
        done: 0,
    }
}

/// Does the next step of an ending and returns its state after that.
///
/// Returns `None` if there is nothing to do, or if it does not fit in the bounds of the search.
pub fn step(model: &Protocol, state: &mut State, mut ending: Ending) -> Option<Next> {
    let part = next_part(model, ending)?;
    match part {
        Part::Find => find(model, state, &mut ending)?,
        Part::Survey => ending.until = latest(state, u8::MAX),
        Part::Account => write_account(state, &mut ending),
        Part::AccountAndMark => {
            write_account(state, &mut ending);
            mark(model, state, &mut ending)?;
        }
        Part::Mark => mark(model, state, &mut ending)?,
        Part::Read => read(model, state, &mut ending),
        Part::Deny => deny_one(model, state, ending),
        Part::Wait => ending.seen = state.stored_access(),
        Part::Access => {
            sessions(ending.listed).for_each(|session| state.remove_access(session, u8::MAX));
        }
        Part::Remove
            if signed_first(model, ending)
                && sessions(ending.listed).any(|it| !is_denied(state, it)) =>
        {
            ending.until = until(model, state, latest(state, ending.listed));
            ending.done -= 1;
            return Some(Next::Goes(Call::Ending(ending)));
        }
        Part::Remove => match overtaken(model, state, ending) {
            Some(rest) => return Some(Next::Goes(Call::Ending(rest))),
            None => remove(model, state, ending),
        },
        Part::RemoveAgain => {
            sessions(ending.listed).for_each(|session| state.remove_access(session, u8::MAX));
        }
        Part::Settle => settle(state, ending),
        Part::Answer => {
            acknowledge(state, ending);
            return Some(Next::Over);
        }
    }

    if part != Part::Deny || next_entry(model, state, ending).is_none() {
        ending.done += 1;
    }

    let of_one = matches!(ending.why, Why::Logout(_));
    let nothing = ending.fences == 0 && (of_one || ending.listed == 0);
    if nothing && next_part(model, ending) == Some(Part::Settle) {
        ending.done += 1;
    }

    // The answer does not ask for these. Without them, states are equal that differ in nothing
    // else.
    if matches!(next_part(model, ending), Some(Part::Answer)) {
        (ending.fences, ending.spared, ending.seen, ending.until) = (0, 0, 0, 0);
    }
    Some(Next::Goes(Call::Ending(ending)))
}

/// Returns the rest of a logout whose session another ending has removed meanwhile.
///
/// That ending may not have denied the session yet. The logout reads what is unsettled and denies
/// it before it answers. Returns `None` if there is nothing left to deny.
fn overtaken(model: &Protocol, state: &State, ending: Ending) -> Option<Ending> {
    let Why::Logout(token) = ending.why else {
        return None;
    };
    let absent = state.store.find(state.session_of(token)?).is_none();
    if !absent || !model.is_signed() || model.is(Mutant::LogoutOfFound) {
        return None;
    }
    let mut rest = ending;
    read(model, state, &mut rest);
    rest.done -= 1;
    next_entry(model, state, rest).is_some().then_some(rest)
}

/// Notes that nothing of a token's session may be accepted from now on.
pub fn condemn(state: &mut State, token: u8, cause: Cause) {
    let session = state.session_of(token);
    if let Some(history) = session.and_then(|session| state.history.get_mut(session)) {
        history.condemned = history.condemned.or(Some(cause));
    }
}

/// The number of ticks by which a denial outlasts an access token that is signed now.
const IN_FLIGHT: Tick = 1;

/// Returns the time until which tokens are denied that were recorded to end at `access_end`.
fn until(model: &Protocol, state: &State, access_end: Tick) -> Tick {
    let recorded = if model.is(Mutant::TodaysLifetime) {
        0
    } else {
        access_end
    };
    let today = state.clock(0).saturating_add(model.life(Server::default()));
    if model.is_signed() {
        recorded.max(today).saturating_add(IN_FLIGHT)
    } else {
        0
    }
}

/// Returns the latest recorded end of the signed tokens of these sessions.
fn latest(state: &State, sessions: u8) -> Tick {
    let records = state
        .store
        .records
        .iter()
        .filter(|(session, _)| sessions & bit(*session) != 0);
    records
        .map(|(_, record)| record.access_end)
        .max()
        .unwrap_or_default()
}

/// Finds the session of a logout and how long to deny it. If it is not found, reads what is
/// unsettled.
fn find(model: &Protocol, state: &State, ending: &mut Ending) -> Option<()> {
    let Why::Logout(token) = ending.why else {
        return None;
    };
    let session = state.session_of(token)?;
    if let Some(record) = state.store.find(session) {
        ending.listed = bit(session);
        ending.until = until(model, state, record.access_end);
    } else if model.is_signed() && !model.is(Mutant::LogoutOfFound) {
        read(model, state, ending);
    }
    Some(())
}

/// Writes the new password or the new state of the account.
fn write_account(state: &mut State, ending: &mut Ending) {
    state.store.password += 1;
    if let Why::All { version, .. } = &mut ending.why {
        *version = state.store.password;
    }
}

/// Replaces the fence, and notes the old one to be denied if tokens are signed.
fn mark(model: &Protocol, state: &mut State, ending: &mut Ending) -> Option<()> {
    let old = state.store.fence;
    let survey = Some(ending.until).filter(|_| model.is(Mutant::EndReadBeforeMark));
    fence::mark(model, state, kept(*ending), survey, ending.seen)?;
    (ending.seen, ending.until) = (0, 0);
    ending.fences = if model.is_signed() {
        old.map_or(0, bit)
    } else {
        0
    };
    Some(())
}

/// Reads what must be denied: unsettled fences, and sessions by their ids.
///
/// The sessions are those that an earlier mark spared and a later one did not, and those behind no
/// fence.
fn read(model: &Protocol, state: &State, ending: &mut Ending) {
    let (mut fences, mut spared, mut listed, mut access_end, mut younger) = (0, 0, 0, 0, None);

    for (fence, ended) in ended(state).rev() {
        // Only a session that every mark since has kept is still there.
        let stays = ended
            .kept
            .filter(|kept| younger.is_none_or(|younger| younger == Some(*kept)));
        younger = Some(stays);

        let own = !model.is(Mutant::UnsettledForgotten) || ending.fences & bit(fence) != 0;
        if !ended.settled && own {
            fences |= bit(fence);
            spared |= if stays.is_some() { bit(fence) } else { 0 };
        }

        if let Some(kept) = ended
            .kept
            .filter(|_| stays.is_none() && !model.is(Mutant::KeptNotDenied))
        {
            listed |= bit(kept);
        }

        access_end = access_end.max(ended.access_end);
    }

    ending.fences = fences;
    ending.spared = spared;
    if let Why::All { keep, .. } = ending.why {
        listed |= state.unfenced() & !keep.map_or(0, bit);
    }
    ending.listed = listed;
    ending.until = until(
        model,
        state,
        access_end.max(latest(state, state.unfenced())),
    );
}

/// Returns the fences that were replaced, the oldest first.
fn ended(state: &State) -> impl DoubleEndedIterator<Item = (u8, Ended)> {
    (0..FENCES)
        .filter_map(|place| Some((u8::try_from(place).ok()?, (*state.store.ended.get(place)?)?)))
}

/// An entry of the denylist.
enum Entry {
    /// The id of a session.
    Session(u8),
    /// A fence.
    Fence(u8),
    /// The exception from a fence for a session.
    Kept(u8, u8),
}

/// Returns the next entry that is missing, exceptions before the fences that they belong to.
fn next_entry(model: &Protocol, state: &State, ending: Ending) -> Option<Entry> {
    if model.is(Mutant::ExceptionLast) {
        missing_fence(state, ending)
            .or_else(|| missing_exception(state, ending))
            .or_else(|| missing_session(state, ending))
    } else {
        missing_exception(state, ending)
            .or_else(|| missing_fence(state, ending))
            .or_else(|| missing_session(state, ending))
    }
}

/// Returns the first fence that the denylist lacks, or has with too early an end.
fn missing_fence(state: &State, ending: Ending) -> Option<Entry> {
    let denied = &state.store.denied.fences;
    ended(state)
        .map(|(fence, _)| fence)
        .filter(|fence| ending.fences & bit(*fence) != 0)
        .find(|fence| ends_early(denied.get(usize::from(*fence)), ending))
        .map(Entry::Fence)
}

/// Returns the first exception that the denylist lacks, or has with too early an end.
fn missing_exception(state: &State, ending: Ending) -> Option<Entry> {
    let denied = &state.store.denied.kept;
    ended(state)
        .filter(|(fence, _)| ending.spared & bit(*fence) != 0)
        .filter_map(|(fence, ended)| Some((fence, ended.kept?)))
        .find(|(fence, _)| {
            let until = denied.get(usize::from(*fence)).map(|(_, until)| until);
            ends_early(until, ending)
        })
        .map(|(fence, kept)| Entry::Kept(fence, kept))
}

/// Returns the first session that the denylist lacks, or has with too early an end.
fn missing_session(state: &State, ending: Ending) -> Option<Entry> {
    let denied = &state.store.denied.sessions;
    sessions(ending.listed)
        .find(|session| ends_early(denied.get(usize::from(*session)), ending))
        .map(Entry::Session)
}

/// Returns `true` if an entry ends before the ending needs it to.
fn ends_early(until: Option<&Tick>, ending: Ending) -> bool {
    until.is_some_and(|until| *until < ending.until)
}

/// Adds the next entry that is missing to the denylist.
fn deny_one(model: &Protocol, state: &mut State, ending: Ending) {
    let entry = next_entry(model, state, ending);
    let denied = &mut state.store.denied;

    match entry {
        None => {}
        Some(Entry::Kept(fence, session)) => {
            if let Some(kept) = denied.kept.get_mut(usize::from(fence)) {
                *kept = (session, ending.until);
            }
        }
        Some(Entry::Fence(fence)) => {
            if let Some(until) = denied.fences.get_mut(usize::from(fence)) {
                *until = ending.until.max(*until);
            }
        }
        Some(Entry::Session(session)) => {
            if let Some(until) = denied.sessions.get_mut(usize::from(session)) {
                *until = ending.until.max(*until);
            }
        }
    }
}

/// Returns `true` if sessions may be removed only after everything signed for them is denied.
///
/// A denial must last for as long as any signed token lives when the session is removed.
fn signed_first(model: &Protocol, ending: Ending) -> bool {
    let unguarded = [
        Mutant::RemovedBeforeDenied,
        Mutant::RemovalUnguarded,
        Mutant::TodaysLifetime,
    ];
    ending.listed != 0 && model.is_signed() && !unguarded.into_iter().any(|mutant| model.is(mutant))
}

/// Returns `true` if a session is denied for as long as the latest of its signed tokens lives.
fn is_denied(state: &State, session: u8) -> bool {
    let denied = state
        .store
        .denied
        .sessions
        .get(usize::from(session))
        .copied()
        .unwrap_or_default();
    state
        .store
        .records
        .get(session)
        .is_none_or(|record| denied >= record.access_end)
}

/// Removes the records and access tokens of the sessions that the ending is about.
fn remove(model: &Protocol, state: &mut State, ending: Ending) {
    let (cause, all) = match ending.why {
        Why::Reuse(_) => (Cause::Reuse, false),
        Why::Logout(_) => (Cause::Logout, false),
        Why::All { .. } => (Cause::Everywhere, true),
    };

    let unfenced = state.unfenced() & !kept(ending).map_or(0, bit);
    let removed = match (all, model.is_signed()) {
        (false, _) => ending.listed,
        (true, false) => unfenced,
        (true, true) => unfenced & ending.listed,
    };
    let snapshot = model.is(Mutant::NoSecondStatement) || model.is(Mutant::SecondStatementApart);
    let among = if snapshot { ending.seen } else { u8::MAX };

    for session in sessions(removed) {
        if let Why::Logout(token) = ending.why {
            let current = state
                .store
                .records
                .get(session)
                .map(|record| record.current);
            if model.is(Mutant::LogoutOfToken) && current != Some(token) {
                continue;
            }
        }

        let there = state.remove_record(session, cause);
        let spares = cause == Cause::Reuse && model.is(Mutant::ReuseSparesAccess);
        if !spares && !model.is(Mutant::AccessRemovedFirst) {
            state.remove_access(session, among);
        }

        let reports = cause == Cause::Reuse && (there || model.is(Mutant::ReuseReportedByAll));
        if let Some(history) = state.history.get_mut(session).filter(|_| reports) {
            history.reports += 1;
        }
    }
}

/// Notes what is denied now: fences, and sessions that a mark had spared.
fn settle(state: &mut State, ending: Ending) {
    for (fence, ended) in (0..).zip(&mut state.store.ended) {
        let Some(ended) = ended else { continue };
        ended.settled |= ending.fences & bit(fence) != 0;
        ended.kept = ended.kept.filter(|kept| ending.listed & bit(*kept) == 0);
    }
}

/// Notes what the caller was told by the answer. The promises are judged by it.
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
        Why::All {
            number,
            keep,
            version,
            ..
        } => {
            state.acknowledged = state.acknowledged.max(number);
            state.acknowledged_password = state.acknowledged_password.max(version);
            if let Some(history) = keep.and_then(|keep| state.history.get_mut(keep)) {
                history.era = history.era.max(number);
                history.password = history.password.max(version);
            }
        }
    }
}

/// Returns the session that goes on, if there is one.
fn kept(ending: Ending) -> Option<u8> {
    match ending.why {
        Why::All { keep, .. } => keep,
        _ => None,
    }
}

/// Returns the sessions in a set.
fn sessions(set: u8) -> impl Iterator<Item = u8> {
    (0..)
        .take(SESSIONS)
        .filter(move |session| set & bit(*session) != 0)
}
