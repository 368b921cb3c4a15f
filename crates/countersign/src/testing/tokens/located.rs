//! A wrapper that adds [`Locator`]s to digests, as strategies do.
//!
//! Some stores cannot find a token by its digest alone; for these, the token's text carries a
//! locator, which the strategy reads and passes on. Cases know only labels. [`Located`] remembers
//! the locator of each digest when it is recorded, and adds it to every look-up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::session::SessionId;
use crate::store::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, Fence, NewAccess, NewRefresh, Opened,
    Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest, SessionCursor,
    SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use crate::token::{Digest, Locator, StoredToken};
use crate::user::UserKey;

/// A store under test, and the locator that each of its digests was first recorded with.
///
/// A token's text never changes, so a digest has one locator, also if it is recorded again for
/// another user.
pub(super) struct Located<S> {
    /// The store under test.
    inner: S,
    /// The locators of access tokens.
    access: Places,
    /// The locators of refresh tokens.
    refresh: Places,
    /// The locators of families.
    families: Places,
}

impl<S: TokenStore> Located<S> {
    /// Wraps `inner`.
    pub(super) fn over(inner: S) -> Self {
        Self {
            inner,
            access: Places::default(),
            refresh: Places::default(),
            families: Places::default(),
        }
    }

    /// Returns `access` with the locator of its digest, which is `locator` if the digest is new.
    fn new_access(&self, access: &NewAccess, locator: Option<Locator>) -> NewAccess {
        NewAccess {
            digest: self.access.record(&access.digest, locator),
            ..access.clone()
        }
    }

    /// Returns `access` with the locator that the store asks for.
    fn placed_access(&self, access: &NewAccess) -> NewAccess {
        self.new_access(access, self.inner.locator(&access.user, access.session))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: TokenStore> TokenStore for Located<S> {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        self.inner.insert_access(&self.placed_access(access)).await
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        self.inner.find_access(&self.access.of(token)).await
    }

    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        self.inner
            .remove_access(&self.access.of(token), owner)
            .await
    }

    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        self.inner.fence(user, fresh, now).await
    }

    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        self.inner.end_user(end).await
    }

    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        self.inner.unsettled(user).await
    }

    async fn settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.inner.settle(user, fences, now).await
    }

    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        self.inner.clear(clear).await
    }

    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        self.inner.survey_part(user, limit, after).await
    }

    async fn survey(&self, user: &UserKey, limit: &SweepLimit) -> Result<UserSurvey, Failure> {
        self.inner.survey(user, limit).await
    }

    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        let locator = self.inner.locator(&refresh.user, refresh.session);
        let digest = self.refresh.record(&refresh.digest, locator);
        let refresh = NewRefresh {
            digest,
            family: self.families.record(&refresh.family, locator),
            ..refresh.clone()
        };
        let access = access.map(|access| self.placed_access(access));
        self.inner.insert_refresh(&refresh, access.as_ref()).await
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        self.inner.find_refresh(&self.refresh.of(token)).await
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        self.inner.find_family(&self.families.at(family)).await
    }

    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        let presented = self.refresh.of(&rotate.presented);
        // The successor is in the place of the presented token. One without a session gets the
        // session of the call.
        let place = presented
            .locator()
            .map(|place| place.with_session(place.session().or(Some(rotate.session))));

        let rotate = RotateRequest {
            successor: self.refresh.record(&rotate.successor, place),
            family: self.families.record(&rotate.family, place),
            access: rotate
                .access
                .as_ref()
                .map(|access| self.new_access(access, place)),
            presented,
            ..rotate.clone()
        };
        self.inner.rotate(&rotate).await
    }

    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        self.inner
            .remove_refresh(&self.refresh.of(token), owner)
            .await
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        self.inner.end_session(session, owner).await
    }

    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        self.inner.find_session(session, owner).await
    }

    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.inner.sessions(user, page).await
    }

    async fn unfenced_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.inner.unfenced_sessions(user, page).await
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        self.inner.note_use(used).await
    }

    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        self.inner.reauthenticate(again).await
    }

    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        self.inner.sweep(limit).await
    }

    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator> {
        self.inner.locator(user, session)
    }

    async fn ping(&self) -> Result<(), Failure> {
        self.inner.ping().await
    }

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }
}

/// The locators of digests of one kind.
#[derive(Default)]
struct Places(Mutex<HashMap<String, Option<Locator>>>);

impl Places {
    /// Returns the digest with the locator that it was first recorded with, which is `locator` if
    /// that is now.
    fn record(&self, digest: &Digest, locator: Option<Locator>) -> Digest {
        let place = *self
            .known()
            .entry(digest.as_str().to_owned())
            .or_insert(locator);
        digest.clone().located(place)
    }

    /// Returns the token with its locator. A plaintext token has none.
    fn of(&self, token: &StoredToken) -> StoredToken {
        match token {
            StoredToken::LegacyPlaintext(_) => token.clone(),
            StoredToken::Digest(digest) => self.at(digest).into(),
        }
    }

    /// Returns the digest with its locator, if it was recorded.
    fn at(&self, digest: &Digest) -> Digest {
        digest
            .clone()
            .located(self.known().get(digest.as_str()).copied().flatten())
    }

    /// Locks the table. A case that panicked must not hide the results of the others.
    fn known(&self) -> MutexGuard<'_, HashMap<String, Option<Locator>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
