//! The user's fence, and the mark: the one step that ends everything recorded behind it.
//!
//! A mark only replaces the fence and notes that the old one has ended. The records behind the old
//! fence stay and are not found any more; [`clear`] removes them, and [`forget`] the note.

use crate::mutant::Mutant;
use crate::protocol::{Protocol, bit};
use crate::state::{Cause, Ended, FENCES, NO_FENCE, State, TOKENS, Tick};

/// The fence of a user in a store that has forgotten it, if such a store uses one value for all
/// time.
const NEVER_RAISED: u8 = 1;

/// Returns the current fence, as a login reads it. A user without one gets a new one.
///
/// Returns `None` if another fence does not fit in the bounds of the search.
pub fn read(model: &Protocol, state: &mut State) -> Option<u8> {
    if state.store.fence.is_none() {
        state.store.fence = Some(draw(state)?);
        touch(model, state);
    }
    state.store.fence
}

/// Replaces the current fence and ends everything that is recorded behind the old one, except the
/// session `keep`.
///
/// The kept session is recorded behind the new fence with its access tokens. `survey` is the end of
/// signed tokens if it was read before this step, and `seen` the access tokens that a statement saw
/// before it had to wait; only broken protocols use these. Returns `None` if another fence does not
/// fit in the bounds of the search.
pub fn mark(
    model: &Protocol,
    state: &mut State,
    keep: Option<u8>,
    survey: Option<Tick>,
    seen: u8,
) -> Option<()> {
    let fresh = draw(state)?;
    let old = state.store.fence.replace(fresh);
    touch(model, state);
    let Some(old) = old else { return Some(()) };

    // A session behind no fence stays there: another ending, which has made its mark already, may
    // be about to remove it.
    let kept = keep.filter(|session| match state.store.records.get(*session) {
        Some(record) if record.fence == NO_FENCE => model.is(Mutant::UnfencedAdopted),
        Some(record) => record.fence == old || model.is(Mutant::MarkRevives),
        None => false,
    });

    let recorded = state
        .store
        .records
        .iter()
        .filter(|(_, record)| record.fence == old);
    let access_end = recorded
        .map(|(_, record)| record.access_end)
        .max()
        .unwrap_or_default();

    if let Some(session) = kept {
        keep_session(model, state, session, fresh, seen);
    }

    let gone = state.store.records;
    for (session, _) in gone.iter().filter(|(_, record)| record.fence == old) {
        if Some(session) != kept
            && let Some(history) = state.history.get_mut(session)
        {
            history.ended = history.ended.or(Some(Cause::Everywhere));
        }
    }

    if let Some(ended) = state.store.ended.get_mut(usize::from(old)) {
        let settled = !model.is_signed();
        let access_end = survey.unwrap_or(access_end);
        *ended = Some(Ended {
            kept: kept.filter(|_| !settled),
            settled,
            access_end: if settled { 0 } else { access_end },
        });
    }

    Some(())
}

/// Records a session and its access tokens behind `fence`.
fn keep_session(model: &Protocol, state: &mut State, session: u8, fence: u8, seen: u8) {
    if let Some(record) = state.store.records.get_mut(session) {
        record.fence = fence;
    }
    if let Some(history) = state.history.get_mut(session) {
        history.fence = fence;
    }

    let among = if model.is(Mutant::KeptBySnapshot) {
        seen
    } else {
        u8::MAX
    };
    for token in (0..).take(TOKENS).filter(|token| among & bit(*token) != 0) {
        if state.session_of(token) == Some(session)
            && let Some(access) = state.store.access.get_mut(token)
        {
            access.fence = fence;
        }
    }
}

/// Returns `true` if records are left that a mark has ended.
pub fn has_rows(state: &State, fence: u8) -> bool {
    state.store.has_ended(fence) && state.store.is_used(fence)
}

/// Removes the records and access tokens behind a fence that was replaced.
pub fn clear(state: &mut State, fence: u8) {
    let (records, access) = (state.store.records, state.store.access);
    for (session, _) in records.iter().filter(|(_, record)| record.fence == fence) {
        state.store.records.set(session, None);
    }
    for (token, _) in access.iter().filter(|(_, access)| access.fence == fence) {
        state.store.access.set(token, None);
    }
}

/// Returns `true` if nothing depends on the note that a fence was replaced.
///
/// No record is behind it, its signed tokens are denied, and none is left of a session that was
/// kept.
pub fn is_forgettable(model: &Protocol, state: &State, fence: u8) -> bool {
    let Some(ended) = state.store.ended.get(usize::from(fence)).copied().flatten() else {
        return false;
    };
    let rows = state.store.is_used(fence) && !model.is(Mutant::MarkForgotten);
    let over = ended.kept.is_none() || ended.access_end <= state.now;
    !rows && ended.settled && over
}

/// Forgets that a fence was replaced.
pub fn forget(state: &mut State, fence: u8) {
    if let Some(ended) = state.store.ended.get_mut(usize::from(fence)) {
        *ended = None;
    }
}

/// Returns `true` if a sweep may remove the user's fence: it is unused for long enough, and nothing
/// is recorded behind any.
pub fn is_sweepable(model: &Protocol, state: &State) -> bool {
    let unused = state.now.saturating_sub(state.store.fence_used);
    let old = model
        .settings
        .fence_swept
        .is_some_and(|kept| unused >= kept);
    let holds = !state.store.records.is_empty() || !state.store.access.is_empty();
    state.store.fence.is_some() && old && (!holds || model.is(Mutant::FenceSweptEarly))
}

/// Does what the time does to a store whose records expire by themselves: it forgets a user without
/// sessions.
pub fn pass(model: &Protocol, state: &mut State) {
    let Some((kept, _)) = model.settings.fence_kept else {
        return;
    };

    let store = &state.store;
    let busy = (0..).take(FENCES).any(|fence| {
        let live = store
            .records
            .iter()
            .any(|(_, it)| it.fence == fence && state.now < it.idle_end);
        let ended = store.ended.get(usize::from(fence)).copied().flatten();
        live && ended.is_none() || ended.is_some_and(|ended| !ended.settled)
    });

    if busy
        || state.now.saturating_sub(store.fence_used) < kept
        || store.fence == Some(NEVER_RAISED)
    {
        return;
    }

    for fence in (0..).take(FENCES) {
        clear(state, fence);
        forget(state, fence);
    }

    // A signed token that carries one value for all time would be denied with those from before.
    let comes_back = !model.is_signed() || model.is(Mutant::FenceComesBack);
    state.store.fence = Some(NEVER_RAISED).filter(|_| comes_back);
    state.store.fence_used = 0;
}

/// Notes that the fence is in use, in configurations where that matters.
pub fn touch(model: &Protocol, state: &mut State) {
    let asked = model.settings.fence_kept.is_some() || model.settings.fence_swept.is_some();
    state.store.fence_used = if asked { state.now } else { 0 };
}

/// Returns a new fence, or `None` if there is no room for another.
fn draw(state: &mut State) -> Option<u8> {
    let fence = state.store.fences + 1;
    if usize::from(fence) >= FENCES {
        return None;
    }
    state.store.fences = fence;
    Some(fence)
}
