//! The JSON suite inside signed tokens: no document that isn't JSON gets through, as claims or anywhere in them, and
//! none breaks the reader.

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

mod jwt_common;

use std::sync::Arc;

use countersign::denylist::MemoryDenylist;
use countersign::jwt::{Algorithm, KeyRing, SigningKey, raw};
use countersign::strategy::JwtStrategy;
use countersign::{Answer, PlainToken, Secret, Strategy};
use data_encoding::BASE64;
use jwt_common::{Account, Accounts, TestClock, vectors};
use uuid::Uuid;

const NOW: i64 = 1_768_478_400;
const ID: &str = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";

/// Every parser must accept these, says the suite; a name twice is refused all the same (SECURITY row T-10).
const NAME_TWICE: [&str; 2] = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

struct Bench {
    strategy: JwtStrategy<Account>,
    accounts: Accounts,
    key: SigningKey,
    header: String,
}

impl Bench {
    fn new() -> Self {
        let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
        let key = || SigningKey::from_secret(Algorithm::Hs256, &secret).unwrap().with_kid("k").unwrap();
        let strategy = JwtStrategy::builder()
            .keys(KeyRing::new(key()))
            .denylist_store(Arc::new(MemoryDenylist::default()))
            .clock(TestClock::at(NOW))
            .max_token_length(1 << 20)
            .build()
            .unwrap();
        let account = Account { id: ID.parse::<Uuid>().unwrap(), email: None, password_hash: None, active: true };
        let header = r#"{"alg":"HS256","typ":"at+jwt","kid":"k""#.to_owned();
        Self { strategy, accounts: Accounts::of([account]), key: key(), header }
    }

    async fn accepts(&self, header: &[u8], claims: &[u8]) -> bool {
        let token = PlainToken::new(raw::sign(&self.key, header, claims).unwrap());
        let answer = self.strategy.read_token(Some(&token), &self.accounts).await.unwrap();
        matches!(answer, Answer::Accepted(_))
    }

    /// The document as the whole of the claims, as an ignored claim, as an ignored member of a claim, and in the header.
    async fn accepts_in_each_place(&self, document: &[u8]) -> [bool; 4] {
        let head = format!("{{{}", good_claims());
        let with = |start: &str, end: &str| [start.as_bytes(), document, end.as_bytes()].concat();
        let header = format!("{}}}", self.header);
        [
            self.accepts(header.as_bytes(), document).await,
            self.accepts(header.as_bytes(), &with(&format!("{head},\"x\":"), "}")).await,
            self.accepts(header.as_bytes(), &with(&format!("{head},\"x\":[{{\"y\":"), "}]}")).await,
            self.accepts(&with(&format!("{},\"x\":", self.header), "}"), format!("{head}}}").as_bytes()).await,
        ]
    }
}

fn good_claims() -> String {
    let exp = NOW + 900;
    format!(r#""sub":"{ID}","aud":"countersign:access","iat":{NOW},"nbf":{NOW},"exp":{exp},"jti":"t""#)
}

#[tokio::test]
async fn documents() {
    let bench = Bench::new();
    let suite = vectors("json-suite/test_parsing.json");
    let (mut valid, mut invalid, mut either) = (0, 0, 0);
    for (name, document) in suite["files"].as_object().unwrap() {
        let document = BASE64.decode(document.as_str().unwrap().as_bytes()).unwrap();
        let accepted = bench.accepts_in_each_place(&document).await;
        assert!(!accepted[0], "{name} are no claims");
        match name.split('_').next().unwrap() {
            "y" if NAME_TWICE.contains(&name.as_str()) => assert_eq!(accepted, [false; 4], "{name}"),
            "y" => assert_eq!(accepted, [false, true, true, true], "{name}"),
            "n" => assert_eq!(accepted, [false; 4], "{name}"),
            "i" => {}
            other => panic!("unknown kind {other}"),
        }
        match name.as_bytes()[0] {
            b'y' => valid += 1,
            b'n' => invalid += 1,
            _ => either += 1,
        }
    }
    assert_eq!((valid, invalid, either), (95, 188, 35));
}
