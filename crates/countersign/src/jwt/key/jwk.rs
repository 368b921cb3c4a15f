//! Reads JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037) for [`VerifyingKey::from_jwk`].

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::error::ConfigError;
use crate::jwt::algorithm::{Algorithm, Family};
use crate::jwt::json::{Object, Value};
use crate::jwt::key::public::PublicHalf;
use crate::jwt::key::verifying::VerifyingKey;

/// The longest text of a key, in bytes. An RSA key of 8192 bits takes about 1,400.
const MAX_LENGTH: usize = 8 * 1024;

impl VerifyingKey {
    /// Reads a JSON Web Key (RFC 7517) of at most 8192 bytes: a public key, or an `oct` secret.
    ///
    /// `use`, `key_ops` and `alg` have to allow verifying with `algorithm` if they are present.
    /// `kid` becomes the id of the key.
    ///
    /// # Errors
    /// [`ConfigError`] that names `jwk` if the text isn't such a key, has a name twice or holds a
    /// private key, and [`ConfigError`] that names `verify_key`, `secret` or `kid` if that part of
    /// the key is refused. The key has to fit the algorithm as for [`from_pem`](Self::from_pem).
    pub fn from_jwk(algorithm: Algorithm, text: &str) -> Result<Self, ConfigError> {
        read(algorithm, text)
    }
}

/// Reads a public key or an `oct` secret that verifies with `algorithm`.
fn read(algorithm: Algorithm, text: &str) -> Result<VerifyingKey, ConfigError> {
    let object = if text.len() > MAX_LENGTH {
        None
    } else {
        Object::parse(text.as_bytes())
    };

    let object = object.ok_or_else(|| unusable("is not a JSON object"))?;
    check_purpose(algorithm, &object)?;
    let key = match (text_of(&object, "kty")?, algorithm.family()) {
        ("oct", Family::Hmac { length, .. }) => {
            VerifyingKey::from_secret(algorithm, &bytes_of(&object, "k")?, length)?
        }
        ("RSA", Family::Rsa { .. }) => {
            let (n, e) = (bytes_of(&object, "n")?, bytes_of(&object, "e")?);
            VerifyingKey::from_public_half(PublicHalf::from_rsa_numbers(algorithm, &n, &e)?)?
        }
        ("EC", Family::Ecdsa { curve, field, .. }) if text_of(&object, "crv")? == curve => {
            let (x, y) = (bytes_of(&object, "x")?, bytes_of(&object, "y")?);
            if x.len() != field || y.len() != field {
                return Err(unusable("has a coordinate of the wrong length"));
            }
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            VerifyingKey::from_public_half(PublicHalf::from_der(algorithm, &point)?)?
        }
        ("OKP", Family::Ed25519) if text_of(&object, "crv")? == "Ed25519" => {
            let x = bytes_of(&object, "x")?;
            if x.len() != 32 {
                return Err(unusable("has a coordinate of the wrong length"));
            }
            VerifyingKey::from_public_half(PublicHalf::from_der(algorithm, &x)?)?
        }
        _ => {
            return Err(unusable(
                "has a different key type or curve than the algorithm requires",
            ));
        }
    };

    match object
        .text("kid")
        .map_err(|_| unusable("has a `kid` that is not a string"))?
    {
        Some(kid) => key.with_kid(kid),
        None => Ok(key),
    }
}

/// Checks that the members `alg`, `use` and `key_ops` allow verifying with `algorithm`, and that
/// the key isn't private.
fn check_purpose(algorithm: Algorithm, object: &Object<'_>) -> Result<(), ConfigError> {
    if object.member("d").is_some() {
        return Err(unusable("contains a private key"));
    }
    if !may_be(object, "alg", algorithm.as_str()) {
        return Err(unusable("is for another algorithm"));
    }

    let operations = match object.member("key_ops") {
        None => true,
        Some(Value::List(operations)) => operations
            .iter()
            .any(|value| matches!(value, Value::Text(text) if text == "verify")),
        Some(_) => false,
    };
    if may_be(object, "use", "sig") && operations {
        Ok(())
    } else {
        Err(unusable("is not for verifying signatures"))
    }
}

