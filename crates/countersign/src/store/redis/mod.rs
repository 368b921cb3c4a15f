//! The token store on Redis and Redis Cluster.
//!
//! All that a user has is one hash, so each operation is one command or one Lua script on one key.
//! `form.lua` describes the fields of the hash and the text of a record; start there.
//!
//! - `keys.rs` names keys and fields.
//! - `record.rs` encodes records; it and `form.lua` must agree.
//! - `write.rs` prepares the arguments of scripts, `read.rs` reads records, `list.rs` walks through
//!   the sessions of a user.
//! - `original.rs` is the layout of litestar-auth, with keys and scripts of its own.
//!
//! The name of a user's hash is derived from the user's id with a key of the digest key ring. While
//! the ring has several keys, a user may have several hashes: operations that go by the user visit
//! each of them, and those that go by a token visit the one that its text names.

mod args;
mod handle;
mod keys;
mod list;
mod original;
mod read;
mod record;
mod write;

use async_trait::async_trait;

use self::handle::PART;
use self::keys::{access_field, mark_field, place, refresh_field, session_field};
use self::read::session_record;
use self::record::{Behind, Record};
use self::write::{Fields, micros, opening, rotation, taken};
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::session::SessionId;
use crate::store::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, Fence, JoinedUser, NewAccess,
    NewRefresh, Opened, Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest,
    SessionCursor, SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use crate::token::{Digest, Locator, StoredToken};
use crate::user::UserKey;

pub use handle::RedisTokenStore;
pub use original::{OriginalTokens, Scan, ScanStep};

#[async_trait]
impl TokenStore for RedisTokenStore {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        let place = place(access.digest.locator(), access.session)?;
        let mut records = Fields::default();
        let record = records.access(access);
        if let Some(session) = access.session {
            // The session is live from now on, though it can't be refreshed.
            let stub = Record {
                digest: String::new(),
                behind: Behind::Standing,
                ..record
            };
            records.add(session_field(session), stub, "stub");
        }

        self.insert(
            place,
            &access.user,
            access.created_at,
            access.fence,
            records,
        )
        .await
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        let Some(locator) = token.locator() else {
            return Ok(None);
        };

        let field = access_field(token.as_str());
        let lives_at = locator.session().map(session_field).unwrap_or_default();
        let Some(mut found) = self.fetch(locator, [&field, &lives_at]).await? else {
            return Ok(None);
        };

