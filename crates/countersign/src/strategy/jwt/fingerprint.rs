//! The session fingerprint: a claim that binds a token to the account as it was at issue.
//!
//! By default it is an HMAC over id, email and password hash, so a changed email or password ends
//! all tokens of the account. It is compared at the end of reading, when the user is known.

use std::sync::Arc;

use subtle::ConstantTimeEq;
use tracing::{debug, warn};

use crate::error::Refusal;
use crate::jwt::VerifyingKey;
use crate::jwt::fingerprint::FingerprintKeys;
use crate::profile::Profile;
use crate::user::User;

/// A function of the application that makes a fingerprint.
pub(super) type Getter<U> = Arc<dyn Fn(&U) -> Option<String> + Send + Sync>;

/// The source of fingerprints.
pub(super) enum Fingerprints<U> {
    /// No fingerprint: tokens carry none, and one that carries any is refused.
    Off,
    /// Id, email and password hash, under keys of their own or, with `None`, under keys derived
    /// from the signing key.
    OfAccount(Option<Box<FingerprintKeys>>),
    /// A function of the application, whose result is used as it is.
    Custom(Getter<U>),
}

impl<U: User> Fingerprints<U> {
    /// Returns the fingerprint of `user` for a token that `key` signs or verifies. Returns `None`
    /// if there is none, for example because the account has no email.
    pub(super) fn of(&self, profile: Profile, user: &U, key: &VerifyingKey) -> Option<String> {
        match self {
            Self::Off => None,
            Self::OfAccount(Some(keys)) => keys.fingerprint(profile, user),
            Self::OfAccount(None) => key.fingerprint_keys()?.fingerprint(profile, user),
            Self::Custom(getter) => getter(user),
        }
    }

    /// Returns `true` if fingerprints can't be made with `key`: it is a public key, and there is no
    /// secret for fingerprints.
    pub(super) fn is_out_of_reach(&self, key: &VerifyingKey) -> bool {
        matches!(self, Self::OfAccount(None)) && key.fingerprint_keys().is_none()
    }

    /// Compares the presented fingerprint with that of the user, in constant time.
    ///
    /// A fingerprint on one side alone is a mismatch, so that nobody can get rid of the check by
    /// leaving it out.
    pub(super) fn check(
        &self,
        profile: Profile,
        user: &U,
        key: &VerifyingKey,
        presented: Result<Option<&str>, Refusal>,
    ) -> Result<(), Refusal> {
        match (self.of(profile, user, key), presented?) {
            (Some(expected), Some(presented)) => {
                let same: bool = expected.as_bytes().ct_eq(presented.as_bytes()).into();
                if same {
                    Ok(())
                } else {
                    Err(Refusal::Fingerprint)
                }
            }
            (None, None) => {
                debug!(
                    event = "fingerprint_absent",
                    "token without a session fingerprint accepted: the account has none"
                );
                Ok(())
            }
            (None, Some(_)) => {
                warn!(
                    event = "fingerprint_unexpected",
                    "token with a session fingerprint refused: the account has none"
                );
                Err(Refusal::Fingerprint)
            }
            (Some(_), None) => Err(Refusal::Fingerprint),
        }
    }
}
