//! The promises that a search judges, and the events that it must see to mean something.
//!
//! A promise is a property that holds in every state. It reads the true history, never a guard's
//! opinion. An event is a property that holds in some state; a search that never sees it does not
//! test what it is about.

use stateright::Property;

use crate::call::{Answer, Call, LoginStage, Refresh, RefreshStage, Verdict, Why};
use crate::protocol::{Protocol, bit};
use crate::settings::{Access, All, DIFFERENCE, Settings};
use crate::state::{Cause, FENCES, History, State, Tick};
use crate::steps::fence;

/// P1, exactly one successor: a refresh token has at most one successor, and no current token was
/// ever exchanged.
pub const ONE_SUCCESSOR: &str = "P1 exactly one successor";
/// P2, retry is safe: within the window, the token that the current one replaced gets its successor
/// again, and honest holders never end a session as reuse.
pub const RETRY_IS_SAFE: &str = "P2 retry is safe";
/// P3, reuse is theft: if a token is presented outside its window, its session has ended when the
/// answer is given, and at most one call reports it.
pub const REUSE_IS_THEFT: &str = "P3 reuse is theft";
/// P4, logout stays: after an ending is acknowledged, nothing is accepted of a session that it
/// ended or of a login that began before it.
pub const LOGOUT_STAYS: &str = "P4 logout stays";
/// P5, one idea of a session: a rotation moves neither the birth nor the absolute end, and no
/// access token outlives its session.
pub const ONE_IDEA: &str = "P5 one idea of a session";
/// P5, one idea of a session, seen from the other side: an ending refuses no access token of a
/// session that it keeps or that was opened after it.
pub const ENDINGS_SPARE: &str = "P5 endings spare the rest";

/// All promises.
pub const PROMISES: [&str; 6] = [
    ONE_SUCCESSOR,
    RETRY_IS_SAFE,
    REUSE_IS_THEFT,
    LOGOUT_STAYS,
    ONE_IDEA,
    ENDINGS_SPARE,
];

/// Returns what a search of this configuration judges: all promises, and the events that its
/// holders must bring about.
pub fn of(settings: &Settings) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(ONE_SUCCESSOR, |_, state: &State| one_successor(state)),
        Property::always(RETRY_IS_SAFE, retry_is_safe),
        Property::always(REUSE_IS_THEFT, reuse_is_theft),
        Property::always(LOGOUT_STAYS, logout_stays),
        Property::always(ONE_IDEA, one_idea),
        Property::always(ENDINGS_SPARE, endings_spare),
    ];

    if settings.ticks >= settings.idle {
        all.push(Property::sometimes(
            "a session ends by age",
            |_, state: &State| {
                state
                    .store
                    .records
                    .iter()
                    .any(|(_, record)| !record.is_live(state.clock(0)))
            },
        ));
    }

    if settings.window > 0 {
        all.push(Property::sometimes(
            "a retry is answered",
            |_, state: &State| answers_again(state, false),
        ));
        all.push(Property::sometimes(
            "a second tab is answered",
            |_, state: &State| answers_again(state, true),
        ));
    } else {
        all.push(Property::sometimes(
            "two tabs are reuse",
            |_, state: &State| histories(state, |it| it.reports > 0),
        ));
    }

    // Where use doesn't close the window, a theft shows when it has passed.
    if settings.thefts > 0 && (settings.close_on_use || settings.ticks >= settings.window) {
        all.push(Property::sometimes(
            "a theft is found",
            |_, state: &State| histories(state, |it| it.condemned == Some(Cause::Reuse)),
        ));
        all.push(Property::sometimes(
            "a confirmed token is found",
            finds_confirmed,
        ));
    }

    if settings.logout {
        all.push(Property::sometimes(
            "a rotation meets a logout",
            rotates_after_logout,
        ));
        all.push(Property::sometimes(
            "a logout removes a successor",
            logout_removes_successor,
        ));
    }

    if settings.everywhere > 0 {
        all.push(Property::sometimes(
            "an ending of all stops halfway",
            stops_halfway,
        ));
    }
    if settings.everywhere > 0 && settings.sessions > 1 {
        all.push(Property::sometimes("a login is fenced", |_, state: &State| {
            state.calls.iter().any(|(_, call)| matches!(call, Call::Login(it) if it.stage == LoginStage::Answer(None)))
        }));
        all.push(Property::sometimes(
            "a later login is let in",
            |_, state: &State| {
                state.acknowledged > 0
                    && state
                        .history
                        .iter()
                        .any(|(session, _)| session > 0 && state.is_live(session))
            },
        ));
    }

    if settings.all.contains(&All::Password) && settings.everywhere > 0 {
        all.push(Property::sometimes(
            "a session is kept",
            |_, state: &State| state.acknowledged_password > 0 && state.is_live(0),
        ));
    }

    if matches!(settings.access, Access::Signed) && (settings.logout || settings.thefts > 0) {
        all.push(Property::sometimes(
            "a session is denied before it is removed",
            |_, state: &State| {
                state
                    .history
                    .iter()
                    .any(|(session, _)| state.is_live(session) && is_denied(state, session))
            },
        ));
    }

    if matches!(settings.access, Access::Signed)
        && settings.everywhere > 0
        && marks_end_rows(settings)
    {
        all.push(Property::sometimes(
            "a signed token awaits its denial",
            |model: &Protocol, state: &State| {
                state.history.iter().any(|(session, _)| {
                    state.store.find(session).is_none()
                        && state.has_access(session, &model.settings)
                })
            },
        ));
    }

    of_stores(settings, &mut all);
    of_clocks(settings, &mut all);
    all
}

