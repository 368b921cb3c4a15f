//! Public vectors for JSON Web Signatures and Keys: 0 wrong answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(all(feature = "jwt", feature = "testing"))]

use crate::fixture::vectors::{list, text, vectors};
use countersign::jwt::{Algorithm, KeyRing, VerifyingKey, raw};
use countersign::{ConfigError, Secret};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::Value;

/// Where a label contradicts the data of its own test: what the answer has to be, and why.
const OVERRIDES: [(u64, bool, &str); 8] = [
    (
        367,
        true,
        "labelled as a padding error, and is a plain valid token",
    ),
    (
        370,
        true,
        "labelled as a padding error, and is a plain valid token",
    ),
    (372, false, "labelled valid, and has a `?` in its header"),
    (373, false, "labelled valid, and has a `?` in its payload"),
    (
        347,
        false,
        "the key is pinned to ES521, which doesn't exist",
    ),
    (
        351,
        false,
        "the key is pinned to ES521, which doesn't exist",
    ),
    (
        346,
        false,
        "the key is pinned to PS256, the signature is PS384",
    ),
    (
        350,
        false,
        "the key is pinned to PS256, the signature is PS384",
    ),
];

/// Keys made by a broken generator: a verifier may accept them or not.
const ROCA: [(&str, u64); 2] = [("json_web_key", 7), ("json_web_crypto", 46)];

fn algorithm_of(jwk: &Value, token: &str) -> Option<Algorithm> {
    if let Some(named) = jwk["alg"].as_str() {
        return named.parse().ok();
    }
    let header = BASE64URL_NOPAD
        .decode(token.split('.').next()?.as_bytes())
        .ok()?;
    serde_json::from_slice::<Value>(&header).ok()?["alg"]
        .as_str()?
        .parse()
        .ok()
}

fn ring(key: &Value, token: &str) -> Result<KeyRing, ConfigError> {
    let one = [key.clone()];
    let keys = key["keys"].as_array().map_or(&one[..], Vec::as_slice);
    let read = |jwk: &Value| {
        let unknown = ConfigError::new("jwk", "names no algorithm of ours", "skip it");
        VerifyingKey::from_jwk(algorithm_of(jwk, token).ok_or(unknown)?, &jwk.to_string())
    };
    keys[1..]
        .iter()
        .try_fold(KeyRing::verify_only(read(&keys[0])?), |ring, jwk| {
            ring.accept(read(jwk)?)
        })
}

fn accepts(group: &Value, token: &str) -> bool {
    let key = if group["public"].is_null() {
        &group["private"]
    } else {
        &group["public"]
    };
    ring(key, token).is_ok_and(|ring| raw::verify(&ring, token).is_ok())
}

fn run(name: &str) -> usize {
    let mut count = 0;
    for group in list(
        &vectors(&format!("wycheproof/{name}_test.json")),
        "testGroups",
    ) {
        for test in list(group, "tests") {
            let id = test["tcId"].as_u64().unwrap();
            let (token, is_jws) = match &test["jws"] {
                Value::Null => (&test["jwe"], false),
                token => (token, true),
            };
            let token = token
                .as_str()
                .map_or_else(|| token.to_string(), str::to_owned);
            let overridden = OVERRIDES
                .iter()
                .find(|(case, ..)| name == "json_web_signature" && *case == id);
            // Encrypted tokens are refused, good and bad ones alike: there is nothing to decrypt them with.
            let expected = overridden.map_or(
                is_jws && text(test, "result") == "valid",
                |(_, valid, _)| *valid,
            );
            count += 1;
            if !ROCA.contains(&(name, id)) {
                assert_eq!(
                    accepts(group, &token),
                    expected,
                    "{name} {id}: {}",
                    test["comment"]
                );
            }
        }
    }
    count
}

#[test]
fn json_web_signature() {
    assert_eq!(run("json_web_signature"), 401);
}

#[test]
fn json_web_key() {
    assert_eq!(run("json_web_key"), 26);
}

#[test]
fn json_web_crypto() {
    assert_eq!(run("json_web_crypto"), 83);
}

