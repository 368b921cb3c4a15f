//! The promises, and what has to be seen for a search to mean something.

use stateright::Property;

use crate::call::{Answer, Call, LoginStage, Refresh, RefreshStage, Verdict, Why};
use crate::protocol::Protocol;
use crate::settings::{Access, Settings};
use crate::state::{Cause, History, State};

/// A token is followed by one token at most, and what is current was never exchanged.
pub const ONE_SUCCESSOR: &str = "P1 exactly one successor";
/// The direct, unconfirmed predecessor gets its successor within the window; honest holders never end a session.
pub const RETRY_IS_SAFE: &str = "P2 retry is safe";
/// Whatever is presented outside its window has ended its session by the time it is answered; one call reports it.
pub const REUSE_IS_THEFT: &str = "P3 reuse is theft";
/// After an acknowledged ending nothing is accepted that hangs on a login begun before it.
pub const LOGOUT_STAYS: &str = "P4 logout stays";
/// A rotation moves neither birth nor absolute end; no access token outlives its session.
pub const ONE_IDEA: &str = "P5 one idea of a session";

/// The promises.
pub const PROMISES: [&str; 5] = [ONE_SUCCESSOR, RETRY_IS_SAFE, REUSE_IS_THEFT, LOGOUT_STAYS, ONE_IDEA];

/// What a search of this configuration judges: all promises, and what has to be seen with such holders.
pub fn of(settings: &Settings) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(ONE_SUCCESSOR, |_, state: &State| one_successor(state)),
        Property::always(RETRY_IS_SAFE, retry_is_safe),
        Property::always(REUSE_IS_THEFT, |_, state: &State| reuse_is_theft(state)),
        Property::always(LOGOUT_STAYS, |_, state: &State| logout_stays(state)),
        Property::always(ONE_IDEA, |_, state: &State| one_idea(state)),
    ];
    if settings.ticks >= settings.idle {
        all.push(Property::sometimes("a session ends by age", |_, state: &State| {
            state.store.records.iter().any(|(_, record)| !record.is_live(state.now))
        }));
    }
    if settings.window > 0 {
        all.push(Property::sometimes("a retry is answered", |_, state: &State| answers_again(state, false)));
        all.push(Property::sometimes("a second tab is answered", |_, state: &State| answers_again(state, true)));
    } else {
        all.push(Property::sometimes("two tabs are reuse", |_, state: &State| histories(state, |it| it.reports > 0)));
    }
    if settings.thefts > 0 {
        all.push(Property::sometimes("a theft is found", |_, state: &State| {
            histories(state, |it| it.condemned == Some(Cause::Reuse))
        }));
        all.push(Property::sometimes("a confirmed token is found", finds_confirmed));
    }
    if settings.logout {
        all.push(Property::sometimes("a rotation meets a logout", rotates_after_logout));
        all.push(Property::sometimes("a logout removes a successor", logout_removes_successor));
    }
    if settings.everywhere > 0 {
        all.push(Property::sometimes("log out everywhere stops halfway", stops_halfway));
    }
    if settings.everywhere > 0 && settings.sessions > 1 {
        all.push(Property::sometimes("a login is fenced", |_, state: &State| {
            state.calls.iter().any(|(_, call)| matches!(call, Call::Login(it) if it.stage == LoginStage::Answer(None)))
        }));
        all.push(Property::sometimes("a later login is let in", |_, state: &State| {
            state.acknowledged > 0 && state.history.iter().any(|(session, _)| session > 0 && state.is_live(session))
        }));
    }
    if matches!(settings.access, Access::Signed) {
        all.push(Property::sometimes("a session is denied before it is removed", |_, state: &State| {
            state.history.iter().any(|(session, _)| state.is_live(session) && is_denied(state, session))
        }));
    }
    all
}

fn one_successor(state: &State) -> bool {
    let one = state.tokens.iter().all(|(token, _)| state.successors(token).count() <= 1);
    let current = |token| state.tokens.get(token).is_some_and(|token| token.consumed.is_none());
    one && state.store.records.iter().all(|(_, record)| current(record.current))
}