/// Returns `true` if a mark may leave rows, or signed tokens, that it has ended.
///
/// The one session of signed tokens behind no fence is denied and deleted by its id, and a mark ends
/// nothing of it.
const fn marks_end_rows(settings: &Settings) -> bool {
    !(settings.unfenced && matches!(settings.access, Access::Signed))
}

/// Adds the events about removals.
fn of_stores(settings: &Settings, all: &mut Vec<Property<Protocol>>) {
    if settings.clears && marks_end_rows(settings) {
        all.push(Property::sometimes(
            "ended rows are left",
            |_, state: &State| {
                state.acknowledged > 0
                    && (0..)
                        .take(FENCES)
                        .any(|fence| fence::has_rows(state, fence))
            },
        ));
    }

    if settings.clears {
        all.push(Property::sometimes(
            "a mark is forgotten",
            |_, state: &State| {
                state.acknowledged > 0 && state.store.fences > 1 && !state.store.has_ended(1)
            },
        ));
    }

    if settings.fence_swept.is_some() {
        all.push(Property::sometimes(
            "a fence is swept",
            |_, state: &State| state.store.fence.is_none(),
        ));
    }

    if settings.snapshots {
        all.push(Property::sometimes(
            "a statement misses a token",
            |_, state: &State| {
                state.calls.iter().any(|(_, call)| match call {
                    Call::Ending(it) => {
                        it.seen != 0
                            && state
                                .store
                                .access
                                .iter()
                                .any(|(token, _)| it.seen & bit(token) == 0)
                    }
                    _ => false,
                })
            },
        ));
    }

    if settings.sweeps_denials {
        all.push(Property::sometimes(
            "a denial is extended under a sweep",
            |_, state: &State| {
                let mut denied = state.store.denied;
                state.sweep.is_some_and(|(found, before)| {
                    denied
                        .ends()
                        .enumerate()
                        .any(|(place, until)| found & (1 << place) != 0 && *until > before)
                })
            },
        ));
    }
}