#[test]
fn encrypted_tokens_are_refused() {
    let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
    let key = countersign::jwt::SigningKey::from_secret(Algorithm::Hs256, &secret).unwrap();
    let ring = KeyRing::new(key);
    let mut count = 0;
    for group in list(
        &vectors("wycheproof/json_web_encryption_test.json"),
        "testGroups",
    ) {
        for test in list(group, "tests") {
            let token = test["jwe"]
                .as_str()
                .map_or_else(|| test["jwe"].to_string(), str::to_owned);
            assert!(raw::verify(&ring, &token).is_err(), "{}", test["tcId"]);
            count += 1;
        }
    }
    assert_eq!(count, 139);
}

fn run_raw(name: &str, algorithm: Algorithm) -> usize {
    let mut count = 0;
    for group in list(
        &vectors(&format!("wycheproof/{name}_test.json")),
        "testGroups",
    ) {
        let mut keys = vec![VerifyingKey::from_pem(
            algorithm,
            text(group, "publicKeyPem"),
        )];
        if group["publicKeyJwk"].is_object() {
            keys.push(VerifyingKey::from_jwk(
                algorithm,
                &group["publicKeyJwk"].to_string(),
            ));
        }
        for test in list(group, "tests") {
            let message = HEXLOWER.decode(text(test, "msg").as_bytes()).unwrap();
            let signature = HEXLOWER.decode(text(test, "sig").as_bytes()).unwrap();
            for key in &keys {
                let accepted = key
                    .as_ref()
                    .is_ok_and(|key| raw::verify_signature(key, &message, &signature));
                assert_eq!(
                    accepted,
                    text(test, "result") == "valid",
                    "{name} {}: {}",
                    test["tcId"],
                    test["comment"]
                );
            }
            count += 1;
        }
    }
    count
}

#[test]
fn ecdsa_with_raw_signatures() {
    assert_eq!(
        run_raw("ecdsa_secp256r1_sha256_p1363", Algorithm::Es256),
        262
    );
}

#[test]
fn ed25519() {
    assert_eq!(run_raw("ed25519", Algorithm::EdDsa), 151);
}

/// RFC 7520 and RFC 8037: compact forms of whole tokens verify; everything else the documents show is refused.
#[test]
fn cookbook() {
    let verified = [
        "jws_4_1.rsa_v15_signature",
        "jws_4_2.rsa-pss_signature",
        "jws_4_3.ecdsa_signature",
        "jws_4_4.hmac-sha2_integrity_protection",
        "curve25519_jws",
    ];
    for name in verified {
        let example = vectors(&format!("jose-cookbook/{name}.json"));
        let mut key = example["input"]["key"].clone();
        // The examples give the pair that signed; a verifier gets the public half.
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(member);
        }
        let algorithm = text(&example["input"], "alg").parse().unwrap();
        let ring =
            KeyRing::verify_only(VerifyingKey::from_jwk(algorithm, &key.to_string()).unwrap());
        let payload = raw::verify(&ring, text(&example["output"], "compact"));
        assert_eq!(
            payload.as_deref(),
            Ok(text(&example["input"], "payload").as_bytes()),
            "{name}"
        );
        let json = example["output"]["json_flat"].to_string();
        assert!(raw::verify(&ring, &json).is_err(), "{name} in JSON form");
    }
}

#[test]
fn detached_unencoded_and_several_signatures_are_refused() {
    let refused = [
        "jws_4_5.signature_with_detached_content",
        "jws_4_6.protecting_specific_header_fields",
        "jws_4_7.protecting_content_only",
        "jws_4_8.multiple_signatures",
        "rfc7797_4.2.hmac-sha2_b64_false",
        "rfc7797_hmac-sha2_b64_false",
    ];
    let mut forms = 0;
    for name in refused {
        let example = vectors(&format!("jose-cookbook/{name}.json"));
        let mut keys = vec![example["input"]["key"].clone()];
        if let Some(several) = keys[0].as_array() {
            keys = several.clone();
        }
        let secret = keys.iter().find(|key| key["kty"] == "oct").unwrap();
        let ring = KeyRing::verify_only(
            VerifyingKey::from_jwk(Algorithm::Hs256, &secret.to_string()).unwrap(),
        );
        for form in example["output"].as_object().unwrap().values() {
            let token = form
                .as_str()
                .map_or_else(|| form.to_string(), str::to_owned);
            assert!(raw::verify(&ring, &token).is_err(), "{name}: {token}");
            forms += 1;
        }
    }
    assert!(forms >= 10, "only {forms} forms were tried");
}
