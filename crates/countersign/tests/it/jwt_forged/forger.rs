//! A forger: makes any token over any text, by the backend alone and without the code under test.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use countersign::Secret;
use countersign::jwt::Algorithm;
use data_encoding::{BASE64, BASE64URL_NOPAD};

/// Where signatures come from.
pub enum Pair {
    Secret(Vec<u8>),
    Rsa(RsaKeyPair),
    Ec { curve: &'static str, pkcs8: Vec<u8> },
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    pub fn new(algorithm: Algorithm, secret: &Secret) -> Self {
        if algorithm.is_symmetric() {
            return Self::Secret(secret.expose().as_bytes().to_vec());
        }
        let body: String = secret
            .expose()
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let pkcs8 = BASE64.decode(body.as_bytes()).unwrap();
        match algorithm.as_str() {
            "EdDSA" => Self::Ed25519(Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap()),
            name if name.starts_with('E') => Self::Ec {
                curve: algorithm.as_str(),
                pkcs8,
            },
            _ => Self::Rsa(RsaKeyPair::from_pkcs8(&pkcs8).unwrap()),
        }
    }

    /// Signs by the algorithm called `name`, whatever the key was made for, as far as mathematics allows.
    pub fn sign(&self, name: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Secret(secret) => mac(name, secret, message),
            Self::Rsa(pair) => {
                let encoding = match name {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    _ => &RSA_PSS_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec { curve, pkcs8 } => {
                let algorithm = match *curve {
                    "ES256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
                    "ES384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
                    _ => &ECDSA_P521_SHA512_FIXED_SIGNING,
                };
                ecdsa(algorithm, pkcs8, message)
            }
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// An ECDSA signature in DER.
    pub fn sign_as_der(&self, message: &[u8]) -> Option<Vec<u8>> {
        let Self::Ec { curve, pkcs8 } = self else {
            return None;
        };
        let algorithm = match *curve {
            "ES256" => &ECDSA_P256_SHA256_ASN1_SIGNING,
            "ES384" => &ECDSA_P384_SHA384_ASN1_SIGNING,
            _ => &ECDSA_P521_SHA512_ASN1_SIGNING,
        };
        Some(ecdsa(algorithm, pkcs8, message))
    }

    /// The public key as SubjectPublicKeyInfo, and as the bare point or PKCS#1 structure.
    pub fn public(&self) -> Option<[Vec<u8>; 2]> {
        Some(match self {
            Self::Secret(_) => return None,
            Self::Rsa(pair) => encodings(pair.public_key()),
            Self::Ec { pkcs8, .. } => {
                let pair =
                    EcdsaKeyPair::from_private_key_der(self.curve().unwrap(), pkcs8).unwrap();
                encodings(pair.public_key())
            }
            Self::Ed25519(pair) => encodings(pair.public_key()),
        })
    }

    fn curve(&self) -> Option<&'static EcdsaSigningAlgorithm> {
        let Self::Ec { curve, .. } = self else {
            return None;
        };
        Some(match *curve {
            "ES256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
            "ES384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &ECDSA_P521_SHA512_FIXED_SIGNING,
        })
    }
}

fn encodings<K: AsRef<[u8]> + AsDer<PublicKeyX509Der<'static>>>(key: &K) -> [Vec<u8>; 2] {
    [
        key.as_der().unwrap().as_ref().to_vec(),
        key.as_ref().to_vec(),
    ]
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, pkcs8: &[u8], message: &[u8]) -> Vec<u8> {
    let pair = EcdsaKeyPair::from_private_key_der(algorithm, pkcs8).unwrap();
    pair.sign(&SystemRandom::new(), message)
        .unwrap()
        .as_ref()
        .to_vec()
}

/// An HMAC by the algorithm called `name`, under any bytes at all.
pub fn mac(name: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let digest = match name {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    hmac::sign(&hmac::Key::new(digest, secret), message)
        .as_ref()
        .to_vec()
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

pub fn from_base64url(text: &str) -> Vec<u8> {
    BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let body = BASE64.encode(der);
    let lines: Vec<&str> = (0..body.len())
        .step_by(64)
        .map(|at| &body[at..body.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// Members of a JSON object, in order: names and values as they are written, so that anything can be said.
#[derive(Clone)]
pub struct Members(Vec<(String, String)>);

impl Members {
    pub fn read(json: &[u8]) -> Self {
        let members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(json).unwrap();
        Self(
            members
                .into_iter()
                .map(|(name, value)| (name, value.to_string()))
                .collect(),
        )
    }

    /// With this value in place of the present one, or at the end.
    pub fn with(&self, name: &str, json: impl Into<String>) -> Self {
        let mut changed = self.without(name);
        changed.0.push((name.to_owned(), json.into()));
        changed
    }

    /// With this value beside the present one.
    pub fn and(&self, name: &str, json: impl Into<String>) -> Self {
        let mut changed = self.clone();
        changed.0.push((name.to_owned(), json.into()));
        changed
    }

    pub fn without(&self, name: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(known, _)| known != name)
                .cloned()
                .collect(),
        )
    }

    pub fn reversed(&self) -> Self {
        Self(self.0.iter().rev().cloned().collect())
    }

    pub fn raw(&self, name: &str) -> &str {
        self.0
            .iter()
            .find_map(|(known, value)| (known == name).then_some(value.as_str()))
            .unwrap()
    }

    /// A member's text without its quotes.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim_matches('"')
    }

    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    pub fn json(&self) -> String {
        self.spaced("")
    }

    /// With `space` between all parts.
    pub fn spaced(&self, space: &str) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{space}\"{name}\"{space}:{space}{value}{space}"))
            .collect();
        format!("{space}{{{}}}{space}", members.join(","))
    }
}
