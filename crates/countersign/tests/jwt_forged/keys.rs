//! Signatures by the wrong key: SECURITY rows T-03 and T-04.

use std::sync::OnceLock;

use countersign::jwt::{Algorithm, generate_secret};
use countersign::{Refusal, Secret, SystemEntropy};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

use crate::jwt_common::{text, vectors};
use crate::{Bench, Case, good_claims, quoted};
use countersign::jwt::raw;

/// A secret for `algorithm`, and a stranger's.
pub(crate) fn pair(algorithm: Algorithm) -> (Secret, Secret) {
    static RSA: OnceLock<Secret> = OnceLock::new();
    let generate = |algorithm| generate_secret(algorithm, &SystemEntropy).unwrap();
    if !algorithm.as_str().starts_with(['R', 'P']) {
        return (generate(algorithm), generate(algorithm));
    }
    let vectors = vectors("vectors.json");
    let secret = Secret::new("secret", text(&vectors["keys"]["rsa2048"], "private_pem")).unwrap();
    (secret, RSA.get_or_init(|| generate(Algorithm::Rs256)).clone())
}

pub(crate) fn cases(bench: &Bench) -> Vec<Case> {
    let header = bench.header().json();
    let claims = good_claims().json();
    let mut cases = vec![Case::new(
        "a stranger's signature",
        raw::sign(&bench.stranger, header.as_bytes(), claims.as_bytes()).unwrap(),
        Err(Refusal::Signature),
    )];
    let Some(jwk) = bench.stranger.verifying_key().to_jwk() else { return cases };
    let embedded = bench.header().with("jwk", jwk).json();
    cases.push(Case::new(
        "a stranger's signature, its key embedded",
        raw::sign(&bench.stranger, embedded.as_bytes(), claims.as_bytes()).unwrap(),
        Err(Refusal::Signature),
    ));
    let under_its_id = bench.header().with("kid", quoted("stranger")).json();
    cases.push(Case::new(
        "a stranger's signature under its own id",
        raw::sign(&bench.stranger, under_its_id.as_bytes(), claims.as_bytes()).unwrap(),
        Err(Refusal::UnknownKey),
    ));
    cases.extend(confusion(bench, &claims));
    cases
}

/// Our public key, in every encoding there is, as an HMAC secret.
fn confusion(bench: &Bench, claims: &str) -> Vec<Case> {
    let jwk = bench.key.verifying_key().to_jwk().unwrap();
    let members: serde_json::Value = serde_json::from_str(&jwk).unwrap();
    let mut secrets = vec![jwk.clone().into_bytes(), Vec::new()];
    for name in ["n", "x", "y"] {
        if let Some(number) = members[name].as_str() {
            let bytes = BASE64URL_NOPAD.decode(number.as_bytes()).unwrap();
            secrets.extend([number.as_bytes().to_vec(), HEXLOWER.encode(&bytes).into_bytes(), bytes]);
        }
    }
    if bench.algorithm == Algorithm::Rs256 || bench.algorithm == Algorithm::Ps256 {
        let vectors = vectors("vectors.json");
        let pem = text(&vectors["keys"]["rsa2048"], "public_pem");
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        secrets.push(data_encoding::BASE64.decode(body.as_bytes()).unwrap());
        secrets.extend([pem.as_bytes().to_vec(), pem.trim().as_bytes().to_vec(), body.into_bytes()]);
    }
    let mut cases = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        for algorithm in ["HS256", "HS384", "HS512"] {
            let header = bench.header().with("alg", quoted(algorithm)).json();
            let signed = [header.as_bytes(), claims.as_bytes()].map(|part| BASE64URL_NOPAD.encode(part)).join(".");
            let tag = BASE64URL_NOPAD.encode(&tag(algorithm, secret, signed.as_bytes()));
            let name = format!("{algorithm} under public key {number}");
            cases.push(Case::new(name, format!("{signed}.{tag}"), Err(Refusal::Algorithm)));
            let lying = bench.header().json();
            let signed = [lying.as_bytes(), claims.as_bytes()].map(|part| BASE64URL_NOPAD.encode(part)).join(".");
            let tag = BASE64URL_NOPAD.encode(&self::tag(algorithm, secret, signed.as_bytes()));
            let name = format!("{algorithm} under public key {number}, named {}", bench.algorithm);
            cases.push(Case::new(name, format!("{signed}.{tag}"), Err(Refusal::Signature)));
        }
    }
    cases
}

fn tag(algorithm: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    fn of<M: Mac + KeyInit>(secret: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(secret).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }
    match algorithm {
        "HS256" => of::<Hmac<Sha256>>(secret, message),
        "HS384" => of::<Hmac<Sha384>>(secret, message),
        _ => of::<Hmac<Sha512>>(secret, message),
    }
}
