//! What the servers of a deployment must agree on, as one row of its database.

use countersign::jwt::KeyRing;
use countersign::{ConfigError, DigestKeyRing, PlainToken, Profile, Secret};
use serde::{Deserialize, Serialize};

use crate::config::{
    Config, JWT_ALGORITHM, JWT_AUDIENCE, JWT_ISSUER, PROFILE, STRATEGY, Setting, StrategyKind, profile_name,
};

/// The version of the mark's form. One that is newer is read by newer programs alone.
const VERSION: u32 = 1;

/// What the check value of a secret is made of, by the secret itself.
const CHECK: &str = "countersign: the check value of token_hash_secret, version 1";

/// What servers and commands must agree on. What is `None` isn't recorded yet, or, once there is a strategy, isn't set.
///
/// It holds no secret: the check value of `token_hash_secret` is an HMAC under that secret, and `key` the id of the
/// verification key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    version: u32,
    /// The strategy's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// The profile's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The name of the mark on the Redis that holds tokens or denied ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// `iss` of signed tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `aud` of signed tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// How tokens are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// The id of the key that signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The check value of `token_hash_secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

#[derive(Deserialize)]
struct Form {
    version: u32,
}

/// Why a mark can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is none, by these words.
    Garbage(String),
    /// It has a form that only a newer version knows.
    Newer(u32),
}

impl Mark {
    /// A mark that says nothing yet but what secret is used, if one is.
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

    /// What these settings come to. `redis` is the name of the mark on Redis.
    pub(super) fn of(config: &Config, ring: Option<&KeyRing>, redis: Option<String>, secret: Option<String>) -> Self {
        let strategy = Some(config.tokens.strategy.name().to_owned());
        let profile = Some(profile_name(config.tokens.profile).to_owned());
        let mark = Self { strategy, profile, redis, ..Self::open(secret) };
        if config.tokens.strategy != StrategyKind::Jwt {
            return mark;
        }
        let jwt = &config.keys.jwt;
        Self {
            issuer: jwt.issuer.clone(),
            audience: Some(jwt.audience.clone().unwrap_or_else(|| audience(config.tokens.profile).to_owned())),
            algorithm: Some(jwt.algorithm.clone()),
            key: ring.and_then(key_id),
            ..mark
        }
    }

    /// Reads what [`text`](Self::text) wrote.
    ///
    /// # Errors
    /// [`Fault`] that says why it can't be read.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        // What a newer form looks like, only newer versions know; this much stays.
        let form: Form = serde_json::from_str(text).map_err(|error| Fault::Garbage(error.to_string()))?;
        if form.version > VERSION {
            return Err(Fault::Newer(form.version));
        }
        serde_json::from_str(text).map_err(|error| Fault::Garbage(error.to_string()))
    }

    /// The mark as it is stored.
    pub(super) fn text(&self) -> String {
        // A struct of texts always becomes JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether a server has said what the deployment is.
    pub const fn is_settled(&self) -> bool {
        self.strategy.is_some()
    }

    pub(super) fn is_signed(&self) -> bool {
        self.strategy.as_deref() == Some(StrategyKind::Jwt.name())
    }

    /// The settings that can be taken from it, each with what the deployment says; `None` where it says "none".
    pub(super) fn settings(&self) -> Vec<(&'static Setting, Option<&str>)> {
        if !self.is_settled() {
            return Vec::new();
        }
        let mut settings = vec![(&STRATEGY, self.strategy.as_deref()), (&PROFILE, self.profile.as_deref())];
        if self.is_signed() {
            settings.extend([
                (&JWT_ISSUER, self.issuer.as_deref()),
                (&JWT_AUDIENCE, self.audience.as_deref()),
                (&JWT_ALGORITHM, self.algorithm.as_deref()),
            ]);
        }
        settings
    }

    /// This mark, with what it leaves open as `found` says.
    pub(super) fn filled(self, found: Self) -> Self {
        if !self.is_settled() {
            return Self { secret: self.secret.or(found.secret.clone()), ..found };
        }
        Self { key: self.key.or(found.key), secret: self.secret.or(found.secret), ..self }
    }

    /// Where denied ids go; `None` where none are kept.
    pub fn denials(&self) -> Option<&'static str> {
        let place = if self.redis.is_some() { "redis" } else { "database" };
        self.is_signed().then_some(place)
    }

    /// Everything that it says, by name.
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

/// The id of the key that signs.
pub(super) fn key_id(ring: &KeyRing) -> Option<String> {
    ring.keys().next().map(|key| key.kid().to_owned())
}

/// A value by which a secret is known again, and which tells nothing of it.
pub(super) fn check_value(secret: &Secret) -> Result<String, ConfigError> {
    let ring = DigestKeyRing::new("check", secret)?;
    Ok(ring.digest(&PlainToken::new(CHECK)).as_str().to_owned())
}

/// The audience of access tokens, unless one is set.
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
        let mark = Mark { redis: Some("r".into()), key: Some("k".into()), ..settled() };
        assert_eq!(Mark::parse(&mark.text()), Ok(mark));
        // Whatever else a newer form holds.
        assert_eq!(Mark::parse(r#"{"version":2,"strategy":["jwt"]}"#), Err(Fault::Newer(2)));
        for text in ["", "{}", "[]", r#"{"version":-1}"#, r#"{"version":1,"strategy":7}"#] {
            assert!(matches!(Mark::parse(text), Err(Fault::Garbage(_))), "{text}");
        }
    }

    #[test]
    fn what_is_recorded_stays_and_what_is_open_is_filled() {
        let found = Mark { key: Some("k".into()), secret: Some("s".into()), issuer: Some("i".into()), ..settled() };
        let filled = settled().filled(found.clone());
        assert_eq!((filled.key.as_deref(), filled.secret.as_deref()), (Some("k"), Some("s")));
        assert_eq!(filled.issuer, None, "no issuer is an answer");
        assert_eq!(Mark { key: Some("other".into()), ..settled() }.filled(found.clone()).key.as_deref(), Some("other"));
        assert_eq!(Mark::open(None).filled(found.clone()), found);
        assert_eq!(Mark::open(Some("t".into())).filled(found).secret.as_deref(), Some("t"));
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
