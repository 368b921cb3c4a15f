//! The tables of the store in memory, and the steps that several operations share.

use std::collections::HashMap;
use std::hash::Hash;

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::session::{ClientInfo, SessionId};
use crate::store::{Consumed, EndUser, EndedFence, Fence, NewAccess, RefreshRecord, SessionRecord};
use crate::token::Digest;
use crate::user::UserKey;

/// The records. The keys of `access` and `refresh` are stored texts: digests, or legacy plain text.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) access: HashMap<String, AccessRow>,
    pub(super) refresh: HashMap<String, RefreshRow>,
    /// The current token of each family.
    pub(super) families: HashMap<String, String>,
    /// The current fence of each user, and its last use.
    pub(super) fences: HashMap<UserKey, (Fence, Timestamp)>,
    /// The replaced fences of each user that nobody has settled, the latest at the end.
    pub(super) unsettled: HashMap<UserKey, Vec<EndedFence>>,
}

pub(super) struct AccessRow {
    pub(super) user: UserKey,
    pub(super) session: Option<SessionId>,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) fence: Option<Fence>,
}

pub(super) struct RefreshRow {
    pub(super) family: Digest,
    pub(super) consumed: Consumed,
    pub(super) user: UserKey,
    pub(super) session: Option<SessionId>,
    pub(super) opened_at: Timestamp,
    /// The time of the latest re-authentication.
    pub(super) authenticated_at: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    pub(super) used_at: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) session_expires_at: Option<Timestamp>,
    pub(super) access_expires_at: Option<Timestamp>,
    pub(super) client: ClientInfo,
    pub(super) fence: Option<Fence>,
}

impl RefreshRow {
    pub(super) fn record(&self, token: &str) -> RefreshRecord {
        RefreshRecord {
            digest: Digest::parse(token),
            consumed: self.consumed.clone(),
            user: self.user.clone(),
            session: self.session,
            created_at: Some(self.created_at),
            expires_at: self.expires_at,
            session_expires_at: self.session_expires_at,
            access_expires_at: self.access_expires_at,
            fence: self.fence,
        }
    }

    pub(super) fn session_record(&self, token: &str) -> Option<SessionRecord> {
        Some(SessionRecord {
            id: self.session?,
            opened_at: Some(self.opened_at),
            authenticated_at: self.authenticated_at.max(Some(self.opened_at)),
            refreshed_at: Some(self.created_at),
            used_at: self.used_at,
            expires_at: self.expires_at,
            session_expires_at: self.session_expires_at,
            access_expires_at: self.access_expires_at,
            current: Digest::parse(token),
            consumed: self.consumed.clone(),
            fence: self.fence,
            client: self.client.clone(),
        })
    }
}

impl Tables {
    /// Returns `true` if `expected` is the user's current fence or `None`, and notes the use of the
    /// fence.
    pub(super) fn stands(
        &mut self,
        user: &UserKey,
        expected: Option<Fence>,
        now: Timestamp,
    ) -> bool {
        let Some(expected) = expected else {
            return true;
        };
        match self.fences.get_mut(user) {
            Some((fence, used_at)) if *fence == expected => {
                *used_at = now.max(*used_at);
                true
            }
            _ => false,
        }
    }

    /// Replaces the user's fence, and deletes at once what was recorded behind the old one.
    pub(super) fn end_user(&mut self, end: &EndUser) {
        // A call that is repeated must not end what was recorded behind its own fence.
        if self
            .fences
            .get(&end.user)
            .is_some_and(|(current, _)| *current == end.fence)
        {
            return;
        }

        let Some((ended, _)) = self.fences.insert(end.user.clone(), (end.fence, end.now)) else {
            return;
        };

        // The kept session moves behind the new fence first: the removal goes by the old one.
        if let Some(kept) = end.kept {
            self.move_session(kept, &end.user, ended, end.fence);
        }
        self.remove(
            |row| row.user == end.user && row.fence == Some(ended),
            |row| row.user == end.user && row.fence == Some(ended),
        );

        if !end.settled {
            self.unsettled
                .entry(end.user.clone())
                .or_default()
                .push(EndedFence {
                    fence: ended,
                    kept: end.kept,
                });
        }
    }

    /// Moves the tokens of a user's session from behind the fence `from` to behind `to`.
    fn move_session(&mut self, session: SessionId, user: &UserKey, from: Fence, to: Fence) {
        for row in self.access.values_mut() {
            if row.user == *user && row.session == Some(session) && row.fence == Some(from) {
                row.fence = Some(to);
            }
        }
        for row in self.refresh.values_mut() {
            if row.user == *user && row.session == Some(session) && row.fence == Some(from) {
                row.fence = Some(to);
            }
        }
    }

    pub(super) fn insert_access(
        &mut self,
        access: &NewAccess,
        fence: Option<Fence>,
    ) -> Result<(), Failure> {
        if self.access.contains_key(access.digest.as_str()) {
            return Err(taken());
        }
        let row = AccessRow {
            user: access.user.clone(),
            session: access.session,
            created_at: access.created_at,
            expires_at: access.expires_at,
            fence,
        };
        self.access.insert(access.digest.as_str().to_owned(), row);
        Ok(())
    }

    pub(super) fn insert_refresh(&mut self, token: &str, row: RefreshRow) {
        self.families
            .insert(row.family.as_str().to_owned(), token.to_owned());
        self.refresh.insert(token.to_owned(), row);
    }

    /// Removes a refresh token and the entry of its family.
    pub(super) fn remove_refresh(&mut self, token: &str) -> Option<RefreshRow> {
        let row = self.refresh.remove(token)?;
        self.families.remove(row.family.as_str());
        Some(row)
    }

    /// Removes the families whose refresh token is gone.
    pub(super) fn forget_families(&mut self) {
        self.families
            .retain(|_, token| self.refresh.contains_key(token));
    }

    /// Removes the rows that the two closures choose, and returns the number of them.
    pub(super) fn remove(
        &mut self,
        access: impl Fn(&AccessRow) -> bool,
        refresh: impl Fn(&RefreshRow) -> bool,
    ) -> u64 {
        let before = self.access.len() + self.refresh.len();
        self.access.retain(|_, row| !access(row));
        self.refresh.retain(|_, row| !refresh(row));
        self.forget_families();
        count(before.saturating_sub(self.access.len() + self.refresh.len()))
    }
}

/// Returns `true` if a token has expired at `now`: by its end, or without one by its time of issue.
pub(super) fn is_over(
    end: Option<Timestamp>,
    created_at: Timestamp,
    cutoff: Timestamp,
    now: Timestamp,
) -> bool {
    end.map_or(created_at <= cutoff, |end| end <= now)
}

/// Removes up to `limit` of the rows that are over. Returns their number, and `true` if more are
/// left.
pub(super) fn sweep<K: Clone + Eq + Hash, T>(
    rows: &mut HashMap<K, T>,
    limit: u32,
    is_over: impl Fn(&K, &T) -> bool,
) -> (u64, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let over: Vec<_> = rows
        .iter()
        .filter(|(key, row)| is_over(key, row))
        .map(|(token, _)| token.clone())
        .collect();
    for token in over.iter().take(limit) {
        rows.remove(token);
    }
    (count(over.len().min(limit)), over.len() > limit)
}

pub(super) fn is_owner(owner: Option<&UserKey>, user: &UserKey) -> bool {
    owner.is_none_or(|owner| owner == user)
}

pub(super) fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// Creates the failure for a digest that is recorded already.
pub(super) fn taken() -> Failure {
    Failure::internal("token store", "the digest already exists")
}
