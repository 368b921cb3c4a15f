//! The mark: the facts on which the servers of a deployment must agree, and their form as JSON.
//!
//! A mark is *settled* once a server has recorded its strategy. Before that it is *open*: it holds
//! at most the check value of the secret. To record another fact, add a field with a default and
//! extend [`Mark::facts`]; raise [`VERSION`] only if older versions would misunderstand the result.

use countersign::jwt::KeyRing;
use countersign::token::DigestKeyRing;
use countersign::{ConfigError, PlainToken, Profile, Secret};
use serde::{Deserialize, Serialize};

use crate::config::{
    Config, JWT_ALGORITHM, JWT_AUDIENCE, JWT_ISSUER, PROFILE, STRATEGY, Setting, StrategyKind,
    profile_name,
};

/// The version of the mark's form. Marks of a higher version can't be read by this program.
const VERSION: u32 = 1;

/// The text whose HMAC under the secret is the check value.
///
/// It contains spaces, so it is never the text of a token.
const CHECK: &str = "countersign: the check value of token_hash_secret, version 1";

/// The facts on which the servers and commands of a deployment must agree.
///
/// In a settled mark, `None` means that the fact has no value, except for `key` and `secret`, which
/// may still be recorded later. In an open mark, `None` means that the fact isn't recorded yet.
///
/// The mark holds no secret. The check value is an HMAC-SHA-256 under the secret, and `key` is the
/// id of the verification key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    version: u32,
    /// The name of the strategy: `database`, `redis` or `jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// The name of the profile: `countersign` or `litestar-auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The name of the mark on the Redis that holds tokens or denied ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// The issuer (`iss`) of signed tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The audience (`aud`) of signed tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The algorithm that signs tokens, as `EdDSA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// The id (`kid`) of the key that signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The check value of `token_hash_secret`: 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// The part of a mark that every version can read.
#[derive(Deserialize)]
struct Form {
    version: u32,
}

/// The reason why a mark can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The text isn't a mark. Contains the parser's message.
    Garbage(String),
    /// The mark has a version that only newer programs know.
    Newer(u32),
}

impl Mark {
    /// Creates an open mark, with the check value of the secret if there is a secret.
    pub(super) const fn open(secret: Option<String>) -> Self {
        Self {
            version: VERSION,
            strategy: None,
            profile: None,
            redis: None,
            issuer: None,
            audience: None,
            algorithm: None,
            key: None,
            secret,
        }
    }

    /// Creates the mark that these settings come to. `redis` is the name of the mark on Redis.
    pub(super) fn of(
        config: &Config,
        ring: Option<&KeyRing>,
        redis: Option<String>,
        secret: Option<String>,
    ) -> Self {
        let strategy = Some(config.tokens.strategy.name().to_owned());
        let profile = Some(profile_name(config.tokens.profile).to_owned());
        let mark = Self {
            strategy,
            profile,
            redis,
            ..Self::open(secret)
        };
        if config.tokens.strategy != StrategyKind::Jwt {
            return mark;
        }

        let jwt = &config.keys.jwt;
        Self {
            issuer: jwt.issuer.clone(),
            audience: Some(
                jwt.audience
                    .clone()
                    .unwrap_or_else(|| audience(config.tokens.profile).to_owned()),
            ),
            algorithm: Some(jwt.algorithm.clone()),
            key: ring.and_then(key_id),
            ..mark
        }
    }

