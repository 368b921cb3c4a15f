//! What a token's text says of where its record lies.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

use crate::answer::SessionId;

/// The bytes that stand for a token's owner.
const OWNER: usize = 12;

/// Where a token's record lies, for stores that can't find it by its digest alone.
///
/// Such a store keeps everything of one user in one place, so that one atomic step reaches all of it, and the token's
/// text names the place: a tag that stands for its owner, and the session. Neither is a secret, and neither shows the
/// user's id. In a token's text it is unpadded base64url, and a full stop ends it.
///
/// ```
/// use countersign::Locator;
///
/// let session = "11111111-2222-4333-8444-555555555555".parse()?;
/// let locator = Locator::new([7; 12], Some(session));
/// assert_eq!(Locator::parse(&locator.to_text()), Some(locator));
/// # Ok::<_, countersign::NotASessionId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Locator {
    owner: [u8; OWNER],
    session: Option<SessionId>,
}

impl Locator {
    /// The place of an owner's session, or of what the owner has outside of sessions.
    pub const fn new(owner: [u8; OWNER], session: Option<SessionId>) -> Self {
        Self { owner, session }
    }

    /// The tag that stands for the owner.
    pub const fn owner(&self) -> &[u8; OWNER] {
        &self.owner
    }

    /// The session.
    pub const fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// The same owner's place of `session`.
    #[must_use]
    pub const fn with_session(self, session: Option<SessionId>) -> Self {
        Self { owner: self.owner, session }
    }

    /// As it stands in a token's text: 16 characters, or 38 with a session.
    pub fn to_text(self) -> String {
        let mut bytes = self.owner.to_vec();
        bytes.extend(self.session.iter().flat_map(SessionId::as_bytes));
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// As it stands in the name of what its owner has: without the session.
    #[cfg(feature = "redis")]
    pub(crate) fn push_owner(self, text: &mut String) {
        BASE64URL_NOPAD.encode_append(&self.owner, text);
    }

    /// Reads [`to_text`](Self::to_text) back; `None` for any other text.
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
        Some(Self { owner: *owner, session })
    }

    /// What the text of a token says; `None` when it says nothing.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let (head, _) = token.split_once('.')?;
        let bare = ["csa_", "csr_"].into_iter().find_map(|prefix| head.strip_prefix(prefix));
        Self::parse(bare.unwrap_or(head))
    }
}

/// Hides the tag: it tells which tokens are one user's.
impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locator").field("session", &self.session).finish_non_exhaustive()
    }
}
