//! The state machine as `stateright` runs it: the steps that can come next, and what each does.
//!
//! [`Protocol::actions`](Model::actions) offers the steps, and
//! [`Protocol::next_state`](Model::next_state) hands each one to the function in [`steps`] that
//! does it. A step that does not fit in the bounds of a search is dropped.

use stateright::{Model, Property};

use crate::call::{Call, Holder, Refresh, RefreshStage, Server, Verdict, is_patient};
use crate::mutant::Mutant;
use crate::properties;
use crate::settings::{Access, All, Clock, DIFFERENCE, Settings};
use crate::state::{CALLS, FENCES, State, Tick};
use crate::steps::{self, Next, denylist, fence};

/// The protocol in one configuration, whole or with one guard broken.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The configuration.
    pub settings: Settings,
    /// The broken guard, if any.
    pub mutant: Option<Mutant>,
}

impl Protocol {
    /// Creates the protocol as it is specified, with no guard broken.
    pub const fn whole(settings: Settings) -> Self {
        Self {
            settings,
            mutant: None,
        }
    }

    /// Returns `true` if this guard is the broken one.
    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Returns `true` if access tokens are signed.
    pub fn is_signed(&self) -> bool {
        self.settings.access == Access::Signed
    }

    /// Returns the lifetime of the access tokens that a server makes.
    pub fn life(&self, server: Server) -> Tick {
        self.settings
            .other_life
            .filter(|_| server.other_life)
            .unwrap_or(self.settings.access_life)
    }

    /// Returns `true` if the window of a token that was exchanged at `at` is open on a server whose
    /// clock shows `clock`.
    ///
    /// A rotation that lies in the future by more than clocks may differ is outside its window.
    /// Otherwise a clock that was set back would leave the window open until it has caught up.
    pub fn is_open(&self, at: Tick, clock: Tick) -> bool {
        let allowed = if self.is(Mutant::FutureIsOutside) {
            0
        } else {
            DIFFERENCE
        };
        let future = at.saturating_sub(clock) > allowed && !self.is(Mutant::FutureStaysOpen);
        clock.saturating_sub(at) < self.settings.window && !future
    }

    /// Returns the true time of a write whose call last looked at `at` by its own clock.
    ///
    /// If a call reads the clock only at its look, its writes count as made then. Otherwise they
    /// are made now.
    pub fn truth(&self, state: &State, at: Tick) -> Tick {
        if self.settings.clock == Clock::EachStep {
            state.now
        } else {
            at
        }
    }

    /// Returns the servers that a call may reach.
    fn servers(&self) -> impl Iterator<Item = Server> {
        let lives = if self.settings.other_life.is_some() {
            &[false, true][..]
        } else {
            &[false][..]
        };
        let skews = 0..=self.settings.skew;
        skews.flat_map(move |skew| {
            lives.iter().map(move |other_life| Server {
                skew,
                other_life: *other_life,
            })
        })
    }
}

