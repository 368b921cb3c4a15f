//! A login: read the fence, check the password, and insert the session if the fence is still the
//! same.
//!
//! The fence is read before the password is checked. So a password that was changed meanwhile comes
//! with a fence that was replaced.

use crate::call::{Call, Login, LoginStage, Server};
use crate::mutant::Mutant;
use crate::protocol::{Protocol, bit};
use crate::state::State;
use crate::steps::{Guarded, Next, Opening, fence};

/// Begins a login: reads the fence before anything else.
///
/// Returns `None` if it does not fit in the bounds of the search.
pub fn begin(model: &Protocol, state: &mut State, server: Server) -> Option<Login> {
    let fence = fence::read(model, state)?;
    Some(Login {
        server,
        fence,
        at: state.now,
        era: state.begun,
        password: None,
        stage: LoginStage::Password,
    })
}

/// Does the next step of a login and returns its state after that.
///
/// Returns `None` if it does not fit in the bounds of the search.
pub fn step(model: &Protocol, state: &mut State, mut login: Login) -> Option<Next> {
    match login.stage {
        LoginStage::Password => {
            login.password = Some(state.store.password);
            let earlier = model.is(Mutant::FenceCheckedEarlier);
            login.stage = if earlier {
                LoginStage::Fence
            } else {
                LoginStage::Insert
            };
        }
        LoginStage::Fence if Some(login.fence) != state.store.fence => {
            login.stage = LoginStage::Answer(None);
        }
        LoginStage::Fence => login.stage = LoginStage::Insert,
        LoginStage::Insert => {
            login.stage = LoginStage::Answer(match insert(model, state, login)? {
                Guarded::Wrote(token) => Some(token),
                Guarded::Refused => None,
            });
        }
        LoginStage::Answer(Some(token)) => {
            state.loot |= bit(token);
            return Some(Next::Over);
        }
        LoginStage::Answer(None) => return Some(Next::Over),
    }

    Some(Next::Goes(Call::Login(login)))
}

/// Inserts the session, if the fence allows it.
///
/// Returns `None` if it does not fit in the bounds of the search.
fn insert(model: &Protocol, state: &mut State, login: Login) -> Option<Guarded> {
    let unguarded = model.is(Mutant::NoFence) || model.is(Mutant::FenceCheckedEarlier);
    if !unguarded && Some(login.fence) != state.store.fence {
        return Some(Guarded::Refused);
    }

    // The age is judged in the step that inserts. A login judged earlier may still insert much
    // later.
    let age = state.now.saturating_sub(login.at);
    let limit = model
        .settings
        .fence_kept
        .map(|(_, limit)| limit)
        .filter(|_| !model.is(Mutant::LoginOfAnyAge));
    if limit.is_some_and(|limit| age >= limit) {
        return Some(Guarded::Refused);
    }

    let opening = Opening {
        clock: state.clock(login.server.skew),
        life: model.life(login.server),
        fence: login.fence,
        era: login.era,
        password: login.password?,
    };

    let opened = state.open(&model.settings, opening, true)?;
    fence::touch(model, state);
    Some(Guarded::Wrote(opened))
}
