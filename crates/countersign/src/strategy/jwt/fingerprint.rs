//! The session fingerprint of the page: made when a token is issued, compared when it is read.

use std::sync::Arc;

use subtle::ConstantTimeEq;
use tracing::{debug, warn};

use crate::error::Refusal;
use crate::jwt::VerifyingKey;
use crate::jwt::fingerprint::FingerprintKeys;
use crate::profile::Profile;
use crate::user::User;

/// A fingerprint of the caller's own making.
pub(super) type Getter<U> = Arc<dyn Fn(&U) -> Option<String> + Send + Sync>;

/// Where fingerprints come from.
pub(super) enum Fingerprints<U> {
    /// Tokens carry none.
    Off,
    /// From id, email and password hash, under a key of its own or one derived from the signing key.
    OfAccount(Option<Box<FingerprintKeys>>),
    /// From the caller's function, used as it is.
    Custom(Getter<U>),
}

impl<U: User> Fingerprints<U> {
    /// The fingerprint of `user` in a token of `key`.
    pub(super) fn of(&self, profile: Profile, user: &U, key: &VerifyingKey) -> Option<String> {
        match self {
            Self::Off => None,
            Self::OfAccount(Some(keys)) => keys.fingerprint(profile, user),
            Self::OfAccount(None) => key.fingerprint_keys()?.fingerprint(profile, user),
            Self::Custom(getter) => getter(user),
        }
    }

    /// Whether `key` lacks what a fingerprint takes.
    pub(super) fn is_out_of_reach(&self, key: &VerifyingKey) -> bool {
        matches!(self, Self::OfAccount(None)) && key.fingerprint_keys().is_none()
    }

    /// Compares in constant time. A fingerprint on one side alone is no match (SECURITY row C-10).
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
                if same { Ok(()) } else { Err(Refusal::Fingerprint) }
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
