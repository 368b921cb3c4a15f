//! A store by itself: tokens whose text names their place, and times that stand still.

use std::time::Duration;

use countersign::redis::Redis;
use countersign::store::{
    EndUser, Fence, NewAccess, NewRefresh, Opened, Page, RedisTokenStore, RotateRequest,
    SessionCursor, TokenStore,
};
use countersign::token::{Digest, DigestKeyRing, Locator};
use countersign::{ClientInfo, PlainToken, SessionId, SystemEntropy, Timestamp, UserKey};
use tokio::task::JoinSet;

use crate::redis_strategy::ground::{Ground, SECRET, secret};

pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_768_478_400);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const ALICE: UserKey = UserKey::Int(7);
pub(crate) const BOB: UserKey = UserKey::Int(8);

/// How many calls are under way at once where there are many.
const AT_ONCE: usize = 100;

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) store: RedisTokenStore,
    pub(crate) server: &'static testbed::Redis,
    pub(crate) prefix: String,
    ring: DigestKeyRing,
}

impl Entry {
    pub(crate) fn new() -> Self {
        let ground = Ground::new();
        Self::over(&ground.redis, &ground.prefix)
    }

    /// The same users' tokens, under a prefix of the shared server, by another way to it.
    pub(crate) fn over(redis: &Redis, prefix: &str) -> Self {
        let ring = DigestKeyRing::new("default", &secret(SECRET)).unwrap();
        let store = RedisTokenStore::new(redis, &ring)
            .with_key_prefix(prefix)
            .unwrap();
        Self {
            store,
            server: testbed::Redis::shared(),
            prefix: prefix.to_owned(),
            ring,
        }
    }

    /// The user's key.
    pub(crate) fn key(&self, user: &UserKey) -> String {
        let owner = self.ring.owners(user).next().unwrap();
        format!("{}{}", self.prefix, Locator::new(owner, None).to_text())
    }

    /// The digest of a token called `label`.
    pub(crate) fn digest(&self, user: &UserKey, session: Option<SessionId>, label: &str) -> Digest {
        let place = self.store.locator(user, session).unwrap();
        self.ring
            .digest(&PlainToken::new(format!("{}.{label}", place.to_text())))
    }

    pub(crate) fn access(
        &self,
        user: &UserKey,
        session: Option<SessionId>,
        label: &str,
    ) -> NewAccess {
        NewAccess::new(self.digest(user, session, label), user.clone(), NOW)
            .with_session(session)
            .with_expires_at(NOW.saturating_add(HOUR))
    }

    pub(crate) fn refresh(&self, user: &UserKey, session: Option<SessionId>) -> NewRefresh {
        NewRefresh::new(
            self.digest(user, session, "refresh"),
            self.digest(user, session, "family"),
            user.clone(),
            NOW,
        )
        .with_session(session)
        .with_expires_at(NOW.saturating_add(24 * HOUR))
        .with_client(ClientInfo::new().with_label("phone"))
    }

    /// The exchange of the refresh token that the session was opened with.
    pub(crate) fn rotate(&self, user: &UserKey, session: SessionId) -> RotateRequest {
        RotateRequest::new(
            self.digest(user, Some(session), "refresh").into(),
            self.digest(user, Some(session), "successor"),
            self.digest(user, Some(session), "family"),
            session,
            NOW,
        )
        .with_expires_at(NOW.saturating_add(24 * HOUR))
    }

    /// Opens a session with an access token called `access`.
    pub(crate) async fn open(&self, user: &UserKey) -> SessionId {
        let session = id();
        let access = self.access(user, Some(session), "access");
        let opened = self
            .store
            .insert_refresh(&self.refresh(user, Some(session)), Some(&access))
            .await;
        assert_eq!(opened.unwrap(), Opened::Done);
        session
    }

    pub(crate) async fn open_many(&self, user: &UserKey, sessions: usize) -> Vec<SessionId> {
        let mut tasks = JoinSet::new();
        for number in 0..AT_ONCE {
            let (entry, user) = (self.clone(), user.clone());
            let mine = sessions / AT_ONCE + usize::from(number < sessions % AT_ONCE);
            tasks.spawn(async move {
                let mut opened = Vec::new();
                for _ in 0..mine {
                    opened.push(entry.open(&user).await);
                }
                opened
            });
        }
        tasks.join_all().await.concat()
    }

    /// Ends everything of a user but `kept`; the fence from then on.
    pub(crate) async fn end(
        &self,
        user: &UserKey,
        kept: Option<SessionId>,
        settled: bool,
    ) -> Fence {
        let fence = fresh();
        let end = EndUser {
            user: user.clone(),
            fence,
            kept,
            settled,
            now: NOW,
        };
        self.store.end_user(&end).await.unwrap();
        fence
    }

    pub(crate) async fn fence(&self, user: &UserKey) -> Fence {
        self.store.fence(user, fresh(), NOW).await.unwrap()
    }

    pub(crate) async fn has_access(&self, user: &UserKey, session: Option<SessionId>) -> bool {
        let token = self.digest(user, session, "access").into();
        self.store.find_access(&token).await.unwrap().is_some()
    }

    pub(crate) async fn has_refresh(&self, user: &UserKey, session: Option<SessionId>) -> bool {
        let token = self.digest(user, session, "refresh").into();
        self.store.find_refresh(&token).await.unwrap().is_some()
    }

    /// Every page after each other, each with how many sessions it has.
    pub(crate) async fn pages(&self, user: &UserKey, limit: u32) -> Vec<Vec<SessionId>> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = self.page(user, after, limit).await;
            pages.push(page);
            match next {
                Some(next) => after = Some(next),
                None => return pages,
            }
        }
    }

    pub(crate) async fn page(
        &self,
        user: &UserKey,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> (Vec<SessionId>, Option<SessionCursor>) {
        let page = self
            .store
            .sessions(user, &Page { after, limit })
            .await
            .unwrap();
        assert!(
            page.sessions.len() <= usize::try_from(limit).unwrap(),
            "a page has more than was asked for"
        );
        (
            page.sessions
                .into_iter()
                .map(|session| session.id)
                .collect(),
            page.next,
        )
    }

    /// How many fields of the user's key begin so, of those that name a record.
    pub(crate) fn records(&self, user: &UserKey, kinds: &str) -> usize {
        let fields = self.server.command(&["HKEYS", &self.key(user)]);
        fields
            .lines()
            .filter(|field| field.len() > 1 && field.starts_with(|kind| kinds.contains(kind)))
            .count()
    }
}

pub(crate) fn id() -> SessionId {
    SessionId::generate(&SystemEntropy).unwrap()
}

pub(crate) fn fresh() -> Fence {
    Fence::generate(&SystemEntropy).unwrap()
}
