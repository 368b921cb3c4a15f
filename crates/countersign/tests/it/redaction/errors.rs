//! Errors say which part failed or which setting is wrong, and quote nothing.

use std::error::Error;

use countersign::Secret;
use countersign::jwt::{Algorithm, SigningKey, VerifyingKey};
use countersign::store::sql::{Database, DatabaseOptions};

use crate::redaction::needles::{SECRET, found};

/// An error and all that lies beneath it, as a log would have it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let beneath = error.source().map(chain).unwrap_or_default();
    format!("{error}: {error:?} {beneath}")
}

#[test]
fn configuration_errors_quote_no_secret() {
    let needles = [
        "hunter2-hunter2".to_owned(),
        SECRET.to_owned(),
        SECRET[..31].to_owned(),
        "hunter2hunter2".repeat(3),
    ];
    let secret = Secret::new("secret", SECRET).unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
        "hunter2hunter2".repeat(3)
    );
    let pem = Secret::dangerous_without_variety_check("secret", pem).unwrap();
    let connect = |url: &str| Database::connect(url, DatabaseOptions::default()).map(drop);
    let errors = [
        Secret::new("secret", &SECRET[..31]).map(drop),
        Secret::new("secret", "hunter2-hunter2".repeat(4)).map(drop),
        SigningKey::from_secret(Algorithm::Hs512, &secret).map(drop),
        SigningKey::from_secret(Algorithm::EdDsa, &secret).map(drop),
        SigningKey::from_secret(Algorithm::Rs256, &pem).map(drop),
        VerifyingKey::from_pem(Algorithm::Rs256, pem.expose()).map(drop),
        VerifyingKey::from_jwk(Algorithm::EdDsa, &format!("{{\"kty\":\"{SECRET}\"}}")).map(drop),
        connect("oracle://ada:hunter2-hunter2@host/db"),
        connect("postgres://ada:hunter2-hunter2@host:99999/db"),
        connect("mysql://ada:hunter2-hunter2@host:99999/db"),
        connect("sqlite://hunter2-hunter2?mode=ro"),
    ];
    for error in errors
        .into_iter()
        .map(|result| result.expect_err("a setting that can't work"))
    {
        let shown = chain(&error);
        assert!(found(&needles, &shown).is_empty(), "{shown}");
    }
}
