//! The cursor of a list of sessions.

use std::fmt;
use std::str::FromStr;

/// An opaque position in a list of a user's sessions, from which the next part begins.
///
/// The store that returned the previous part makes it; nobody else should interpret it. The text
/// has 1 to [`MAX_LENGTH`](Self::MAX_LENGTH) characters out of ASCII letters, digits, `-`, `.` and
/// `_`, so it needs no escaping in a URL. A cursor may be shown to clients and taken back from
/// them: a forged one never shows another user's sessions.
///
/// # Examples
///
/// ```
/// use countersign::store::SessionCursor;
///
/// let cursor: SessionCursor = "32bf7cfe-40c2-4e5c-9f3a-2d1c1f0a9b7e".parse()?;
/// assert_eq!(cursor.as_str(), "32bf7cfe-40c2-4e5c-9f3a-2d1c1f0a9b7e");
/// assert!("no cursor".parse::<SessionCursor>().is_err());
/// # Ok::<_, countersign::store::NotACursor>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCursor(String);

/// The error of parsing a text that isn't a [`SessionCursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a valid cursor")]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to tell")]
pub struct NotACursor;

impl SessionCursor {
    /// The maximum length of the text, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionCursor {
    type Err = NotACursor;

    /// Parses a cursor.
    ///
    /// # Errors
    ///
    /// [`NotACursor`] if the text is empty, is longer than [`MAX_LENGTH`](Self::MAX_LENGTH) bytes,
    /// or has another character than ASCII letters, digits, `-`, `.` and `_`.
    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if fits && plain {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotACursor)
        }
    }
}

impl fmt::Display for SessionCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
