//! Tokens, fingerprints, configurations and revocations of litestar-auth 1.1.1: the original's answer in its profile,
//! or a place in the table of deliberate differences, with the reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(feature = "jwt")]

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::fixture::clock;
use crate::fixture::users::{Account, Accounts};
use crate::fixture::vectors::{list, text, vectors};
use countersign::denylist::{DenylistStore, MemoryDenylist};
use countersign::entropy::Entropy;
use countersign::jwt::Algorithm;
use countersign::strategy::Strategy;
use countersign::strategy::{JwtStrategy, JwtStrategyBuilder};
use countersign::testing::ManualClock;
use countersign::token::TokenStatus;
use countersign::{ConfigError, Failure, PlainToken, Profile, Refusal, Secret, Timestamp, UserId};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::Value;
use uuid::Uuid;

/// Reads that we answer otherwise on purpose, each time with a refusal. docs/DIFFERENCES.md has the same table.
const READ_DIFFERENCES: [(&str, Refusal, &str); 11] = [
    (
        "exp/1e300",
        Refusal::Claims,
        "no such time: a token without end can't be revoked for good",
    ),
    (
        "exp/underscored-string",
        Refusal::Claims,
        "a time is a number; the original's denylist forgot such tokens at once",
    ),
    ("iat/digits-string", Refusal::Claims, "a time is a number"),
    ("sub/uppercase", Refusal::Subject, "one spelling per id"),
    ("sub/no-hyphens", Refusal::Subject, "one spelling per id"),
    ("sub/braces", Refusal::Subject, "one spelling per id"),
    ("sub/urn", Refusal::Subject, "one spelling per id"),
    (
        "sfp/non-ascii",
        Refusal::Fingerprint,
        "the original raises; a wrong fingerprint is a refusal",
    ),
    (
        "duplicate-sub/last-is-good",
        Refusal::Claims,
        "parsers disagree on which of two members counts",
    ),
    (
        "payload/bom",
        Refusal::Claims,
        "JSON has no byte order mark (RFC 8259 section 8.1)",
    ),
    (
        "text/signature-padded",
        Refusal::Malformed,
        "one spelling per token, so that it is revoked in every spelling",
    ),
];

/// The accounts of a case: its own, or those of the whole file.
fn users<I: UserId + FromStr<Err: Debug>>(all: &Value, case: &Value) -> Vec<Account<I>> {
    let own = if case["users"].is_array() { case } else { all };
    let member = |user: &Value, name: &str| user[name].as_str().map(str::to_owned);
    let account = |user: &Value| Account {
        id: text(user, "id").parse().unwrap(),
        email: member(user, "email"),
        password_hash: member(user, "hashed_password"),
        active: true,
    };
    list(own, "users").iter().map(account).collect()
}

fn builder<I: UserId>(
    all: &Value,
    config: &Value,
    clock: &Arc<ManualClock>,
) -> JwtStrategyBuilder<Account<I>> {
    let key = &all["keys"][text(config, "key")];
    let secret = key["secret"]
        .as_str()
        .unwrap_or_else(|| text(key, "private_pem"));
    let secret = Secret::dangerous_without_variety_check("secret", secret).unwrap();
    let clock: Arc<ManualClock> = Arc::clone(clock);
    let mut builder = JwtStrategy::builder()
        .profile(Profile::LitestarAuth)
        .algorithm(text(config, "algorithm").parse().unwrap())
        .secret(&secret)
        .denylist_store(Arc::new(MemoryDenylist::default()))
        .clock(clock);
    if let Some(public) = key["public_pem"].as_str() {
        builder = builder.verify_key(public);
    }
    if let Some(issuer) = config["issuer"].as_str() {
        builder = builder.issuer(issuer);
    }
    if let Some(claim) = config["fingerprint_claim"].as_str() {
        builder = builder.session_fingerprint_claim(claim);
    }
    if let Some(fixed) = config["fingerprint"].as_str() {
        let fixed = fixed.strip_prefix("const:").unwrap().to_owned();
        builder = builder.session_fingerprint_getter(move |_| Some(fixed.clone()));
    }
    if let Some(seconds) = config["lifetime_seconds"].as_u64() {
        builder = builder.lifetime(Duration::from_secs(seconds));
    }
    builder
}

fn seconds(value: &Value) -> i64 {
    value.as_f64().map(|seconds| seconds as i64).unwrap()
}

fn clock_at(now: &Value) -> Arc<ManualClock> {
    clock::at_time(Timestamp::from_micros(
        (now.as_f64().unwrap() * 1e6).round() as i64,
    ))
}

