//! A token store on redb, an embedded database of keys and values in one file.
//!
//! - `mod.rs` is the [`TokenStore`]: each method is one transaction.
//! - `tables.rs` has the tables and the steps that write.
//! - `view.rs` has the reads.
//! - `rows.rs` has the values.

mod rows;
mod tables;
mod view;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use countersign::store::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, Fence, NewAccess, NewRefresh, Opened,
    Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest, SessionCursor,
    SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use countersign::token::{Digest, Locator, StoredToken};
use countersign::{Failure, SessionId, Timestamp, UserKey};
use redb::{Database, ReadableDatabase};

use rows::{Fault, RefreshRow, TokenRow, parsed, user_text};
use tables::{ACCESS, REFRESH, Tables};
use view::View;

/// A token store in one file of this machine, for a service of one process. Clones share it.
#[derive(Clone)]
pub struct RedbStore(Arc<Database>);

impl RedbStore {
    /// Opens the database in the file at `path`, or creates it.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the file can't be used, or is open in another process.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Failure> {
        let database =
            Database::create(path).map_err(|error| Failure::unavailable("redb store", error))?;
        let store = Self(Arc::new(database));
        // Readers need the tables to be there.
        store.write_now(|_| Ok(()))?;
        Ok(store)
    }

    /// Runs a step that writes, as one transaction. It has happened whole and is on disk when this
    /// returns, or it hasn't happened at all.
    async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = self.clone();
        // redb waits for the disk, and a writer for the one before it. A caller that hangs up
        // leaves the step to itself: it ends as it would have.
        off_thread(move || Ok(store.write_now(step)?)).await
    }

    fn write_now<T>(
        &self,
        step: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let transaction = self.0.begin_write().map_err(Box::new)?;
        let answer = step(&mut Tables::open(&transaction)?)?;
        transaction.commit()?;
        Ok(answer)
    }

    /// Runs a step that reads, on a snapshot.
    async fn read<T: Send + 'static>(
        &self,
        step: impl FnOnce(&View) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = self.clone();
        off_thread(move || Ok(store.read_now(step)?)).await
    }

    fn read_now<T>(&self, step: impl FnOnce(&View) -> Result<T, Fault>) -> Result<T, Fault> {
        let transaction = self.0.begin_read().map_err(Box::new)?;
        step(&View::open(&transaction)?)
    }
}

/// Runs a step that blocks.
async fn off_thread<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(step).await;
    done.unwrap_or_else(|error| Err(Failure::internal("redb store", error)))
}

