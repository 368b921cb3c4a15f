//! Two stores that are asked the same, and what was asked of them.

use std::time::Duration;

use countersign::redis::Redis;
use countersign::store::{
    ClearUser, EndUser, Fence, MemoryStore, NewAccess, NewRefresh, RedisTokenStore, RotateOutcome,
    RotateRequest, SweepLimit, TokenStore,
};
use countersign::token::{Digest, DigestKeyRing, Locator, StoredToken};
use countersign::{PlainToken, Secret, SessionId, SystemEntropy, Timestamp, UserKey};

use super::equal::same;
use super::operation::{Operation, Owner};
use crate::fixture::users::Account;
use crate::redis_faults::entry::NOW;

pub(crate) struct Model {
    pub(super) redis: RedisTokenStore,
    /// The same place by the older of the ring's keys, where tokens from before its change lie.
    aged: RedisTokenStore,
    pub(super) memory: MemoryStore,
    ring: DigestKeyRing,
    pub(super) users: Vec<UserKey>,
    pub(super) sessions: Vec<Session>,
    pub(super) access: Vec<Token>,
    pub(super) refresh: Vec<Token>,
    /// Each operation has a moment of its own.
    now: Timestamp,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) id: SessionId,
    user: usize,
    place: Locator,
    live: bool,
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) digest: Digest,
    user: usize,
    session: Option<SessionId>,
    place: Locator,
}

impl Model {
    pub(crate) async fn new(redis: &Redis, prefix: &str, memory: MemoryStore) -> Self {
        let secret = |text: &str| Secret::new("token_hash_secret", text).unwrap();
        let old = secret("Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA");
        let ring = DigestKeyRing::new("new", &secret("pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc")).unwrap();
        let ring = ring.accept("old", &old).unwrap();
        let store = |ring| {
            RedisTokenStore::new(redis, ring)
                .with_key_prefix(prefix)
                .unwrap()
        };
        let model = Self {
            redis: store(&ring),
            aged: store(&DigestKeyRing::new("old", &old).unwrap()),
            memory,
            ring,
            users: vec![
                Account::new(1).key(),
                UserKey::Int(1),
                UserKey::Text("1".into()),
                UserKey::Text(String::new()),
            ],
            sessions: Vec::new(),
            access: Vec::new(),
            refresh: Vec::new(),
            now: NOW,
        };
        for user in 0..model.users.len() {
            model.fence(user).await;
        }
        model
    }

    /// The user's fence, which is one and the same.
    async fn fence(&self, user: usize) -> Fence {
        let fresh = Fence::generate(&SystemEntropy).unwrap();
        let ours = self.redis.fence(&self.users[user], fresh, self.now).await;
        same(
            ours,
            self.memory.fence(&self.users[user], fresh, self.now).await,
            "fence",
        )
        .unwrap()
    }

    pub(crate) async fn apply(&mut self, operation: &Operation) {
        self.now = self.now.saturating_add(Duration::from_millis(1));
        match *operation {
            Operation::InsertAccess {
                user,
                session,
                label,
                aging,
            } => {
                self.insert_access(user, session, label, aging).await;
            }
            Operation::InsertLoose {
                user,
                label,
                aged_key,
            } => {
                let place = self.place(user, None, aged_key);
                let mut loose = self.new_refresh(user, place, &label.to_string(), true);
                loose.fence = self.fence_of(place).await.filter(|_| label % 2 == 0);
                self.insert_refresh(loose, None).await;
            }
            Operation::Open {
                user,
                access,
                ends,
                aged_key,
            } => self.open(user, access, ends, aged_key).await,
            Operation::RotateRequest {
                refresh,
                access,
                ends,
            } => self.rotate(refresh, access, ends).await,
            Operation::RemoveAccess { access, owner } => self.remove_access(access, owner).await,
            Operation::RemoveRefresh { refresh, owner } => {
                self.remove_refresh(refresh, owner).await;
            }
            Operation::EndSession { session, stranger } => {
                self.end_session(session, stranger).await;
            }
            Operation::EndUser {
                user,
                kept,
                settled,
            } => self.end_user(user, kept, settled).await,
            Operation::Settle { user } => self.settle(user).await,
            Operation::Clear { user, rows } => {
                let clear = ClearUser {
                    user: self.users[user].clone(),
                    unfenced: false,
                    kept: None,
                    rows,
                };
                assert!(self.redis.clear(&clear).await.unwrap().removed <= u64::from(rows));
            }
            Operation::Survey { user, later } => self.survey_is_equal(user, later).await,
            Operation::Sessions { user, limit } => self.list(user, limit).await,
            Operation::Find { access, refresh } => {
                if let Some(token) = pick(&self.access, access) {
                    self.access_is_equal(token).await;
                }
                if let Some(token) = pick(&self.refresh, refresh) {
                    self.refresh_is_equal(token).await;
                }
            }
        }
    }

