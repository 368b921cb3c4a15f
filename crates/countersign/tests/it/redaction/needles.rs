//! What must not be seen, in any of the forms that a formatter could give it, and a user type that shows everything.

use async_trait::async_trait;
use countersign::token::{DigestKeyRing, StoredToken};
use countersign::{Failure, PlainToken, Secret, UserManager};
use uuid::Uuid;

use crate::fixture::users::Account;

pub(crate) const SECRET: &str = "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc";
pub(crate) const EMAIL: &str = "ada.lovelace@example.org";
pub(crate) const HASH: &str = "$argon2id$v=19$m=19456$c2FsdHNhbHQ$aGFzaGhhc2g";
pub(crate) const PASSWORD: &str = "correct-horse-battery";
pub(crate) const ID: Uuid = Uuid::from_u128(0x1b4e_28ba_2fa1_41d2_883f_0016_d3cc_a427);

/// Its own `Debug` shows all there is.
pub(crate) type Person = Account;

pub(crate) fn ada() -> Person {
    Person::of(ID).with_password(EMAIL, HASH)
}

/// Knows Ada alone.
pub(crate) struct People;

#[async_trait]
impl UserManager<Person> for People {
    async fn get(&self, id: &Uuid) -> Result<Option<Person>, Failure> {
        Ok((*id == ID).then(ada))
    }
}

pub(crate) fn secret() -> Secret {
    Secret::new("token_hash_secret", SECRET).unwrap()
}

pub(crate) const SIGNING_SECRET: &str = "Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA";

/// One secret, one purpose.
pub(crate) fn signing_secret() -> Secret {
    Secret::new("secret", SIGNING_SECRET).unwrap()
}

pub(crate) fn ring() -> DigestKeyRing {
    DigestKeyRing::new("2026-11", &secret()).unwrap()
}

pub(crate) fn digest(token: &PlainToken) -> StoredToken {
    ring().digest(token).into()
}

/// What is always there to be hidden.
pub(crate) fn standing() -> Vec<String> {
    let id = ID.hyphenated().to_string();
    [
        &id,
        &id.replace('-', ""),
        SECRET,
        SIGNING_SECRET,
        EMAIL,
        "ada.lovelace",
        HASH,
        PASSWORD,
        &format!("{:?}", ID.as_bytes()),
    ]
    .map(|needle| needle.trim_matches(['[', ']']).to_owned())
    .to_vec()
}

/// A token and its digest. Any piece of a token is too much.
pub(crate) fn of_token(token: &PlainToken) -> Vec<String> {
    let text = token.expose();
    let mut needles = vec![
        digest(token).as_str().to_owned(),
        text[text.len() / 2..text.len() / 2 + 12].to_owned(),
    ];
    // A signed token's claims, and the token's id, which a denylist goes by.
    if let Some(claims) = text.split('.').nth(1) {
        let claims = data_encoding::BASE64URL_NOPAD
            .decode(claims.as_bytes())
            .unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        needles.extend(
            ["jti", "sfp"]
                .iter()
                .filter_map(|name| claims[name].as_str())
                .map(str::to_owned),
        );
    }
    needles
}

/// The needles that are in `shown`, be it as text, as a list of bytes or in hexadecimal digits.
pub(crate) fn found<'n>(needles: &'n [String], shown: &str) -> Vec<&'n str> {
    let shown = shown.to_lowercase();
    let is_in = |needle: &&String| {
        assert!(
            needle.len() >= 8,
            "{needle:?} is too short to be looked for"
        );
        let bytes = format!("{:?}", &needle.as_bytes()[..8]);
        let hex = data_encoding::HEXLOWER.encode(needle.as_bytes());
        [&needle.to_lowercase(), bytes.trim_matches(['[', ']']), &hex]
            .iter()
            .any(|form| shown.contains(*form))
    };
    needles.iter().filter(is_in).map(String::as_str).collect()
}

#[test]
fn needles_are_found_in_every_form() {
    let needles = [SECRET.to_owned()];
    for shown in [
        SECRET.to_owned(),
        format!("{:?}", SECRET.as_bytes()),
        format!("x{}x", SECRET.to_uppercase()),
    ] {
        assert_eq!(found(&needles, &shown), [SECRET]);
    }
    assert_eq!(
        found(&needles, &data_encoding::HEXUPPER.encode(SECRET.as_bytes())),
        [SECRET]
    );
    assert!(found(&needles, "Secret(..)").is_empty());
}
