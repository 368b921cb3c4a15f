//! The signature algorithms of tokens, and their parameters for the cryptographic backend.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaParameters, RsaSignatureEncoding,
};

use crate::error::ConfigError;

/// A signature algorithm of RFC 7518 section 3.1 or RFC 8037 (`EdDSA` with Ed25519).
///
/// A key is bound to one algorithm when it is built. The `alg` header of a token has to name the
/// key's algorithm byte for byte, so a token can't choose how it is verified. The algorithm `none`
/// isn't supported.
///
/// Parsing a text and [`Display`](fmt::Display) use the names of the `alg` header.
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
    /// HMAC with SHA-256 and a shared secret of at least 32 bytes.
    ///
    /// [`JwtStrategy`](crate::strategy::JwtStrategy) uses it by default, as litestar-auth does.
    Hs256,
    /// HMAC with SHA-384 and a shared secret of at least 48 bytes.
    Hs384,
    /// HMAC with SHA-512 and a shared secret of at least 64 bytes.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256 and a key of 2048 to 8192 bits.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384 and a key of 2048 to 8192 bits.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512 and a key of 2048 to 8192 bits.
    Rs512,
    /// RSASSA-PSS with SHA-256 and a key of 2048 to 8192 bits.
    Ps256,
    /// RSASSA-PSS with SHA-384 and a key of 2048 to 8192 bits.
    Ps384,
    /// RSASSA-PSS with SHA-512 and a key of 2048 to 8192 bits.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// EdDSA with the curve Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All algorithms, in the order of the variants.
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

    /// Returns the name of the algorithm in the `alg` header, such as `HS256`.
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

    /// Returns `true` if one shared secret both signs and verifies (HS256, HS384, HS512).
    ///
    /// Whoever can verify such a token can also forge one.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// Returns the parameters that the cryptographic backend takes.
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Hs256 => Family::Hmac {
                digest: hmac::HMAC_SHA256,
                length: 32,
            },
            Self::Hs384 => Family::Hmac {
                digest: hmac::HMAC_SHA384,
                length: 48,
            },
            Self::Hs512 => Family::Hmac {
                digest: hmac::HMAC_SHA512,
                length: 64,
            },
            Self::Rs256 => Family::Rsa {
                verify: &RSA_PKCS1_2048_8192_SHA256,
                sign: &RSA_PKCS1_SHA256,
            },
            Self::Rs384 => Family::Rsa {
                verify: &RSA_PKCS1_2048_8192_SHA384,
                sign: &RSA_PKCS1_SHA384,
            },
            Self::Rs512 => Family::Rsa {
                verify: &RSA_PKCS1_2048_8192_SHA512,
                sign: &RSA_PKCS1_SHA512,
            },
            Self::Ps256 => Family::Rsa {
                verify: &RSA_PSS_2048_8192_SHA256,
                sign: &RSA_PSS_SHA256,
            },
            Self::Ps384 => Family::Rsa {
                verify: &RSA_PSS_2048_8192_SHA384,
                sign: &RSA_PSS_SHA384,
            },
            Self::Ps512 => Family::Rsa {
                verify: &RSA_PSS_2048_8192_SHA512,
                sign: &RSA_PSS_SHA512,
            },
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

/// The parameters of an algorithm for the cryptographic backend.
pub(crate) enum Family {
    /// HMAC. `length` is the length of a tag and the least length of a secret, in bytes (RFC 7518
    /// section 3.2).
    Hmac {
        digest: hmac::Algorithm,
        length: usize,
    },
    /// RSA with either padding.
    Rsa {
        verify: &'static RsaParameters,
        sign: &'static RsaSignatureEncoding,
    },
    /// ECDSA. `curve` is the curve's name in a JWK, and `field` the length of a coordinate in
    /// bytes.
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

/// Parses the name of the `alg` header. Upper and lower case are different.
///
/// The error is a [`ConfigError`] that names `algorithm` and lists the supported names.
impl FromStr for Algorithm {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| {
                let shown: String = text
                    .chars()
                    .take(16)
                    .flat_map(char::escape_default)
                    .collect();
                let names = Self::ALL.map(Self::as_str).join(", ");

                ConfigError::new(
                    "algorithm",
                    format!("\"{shown}\" is not supported"),
                    format!("use one of {names}"),
                )
            })
    }
}
