//! Secrets and keys: taken from the settings, or generated in the data directory at the first
//! start.
//!
//! There are two: the secret under which tokens are digested (`token_hash_secret`), and the key
//! ring that signs access tokens with strategy `jwt`. For each of them there are two kinds of
//! functions:
//!
//! - [`known_secret`] and [`known_ring`] only look. The deployment's record is compared with what
//!   they find before anything is written.
//! - [`token_hash_secret`] and [`signing`] generate what is missing. They run after that
//!   comparison, so that a wrong data directory never gets new secrets.
//!
//! Only EdDSA keys are generated. Every other algorithm needs a key from the settings.

use std::path::{Path, PathBuf};

use countersign::jwt::{Algorithm, KeyRing, SigningKey, VerifyingKey, generate_secret};
use countersign::{ConfigError, Profile, Secret, SystemEntropy};
use zeroize::Zeroizing;

use crate::config::{
    Config, Given, JWT_ALGORITHM, JWT_PRIVATE_KEY, JWT_SECRET, JwtKeys, Setting, StrategyKind,
    TOKEN_HASH_SECRET, fault_of_secret, is_same_secret, same_secret,
};
use crate::data_dir::{self, DataDir};
use crate::error::Error;
use crate::foundation::renamed;

/// The name of the file with the generated secret that digests tokens.
const TOKEN_HASH_SECRET_FILE: &str = "token_hash_secret";
/// The name of the file with the generated signing key.
const SIGNING_KEY_FILE: &str = "jwt_private_key.pem";

/// Returns the path of the generated secret that digests tokens.
pub(crate) fn secret_file(data_dir: &Path) -> PathBuf {
    data_dir.join(TOKEN_HASH_SECRET_FILE)
}

/// Returns the path of the generated signing key.
pub(crate) fn key_file(data_dir: &Path) -> PathBuf {
    data_dir.join(SIGNING_KEY_FILE)
}

/// Returns the paths of generated secrets that exist and that these settings would use.
pub(crate) fn generated_files(config: &Config) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if config.keys.token_hash_secret.is_none() {
        files.push(secret_file(&config.store.data_dir));
    }
    let jwt = &config.keys.jwt;
    let generates = jwt.private_key.is_none() && jwt.algorithm == Algorithm::EdDsa.as_str();
    if config.tokens.strategy == StrategyKind::Jwt && generates {
        files.push(key_file(&config.store.data_dir));
    }
    files.retain(|file| file.exists());
    files
}

/// Returns the secret that digests tokens and its name, if it is given or was generated before.
///
/// Creates nothing. The name is the setting as it was typed, or the path of the file.
///
/// # Errors
/// Returns [`Error::Io`] if the file can't be read, and [`Error::Config`] if its content can't be a
/// generated secret.
pub(crate) fn known_secret(config: &Config) -> Result<Option<(Secret, String)>, Error> {
    if let Some(secret) = &config.keys.token_hash_secret {
        let given = config.sources.get(&TOKEN_HASH_SECRET);
        let spelled = given.map_or_else(|| TOKEN_HASH_SECRET.env(), |given| given.spelled.clone());
        return Ok(Some((secret.clone(), spelled)));
    }
    let file = secret_file(&config.store.data_dir);
    let Some(text) = data_dir::find(&file)? else {
        return Ok(None);
    };
    let spelled = file.display().to_string();
    Ok(Some((generated_secret(&spelled, &text)?, spelled)))
}

/// Returns the signing keys and the name of the active one, if they are given or were generated
/// before.
///
/// Creates nothing. The name is the setting as it was typed, or the path of the file.
///
/// # Errors
/// Returns [`Error::Config`] if the settings of keys contradict each other or the key can't be
/// parsed, and [`Error::Io`] if the file can't be read.
pub(crate) fn known_ring(config: &Config) -> Result<Option<(KeyRing, String)>, Error> {
    let jwt = &config.keys.jwt;
    if let Some(given) = jwt.private_key.as_ref().or(jwt.secret.as_ref()) {
        return Ok(given_ring(config)?.map(|ring| (ring, given.spelled.clone())));
    }
    if algorithm(jwt)? != Algorithm::EdDsa {
        return Ok(None);
    }

    let file = key_file(&config.store.data_dir);
    let Some(text) = data_dir::find(&file)? else {
        return Ok(None);
    };
    let spelled = file.display().to_string();
    Ok(Some((generated_ring(&spelled, &text)?, spelled)))
}