/// Adds the events about clocks.
fn of_clocks(settings: &Settings, all: &mut Vec<Property<Protocol>>) {
    if settings.skew > 0 {
        all.push(Property::sometimes(
            "an exchange lies in the future",
            |_, state: &State| newest(state).is_some_and(|at| at > state.clock(0)),
        ));
    }

    if settings.ahead > 0 && settings.honest {
        all.push(Property::sometimes(
            "clocks are set back",
            |_, state: &State| state.ahead == 0 && state.now > 0,
        ));
    }

    if settings.ahead > 0 && !settings.honest {
        all.push(Property::sometimes(
            "an exchange lies in the far future",
            |_, state: &State| newest(state).is_some_and(|at| at > state.clock(0) + DIFFERENCE),
        ));
    }
}

/// Returns the time of the latest rotation, by the clock of its server.
fn newest(state: &State) -> Option<Tick> {
    state
        .store
        .records
        .iter()
        .filter_map(|(_, record)| record.consumed.first().copied().flatten())
        .map(|consumed| consumed.at)
        .max()
}

/// Returns `true` if [`ONE_SUCCESSOR`] holds.
fn one_successor(state: &State) -> bool {
    let one = state
        .tokens
        .iter()
        .all(|(token, _)| state.successors(token).count() <= 1);
    let current = state.store.records.iter().all(|(_, record)| {
        state
            .tokens
            .get(record.current)
            .is_some_and(|token| token.consumed.is_none())
    });
    one && current
}

/// Returns `true` if [`RETRY_IS_SAFE`] holds.
fn retry_is_safe(model: &Protocol, state: &State) -> bool {
    let kept = state.calls.iter().all(|(_, call)| match call {
        Call::Refresh(Refresh {
            verdict,
            lost,
            stage: RefreshStage::Answer(answer),
            ..
        }) => match (verdict, answer) {
            (Verdict::Owed(owed) | Verdict::Either(owed), Answer::Tokens { refresh, .. }) => {
                refresh == owed
            }
            (Verdict::Owed(_), Answer::Refused) => false,
            // Only a caller that lost its rotation may be refused here. Any other gets its
            // successor, or the session ends.
            (Verdict::Either(_), Answer::Refused) => *lost,
            _ => true,
        },
        Call::Ending(ending) => !matches!(ending.why, Why::Reuse(Verdict::Owed(_))),
        Call::Refresh(_) | Call::Login(_) => true,
    });

    kept && !(model.settings.honest && histories(state, |it| it.ended == Some(Cause::Reuse)))
}

/// Returns `true` if [`REUSE_IS_THEFT`] holds.
fn reuse_is_theft(model: &Protocol, state: &State) -> bool {
    state.history.iter().all(|(session, history)| {
        let found = history.condemned == Some(Cause::Reuse);
        history.reports <= 1 && !(found && state.is_accepted(session, &model.settings))
    })
}

/// Returns `true` if [`LOGOUT_STAYS`] holds.
fn logout_stays(model: &Protocol, state: &State) -> bool {
    state.history.iter().all(|(session, history)| {
        let out = history.condemned == Some(Cause::Logout)
            || history.era < state.acknowledged
            || history.password < state.acknowledged_password;
        !(out && state.is_accepted(session, &model.settings))
    })
}

/// Returns `true` if [`ONE_IDEA`] holds.
fn one_idea(model: &Protocol, state: &State) -> bool {
    state.history.iter().all(|(session, history)| {
        let unmoved = state.store.records.get(session).is_none_or(|record| {
            record.birth == history.birth
                && record.absolute_end == history.absolute_end
                && record.idle_end <= record.absolute_end
        });

        // Between a mark and its denial, signed tokens are still accepted. The call is not
        // acknowledged yet, so nobody relies on the end.
        let ended = state
            .store
            .ended
            .get(usize::from(history.fence))
            .copied()
            .flatten();
        let awaits =
            history.ended == Some(Cause::Everywhere) && ended.is_some_and(|ended| !ended.settled);
        let outlived = !state.is_live(session) && state.has_access(session, &model.settings);

        unmoved && !history.revived && (awaits || !outlived)
    })
}