        let [record, session] = &mut found.records;
        let (record, session) = (record.take(), session.take());
        // An access token of a session is live as long as its session's record.
        let (place, lives_with) = if locator.session().is_some() {
            (&lives_at, session.as_ref())
        } else {
            (&field, record.as_ref())
        };
        let is_live = lives_with.is_some_and(|record| found.is_live(place, record));
        Ok(record.filter(|_| is_live).map(|record| AccessRecord {
            user: found.user,
            session: locator.session(),
            created_at: Some(record.created_at),
            expires_at: record.expires_at,
            joined_user: JoinedUser::NotJoined,
        }))
    }

    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let Some(place) = token
            .locator()
            .filter(|locator| self.is_at(*locator, owner))
        else {
            return Ok(false);
        };

        let session = place.session().map(session_field).unwrap_or_default();
        self.remove(
            &[self.key(*place.owner())],
            &access_field(token.as_str()),
            &session,
        )
        .await
    }

    /// Asks for the fence in the hash that the ring's active key names, since logins are recorded
    /// there.
    async fn fence(&self, user: &UserKey, fresh: Fence, _now: Timestamp) -> Result<Fence, Failure> {
        let Some(key) = self.keys_of(user).into_iter().next() else {
            return Ok(fresh);
        };
        let fence: String = self
            .redis
            .eval(
                &self.scripts.fence,
                &[&key],
                &[fresh.to_text().into_bytes()],
            )
            .await?;

        Fence::parse(&fence)
            .ok_or_else(|| Failure::internal(PART, "a user's fence has an unknown format"))
    }

    /// Replaces the fence in each of the user's hashes, one after the other.
    ///
    /// There is one for each key of the ring, as a rule a single one. Each has had a fence of its
    /// own until then; from then on all have the same. A failure in between leaves some hashes as
    /// they were. A repetition completes it, and changes nothing where the fence is replaced
    /// already.
    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        for key in self.keys_of(&end.user) {
            self.end_key(&key, end).await?;
        }
        Ok(())
    }

    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        let mut unsettled = Vec::new();
        for key in self.keys_of(user) {
            let mut command = ::redis::cmd("HGET");
            let listed = self
                .redis
                .run_typed::<Option<String>>(command.arg(key).arg("n"))
                .await?
                .flatten();

            for ended in listed
                .unwrap_or_default()
                .split(',')
                .filter_map(ended_fence)
            {
                if !unsettled.contains(&ended) {
                    unsettled.push(ended);
                }
            }
        }
        Ok(unsettled)
    }

    async fn settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        _now: Timestamp,
    ) -> Result<(), Failure> {
        let fences: Vec<_> = fences
            .iter()
            .map(|fence| fence.to_text().into_bytes())
            .collect();
        for key in self.keys_of(user) {
            self.redis
                .eval::<i64>(&self.scripts.settle, &[&key], &fences)
                .await?;
        }
        Ok(())
    }

    /// Looks through one piece of the hash.
    ///
    /// Records behind no fence date from versions without fences. They end by one mark, which later
    /// writes follow up.
    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        let mut cleared = Cleared::default();
        if clear.unfenced {
            let kept = [clear
                .kept
                .map(session_field)
                .unwrap_or_default()
                .into_bytes()];
            for key in self.keys_of(&clear.user) {
                self.redis
                    .eval::<i64>(&self.scripts.elders, &[&key], &kept)
                    .await?;
            }
            return Ok(cleared);
        }

        for key in self.keys_of(&clear.user) {
            // The limit is for all hashes of the user together.
            let left = u64::from(clear.rows.max(1)).saturating_sub(cleared.removed);
            if left == 0 {
                return Ok(Cleared {
                    more: true,
                    ..cleared
                });
            }

            let args = [left.to_string().into_bytes()];
            let (removed, more): (u64, u64) =
                self.redis.eval(&self.scripts.clear, &[&key], &args).await?;
            cleared = Cleared {
                removed: cleared.removed.saturating_add(removed),
                more: cleared.more || more > 0,
            };
        }
        Ok(cleared)
    }

    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        self.count(user, limit, after).await
    }

    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        let place = place(refresh.digest.locator(), refresh.session)?;
        let records = opening(refresh, access, place)?;
        self.insert(
            place,
            &refresh.user,
            refresh.created_at,
            refresh.fence,
            records,
        )
        .await
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        let Some(locator) = token.locator() else {
            return Ok(None);
        };

        // The session's record holds the digest of the current token. The record of a token without
        // a session lies under its digest and holds none.
        let digest = if locator.session().is_some() {
            token.as_str()
        } else {
            ""
        };
        let field = locator
            .session()
            .map_or_else(|| refresh_field(token.as_str()), session_field);

        let found = self
            .fetch_refresh(locator, &field, |record| record.digest == digest)
            .await?;
        Ok(found.map(|found| RefreshRecord {
            digest: Digest::parse(token.as_str()),
            ..found
        }))
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        let Some(locator) = family.locator() else {
            return Ok(None);
        };
        let Some(session) = locator.session() else {
            return Ok(None);
        };

        self.fetch_refresh(locator, &session_field(session), |record| {
            record
                .refresh
                .as_ref()
                .is_some_and(|refresh| refresh.family.as_ref() == Some(family))
        })
        .await
    }

    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        let Some(presented) = rotate.presented.locator() else {
            return Ok(RotateOutcome::Gone);
        };

        // A session that the token's text names is kept, whatever the caller believes it to be.
        let session = presented.session().unwrap_or(rotate.session);
        let place = place(rotate.successor.locator(), Some(session))?;
        let args = rotation(rotate, presented, place)?;
        let key = self.key(*presented.owner());
        match self
            .redis
            .eval::<i64>(&self.scripts.rotate, &[&key], &args)
            .await?
        {
            1 => Ok(RotateOutcome::Done),
            0 => Ok(RotateOutcome::Gone),
            _ => Err(taken()),
        }
    }

    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let Some(place) = token
            .locator()
            .filter(|locator| locator.session().is_none() && self.is_at(*locator, owner))
        else {
            return Ok(false);
        };
        self.remove(
            &[self.key(*place.owner())],
            &refresh_field(token.as_str()),
            "",
        )
        .await
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        self.remove(&self.keys_of(owner), &session_field(session), "")
            .await
    }

    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        let (field, mark) = (session_field(session), mark_field(session));

        // The session's id doesn't tell which key of the ring named the user's hash.
        for tag in self.owners.owners(owner) {
            let Some(mut found) = self
                .fetch(Locator::new(tag, Some(session)), [&field, &mark])
                .await?
            else {
                continue;
            };

            let [record, mark] = &mut found.records;
            let (record, mark) = (record.take(), mark.take());
            let record =
                record.filter(|record| !record.digest.is_empty() && found.is_live(&field, record));
            if let Some(record) = record {
                return Ok(Some(session_record(session, record, mark)));
            }
        }
        Ok(None)
    }

    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.page(user, page).await
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        for used in used {
            for key in self.keys_of(&used.user) {
                let args = [session_field(used.session), micros(used.at)].map(String::into_bytes);
                self.redis
                    .eval::<i64>(&self.scripts.note, &[&key], &args)
                    .await?;
            }
        }
        Ok(())
    }

    /// Records the proof in the hash that has the session.
    ///
    /// There is one hash for each key of the ring, and the fence of the proof is the active key's:
    /// an ending replaces that one first. So the fence of an older hash, read before the active one
    /// is seen to be the proof's still, is as old as the proof.
    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        let proof = again.fence.map(Fence::to_text).unwrap_or_default();
        let keys = self.keys_of(&again.user);
        let Some((active, older)) = keys.split_first() else {
            return Ok(false);
        };
        if self.prove(active, again, proof.clone()).await? {
            return Ok(true);
        }

        for key in older {
            let mut fence = proof.clone();
            if again.fence.is_some() {
                // A hash without a fence has no session behind one.
                fence = self.fence_in(key).await?.unwrap_or(fence);
                if self.fence_in(active).await?.as_ref() != Some(&proof) {
                    return Ok(false);
                }
            }
            if self.prove(key, again, fence).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Does nothing: Redis expires keys, and each write removes records that have ended.
    async fn sweep(&self, _limit: &SweepLimit) -> Result<Swept, Failure> {
        Ok(Swept::default())
    }

    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator> {
        self.owners
            .owners(user)
            .next()
            .map(|owner| Locator::new(owner, session))
    }

    async fn ping(&self) -> Result<(), Failure> {
        self.redis.ping().await
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// Parses an entry of the field `n`: an unsettled fence and the session that was kept.
fn ended_fence(text: &str) -> Option<EndedFence> {
    let (fence, kept) = text.split_once(':')?;
    Some(EndedFence {
        fence: Fence::parse(fence)?,
        kept: kept.parse().ok(),
    })
}
