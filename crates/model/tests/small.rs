//! Small searches, so that every run of the tests looks at the protocol. `cargo run -p model --release` looks at all.

use model::configurations::{self, Break};
use model::properties::RETRY_IS_SAFE;
use model::{Settings, search};

/// Two calls at once, a short clock and few tokens.
fn small(settings: Settings) -> Settings {
    Settings {
        calls: settings.calls.min(2),
        ticks: settings.ticks.min(2),
        tokens: settings.tokens.min(3),
        everywhere: settings.everywhere.min(1),
        sessions: settings.sessions.min(2),
        ..settings
    }
}

#[test]
fn promises_hold() {
    let searches = search::all(&configurations::ALL.map(small), search::explore);
    for search in &searches {
        assert!(search.broken.is_empty(), "{search:?}");
    }
    assert_eq!(searches.len(), configurations::ALL.len());
}

fn every_break_is_caught(breaks: &[Break]) {
    for caught in search::all(breaks, search::hunt) {
        assert!(caught.trace.is_some(), "{caught:?}");
    }
}

#[test]
fn a_broken_promise_is_told() {
    let eager = Settings {
        eager: true,
        ..small(configurations::ROTATION)
    };
    let search = search::explore(eager);
    assert!(!search.is_sound(), "{search:?}");
    assert_eq!(
        search
            .broken
            .iter()
            .map(|(promise, _)| *promise)
            .collect::<Vec<_>>(),
        [RETRY_IS_SAFE]
    );
}

#[test]
fn broken_guards_are_caught() {
    every_break_is_caught(&configurations::guards());
}

#[test]
fn dropped_assumptions_are_caught() {
    every_break_is_caught(&configurations::assumptions());
}
