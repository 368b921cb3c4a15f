//! Writing: the records and arguments that the scripts get.

use super::args::{Ending, Insertion, Proof, Removal, Rotation};
use super::handle::{PART, RedisTokenStore};
use super::keys::{access_field, place, refresh_field, session_field};
use super::record::{Behind, Record, Refresh, encode_time, encode_user, gone, ttl};
use crate::clock::Timestamp;
use crate::entropy::SystemEntropy;
use crate::error::Failure;
use crate::store::{
    Consumed, EndUser, Fence, NewAccess, NewRefresh, Opened, Reauthentication, RotateRequest,
};
use crate::token::Locator;
use crate::user::UserKey;

/// The number of attempts at an ending whose fence was lost because the user's key was moving to
/// another node.
const ATTEMPTS: usize = 16;

/// The records to write: for each its field, the record, and the manner that `insert.lua` explains.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, Record, &'static str)>);

impl Fields {
    pub(super) fn add(&mut self, field: String, record: Record, manner: &'static str) {
        self.0.push((field, record, manner));
    }

    /// Adds an access token and returns its record.
    ///
    /// A token of a session ends with the session, so it has no fence of its own.
    pub(super) fn access(&mut self, access: &NewAccess) -> Record {
        let of_session = access
            .digest
            .locator()
            .is_some_and(|at| at.session().is_some());

        let record = Record {
            gone: gone(access.created_at, access.expires_at),
            digest: String::new(),
            created_at: access.created_at,
            expires_at: access.expires_at,
            session_expires_at: None,
            refresh: None,
            behind: if of_session {
                Behind::Nothing
            } else {
                Behind::Standing
            },
        };
        self.add(access_field(access.digest.as_str()), record.clone(), "new");
        record
    }

    /// Returns the latest time at which one of the records is gone, or `at_least` if that is later.
    pub(super) fn last(&self, at_least: Timestamp) -> Timestamp {
        self.0
            .iter()
            .map(|(_, record, _)| record.gone)
            .fold(at_least, Timestamp::max)
    }

    /// Returns the earliest time at which one of the records is gone, or `otherwise` without
    /// records.
    pub(super) fn soonest(&self, otherwise: Timestamp) -> Timestamp {
        self.0
            .iter()
            .map(|(_, record, _)| record.gone)
            .min()
            .unwrap_or(otherwise)
    }

    /// Returns the field and the text of the first record, both empty without one.
    fn into_first(self) -> (String, String) {
        let first = self.0.into_iter().next();
        first.map_or_else(Default::default, |(field, record, _)| {
            (field, record.encode())
        })
    }

    /// Returns the last arguments of `insert.lua`, three for each record.
    fn into_args(self) -> impl Iterator<Item = Vec<u8>> {
        self.0
            .into_iter()
            .flat_map(|(field, record, manner)| [field, record.encode(), manner.to_owned()])
            .map(String::into_bytes)
    }
}

