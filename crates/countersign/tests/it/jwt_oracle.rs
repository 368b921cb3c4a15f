//! Another implementation as an oracle, and properties of every parser between a token's text and its claims.

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

use std::sync::{Arc, LazyLock};

use crate::fixture::clock;
use crate::fixture::users::{Account, Accounts};
use countersign::denylist::MemoryDenylist;
use countersign::jwt::{Algorithm, KeyRing, SigningKey, generate_secret, raw};
use countersign::strategy::JwtStrategy;
use countersign::strategy::Strategy as _;
use countersign::token::TokenStatus;
use countersign::{PlainToken, Secret, SystemEntropy};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 1_768_478_400;
const ID: &str = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";

/// The oracle's name of an algorithm; it has no ES512.
fn theirs(algorithm: Algorithm) -> Option<jsonwebtoken::Algorithm> {
    algorithm.as_str().parse().ok()
}

fn encoding_key(algorithm: Algorithm, secret: &Secret) -> EncodingKey {
    let bytes = secret.expose().as_bytes();
    match algorithm.as_str().as_bytes()[0] {
        b'H' => EncodingKey::from_secret(bytes).unwrap(),
        b'R' | b'P' => EncodingKey::from_rsa_pem(bytes).unwrap(),
        _ if algorithm == Algorithm::EdDsa => EncodingKey::from_ed_pem(bytes).unwrap(),
        _ => EncodingKey::from_ec_pem(bytes).unwrap(),
    }
}

fn decoding_key(key: &SigningKey, secret: &Secret) -> DecodingKey {
    match key.verifying_key().to_jwk() {
        None => DecodingKey::from_secret(secret.expose().as_bytes()).unwrap(),
        Some(jwk) => DecodingKey::from_jwk(&serde_json::from_str(&jwk).unwrap()).unwrap(),
    }
}

/// The clock is the oracle's own, so it judges no times.
fn validation(algorithm: jsonwebtoken::Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.set_audience(&["countersign:access"]);
    validation
}

#[test]
fn tokens_pass_both_ways() {
    let mut count = 0;
    for algorithm in Algorithm::ALL {
        let Some(named) = theirs(algorithm) else {
            continue;
        };
        let secret = generate_secret(algorithm, &SystemEntropy).unwrap();
        let key = SigningKey::from_secret(algorithm, &secret).unwrap();
        let claims = json!({ "sub": ID, "aud": "countersign:access", "exp": 4_924_238_400_i64 });

        let mut header = Header::new(named);
        header.kid = Some(key.verifying_key().kid().to_owned());
        let made =
            jsonwebtoken::encode(&header, &claims, &encoding_key(algorithm, &secret)).unwrap();
        let ring = KeyRing::new(SigningKey::from_secret(algorithm, &secret).unwrap());
        let read: Value = serde_json::from_slice(&raw::verify(&ring, &made).unwrap()).unwrap();
        assert_eq!(read, claims, "{algorithm}");

        let header = format!(r#"{{"alg":"{algorithm}"}}"#);
        let made = raw::sign(&key, header.as_bytes(), claims.to_string().as_bytes()).unwrap();
        let read =
            jsonwebtoken::decode::<Value>(&made, &decoding_key(&key, &secret), &validation(named))
                .unwrap();
        assert_eq!(read.claims, claims, "{algorithm}");
        count += 1;
    }
    assert_eq!(count, 12);
}

struct Bench {
    strategy: JwtStrategy<Account>,
    accounts: Accounts,
    key: SigningKey,
    oracle: DecodingKey,
    runtime: tokio::runtime::Runtime,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
    let key = || {
        SigningKey::from_secret(Algorithm::Hs256, &secret)
            .unwrap()
            .with_kid("k")
            .unwrap()
    };
    let builder = JwtStrategy::builder()
        .keys(KeyRing::new(key()))
        .clock(clock::at(NOW));
    let account = Account {
        id: ID.parse().unwrap(),
        email: None,
        password_hash: None,
        active: true,
    };
    Bench {
        strategy: builder
            .denylist_store(Arc::new(MemoryDenylist::default()))
            .build()
            .unwrap(),
        accounts: Accounts::of([account]),
        key: key(),
        oracle: decoding_key(&key(), &secret),
        runtime: tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap(),
    }
});

