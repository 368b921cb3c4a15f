//! A refresh: look, rotate, look again if another caller was first, and answer; or end the session
//! as reuse.

use crate::call::{Answer, Call, Holder, Refresh, RefreshStage, Server, Verdict, is_patient};
use crate::mutant::Mutant;
use crate::protocol::{Protocol, bit};
use crate::settings::{Clock, DIFFERENCE};
use crate::state::{Cause, Consumed, KEPT, Record, State, Tick};
use crate::steps::store::Issued;
use crate::steps::{Guarded, Next, ending};

/// Does the next step of a refresh and returns its state after that.
///
/// Returns `None` if it does not fit in the bounds of the search.
pub fn step(model: &Protocol, state: &mut State, refresh: Refresh) -> Option<Next> {
    match refresh.stage {
        RefreshStage::Look => look(model, state, refresh),
        RefreshStage::Rotate if model.is(Mutant::CheckThenWrite) => check(state, refresh),
        RefreshStage::Rotate => rotate(model, state, refresh, !model.is(Mutant::NoCompareAndSet)),
        RefreshStage::Write => rotate(model, state, refresh, false),
        RefreshStage::Answer(answer) => Some(deliver(model, state, refresh, answer)),
    }
}

/// Looks the token up and decides: rotate, repeat an answer, refuse, or end the session.
fn look(model: &Protocol, state: &mut State, mut refresh: Refresh) -> Option<Next> {
    refresh.at = state.clock(refresh.server.skew);
    let at = refresh.at;
    let session = state.session_of(refresh.token)?;
    let record = state.store.find(session).copied();

    let record = record.filter(|record| {
        record.is_live(at) || model.is(Mutant::IdleEndUnjudged) && at < record.absolute_end
    });
    let Some(record) = record else {
        return Some(Next::Over);
    };

    refresh.verdict = verdict(model, state, &refresh, session);
    if record.current == refresh.token {
        refresh.stage = RefreshStage::Rotate;
        refresh.fence = if model.is_signed() { record.fence } else { 0 };
        return Some(Next::Goes(Call::Refresh(refresh)));
    }

    if let Some((from, salt)) = answered(model, &record, &refresh) {
        let salt = if model.is(Mutant::RandomSuccessor) {
            state.salt()
        } else {
            salt
        };
        let successor = state.mint(&model.settings, session, Some((from, salt)))?;
        if !is_next(model, &record, from, successor) {
            return Some(answer(Answer::Refused, refresh));
        }

        let mut ends = at
            .saturating_add(model.life(refresh.server))
            .min(record.idle_end);
        if model.is_signed() {
            // Nothing is written here, so no token may live longer than the recorded end.
            ends = if model.is(Mutant::RetrySignsLonger) {
                ends
            } else {
                ends.min(record.access_end)
            };
            state.issue(
                &model.settings,
                Issued {
                    refresh: successor,
                    fence: record.fence,
                    ends,
                },
            );
        } else {
            ends = state.access_end(successor);
        }
        return Some(answer(tokens(successor, ends, true), refresh));
    }

    let excused = refresh.lost && model.settings.window > 0 && !model.is(Mutant::LoserIsReuse);
    if excused || model.is(Mutant::ReuseUnpunished) {
        return Some(answer(Answer::Refused, refresh));
    }

    let ending = ending::reuse(model, state, session, refresh.verdict, record.access_end);
    Some(Next::Goes(Call::Ending(ending)))
}

/// Returns the token and the salt from which a consumed token's answer is derived, if it gets one
/// again.
fn answered(model: &Protocol, record: &Record, refresh: &Refresh) -> Option<(u8, u8)> {
    if model.is(Mutant::NoRetry) {
        return None;
    }

    if model.is(Mutant::OlderGenerationsRetry) {
        let newest = record.consumed.first()?.as_ref()?;
        return is_retry(model, *newest, refresh).then_some((newest.token, newest.salt));
    }

    let kept = record
        .consumed
        .iter()
        .flatten()
        .find(|consumed| consumed.token == refresh.token)?;
    is_retry(model, *kept, refresh).then_some((kept.token, kept.salt))
}

/// Returns `true` if the exchange comes while the window of a consumed token is open.
fn is_retry(model: &Protocol, consumed: Consumed, refresh: &Refresh) -> bool {
    model.is_open(consumed.at, refresh.at)
        || model.settings.window > 0 && model.is(Mutant::WindowNeverPasses)
}

/// Returns `true` if the record has `successor` in the place after the presented token.
fn is_next(model: &Protocol, record: &Record, presented: u8, successor: u8) -> bool {
    let kept = record.consumed.iter().flatten();
    let newer = { kept }
        .take_while(|consumed| consumed.token != presented)
        .last();
    newer.map_or(record.current, |newer| newer.token) == successor
        || model.is(Mutant::RandomSuccessor)
}

