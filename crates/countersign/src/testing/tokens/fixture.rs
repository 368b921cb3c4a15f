//! The fixture of the cases: a fresh store, users, and records that are ready to be inserted.
//!
//! A case names tokens by labels. The same label always gives the same digest, so a case can insert
//! `"old"` and look it up without keeping the token. Records have plain values; a case changes the
//! fields that it is about with struct update syntax.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::entropy::SystemEntropy;
use crate::error::{ConfigError, Failure};
use crate::secret::Secret;
use crate::session::{ClientInfo, SessionId};
use crate::store::{
    ClearUser, Consumed, ConsumedToken, EndUser, Fence, NewAccess, NewRefresh, Opened, Page,
    RotateRequest, SessionRecord, SweepLimit, TokenStore,
};
use crate::testing::tokens::ids::user_ids;
use crate::testing::violation::{Verdict, Violation, ensure, same};
use crate::token::{Digest, DigestKeyRing, PlainToken, StoredToken};
use crate::user::{UserKey, UserKeyKind};

/// The present time of every case. It is not a whole second, so that a store that keeps only
/// seconds is found out.
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_768_478_400_123_456);

/// A time long before anything in these cases was created.
pub(super) const LONG_AGO: Timestamp = Timestamp::from_unix_seconds(1_000_000_000);

/// The smallest step of time that stores must keep: one microsecond.
pub(super) const TICK: Duration = Duration::from_micros(1);

/// Returns the time `number` minutes after [`NOW`].
pub(super) fn minutes(number: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(60 * number))
}

/// Returns the session id of that number. Ids are ordered as their numbers are.
pub(super) fn session(number: u8) -> Result<SessionId, Violation> {
    Ok(format!("{number:02x}5e7701-0000-4000-8000-0000000000{number:02x}").parse()?)
}

/// Returns a session id for a number that does not fit in one byte. It differs from all ids of
/// [`session`].
pub(super) fn session_of_crowd(number: u32) -> Result<SessionId, Violation> {
    Ok(format!("{number:08x}-c708-4000-8000-0000{number:08x}").parse()?)
}

/// Returns a new random fence, which nothing is recorded behind.
pub(super) fn another() -> Result<Fence, Violation> {
    Ok(Fence::generate(&SystemEntropy)?)
}

/// The number of repeated calls after which a case gives up, for calls that say that there is more
/// to do.
const MANY: u32 = 10_000;

/// A fresh store, its users, and the digests of labels.
#[derive(Clone)]
pub(super) struct Fixture {
    /// The store under test.
    pub(super) store: Arc<dyn TokenStore>,
    /// All users of the case, the owner and the stranger first.
    pub(super) users: Arc<[UserKey]>,
    /// The number of sessions in a crowd.
    pub(super) crowd: u32,
    /// The user whose records a case works on.
    owner: UserKey,
    /// Another user, whose records must not change.
    stranger: UserKey,
    /// The keys that make digests from labels.
    digests: DigestKeyRing,
}

impl Fixture {
    /// Creates the fixture over `store`, with users of one kind.
    pub(super) fn new(
        store: Arc<dyn TokenStore>,
        kind: UserKeyKind,
        crowd: u32,
    ) -> Result<Self, ConfigError> {
        let secret = Secret::new("suite secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc")?;
        let users = user_ids(kind);
        let [owner, stranger, ..] = users.as_slice() else {
            return Err(ConfigError::new(
                "user ids",
                "are fewer than two",
                "add some",
            ));
        };

        let (owner, stranger) = (owner.clone(), stranger.clone());
        let digests = DigestKeyRing::new("suite", &secret)?;
        Ok(Self {
            store,
            users: users.into(),
            crowd,
            owner,
            stranger,
            digests,
        })
    }

    /// Returns the user that the records of this fixture belong to by default.
    pub(super) fn owner(&self) -> &UserKey {
        &self.owner
    }

    /// Returns another user.
    pub(super) fn stranger(&self) -> &UserKey {
        &self.stranger
    }

    /// Returns the digest of the token `label`.
    pub(super) fn digest(&self, label: &str) -> Digest {
        self.digests.digest(&PlainToken::new(label))
    }

    /// Returns the token `label` as a store is asked for it.
    pub(super) fn token(&self, label: &str) -> StoredToken {
        self.digest(label).into()
    }

    /// Returns the digest of the family of the token `label`.
    pub(super) fn family(&self, label: &str) -> Digest {
        self.digest(&format!("the family of {label}"))
    }

    /// Returns the list of exchanged tokens after `label` was exchanged, an hour from [`NOW`].
    pub(super) fn consumed(&self, label: &str) -> Consumed {
        Consumed::default().and(ConsumedToken {
            digest: self.digest(label),
            at: minutes(60),
            salt: [7; 16],
        })
    }

    /// Returns an access token of the owner, without a session and without a fence, that ends in 15
    /// minutes.
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

    /// Returns an access token of the owner in `session`.
    pub(super) fn access_of(&self, label: &str, session: SessionId) -> NewAccess {
        NewAccess {
            session: Some(session),
            ..self.access(label)
        }
    }