/// What a token is read as: the user's id, or why it is refused.
async fn read<I: UserId + Display + FromStr<Err: Debug>>(
    all: &Value,
    case: &Value,
) -> Result<String, Refusal> {
    let accounts = Accounts::<I>::of(users(all, case));
    let strategy = builder::<I>(all, &case["config"], &clock_at(&case["now"]))
        .build()
        .unwrap();
    match strategy
        .read_token(Some(&PlainToken::new(text(case, "token"))), &accounts)
        .await
        .unwrap()
    {
        TokenStatus::Accepted(accepted) => Ok(accepted.user.id.to_string()),
        TokenStatus::Refused(refusal) => Err(refusal),
        TokenStatus::NotOffered => panic!("a token was offered"),
    }
}

#[tokio::test]
async fn reads() {
    let all = vectors("vectors.json");
    let (mut same, mut different) = (0, 0);
    for case in list(&all["jwt"], "read") {
        let name = text(case, "name");
        let answer = match case["config"]["subject"].as_str() {
            Some("str") => read::<String>(&all, case).await,
            _ => read::<Uuid>(&all, case).await,
        };
        let difference = READ_DIFFERENCES.iter().find(|(listed, ..)| *listed == name);
        match (difference, text(&case["expect"], "result"), answer) {
            (Some((_, refusal, _)), _, Err(ours)) => {
                assert_eq!(ours, *refusal, "{name}");
                different += 1;
            }
            (None, "user", Ok(id)) => {
                assert_eq!(id, text(&case["expect"], "id"), "{name}");
                same += 1;
            }
            (None, "none", Err(_)) => same += 1,
            (_, expected, answer) => {
                panic!("{name}: the original says {expected}, we say {answer:?}")
            }
        }
    }
    assert_eq!((same, different), (100, READ_DIFFERENCES.len()));
}

/// What the original's Redis denylist holds back and lets through.
#[tokio::test]
async fn reads_with_its_denylist() {
    let all = vectors("vectors.json");
    let accounts = Accounts::<Uuid>::of(users(&all, &all));
    for case in list(&all["redis"], "jwt_denylist") {
        let token = PlainToken::new(text(case, "token"));
        let claims = claims(&token);
        let clock = clock::at(seconds(&claims["iat"]));
        let denylist = Arc::new(MemoryDenylist::default());
        let strategy = builder(&all, &case["config"], &clock)
            .denylist_store(denylist.clone())
            .build()
            .unwrap();
        let expected = text(&case["expect"], "result");
        if expected == "none" {
            let at = Timestamp::from_unix_seconds;
            denylist
                .deny(text(&claims, "jti"), at(seconds(&claims["exp"])), at(0))
                .await
                .unwrap();
        }
        let accepted = strategy
            .read_token(Some(&token), &accounts)
            .await
            .unwrap()
            .accepted();
        assert_eq!(accepted.is_some(), expected == "user");
    }
}

fn claims(token: &PlainToken) -> Value {
    let payload = token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).unwrap()).unwrap()
}

/// Returns the same bytes every time.
#[derive(Debug)]
struct FixedEntropy(Vec<u8>);

impl Entropy for FixedEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), Failure> {
        buffer.copy_from_slice(&self.0[..buffer.len()]);
        Ok(())
    }
}

/// Conformance cases 069 to 072: with the same clock and the same random bytes we write the original's token, byte for
/// byte; where signatures are randomised, header and claims byte for byte.
#[tokio::test]
async fn writes() {
    let all = vectors("vectors.json");
    let (mut whole, mut signed_at_random) = (0, 0);
    for case in list(&all["jwt"], "read")
        .iter()
        .filter(|case| is_write(case))
    {
        let theirs = text(case, "token");
        let ours = match case["config"]["subject"].as_str() {
            Some("str") => write::<String>(&all, case).await,
            _ => write::<Uuid>(&all, case).await,
        };
        if text(&case["config"], "algorithm").starts_with("ES") {
            assert_eq!(
                ours.rsplit_once('.').unwrap().0,
                theirs.rsplit_once('.').unwrap().0
            );
            signed_at_random += 1;
        } else {
            assert_eq!(ours, theirs, "{}", case["name"]);
            whole += 1;
        }
    }
    assert!(
        whole >= 20 && signed_at_random >= 10,
        "{whole} whole, {signed_at_random} up to the signature"
    );
}

