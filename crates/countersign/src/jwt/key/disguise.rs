//! Recognises keys of key pairs in the setting of a shared secret.
//!
//! A public key is known to everybody. If it were accepted as the shared secret of an HMAC
//! algorithm, everybody could sign tokens. People paste keys in many spellings, so this module
//! looks for all of them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ParsedPublicKey,
};
use data_encoding::{BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use crate::jwt::key::{der, pem};

/// Returns `true` if `secret` is a key of a key pair.
///
/// Recognised are PEM, a JWK or a set of them, an SSH key, DER, an RSA modulus and the point of an
/// elliptic curve key, each as it is or in base64 or hexadecimal digits.
///
/// The 32 bytes of an Ed25519 key, and a single coordinate, look like any random secret and aren't
/// recognised. Of random secrets of 256 bytes and more, one in thirty looks like a modulus.
pub(crate) fn is_key_of_a_pair(secret: &[u8]) -> bool {
    // A PEM or a JWK in base64 is a text in a text, so the decoded bytes are checked as texts too.
    let Ok(text) = std::str::from_utf8(secret) else {
        return is_key(secret);
    };
    is_key(secret)
        || is_spelled_key(text)
        || decoded(text).iter().flatten().any(|bytes| is_key(bytes))
}

/// Returns `true` if bytes are a key in a binary format or in one of the text formats.
fn is_key(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes);
    der::is_key(bytes)
        || is_modulus(bytes)
        || is_point(bytes)
        || is_ssh(bytes)
        || text.is_ok_and(is_spelled_key)
}

/// Returns `true` if a text is a JWK, an SSH key or PEM.
fn is_spelled_key(text: &str) -> bool {
    let json =
        text.trim_start_matches(|character: char| character.is_whitespace() || character == '"');
    let is_jwk = json.starts_with(['{', '[']) && json.contains("kty");
    let is_ssh = ["ssh-", "ecdsa-sha2-", "sk-ssh-"]
        .iter()
        .any(|kind| text.trim_start().starts_with(kind));
    is_jwk || is_ssh || pem::looks_like_pem(text)
}

/// Returns the bytes of a text in base64 (of either alphabet) and of a text in hexadecimal digits.
fn decoded(text: &str) -> [Option<Zeroizing<Vec<u8>>>; 2] {
    let text = text.trim().strip_prefix("Modulus=").unwrap_or(text);
    let base64: Zeroizing<String> = Zeroizing::new(
        without_space(text, |_| false)
            .trim_end_matches('=')
            .chars()
            .map(in_standard_alphabet)
            .collect(),
    );
    let hex = without_space(text, |character| character == ':');

    [
        BASE64_NOPAD
            .decode(base64.as_bytes())
            .ok()
            .map(Zeroizing::new),
        HEXLOWER_PERMISSIVE
            .decode(hex.as_bytes())
            .ok()
            .map(Zeroizing::new),
    ]
}

/// Returns a text without its white space and without the characters to skip.
fn without_space(text: &str, skips: fn(char) -> bool) -> Zeroizing<String> {
    let kept = text
        .chars()
        .filter(|character| !character.is_ascii_whitespace() && !skips(*character));
    Zeroizing::new(kept.collect())
}

/// Returns a digit of base64url as base64 spells it.
const fn in_standard_alphabet(digit: char) -> char {
    match digit {
        '-' => '+',
        '_' => '/',
        other => other,
    }
}

/// Returns `true` for a point in uncompressed form on one of the curves of
/// [`Algorithm`](crate::jwt::Algorithm).
fn is_point(bytes: &[u8]) -> bool {
    let curves = [
        &ECDSA_P256_SHA256_FIXED,
        &ECDSA_P384_SHA384_FIXED,
        &ECDSA_P521_SHA512_FIXED,
    ];
    bytes.first() == Some(&4)
        && curves
            .into_iter()
            .any(|curve| ParsedPublicKey::new(curve, bytes).is_ok())
}

/// Returns `true` for the blob of an SSH key: the name of its kind with the length in front (RFC
/// 4253 section 6.6).
fn is_ssh(bytes: &[u8]) -> bool {
    let kinds: [&[u8]; 3] = [b"ssh-", b"ecdsa-sha2-", b"sk-"];
    bytes
        .strip_prefix(&[0, 0, 0])
        .and_then(|rest| rest.get(1..))
        .is_some_and(|rest| kinds.iter().any(|k| rest.starts_with(k)))
}

/// Returns `true` for a number as large as an RSA modulus of 2048 to 8192 bits that has no small
/// divisor.
fn is_modulus(bytes: &[u8]) -> bool {
    const DIVISORS: std::ops::Range<u32> = 3..4096;
    let number = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    let is_size = (256..=1024).contains(&number.len()) && number.len().is_multiple_of(32);
    let is_odd = number.last().is_some_and(|byte| byte & 1 == 1);
    let is_full = number.first().is_some_and(|byte| byte & 0x80 != 0);
    is_size
        && is_odd
        && is_full
        && DIVISORS
            .step_by(2)
            .all(|divisor| remainder(number, divisor) != 0)
}

