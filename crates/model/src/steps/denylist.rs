//! The sweep of the denylist: it finds expired entries, and removes them in a step of its own.
//!
//! An entry may be extended between the two steps, so the removal repeats the condition.

use crate::mutant::Mutant;
use crate::protocol::Protocol;
use crate::settings::DIFFERENCE;
use crate::state::{State, Tick};

/// Returns `true` if there is anything that a sweep may remove.
pub fn has_ended(model: &Protocol, state: &State) -> bool {
    found(state, model.sweeps_before(state)) != 0
}

/// Finds the entries that have expired by the fastest clock.
pub fn find(model: &Protocol, state: &mut State) {
    let before = model.sweeps_before(state);
    state.sweep = Some((found(state, before), before));
}

/// Removes the entries that were found, if they are still expired.
pub fn remove(model: &Protocol, state: &mut State) {
    let Some((chosen, before)) = state.sweep.take() else {
        return;
    };
    let by_id = model.is(Mutant::SweptById);
    for (place, until) in state.store.denied.ends().enumerate() {
        if chosen & (1 << place) != 0 && (by_id || *until <= before) {
            *until = 0;
        }
    }
    state.store.denied.drop_ended();
}

/// Returns the entries that end at or before `before`, one bit each.
fn found(state: &State, before: Tick) -> u16 {
    let mut denied = state.store.denied;
    denied
        .ends()
        .enumerate()
        .filter(|(_, until)| (1..=before).contains(&**until))
        .map(|(place, _)| 1 << place)
        .sum()
}

impl Protocol {
    /// Returns the time at or before which an entry must end for a sweep to remove it.
    ///
    /// It is the time of the fastest clock, less the difference that clocks may have.
    fn sweeps_before(&self, state: &State) -> Tick {
        let slack = if self.is(Mutant::SweptAtOnce) {
            0
        } else {
            DIFFERENCE
        };
        state.clock(self.settings.skew).saturating_sub(slack)
    }
}
