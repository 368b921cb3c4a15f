//! What can be asked of a store, with numbers in the place of users, sessions and tokens.

use proptest::prelude::*;

/// Who asks for a removal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner {
    Anybody,
    Its,
    Stranger,
}

/// Numbers of sessions and tokens name one of those that there are by then.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// An access token, in one of the user's live sessions or outside of sessions.
    InsertAccess {
        user: usize,
        session: Option<usize>,
        label: u8,
        aging: bool,
    },
    /// A refresh token outside of sessions.
    InsertLoose {
        user: usize,
        label: u8,
        aged_key: bool,
    },
    /// A new session, with an access token or without.
    Open {
        user: usize,
        access: Option<u8>,
        ends: bool,
        aged_key: bool,
    },
    RotateRequest {
        refresh: usize,
        access: Option<u8>,
        ends: bool,
    },
    RemoveAccess {
        access: usize,
        owner: Owner,
    },
    RemoveRefresh {
        refresh: usize,
        owner: Owner,
    },
    EndSession {
        session: usize,
        stranger: bool,
    },
    /// Ends everything of a user, but one of the sessions that there were.
    EndUser {
        user: usize,
        kept: Option<usize>,
        settled: bool,
    },
    Settle {
        user: usize,
    },
    Clear {
        user: usize,
        rows: u32,
    },
    Survey {
        user: usize,
        later: bool,
    },
    Sessions {
        user: usize,
        limit: u32,
    },
    Find {
        access: usize,
        refresh: usize,
    },
}

/// Few users and labels, so that they meet.
pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let owner = || {
        prop_oneof![
            Just(Owner::Anybody),
            Just(Owner::Its),
            Just(Owner::Stranger)
        ]
    };
    let (user, any_of, label) = (0..4usize, any::<u16>().prop_map(usize::from), 0..6u8);
    let some = |label| proptest::option::of(label);
    let some_of = |any_of| proptest::option::of(any_of);
    prop_oneof![
        4 => (user.clone(), proptest::option::of(any_of.clone()), label.clone(), any::<bool>())
            .prop_map(|(user, session, label, aging)| Operation::InsertAccess { user, session, label, aging }),
        2 => (user.clone(), label.clone(), any::<bool>())
            .prop_map(|(user, label, aged_key)| Operation::InsertLoose { user, label, aged_key }),
        5 => (user.clone(), some(label.clone()), any::<bool>(), any::<bool>())
            .prop_map(|(user, access, ends, aged_key)| Operation::Open { user, access, ends, aged_key }),
        6 => (any_of.clone(), some(label), any::<bool>())
            .prop_map(|(refresh, access, ends)| Operation::RotateRequest { refresh, access, ends }),
        3 => (any_of.clone(), owner()).prop_map(|(access, owner)| Operation::RemoveAccess { access, owner }),
        2 => (any_of.clone(), owner()).prop_map(|(refresh, owner)| Operation::RemoveRefresh { refresh, owner }),
        3 => (any_of.clone(), proptest::bool::weighted(0.2))
            .prop_map(|(session, stranger)| Operation::EndSession { session, stranger }),
        3 => (user.clone(), some_of(any_of.clone()), any::<bool>())
            .prop_map(|(user, kept, settled)| Operation::EndUser { user, kept, settled }),
        1 => user.clone().prop_map(|user| Operation::Settle { user }),
        2 => (user.clone(), 1..20u32).prop_map(|(user, rows)| Operation::Clear { user, rows }),
        1 => (user.clone(), any::<bool>()).prop_map(|(user, later)| Operation::Survey { user, later }),
        2 => (user, 0..6u32).prop_map(|(user, limit)| Operation::Sessions { user, limit }),
        4 => (any_of.clone(), any_of).prop_map(|(access, refresh)| Operation::Find { access, refresh }),
    ]
}
