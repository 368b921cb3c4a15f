//! An exchange: look, rotate, look again when another caller was first, answer; or end the session.

use crate::call::{Answer, Call, Holder, Refresh, RefreshStage, Verdict, is_patient};
use crate::mutant::Mutant;
use crate::protocol::{Protocol, bit};
use crate::settings::Clock;
use crate::state::{Cause, KEPT, Record, State, Tick};
use crate::steps::{Guarded, Next, ending};

/// The call's next step. `None`: it can't be done within the bounds of this search.
pub fn step(model: &Protocol, state: &mut State, refresh: Refresh) -> Option<Next> {
    match refresh.stage {
        RefreshStage::Look => look(model, state, refresh),
        RefreshStage::Rotate if model.is(Mutant::CheckThenWrite) => check(state, refresh),
        RefreshStage::Rotate => rotate(model, state, refresh, !model.is(Mutant::NoCompareAndSet)),
        RefreshStage::Write => rotate(model, state, refresh, false),
        RefreshStage::Answer(answer) => Some(deliver(model, state, refresh, answer)),
    }
}

fn look(model: &Protocol, state: &mut State, mut refresh: Refresh) -> Option<Next> {
    if !refresh.lost || model.settings.clock == Clock::EachStep {
        refresh.at = state.now;
    }
    let at = refresh.at;
    let session = state.session_of(refresh.token)?;
    let record = state.store.records.get(session).copied();
    let judged = |record: &Record| record.is_live(at) || model.is(Mutant::IdleEndUnjudged) && at < record.absolute_end;
    let Some(record) = record.filter(judged) else {
        return Some(Next::Over);
    };
    refresh.verdict = verdict(model, state, &refresh, session);
    if record.current == refresh.token {
        refresh.stage = RefreshStage::Rotate;
        return Some(Next::Goes(Call::Refresh(refresh)));
    }
    if let Some((from, salt)) = answered(model, &record, &refresh) {
        let salt = if model.is(Mutant::RandomSuccessor) { state.salt() } else { salt };
        let successor = state.mint(&model.settings, session, Some((from, salt)))?;
        if model.is_signed() {
            state.issue(&model.settings, successor, at.saturating_add(model.settings.access_life).min(record.idle_end));
        }
        return Some(answer(tokens(model, state, successor, at, true), refresh));
    }
    let excused = refresh.lost && model.settings.window > 0 && !model.is(Mutant::LoserIsReuse);
    if excused || model.is(Mutant::ReuseUnpunished) {
        return Some(answer(Answer::Refused, refresh));
    }
    Some(Next::Goes(Call::Ending(ending::reuse(session, refresh.verdict))))
}

/// From what the answer is derived that a consumed token gets again.
fn answered(model: &Protocol, record: &Record, refresh: &Refresh) -> Option<(u8, u8)> {
    if model.is(Mutant::NoRetry) {
        return None;
    }
    let window = model.settings.window;
    let is_open =
        |at: Tick| refresh.at.saturating_sub(at) < window || window > 0 && model.is(Mutant::WindowNeverPasses);
    if model.is(Mutant::OlderGenerationsRetry) {
        let newest = record.consumed.first()?.as_ref()?;
        return is_open(newest.at).then_some((newest.token, newest.salt));
    }
    let kept = record.consumed.iter().flatten().find(|consumed| consumed.token == refresh.token)?;
    is_open(kept.at).then_some((kept.token, kept.salt))
}

/// What the presentation is owed, by what really happened and by no guard of the protocol.
fn verdict(model: &Protocol, state: &State, refresh: &Refresh, session: u8) -> Verdict {
    let settings = &model.settings;
    let Some(consumed) = state.tokens.get(refresh.token).and_then(|token| token.consumed) else {
        return Verdict::Nothing;
    };
    let Some((successor, next)) = state.successors(refresh.token).next() else { return Verdict::Nothing };
    if !state.store.records.get(session).is_some_and(|record| record.is_live(refresh.at)) {
        return Verdict::Nothing;
    }
    let within = refresh.at.saturating_sub(consumed) < settings.window;
    let generations = std::iter::successors(Some(successor), |token| Some(state.successors(*token).next()?.0));
    let remembered =
        if settings.close_on_use { next.consumed.is_none() } else { generations.take(KEPT + 1).count() <= KEPT };
    if within && remembered {
        Verdict::Owed(successor)
    } else if refresh.lost && settings.window > 0 {
        Verdict::Nothing
    } else {
        Verdict::Reuse
    }
}

/// The compare of a protocol that compares in a step of its own.
fn check(state: &State, mut refresh: Refresh) -> Option<Next> {
    let session = state.session_of(refresh.token)?;
    let current = state.store.records.get(session).map(|record| record.current);
    if current == Some(refresh.token) {
        refresh.stage = RefreshStage::Write;
    } else {
        refresh.stage = RefreshStage::Look;
        refresh.lost = true;
    }
    Some(Next::Goes(Call::Refresh(refresh)))
}

fn rotate(model: &Protocol, state: &mut State, mut refresh: Refresh, guarded: bool) -> Option<Next> {
    if model.settings.clock == Clock::EachStep {
        refresh.at = state.now;
    }
    match state.rotate(model, &refresh, guarded)? {
        Guarded::Wrote(successor) => Some(answer(tokens(model, state, successor, refresh.at, false), refresh)),
        Guarded::Refused => {
            refresh.stage = RefreshStage::Look;
            refresh.lost = true;
            Some(Next::Goes(Call::Refresh(refresh)))
        }
    }
}

fn tokens(model: &Protocol, state: &State, refresh: u8, at: Tick, again: bool) -> Answer {
    let signed = at.saturating_add(model.settings.access_life);
    let access_ends = if model.is_signed() { signed } else { state.access_end(refresh) };
    Answer::Tokens { refresh, access_ends, again }
}

/// Goes on to the answer. A refusal that nobody is owed more than is over at once.
fn answer(answer: Answer, mut refresh: Refresh) -> Next {
    if answer == Answer::Refused && refresh.verdict == Verdict::Nothing {
        return Next::Over;
    }
    refresh.stage = RefreshStage::Answer(answer);
    Next::Goes(Call::Refresh(refresh))
}

fn deliver(model: &Protocol, state: &mut State, call: Refresh, answer: Answer) -> Next {
    if call.verdict == Verdict::Reuse {
        ending::condemn(state, call.token, Cause::Reuse);
    }
    if let Answer::Tokens { refresh, access_ends, .. } = answer {
        match call.by {
            Holder::Thief => state.loot |= bit(refresh),
            Holder::Tab if is_patient(state, &model.settings, call.token) => {
                state.tabs.jar = Some(refresh);
                let remembered = !model.settings.eager && access_ends > state.now;
                state.tabs.access_ends = if remembered { access_ends } else { 0 };
            }
            Holder::Tab => {}
        }
    }
    Next::Over
}