fn retry_is_safe(model: &Protocol, state: &State) -> bool {
    let kept = state.calls.iter().all(|(_, call)| match call {
        Call::Refresh(Refresh { verdict: Verdict::Owed(owed), stage: RefreshStage::Answer(answer), .. }) => {
            matches!(answer, Answer::Tokens { refresh, .. } if refresh == owed)
        }
        Call::Ending(ending) => !matches!(ending.why, Why::Reuse(Verdict::Owed(_))),
        _ => true,
    });
    kept && !(model.settings.honest && histories(state, |it| it.ended == Some(Cause::Reuse)))
}

fn reuse_is_theft(state: &State) -> bool {
    state.history.iter().all(|(session, history)| {
        history.reports <= 1 && !(history.condemned == Some(Cause::Reuse) && state.is_accepted(session))
    })
}

fn logout_stays(state: &State) -> bool {
    state.history.iter().all(|(session, history)| {
        let out = history.condemned == Some(Cause::Logout)
            || history.era < state.acknowledged
            || history.password < state.acknowledged_password;
        !(out && state.is_accepted(session))
    })
}

fn one_idea(state: &State) -> bool {
    state.history.iter().all(|(session, history)| {
        let unmoved = state.store.records.get(session).is_none_or(|record| {
            record.birth == history.birth
                && record.absolute_end == history.absolute_end
                && record.idle_end <= record.absolute_end
        });
        unmoved && !history.revived && (state.is_live(session) || !state.has_access(session))
    })
}

fn histories(state: &State, is: impl Fn(&History) -> bool) -> bool {
    state.history.iter().any(|(_, history)| is(history))
}

fn answers_again(state: &State, lost: bool) -> bool {
    state.calls.iter().any(|(_, call)| match call {
        Call::Refresh(refresh) => {
            refresh.lost == lost && matches!(refresh.stage, RefreshStage::Answer(Answer::Tokens { again: true, .. }))
        }
        _ => false,
    })
}

/// A session was ended, and the token that the thief holds had a confirmed successor.
fn finds_confirmed(_: &Protocol, state: &State) -> bool {
    histories(state, |it| it.condemned == Some(Cause::Reuse))
        && state.tokens.iter().filter(|(_, token)| token.consumed.is_some()).count() > 1
}

/// A rotation was let in by its look, and the session is gone by the time it writes.
fn rotates_after_logout(_: &Protocol, state: &State) -> bool {
    state.calls.iter().any(|(_, call)| match call {
        Call::Refresh(refresh) if refresh.stage == RefreshStage::Rotate => state
            .session_of(refresh.token)
            .and_then(|session| state.history.get(session))
            .is_some_and(|history| history.condemned == Some(Cause::Logout)),
        _ => false,
    })
}

/// A logout was acknowledged for a token that had been exchanged meanwhile, whose successor is on its way.
fn logout_removes_successor(_: &Protocol, state: &State) -> bool {
    let gone = histories(state, |it| it.condemned == Some(Cause::Logout));
    gone && state.calls.iter().any(|(_, call)| match call {
        Call::Refresh(refresh) => matches!(refresh.stage, RefreshStage::Answer(Answer::Tokens { again: false, .. })),
        _ => false,
    })
}

/// The fence is raised, sessions from before it are there, and the call is gone.
fn stops_halfway(_: &Protocol, state: &State) -> bool {
    let running = state.calls.iter().any(|(_, call)| match call {
        Call::Ending(ending) => matches!(ending.why, Why::Everywhere(_) | Why::Password { .. }),
        _ => false,
    });
    let (fence, _) = state.store.fence;
    !running
        && fence > 0
        && state.begun > state.acknowledged
        && state.history.iter().any(|(session, history)| history.era < state.begun && state.is_live(session))
}

fn is_denied(state: &State, session: u8) -> bool {
    state.store.denied.get(usize::from(session)).is_some_and(|until| state.now < *until)
}
