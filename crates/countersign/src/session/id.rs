//! The identifier of a session.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::entropy::Entropy;
use crate::error::Failure;

/// The identifier of a session: a random UUID (version 4).
///
/// Login creates the session, rotation of the refresh token keeps its id, and logout ends it. The
/// id is not a credential, so it may appear in logs, URLs and device lists.
///
/// Its text form, in `Display`, `Debug` and stores, is the hyphenated UUID in lower case. Parsing
/// accepts every spelling of a UUID.
///
/// # Examples
///
/// ```
/// use countersign::SessionId;
///
/// let id: SessionId = "11111111-2222-4333-8444-555555555555".parse()?;
/// assert_eq!(id.to_string(), "11111111-2222-4333-8444-555555555555");
/// assert!("session 7".parse::<SessionId>().is_err());
/// # Ok::<_, countersign::session::NotASessionId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Creates a random id.
    ///
    /// Strategies call this at login. Applications need it in tests of a store only.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the entropy source can't deliver.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, Failure> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }
}

impl SessionId {
    /// Returns the 16 bytes of the UUID, in network order.
    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Creates the id from the 16 bytes of a UUID, in network order.
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Parses the spelling that `Display` writes, and no other. Claims and stores contain only that
    /// one.
    pub(crate) fn canonical(text: &str) -> Option<Self> {
        text.parse().ok().filter(|id: &Self| id.to_string() == text)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The error of parsing a text that is not a UUID as a [`SessionId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid session id")]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to tell")]
pub struct NotASessionId;

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        Uuid::try_parse(text).map(Self).map_err(|_| NotASessionId)
    }
}