/// Builds the records of a refresh token and of the access token that comes with it.
pub(super) fn opening(
    refresh: &NewRefresh,
    access: Option<&NewAccess>,
    at: Locator,
) -> Result<Fields, Failure> {
    let mut records = Fields::default();
    let mut kept = kept_until(
        refresh.created_at,
        refresh.expires_at,
        refresh.access_expires_at,
    );

    if let Some(access) = access {
        let beside = place(access.digest.locator(), access.session)?;
        // One script writes one key, so both tokens must lie in it.
        if access.user != refresh.user || beside.owner() != at.owner() {
            return Err(Failure::internal(
                PART,
                "the two tokens of a pair belong to different users",
            ));
        }
        // The session's record must outlive its access tokens, which live as long as it is there.
        kept = kept.max(records.access(access).gone);
    }

    // The record of a token without a session lies under its digest and holds none.
    let (field, digest, manner) = match refresh.session {
        Some(session) => (session_field(session), refresh.digest.as_str(), "opens"),
        None => (refresh_field(refresh.digest.as_str()), "", "new"),
    };
    let record = Record {
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
    records.add(field, record, manner);

    Ok(records)
}

/// Returns the time from which the record of a session may be removed: after its refresh token and
/// its signed access tokens.
fn kept_until(
    created: Timestamp,
    expires: Option<Timestamp>,
    signed_end: Option<Timestamp>,
) -> Timestamp {
    let kept = gone(created, expires);
    signed_end.map_or(kept, |end| kept.max(gone(created, Some(end))))
}

/// Builds the arguments of `rotate.lua`.
///
/// `presented` is the place of the presented token, and `at` that of its successor. They differ if
/// the presented token has no session.
pub(super) fn rotation(
    rotate: &RotateRequest,
    presented: Locator,
    at: Locator,
) -> Result<Vec<Vec<u8>>, Failure> {
    let mut records = Fields::default();
    let mut kept = kept_until(
        rotate.created_at,
        rotate.expires_at,
        rotate.access_expires_at,
    );

    if let Some(access) = &rotate.access {
        if place(access.digest.locator(), at.session())? != at {
            return Err(Failure::internal(
                PART,
                "the two tokens of a pair have different locators",
            ));
        }
        kept = kept.max(records.access(access).gone);
    }

    let (last, first) = (records.last(kept), records.soonest(kept));
    let from = presented
        .session()
        .map_or_else(|| refresh_field(rotate.presented.as_str()), session_field);
    let (access, access_record) = records.into_first();

    let arguments = Rotation {
        ttl: ttl(rotate.created_at, last).to_string(),
        now: micros(rotate.created_at),
        soonest: micros(first),
        presented: from,
        presented_digest: rotate.presented.as_str().to_owned(),
        session: at.session().map(session_field).unwrap_or_default(),
        successor: rotate.successor.as_str().to_owned(),
        gone_at: micros(kept),
        created_at: micros(rotate.created_at),
        expires_at: encode_time(rotate.expires_at),
        session_ends: encode_time(rotate.session_expires_at),
        family: rotate.family.as_str().to_owned(),
        consumed: rotate.consumed.to_text(),
        signed_ends: encode_time(rotate.access_expires_at),
        access,
        access_record,
    };

    Ok(arguments.into_args())
}

impl RedisTokenStore {
    /// Records a proof of identity in one hash of the user, if it has the session behind `fence`.
    /// An empty `fence` fits any.
    pub(super) async fn prove(
        &self,
        key: &str,
        again: &Reauthentication,
        fence: String,
    ) -> Result<bool, Failure> {
        let proof = Proof {
            field: session_field(again.session),
            at: micros(again.at),
            asked: fence,
        };
        let script = &self.scripts.reauthenticate;
        let found: i64 = self.redis.eval(script, &[key], &proof.into_args()).await?;
        Ok(found == 1)
    }

    /// Records the tokens of a login, or one access token, behind the user's fence.
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
        let insertion = Insertion {
            user: encode_user(user),
            ttl: ttl(now, last).to_string(),
            now: micros(now),
            soonest: micros(first),
            asked: fence.map(Fence::to_text).unwrap_or_default(),
            records: records.0.len().to_string(),
        };
        let mut args = insertion.into_args();
        args.extend(records.into_args());

        match self
            .redis
            .eval::<i64>(&self.scripts.insert, &[&key], &args)
            .await?
        {
            1 => Ok(Opened::Done),
            -2 => Ok(Opened::Fenced),
            _ => Err(taken()),
        }
    }

    /// Replaces the fence in one of a user's keys.
    pub(super) async fn end_key(&self, key: &str, end: &EndUser) -> Result<(), Failure> {
        let mut remembered = String::new();
        for _ in 0..ATTEMPTS {
            let ending = Ending {
                fence: end.fence.to_text(),
                kept: end.kept.map(session_field).unwrap_or_default(),
                unsettled: if end.settled {
                    String::new()
                } else {
                    "1".to_owned()
                },
                now: micros(end.now),
                // Endings that the key lost in an earlier attempt are remembered again by this one.
                lost: std::mem::take(&mut remembered),
            };
            let answer: String = self
                .redis
                .eval(&self.scripts.end_user, &[key], &ending.into_args())
                .await?;

            match answer.strip_prefix("lost:") {
                // The key had no fence for a moment. The next attempt puts it back, with the
                // endings that were remembered, and ends what came in meanwhile.
                Some(lost) => remembered.push_str(lost),
                None if answer == "full" => {
                    return Err(Failure::unavailable(
                        PART,
                        "too many unsettled logouts of one user",
                    ));
                }
                None => return Ok(()),
            }
        }

        Err(Failure::unavailable(
            PART,
            "a user's key kept moving to another node",
        ))
    }

    /// Removes a record that is live by itself, or by that of `session`. Returns `true` if it was
    /// live.
    pub(super) async fn remove(
        &self,
        keys: &[String],
        field: &str,
        session: &str,
    ) -> Result<bool, Failure> {
        // The call's name tells a command that the client sends again from a later call.
        let call = Fence::generate(&SystemEntropy)?.to_text();
        let removal = Removal {
            field: field.to_owned(),
            session: session.to_owned(),
            call,
        };
        let args = removal.into_args();

        let mut removed = false;
        // Each key is asked, even after a hit: one user may have hashes under several keys of the
        // ring.
        for key in keys {
            removed |= self
                .redis
                .eval::<i64>(&self.scripts.remove, &[key], &args)
                .await?
                == 1;
        }
        Ok(removed)
    }
}

/// Returns a time as the scripts read it: microseconds since 1970, in decimal digits.
pub(super) fn micros(moment: Timestamp) -> String {
    encode_time(Some(moment))
}

/// Creates the failure for a digest that is recorded already.
pub(super) fn taken() -> Failure {
    Failure::internal(PART, "the digest already exists")
}
