//! What stands between a login in flight and a "log out everywhere" that overtakes it.

use crate::entropy::Entropy;
use crate::error::Failure;

/// A user's fence: a random value that "log out everywhere" replaces. A login reads it before the password is checked, and
/// is recorded only if it still stands (promise P4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence(u128);

impl Fence {
    /// A new value.
    ///
    /// # Errors
    /// [`Failure`] when the entropy source can't deliver.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }

    /// As stores keep it: 32 hexadecimal digits.
    pub fn to_text(self) -> String {
        format!("{:032x}", self.0)
    }

    /// Reads [`to_text`](Self::to_text) back; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        fits.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self)
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
        for text in ["", "0", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33), "+0000000000000000000000000000000"] {
            assert_eq!(Fence::parse(text), None, "{text}");
        }
    }
}