/// Returns the answer that the presentation is owed, by what really happened and not by any guard
/// of the protocol.
fn verdict(model: &Protocol, state: &State, refresh: &Refresh, session: u8) -> Verdict {
    let settings = &model.settings;
    let Some(token) = state.tokens.get(refresh.token) else {
        return Verdict::Nothing;
    };
    let Some(consumed) = token.consumed else {
        return Verdict::Nothing;
    };
    let Some((successor, next)) = state.successors(refresh.token).next() else {
        return Verdict::Nothing;
    };

    if !state
        .store
        .find(session)
        .is_some_and(|record| record.is_live(refresh.at))
    {
        return Verdict::Nothing;
    }

    let passed = state.now.saturating_sub(consumed);
    let generations = std::iter::successors(Some(successor), |token| {
        Some(state.successors(*token).next()?.0)
    });
    let remembered = if settings.close_on_use {
        next.consumed.is_none()
    } else {
        generations.take(KEPT + 1).count() <= KEPT
    };

    let set_back = token.ahead.saturating_sub(state.ahead);
    let (surely, perhaps) = if set_back == 0 {
        (
            passed + settings.skew < settings.window,
            passed < settings.window + settings.skew,
        )
    } else {
        // A clock that was set back shows the time of the rotation once more.
        let caught_up = set_back.saturating_sub(settings.skew + DIFFERENCE);
        let again = caught_up <= passed && passed < set_back + settings.window + settings.skew;
        (false, passed < settings.window || again)
    };

    if surely && remembered {
        Verdict::Owed(successor)
    } else if refresh.lost && settings.window > 0 {
        Verdict::Nothing
    } else if perhaps && remembered {
        Verdict::Either(successor)
    } else {
        Verdict::Reuse
    }
}

/// Compares, in a protocol that compares in a step of its own.
fn check(state: &State, mut refresh: Refresh) -> Option<Next> {
    let session = state.session_of(refresh.token)?;
    let current = state
        .store
        .records
        .get(session)
        .map(|record| record.current);

    if current == Some(refresh.token) {
        refresh.stage = RefreshStage::Write;
    } else {
        refresh.stage = RefreshStage::Look;
        refresh.lost = true;
    }
    Some(Next::Goes(Call::Refresh(refresh)))
}

/// Compares and sets, and goes on to the answer. A caller that loses looks again.
fn rotate(
    model: &Protocol,
    state: &mut State,
    mut refresh: Refresh,
    guarded: bool,
) -> Option<Next> {
    if model.settings.clock == Clock::EachStep {
        refresh.at = state.clock(refresh.server.skew);
    }

    match state.rotate(model, &refresh, guarded)? {
        Guarded::Wrote(successor) => {
            let signed = refresh.at.saturating_add(model.life(refresh.server));
            let ends = if model.is_signed() {
                signed
            } else {
                state.access_end(successor)
            };
            Some(answer(tokens(successor, ends, false), refresh))
        }
        Guarded::Refused => {
            refresh.stage = RefreshStage::Look;
            refresh.lost = true;
            refresh.fence = 0;
            Some(Next::Goes(Call::Refresh(refresh)))
        }
    }
}

/// Returns an answer with tokens.
const fn tokens(refresh: u8, access_ends: Tick, again: bool) -> Answer {
    Answer::Tokens {
        refresh,
        access_ends,
        again,
    }
}

/// Goes on to the answer. A refusal is over at once if the caller is owed nothing else.
fn answer(answer: Answer, mut refresh: Refresh) -> Next {
    if answer == Answer::Refused && refresh.verdict == Verdict::Nothing {
        return Next::Over;
    }
    refresh.stage = RefreshStage::Answer(answer);
    // The rest of the call does not ask for these. Without them, states are equal that differ in
    // nothing else.
    (refresh.fence, refresh.server) = (0, Server::default());
    Next::Goes(Call::Refresh(refresh))
}

/// Gives the answer to its holder, and notes what was acknowledged by it.
fn deliver(model: &Protocol, state: &mut State, call: Refresh, answer: Answer) -> Next {
    if call.verdict == Verdict::Reuse {
        ending::condemn(state, call.token, Cause::Reuse);
    }

    if let Answer::Tokens {
        refresh,
        access_ends,
        ..
    } = answer
    {
        match call.by {
            Holder::Thief => state.loot |= bit(refresh),
            Holder::Tab if is_patient(state, &model.settings, call.token) => {
                state.tabs.jar = Some(refresh);
                let remembered = !model.settings.eager && access_ends > state.clock(0);
                state.tabs.access_ends = if remembered { access_ends } else { 0 };
            }
            Holder::Tab => {}
        }
    }

    Next::Over
}
