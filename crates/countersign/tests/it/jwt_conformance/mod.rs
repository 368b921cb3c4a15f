//! Issuing, reading and revoking signed tokens: the conformance cases F, G and H by number, and sessions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(all(feature = "jwt", feature = "testing"))]

mod outage;

use std::sync::Arc;
use std::time::Duration;

use crate::fixture::clock;
use crate::fixture::signed::account;
use crate::fixture::users::{Account, Accounts};
use crate::fixture::vectors::text;
use crate::fixture::vectors::vectors;
use countersign::denylist::MemoryDenylist;
use countersign::error::FailureKind;
use countersign::jwt::{Algorithm, KeyRing, SigningKey, VerifyingKey, generate_secret, raw};
use countersign::store::{MemoryStore, TokenStore};
use countersign::strategy::{JwtStrategy, JwtStrategyBuilder, Sessions};
use countersign::strategy::{Strategy, TokenControl};
use countersign::token::{DigestKeyRing, EndOutcome, Invalidated, TokenStatus};
use countersign::{Lifetimes, PlainToken, Profile, Refusal};
use countersign::{Secret, SystemEntropy, Timestamp, UserId};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

const NOW: i64 = 1_768_478_400;
const ALICE: &str = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
const BOB: &str = "6fa459ea-ee8a-4ca4-894e-db77e160355e";

fn alice() -> Account {
    account(ALICE, "Alice@Example.com", "$argon2id$hash-of-alice")
}

fn bob() -> Account {
    account(BOB, "bob@example.com", "$argon2id$hash-of-bob")
}

fn secret() -> Secret {
    Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap()
}

fn ours() -> JwtStrategyBuilder<Account> {
    JwtStrategy::builder()
        .secret(&secret())
        .denylist_store(Arc::new(MemoryDenylist::default()))
        .clock(clock::at(NOW))
}

fn original() -> JwtStrategyBuilder<Account> {
    ours().profile(Profile::LitestarAuth)
}

fn decoded(token: &PlainToken, segment: usize) -> String {
    let segment = token.expose().split('.').nth(segment).unwrap();
    String::from_utf8(BASE64URL_NOPAD.decode(segment.as_bytes()).unwrap()).unwrap()
}

fn claims(token: &PlainToken) -> Value {
    serde_json::from_str(&decoded(token, 1)).unwrap()
}

async fn read(
    strategy: &JwtStrategy<Account>,
    token: &PlainToken,
    accounts: &Accounts,
) -> Result<Account, Refusal> {
    match strategy.read_token(Some(token), accounts).await.unwrap() {
        TokenStatus::Accepted(accepted) => Ok(accepted.user),
        TokenStatus::Refused(refusal) => Err(refusal),
        TokenStatus::NotOffered => panic!("a token was offered"),
    }
}