    async fn insert_access(&mut self, user: usize, session: Option<usize>, label: u8, aging: bool) {
        let live: Vec<_> = self
            .sessions
            .iter()
            .filter(|session| session.user == user && session.live)
            .collect();
        let place =
            session.and_then(|number| Some(live.get(number.checked_rem(live.len())?)?.place));
        let place = place.unwrap_or_else(|| self.place(user, None, false));
        let access = self.new_access(user, place, label);
        let fence = self.fence_of(place).await.filter(|_| aging);
        let expires_at = access.expires_at.filter(|_| !aging);
        let access = access.with_expires_at(expires_at).with_fence(fence);
        same(
            self.redis.insert_access(&access).await,
            self.memory.insert_access(&access).await,
            "insert_access",
        );
        self.knows_access(user, &access, place);
    }

    async fn open(&mut self, user: usize, access: Option<u8>, ends: bool, aged_key: bool) {
        let id = SessionId::generate(&SystemEntropy).unwrap();
        let place = self.place(user, Some(id), aged_key);
        let mut refresh = self.new_refresh(user, place, "first", ends);
        refresh.fence = self.fence_of(place).await.filter(|_| ends);
        let access = access.map(|label| self.new_access(user, place, label));
        self.sessions.push(Session {
            id,
            user,
            place,
            live: true,
        });
        self.insert_refresh(refresh, access).await;
    }

    async fn insert_refresh(&mut self, refresh: NewRefresh, access: Option<NewAccess>) {
        let ours = self.redis.insert_refresh(&refresh, access.as_ref()).await;
        same(
            ours,
            self.memory.insert_refresh(&refresh, access.as_ref()).await,
            "insert_refresh",
        );
        let user = self
            .users
            .iter()
            .position(|user| *user == refresh.user)
            .unwrap();
        let place = refresh.digest.locator().unwrap();
        if let Some(access) = access {
            self.knows_access(user, &access, place);
        }
        self.knows_refresh(user, refresh.digest, refresh.session, place);
    }

    async fn rotate(&mut self, refresh: usize, access: Option<u8>, ends: bool) {
        let Some(presented) = pick(&self.refresh, refresh).cloned() else {
            return;
        };
        let session = presented
            .session
            .unwrap_or_else(|| SessionId::generate(&SystemEntropy).unwrap());
        let place = presented.place.with_session(Some(session));
        let access = access.map(|label| self.new_access(presented.user, place, label));
        let successor = self.ring.digest(&PlainToken::new(format!(
            "{}.{}",
            place.to_text(),
            self.now.as_micros()
        )));
        let rotate = RotateRequest::new(
            presented.digest.into(),
            successor.clone(),
            self.digest(place, "family"),
            session,
            self.now,
        )
        .with_expires_at(self.now.saturating_add(Duration::from_hours(24)))
        .with_session_expires_at(ends.then(|| self.now.saturating_add(Duration::from_hours(240))))
        .with_access_expires_at((!ends).then(|| self.now.saturating_add(Duration::from_hours(1))))
        .with_access(access.clone());
        let ours = self.redis.rotate(&rotate).await;
        let rotated = same(ours, self.memory.rotate(&rotate).await, "rotate");
        if let Some(access) = access {
            self.knows_access(presented.user, &access, place);
        }
        self.knows_refresh(presented.user, successor, Some(session), place);
        if presented.session.is_none() && rotated == Some(RotateOutcome::Done) {
            self.sessions.push(Session {
                id: session,
                user: presented.user,
                place,
                live: true,
            });
        }
    }

    async fn remove_access(&mut self, access: usize, owner: Owner) {
        let Some(token) = pick(&self.access, access).cloned() else {
            return;
        };
        let (stored, owner) = (
            StoredToken::from(token.digest.clone()),
            self.owner(&token, owner),
        );
        let ours = self.redis.remove_access(&stored, owner.as_ref()).await;
        let model = self.memory.remove_access(&stored, owner.as_ref()).await;
        same(ours, model, "remove_access");
    }

    async fn remove_refresh(&mut self, refresh: usize, owner: Owner) {
        let Some(token) = pick(&self.refresh, refresh).cloned() else {
            return;
        };
        let (stored, owner) = (
            StoredToken::from(token.digest.clone()),
            self.owner(&token, owner),
        );
        let ours = self.redis.remove_refresh(&stored, owner.as_ref()).await;
        same(
            ours,
            self.memory.remove_refresh(&stored, owner.as_ref()).await,
            "remove_refresh",
        );
    }

    async fn end_session(&mut self, session: usize, stranger: bool) {
        let Some(session) = pick(&self.sessions, session).cloned() else {
            return;
        };
        let user = &self.users[if stranger {
            (session.user + 1) % self.users.len()
        } else {
            session.user
        }];
        let ours = self.redis.end_session(session.id, user).await;
        let ended = same(
            ours,
            self.memory.end_session(session.id, user).await,
            "end_session",
        );
        if ended == Some(true) {
            self.sessions
                .iter_mut()
                .filter(|known| known.id == session.id)
                .for_each(|known| known.live = false);
        }
    }