/// Returns `true` if a member is absent, or is the wanted string.
fn may_be(object: &Object<'_>, name: &str, wanted: &str) -> bool {
    match object.member(name) {
        None => true,
        Some(value) => matches!(value, Value::Text(text) if text == wanted),
    }
}

/// Returns a required member that is a string.
fn text_of<'k>(object: &'k Object<'_>, name: &'static str) -> Result<&'k str, ConfigError> {
    object
        .text(name)
        .ok()
        .flatten()
        .ok_or_else(|| unusable("is missing a member that its key type requires"))
}

/// Returns a required member that is base64url, decoded.
fn bytes_of(object: &Object<'_>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let decoded = BASE64URL_NOPAD.decode(text_of(object, name)?.as_bytes());
    decoded
        .map(Zeroizing::new)
        .map_err(|_| unusable("has a member that is not valid base64url"))
}

fn unusable(problem: &'static str) -> ConfigError {
    ConfigError::new(
        "jwk",
        problem,
        "use one public key, or one `oct` secret, in the format of RFC 7517",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ED25519: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"fU0Of2FTpptiQrUiq77mhf2kQg-INLEIw72uNp71Sfo"}"#;

    #[test]
    fn round_trips_and_binds() {
        let key = read(Algorithm::EdDsa, ED25519).unwrap();
        let again = read(Algorithm::EdDsa, &key.to_jwk().unwrap()).unwrap();
        assert_eq!(again.kid(), key.kid());
        assert!(read(Algorithm::Es256, &key.to_jwk().unwrap()).is_err());
        assert!(
            read(
                Algorithm::EdDsa,
                &ED25519.replace("\"kty\"", "\"d\":\"AA\",\"kty\"")
            )
            .is_err()
        );
    }

    /// RFC 8037 appendix A.3.
    #[test]
    fn thumbprint_is_the_rfcs() {
        let jwk =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(
            read(Algorithm::EdDsa, jwk).unwrap().kid(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn points_of_small_order_are_no_keys() {
        let one = std::array::from_fn(|at| u8::from(at == 0));
        let minus_one_with_sign = std::array::from_fn(|at| if at == 0 { 0xEC } else { 0xFF });
        let points = [[0; 32], one, minus_one_with_sign];
        for point in points {
            let jwk = ED25519.replace(
                "fU0Of2FTpptiQrUiq77mhf2kQg-INLEIw72uNp71Sfo",
                &BASE64URL_NOPAD.encode(&point),
            );
            assert!(read(Algorithm::EdDsa, &jwk).is_err());
        }
    }

    #[test]
    fn exponents_are_odd_and_large() {
        let with = |exponent: &str| {
            let modulus = BASE64URL_NOPAD.encode(&[0xFF; 256]);
            read(
                Algorithm::Rs256,
                &format!(r#"{{"kty":"RSA","n":"{modulus}","e":"{exponent}"}}"#),
            )
        };
        assert!(with("AQAB").is_ok());
        for (exponent, why) in [
            ("Aw", "3"),
            ("__8", "65535"),
            ("AQAC", "even"),
            ("AQ", "1"),
            ("AAEAAQ", "a leading zero"),
        ] {
            assert!(with(exponent).is_err(), "{why}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in ".{0,120}", value in "[A-Za-z0-9_-]{0,50}", algorithm in 0..Algorithm::ALL.len()) {
            let algorithm = Algorithm::ALL[algorithm];
            let _ = read(algorithm, &text);
            for kind in ["oct", "RSA", "EC", "OKP"] {
                let jwk = format!(r#"{{"kty":"{kind}","crv":"P-256","k":"{value}","n":"{value}","e":"{value}","x":"{value}","y":"{value}"}}"#);
                let _ = read(algorithm, &jwk);
            }
        }
    }
}
