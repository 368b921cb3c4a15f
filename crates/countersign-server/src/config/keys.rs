//! Settings of secrets and keys.
//!
//! A secret that isn't given is generated in the data directory when the server starts, by
//! [`compose`](crate::compose). That isn't possible where servers share a database or Redis, since
//! all of them need the same secret.
//!
//! Each secret has one purpose: two settings with the same secret are an error. Generated secrets
//! are compared with the given ones when they are read.

use countersign::{ConfigError, Profile, Secret};

use crate::config::given::Given;
use crate::config::setting::{Kind, Setting};
use crate::config::{PROFILE, Sources, Tokens, parse};

/// The secret with which stored tokens are digested.
pub const TOKEN_HASH_SECRET: Setting = Setting {
    key: "token_hash_secret",
    kind: Kind::Secret,
    default: "",
    form: "SECRET",
    example: "$(openssl rand -base64 32)",
    help: "Secret for hashing stored tokens; required with a shared database or Redis. Defaults to a secret generated in the data directory.",
};
/// The algorithm with which access tokens are signed.
pub const JWT_ALGORITHM: Setting = Setting {
    key: "jwt_algorithm",
    kind: Kind::Plain,
    default: "EdDSA",
    form: "EdDSA|ES256|RS256|PS256|HS256|…",
    example: "EdDSA",
    help: "Algorithm that signs access tokens (strategy jwt).",
};
/// The signing secret of the HMAC algorithms (HS256, HS384, HS512).
pub const JWT_SECRET: Setting = Setting {
    key: "jwt_secret",
    kind: Kind::Secret,
    default: "",
    form: "SECRET",
    example: "$(openssl rand -base64 32)",
    help: "Signing secret of HS256, HS384 and HS512.",
};
/// The private key of the other signing algorithms, in PEM.
pub const JWT_PRIVATE_KEY: Setting = Setting {
    key: "jwt_private_key",
    kind: Kind::Key,
    default: "",
    form: "PEM",
    example: "$(cat private.pem)",
    help: "Signing key of all other algorithms (PKCS#8 PEM). For EdDSA, defaults to a key generated in the data directory.",
};
/// The public key of the other signing algorithms, in PEM.
pub const JWT_PUBLIC_KEY: Setting = Setting {
    key: "jwt_public_key",
    kind: Kind::Key,
    default: "",
    form: "PEM",
    example: "$(cat public.pem)",
    help: "Public half of the signing key (PEM).",
};
/// The issuer (`iss`) of signed access tokens.
pub const JWT_ISSUER: Setting = Setting {
    key: "jwt_issuer",
    kind: Kind::Plain,
    default: "",
    form: "TEXT",
    example: "https://auth.example",
    help: "Value of the iss claim to write and require. Defaults to no iss claim.",
};
/// The audience (`aud`) of signed access tokens.
pub const JWT_AUDIENCE: Setting = Setting {
    key: "jwt_audience",
    kind: Kind::Plain,
    default: "",
    form: "TEXT",
    example: "https://api.example",
    help: "Value of the aud claim to write and require. Defaults to countersign:access, or litestar-auth:access in that profile.",
};

/// The settings of this section, in the order of the help.
pub(super) const SETTINGS: &[&Setting] = &[
    &TOKEN_HASH_SECRET,
    &JWT_ALGORITHM,
    &JWT_SECRET,
    &JWT_PRIVATE_KEY,
    &JWT_PUBLIC_KEY,
    &JWT_ISSUER,
    &JWT_AUDIENCE,
];

/// The secrets and keys that were given. Missing ones are generated when the server starts.
///
/// The `Debug` output doesn't show any of them.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The secret with which stored tokens are digested. `None` if it has to be generated or read
    /// from the data directory.
    pub token_hash_secret: Option<Secret>,
    /// The keys and claims of signed access tokens.
    pub jwt: JwtKeys,
}

/// The settings of signed access tokens, as they were given.
///
/// The keys are kept as text, because how they are read depends on the algorithm.
#[derive(Clone, Debug)]
pub struct JwtKeys {
    /// The name of the signing algorithm, for example `EdDSA`.
    pub algorithm: String,
    /// The name under which the algorithm was given, for error messages.
    pub algorithm_spelled: String,
    /// The signing secret of the HMAC algorithms.
    pub secret: Option<Given>,
    /// The private key, in PEM.
    pub private_key: Option<Given>,
    /// The public key, in PEM.
    pub public_key: Option<Given>,
    /// The issuer (`iss`) to write and to require.
    pub issuer: Option<String>,
    /// The audience (`aud`) to write and to require. `None` stands for the profile's own.
    pub audience: Option<String>,
}

impl Keys {
    /// Reads this section. `is_shared` is `true` if other servers may use the same database or
    /// Redis.
    ///
    /// # Errors
    /// [`ConfigError`] if a value can't be used, if two settings hold the same secret, or if
    /// [`TOKEN_HASH_SECRET`] is missing and `is_shared` is `true`.
    pub fn read(sources: &Sources, tokens: &Tokens, is_shared: bool) -> Result<Self, ConfigError> {
        check_distinct(sources)?;
        let token_hash_secret = sources
            .get(&TOKEN_HASH_SECRET)
            .map(|given| secret(given, sources, tokens.profile))
            .transpose()?;
        if token_hash_secret.is_none() && is_shared {
            return Err(ConfigError::new(
                TOKEN_HASH_SECRET.env(),
                "is required with a shared database or Redis",
                "generate one with `openssl rand -base64 32` and set it on every server",
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

        Ok(Self {
            token_hash_secret,
            jwt,
        })
    }
}

/// Checks that no secret is used for two purposes, so that a secret that leaks in one place doesn't
/// open the other.
fn check_distinct(sources: &Sources) -> Result<(), ConfigError> {
    let given: Vec<&Given> = [
        &TOKEN_HASH_SECRET,
        &JWT_SECRET,
        &JWT_PRIVATE_KEY,
        &JWT_PUBLIC_KEY,
    ]
    .into_iter()
    .filter_map(|setting| sources.get(setting))
    .collect();

    for (at, one) in given.iter().enumerate() {
        if let Some(other) = given
            .iter()
            .take(at)
            .find(|other| is_same_secret(other.text(), one.text()))
        {
            return Err(same_secret(one, &other.spelled));
        }
    }

    Ok(())
}

/// Returns `true` if two texts are the same secret. White space around them is ignored.
pub fn is_same_secret(one: &str, other: &str) -> bool {
    one.trim() == other.trim()
}

/// Returns the error for a secret that is also used as `other`.
pub fn same_secret(given: &Given, other: &str) -> ConfigError {
    let cure = "set a different secret for each, generated with `openssl rand -base64 32`";
    given.error(format!("is the same secret as {other}"), cure)
}

/// Parses the secret with which tokens are digested. It must have at least 32 characters, and in
/// our own profile some variety.
///
/// litestar-auth accepts any 32 characters, and live tokens depend on the secret that it was given.
/// The variety isn't checked either while the deployment may still name the profile.
fn secret(given: &Given, sources: &Sources, profile: Profile) -> Result<Secret, ConfigError> {
    match profile {
        _ if !sources.is_final(&PROFILE) => {
            Secret::dangerous_without_variety_check(&given.spelled, given.text())
        }
        Profile::LitestarAuth => {
            Secret::dangerous_without_variety_check(&given.spelled, given.text())
        }
        _ => Secret::new(&given.spelled, given.text()),
    }
}
