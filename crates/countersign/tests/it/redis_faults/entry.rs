//! Entries for a store by itself: tokens whose text names their place, and times that stand still.

use std::time::Duration;

use countersign::redis::Redis;
use countersign::store::{NewRefresh, RedisTokenStore, TokenStore};
use countersign::token::{Digest, DigestKeyRing};
use countersign::{PlainToken, SessionId, Timestamp, UserKey};

use crate::redis_faults::ground::digests;

pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_768_478_400);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

pub(crate) struct Entry {
    store: RedisTokenStore,
    digests: DigestKeyRing,
}

impl Entry {
    pub(crate) fn new(redis: &Redis, prefix: &str) -> Self {
        Self::with_ring(redis, prefix, &digests())
    }

    pub(crate) fn with_ring(redis: &Redis, prefix: &str, ring: &DigestKeyRing) -> Self {
        let store = RedisTokenStore::new(redis, ring)
            .with_key_prefix(prefix)
            .unwrap();
        Self {
            store,
            digests: ring.clone(),
        }
    }

    pub(crate) const fn store(&self) -> &RedisTokenStore {
        &self.store
    }

    /// The digest of a token called `label` of that user and that session.
    pub(crate) fn digest(&self, user: &UserKey, session: Option<SessionId>, label: &str) -> Digest {
        let place = self.store.locator(user, session).unwrap();
        self.digests
            .digest(&PlainToken::new(format!("{}.{label}", place.to_text())))
    }

    /// The first refresh token of a session, which has no end and asks for no fence.
    pub(crate) fn opening(&self, user: &UserKey, session: SessionId) -> NewRefresh {
        NewRefresh::new(
            self.digest(user, Some(session), "refresh"),
            self.digest(user, Some(session), "family"),
            user.clone(),
            NOW,
        )
        .with_session(session)
    }
}

/// The key of all that a user has.
pub(crate) fn key_of(prefix: &str, user: &UserKey) -> String {
    let owner = digests().owners(user).next().unwrap();
    format!(
        "{prefix}{}",
        countersign::token::Locator::new(owner, None).to_text()
    )
}
