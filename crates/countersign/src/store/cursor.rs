//! Where a list of sessions goes on.

use std::fmt;
use std::str::FromStr;

/// The place in a list of sessions from which its next part begins.
///
/// It is made by the store that made the part before, and says nothing to anybody else. Its text has at most
/// [`MAX_LENGTH`](Self::MAX_LENGTH) characters: letters, digits, `-`, `.` and `_`, so it needs no escaping in a URL.
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

/// The error of a text that isn't a [`SessionCursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a place in a list of sessions")]
pub struct NotACursor;

impl SessionCursor {
    /// The longest text, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if fits && plain { Ok(Self(text.to_owned())) } else { Err(NotACursor) }
    }
}

impl fmt::Display for SessionCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
