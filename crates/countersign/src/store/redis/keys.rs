//! Where things lie: the names of keys and of their fields.

use super::{PART, RedisTokenStore};
use crate::answer::SessionId;
use crate::error::Failure;
use crate::token::Locator;
use crate::user::UserKey;

impl RedisTokenStore {
    pub(super) fn key(&self, owner: [u8; 12]) -> String {
        let mut key = String::with_capacity(self.prefix.len() + 16);
        key.push_str(&self.prefix);
        Locator::new(owner, None).push_owner(&mut key);
        key
    }

    /// The keys that may hold what a user has: one for each key of the ring.
    pub(super) fn keys_of(&self, user: &UserKey) -> Vec<String> {
        self.owners.owners(user).map(|owner| self.key(owner)).collect()
    }

    pub(super) fn is_at(&self, locator: Locator, owner: Option<&UserKey>) -> bool {
        owner.is_none_or(|owner| self.owners.owners(owner).any(|tag| tag == *locator.owner()))
    }
}

/// The place of a token of `session`, as its text must name it.
pub(super) fn place(locator: Option<Locator>, session: Option<SessionId>) -> Result<Locator, Failure> {
    let fits = |locator: &Locator| locator.session() == session;
    locator.filter(fits).ok_or_else(|| Failure::internal(PART, "a token's text doesn't name its place"))
}

pub(super) fn access_field(digest: &str) -> String {
    format!("a{digest}")
}

pub(super) fn refresh_field(digest: &str) -> String {
    format!("r{digest}")
}

pub(super) fn session_field(session: SessionId) -> String {
    format!("s{session}")
}
