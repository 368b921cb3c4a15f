//! What is written: records, and the scripts' arguments.

use super::keys::{access_field, place, refresh_field, session_field};
use super::record::{Behind, Record, Refresh, encode_user, gone, ttl};
use super::{PART, RedisTokenStore};
use crate::clock::Timestamp;
use crate::entropy::SystemEntropy;
use crate::error::Failure;
use crate::store::{Consumed, EndUser, Fence, NewAccess, NewRefresh, Opened, Rotate};
use crate::token::Locator;
use crate::user::UserKey;

/// How often an ending is tried that couldn't put the user's fence back, because their key was moving to another node.
const ATTEMPTS: usize = 16;

/// Records to be written: the field, the record, and what to do when there is one.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, Record, &'static str)>);

impl Fields {
    pub(super) fn add(&mut self, field: String, record: Record, manner: &'static str) {
        self.0.push((field, record, manner));
    }

    /// An access token; one of a session ends with that, and has no fence of its own.
    pub(super) fn access(&mut self, access: &NewAccess) -> Record {
        let of_session = access.digest.locator().is_some_and(|at| at.session().is_some());
        let record = Record {
            gone: gone(access.created_at, access.expires_at),
            digest: String::new(),
            created_at: access.created_at,
            expires_at: access.expires_at,
            session_expires_at: None,
            refresh: None,
            behind: if of_session { Behind::Nothing } else { Behind::Standing },
        };
        self.add(access_field(access.digest.as_str()), record.clone(), "new");
        record
    }

    /// The latest moment at which one of them is gone, `at_least` that.
    pub(super) fn last(&self, at_least: Timestamp) -> Timestamp {
        self.0.iter().map(|(_, record, _)| record.gone).fold(at_least, Timestamp::max)
    }

    /// The first moment at which one of them is gone; `otherwise` when there is none.
    pub(super) fn soonest(&self, otherwise: Timestamp) -> Timestamp {
        self.0.iter().map(|(_, record, _)| record.gone).min().unwrap_or(otherwise)
    }

    fn into_args(self) -> Vec<String> {
        self.0.into_iter().flat_map(|(field, record, manner)| [field, record.encode(), manner.to_owned()]).collect()
    }
}

/// The records of a refresh token and of the access token that comes with it.
pub(super) fn opening(refresh: &NewRefresh, access: Option<&NewAccess>, at: Locator) -> Result<Fields, Failure> {
    let mut records = Fields::default();
    let mut kept = kept_until(refresh.created_at, refresh.expires_at, refresh.access_expires_at);
    if let Some(access) = access {
        let beside = place(access.digest.locator(), access.session)?;
        if access.user != refresh.user || beside.owner() != at.owner() {
            return Err(Failure::internal(PART, "two tokens of a pair are of different users"));
        }
        // The session is kept as long as its last token.
        kept = kept.max(records.access(access).gone);
    }
    let record = |digest: &str| Record {
        gone: kept,
        digest: digest.to_owned(),
        created_at: refresh.created_at,
        expires_at: refresh.expires_at,
        session_expires_at: refresh.session_expires_at,
        refresh: Some(Box::new(Refresh {
            family: Some(refresh.family.clone()),
            consumed: Consumed::default(),
            opened_at: Some(refresh.created_at),
            used_at: None,
            client: refresh.client.clone(),
            access_expires_at: refresh.access_expires_at,
        })),
        behind: Behind::Standing,
    };
    match refresh.session {
        Some(session) => records.add(session_field(session), record(refresh.digest.as_str()), "opens"),
        None => records.add(refresh_field(refresh.digest.as_str()), record(""), "new"),
    }
    Ok(records)
}

/// When the record of a session may be removed: after its refresh token and its signed access tokens.
fn kept_until(created: Timestamp, expires: Option<Timestamp>, signed_end: Option<Timestamp>) -> Timestamp {
    let kept = gone(created, expires);
    signed_end.map_or(kept, |end| kept.max(gone(created, Some(end))))
}