/// Generates a key ring that is used for nothing, for commands that sign no token and have no key.
///
/// # Errors
/// Returns an [`Error`] if the system has no randomness.
pub(crate) fn throwaway() -> Result<KeyRing, Error> {
    let secret = generate_secret(Algorithm::EdDsa, &SystemEntropy)?;
    Ok(KeyRing::new(SigningKey::from_secret(
        Algorithm::EdDsa,
        &secret,
    )?))
}

/// Checks the settings of keys, without reading generated files.
///
/// # Errors
/// Returns a [`ConfigError`] that names the setting, if a key is missing, can't be parsed, or
/// doesn't fit the algorithm.
pub(crate) fn check(config: &Config) -> Result<(), ConfigError> {
    if config.tokens.strategy == StrategyKind::Jwt {
        given_ring(config)?;
    }
    Ok(())
}

/// Returns the secret that digests tokens, and generates it if it is neither given nor on the disk.
///
/// # Errors
/// Returns [`Error::Config`] if it is the same as a key of signed tokens or can't be a generated
/// secret, and [`Error::Io`] if the file can't be read or written.
pub(crate) fn token_hash_secret(config: &Config, data_dir: &DataDir) -> Result<Secret, Error> {
    if let Some(secret) = &config.keys.token_hash_secret {
        return Ok(secret.clone());
    }

    let text = data_dir.secret(TOKEN_HASH_SECRET_FILE, || {
        let secret = Secret::generate(&SystemEntropy)?;
        Ok(Zeroizing::new(secret.expose().to_owned()))
    })?;

    // The two can be the same only if somebody gave the generated file as a key.
    let name = "token_hash_secret in the data directory";
    let jwt = &config.keys.jwt;
    for given in [&jwt.secret, &jwt.private_key].into_iter().flatten() {
        if is_same_secret(given.text(), &text) {
            return Err(same_secret(given, name).into());
        }
    }

    Ok(generated_secret(name, &text)?)
}

/// Parses the content of a generated file. A line feed at its end is ignored.
fn generated_secret(name: &str, text: &str) -> Result<Secret, ConfigError> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    match fault_of_secret(text) {
        Some(fault) => Err(ConfigError::new(
            name.to_owned(),
            fault,
            "restore the generated file from a backup",
        )),
        None => Secret::new(name, text),
    }
}

/// Returns the signing keys, and generates an EdDSA key if none is given or on the disk.
///
/// With a shared database or Redis, a generated key is logged as a warning
/// (`signing_key_not_shared`), since the other servers don't have it.
///
/// # Errors
/// Returns the errors of [`known_ring`], and [`Error::Io`] if the new key can't be written.
pub(crate) fn signing(config: &Config, data_dir: &DataDir) -> Result<KeyRing, Error> {
    if let Some(ring) = given_ring(config)? {
        return Ok(ring);
    }

    if config.is_shared() {
        let setting = JWT_PRIVATE_KEY.env();
        let why = "servers that share a database or Redis need the same signing key; set this on \
             every server";
        tracing::warn!(event = "signing_key_not_shared", setting, "{why}");
    }

    let text = data_dir.secret(SIGNING_KEY_FILE, || {
        let secret = generate_secret(Algorithm::EdDsa, &SystemEntropy)?;
        Ok(Zeroizing::new(secret.expose().to_owned()))
    })?;
    Ok(generated_ring(
        "jwt_private_key.pem in the data directory",
        &text,
    )?)
}

