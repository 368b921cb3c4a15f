//! Accounts that change while their password is being checked, and verifiers that say nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::axum::{CredentialVerifier, LoginAttempt, LoginVerdict};
use countersign::{Failure, UserId};
use http::StatusCode;
use serde_json::json;

use crate::fixture::web::{Member, World};
use crate::http::App;

/// Checks one password, and has it changed during the check as often as it is told to. It has no
/// `still_holds` of its own.
struct Changed {
    world: World,
    /// The password ends in this number.
    generation: AtomicUsize,
    changes: AtomicUsize,
    judged: Arc<AtomicUsize>,
    /// `true` if a change ends the sessions of the user, as an application should.
    ends_sessions: bool,
    /// `true` if the password stays, and somebody logs the user out everywhere.
    keeps_password: bool,
}

impl Changed {
    fn new(world: &World, changes: usize) -> Self {
        let world = World {
            store: world.store.clone(),
            clock: world.clock.clone(),
            members: world.members.clone(),
            strategy: world.strategy.clone(),
        };
        Self {
            world,
            generation: AtomicUsize::new(0),
            changes: AtomicUsize::new(changes),
            judged: Arc::default(),
            ends_sessions: true,
            keeps_password: false,
        }
    }
}

#[async_trait::async_trait]
impl CredentialVerifier<Member> for Changed {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        self.judged.fetch_add(1, Ordering::SeqCst);
        // The row is read here; the hash takes its time, and meanwhile the password changes.
        let is_right = login.password() == format!("pw {}", self.generation.load(Ordering::SeqCst));
        let changes = self
            .changes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if changes.is_ok() {
            let step = usize::from(!self.keeps_password);
            self.generation.fetch_add(step, Ordering::SeqCst);
            if self.ends_sessions {
                let sessions = self.world.strategy.as_refreshable().unwrap();
                sessions.end_sessions(&1_i64.to_key(), None).await?;
            }
        }
        Ok(self
            .world
            .members
            .find(1)
            .filter(|_| is_right)
            .map_or(LoginVerdict::Rejected, LoginVerdict::Accepted))
    }
}

/// A password that was changed during the check lets nobody in, whether or not the change ends sessions: without a line of
/// the application for it.
#[tokio::test]
async fn an_old_password_lets_nobody_in() {
    for ends_sessions in [true, false] {
        let world = World::new();
        let verifier = Changed {
            ends_sessions,
            ..Changed::new(&world, 1)
        };
        let app = App::with(world, verifier);
        let login = |password| json!({"identifier": "me", "password": password});
        let old = app.post_json("/auth/login", &login("pw 0")).await;
        old.is_problem(401, "LOGIN_BAD_CREDENTIALS", Some("Bearer"));
        let new = app.post_json("/auth/login", &login("pw 1")).await;
        assert_eq!(new.status, StatusCode::OK);
    }
}

/// The first judgement finds the user, the others are behind a fence: three at most.
#[tokio::test]
async fn a_login_that_is_overtaken_is_judged_again() {
    for (changes, status, judgements) in [
        (0, 200, 2),
        (1, 200, 2),
        (2, 200, 3),
        (3, 200, 4),
        (4, 401, 4),
    ] {
        let world = World::new();
        let verifier = Changed {
            keeps_password: true,
            ..Changed::new(&world, changes)
        };
        let judged = verifier.judged.clone();
        let app = App::with(world, verifier);
        let login = json!({"identifier": "me", "password": "pw 0"});
        let reply = app.post_json("/auth/login", &login).await;
        let seen = (reply.status.as_u16(), judged.load(Ordering::SeqCst));
        assert_eq!(seen, (status, judgements), "{changes} changes");
    }
}