/// Conformance cases 069 to 072 and 076.
#[tokio::test]
async fn the_originals_format() {
    let strategy = original().issuer("https://issuer.example").build().unwrap();
    let token = strategy.write_token(&alice()).await.unwrap().token;
    assert_eq!(decoded(&token, 0), r#"{"alg":"HS256","typ":"JWT"}"#);
    let payload = decoded(&token, 1);
    let at = ["sub", "aud", "iat", "nbf", "exp", "jti", "iss", "sfp"]
        .map(|name| payload.find(&format!("\"{name}\":")).unwrap());
    assert!(at.is_sorted(), "{payload}");
    let claims = claims(&token);
    assert_eq!(
        (
            claims["iat"].as_i64(),
            claims["nbf"].as_i64(),
            claims["exp"].as_i64()
        ),
        (Some(NOW), Some(NOW), Some(NOW + 900))
    );
    let jti = text(&claims, "jti");
    assert!(
        jti.len() == 32
            && jti
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    );
    let nobody = Account {
        email: None,
        ..alice()
    };
    let token = strategy.write_token(&nobody).await.unwrap().token;
    assert!(!decoded(&token, 1).contains("sfp"));
}

/// No personal data in a token (SECURITY row C-12), and ids that don't repeat (T-12).
#[tokio::test]
async fn our_format() {
    let strategy = ours().build().unwrap();
    let issued = strategy.write_token(&alice()).await.unwrap();
    let header: Value = serde_json::from_str(&decoded(&issued.token, 0)).unwrap();
    assert_eq!(
        (text(&header, "alg"), text(&header, "typ")),
        ("HS256", "at+jwt")
    );
    assert!(
        strategy
            .keys()
            .keys()
            .any(|key| key.kid() == text(&header, "kid"))
    );
    assert!(!decoded(&issued.token, 1).to_lowercase().contains("alice"));
    assert_eq!(issued.expires_at, Timestamp::from_unix_seconds(NOW + 900));
    let mut ids = std::collections::HashSet::new();
    for _ in 0..10_000 {
        let token = strategy.write_token(&alice()).await.unwrap().token;
        assert!(ids.insert(text(&claims(&token), "jti").to_owned()));
    }
}

/// Nothing is issued that we would not read.
#[tokio::test]
async fn no_token_is_too_long() {
    let strategy = ours().issuer("x".repeat(8192)).build().unwrap();
    assert_eq!(
        strategy.write_token(&alice()).await.unwrap_err().kind(),
        FailureKind::Internal
    );
}

/// One secret, one purpose (SECURITY row K-02): our fingerprint isn't the original's, and isn't the plain HMAC.
#[tokio::test]
async fn fingerprint_keys_are_derived() {
    let theirs = original()
        .build()
        .unwrap()
        .write_token(&alice())
        .await
        .unwrap()
        .token;
    let derived = ours()
        .build()
        .unwrap()
        .write_token(&alice())
        .await
        .unwrap()
        .token;
    let other = Secret::new("secret", "qU8-le04Mnr1_yAt92wCox5ZiHgS3bFd").unwrap();
    let configured = ours()
        .session_fingerprint_secret(&other)
        .build()
        .unwrap()
        .write_token(&alice())
        .await
        .unwrap()
        .token;
    let fingerprints =
        [theirs, derived, configured].map(|token| text(&claims(&token), "sfp").to_owned());
    assert!(fingerprints[0] != fingerprints[1] && fingerprints[1] != fingerprints[2]);
}

/// Conformance cases 077 and 079, and what else doesn't build.
#[test]
fn configurations_that_do_not_build() {
    let error = "none".parse::<Algorithm>().unwrap_err().to_string();
    assert!(
        error.contains("HS256") && error.contains("EdDSA"),
        "{error}"
    );
    let pair = generate_secret(Algorithm::Es256, &SystemEntropy).unwrap();
    let stranger = generate_secret(Algorithm::Es256, &SystemEntropy).unwrap();
    let long = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc-second-half").unwrap();
    let rsa = Secret::new(
        "secret",
        text(&vectors("vectors.json")["keys"]["rsa2048"], "private_pem"),
    )
    .unwrap();
    let public = text(&vectors("vectors.json")["keys"]["rsa2048"], "public_pem").to_owned();
    let cases: Vec<(&str, JwtStrategyBuilder<Account>)> = vec![
        (
            "verify_key",
            ours().algorithm(Algorithm::Rs256).secret(&rsa),
        ),
        (
            "verify_key",
            original().algorithm(Algorithm::Rs256).secret(&rsa),
        ),
        (
            "verify_key",
            ours()
                .algorithm(Algorithm::Rs256)
                .secret(&rsa)
                .verify_key(rsa.expose()),
        ),
        (
            "verify_key",
            ours()
                .algorithm(Algorithm::Rs256)
                .secret(&rsa)
                .verify_key("no key"),
        ),
        (
            "verify_key",
            ours()
                .algorithm(Algorithm::Es256)
                .secret(&pair)
                .verify_key(&public),
        ),
        (
            "verify_key",
            ours()
                .algorithm(Algorithm::Es384)
                .secret(&pair)
                .verify_key(&public),
        ),
        ("max_token_length", ours().max_token_length(2047)),
        ("secret", ours().secret(&rsa)),
        (
            "secret",
            original().secret(&Secret::new("secret", &public).unwrap()),
        ),
        (
            "verify_key",
            ours().algorithm(Algorithm::EdDsa).verify_key("x"),
        ),
        ("secret", ours().algorithm(Algorithm::Hs384)),
        ("secret", ours().algorithm(Algorithm::Hs512).secret(&long)),
        ("secret", JwtStrategy::builder()),
        ("denylist_store", JwtStrategy::builder().secret(&secret())),
        ("lifetime", ours().lifetime(Duration::ZERO)),
        ("lifetime", ours().lifetime(Duration::MAX)),
        ("max_lifetime", ours().max_lifetime(Duration::from_mins(14))),
        ("leeway", ours().leeway(Duration::from_secs(11))),
        ("issuer", ours().issuer("")),
        ("audience", ours().audience("")),
        (
            "session_fingerprint_claim",
            ours().session_fingerprint_claim("sub"),
        ),
        (
            "keys",
            ours().keys(KeyRing::new(
                SigningKey::from_secret(Algorithm::Es256, &stranger).unwrap(),
            )),
        ),
    ];
    // One secret, one purpose, whichever of the keys has it (SECURITY row K-02).
    let sessions = |digests: &Secret| {
        let lifetimes = Lifetimes::new(Duration::from_mins(15), Duration::from_hours(24)).unwrap();
        let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
        Sessions::new(store, DigestKeyRing::new("k", digests).unwrap(), lifetimes)
    };
    let ring = |active: &Secret, accepted: &Secret| {
        let accepted = SigningKey::from_secret(Algorithm::Hs256, accepted).unwrap();
        let ring = KeyRing::new(SigningKey::from_secret(Algorithm::Hs256, active).unwrap());
        ring.accept(accepted.verifying_key().clone()).unwrap()
    };
    let unlike = Secret::generate(&SystemEntropy).unwrap();
    let keyed = || JwtStrategy::builder().denylist_store(Arc::new(MemoryDenylist::default()));
    let shared: Vec<(&str, JwtStrategyBuilder<Account>)> = vec![
        ("secret", ours().sessions(sessions(&secret()))),
        ("secret", original().sessions(sessions(&secret()))),
        (
            "session_fingerprint_secret",
            ours()
                .session_fingerprint_secret(&unlike)
                .sessions(sessions(&unlike)),
        ),
        (
            "secret",
            keyed()
                .keys(ring(&long, &secret()))
                .sessions(sessions(&secret())),
        ),
        (
            "secret",
            keyed()
                .keys(KeyRing::new(
                    SigningKey::from_secret(Algorithm::Es256, &pair).unwrap(),
                ))
                .sessions(sessions(&pair)),
        ),
    ];
    assert!(ours().sessions(sessions(&unlike)).build().is_ok());
    for (setting, builder) in cases.into_iter().chain(shared) {
        let error = builder.build().map(drop).unwrap_err();
        let named = error.setting();
        assert_eq!(named, setting, "{error}");
        assert!(!format!("{error:?}").contains(secret().expose()));
    }
    assert!(
        original().algorithm(Algorithm::Hs512).build().is_ok(),
        "the original asks for 32 characters only"
    );
}

/// A public key alone reads; fingerprints then need a secret of their own.
#[tokio::test]
async fn public_key_alone_reads() {
    let pair = generate_secret(Algorithm::EdDsa, &SystemEntropy).unwrap();
    let key = SigningKey::from_secret(Algorithm::EdDsa, &pair).unwrap();
    let public =
        VerifyingKey::from_jwk(Algorithm::EdDsa, &key.verifying_key().to_jwk().unwrap()).unwrap();
    let builder = || {
        JwtStrategy::<Account>::builder()
            .denylist_store(Arc::new(MemoryDenylist::default()))
            .clock(clock::at(NOW))
    };
    let blind = builder()
        .keys(KeyRing::verify_only(public.clone()))
        .build()
        .map(drop)
        .unwrap_err();
    assert_eq!(blind.setting(), "session_fingerprint_secret");

    let reader = builder()
        .keys(KeyRing::verify_only(public))
        .session_fingerprint_secret(&secret())
        .build()
        .unwrap();
    let writer = builder()
        .keys(KeyRing::new(key))
        .session_fingerprint_secret(&secret())
        .build()
        .unwrap();
    let token = writer.write_token(&alice()).await.unwrap().token;
    assert_eq!(
        read(&reader, &token, &Accounts::of([alice()])).await,
        Ok(alice())
    );
    assert_eq!(
        reader.write_token(&alice()).await.unwrap_err().kind(),
        FailureKind::Internal
    );
}

/// SECURITY row K-03: both keys' tokens are read while both are in the ring, and neither after it left.
#[tokio::test]
async fn keys_rotate() {
    let key = |secret: &str, kid: &str| {
        SigningKey::from_secret(Algorithm::Hs256, &Secret::new("secret", secret).unwrap())
            .unwrap()
            .with_kid(kid)
            .unwrap()
    };
    let old = || key("redis-token-hash-secret-1234567890", "old");
    let new = || key("pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc", "new");
    let strategy = |ring| {
        let builder = JwtStrategy::builder().denylist_store(Arc::new(MemoryDenylist::default()));
        builder.clock(clock::at(NOW)).keys(ring).build().unwrap()
    };
    let accounts = Accounts::of([alice()]);
    let before = strategy(KeyRing::new(old()))
        .write_token(&alice())
        .await
        .unwrap()
        .token;
    let both = strategy(
        KeyRing::new(new())
            .accept(old().verifying_key().clone())
            .unwrap(),
    );
    let after = both.write_token(&alice()).await.unwrap().token;
    assert_eq!(read(&both, &before, &accounts).await, Ok(alice()));
    assert_eq!(read(&both, &after, &accounts).await, Ok(alice()));
    assert_eq!(
        read(&strategy(KeyRing::new(new())), &before, &accounts).await,
        Err(Refusal::UnknownKey)
    );
    assert!(
        KeyRing::new(new())
            .accept(new().verifying_key().clone())
            .is_err()
    );
}

/// Conformance cases 081, 082, 093 and 095.
#[tokio::test]
async fn asks_for_the_decoded_id() {
    let strategy = ours().build().unwrap();
    let accounts = Accounts::of([alice()]);
    assert_eq!(
        strategy.read_token(None, &accounts).await.unwrap(),
        TokenStatus::NotOffered
    );
    assert!(accounts.asked().is_empty());
    let token = strategy.write_token(&alice()).await.unwrap().token;
    assert_eq!(read(&strategy, &token, &accounts).await, Ok(alice()));
    assert_eq!(accounts.asked(), [alice().id]);
    let picky = ours().subject_decoder(|_| None).build().unwrap();
    assert_eq!(read(&picky, &token, &accounts).await, Err(Refusal::Subject));
    assert_eq!(accounts.asked().len(), 1);
    accounts.remove(&alice().id);
    assert_eq!(
        read(&strategy, &token, &accounts).await,
        Err(Refusal::UserUnknown)
    );
}

/// Conformance case 083: both boundaries, in both profiles.
#[tokio::test]
async fn ends_at_its_end() {
    let accounts = Accounts::of([alice()]);
    for (builder, leeway) in [
        (original as fn() -> _, 0),
        (ours as fn() -> JwtStrategyBuilder<Account>, 5),
    ] {
        let clock = clock::at(NOW);
        let strategy = builder().clock(clock.clone()).build().unwrap();
        let token = strategy.write_token(&alice()).await.unwrap().token;
        clock::set(&clock, NOW + 899 + leeway);
        assert_eq!(read(&strategy, &token, &accounts).await, Ok(alice()));
        clock::set(&clock, NOW + 900 + leeway);
        assert_eq!(
            read(&strategy, &token, &accounts).await,
            Err(Refusal::Expired)
        );
        clock::set(&clock, NOW - leeway);
        assert_eq!(read(&strategy, &token, &accounts).await, Ok(alice()));
        clock::set(&clock, NOW - leeway - 1);
        assert_eq!(
            read(&strategy, &token, &accounts).await,
            Err(Refusal::NotYetValid)
        );
    }
}

/// Conformance case 091: tokens of other kinds under the same secret.
#[tokio::test]
async fn other_kinds_are_refused() {
    let strategy = original().build().unwrap();
    let key = SigningKey::from_secret(Algorithm::Hs256, &secret()).unwrap();
    let good = strategy.write_token(&alice()).await.unwrap().token;
    for kind in ["verify", "reset-password", "2fa-pending", "2fa-enroll"] {
        let payload =
            decoded(&good, 1).replace("litestar-auth:access", &format!("litestar-auth:{kind}"));
        let token = raw::sign(&key, decoded(&good, 0).as_bytes(), payload.as_bytes()).unwrap();
        assert_eq!(
            read(&strategy, &PlainToken::new(token), &Accounts::of([alice()])).await,
            Err(Refusal::Audience),
            "{kind}"
        );
    }
}

/// Conformance cases 096 to 098.
#[tokio::test]
async fn fingerprint_follows_the_account() {
    for builder in [original as fn() -> JwtStrategyBuilder<Account>, ours] {
        let strategy = builder().build().unwrap();
        let token = strategy.write_token(&alice()).await.unwrap().token;
        let bare = builder()
            .without_session_fingerprint()
            .build()
            .unwrap()
            .write_token(&alice())
            .await
            .unwrap()
            .token;
        let changed = [
            Account {
                email: Some("alice@other.example".into()),
                ..alice()
            },
            Account {
                password_hash: Some("$argon2id$new".into()),
                ..alice()
            },
            Account {
                password_hash: None,
                ..alice()
            },
        ];
        for account in changed {
            assert_eq!(
                read(&strategy, &token, &Accounts::of([account])).await,
                Err(Refusal::Fingerprint)
            );
        }
        let recased = Account {
            email: Some("ALICE@EXAMPLE.COM".into()),
            ..alice()
        };
        assert!(
            read(&strategy, &token, &Accounts::of([recased]))
                .await
                .is_ok()
        );
        assert_eq!(
            read(&strategy, &bare, &Accounts::of([alice()])).await,
            Err(Refusal::Fingerprint)
        );
    }
}

/// Conformance cases 102, 103 and 109; another user's token is left alone; a token is denied past its leeway.
#[tokio::test]
async fn destroyed_everywhere_and_until_the_end() {
    let denylist = Arc::new(MemoryDenylist::default());
    let clock = clock::at(NOW);
    let instance = || {
        ours()
            .clock(clock.clone())
            .denylist_store(denylist.clone())
            .build()
            .unwrap()
    };
    let (one, two) = (instance(), instance());
    let accounts = Accounts::of([alice(), bob()]);
    let token = one.write_token(&alice()).await.unwrap().token;
    assert!(!one.revocation_is_durable());
    assert_eq!(
        one.destroy_token(&token, &bob()).await.unwrap(),
        EndOutcome::AlreadyEnded
    );
    assert_eq!(read(&two, &token, &accounts).await, Ok(alice()));
    assert_eq!(
        one.destroy_token(&token, &alice()).await.unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(
        two.destroy_token(&token, &alice()).await.unwrap(),
        EndOutcome::AlreadyEnded
    );
    for at in [0, 899, 904] {
        clock::set(&clock, NOW + at);
        assert_eq!(
            read(&two, &token, &accounts).await,
            Err(Refusal::Revoked),
            "after {at} s"
        );
    }
    clock::set(&clock, NOW + 905);
    assert_eq!(read(&two, &token, &accounts).await, Err(Refusal::Expired));
    assert_eq!(
        one.invalidate_all(&alice().id.to_key()).await.unwrap(),
        Invalidated::Unsupported
    );
}

/// A host whose clock is ahead issues a token, and it is destroyed before it is valid here.
#[tokio::test]
async fn destroyed_before_it_is_valid() {
    let clock = clock::at(NOW + 60);
    let strategy = ours().clock(clock.clone()).build().unwrap();
    let token = strategy.write_token(&alice()).await.unwrap().token;
    clock::set(&clock, NOW);
    assert_eq!(
        strategy.destroy_token(&token, &alice()).await.unwrap(),
        EndOutcome::Ended
    );
    clock::set(&clock, NOW + 60);
    assert_eq!(
        read(&strategy, &token, &Accounts::of([alice()])).await,
        Err(Refusal::Revoked)
    );
}