/// A step of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The time moves by one tick.
    Tick,
    /// All clocks are set back to the time.
    SetBack,
    /// Sessions that have expired are removed.
    Sweep,
    /// Records behind this fence, which was replaced, are removed.
    Clear(u8),
    /// The store forgets that this fence was replaced.
    Forget(u8),
    /// The user's fence is removed.
    SweepFence,
    /// A sweep of the denylist finds expired entries.
    FindDenied,
    /// The sweep of the denylist removes the entries that it found.
    SweepDenied,
    /// An honest holder presents the token in the jar.
    Present(Server),
    /// The other holder presents one of its tokens.
    PresentLoot(u8, Server),
    /// The thief copies the token in the jar.
    Copy,
    /// A login begins: the fence is read.
    LogIn(Server),
    /// An honest holder begins to log out.
    LogOut,
    /// The user begins to end everything.
    EndAll(All),
    /// The call at this place takes its next step.
    Step(u8),
    /// The call at this place is forgotten: its server crashed, or its answer was lost.
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
        if state.ahead > 0 {
            actions.push(Action::SetBack);
        }
        if state.has_aged() {
            actions.push(Action::Sweep);
        }
        self.removals(state, actions);

        for (place, _) in state.calls.iter() {
            actions.push(Action::Step(place));
            actions.push(Action::Crash(place));
        }
        if state
            .tabs
            .jar
            .is_some_and(|jar| state.thefts > 0 && state.loot & bit(jar) == 0)
        {
            actions.push(Action::Copy);
        }

        if state.calls.len() >= self.settings.calls.min(CALLS) {
            return;
        }

        if let Some(jar) = state.tabs.jar {
            let needs = self.settings.eager || state.tabs.access_ends <= state.clock(0);
            if needs && is_patient(state, &self.settings, jar) {
                actions.extend(self.servers().map(Action::Present));
            }
            if self.settings.logout
                && !state
                    .calls
                    .iter()
                    .any(|(_, call)| matches!(call, Call::Ending(_)))
            {
                actions.push(Action::LogOut);
            }
        }

        for (token, _) in state.tokens.iter() {
            if state.loot & bit(token) != 0 {
                actions.extend(
                    self.servers()
                        .map(|server| Action::PresentLoot(token, server)),
                );
            }
        }

        let logins = state
            .calls
            .iter()
            .filter(|(_, call)| matches!(call, Call::Login(_)))
            .count();
        if state.history.len() + logins < self.settings.sessions {
            actions.extend(self.servers().map(Action::LogIn));
        }

        if state.begun < self.settings.everywhere {
            actions.extend(self.settings.all.iter().copied().map(Action::EndAll));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = *before;

        match action {
            Action::Tick => {
                state.tick(&self.settings);
                fence::pass(self, &mut state);
            }
            Action::SetBack => state.ahead = 0,
            Action::Sweep => state.sweep(),
            Action::Clear(ended) => fence::clear(&mut state, ended),
            Action::Forget(ended) => fence::forget(&mut state, ended),
            Action::SweepFence => (state.store.fence, state.store.fence_used) = (None, 0),
            Action::FindDenied => denylist::find(self, &mut state),
            Action::SweepDenied => denylist::remove(self, &mut state),
            Action::Present(server) => {
                let jar = state.tabs.jar?;
                let now = state.now;
                let token = state.tokens.get_mut(jar)?;
                token.first_sent = token.first_sent.or(Some(now));
                state.calls.push(presented(Holder::Tab, jar, server))?;
            }
            Action::PresentLoot(token, server) => {
                state.calls.push(presented(Holder::Thief, token, server))?;
            }
            Action::Copy => {
                state.loot |= bit(state.tabs.jar?);
                state.thefts -= 1;
            }
            Action::LogIn(server) => {
                let login = steps::login::begin(self, &mut state, server)?;
                state.calls.push(Call::Login(login))?;
            }
            Action::LogOut => {
                let jar = state.tabs.jar?;
                state
                    .calls
                    .push(Call::Ending(steps::ending::log_out(jar)))?;
            }
            Action::EndAll(all) => {
                let ending = steps::ending::everything(&mut state, all)?;
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

        // States that differ only in the places of their calls are the same state.
        state.calls.sort();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(&self.settings)
    }
}

/// Returns the bit of a token, session or fence in a set of them.
pub const fn bit(place: u8) -> u8 {
    1 << place
}

/// Returns the call of a holder that presents a token.
fn presented(by: Holder, token: u8, server: Server) -> Call {
    let verdict = Verdict::Nothing;
    Call::Refresh(Refresh {
        by,
        token,
        server,
        at: 0,
        fence: 0,
        lost: false,
        verdict,
        stage: RefreshStage::Look,
    })
}

impl Protocol {
    /// Adds the removals that the store may do at any time, or never.
    fn removals(&self, state: &State, actions: &mut Vec<Action>) {
        if self.settings.clears {
            for fence in (0..).take(FENCES) {
                if fence::has_rows(state, fence) {
                    actions.push(Action::Clear(fence));
                }
                if fence::is_forgettable(self, state, fence) {
                    actions.push(Action::Forget(fence));
                }
            }
        }

        if fence::is_sweepable(self, state) {
            actions.push(Action::SweepFence);
        }

        if state.sweep.is_some() {
            actions.push(Action::SweepDenied);
        } else if self.settings.sweeps_denials && denylist::has_ended(self, state) {
            actions.push(Action::FindDenied);
        }
    }
}