    /// Returns a refresh token of the owner, without a session and without a fence, that ends in a
    /// day.
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
            client: ClientInfo::new(),
            fence: None,
        }
    }

    /// Returns a refresh token of the owner that opens `session`.
    pub(super) fn opening(&self, label: &str, session: SessionId) -> NewRefresh {
        NewRefresh {
            session: Some(session),
            session_expires_at: Some(minutes(9000)),
            ..self.refresh(label)
        }
    }

    /// Returns the rotation of `from` to `to`, an hour from [`NOW`]. Its access token has the label
    /// `to` as well.
    pub(super) fn rotate(&self, from: &str, to: &str, session: SessionId) -> RotateRequest {
        RotateRequest {
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

    /// Records a refresh token for which no fence is asked, and an access token with it.
    pub(super) async fn open(&self, refresh: &NewRefresh, access: Option<&NewAccess>) -> Verdict {
        let opened = self.store.insert_refresh(refresh, access).await?;
        same(
            "recording a refresh token that asks for no fence",
            &opened,
            &Opened::Done,
        )
    }

    /// Records an access token for which no fence is asked, or the current one.
    pub(super) async fn record(&self, access: &NewAccess) -> Verdict {
        let opened = self.store.insert_access(access).await?;
        same(
            "recording an access token that no fence keeps out",
            &opened,
            &Opened::Done,
        )
    }

    /// Returns the user's current fence. A user without one gets a new one.
    pub(super) async fn fence(&self, user: &UserKey) -> Result<Fence, Violation> {
        Ok(self.store.fence(user, another()?, NOW).await?)
    }

    /// Ends what was recorded behind the user's fence, and returns the fence that replaced it.
    pub(super) async fn end(
        &self,
        user: &UserKey,
        kept: Option<SessionId>,
    ) -> Result<Fence, Violation> {
        let fence = another()?;
        self.store
            .end_user(&EndUser {
                user: user.clone(),
                fence,
                kept,
                settled: true,
                now: NOW,
            })
            .await?;
        Ok(fence)
    }

    /// Clears until nothing is left to clear: first what is recorded behind no fence, then the
    /// rest.
    pub(super) async fn clear(&self, user: &UserKey, kept: Option<SessionId>) -> Verdict {
        for unfenced in [true, false] {
            let clear = ClearUser {
                user: user.clone(),
                unfenced,
                kept,
                rows: 100,
            };

            let mut calls = 0;
            while self.store.clear(&clear).await?.more {
                calls += 1;
                ensure(calls < MANY, "clearing does not come to an end")?;
            }
        }
        Ok(())
    }

    /// Ends everything of the user, or all but one session, and clears it. Returns the new fence.
    pub(super) async fn end_all(
        &self,
        user: &UserKey,
        kept: Option<SessionId>,
    ) -> Result<Fence, Violation> {
        let fence = self.end(user, kept).await?;
        self.clear(user, kept).await?;
        Ok(fence)
    }

    /// Returns all sessions of a user, read in pages of at most `limit`.
    pub(super) async fn listed(
        &self,
        user: &UserKey,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, Violation> {
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

    /// Returns the ids of a user's sessions, in ascending order.
    pub(super) async fn session_ids(&self, user: &UserKey) -> Result<Vec<SessionId>, Violation> {
        let mut ids: Vec<_> = self
            .listed(user, 100)
            .await?
            .into_iter()
            .map(|found| found.id)
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Returns `true` if the access token `label` is found.
    pub(super) async fn has_access(&self, label: &str) -> Result<bool, Failure> {
        Ok(self.store.find_access(&self.token(label)).await?.is_some())
    }

    /// Returns `true` if the refresh token `label` is found.
    pub(super) async fn has_refresh(&self, label: &str) -> Result<bool, Failure> {
        Ok(self.store.find_refresh(&self.token(label)).await?.is_some())
    }

    /// Checks that the store finds this access token with the values it was recorded with.
    pub(super) async fn holds_access(&self, expected: &NewAccess) -> Verdict {
        let found = self
            .store
            .find_access(&expected.digest.clone().into())
            .await?;
        let Some(found) = found else {
            return Err(Violation::new(
                "an access token that was recorded is not found",
            ));
        };

        ensure(
            found.user == expected.user,
            "an access token has another user than recorded",
        )?;
        same(
            "an access token's session",
            &found.session,
            &expected.session,
        )?;
        same(
            "an access token's created_at",
            &found.created_at,
            &Some(expected.created_at),
        )?;
        same(
            "an access token's expires_at",
            &found.expires_at,
            &expected.expires_at,
        )
    }

    /// Checks that the store finds this refresh token with the values it was recorded with.
    pub(super) async fn holds_refresh(&self, expected: &NewRefresh) -> Verdict {
        let found = self
            .store
            .find_refresh(&expected.digest.clone().into())
            .await?;
        let Some(found) = found else {
            return Err(Violation::new(
                "a refresh token that was recorded is not found",
            ));
        };

        // A store may record a token for which no fence is asked behind the current fence.
        ensure(
            found.user == expected.user,
            "a refresh token has another user than recorded",
        )?;
        same(
            "a refresh token's session",
            &found.session,
            &expected.session,
        )?;
        same(
            "a refresh token's created_at",
            &found.created_at,
            &Some(expected.created_at),
        )?;
        same(
            "a refresh token's expires_at",
            &found.expires_at,
            &expected.expires_at,
        )?;
        same(
            "a refresh token's session_expires_at",
            &found.session_expires_at,
            &expected.session_expires_at,
        )?;
        same(
            "a refresh token's access_expires_at",
            &found.access_expires_at,
            &expected.access_expires_at,
        )?;
        // A store may record behind the fence that stands what asks for none.
        ensure(
            expected.fence.is_none() || found.fence == expected.fence,
            "a refresh token was recorded behind another fence than it asked for",
        )
    }
}

/// Returns the limits of a survey or a sweep at `now`, where tokens without an end have expired if
/// they were created at or before `created`.
pub(super) const fn limit(now: Timestamp, created: Timestamp) -> SweepLimit {
    SweepLimit {
        now,
        access_created: created,
        refresh_created: created,
        fence_used: LONG_AGO,
        rows: 100,
    }
}