/// Whether the token was issued by the configuration and for the first user that the case names.
fn is_write(case: &Value) -> bool {
    let by_others = [
        "read-with-default",
        "lost-fields",
        "changed",
        "token-has-it",
        "fractional-clock",
        "expired",
    ];
    text(case, "category") == "issued"
        && !by_others
            .iter()
            .any(|name| text(case, "name").contains(name))
}

async fn write<I: UserId + FromStr<Err: Debug>>(all: &Value, case: &Value) -> String {
    let claims = claims(&PlainToken::new(text(case, "token")));
    let jti = HEXLOWER.decode(text(&claims, "jti").as_bytes()).unwrap();
    let builder = builder::<I>(all, &case["config"], &clock_at(&claims["iat"]));
    let strategy = builder
        .entropy(Arc::new(FixedEntropy(jti)))
        .build()
        .unwrap();
    strategy
        .write_token(&users::<I>(all, case)[0])
        .await
        .unwrap()
        .token
        .expose()
        .to_owned()
}

async fn fingerprint_of(
    builder: JwtStrategyBuilder<Account<String>>,
    user: &Account<String>,
) -> String {
    let strategy = builder
        .denylist_store(Arc::new(MemoryDenylist::default()))
        .build()
        .unwrap();
    text(
        &claims(&strategy.write_token(user).await.unwrap().token),
        "sfp",
    )
    .to_owned()
}

#[tokio::test]
async fn fingerprints() {
    let all = vectors("vectors.json");
    for case in list(&all, "fingerprints") {
        let key = &all["keys"][text(case, "key")];
        let algorithm = match text(case, "key") {
            "hs" => Algorithm::Hs256,
            "rsa2048" => Algorithm::Rs256,
            "p256" => Algorithm::Es256,
            other => panic!("unknown key {other}"),
        };
        let secret = key["secret"]
            .as_str()
            .unwrap_or_else(|| text(key, "private_pem"));
        let secret = Secret::new("secret", secret).unwrap();
        let mut builder = JwtStrategy::builder()
            .profile(Profile::LitestarAuth)
            .algorithm(algorithm)
            .secret(&secret);
        if let Some(public) = key["public_pem"].as_str() {
            builder = builder.verify_key(public);
        }
        let user = Account::of(text(case, "id").to_owned())
            .with_password(text(case, "email"), text(case, "hashed_password"));
        assert_eq!(
            fingerprint_of(builder, &user).await,
            text(case, "fingerprint"),
            "{user:?}"
        );
    }
}

/// Conformance case 074.
#[tokio::test]
async fn fingerprint_known_answers() {
    let cases = [
        (
            "11111111-2222-3333-4444-555555555555",
            "user@example.com",
            "hashed-password",
            "387fbeddc668cb0839ee324d04493a73fa09b4d33aa71c16e328836745eb5844",
        ),
        (
            "7",
            "STRASSE@Straße.DE",
            "h",
            "6126da5ad5184fd64f60e4150e3fbfc7f880b8b5ab15a71d4390bee447e5a608",
        ),
    ];
    for (id, email, password_hash, expected) in cases {
        let secret = Secret::dangerous_without_variety_check("secret", "a".repeat(32)).unwrap();
        let builder = JwtStrategy::builder()
            .profile(Profile::LitestarAuth)
            .secret(&secret);
        let user = Account::of(id.to_owned()).with_password(email, password_hash);
        assert_eq!(fingerprint_of(builder, &user).await, expected);
    }
}

/// Configurations of ours that the original takes: it fails later, with the first token.
const CONFIG_DIFFERENCES: [(&str, &str); 1] = [(
    "RS256",
    "a text is no private key; the original fails at the first write",
)];

fn configure(case: &Value) -> Result<(), ConfigError> {
    let arguments = &case["arguments"];
    if text(case, "class") == "InMemoryJWTDenylistStore" {
        return MemoryDenylist::new(
            usize::try_from(arguments["max_entries"].as_u64().unwrap()).unwrap(),
        )
        .map(drop);
    }
    let secret = Secret::dangerous_without_variety_check("secret", text(arguments, "secret"))?;
    let algorithm = arguments["algorithm"].as_str().unwrap_or("HS256").parse()?;
    JwtStrategy::<Account>::builder()
        .profile(Profile::LitestarAuth)
        .secret(&secret)
        .algorithm(algorithm)
        .denylist_store(Arc::new(MemoryDenylist::default()))
        .build()
        .map(drop)
}

