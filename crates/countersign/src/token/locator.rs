//! The part of a token's text that tells where its record lies.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

use crate::session::SessionId;

/// The length of an owner's tag, in bytes.
const OWNER: usize = 12;

/// The place of a token's record, for stores that can't find a record by its digest alone.
///
/// Such a store keeps everything of one user together, so that one atomic step reaches all of it.
/// The token's text names the place: a tag that stands for the owner, and the session. Neither is a
/// secret, and neither shows the user's id. In the text, a locator is unpadded base64url, followed
/// by a full stop.
///
/// A store says with [`TokenStore::locator`](crate::store::TokenStore::locator) if it needs
/// locators. `Debug` hides the tag, because it tells which tokens belong to one user.
///
/// # Examples
///
/// ```
/// use countersign::token::Locator;
///
/// let session = "11111111-2222-4333-8444-555555555555".parse()?;
/// let locator = Locator::new([7; 12], Some(session));
/// assert_eq!(locator.to_text().len(), 38);
/// assert_eq!(Locator::parse(&locator.to_text()), Some(locator));
/// # Ok::<_, countersign::session::NotASessionId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Locator {
    owner: [u8; OWNER],
    session: Option<SessionId>,
}

impl Locator {
    /// Creates the locator of a session, or with `None` of the owner's tokens without a session.
    pub const fn new(owner: [u8; OWNER], session: Option<SessionId>) -> Self {
        Self { owner, session }
    }

    /// Returns the tag of the owner.
    pub const fn owner(&self) -> &[u8; OWNER] {
        &self.owner
    }

    /// Returns the session, or `None` for a place outside of sessions.
    pub const fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Returns the locator of another session of the same owner.
    #[must_use]
    pub const fn with_session(self, session: Option<SessionId>) -> Self {
        Self {
            owner: self.owner,
            session,
        }
    }

    /// Returns the text as a token carries it: 16 characters, or 38 with a session.
    pub fn to_text(self) -> String {
        let mut bytes = self.owner.to_vec();
        bytes.extend(self.session.iter().flat_map(SessionId::as_bytes));
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Appends the tag of the owner, in 16 characters, without the session.
    #[cfg(feature = "redis")]
    pub(crate) fn push_owner(self, text: &mut String) {
        BASE64URL_NOPAD.encode_append(&self.owner, text);
    }

    /// Parses the text of [`to_text`](Self::to_text). Returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut buffer = [0; OWNER + 16];
        let length = BASE64URL_NOPAD.decode_len(text.len()).ok()?;
        let bytes = buffer.get_mut(..length)?;
        BASE64URL_NOPAD.decode_mut(text.as_bytes(), bytes).ok()?;
        let (owner, session) = bytes.split_first_chunk::<OWNER>()?;
        let session = match session {
            [] => None,
            session => Some(SessionId::from_bytes(session.try_into().ok()?)),
        };

        Some(Self {
            owner: *owner,
            session,
        })
    }

    /// Returns the locator in a token's text, or `None` if it has none.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let (head, _) = token.split_once('.')?;
        // The prefix is part of the head in one profile, and missing in the other.
        let bare = ["csa_", "csr_"]
            .into_iter()
            .find_map(|prefix| head.strip_prefix(prefix));
        Self::parse(bare.unwrap_or(head))
    }
}

/// Hides the tag, because it tells which tokens belong to one user.
impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locator")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