/// The arguments of a rotation of the token `presented`, which belongs to the session of `at` or to none.
pub(super) fn rotation(rotate: &Rotate, presented: Locator, at: Locator) -> Result<Vec<Vec<u8>>, Failure> {
    let mut records = Fields::default();
    let mut kept = kept_until(rotate.created_at, rotate.expires_at, rotate.access_expires_at);
    if let Some(access) = &rotate.access {
        if place(access.digest.locator(), at.session())? != at {
            return Err(Failure::internal(PART, "two tokens of a pair are in different places"));
        }
        kept = kept.max(records.access(access).gone);
    }
    let (last, first) = (records.last(kept), records.soonest(kept));
    let from = presented.session().map_or_else(|| refresh_field(rotate.presented.as_str()), session_field);
    let end = |end: Option<Timestamp>| end.map(micros).unwrap_or_default();
    let head = [
        ttl(rotate.created_at, last).to_string(),
        micros(rotate.created_at),
        micros(first),
        from,
        rotate.presented.as_str().to_owned(),
        at.session().map(session_field).unwrap_or_default(),
        rotate.successor.as_str().to_owned(),
        micros(kept),
        micros(rotate.created_at),
        end(rotate.expires_at),
        end(rotate.session_expires_at),
        rotate.family.as_str().to_owned(),
        rotate.consumed.to_text(),
        end(rotate.access_expires_at),
    ];
    let mut access = records.into_args();
    access.resize(3, String::new());
    Ok(head.into_iter().chain(access).map(String::into_bytes).collect())
}

impl RedisTokenStore {
    pub(super) async fn insert(
        &self,
        place: Locator,
        user: &UserKey,
        now: Timestamp,
        fence: Option<Fence>,
        records: Fields,
    ) -> Result<Opened, Failure> {
        let key = self.key(*place.owner());
        let (last, first) = (records.last(now), records.soonest(now));
        let fence = fence.map(Fence::to_text).unwrap_or_default();
        let head = [encode_user(user), ttl(now, last).to_string(), micros(now), micros(first), fence];
        let args: Vec<_> = head.into_iter().chain(records.into_args()).map(String::into_bytes).collect();
        match self.redis.eval::<i64>(&self.scripts.insert, &[&key], &args).await? {
            1 => Ok(Opened::Done),
            -2 => Ok(Opened::Fenced),
            _ => Err(taken()),
        }
    }

    /// Ends what one of a user's keys holds.
    pub(super) async fn end_key(&self, key: &str, end: &EndUser) -> Result<(), Failure> {
        let mut remembered = String::new();
        for _ in 0..ATTEMPTS {
            let args = [
                end.fence.to_text(),
                end.kept.map(session_field).unwrap_or_default(),
                if end.settled { String::new() } else { "1".to_owned() },
                micros(end.now),
                std::mem::take(&mut remembered),
            ];
            let args = args.map(String::into_bytes);
            let answer: String = self.redis.eval(&self.scripts.end_user, &[key], &args).await?;
            match answer.strip_prefix("lost:") {
                // For a moment there was no fence: it is put there, and whoever came in meanwhile goes.
                Some(lost) => remembered.push_str(lost),
                None if answer == "full" => {
                    return Err(Failure::unavailable(PART, "too many endings of one user wait to be settled"));
                }
                None => return Ok(()),
            }
        }
        Err(Failure::unavailable(PART, "a user's key kept moving to another node"))
    }

    /// Removes a record that lives by itself, or with that of `session`; whether it was live.
    pub(super) async fn remove(&self, keys: &[String], field: &str, session: &str) -> Result<bool, Failure> {
        // The call's name tells a command that is sent again from another that comes too late.
        let call = Fence::generate(&SystemEntropy)?.to_text();
        let args = [field, session, &call].map(|text| text.as_bytes().to_vec());
        let mut removed = false;
        for key in keys {
            removed |= self.redis.eval::<i64>(&self.scripts.remove, &[key], &args).await? == 1;
        }
        Ok(removed)
    }
}

pub(super) fn micros(moment: Timestamp) -> String {
    moment.as_micros().to_string()
}

pub(super) fn taken() -> Failure {
    Failure::internal(PART, "the digest is there already")
}
