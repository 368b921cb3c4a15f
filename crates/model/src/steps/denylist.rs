//! The sweep of the denylist: it finds what has ended, and removes it in a step of its own.

use crate::mutant::Mutant;
use crate::protocol::Protocol;
use crate::settings::DIFFERENCE;
use crate::state::{State, Tick};

/// Whether there is anything that a sweep may remove.
pub fn has_ended(model: &Protocol, state: &State) -> bool {
    found(state, model.sweeps_before(state)) != 0
}

/// Finds the entries that have ended, by the fastest clock.
pub fn find(model: &Protocol, state: &mut State) {
    let before = model.sweeps_before(state);
    state.sweep = Some((found(state, before), before));
}

/// Removes those that were found, and have still ended.
pub fn remove(model: &Protocol, state: &mut State) {
    let Some((chosen, before)) = state.sweep.take() else { return };
    let by_id = model.is(Mutant::SweptById);
    for (place, until) in state.store.denied.ends().enumerate() {
        if chosen & (1 << place) != 0 && (by_id || *until <= before) {
            *until = 0;
        }
    }
    state.store.denied.drop_ended();
}

fn found(state: &State, before: Tick) -> u16 {
    let mut denied = state.store.denied;
    denied.ends().enumerate().filter(|(_, until)| (1..=before).contains(&**until)).map(|(place, _)| 1 << place).sum()
}

impl Protocol {
    /// Entries that end no later may be removed: by the fastest clock, and the clocks' difference later.
    fn sweeps_before(&self, state: &State) -> Tick {
        let slack = if self.is(Mutant::SweptAtOnce) { 0 } else { DIFFERENCE };
        state.clock(self.settings.skew).saturating_sub(slack)
    }
}
