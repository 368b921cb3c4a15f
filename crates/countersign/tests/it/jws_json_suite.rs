//! The JSON parsing test suite inside genuinely signed tokens: no document that a parser must refuse gets through, also
//! where nobody looks at it (SECURITY row T-10).

#![cfg(feature = "jwt")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "test code"
)]

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use aws_lc_rs::hmac;
use countersign::denylist::MemoryDenylist;
use countersign::jwt::{Algorithm, KeyRing, SigningKey};
use countersign::strategy::JwtStrategy;
use countersign::strategy::Strategy;
use countersign::token::TokenStatus;
use countersign::{Failure, PlainToken, Refusal, Secret, SystemEntropy};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use futures_util::FutureExt;

use crate::fixture::users::Account;

/// Documents that the suite calls valid and we refuse.
const STRICTER: [(&str, &str); 2] = [
    ("y_object_duplicated_key.json", "a name twice"),
    ("y_object_duplicated_key_and_value.json", "a name twice"),
];

/// Documents that a parser may answer either way and we take: numbers that lose digits but stay finite. Everything else
/// that is left open we refuse: lone surrogates, text that is not UTF-8, a byte order mark, infinities, deep nesting.
const TAKEN: [&str; 5] = [
    "i_number_double_huge_neg_exp.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
];

struct Site {
    secret: Secret,
    strategy: JwtStrategy<Account<i64>>,
    /// A genuine token's header and claims.
    header: Vec<u8>,
    claims: Vec<u8>,
}

impl Site {
    async fn new() -> Self {
        let secret = Secret::generate(&SystemEntropy).unwrap();
        let key = SigningKey::from_secret(Algorithm::Hs256, &secret).unwrap();
        let builder = JwtStrategy::builder()
            .keys(KeyRing::new(key))
            .max_token_length(1 << 20);
        let strategy = builder
            .denylist_store(Arc::new(MemoryDenylist::default()))
            .build()
            .unwrap();
        let token = strategy.write_token(&Account::of(7)).await.unwrap().token;
        let mut segments = token
            .expose()
            .split('.')
            .map(|text| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap());
        let (header, claims) = (segments.next().unwrap(), segments.next().unwrap());
        Self {
            secret,
            strategy,
            header,
            claims,
        }
    }

    fn sign(&self, header: &[u8], claims: &[u8]) -> PlainToken {
        let signed = format!(
            "{}.{}",
            BASE64URL_NOPAD.encode(header),
            BASE64URL_NOPAD.encode(claims)
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose().as_bytes());
        let tag = BASE64URL_NOPAD.encode(hmac::sign(&key, signed.as_bytes()).as_ref());
        PlainToken::new(format!("{signed}.{tag}"))
    }

    /// The reason for which a token is refused, if it is.
    async fn refusal(&self, token: &PlainToken) -> Option<Refusal> {
        let users = |id: i64| async move { Ok::<_, Failure>(Some(Account::of(id))) };
        match self.strategy.read_token(Some(token), &users).await.unwrap() {
            TokenStatus::Accepted(_) => None,
            TokenStatus::Refused(refusal) => Some(refusal),
            TokenStatus::NotOffered => panic!("a token was offered"),
        }
    }
}

/// `document` as the value of a last member.
fn within(object: &[u8], document: &[u8]) -> Vec<u8> {
    let open = object.strip_suffix(b"}").unwrap();
    [open, b",\"ignored\":", document, b"}"].concat()
}

/// Whether a document has to come through as an ignored value.
fn must_pass(name: &str) -> bool {
    let stricter = STRICTER.iter().any(|(known, _)| *known == name);
    (name.starts_with("y_") && !stricter) || TAKEN.contains(&name)
}

fn documents() -> BTreeMap<String, Vec<u8>> {
    let suite: serde_json::Value =
        serde_json::from_str(include_str!("../vectors/json-suite/test_parsing.json")).unwrap();
    let files = suite["files"].as_object().unwrap();
    files
        .iter()
        .map(|(name, text)| {
            (
                name.clone(),
                BASE64.decode(text.as_str().unwrap().as_bytes()).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn every_document_is_read_strictly() {
    let site = Site::new().await;
    assert_eq!(
        site.refusal(&site.sign(&site.header, &site.claims)).await,
        None,
        "the token they are put into"
    );
    let documents = documents();
    assert_eq!(documents.len(), 318);

    let mut accepted: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, document) in &documents {
        let in_claims = within(&site.claims, document);
        let in_header = within(&site.header, document);
        let passes = must_pass(name);
        let (of_claims, of_header) = if passes {
            (None, None)
        } else {
            (Some(Refusal::Claims), Some(Refusal::Malformed))
        };
        for (place, token, expected) in [
            // No document of the suite holds a user's claims, so none is good on its own.
            (
                "claims",
                site.sign(&site.header, document),
                Some(Refusal::Claims),
            ),
            (
                "member of the claims",
                site.sign(&site.header, &in_claims),
                of_claims,
            ),
            (
                "member of the header",
                site.sign(&in_header, &site.claims),
                of_header,
            ),
        ] {
            match AssertUnwindSafe(site.refusal(&token)).catch_unwind().await {
                Err(_) => wrong.push(format!("{name} as {place}: panics")),
                Ok(found) if found != expected => {
                    wrong.push(format!("{name} as {place}: {found:?}, not {expected:?}"));
                }
                Ok(None) => *accepted.entry(&name[..2]).or_default() += 1,
                Ok(Some(_)) => {}
            }
        }
    }
    println!(
        "{} documents in 3 places, accepted: {accepted:?}, {} wrong",
        documents.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "wrong verdicts:\n{}", wrong.join("\n"));
    assert_eq!(
        accepted,
        BTreeMap::from([("i_", 2 * TAKEN.len()), ("y_", 2 * (95 - STRICTER.len()))])
    );
}

/// As a whole header a document lacks the algorithm, if it is an object at all.
#[tokio::test]
async fn no_document_is_a_header() {
    let site = Site::new().await;
    for (name, document) in documents() {
        let refusal = site.refusal(&site.sign(&document, &site.claims)).await;
        let object = document.trim_ascii_start().starts_with(b"{") && must_pass(&name);
        let expected = if object {
            Refusal::Algorithm
        } else {
            Refusal::Malformed
        };
        assert_eq!(refusal, Some(expected), "{name}");
    }
}