/// Conformance case 077, but for PS256 and EdDSA: we support them, and they refuse a secret that is no private key.
#[test]
fn configurations() {
    let all = vectors("vectors.json");
    let ours = ["JWTStrategy", "InMemoryJWTDenylistStore"];
    let mut count = 0;
    for case in list(&all, "config_errors")
        .iter()
        .filter(|case| ours.contains(&text(case, "class")))
    {
        let algorithm = case["arguments"]["algorithm"].as_str().unwrap_or_default();
        let difference = CONFIG_DIFFERENCES
            .iter()
            .any(|(listed, _)| *listed == algorithm);
        assert_eq!(
            configure(case).is_err(),
            !case["error"].is_null() || difference,
            "{case}"
        );
        count += 1;
    }
    assert_eq!(count, 9);
    assert!(MemoryDenylist::new(0).is_err_and(|error| error.setting() == "max_entries"));
}

/// Revocations that we leave out on purpose: no reader accepts these tokens, now or later.
const DESTROY_DIFFERENCES: [(&str, &str); 3] = [
    (
        "expired",
        "it is dead already, so an entry would only take room",
    ),
    (
        "empty-jti",
        "it is refused by reading; an empty entry would deny nothing else",
    ),
    ("missing-sub", "it is nobody's, so nobody owns it"),
];

/// Conformance case 103.
#[tokio::test]
async fn destroys() {
    let all = vectors("vectors.json");
    let alice = &users::<Uuid>(&all, &all)[0];
    let mut different = 0;
    for case in list(&all["jwt"], "destroy") {
        let name = text(case, "name");
        let now = seconds(&case["now"]);
        let denylist = Arc::new(MemoryDenylist::default());
        let strategy = builder(&all, &case["config"], &clock::at(now));
        let strategy = strategy.denylist_store(denylist.clone()).build().unwrap();
        strategy
            .destroy_token(&PlainToken::new(text(case, "token")), alice)
            .await
            .unwrap();
        if DESTROY_DIFFERENCES
            .iter()
            .any(|(listed, _)| *listed == name)
        {
            assert!(denylist.is_empty(), "{name}");
            different += 1;
            continue;
        }
        assert_eq!(denylist.len(), list(case, "denied").len(), "{name}");
    }
    assert_eq!(different, DESTROY_DIFFERENCES.len());
}

/// A live token is denied for exactly what is left of its life.
#[tokio::test]
async fn destroys_until_the_end() {
    let all = vectors("vectors.json");
    let alice = &users::<Uuid>(&all, &all)[0];
    let case = &list(&all["jwt"], "read")[0];
    let token = PlainToken::new(text(case, "token"));
    let end = seconds(&claims(&token)["exp"]);
    let denylist = Arc::new(MemoryDenylist::default());
    let strategy = builder(&all, &case["config"], &clock::at(end - 120));
    let strategy = strategy.denylist_store(denylist.clone()).build().unwrap();
    strategy.destroy_token(&token, alice).await.unwrap();
    let jti = claims(&token)["jti"].as_str().unwrap().to_owned();
    let at = Timestamp::from_unix_seconds;
    assert!(denylist.is_any_denied(&[&jti], at(end - 1)).await.unwrap());
    assert!(!denylist.is_any_denied(&[&jti], at(end)).await.unwrap());
}

/// Steps of the original's script at which we refuse instead of forgetting, and what follows from that.
const DENYLIST_DIFFERENCES: [(usize, &str); 4] = [
    (4, "full: the original forgets `c`, we refuse `d`"),
    (5, "so `c` is still denied"),
    (
        10,
        "full: the original had thrown an entry out to deny `a` again, we refuse `e`",
    ),
    (11, "so `e` was never denied"),
];

#[tokio::test]
async fn denylist_in_memory() {
    let all = vectors("vectors.json");
    let script = &all["jwt"]["memory_denylist"];
    let denylist = MemoryDenylist::new(3).unwrap();
    for (step, command) in list(script, "script").iter().enumerate() {
        let now = Timestamp::from_unix_seconds(command["at"].as_i64().unwrap());
        let jti = text(command, "jti");
        let different = DENYLIST_DIFFERENCES
            .iter()
            .any(|(listed, _)| *listed == step);
        if text(command, "op") == "deny" {
            let ttl = Duration::from_secs(command["ttl_seconds"].as_u64().unwrap().max(1));
            let done = denylist.deny(jti, now.saturating_add(ttl), now).await;
            assert_eq!(done.is_ok(), !different, "step {step}");
        } else {
            let denied = denylist.is_any_denied(&[jti], now).await.unwrap();
            assert_eq!(
                denied,
                command["result"].as_bool().unwrap() != different,
                "step {step}"
            );
        }
    }
}
