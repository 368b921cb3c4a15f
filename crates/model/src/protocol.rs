//! The machine as `stateright` runs it: which steps can come next, and what each does.

use stateright::{Model, Property};

use crate::call::{Call, Holder, Refresh, RefreshStage, Verdict, is_patient};
use crate::mutant::Mutant;
use crate::properties;
use crate::settings::{Access, Settings};
use crate::state::{CALLS, State};
use crate::steps::{self, Next};

/// The protocol in one configuration, whole or with one guard broken.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The configuration.
    pub settings: Settings,
    /// The broken guard.
    pub mutant: Option<Mutant>,
}

impl Protocol {
    /// The protocol as it is written down.
    pub const fn whole(settings: Settings) -> Self {
        Self { settings, mutant: None }
    }

    /// Whether this guard is the broken one.
    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether access tokens are signed.
    pub fn is_signed(&self) -> bool {
        self.settings.access == Access::Signed
    }
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The clock moves.
    Tick,
    /// What has ended by age is removed.
    Sweep,
    /// An honest holder presents what the jar holds.
    Present,
    /// The other holder presents one of its tokens.
    PresentLoot(u8),
    /// The thief copies what the jar holds.
    Copy,
    /// Somebody begins to log in: the fence is read.
    LogIn,
    /// An honest holder logs out.
    LogOut,
    /// The user begins to log out everywhere, or to change the password.
    Everywhere,
    /// A call does what it has to do next.
    Step(u8),
    /// The server of a call dies, or its answer is lost.
    Crash(u8),
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(&self.settings)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < self.settings.ticks {
            actions.push(Action::Tick);
        }
        if state.has_aged() {
            actions.push(Action::Sweep);
        }
        for (place, _) in state.calls.iter() {
            actions.push(Action::Step(place));
            actions.push(Action::Crash(place));
        }
        if state.tabs.jar.is_some_and(|jar| state.thefts > 0 && state.loot & bit(jar) == 0) {
            actions.push(Action::Copy);
        }
        if state.calls.len() >= self.settings.calls.min(CALLS) {
            return;
        }
        if let Some(jar) = state.tabs.jar {
            let needs = self.settings.eager || state.tabs.access_ends <= state.now;
            if needs && is_patient(state, &self.settings, jar) {
                actions.push(Action::Present);
            }
            if self.settings.logout && !state.calls.iter().any(|(_, call)| matches!(call, Call::Ending(_))) {
                actions.push(Action::LogOut);
            }
        }
        for (token, _) in state.tokens.iter() {
            if state.loot & bit(token) != 0 {
                actions.push(Action::PresentLoot(token));
            }
        }
        let logins = state.calls.iter().filter(|(_, call)| matches!(call, Call::Login(_))).count();
        if state.history.len() + logins < self.settings.sessions {
            actions.push(Action::LogIn);
        }
        if state.begun < self.settings.everywhere {
            actions.push(Action::Everywhere);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = *before;
        match action {
            Action::Tick => state.tick(&self.settings),
            Action::Sweep => state.sweep(),
            Action::Present => {
                let jar = state.tabs.jar?;
                let now = state.now;
                let token = state.tokens.get_mut(jar)?;
                token.first_sent = token.first_sent.or(Some(now));
                state.calls.push(presented(Holder::Tab, jar))?;
            }
            Action::PresentLoot(token) => {
                state.calls.push(presented(Holder::Thief, token))?;
            }
            Action::Copy => {
                state.loot |= bit(state.tabs.jar?);
                state.thefts -= 1;
            }
            Action::LogIn => {
                let login = steps::login::begin(self, &state);
                state.calls.push(Call::Login(login))?;
            }
            Action::LogOut => {
                let jar = state.tabs.jar?;
                state.calls.push(Call::Ending(steps::ending::log_out(jar)))?;
            }
            Action::Everywhere => {
                let ending = steps::ending::everywhere(self, &mut state)?;
                state.calls.push(Call::Ending(ending))?;
            }
            Action::Crash(place) => state.calls.set(place, None),
            Action::Step(place) => {
                let next = match *state.calls.get(place)? {
                    Call::Refresh(refresh) => steps::refresh::step(self, &mut state, refresh)?,
                    Call::Login(login) => steps::login::step(self, &mut state, login)?,
                    Call::Ending(ending) => steps::ending::step(self, &mut state, ending)?,
                };
                let next = match next {
                    Next::Goes(call) => Some(call),
                    Next::Over => None,
                };
                state.calls.set(place, next);
            }
        }
        state.calls.sort();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(&self.settings)
    }
}

/// A token's bit in a set of them.
pub const fn bit(place: u8) -> u8 {
    1 << place
}

fn presented(by: Holder, token: u8) -> Call {
    let verdict = Verdict::Nothing;
    Call::Refresh(Refresh { by, token, at: 0, lost: false, verdict, stage: RefreshStage::Look })
}
