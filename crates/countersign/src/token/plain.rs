//! The secret text of a token: the only file that can show one.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A token as its holder knows it.
///
/// It is one byte string: nothing trims, folds or decodes it. Its `Debug` shows nothing (promise P7), it has no
/// `Display` and no serde, equality is constant-time, and its bytes are wiped on drop.
///
/// ```
/// use countersign::PlainToken;
///
/// let token = PlainToken::new("csa_wZ5…");
/// assert_eq!(format!("{token:?}"), "PlainToken(..)");
/// ```
#[derive(Clone)]
pub struct PlainToken(Zeroizing<String>);

impl PlainToken {
    /// Takes `text` as a token, unchecked: strategies parse it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The token's text, to be handed to its holder. Whoever asks for it must not let it reach a log.
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
