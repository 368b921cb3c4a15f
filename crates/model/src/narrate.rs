//! The story of a way through the states, one line per step, for reports.

use stateright::Path;

use crate::call::{Call, Refresh, RefreshStage, Server, Why};
use crate::protocol::{Action, Protocol};
use crate::settings::All;
use crate::state::State;
use crate::steps::ending;

/// Returns a line for each step of `path`. Tokens and sessions have the numbers in which they were
/// made, from 0.
pub(crate) fn narrated(model: &Protocol, path: Path<State, Action>) -> Vec<String> {
    path.into_vec()
        .into_iter()
        .filter_map(|(state, action)| Some(told(model, &state, action?)))
        .collect()
}

/// Returns the line for one step from `state`.
fn told(model: &Protocol, state: &State, action: Action) -> String {
    let jar = state.tabs.jar.unwrap_or_default();

    match action {
        Action::Tick => format!("the time moves to {}", state.now + 1),
        Action::SetBack => format!("the clocks are set back by {}", state.ahead),
        Action::Sweep => "what has ended by age is removed".to_owned(),
        Action::Clear(fence) => format!("what is recorded behind fence {fence} is removed"),
        Action::Forget(fence) => format!("the end of fence {fence} is forgotten"),
        Action::SweepFence => "the user's fence is removed".to_owned(),
        Action::FindDenied => "a sweep of the denylist finds what has ended".to_owned(),
        Action::SweepDenied => "the sweep removes it".to_owned(),
        Action::Present(server) => format!("a tab presents token {jar} to {}", named(server)),
        Action::PresentLoot(token, server) => format!(
            "the other holder presents token {token} to {}",
            named(server)
        ),
        Action::Copy => format!("token {jar} is copied"),
        Action::LogIn(server) => {
            format!("a login begins at {}, and reads the fence", named(server))
        }
        Action::LogOut => format!("a tab begins to log out, with token {jar}"),
        Action::EndAll(all) => format!("{} begins", purpose(all)),
        Action::Step(place) => state
            .calls
            .get(place)
            .map(|call| next(model, *call))
            .unwrap_or_default(),
        Action::Crash(place) => {
            let call = state
                .calls
                .get(place)
                .map(|call| next(model, *call))
                .unwrap_or_default();
            format!("crash before: {call}")
        }
    }
}

/// Returns the words for a server, with its clock and the lifetime that it signs with.
fn named(server: Server) -> String {
    let clock = if server.skew > 0 {
        format!(", its clock {} ahead", server.skew)
    } else {
        String::new()
    };
    let life = if server.other_life {
        ", which signs for another life"
    } else {
        ""
    };
    format!("a server{clock}{life}")
}

/// Returns the words for an ending of everything.
const fn purpose(all: All) -> &'static str {
    match all {
        All::Everywhere => "log out everywhere",
        All::Password => "password change",
        All::Disable => "end of the account",
    }
}

/// Returns the words for the next step of a call.
fn next(model: &Protocol, call: Call) -> String {
    match call {
        Call::Refresh(Refresh {
            by,
            token,
            at,
            lost,
            stage,
            ..
        }) => {
            let again = if lost { " again" } else { "" };
            let stage = match stage {
                RefreshStage::Look => format!("looks{again}"),
                RefreshStage::Rotate => format!("rotates, with the clock at {at}"),
                RefreshStage::Write => format!("writes, with the clock at {at}"),
                RefreshStage::Answer(answer) => format!("is answered: {answer:?}"),
            };

            format!("exchange of token {token} ({by:?}) {stage}")
        }
        Call::Login(login) => format!("login: {:?}", login.stage),
        Call::Ending(it) => {
            let why = match it.why {
                Why::Reuse(_) => "reuse",
                Why::Logout(_) => "logout",
                Why::All { all, .. } => purpose(all),
            };
            ending::next_part(model, it)
                .map(|part| format!("{why}: {part:?}"))
                .unwrap_or_default()
        }
    }
}
