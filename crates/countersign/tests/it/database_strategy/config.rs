//! What can't work doesn't build, and the error names the setting.

use std::time::Duration;

use countersign::store::MemoryStore;
use countersign::store::sql::{DatabaseTokenModels, TokenTable};
use countersign::strategy::{DatabaseTokenStrategy, DatabaseTokenStrategyBuilder};
use countersign::token::DigestKeyRing;
use countersign::user::UserKeyKind;
use countersign::{PlainToken, Profile, Secret};
use proptest::prelude::*;

use crate::database_strategy::ground::{SECRET, secret};

fn builder() -> DatabaseTokenStrategyBuilder<MemoryStore> {
    DatabaseTokenStrategy::builder(MemoryStore::new()).token_hash_secret(&secret(SECRET))
}

fn refused(builder: DatabaseTokenStrategyBuilder<MemoryStore>, setting: &str) {
    let error = builder.build().expect_err(setting);
    assert!(error.setting().contains(setting), "{error}");
    assert!(error.to_string().contains(setting), "{error}");
}

proptest! {
    /// Conformance case 002.
    #[test]
    fn a_digest_is_64_digits_and_hides_the_token(text in "[a-zA-Z0-9_-]{4,80}", key in "[ -~]{32,64}") {
        let key = Secret::dangerous_without_variety_check("key", key).unwrap();
        let digest = DigestKeyRing::new("k", &key).unwrap().digest(&PlainToken::new(text.as_str()));
        let digits = digest.as_str();
        prop_assert!(digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        prop_assert!(text.len() < 8 || !digits.contains(&text));
    }
}

/// Conformance cases 006, 007 and 012.
#[test]
fn secrets_are_long_and_varied() {
    let error = Secret::new("token_hash_secret", &SECRET[..31]).unwrap_err();
    assert_eq!(error.setting(), "token_hash_secret");
    assert!(
        error.to_string().contains("token_hash_secret") && error.to_string().contains("32"),
        "{error}"
    );
    assert!(
        !error.to_string().contains(&SECRET[..31]),
        "the error doesn't show the secret"
    );
    assert_eq!(SECRET.len(), 32);
    assert!(builder().build().is_ok(), "case 007");
    let error = Secret::new("token_hash_secret", "k".repeat(32)).unwrap_err();
    assert_eq!(error.setting(), "token_hash_secret", "case 012");
    refused(
        DatabaseTokenStrategy::builder(MemoryStore::new()),
        "token_hash_secret",
    );
}

/// Conformance case 009.
#[test]
fn tokens_are_neither_short_nor_endless() {
    for bytes in [0, 1, 15, 129, usize::MAX] {
        refused(builder().token_bytes(bytes), "token_bytes");
    }
    for bytes in [16, 32, 128] {
        assert!(builder().token_bytes(bytes).build().is_ok());
    }
}

/// Conformance case 010. A negative lifetime can't be written.
#[test]
fn lifetimes_are_neither_zero_nor_endless() {
    for lifetime in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
        refused(builder().max_age(lifetime), "max_age");
        refused(builder().refresh_max_age(lifetime), "refresh_max_age");
        refused(
            builder().session_lifetime(Some(lifetime)),
            "session lifetime",
        );
    }
    assert!(
        builder()
            .max_age(Duration::from_secs(1))
            .refresh_max_age(Duration::from_secs(1))
            .build()
            .is_ok()
    );
    assert!(builder().session_lifetime(None).build().is_ok());
}

/// The switch would do nothing in our own profile, whose tokens have a prefix.
#[test]
fn legacy_tokens_need_the_original_s_profile() {
    refused(
        builder().accept_legacy_plaintext_tokens(true),
        "accept_legacy_plaintext_tokens",
    );
    assert!(
        builder()
            .accept_legacy_plaintext_tokens(true)
            .profile(Profile::LitestarAuth)
            .build()
            .is_ok()
    );
}

/// Conformance case 044, and that the model at fault is named.
#[test]
fn models_name_what_they_lack_in_order() {
    let models = |access, refresh| DatabaseTokenModels::new(access, refresh, UserKeyKind::Uuid);
    let (access, refresh) = (|| TokenTable::new("a"), || TokenTable::new("r"));
    let lacking = |table: TokenTable| table.user_id("").created_at("");
    let error = models(lacking(access()), refresh()).unwrap_err();
    assert_eq!(error.setting(), "access_token_model");
    assert!(
        error.to_string().contains("for created_at, user_id"),
        "{error}"
    );
    let error = models(access(), lacking(refresh()).token("")).unwrap_err();
    assert_eq!(error.setting(), "refresh_token_model");
    assert!(
        error.to_string().contains("for token, created_at, user_id"),
        "{error}"
    );
    for name in ["drop table", "a\"b", "a;b", "é", "1a", &"x".repeat(64)] {
        assert!(
            models(access().user_id(name.to_owned()), refresh()).is_err(),
            "{name}"
        );
        assert!(
            models(TokenTable::new(name.to_owned()), refresh()).is_err(),
            "{name}"
        );
    }
    assert_eq!(
        models(access(), TokenTable::new("A"))
            .unwrap_err()
            .setting(),
        "refresh_token_model"
    );
}