#[async_trait]
impl TokenStore for RedbStore {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        let access = access.clone();
        self.write(move |tables| {
            let fence = access.fence.map(Fence::to_text);
            let user = user_text(&access.user);
            if !tables.lets_in(&user, fence.as_deref(), access.created_at)? {
                return Ok(Opened::Fenced);
            }
            tables.insert_access(&access, fence)?;
            Ok(Opened::Done)
        })
        .await
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        let token = token.clone();
        self.read(move |view| {
            let row = view.live(ACCESS, token.as_str())?;
            row.as_ref().map(TokenRow::access_record).transpose()
        })
        .await
    }

    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let (token, owner) = (token.clone(), owner.map(user_text));
        self.write(move |tables| {
            let found = tables.live(ACCESS, token.as_str())?;
            let fits = found.is_some_and(|row| is_owner(owner.as_ref(), &row));
            if fits {
                tables.remove(ACCESS, token.as_str())?;
            }
            Ok(fits)
        })
        .await
    }

    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        let user = user_text(user);
        let reader = user.clone();
        // As a rule there is one, and nothing needs to be written.
        let found = self.read(move |view| Ok(view.user(&reader)?.fence)).await?;
        let fence = match found {
            Some(fence) => fence,
            None => {
                self.write(move |tables| tables.fence(&user, fresh, now))
                    .await?
            }
        };
        Ok(rows::fence(&fence)?)
    }

    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        let end = end.clone();
        self.write(move |tables| tables.end_user(&end)).await
    }

    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        let user = user_text(user);
        self.read(move |view| {
            let ended = view.user(&user)?.unsettled;
            ended
                .iter()
                .map(|(fence, kept)| {
                    Ok(EndedFence {
                        fence: rows::fence(fence)?,
                        kept: parsed(kept.as_deref())?,
                    })
                })
                .collect()
        })
        .await
    }

    async fn settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        _now: Timestamp,
    ) -> Result<(), Failure> {
        let user = user_text(user);
        let fences: Vec<_> = fences.iter().map(|fence| fence.to_text()).collect();
        self.write(move |tables| {
            let mut row = tables.user(&user)?;
            let before = row.unsettled.len();
            row.unsettled.retain(|(fence, _)| !fences.contains(fence));
            if row.unsettled.len() < before {
                tables.put_user(&user, &row)?;
            }
            Ok(())
        })
        .await
    }

    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        let clear = clear.clone();
        self.write(move |tables| tables.clear(&clear)).await
    }

    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        let (user, limit, after) = (user_text(user), *limit, after.cloned());
        self.read(move |view| view.survey(&user, &limit, after))
            .await
    }

    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        let (refresh, access) = (refresh.clone(), access.cloned());
        self.write(move |tables| {
            let row = TokenRow::of_refresh(&refresh);
            if !tables.lets_in(&row.user, row.fence.as_deref(), refresh.created_at)? {
                return Ok(Opened::Fenced);
            }

            tables.insert_refresh(refresh.digest.as_str(), &row, &RefreshRow::new(&refresh))?;
            if let Some(access) = &access {
                tables.insert_access(access, row.fence)?;
            }
            Ok(Opened::Done)
        })
        .await
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        let token = token.clone();
        self.read(move |view| view.refresh(token.as_str())).await
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        let family = family.clone();
        self.read(move |view| view.family(family.as_str())).await
    }

    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        let rotate = rotate.clone();
        self.write(move |tables| tables.rotate(&rotate)).await
    }

    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let (token, owner) = (token.clone(), owner.map(user_text));
        self.write(move |tables| {
            let found = tables.live(REFRESH, token.as_str())?;
            let fits =
                found.is_some_and(|row| row.session.is_none() && is_owner(owner.as_ref(), &row));
            if fits {
                tables.remove(REFRESH, token.as_str())?;
            }
            Ok(fits)
        })
        .await
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        let (session, owner) = (session.to_string(), user_text(owner));
        self.write(move |tables| tables.end_session(&owner, &session))
            .await
    }

    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        let (session, owner) = (session.to_string(), user_text(owner));
        self.read(move |view| view.session(&owner, &session)).await
    }

    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let (user, page) = (user_text(user), page.clone());
        self.read(move |view| view.sessions(&user, &page)).await
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        let batch = used.to_vec();
        self.write(move |tables| {
            for each in &batch {
                let (owner, session) = (user_text(&each.user), each.session.to_string());
                tables.note_use(&owner, &session, each.at)?;
            }
            Ok(())
        })
        .await
    }

    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        let again = again.clone();
        self.write(move |tables| {
            let (user, session) = (user_text(&again.user), again.session.to_string());
            let fence = again.fence.map(Fence::to_text);
            tables.reauthenticate(&user, &session, again.at, fence.as_deref())
        })
        .await
    }

    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        let limit = *limit;
        self.write(move |tables| tables.sweep(&limit)).await
    }

    fn locator(&self, _user: &UserKey, _session: Option<SessionId>) -> Option<Locator> {
        // One file holds everything, so a digest alone leads to its row.
        None
    }

    async fn ping(&self) -> Result<(), Failure> {
        self.read(|_| Ok(())).await
    }

    fn is_durable(&self) -> bool {
        true
    }
}

fn is_owner(owner: Option<&String>, row: &TokenRow) -> bool {
    owner.is_none_or(|owner| *owner == row.user)
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedbStore(..)")
    }
}
