//! The algorithms a token can be signed with. `none` isn't among them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaParameters, RsaSignatureEncoding,
};

use crate::error::ConfigError;

/// An algorithm of RFC 7518 section 3.1 or RFC 8037 (`EdDSA`, with Ed25519).
///
/// A key is bound to one when it is built, and a token's header has to name it byte for byte (SECURITY rows T-01 to
/// T-03).
///
/// ```
/// use countersign::jwt::Algorithm;
///
/// assert_eq!("EdDSA".parse(), Ok(Algorithm::EdDsa));
/// assert!("none".parse::<Algorithm>().is_err());
/// assert!("hs256".parse::<Algorithm>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256: the default of the strategies page.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm, in the order of the enum.
    pub const ALL: [Self; 13] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The name that a header carries in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Whether one secret both signs and verifies.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::Hs256 => Family::Hmac { digest: hmac::HMAC_SHA256, length: 32 },
            Self::Hs384 => Family::Hmac { digest: hmac::HMAC_SHA384, length: 48 },
            Self::Hs512 => Family::Hmac { digest: hmac::HMAC_SHA512, length: 64 },
            Self::Rs256 => Family::Rsa { verify: &RSA_PKCS1_2048_8192_SHA256, sign: &RSA_PKCS1_SHA256 },
            Self::Rs384 => Family::Rsa { verify: &RSA_PKCS1_2048_8192_SHA384, sign: &RSA_PKCS1_SHA384 },
            Self::Rs512 => Family::Rsa { verify: &RSA_PKCS1_2048_8192_SHA512, sign: &RSA_PKCS1_SHA512 },
            Self::Ps256 => Family::Rsa { verify: &RSA_PSS_2048_8192_SHA256, sign: &RSA_PSS_SHA256 },
            Self::Ps384 => Family::Rsa { verify: &RSA_PSS_2048_8192_SHA384, sign: &RSA_PSS_SHA384 },
            Self::Ps512 => Family::Rsa { verify: &RSA_PSS_2048_8192_SHA512, sign: &RSA_PSS_SHA512 },
            Self::Es256 => Family::Ecdsa {
                verify: &ECDSA_P256_SHA256_FIXED,
                sign: &ECDSA_P256_SHA256_FIXED_SIGNING,
                curve: "P-256",
                field: 32,
            },
            Self::Es384 => Family::Ecdsa {
                verify: &ECDSA_P384_SHA384_FIXED,
                sign: &ECDSA_P384_SHA384_FIXED_SIGNING,
                curve: "P-384",
                field: 48,
            },
            Self::Es512 => Family::Ecdsa {
                verify: &ECDSA_P521_SHA512_FIXED,
                sign: &ECDSA_P521_SHA512_FIXED_SIGNING,
                curve: "P-521",
                field: 66,
            },
            Self::EdDsa => Family::Ed25519,
        }
    }
}

/// What the backend needs to know of an algorithm.
pub(crate) enum Family {
    /// `length` is the tag's length and the least length of a secret, in bytes (RFC 7518 section 3.2).
    Hmac {
        digest: hmac::Algorithm,
        length: usize,
    },
    Rsa {
        verify: &'static RsaParameters,
        sign: &'static RsaSignatureEncoding,
    },
    /// `curve` is its name in a JWK, `field` the length of a coordinate in bytes.
    Ecdsa {
        verify: &'static EcdsaVerificationAlgorithm,
        sign: &'static EcdsaSigningAlgorithm,
        curve: &'static str,
        field: usize,
    },
    Ed25519,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Exact spelling only.
impl FromStr for Algorithm {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or_else(|| {
            let shown: String = text.chars().take(16).flat_map(char::escape_default).collect();
            let names = Self::ALL.map(Self::as_str).join(", ");
            ConfigError::new("algorithm", format!("\"{shown}\" is not supported"), format!("use one of {names}"))
        })
    }
}
