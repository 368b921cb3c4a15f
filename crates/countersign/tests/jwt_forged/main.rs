//! Forged and altered tokens of every kind, for every algorithm: each refused for the reason it deserves, and the good
//! ones among them accepted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(all(feature = "jwt", feature = "testing"))]

#[path = "../jwt_common/mod.rs"]
mod jwt_common;

mod claims;
mod forms;
mod headers;
mod keys;

use std::sync::Arc;

use countersign::denylist::MemoryDenylist;
use countersign::jwt::{Algorithm, KeyRing, SigningKey, raw};
use countersign::strategy::JwtStrategy;
use countersign::{Answer, PlainToken, Refusal, Secret, Strategy};
use jwt_common::{Account, Accounts, TestClock};

pub(crate) const NOW: i64 = 1_768_478_400;
pub(crate) const ID: &str = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
pub(crate) const KID: &str = "2026-11";
pub(crate) const ISSUER: &str = "https://issuer.example";

/// What a token has to be answered with.
pub(crate) type Expected = Result<(), Refusal>;

/// One token of a table.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) expected: Expected,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, token: String, expected: Expected) -> Self {
        Self { name: name.into(), token, expected }
    }
}

/// The keys of one algorithm, and a strategy that reads its tokens.
pub(crate) struct Bench {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: SigningKey,
    /// Of the same algorithm, under the same id, and not in the ring.
    pub(crate) stranger: SigningKey,
    strategy: JwtStrategy<Account>,
    accounts: Accounts,
}

impl Bench {
    fn new(algorithm: Algorithm) -> Self {
        let key = |secret: &Secret| SigningKey::from_secret(algorithm, secret).unwrap().with_kid(KID).unwrap();
        let (secret, stranger) = keys::pair(algorithm);
        let strategy = JwtStrategy::builder()
            .keys(KeyRing::new(key(&secret)))
            .issuer(ISSUER)
            .denylist_store(Arc::new(MemoryDenylist::default()))
            .clock(TestClock::at(NOW))
            .build()
            .unwrap();
        let account = Account { id: ID.parse().unwrap(), email: None, password_hash: None, active: true };
        Self { algorithm, key: key(&secret), stranger: key(&stranger), strategy, accounts: Accounts::of([account]) }
    }

    /// The header we write.
    pub(crate) fn header(&self) -> Object {
        Object(vec![("alg", quoted(self.algorithm.as_str())), ("typ", quoted("at+jwt")), ("kid", quoted(KID))])
    }

    /// Signs with the right key whatever is given.
    pub(crate) fn sign(&self, header: &str, payload: &[u8]) -> String {
        raw::sign(&self.key, header.as_bytes(), payload).unwrap()
    }

    pub(crate) fn good(&self) -> String {
        self.sign(&self.header().json(), good_claims().json().as_bytes())
    }

    async fn answer(&self, token: &str) -> Expected {
        match self.strategy.read_token(Some(&PlainToken::new(token)), &self.accounts).await.unwrap() {
            Answer::Accepted(_) => Ok(()),
            Answer::Refused(refusal) => Err(refusal),
            Answer::NotOffered => panic!("a token was offered"),
        }
    }
}

/// Members of an object as raw JSON, in order.
#[derive(Clone)]
pub(crate) struct Object(pub(crate) Vec<(&'static str, String)>);

impl Object {
    /// Another value for a member, or one more member at the end.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(member) => member.1 = value.into(),
            None => self.0.push((name, value.into())),
        }
        self
    }

    /// One more member, though its name be taken.
    pub(crate) fn and(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self
    }

    pub(crate) fn json(&self) -> String {
        let members: Vec<String> = self.0.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// The claims we write.
pub(crate) fn good_claims() -> Object {
    Object(vec![
        ("sub", quoted(ID)),
        ("aud", quoted("countersign:access")),
        ("iat", NOW.to_string()),
        ("nbf", NOW.to_string()),
        ("exp", (NOW + 900).to_string()),
        ("jti", quoted("36b92930b2f252b2b7bf06e8506240b1")),
        ("iss", quoted(ISSUER)),
    ])
}

#[tokio::test]
async fn every_algorithm() {
    let (mut refused, mut accepted) = (0, 0);
    for algorithm in Algorithm::ALL {
        let bench = Bench::new(algorithm);
        let tables = [forms::cases(&bench), headers::cases(&bench), claims::cases(&bench), keys::cases(&bench)];
        for case in tables.into_iter().flatten() {
            assert_eq!(bench.answer(&case.token).await, case.expected, "{algorithm} {}: {}", case.name, case.token);
            match case.expected {
                Ok(()) => accepted += 1,
                Err(_) => refused += 1,
            }
        }
    }
    println!("{refused} forged tokens refused, {accepted} good ones accepted");
    assert!(refused >= 300 && accepted >= 100, "{refused} forged, {accepted} good");
}
