//! What the cases stand on: a fresh store, and ready records to put into it.

use std::sync::Arc;
use std::time::Duration;

use crate::answer::SessionId;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::entropy::SystemEntropy;
use crate::error::{ConfigError, Failure};
use crate::secret::Secret;
use crate::store::{
    ClearUser, Consumed, ConsumedToken, EndUser, Fence, NewAccess, NewRefresh, Opened, Page, Rotate, SessionRecord,
    SweepLimit, TokenStore,
};
use crate::testing::tokens::ids::user_ids;
use crate::testing::violation::{Verdict, Violation, ensure, same};
use crate::token::{Digest, DigestKeyRing, PlainToken, StoredToken};
use crate::user::{UserKey, UserKeyKind};

/// The present moment of every case: not a whole second, so that a store that keeps seconds alone is found out.
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_768_478_400_123_456);

/// Long before anything in these cases was created.
pub(super) const LONG_AGO: Timestamp = Timestamp::from_unix_seconds(1_000_000_000);

/// The least step of time.
pub(super) const TICK: Duration = Duration::from_micros(1);

pub(super) fn minutes(number: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(60 * number))
}

/// The session of that number; sessions are ordered as their numbers are.
pub(super) fn session(number: u8) -> Result<SessionId, Violation> {
    Ok(format!("{number:02x}5e7701-0000-4000-8000-0000000000{number:02x}").parse()?)
}

/// A session beyond those that have a number of one byte.
pub(super) fn session_of_crowd(number: u32) -> Result<SessionId, Violation> {
    Ok(format!("{number:08x}-c708-4000-8000-0000{number:08x}").parse()?)
}

/// A fence that nothing was recorded behind so far.
pub(super) fn another() -> Result<Fence, Violation> {
    Ok(Fence::generate(&SystemEntropy)?)
}

/// More calls than any of these cases needs, where a call says that there is more to do.
const MANY: u32 = 10_000;

#[derive(Clone)]
pub(super) struct Ground {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) users: Arc<[UserKey]>,
    /// How many sessions make a crowd.
    pub(super) crowd: u32,
    owner: UserKey,
    stranger: UserKey,
    digests: DigestKeyRing,
}

impl Ground {
    pub(super) fn new(store: Arc<dyn TokenStore>, kind: UserKeyKind, crowd: u32) -> Result<Self, ConfigError> {
        let secret = Secret::new("suite secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc")?;
        let users = user_ids(kind);
        let [owner, stranger, ..] = users.as_slice() else {
            return Err(ConfigError::new("user ids", "are fewer than two", "add some"));
        };
        let (owner, stranger) = (owner.clone(), stranger.clone());
        let digests = DigestKeyRing::new("suite", &secret)?;
        Ok(Self { store, users: users.into(), crowd, owner, stranger, digests })
    }

    /// Whose the records are, unless said otherwise.
    pub(super) fn owner(&self) -> &UserKey {
        &self.owner
    }

    pub(super) fn stranger(&self) -> &UserKey {
        &self.stranger
    }

    pub(super) fn digest(&self, label: &str) -> Digest {
        self.digests.digest(&PlainToken::new(label))
    }

    pub(super) fn token(&self, label: &str) -> StoredToken {
        self.digest(label).into()
    }

    pub(super) fn family(&self, label: &str) -> Digest {
        self.digest(&format!("the family of {label}"))
    }

    /// What is remembered of a token that was exchanged an hour later.
    pub(super) fn consumed(&self, label: &str) -> Consumed {
        Consumed::default().and(ConsumedToken { digest: self.digest(label), at: minutes(60), salt: [7; 16] })
    }

    /// An access token of the owner, of no session, that ends in 15 minutes.
    pub(super) fn access(&self, label: &str) -> NewAccess {
        NewAccess {
            digest: self.digest(label),
            user: self.owner.clone(),
            session: None,
            created_at: NOW,
            expires_at: Some(minutes(15)),
            fence: None,
        }
    }

    /// A refresh token of the owner, of no session, that ends in a day.
    pub(super) fn refresh(&self, label: &str) -> NewRefresh {
        NewRefresh {
            digest: self.digest(label),
            family: self.family(label),
            user: self.owner.clone(),
            session: None,
            created_at: NOW,
            expires_at: Some(minutes(24 * 60)),
            session_expires_at: None,
            access_expires_at: None,
            client: Client::new(),
            fence: None,
        }
    }

    /// A refresh token of the owner that opens a session.
    pub(super) fn opening(&self, label: &str, session: SessionId) -> NewRefresh {
        NewRefresh { session: Some(session), session_expires_at: Some(minutes(9000)), ..self.refresh(label) }
    }

    /// An exchange of `from` for `to`, an hour later, with an access token that is called as its successor.
    pub(super) fn rotate(&self, from: &str, to: &str, session: SessionId) -> Rotate {
        Rotate {
            presented: self.token(from),
            successor: self.digest(to),
            family: self.family(from),
            consumed: self.consumed(from),
            session,
            created_at: minutes(60),
            expires_at: Some(minutes(25 * 60)),
            session_expires_at: Some(minutes(9000)),
            access_expires_at: None,
            access: Some(NewAccess {
                session: Some(session),
                created_at: minutes(60),
                expires_at: Some(minutes(75)),
                ..self.access(to)
            }),
        }
    }

