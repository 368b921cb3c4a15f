//! Secrets and keys: given, or generated in the data directory on first run.

use std::path::{Path, PathBuf};

use countersign::jwt::{Algorithm, KeyRing, SigningKey, VerifyingKey, generate_secret};
use countersign::{ConfigError, Profile, Secret, SystemEntropy};
use zeroize::Zeroizing;

use crate::compose::renamed;
use crate::config::{
    Config, Given, JWT_ALGORITHM, JWT_PRIVATE_KEY, JWT_SECRET, JwtKeys, Setting, StrategyKind, TOKEN_HASH_SECRET,
    fault_of_secret, is_same_secret, same_secret,
};
use crate::data_dir::{self, DataDir};
use crate::error::Error;

/// Where the generated secret that digests tokens is kept.
const TOKEN_HASH_SECRET_FILE: &str = "token_hash_secret";
/// Where the generated signing key is kept.
const SIGNING_KEY_FILE: &str = "jwt_private_key.pem";

/// Returns the path of the generated secret that digests tokens.
pub(crate) fn secret_file(data_dir: &Path) -> PathBuf {
    data_dir.join(TOKEN_HASH_SECRET_FILE)
}

/// Returns the path of the generated signing key.
pub(crate) fn key_file(data_dir: &Path) -> PathBuf {
    data_dir.join(SIGNING_KEY_FILE)
}

/// The files of generated secrets that are there and would be used.
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

/// The secret that digests tokens, and what it is called, if it is given or was generated before. Nothing is made.
pub(crate) fn known_secret(config: &Config) -> Result<Option<(Secret, String)>, Error> {
    if let Some(secret) = &config.keys.token_hash_secret {
        let given = config.sources.get(&TOKEN_HASH_SECRET);
        let spelled = given.map_or_else(|| TOKEN_HASH_SECRET.env(), |given| given.spelled.clone());
        return Ok(Some((secret.clone(), spelled)));
    }
    let file = secret_file(&config.store.data_dir);
    let Some(text) = data_dir::find(&file)? else { return Ok(None) };
    let spelled = file.display().to_string();
    Ok(Some((generated_secret(&spelled, &text)?, spelled)))
}

/// The keys of signed tokens, and what the active one is called, if they are given or were generated before. Nothing is
/// made.
pub(crate) fn known_ring(config: &Config) -> Result<Option<(KeyRing, String)>, Error> {
    let jwt = &config.keys.jwt;
    if let Some(given) = jwt.private_key.as_ref().or(jwt.secret.as_ref()) {
        return Ok(given_ring(config)?.map(|ring| (ring, given.spelled.clone())));
    }
    if algorithm(jwt)? != Algorithm::EdDsa {
        return Ok(None);
    }
    let file = key_file(&config.store.data_dir);
    let Some(text) = data_dir::find(&file)? else { return Ok(None) };
    let spelled = file.display().to_string();
    Ok(Some((generated_ring(&spelled, &text)?, spelled)))
}

/// Keys for whoever signs nothing and has no key.
pub(crate) fn throwaway() -> Result<KeyRing, Error> {
    let secret = generate_secret(Algorithm::EdDsa, &SystemEntropy)?;
    Ok(KeyRing::new(SigningKey::from_secret(Algorithm::EdDsa, &secret)?))
}

/// Checks what was given about keys.
pub(crate) fn check(config: &Config) -> Result<(), ConfigError> {
    if config.tokens.strategy == StrategyKind::Jwt {
        given_ring(config)?;
    }
    Ok(())
}

/// The secret that digests tokens.
pub(crate) fn token_hash_secret(config: &Config, data_dir: &DataDir) -> Result<Secret, Error> {
    if let Some(secret) = &config.keys.token_hash_secret {
        return Ok(secret.clone());
    }
    let text = data_dir.secret(TOKEN_HASH_SECRET_FILE, || {
        let secret = Secret::generate(&SystemEntropy)?;
        Ok(Zeroizing::new(secret.expose().to_owned()))
    })?;
    let name = "token_hash_secret in the data directory";
    let jwt = &config.keys.jwt;
    for given in [&jwt.secret, &jwt.private_key].into_iter().flatten() {
        if is_same_secret(given.text(), &text) {
            return Err(same_secret(given, name).into());
        }
    }
    Ok(generated_secret(name, &text)?)
}

fn generated_secret(name: &str, text: &str) -> Result<Secret, ConfigError> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    match fault_of_secret(text) {
        Some(fault) => Err(ConfigError::new(name.to_owned(), fault, "put back the file as it was generated")),
        None => Secret::new(name, text),
    }
}

