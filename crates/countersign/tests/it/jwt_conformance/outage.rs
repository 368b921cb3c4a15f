//! What is answered when the denylist is full or out of reach, and what is logged and shown.

use std::sync::Arc;

use async_trait::async_trait;
use countersign::denylist::{DenylistStore, MemoryDenylist};
use countersign::error::FailureKind;
use countersign::jwt::{Algorithm, SigningKey};
use countersign::strategy::{Strategy, TokenControl};
use countersign::token::{EndOutcome, TokenStatus};
use countersign::{Failure, PlainToken, Refusal, Timestamp};

use crate::fixture::clock;
use crate::fixture::log;
use crate::fixture::users::{Account, Accounts};
use crate::fixture::vectors::text;
use crate::jwt_conformance::{ALICE, NOW, alice, claims, ours, read, secret};

/// Conformance case 107, and SECURITY row R-09: a full denylist says so and forgets nothing.
#[tokio::test]
async fn a_full_denylist_refuses() {
    let clock = clock::at(NOW);
    let denylist = Arc::new(MemoryDenylist::new(1).unwrap());
    let strategy = ours()
        .clock(clock.clone())
        .denylist_store(denylist.clone())
        .build()
        .unwrap();
    let accounts = Accounts::of([alice()]);
    let first = strategy.write_token(&alice()).await.unwrap().token;
    clock::set(&clock, NOW + 10);
    let second = strategy.write_token(&alice()).await.unwrap().token;
    strategy.destroy_token(&first, &alice()).await.unwrap();
    assert_eq!(
        strategy
            .destroy_token(&second, &alice())
            .await
            .unwrap_err()
            .kind(),
        FailureKind::Full
    );
    assert_eq!(
        read(&strategy, &first, &accounts).await,
        Err(Refusal::Revoked)
    );
    clock::set(&clock, NOW + 906);
    assert_eq!(
        strategy.destroy_token(&second, &alice()).await.unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(denylist.len(), 1);
}

/// A denylist that can't be asked: the fault, not a stand-in for a store.
struct Down;

#[async_trait]
impl DenylistStore for Down {
    async fn deny(&self, _: &str, _: Timestamp, _: Timestamp) -> Result<(), Failure> {
        Err(Failure::unavailable("denylist", "connection refused"))
    }

    async fn is_any_denied(&self, _: &[&str], _: Timestamp) -> Result<bool, Failure> {
        Err(Failure::unavailable("denylist", "connection refused"))
    }

    async fn sweep(&self, _: Timestamp, _: u32) -> Result<u64, Failure> {
        Err(Failure::unavailable("denylist", "connection refused"))
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// Conformance cases 108 and 109.
#[tokio::test]
async fn an_outage_is_no_answer() {
    let strategy = ours().denylist_store(Arc::new(Down)).build().unwrap();
    let token = strategy.write_token(&alice()).await.unwrap().token;
    let read = strategy
        .read_token(Some(&token), &Accounts::of([alice()]))
        .await
        .unwrap_err();
    assert_eq!(read.kind(), FailureKind::Unavailable);
    assert_eq!(
        strategy
            .destroy_token(&token, &alice())
            .await
            .unwrap_err()
            .kind(),
        FailureKind::Unavailable
    );
    assert!(strategy.revocation_is_durable());
    // A token that is refused by itself needs no denylist.
    let forged = PlainToken::new(format!("{}x", token.expose()));
    assert!(matches!(
        strategy
            .read_token(Some(&forged), &Accounts::of([alice()]))
            .await,
        Ok(TokenStatus::Refused(_))
    ));
}

/// Conformance cases 098 and 101.
#[tokio::test(flavor = "current_thread")]
async fn logs_name_reasons_and_nobody() {
    log::listen();
    let strategy = ours().build().unwrap();
    let token = strategy.write_token(&alice()).await.unwrap().token;
    let accounts = Accounts::of([]);
    let _ = read(&strategy, &token, &accounts).await;
    accounts.put(Account {
        email: None,
        ..alice()
    });
    let _ = read(&strategy, &token, &accounts).await;
    accounts.put(alice());
    strategy.destroy_token(&token, &alice()).await.unwrap();
    let _ = read(&strategy, &token, &accounts).await;
    let picky = ours().subject_decoder(|_| None).build().unwrap();
    let _ = read(&picky, &token, &accounts).await;

    let log = log::of_this_thread().concat();
    for reason in ["user_unknown", "fingerprint", "revoked", "subject"] {
        assert!(log.contains(reason), "{reason} is missing:\n{log}");
    }
    assert!(log.contains("WARN"), "{log}");
    let claims = claims(&token);
    let needles = [
        ALICE,
        "xample.com",
        text(&claims, "jti"),
        text(&claims, "sfp"),
        token.expose(),
        "argon2id",
        secret().expose(),
    ]
    .map(str::to_lowercase);
    for needle in needles {
        assert!(
            !log.to_lowercase().contains(&needle),
            "{needle} is in the log"
        );
    }
}

#[test]
fn debug_shows_no_secret() {
    let strategy = ours().build().unwrap();
    let shown = format!(
        "{strategy:?} {:?} {:?}",
        ours(),
        SigningKey::from_secret(Algorithm::Hs256, &secret()).unwrap()
    );
    assert!(shown.contains("HS256") && !shown.contains(secret().expose()));
}