/// Returns `true` if [`ENDINGS_SPARE`] holds.
///
/// It asks that no access token is refused of a session that can be refreshed, unless the session
/// itself is being ended.
fn endings_spare(model: &Protocol, state: &State) -> bool {
    let live = state
        .history
        .iter()
        .map(|(session, _)| session)
        .filter(|session| state.is_live(*session));
    live.into_iter().all(|session| {
        let stored = state.store.access.iter().all(|(token, access)| {
            state.session_of(token) != Some(session) || !state.store.has_ended(access.fence)
        });
        let signed = state.store.signed.get(usize::from(session));
        let signed = signed.is_none_or(|signed| {
            (0..)
                .zip(signed)
                .all(|(fence, ends)| spares(model, state, session, (fence, *ends)))
        });

        stored && signed
    })
}

/// Returns `true` if no server refuses a session's signed token behind a fence before its end,
/// unless the session itself is denied.
fn spares(model: &Protocol, state: &State, session: u8, (fence, ends): (u8, Tick)) -> bool {
    (0..=model.settings.skew)
        .map(|skew| state.clock(skew))
        .all(|clock| {
            clock >= ends
                || is_denied(state, session)
                || !state.store.denied.refuses(session, fence, clock)
        })
}

/// Returns `true` if `is` holds for the history of any session.
fn histories(state: &State, is: impl Fn(&History) -> bool) -> bool {
    state.history.iter().any(|(_, history)| is(history))
}

/// Returns `true` if a call is about to repeat the answer of an earlier rotation.
///
/// With `lost`, the call lost its own rotation to another tab; without, it found the token consumed
/// at its first look.
fn answers_again(state: &State, lost: bool) -> bool {
    state.calls.iter().any(|(_, call)| match call {
        Call::Refresh(refresh) => {
            refresh.lost == lost
                && matches!(
                    refresh.stage,
                    RefreshStage::Answer(Answer::Tokens { again: true, .. })
                )
        }
        _ => false,
    })
}

/// Returns `true` if a session was ended as reuse and more than one token has been exchanged.
///
/// Then there is a consumed token whose successor was exchanged as well.
fn finds_confirmed(_: &Protocol, state: &State) -> bool {
    histories(state, |it| it.condemned == Some(Cause::Reuse))
        && state
            .tokens
            .iter()
            .filter(|(_, token)| token.consumed.is_some())
            .count()
            > 1
}

/// Returns `true` if the look of a rotation let it in, and the session is logged out before it
/// writes.
fn rotates_after_logout(_: &Protocol, state: &State) -> bool {
    state.calls.iter().any(|(_, call)| match call {
        Call::Refresh(refresh) if refresh.stage == RefreshStage::Rotate => state
            .session_of(refresh.token)
            .and_then(|session| state.history.get(session))
            .is_some_and(|history| history.condemned == Some(Cause::Logout)),
        _ => false,
    })
}

/// Returns `true` if a logout was acknowledged, and a refresh that has rotated is about to answer.
fn logout_removes_successor(_: &Protocol, state: &State) -> bool {
    let gone = histories(state, |it| it.condemned == Some(Cause::Logout));
    gone && state.calls.iter().any(|(_, call)| match call {
        Call::Refresh(refresh) => matches!(
            refresh.stage,
            RefreshStage::Answer(Answer::Tokens { again: false, .. })
        ),
        _ => false,
    })
}

/// Returns `true` if a call that ends everything is gone after its mark and before its
/// acknowledgement.
fn stops_halfway(model: &Protocol, state: &State) -> bool {
    let running = state.calls.iter().any(|(_, call)| match call {
        Call::Ending(ending) => matches!(ending.why, Why::All { .. }),
        _ => false,
    });
    let unsettled = state
        .store
        .ended
        .iter()
        .flatten()
        .any(|ended| !ended.settled);

    !running
        && state.begun > state.acknowledged
        && state.store.fences > 1
        && (unsettled || !model.is_signed())
}

/// Returns `true` if the session's id is denied by the slowest clock.
fn is_denied(state: &State, session: u8) -> bool {
    state
        .store
        .denied
        .sessions
        .get(usize::from(session))
        .is_some_and(|until| state.clock(0) < *until)
}