impl Bench {
    fn accepts(&self, token: &str) -> bool {
        let token = PlainToken::new(token);
        let answer = self
            .runtime
            .block_on(self.strategy.read_token(Some(&token), &self.accounts));
        matches!(answer.unwrap(), TokenStatus::Accepted(_))
    }

    fn oracle_accepts(&self, token: &str) -> bool {
        let validation = validation(jsonwebtoken::Algorithm::HS256);
        jsonwebtoken::decode::<Value>(token, &self.oracle, &validation).is_ok()
    }
}

const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt","kid":"k"}"#;

fn good_claims() -> Value {
    json!({ "sub": ID, "aud": "countersign:access", "iat": NOW, "nbf": NOW, "exp": NOW + 900, "jti": "t" })
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (NOW - 20..NOW + 20).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!(["countersign:access"])),
        Just(json!({ "a": 1 })),
        Just(json!(ID)),
    ]
}

fn edited(token: &str, at: usize, edit: u8, with: char) -> String {
    let mut letters: Vec<char> = token.chars().collect();
    let at = at % letters.len();
    match edit % 3 {
        0 => letters[at] = with,
        1 => letters.insert(at, with),
        _ => drop(letters.remove(at)),
    }
    letters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_is_a_token(text in "[A-Za-z0-9_.=+/ -]{0,120}|.{0,60}") {
        prop_assert!(!BENCH.accepts(&text));
    }

    #[test]
    fn an_edited_token_is_no_token(at in any::<usize>(), edit in any::<u8>(), with in "[A-Za-z0-9_.=+/ é-]") {
        let good = raw::sign(&BENCH.key, HEADER.as_bytes(), good_claims().to_string().as_bytes()).unwrap();
        prop_assert!(BENCH.accepts(&good) && BENCH.oracle_accepts(&good));
        let token = edited(&good, at, edit, with.chars().next().unwrap());
        prop_assert_eq!(BENCH.accepts(&token), token == good);
    }

    #[test]
    fn no_bytes_are_a_header(header in proptest::collection::vec(any::<u8>(), 0..120)) {
        let token = raw::sign(&BENCH.key, &header, good_claims().to_string().as_bytes()).unwrap();
        prop_assert!(!BENCH.accepts(&token));
    }

    #[test]
    fn no_bytes_are_claims(claims in proptest::collection::vec(any::<u8>(), 0..120)) {
        let token = raw::sign(&BENCH.key, HEADER.as_bytes(), &claims).unwrap();
        prop_assert!(!BENCH.accepts(&token));
    }

    /// Whatever we accept, the oracle accepts.
    #[test]
    fn never_laxer_than_the_oracle(
        name in prop_oneof![Just("sub"), Just("aud"), Just("iat"), Just("nbf"), Just("exp"), Just("jti"), Just("sid"), Just("fence"), Just("x")],
        value in any_value(),
        head in prop_oneof![Just("alg"), Just("typ"), Just("kid"), Just("crit"), Just("b64"), Just("cty"), Just("x")],
        head_value in prop_oneof![any_value(), Just(json!("HS256")), Just(json!("at+jwt")), Just(json!("k"))],
    ) {
        let mut claims = good_claims();
        claims[name] = value;
        let token = raw::sign(&BENCH.key, HEADER.as_bytes(), claims.to_string().as_bytes()).unwrap();
        prop_assert!(!BENCH.accepts(&token) || BENCH.oracle_accepts(&token), "{}", claims);

        let mut header: Value = serde_json::from_str(HEADER).unwrap();
        header[head] = head_value;
        let token = raw::sign(&BENCH.key, header.to_string().as_bytes(), good_claims().to_string().as_bytes()).unwrap();
        prop_assert!(!BENCH.accepts(&token) || BENCH.oracle_accepts(&token), "{}", header);
    }
}
