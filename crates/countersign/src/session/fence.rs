//! The fence of a user: the mark that ends everything a user has in one step.
//!
//! Each user has one fence, a random value in the token store. Each session and each token is
//! recorded together with the fence that was current at its login; this is what "recorded behind a
//! fence" means. "Log out everywhere" replaces the user's fence. Everything that is recorded behind
//! the old one is over from then on, at the same cost for one session and for 100,000.
//!
//! The fence also stops a login that is under way. A login reads the fence before it loads the
//! account, and the store records the session only if the fence is still the same
//! ([`LoginFence`](crate::strategy::LoginFence)). Signed access tokens carry the fence as a claim,
//! and the denylist denies the fences that were replaced.

use crate::entropy::Entropy;
use crate::error::Failure;

/// The fence of a user: a random value of 128 bits that "log out everywhere" replaces.
///
/// A store keeps one per user. It records each session and each token with the value that was
/// current at login, and treats what was recorded with another value as ended. A fence is not a
/// credential.
///
/// Applications need it for
/// [`SqlStore::change_account`](crate::store::sql::SqlStore::change_account) and in tests of a
/// store. A login uses [`LoginFence`](crate::strategy::LoginFence) instead.
///
/// # Examples
///
/// ```
/// use countersign::SystemEntropy;
/// use countersign::store::Fence;
///
/// let fence = Fence::generate(&SystemEntropy)?;
/// assert_eq!(Fence::parse(&fence.to_text()), Some(fence));
/// # Ok::<_, countersign::Failure>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence(u128);

impl Fence {
    /// Creates a random fence.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the entropy source can't deliver.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }

    /// Returns the text form that stores and claims use: 32 hexadecimal digits in lower case.
    pub fn to_text(self) -> String {
        format!("{:032x}", self.0)
    }

    /// Parses the text form of [`to_text`](Self::to_text). Returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        // `from_str_radix` alone would accept a sign and capital letters.
        let fits = text.len() == 32
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        fits.then(|| u128::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn texts_come_back() {
        let fence = Fence::generate(&SystemEntropy).unwrap();
        assert_eq!(Fence::parse(&fence.to_text()), Some(fence));
        for text in [
            "",
            "0",
            &"g".repeat(32),
            &"A".repeat(32),
            &"0".repeat(33),
            "+0000000000000000000000000000000",
        ] {
            assert_eq!(Fence::parse(text), None, "{text}");
        }
    }
}
