//! What was acknowledged, and whether it is true afterwards.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use countersign::PlainToken;
use countersign::strategy::TokenControl;

use crate::fixture::users::Account;
use crate::redis_faults::ground::Ground;

/// What a token must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Acknowledged, and never ended.
    Live,
    /// Its end was acknowledged.
    Dead,
    /// A change was asked for and not acknowledged.
    Open,
}

#[derive(Default)]
pub(crate) struct Ledger {
    access: Mutex<HashMap<String, Fate>>,
    refresh: Mutex<HashMap<String, Fate>>,
}

impl Ledger {
    pub(crate) fn access(&self, token: &PlainToken, fate: Fate) {
        self.access
            .lock()
            .unwrap()
            .insert(token.expose().to_owned(), fate);
    }

    pub(crate) fn refresh(&self, token: &PlainToken, fate: Fate) {
        self.refresh
            .lock()
            .unwrap()
            .insert(token.expose().to_owned(), fate);
    }

    pub(crate) fn access_is(&self, token: &PlainToken, fate: Fate) -> bool {
        self.access.lock().unwrap().get(token.expose()) == Some(&fate)
    }

    pub(crate) fn refresh_is(&self, token: &PlainToken, fate: Fate) -> bool {
        self.refresh.lock().unwrap().get(token.expose()) == Some(&fate)
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.access.lock().unwrap().len() + self.refresh.lock().unwrap().len()
    }

    fn all(&self) -> Vec<(bool, PlainToken, Fate)> {
        let list = |map: MutexGuard<'_, HashMap<String, Fate>>, is_access| {
            map.iter()
                .map(|(text, fate)| (is_access, PlainToken::new(text.clone()), *fate))
                .collect::<Vec<_>>()
        };
        [
            list(self.access.lock().unwrap(), true),
            list(self.refresh.lock().unwrap(), false),
        ]
        .concat()
    }

    /// Every acknowledgement holds.
    pub(crate) async fn holds(&self, ground: &Ground) {
        let tokens = self.all();
        for (is_access, token, fate) in &tokens {
            let good = is_good(ground, *is_access, token).await;
            let kind = if *is_access { "access" } else { "refresh" };
            match fate {
                Fate::Live => assert!(
                    good,
                    "an acknowledged {kind} token of {} is lost",
                    tokens.len()
                ),
                Fate::Dead => assert!(!good, "an ended {kind} token of {} is back", tokens.len()),
                Fate::Open => {}
            }
        }
        assert!(
            tokens.iter().any(|(.., fate)| *fate == Fate::Live),
            "no token is left to be judged"
        );
        assert!(
            tokens.iter().any(|(.., fate)| *fate == Fate::Dead),
            "no removal is there to be judged"
        );
    }

    /// "Log out everywhere" finds whatever is left of every account, what was never acknowledged too.
    pub(crate) async fn ends(&self, ground: &Ground, accounts: usize) {
        for account in 0..accounts {
            ground
                .strategy()
                .invalidate_all(&Account::new(account as u128).key())
                .await
                .unwrap();
        }
        for (is_access, token, _) in self.all() {
            assert!(
                !is_good(ground, is_access, &token).await,
                "a token outlives its user's removal"
            );
        }
    }
}

async fn is_good(ground: &Ground, is_access: bool, token: &PlainToken) -> bool {
    let good = if is_access {
        ground.accepts(token).await
    } else {
        ground.would_refresh(token).await
    };
    good.unwrap()
}
