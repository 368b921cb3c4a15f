//! Secrets that people configure.
//!
//! A [`Secret`] is long enough, has some variety, hides its text, and is wiped from memory when it
//! is dropped.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::error::{ConfigError, Failure};

/// A secret text of at least 32 characters that isn't an obvious placeholder.
///
/// The text appears nowhere by accident: the type has no `Display` and no serde, its `Debug` output
/// shows nothing of it, and its bytes are wiped when the last clone is dropped.
/// [`expose`](Self::expose) is the one way to read it.
///
/// # Examples
///
/// ```
/// use countersign::Secret;
///
/// let secret = Secret::new("token_hash_secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert!(Secret::new("token_hash_secret", "short").is_err());
/// assert!(Secret::new("token_hash_secret", "a".repeat(64)).is_err());
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The least length of a secret, in characters.
    ///
    /// A character takes at least one byte in UTF-8, so a secret has at least as many bytes.
    pub const MIN_LENGTH: usize = 32;

    /// Creates a secret from the value of a setting.
    ///
    /// `setting` is the name of the setting, which errors repeat.
    ///
    /// # Errors
    /// [`ConfigError`] that names `setting` if the text has fewer than 32 characters or fewer than
    /// 10 different ones, repeats itself, counts up or down, or contains a placeholder such as
    /// `changeme`.
    pub fn new(setting: &str, text: impl Into<String>) -> Result<Self, ConfigError> {
        let secret = Self::dangerous_without_variety_check(setting, text)?;
        match weakness(&secret.0) {
            None => Ok(secret),
            Some(weakness) => Err(refused(setting, weakness)),
        }
    }

    /// Creates a secret like [`Secret::new`], but checks the length only.
    ///
    /// Use this only for a secret that another system chose and that live tokens depend on.
    ///
    /// # Errors
    /// [`ConfigError`] that names `setting` if the text has fewer than 32 characters.
    pub fn dangerous_without_variety_check(
        setting: &str,
        text: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let text = Zeroizing::new(text.into());
        // A text never has fewer bytes than characters in UTF-8, so this bounds the bytes as well.
        if text.chars().count() < Secret::MIN_LENGTH {
            return Err(refused(setting, "must be at least 32 characters"));
        }
        Ok(Self(text))
    }

    /// Generates a secret of 256 random bits, as 43 URL-safe characters.
    ///
    /// Keep the text: tokens that were issued with a secret can't be found or verified without it.
    ///
    /// # Errors
    /// [`Failure`] if the entropy source can't deliver.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        entropy.fill(bytes.as_mut_slice())?;
        Ok(Self(Zeroizing::new(
            BASE64URL_NOPAD.encode(bytes.as_slice()),
        )))
    }

    /// Returns the text of the secret. It must not get into logs, errors or metrics.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn refused(setting: &str, problem: &'static str) -> ConfigError {
    ConfigError::new(
        setting.to_owned(),
        problem,
        "generate one with `openssl rand -base64 32`",
    )
}

const PLACEHOLDERS: [&str; 6] = [
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "your-secret",
    "your_secret",
];

/// Returns the problem of a text that is easy to guess, or `None`.
///
/// This is an estimate. It never refuses a random secret, and it recognises most careless ones.
fn weakness(text: &str) -> Option<&'static str> {
    let chars: Vec<char> = text.chars().collect();
    let lower = text.to_lowercase();
    if PLACEHOLDERS
        .iter()
        .any(|placeholder| lower.contains(placeholder))
    {
        return Some("is a placeholder");
    }
    let mut distinct = chars.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 10 {
        return Some("has fewer than 10 different characters");
    }

    if (1..=chars.len() / 2).any(|period| {
        chars
            .iter()
            .skip(period)
            .eq(chars.iter().take(chars.len() - period))
    }) {
        return Some("is a repeated pattern");
    }

    let steps = chars.iter().zip(chars.iter().skip(1));
    let even = steps
        .filter(|(a, b)| u32::from(**a).abs_diff(u32::from(**b)) <= 1)
        .count();
    if even * 4 > chars.len() * 3 {
        return Some("is a sequence of consecutive characters");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_short_or_lazy() {
        let lazy = [
            "x".repeat(31),
            "é".repeat(31),
            "s".repeat(32),
            "0123456789abcdef".repeat(4),
            "abcdefghijklmnopqrstuvwxyz0123456789".to_owned(),
            "changeme-8f2kd93Lmq0xZs81vBnw4YhGfR2aEc".to_owned(),
        ];
        for text in lazy {
            let error = Secret::new("token_hash_secret", text).unwrap_err();
            assert_eq!(error.setting(), "token_hash_secret");
        }
    }

    #[test]
    fn accepts_generated_and_ordinary_ones() {
        let good = [
            "redis-token-hash-secret-1234567890",
            "vector-hash-secret-0123456789-abcdefghijklmnopqrstuvwxyz",
            "9f86d081884c7d659a2feaa0c55ad015",
        ];
        for text in good {
            assert!(Secret::new("token_hash_secret", text).is_ok(), "{text}");
        }
        assert!(
            Secret::generate(&crate::entropy::SystemEntropy)
                .is_ok_and(|secret| secret.expose().len() == 43)
        );
    }
}
