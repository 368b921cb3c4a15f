//! The secret text of a token. No other file can show one.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A token as its holder knows it.
///
/// It is a byte string: nothing trims, folds or decodes it. To keep it out of logs it has no
/// `Display` and no serde, and its `Debug` shows nothing. `==` takes constant time, and the bytes
/// are wiped on drop.
///
/// # Examples
///
/// ```
/// use countersign::PlainToken;
///
/// let token = PlainToken::new("csa_wZ5…");
/// assert_eq!(format!("{token:?}"), "PlainToken(..)");
/// assert_eq!(token.expose(), "csa_wZ5…");
/// ```
#[derive(Clone)]
pub struct PlainToken(Zeroizing<String>);

impl PlainToken {
    /// Creates a token of any text. Strategies check it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the token's text, to be handed to its holder. It must not reach a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for PlainToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for PlainToken {}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(..)")
    }
}