/// Returns the remainder of a big-endian number divided by a divisor.
fn remainder(number: &[u8], divisor: u32) -> u32 {
    number
        .iter()
        .fold(0, |rest, byte| ((rest << 8) | u32::from(*byte)) % divisor)
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

    use super::*;
    use crate::entropy::{Entropy, SystemEntropy};
    use crate::jwt::json::{Object, Value};
    use crate::jwt::{Algorithm, SigningKey, generate_secret};
    use crate::secret::Secret;

    /// Every spelling of the public half of a key.
    fn spellings(algorithm: Algorithm) -> Vec<(String, Vec<u8>)> {
        let secret = generate_secret(algorithm, &SystemEntropy).unwrap();
        let key = SigningKey::from_secret(algorithm, &secret).unwrap();
        let private = pem::read("secret", secret.expose()).unwrap().der.to_vec();
        let spki = key.verifying_key().public_half().unwrap().spki();
        let bits = der::public_key_bits(&spki).unwrap().to_vec();
        let jwk = key.verifying_key().to_jwk().unwrap();
        let text = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----",
            BASE64.encode(&spki)
        );
        let mut raw = vec![("SPKI", spki.clone()), ("PKCS#8", private)];
        if algorithm != Algorithm::EdDsa {
            raw.push(("key bits", bits));
        }
        let object = Object::parse(jwk.as_bytes()).unwrap();
        if let Some(Value::Text(n)) = object.member("n") {
            let n = BASE64URL_NOPAD.decode(n.as_bytes()).unwrap();
            raw.push(("modulus with a zero", [vec![0], n.clone()].concat()));
            raw.push(("modulus", n));
        }
        let mut all = vec![
            ("PEM".to_owned(), text.clone().into_bytes()),
            (
                "PEM in base64".to_owned(),
                BASE64.encode(text.as_bytes()).into_bytes(),
            ),
            ("JWK".to_owned(), jwk.clone().into_bytes()),
            (
                "JWK in lines".to_owned(),
                jwk.replace(',', ",\n ").into_bytes(),
            ),
            (
                "JWK set".to_owned(),
                format!(" {{\"keys\":[{jwk}]}}").into_bytes(),
            ),
            (
                "JWK in base64url".to_owned(),
                BASE64URL_NOPAD.encode(jwk.as_bytes()).into_bytes(),
            ),
        ];
        for (name, bytes) in raw {
            let lines: Vec<String> = BASE64
                .encode(&bytes)
                .as_bytes()
                .chunks(64)
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect();
            let colons: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let texts = [
                BASE64.encode(&bytes),
                BASE64.encode(&bytes).trim_end_matches('=').to_owned(),
                BASE64URL.encode(&bytes),
                BASE64URL_NOPAD.encode(&bytes),
                lines.join("\n"),
                format!("{}\r\n", lines.join("\r\n")),
                HEXLOWER.encode(&bytes),
                HEXUPPER.encode(&bytes),
                colons.join(":"),
                format!("Modulus={}", HEXUPPER.encode(&bytes)),
            ];
            all.extend(
                texts
                    .into_iter()
                    .enumerate()
                    .map(|(at, text)| (format!("{name}, text {at}"), text.into_bytes())),
            );
            all.push((name.to_owned(), bytes));
        }
        all
    }

    #[test]
    fn a_public_key_is_no_shared_secret_in_any_spelling() {
        for algorithm in [
            Algorithm::EdDsa,
            Algorithm::Es256,
            Algorithm::Es384,
            Algorithm::Es512,
            Algorithm::Rs256,
        ] {
            for (spelling, secret) in spellings(algorithm) {
                assert!(is_key_of_a_pair(&secret), "{algorithm} {spelling}");
                let Ok(text) = String::from_utf8(secret) else {
                    continue;
                };
                let secret = Secret::dangerous_without_variety_check("secret", text).unwrap();
                for symmetric in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
                    let keys = [
                        SigningKey::from_secret(symmetric, &secret),
                        SigningKey::dangerous_from_short_secret(symmetric, &secret),
                    ];
                    for error in keys.map(|key| key.unwrap_err()) {
                        assert_eq!(
                            error.setting(),
                            "secret",
                            "{algorithm} {spelling} as {symmetric}: {error}"
                        );
                    }
                }
            }
        }
        let ssh = "AAAAC3NzaC1lZDI1NTE5AAAAIH1NDn9hU6abYkK1Iqu+5oX9pEIPiDSxCMO9rjae9Un6";
        assert!(
            is_key_of_a_pair(ssh.as_bytes())
                && is_key_of_a_pair(format!("ssh-ed25519 {ssh} ada@host").as_bytes())
        );
    }

    #[test]
    fn what_people_take_for_secrets_is_no_key() {
        let mut random = [0; 2048];
        SystemEntropy.fill(&mut random).unwrap();
        for chunk in random
            .chunks(64)
            .chain(random.chunks(32))
            .chain(random.chunks(48))
            .chain(random.chunks(200))
        {
            for text in [
                BASE64.encode(chunk),
                BASE64URL_NOPAD.encode(chunk),
                HEXLOWER.encode(chunk),
            ] {
                assert!(!is_key_of_a_pair(text.as_bytes()), "{text}");
            }
        }
        for text in [
            "redis-token-hash-secret-1234567890",
            "correct horse battery staple, and then some",
            "{\"not\": \"a key\", \"but\": \"long enough\"}",
            "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A that is not one",
            "päßwörter mit Ümläuten sind auch geheim",
        ] {
            assert!(!is_key_of_a_pair(text.as_bytes()), "{text}");
        }
        // A number with small divisors is no modulus.
        let mut number = [0xFF; 256];
        number[255] = 0xFB;
        let three = number
            .iter()
            .fold(0, |rest: u32, byte| ((rest << 8) | u32::from(*byte)) % 3);
        number[255] -= u8::try_from(three).unwrap();
        assert!(!is_key_of_a_pair(&number));
    }
}
