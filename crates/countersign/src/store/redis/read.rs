//! Reading records: a user's id, fence and records in one round trip.

use ::redis::Cmd;

use super::handle::RedisTokenStore;
use super::record::{Behind, Record, decode_user};
use crate::error::Failure;
use crate::event;
use crate::session::{ClientInfo, SessionId};
use crate::store::{Consumed, Fence, RefreshRecord, SessionRecord};
use crate::token::{Digest, Locator};
use crate::user::UserKey;

/// Some records of one user, and what tells if they are live.
pub(super) struct Found<const N: usize> {
    pub(super) user: UserKey,
    pub(super) records: [Option<Record>; N],
    fence: Option<Fence>,
    /// The field `o`: the field of the only record behind no fence that is live, or another text
    /// for none. `None` while records behind no fence haven't ended.
    elder: Option<Vec<u8>>,
}

impl<const N: usize> Found<N> {
    /// Returns `true` if `record`, which is in `field`, has not been ended.
    ///
    /// It must have a liveness of its own: an access token of a session is as live as the session's
    /// record. `is_live` in `form.lua` decides the same.
    pub(super) fn is_live(&self, field: &str, record: &Record) -> bool {
        match record.behind {
            Behind::Fence(fence) => self.fence == Some(fence),
            Behind::Nothing | Behind::NoFence => self
                .elder
                .as_ref()
                .is_none_or(|elder| elder == field.as_bytes()),
            Behind::Standing => false,
        }
    }
}

impl RedisTokenStore {
    /// Returns the text of the fence in one hash of a user, or `None` if it has none.
    pub(super) async fn fence_in(&self, key: &str) -> Result<Option<String>, Failure> {
        let mut command = ::redis::cmd("HGET");
        let fence = self
            .redis
            .run_typed::<Option<String>>(command.arg(key).arg("e"))
            .await?;
        Ok(fence.flatten())
    }

    /// Returns the user of a key and the records in `fields`, or `None` if the key isn't a user's.
    pub(super) async fn fetch<const N: usize>(
        &self,
        locator: Locator,
        fields: [&str; N],
    ) -> Result<Option<Found<N>>, Failure> {
        // The owner, the fence and the mark come with the records, in one command: read one after
        // the other they might belong to different moments.
        let mut command = Cmd::with_capacity(5 + N, 256);
        command
            .arg("HMGET")
            .arg(self.key(*locator.owner()))
            .arg(&["u", "e", "o"])
            .arg(&fields);
        let Some(found) = self
            .redis
            .run_typed::<Vec<Option<Vec<u8>>>>(&command)
            .await?
        else {
            event::token_row_unreadable();
            return Ok(None);
        };

        let mut found = found.into_iter();
        let [owner, fence, elder] = std::array::from_fn(|_| found.next().flatten());
        let Some(owner) = owner else { return Ok(None) };
        let Some(user) = decode_user(&owner) else {
            event::token_row_unreadable();
            return Ok(None);
        };

        let records = std::array::from_fn(|_| {
            let text = found.next().flatten()?;
            let record = Record::decode(&text);
            if record.is_none() {
                event::token_row_unreadable();
            }
            record
        });
        let fence = fence.and_then(|fence| Fence::parse(std::str::from_utf8(&fence).ok()?));

        Ok(Some(Found {
            user,
            records,
            fence,
            elder,
        }))
    }

    /// Returns the live record of a refresh token in `field`, if `is_it` accepts it.
    pub(super) async fn fetch_refresh(
        &self,
        locator: Locator,
        field: &str,
        is_it: impl Fn(&Record) -> bool + Send,
    ) -> Result<Option<RefreshRecord>, Failure> {
        let Some(mut found) = self.fetch(locator, [field]).await? else {
            return Ok(None);
        };

        let [record] = &mut found.records;
        let Some(record) = record
            .take()
            .filter(|record| is_it(record) && found.is_live(field, record))
        else {
            return Ok(None);
        };

        let access_expires_at = record
            .refresh
            .as_ref()
            .and_then(|refresh| refresh.access_expires_at);
        Ok(Some(RefreshRecord {
            digest: Digest::parse(&record.digest),
            consumed: record
                .refresh
                .map(|refresh| refresh.consumed)
                .unwrap_or_default(),
            fence: record.behind.fence(),
            user: found.user,
            session: locator.session(),
            created_at: Some(record.created_at),
            expires_at: record.expires_at,
            session_expires_at: record.session_expires_at,
            access_expires_at,
        }))
    }
}

/// Builds the list entry of a session that can be refreshed. Its `mark` has the time of its latest
/// re-authentication in place of a time of issue.
pub(super) fn session_record(id: SessionId, record: Record, mark: Option<Record>) -> SessionRecord {
    let refresh = record.refresh.map(|refresh| *refresh);
    let access_expires_at = refresh
        .as_ref()
        .and_then(|refresh| refresh.access_expires_at);
    let opened_at = refresh.as_ref().and_then(|refresh| refresh.opened_at);
    let used_at = refresh.as_ref().and_then(|refresh| refresh.used_at);
    let (consumed, client) = match refresh {
        Some(refresh) => (refresh.consumed, refresh.client),
        None => (Consumed::default(), ClientInfo::new()),
    };

    SessionRecord {
        id,
        opened_at,
        authenticated_at: mark.map(|mark| mark.created_at).max(opened_at),
        refreshed_at: Some(record.created_at),
        used_at,
        expires_at: record.expires_at,
        session_expires_at: record.session_expires_at,
        access_expires_at,
        current: Digest::parse(&record.digest),
        consumed,
        fence: record.behind.fence(),
        client,
    }
}