    /// Records a refresh token that asks for no fence.
    pub(super) async fn open(&self, refresh: &NewRefresh, access: Option<&NewAccess>) -> Verdict {
        let opened = self.store.insert_refresh(refresh, access).await?;
        same("recording a refresh token that asks for no fence", &opened, &Opened::Done)
    }

    /// Records an access token that asks for no fence, or for the one that stands.
    pub(super) async fn record(&self, access: &NewAccess) -> Verdict {
        let opened = self.store.insert_access(access).await?;
        same("recording an access token that no fence keeps out", &opened, &Opened::Done)
    }

    /// The fence that stands, or one from now on.
    pub(super) async fn fence(&self, user: &UserKey) -> Result<Fence, Violation> {
        Ok(self.store.fence(user, another()?, NOW).await?)
    }

    /// Ends what was recorded behind the user's fence, and returns the one that stands from then on.
    pub(super) async fn end(&self, user: &UserKey, kept: Option<SessionId>) -> Result<Fence, Violation> {
        let fence = another()?;
        self.store.end_user(&EndUser { user: user.clone(), fence, kept, settled: true, now: NOW }).await?;
        Ok(fence)
    }

    /// Clears until there is no more to clear, behind no fence first.
    pub(super) async fn clear(&self, user: &UserKey, kept: Option<SessionId>) -> Verdict {
        for unfenced in [true, false] {
            let clear = ClearUser { user: user.clone(), unfenced, kept, rows: 100 };
            let mut calls = 0;
            while self.store.clear(&clear).await?.more {
                calls += 1;
                ensure(calls < MANY, "clearing does not come to an end")?;
            }
        }
        Ok(())
    }

    /// Ends everything that the user has, or all but one session.
    pub(super) async fn end_all(&self, user: &UserKey, kept: Option<SessionId>) -> Result<Fence, Violation> {
        let fence = self.end(user, kept).await?;
        self.clear(user, kept).await?;
        Ok(fence)
    }

    /// All of a user's sessions, read in pages of at most `limit`.
    pub(super) async fn listed(&self, user: &UserKey, limit: u32) -> Result<Vec<SessionRecord>, Violation> {
        let mut page = Page { after: None, limit };
        let mut listed = Vec::new();
        for _ in 0..MANY {
            let part = self.store.sessions(user, &page).await?;
            let within = u32::try_from(part.sessions.len()).is_ok_and(|length| length <= limit);
            ensure(within, "a page has more sessions than were asked for")?;
            listed.extend(part.sessions);
            if part.next.is_none() {
                return Ok(listed);
            }
            page.after = part.next;
        }
        Err(Violation::new("a list of sessions does not come to an end"))
    }

    /// The ids of a user's sessions, in order.
    pub(super) async fn session_ids(&self, user: &UserKey) -> Result<Vec<SessionId>, Violation> {
        let mut ids: Vec<_> = self.listed(user, 100).await?.into_iter().map(|found| found.id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    pub(super) async fn has_access(&self, label: &str) -> Result<bool, Failure> {
        Ok(self.store.find_access(&self.token(label)).await?.is_some())
    }

    pub(super) async fn has_refresh(&self, label: &str) -> Result<bool, Failure> {
        Ok(self.store.find_refresh(&self.token(label)).await?.is_some())
    }

    /// The store knows this access token as it was recorded.
    pub(super) async fn holds_access(&self, expected: &NewAccess) -> Verdict {
        let found = self.store.find_access(&expected.digest.clone().into()).await?;
        let Some(found) = found else { return Err(Violation::new("an access token that was recorded is not found")) };
        ensure(found.user == expected.user, "an access token has another user than recorded")?;
        same("an access token's session", &found.session, &expected.session)?;
        same("an access token's created_at", &found.created_at, &Some(expected.created_at))?;
        same("an access token's expires_at", &found.expires_at, &expected.expires_at)
    }

    /// The store knows this refresh token as it was recorded.
    pub(super) async fn holds_refresh(&self, expected: &NewRefresh) -> Verdict {
        let found = self.store.find_refresh(&expected.digest.clone().into()).await?;
        let Some(found) = found else { return Err(Violation::new("a refresh token that was recorded is not found")) };
        ensure(found.user == expected.user, "a refresh token has another user than recorded")?;
        same("a refresh token's session", &found.session, &expected.session)?;
        same("a refresh token's created_at", &found.created_at, &Some(expected.created_at))?;
        same("a refresh token's expires_at", &found.expires_at, &expected.expires_at)?;
        same("a refresh token's session_expires_at", &found.session_expires_at, &expected.session_expires_at)?;
        same("a refresh token's access_expires_at", &found.access_expires_at, &expected.access_expires_at)?;
        // A store may record behind the fence that stands what asks for none.
        ensure(
            expected.fence.is_none() || found.fence == expected.fence,
            "a refresh token was recorded behind another fence than it asked for",
        )
    }
}

/// A survey or a sweep at `now`, of tokens that age by `created` where they state no end.
pub(super) const fn limit(now: Timestamp, created: Timestamp) -> SweepLimit {
    SweepLimit { now, access_created: created, refresh_created: created, fence_used: LONG_AGO, rows: 100 }
}
