//! Small searches, so that every run of the tests looks at the protocol. `cargo run -p model --release` looks at all.

use model::configurations::{self, Break};
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
fn broken_guards_are_caught() {
    every_break_is_caught(&configurations::guards());
}

#[test]
fn dropped_assumptions_are_caught() {
    every_break_is_caught(&configurations::assumptions());
}