    /// Parses what [`text`](Self::text) wrote.
    ///
    /// # Errors
    /// Returns the [`Fault`] that says why the text can't be read.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        // Only the version of a newer form can be read; the rest may look like anything.
        let form: Form =
            serde_json::from_str(text).map_err(|error| Fault::Garbage(error.to_string()))?;
        if form.version > VERSION {
            return Err(Fault::Newer(form.version));
        }
        serde_json::from_str(text).map_err(|error| Fault::Garbage(error.to_string()))
    }

    /// Returns the mark as JSON, as it is stored.
    pub(super) fn text(&self) -> String {
        // Serialising a struct of strings can't fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns `true` if a server has recorded how the deployment makes tokens.
    pub const fn is_settled(&self) -> bool {
        self.strategy.is_some()
    }

    /// Returns `true` if the deployment makes signed tokens.
    pub(super) fn is_signed(&self) -> bool {
        self.strategy.as_deref() == Some(StrategyKind::Jwt.name())
    }

    /// Returns the recorded settings, each with its value, or `None` if the setting is to have
    /// none.
    ///
    /// Empty for an open mark.
    pub(super) fn settings(&self) -> Vec<(&'static Setting, Option<&str>)> {
        if !self.is_settled() {
            return Vec::new();
        }

        let mut settings = vec![
            (&STRATEGY, self.strategy.as_deref()),
            (&PROFILE, self.profile.as_deref()),
        ];
        if self.is_signed() {
            settings.extend([
                (&JWT_ISSUER, self.issuer.as_deref()),
                (&JWT_AUDIENCE, self.audience.as_deref()),
                (&JWT_ALGORITHM, self.algorithm.as_deref()),
            ]);
        }
        settings
    }

    /// Returns this mark with its open facts taken from `found`.
    ///
    /// An open mark takes everything but a secret that it has. A settled mark takes only the key
    /// and the check value of the secret.
    pub(super) fn filled(self, found: Self) -> Self {
        if !self.is_settled() {
            return Self {
                secret: self.secret.or(found.secret.clone()),
                ..found
            };
        }
        Self {
            key: self.key.or(found.key),
            secret: self.secret.or(found.secret),
            ..self
        }
    }

    /// Returns the place of denied ids, `redis` or `database`, or `None` if tokens aren't signed.
    pub fn denials(&self) -> Option<&'static str> {
        let place = if self.redis.is_some() {
            "redis"
        } else {
            "database"
        };
        self.is_signed().then_some(place)
    }

    /// Returns every fact with its name, in the order in which facts are shown.
    pub(super) fn facts(&self) -> [(&'static str, Option<&str>); 9] {
        [
            ("strategy", self.strategy.as_deref()),
            ("profile", self.profile.as_deref()),
            ("denials", self.denials()),
            ("redis", self.redis.as_deref()),
            ("issuer", self.issuer.as_deref()),
            ("audience", self.audience.as_deref()),
            ("algorithm", self.algorithm.as_deref()),
            ("key", self.key.as_deref()),
            ("token_hash_secret", self.secret.as_deref()),
        ]
    }
}

/// Returns the id of the key that signs.
pub(super) fn key_id(ring: &KeyRing) -> Option<String> {
    ring.keys().next().map(|key| key.kid().to_owned())
}

/// Returns the check value of a secret, by which it can be recognised but not found out.
pub(super) fn check_value(secret: &Secret) -> Result<String, ConfigError> {
    let ring = DigestKeyRing::new("check", secret)?;
    Ok(ring.digest(&PlainToken::new(CHECK)).as_str().to_owned())
}

/// Returns the audience of access tokens if none is set.
const fn audience(profile: Profile) -> &'static str {
    match profile {
        Profile::LitestarAuth => "litestar-auth:access",
        _ => "countersign:access",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled() -> Mark {
        let text = r#"{"version":1,"strategy":"jwt","profile":"countersign","audience":"a","algorithm":"EdDSA"}"#;
        Mark::parse(text).unwrap()
    }

    #[test]
    fn is_read_as_it_was_written() {
        let mark = Mark {
            redis: Some("r".into()),
            key: Some("k".into()),
            ..settled()
        };
        assert_eq!(Mark::parse(&mark.text()), Ok(mark));
        // Whatever else a newer form holds.
        assert_eq!(
            Mark::parse(r#"{"version":2,"strategy":["jwt"]}"#),
            Err(Fault::Newer(2))
        );
        for text in [
            "",
            "{}",
            "[]",
            r#"{"version":-1}"#,
            r#"{"version":1,"strategy":7}"#,
        ] {
            assert!(
                matches!(Mark::parse(text), Err(Fault::Garbage(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_recorded_stays_and_what_is_open_is_filled() {
        let found = Mark {
            key: Some("k".into()),
            secret: Some("s".into()),
            issuer: Some("i".into()),
            ..settled()
        };
        let filled = settled().filled(found.clone());
        assert_eq!(
            (filled.key.as_deref(), filled.secret.as_deref()),
            (Some("k"), Some("s"))
        );
        assert_eq!(filled.issuer, None, "no issuer is an answer");
        assert_eq!(
            Mark {
                key: Some("other".into()),
                ..settled()
            }
            .filled(found.clone())
            .key
            .as_deref(),
            Some("other")
        );
        assert_eq!(Mark::open(None).filled(found.clone()), found);
        assert_eq!(
            Mark::open(Some("t".into())).filled(found).secret.as_deref(),
            Some("t")
        );
    }

    #[test]
    fn a_check_value_is_not_the_secrets_digest_of_anything_else() {
        let secret = Secret::new("s", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
        let other = Secret::new("s", "Zq8-mm42Kdp5_rVx17jbWny9TgEcL3oA").unwrap();
        let value = check_value(&secret).unwrap();
        assert_eq!(value.len(), 64);
        assert_ne!(value, check_value(&other).unwrap());
        assert!(!value.contains(secret.expose()));
    }
}