/// The keys that sign and verify access tokens.
pub(crate) fn signing(config: &Config, data_dir: &DataDir) -> Result<KeyRing, Error> {
    if let Some(ring) = given_ring(config)? {
        return Ok(ring);
    }
    if config.is_shared() {
        let setting = JWT_PRIVATE_KEY.env();
        let why = "servers that share a database or Redis need the same key";
        tracing::warn!(event = "signing_key_not_shared", setting, "{why}");
    }
    let text = data_dir.secret(SIGNING_KEY_FILE, || {
        let secret = generate_secret(Algorithm::EdDsa, &SystemEntropy)?;
        Ok(Zeroizing::new(secret.expose().to_owned()))
    })?;
    Ok(generated_ring("jwt_private_key.pem in the data directory", &text)?)
}

fn generated_ring(name: &str, text: &str) -> Result<KeyRing, ConfigError> {
    let secret = Secret::dangerous_without_variety_check(name, text)?;
    let key = SigningKey::from_secret(Algorithm::EdDsa, &secret).map_err(|error| renamed(name, &error))?;
    Ok(KeyRing::new(key))
}

fn algorithm(jwt: &JwtKeys) -> Result<Algorithm, ConfigError> {
    jwt.algorithm.parse().map_err(|error: ConfigError| renamed(&jwt.algorithm_spelled, &error))
}

/// The ring of the keys that were given; `None` when the key is to be generated.
fn given_ring(config: &Config) -> Result<Option<KeyRing>, ConfigError> {
    let jwt = &config.keys.jwt;
    let algorithm = algorithm(jwt)?;
    let shared = (&JWT_SECRET, &jwt.secret);
    let private = (&JWT_PRIVATE_KEY, &jwt.private_key);
    let (wanted, unwanted) = if algorithm.is_symmetric() { (shared, private) } else { (private, shared) };
    if let Some(given) = unwanted.1 {
        let cure = format!("give {} instead", wanted.0.env());
        return Err(given.error(format!("is not what {algorithm} signs with"), cure));
    }
    let Some(given) = wanted.1 else { return without_key(algorithm, wanted.0, jwt) };
    let key = signing_key(algorithm, given, config.tokens.profile)?;
    if let Some(public) = &jwt.public_key {
        check_public(algorithm, &key, public)?;
    }
    Ok(Some(KeyRing::new(key)))
}

fn without_key(algorithm: Algorithm, wanted: &Setting, jwt: &JwtKeys) -> Result<Option<KeyRing>, ConfigError> {
    if algorithm != Algorithm::EdDsa {
        let problem = format!("must be given for {algorithm}");
        let cure = format!("give it, or leave {} at EdDSA, whose key is generated", JWT_ALGORITHM.env());
        return Err(ConfigError::new(wanted.env(), problem, cure));
    }
    match &jwt.public_key {
        Some(public) => Err(public.error("is given without its private key", format!("give {} too", wanted.env()))),
        None => Ok(None),
    }
}

fn signing_key(algorithm: Algorithm, given: &Given, profile: Profile) -> Result<SigningKey, ConfigError> {
    let named = |error: ConfigError| renamed(&given.spelled, &error);
    match (algorithm.is_symmetric(), profile) {
        (true, Profile::LitestarAuth) => {
            let secret = Secret::dangerous_without_variety_check(&given.spelled, given.text())?;
            SigningKey::dangerous_from_short_secret(algorithm, &secret).map_err(named)
        }
        (true, _) => SigningKey::from_secret(algorithm, &Secret::new(&given.spelled, given.text())?).map_err(named),
        (false, _) => {
            let secret = Secret::dangerous_without_variety_check(&given.spelled, given.text())?;
            SigningKey::from_secret(algorithm, &secret).map_err(named)
        }
    }
}

fn check_public(algorithm: Algorithm, key: &SigningKey, public: &Given) -> Result<(), ConfigError> {
    if algorithm.is_symmetric() {
        return Err(public.error(format!("is of no use with {algorithm}"), "leave it out"));
    }
    let given = VerifyingKey::from_pem(algorithm, public.text()).map_err(|error| renamed(&public.spelled, &error))?;
    if given.to_jwk() == key.verifying_key().to_jwk() {
        Ok(())
    } else {
        let cure = format!("give the public half of {}, or leave it out", JWT_PRIVATE_KEY.env());
        Err(public.error("does not belong to the private key", cure))
    }
}
