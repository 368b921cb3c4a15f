//! Settings of secrets and keys.

use countersign::{ConfigError, Profile, Secret};

use crate::config::setting::{Kind, Setting};
use crate::config::source::Given;
use crate::config::{PROFILE, Sources, Tokens, parse};

/// The secret that digests tokens.
pub const TOKEN_HASH_SECRET: Setting = Setting {
    key: "token_hash_secret",
    kind: Kind::Secret,
    default: "",
    form: "SECRET",
    help: "Digests stored tokens; generated in the data directory, but must be given with a shared database or Redis.",
};
/// How access tokens are signed.
pub const JWT_ALGORITHM: Setting = Setting {
    key: "jwt_algorithm",
    kind: Kind::Plain,
    default: "EdDSA",
    form: "EdDSA|ES256|RS256|PS256|HS256|…",
    help: "How access tokens are signed (strategy jwt).",
};
/// The shared secret of HS algorithms.
pub const JWT_SECRET: Setting = Setting {
    key: "jwt_secret",
    kind: Kind::Secret,
    default: "",
    form: "SECRET",
    help: "The signing secret of HS256, HS384 and HS512.",
};
/// The private key of the other algorithms.
pub const JWT_PRIVATE_KEY: Setting = Setting {
    key: "jwt_private_key",
    kind: Kind::Key,
    default: "",
    form: "PEM",
    help: "The signing key of all other algorithms (PKCS#8 PEM); for EdDSA generated in the data directory.",
};
/// The public key of the other algorithms.
pub const JWT_PUBLIC_KEY: Setting = Setting {
    key: "jwt_public_key",
    kind: Kind::Key,
    default: "",
    form: "PEM",
    help: "The public half of the signing key (PEM).",
};
/// The issuer of signed tokens.
pub const JWT_ISSUER: Setting = Setting {
    key: "jwt_issuer",
    kind: Kind::Plain,
    default: "",
    form: "TEXT",
    help: "The iss claim to write and require; none by default.",
};
/// The audience of signed tokens.
pub const JWT_AUDIENCE: Setting = Setting {
    key: "jwt_audience",
    kind: Kind::Plain,
    default: "",
    form: "TEXT",
    help: "The aud claim to write and require; countersign:access, or the profile's own.",
};

/// This section's settings.
pub(super) const SETTINGS: &[&Setting] =
    &[&TOKEN_HASH_SECRET, &JWT_ALGORITHM, &JWT_SECRET, &JWT_PRIVATE_KEY, &JWT_PUBLIC_KEY, &JWT_ISSUER, &JWT_AUDIENCE];

/// Secrets and keys, as far as they were given; the rest is generated when the server starts.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Digests stored tokens.
    pub token_hash_secret: Option<Secret>,
    /// Signs access tokens.
    pub jwt: JwtKeys,
}

/// What was given about signing.
#[derive(Clone, Debug)]
pub struct JwtKeys {
    /// The algorithm's name.
    pub algorithm: String,
    /// What the algorithm's setting is called where it was given.
    pub algorithm_spelled: String,
    /// The shared secret.
    pub secret: Option<Given>,
    /// The private key.
    pub private_key: Option<Given>,
    /// The public key.
    pub public_key: Option<Given>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `aud`.
    pub audience: Option<String>,
}

impl Keys {
    /// Reads the section.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting.
    pub fn read(sources: &Sources, tokens: &Tokens, is_shared: bool) -> Result<Self, ConfigError> {
        check_distinct(sources)?;
        let token_hash_secret =
            sources.get(&TOKEN_HASH_SECRET).map(|given| secret(given, sources, tokens.profile)).transpose()?;
        if token_hash_secret.is_none() && is_shared {
            return Err(ConfigError::new(
                TOKEN_HASH_SECRET.env(),
                "must be given when servers share a database or Redis",
                "make one with `openssl rand -base64 32` and give every server the same",
            ));
        }
        let jwt = JwtKeys {
            algorithm: sources.parse(&JWT_ALGORITHM, parse::text)?,
            algorithm_spelled: sources
                .get(&JWT_ALGORITHM)
                .map_or_else(|| JWT_ALGORITHM.env(), |given| given.spelled.clone()),
            secret: sources.get(&JWT_SECRET).cloned(),
            private_key: sources.get(&JWT_PRIVATE_KEY).cloned(),
            public_key: sources.get(&JWT_PUBLIC_KEY).cloned(),
            issuer: sources.parse_optional(&JWT_ISSUER, parse::text)?,
            audience: sources.parse_optional(&JWT_AUDIENCE, parse::text)?,
        };
        Ok(Self { token_hash_secret, jwt })
    }
}

/// One secret has one purpose: whoever learns it in one place must not hold the other too.
fn check_distinct(sources: &Sources) -> Result<(), ConfigError> {
    let given: Vec<&Given> = [&TOKEN_HASH_SECRET, &JWT_SECRET, &JWT_PRIVATE_KEY, &JWT_PUBLIC_KEY]
        .into_iter()
        .filter_map(|setting| sources.get(setting))
        .collect();
    for (at, one) in given.iter().enumerate() {
        if let Some(other) = given.iter().take(at).find(|other| is_same_secret(other.text(), one.text())) {
            return Err(same_secret(one, &other.spelled));
        }
    }
    Ok(())
}

/// Whether two texts are one secret, however their files end.
pub fn is_same_secret(one: &str, other: &str) -> bool {
    one.trim() == other.trim()
}

/// The error for a secret that is also used as `other`.
pub fn same_secret(given: &Given, other: &str) -> ConfigError {
    let cure = "give each a secret of its own, as `openssl rand -base64 32` makes them";
    given.error(format!("is the same secret as {other}"), cure)
}

/// The original accepts any 32 characters, and live tokens depend on what it was given; ours must have variety too.
fn secret(given: &Given, sources: &Sources, profile: Profile) -> Result<Secret, ConfigError> {
    match profile {
        _ if !sources.is_final(&PROFILE) => Secret::dangerous_without_variety_check(&given.spelled, given.text()),
        Profile::LitestarAuth => Secret::dangerous_without_variety_check(&given.spelled, given.text()),
        _ => Secret::new(&given.spelled, given.text()),
    }
}