/// Parses a generated key.
fn generated_ring(name: &str, text: &str) -> Result<KeyRing, ConfigError> {
    let secret = Secret::dangerous_without_variety_check(name, text)?;
    let key = SigningKey::from_secret(Algorithm::EdDsa, &secret)
        .map_err(|error| renamed(name, &error))?;
    Ok(KeyRing::new(key))
}

/// Parses the configured algorithm.
fn algorithm(jwt: &JwtKeys) -> Result<Algorithm, ConfigError> {
    jwt.algorithm
        .parse()
        .map_err(|error: ConfigError| renamed(&jwt.algorithm_spelled, &error))
}

/// Returns the ring of the given key, or `None` if the key is to be generated.
fn given_ring(config: &Config) -> Result<Option<KeyRing>, ConfigError> {
    let jwt = &config.keys.jwt;
    let algorithm = algorithm(jwt)?;

    let shared = (&JWT_SECRET, &jwt.secret);
    let private = (&JWT_PRIVATE_KEY, &jwt.private_key);
    let (wanted, unwanted) = if algorithm.is_symmetric() {
        (shared, private)
    } else {
        (private, shared)
    };

    if let Some(given) = unwanted.1 {
        let cure = format!("set {} instead", wanted.0.env());
        return Err(given.error(format!("can't be used with {algorithm}"), cure));
    }
    let Some(given) = wanted.1 else {
        return without_key(algorithm, wanted.0, jwt);
    };

    let key = signing_key(algorithm, given, config.tokens.profile)?;
    if let Some(public) = &jwt.public_key {
        check_public(algorithm, &key, public)?;
    }
    Ok(Some(KeyRing::new(key)))
}

/// Handles settings without a key: an error for all algorithms but EdDSA.
fn without_key(
    algorithm: Algorithm,
    wanted: &Setting,
    jwt: &JwtKeys,
) -> Result<Option<KeyRing>, ConfigError> {
    if algorithm != Algorithm::EdDsa {
        let problem = format!("is required for {algorithm}");
        let cure = format!(
            "set it, or set {} to EdDSA, whose key is generated",
            JWT_ALGORITHM.env()
        );
        return Err(ConfigError::new(wanted.env(), problem, cure));
    }

    match &jwt.public_key {
        Some(public) => Err(public.error(
            "is set without its private key",
            format!("set {} too", wanted.env()),
        )),
        None => Ok(None),
    }
}

/// Parses a given key.
///
/// In the profile of litestar-auth short symmetric secrets are accepted, since live tokens of the
/// original depend on them.
fn signing_key(
    algorithm: Algorithm,
    given: &Given,
    profile: Profile,
) -> Result<SigningKey, ConfigError> {
    let key = match (algorithm.is_symmetric(), profile) {
        (true, Profile::LitestarAuth) => {
            let secret = Secret::dangerous_without_variety_check(&given.spelled, given.text())?;
            SigningKey::dangerous_from_short_secret(algorithm, &secret)
        }
        (true, _) => {
            let secret = Secret::new(&given.spelled, given.text())?;
            SigningKey::from_secret(algorithm, &secret)
        }
        (false, _) => {
            let secret = Secret::dangerous_without_variety_check(&given.spelled, given.text())?;
            SigningKey::from_secret(algorithm, &secret)
        }
    };
    key.map_err(|error| renamed(&given.spelled, &error))
}

/// Checks that a given public key belongs to the private key.
fn check_public(algorithm: Algorithm, key: &SigningKey, public: &Given) -> Result<(), ConfigError> {
    if algorithm.is_symmetric() {
        return Err(public.error(format!("has no effect with {algorithm}"), "remove it"));
    }

    let given = VerifyingKey::from_pem(algorithm, public.text())
        .map_err(|error| renamed(&public.spelled, &error))?;

    if given.to_jwk() == key.verifying_key().to_jwk() {
        Ok(())
    } else {
        let cure = format!(
            "set the public half of {}, or remove it",
            JWT_PRIVATE_KEY.env()
        );
        Err(public.error("does not match the private key", cure))
    }
}
