//! The names of keys and of their fields.

use super::handle::{PART, RedisTokenStore};
use crate::error::Failure;
use crate::session::SessionId;
use crate::token::Locator;
use crate::user::UserKey;

impl RedisTokenStore {
    /// Returns the key of the owner with this tag: the prefix and 16 characters.
    pub(super) fn key(&self, owner: [u8; 12]) -> String {
        let mut key = String::with_capacity(self.prefix.len() + 16);
        key.push_str(&self.prefix);
        Locator::new(owner, None).push_owner(&mut key);
        key
    }

    /// Returns the keys that may hold what a user has: one for each key of the ring, the active
    /// one's first.
    pub(super) fn keys_of(&self, user: &UserKey) -> Vec<String> {
        self.owners
            .owners(user)
            .map(|owner| self.key(owner))
            .collect()
    }

    /// Returns `true` if `locator` is a place of `owner`, or if there is no `owner` to compare
    /// with.
    pub(super) fn is_at(&self, locator: Locator, owner: Option<&UserKey>) -> bool {
        owner.is_none_or(|owner| self.owners.owners(owner).any(|tag| tag == *locator.owner()))
    }
}

/// Returns the place that a token's text names.
///
/// Fails if it names none or another session: the record would never be found.
pub(super) fn place(
    locator: Option<Locator>,
    session: Option<SessionId>,
) -> Result<Locator, Failure> {
    locator
        .filter(|locator| locator.session() == session)
        .ok_or_else(|| Failure::internal(PART, "a token's text contains no locator"))
}

/// Returns the field of an access token.
pub(super) fn access_field(digest: &str) -> String {
    format!("a{digest}")
}

/// Returns the field of a refresh token without a session.
pub(super) fn refresh_field(digest: &str) -> String {
    format!("r{digest}")
}

/// Returns the field of a session's mark, which holds the time of its latest re-authentication.
pub(super) fn mark_field(session: SessionId) -> String {
    format!("a@{session}")
}

/// Returns the field of a session, which holds its refresh token.
pub(super) fn session_field(session: SessionId) -> String {
    format!("s{session}")
}
