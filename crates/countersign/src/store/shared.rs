//! The implementations of [`TokenStore`] for pointers to a store: [`Arc`], [`Box`] and `&S`.
//!
//! Every method forwards to the store inside, the provided ones too: a store may implement these
//! itself, and otherwise the trait's default would take their place. The lint
//! `clippy::missing_trait_methods` finds a forgotten one; every wrapper of a store denies it.

use std::sync::Arc;

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

/// Implements [`TokenStore`] for types that dereference to a store.
macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[deny(clippy::missing_trait_methods)]
        #[async_trait]
        impl<S: TokenStore + ?Sized> TokenStore for $pointer {
            async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
                (**self).insert_access(access).await
            }

            async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
                (**self).find_access(token).await
            }

            async fn remove_access(
                &self,
                token: &StoredToken,
                owner: Option<&UserKey>,
            ) -> Result<bool, Failure> {
                (**self).remove_access(token, owner).await
            }

            async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
                (**self).fence(user, fresh, now).await
            }

            async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
                (**self).end_user(end).await
            }

            async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
                (**self).unsettled(user).await
            }

            async fn settle(
                &self,
                user: &UserKey,
                fences: &[Fence],
                now: Timestamp,
            ) -> Result<(), Failure> {
                (**self).settle(user, fences, now).await
            }

            async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
                (**self).clear(clear).await
            }

            async fn survey_part(
                &self,
                user: &UserKey,
                limit: &SweepLimit,
                after: Option<&SessionCursor>,
            ) -> Result<UserSurvey, Failure> {
                (**self).survey_part(user, limit, after).await
            }

            async fn survey(&self, user: &UserKey, limit: &SweepLimit) -> Result<UserSurvey, Failure> {
                (**self).survey(user, limit).await
            }

            async fn insert_refresh(
                &self,
                refresh: &NewRefresh,
                access: Option<&NewAccess>,
            ) -> Result<Opened, Failure> {
                (**self).insert_refresh(refresh, access).await
            }

            async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
                (**self).find_refresh(token).await
            }

            async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
                (**self).find_family(family).await
            }

            async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
                (**self).rotate(rotate).await
            }

            async fn remove_refresh(
                &self,
                token: &StoredToken,
                owner: Option<&UserKey>,
            ) -> Result<bool, Failure> {
                (**self).remove_refresh(token, owner).await
            }

            async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
                (**self).end_session(session, owner).await
            }

            async fn find_session(
                &self,
                session: SessionId,
                owner: &UserKey,
            ) -> Result<Option<SessionRecord>, Failure> {
                (**self).find_session(session, owner).await
            }

            async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
                (**self).sessions(user, page).await
            }

            async fn unfenced_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
                (**self).unfenced_sessions(user, page).await
            }

            async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
                (**self).note_use(used).await
            }

            async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
                (**self).reauthenticate(again).await
            }

            async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
                (**self).sweep(limit).await
            }

            fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator> {
                (**self).locator(user, session)
            }

            async fn ping(&self) -> Result<(), Failure> {
                (**self).ping().await
            }

            fn is_durable(&self) -> bool {
                (**self).is_durable()
            }
        }
    )+};
}

forward!(Arc<S>, Box<S>, &S);