    /// Everything of a user ends, also what asked for no fence.
    pub(super) async fn end_user(&mut self, user: usize, kept: Option<usize>, settled: bool) {
        let kept = kept
            .and_then(|number| pick(&self.sessions, number))
            .map(|session| session.id);
        let key = self.users[user].clone();
        let fence = Fence::generate(&SystemEntropy).unwrap();
        let end = EndUser {
            user: key.clone(),
            fence,
            kept,
            settled,
            now: self.now,
        };
        let clear = ClearUser {
            user: key,
            unfenced: true,
            kept,
            rows: 1000,
        };
        self.redis.end_user(&end).await.unwrap();
        assert!(!self.redis.clear(&clear).await.unwrap().more);
        self.memory.end_user(&end).await.unwrap();
        self.memory.clear(&clear).await.unwrap();
        let ended = |session: &&mut Session| session.user == user && Some(session.id) != kept;
        self.sessions
            .iter_mut()
            .filter(ended)
            .for_each(|session| session.live = false);
        assert_eq!(self.fence(user).await, fence);
    }

    /// Redis has a fence for each key of the ring, so it may remember more.
    async fn settle(&self, user: usize) {
        let user = &self.users[user];
        let (ours, model) = (
            self.redis.unsettled(user).await.unwrap(),
            self.memory.unsettled(user).await.unwrap(),
        );
        assert!(
            model.iter().all(|ended| ours.contains(ended)),
            "{model:?} isn't in {ours:?}"
        );
        let fences: Vec<_> = ours.iter().map(|ended| ended.fence).collect();
        self.redis.settle(user, &fences, self.now).await.unwrap();
        self.memory.settle(user, &fences, self.now).await.unwrap();
        assert_eq!(self.redis.unsettled(user).await.unwrap(), []);
    }

    async fn survey_is_equal(&self, user: usize, later: bool) {
        let now = self
            .now
            .saturating_add(Duration::from_hours(if later { 30 } else { 0 }));
        let created = self.now.saturating_sub(Duration::from_millis(20));
        let limit = SweepLimit::at(now, 1)
            .with_access_created(created)
            .with_refresh_created(created)
            .with_fence_used(created);
        let ours = self.redis.survey(&self.users[user], &limit).await;
        same(
            ours,
            self.memory.survey(&self.users[user], &limit).await,
            "survey",
        );
    }

    /// The fence of a login to that place; the older of the ring's keys has one of its own.
    async fn fence_of(&self, place: Locator) -> Option<Fence> {
        let user = self
            .users
            .iter()
            .position(|user| self.redis.locator(user, place.session()) == Some(place))?;
        Some(self.fence(user).await)
    }

    fn place(&self, user: usize, session: Option<SessionId>, aged_key: bool) -> Locator {
        let store = if aged_key { &self.aged } else { &self.redis };
        store.locator(&self.users[user], session).unwrap()
    }

    fn digest(&self, place: Locator, label: &str) -> Digest {
        self.ring
            .digest(&PlainToken::new(format!("{}.{label}", place.to_text())))
    }

    fn new_access(&self, user: usize, place: Locator, label: u8) -> NewAccess {
        NewAccess::new(
            self.digest(place, &label.to_string()),
            self.users[user].clone(),
            self.now,
        )
        .with_session(place.session())
        .with_expires_at(self.now.saturating_add(Duration::from_hours(1)))
    }

    fn new_refresh(&self, user: usize, place: Locator, label: &str, ends: bool) -> NewRefresh {
        NewRefresh::new(
            self.digest(place, label),
            self.digest(place, "family"),
            self.users[user].clone(),
            self.now,
        )
        .with_session(place.session())
        .with_expires_at(ends.then(|| self.now.saturating_add(Duration::from_hours(24))))
        .with_session_expires_at(ends.then(|| self.now.saturating_add(Duration::from_hours(240))))
        .with_access_expires_at(ends.then(|| self.now.saturating_add(Duration::from_hours(2))))
    }

    fn knows_access(&mut self, user: usize, access: &NewAccess, place: Locator) {
        let (digest, session) = (access.digest.clone(), access.session);
        self.access.push(Token {
            digest,
            user,
            session,
            place,
        });
    }

    fn knows_refresh(
        &mut self,
        user: usize,
        digest: Digest,
        session: Option<SessionId>,
        place: Locator,
    ) {
        self.refresh.push(Token {
            digest,
            user,
            session,
            place,
        });
    }

    fn owner(&self, token: &Token, owner: Owner) -> Option<UserKey> {
        match owner {
            Owner::Anybody => None,
            Owner::Its => Some(self.users[token.user].clone()),
            Owner::Stranger => Some(self.users[(token.user + 1) % self.users.len()].clone()),
        }
    }
}

pub(super) fn pick<T>(list: &[T], number: usize) -> Option<&T> {
    list.get(number.checked_rem(list.len())?)
}
