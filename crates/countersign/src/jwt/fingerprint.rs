//! Binds a token to the account as it was when the token was issued: a changed email or password ends it.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use caseless::default_case_fold_str;
use data_encoding::HEXLOWER;

use crate::profile::Profile;
use crate::secret::Secret;
use crate::token::{DigestKeyRing, SAME_SECRET};
use crate::user::{User, UserId};

/// The keys that fingerprints are made with: the original's, which is the signing secret itself, and ours, which is
/// derived from it, so that one secret has one purpose (SECURITY row K-02).
pub(crate) struct FingerprintKeys {
    original: hmac::Key,
    derived: hmac::Key,
    key_id: String,
}

impl FingerprintKeys {
    /// `text` is what the user configured, `secret` the same in a form that doesn't depend on how a PEM text is
    /// wrapped.
    pub(crate) fn new(text: &[u8], secret: &[u8]) -> Self {
        let derive = |label: &[u8]| {
            let mut okm = [0; 32];
            let filled = Salt::new(HKDF_SHA256, b"countersign").extract(secret);
            // Filling 32 bytes from SHA-256 can't fail; a key of zeros would match nothing that others write.
            let _ = filled.expand(&[label], HKDF_SHA256).and_then(|material| material.fill(&mut okm));
            okm
        };
        Self {
            original: hmac::Key::new(hmac::HMAC_SHA256, text),
            derived: hmac::Key::new(hmac::HMAC_SHA256, &derive(b"session fingerprint v1")),
            key_id: HEXLOWER.encode(derive(b"key id v1").first_chunk::<8>().map_or(&[], |id| id.as_slice())),
        }
    }

    pub(crate) fn from_secret(secret: &Secret) -> Self {
        Self::new(secret.expose().as_bytes(), secret.expose().as_bytes())
    }

    /// An id for a shared secret that tells nothing of it.
    pub(crate) fn key_id(&self) -> String {
        self.key_id.clone()
    }

    /// Whether one of `digests` is made of the secret that was configured here.
    pub(crate) fn shares_secret_with(&self, digests: &DigestKeyRing) -> bool {
        digests.probes().any(|probe| hmac::verify(&self.original, SAME_SECRET, &probe).is_ok())
    }

    /// The fingerprint of `user` as 64 lower-case hexadecimal digits; `None` without email or password hash.
    pub(crate) fn fingerprint<U: User>(&self, profile: Profile, user: &U) -> Option<String> {
        let subject = user.id().to_key().to_subject();
        let parts = [subject.as_str(), &default_case_fold_str(user.email()?), user.password_hash()?];
        let tag = match profile {
            Profile::LitestarAuth => hmac::sign(&self.original, parts.join("\u{1F}").as_bytes()),
            Profile::Countersign => {
                // Lengths go first, so that no two accounts share their material.
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
