//! The session fingerprint of a signed token.
//!
//! A fingerprint binds a token to the user's id, email address and password hash. The token ends as
//! soon as email or password change, without a look-up in the denylist.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use caseless::default_case_fold_str;
use data_encoding::HEXLOWER;

use crate::profile::Profile;
use crate::secret::Secret;
use crate::token::{DigestKeyRing, SAME_SECRET};
use crate::user::{User, UserId};

/// The keys that make fingerprints.
///
/// litestar-auth uses the signing secret itself, which the profile `litestar-auth` has to repeat.
/// The profile `countersign` derives a separate key from the secret (HKDF, RFC 5869), so that no
/// key serves two purposes.
pub(crate) struct FingerprintKeys {
    /// The configured text itself, for the `litestar-auth` profile.
    original: hmac::Key,
    /// The key derived from the secret, for the `countersign` profile.
    derived: hmac::Key,
    /// The default `kid` of a shared secret: 16 hexadecimal digits.
    key_id: String,
}

/// Derives the key of one purpose, which `label` names, from a secret.
fn derive(secret: &[u8], label: &[u8]) -> [u8; 32] {
    let mut okm = [0; 32];
    let filled = Salt::new(HKDF_SHA256, b"countersign").extract(secret);
    // Filling 32 bytes from SHA-256 can't fail. If it did, the key of zeros would make fingerprints
    // that match those of no other server.
    let _ = filled
        .expand(&[label], HKDF_SHA256)
        .and_then(|material| material.fill(&mut okm));
    okm
}

impl FingerprintKeys {
    /// Creates the keys of a configured secret.
    ///
    /// `text` is the text that the user configured. `secret` is the same secret in a form that
    /// doesn't depend on the line breaks of a PEM text.
    pub(crate) fn new(text: &[u8], secret: &[u8]) -> Self {
        let derived = derive(secret, b"session fingerprint v1");
        let id = derive(secret, b"key id v1");
        Self {
            original: hmac::Key::new(hmac::HMAC_SHA256, text),
            derived: hmac::Key::new(hmac::HMAC_SHA256, &derived),
            key_id: HEXLOWER.encode(id.first_chunk::<8>().map_or(&[], |id| id.as_slice())),
        }
    }

    /// Creates the keys of a secret that only makes fingerprints.
    pub(crate) fn from_secret(secret: &Secret) -> Self {
        Self::new(secret.expose().as_bytes(), secret.expose().as_bytes())
    }

    /// Returns an id for a shared secret. The id reveals nothing about the secret.
    pub(crate) fn key_id(&self) -> String {
        self.key_id.clone()
    }

    /// Returns `true` if one of the digest keys was made of the same secret.
    ///
    /// One secret must have one purpose, so such a configuration is refused.
    pub(crate) fn shares_secret_with(&self, digests: &DigestKeyRing) -> bool {
        digests
            .probes()
            .any(|probe| hmac::verify(&self.original, SAME_SECRET, &probe).is_ok())
    }

    /// Returns the fingerprint of `user` as 64 lower-case hexadecimal digits, or `None` if the
    /// account has no email address or no password hash.
    pub(crate) fn fingerprint<U: User>(&self, profile: Profile, user: &U) -> Option<String> {
        let subject = user.id().to_key().to_subject();
        let parts = [
            subject.as_str(),
            &default_case_fold_str(user.email()?),
            user.password_hash()?,
        ];

        let tag = match profile {
            Profile::LitestarAuth => hmac::sign(&self.original, parts.join("\u{1F}").as_bytes()),
            Profile::Countersign => {
                // The length goes before each part. Otherwise two accounts could share their input:
                // with a separator, an email address that contains it looks like two parts.
                let mut context = hmac::Context::with_key(&self.derived);
                for part in parts {
                    context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                    context.update(part.as_bytes());
                }
                context.sign()
            }
        };
        Some(HEXLOWER.encode(tag.as_ref()))
    }
}
