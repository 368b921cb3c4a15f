//! A way through the states, told a step a line.

use stateright::Path;

use crate::call::{Call, Refresh, RefreshStage, Why};
use crate::protocol::{Action, Protocol};
use crate::state::State;
use crate::steps::ending;

/// Tells the steps of a way. Tokens and sessions have the numbers in which they were made, from 0.
pub(crate) fn narrated(model: &Protocol, path: Path<State, Action>) -> Vec<String> {
    path.into_vec().into_iter().filter_map(|(state, action)| Some(told(model, &state, action?))).collect()
}

fn told(model: &Protocol, state: &State, action: Action) -> String {
    let jar = state.tabs.jar.unwrap_or_default();
    match action {
        Action::Tick => format!("the clock moves to {}", state.now + 1),
        Action::Sweep => "what has ended by age is removed".to_owned(),
        Action::Present => format!("a tab presents token {jar}"),
        Action::PresentLoot(token) => format!("the other holder presents token {token}"),
        Action::Copy => format!("token {jar} is copied"),
        Action::LogIn => "a login begins, and reads the fence".to_owned(),
        Action::LogOut => format!("a tab begins to log out, with token {jar}"),
        Action::Everywhere if model.settings.password => "a change of the password begins".to_owned(),
        Action::Everywhere => "log out everywhere begins".to_owned(),
        Action::Step(place) => state.calls.get(place).map(|call| next(model, *call)).unwrap_or_default(),
        Action::Crash(place) => {
            let call = state.calls.get(place).map(|call| next(model, *call)).unwrap_or_default();
            format!("crash before: {call}")
        }
    }
}

/// What a call is about to do.
fn next(model: &Protocol, call: Call) -> String {
    match call {
        Call::Refresh(Refresh { by, token, at, lost, stage, .. }) => {
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
                Why::Everywhere(_) => "log out everywhere",
                Why::Password { .. } => "password change",
            };
            ending::next_part(model, it).map(|part| format!("{why}: {part:?}")).unwrap_or_default()
        }
    }
}
