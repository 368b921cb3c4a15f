//! The tables, and the steps that change several of them in one transaction.
//!
//! redb has one writer at a time. A step therefore sees what every step before it has written, and
//! its guards need no locks of their own.

use std::borrow::Borrow;
use std::ops::Range;

use countersign::Timestamp;
use countersign::store::{
    ClearUser, Cleared, EndUser, Fence, NewAccess, RotateOutcome, RotateRequest, SweepLimit, Swept,
};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::rows::{Fault, RefreshRow, TokenRow, UserRow, user_text};

/// The kinds of token, as keys hold them.
pub(super) const ACCESS: u8 = 0;
pub(super) const REFRESH: u8 = 1;

/// Sorts behind every user, fence and session id, as this store writes them.
const LAST: &str = "~";

type Kv<K, V> = TableDefinition<'static, K, V>;
type Json = &'static [u8];
type Text = &'static str;

/// The tokens, by kind and digest.
pub(super) const TOKENS: Kv<(u8, Text), Json> = TableDefinition::new("tokens");
/// The details that only refresh tokens have, by digest.
pub(super) const DETAILS: Kv<Text, Json> = TableDefinition::new("details");
/// The current refresh token of each family.
pub(super) const FAMILIES: Kv<Text, Text> = TableDefinition::new("families");
/// The current refresh token of each user's sessions, in the order of the sessions' ids.
pub(super) const CURRENT: Kv<(Text, Text), Text> = TableDefinition::new("current");
/// Fences, by user.
pub(super) const USERS: Kv<Text, Json> = TableDefinition::new("users");
/// An index of the tokens by user, fence and session. Absent ones are empty texts.
const OWNED: Kv<Owned, ()> = TableDefinition::new("owned");
/// An index of the tokens by kind, presence of an end, and the end or else the time of issue.
const ENDS: Kv<(u8, bool, i64, Text), ()> = TableDefinition::new("ends");
/// An index of the users by the last use of their fence.
const IDLE: Kv<(i64, Text), ()> = TableDefinition::new("idle");
/// The replaced fences that tokens may still lie behind, by user.
const ENDED: Kv<(Text, Text), ()> = TableDefinition::new("ended");

type Owned = (Text, Text, Text, u8, Text);

/// The tables of a writing transaction.
pub(super) struct Tables<'t> {
    tokens: Table<'t, (u8, Text), Json>,
    details: Table<'t, Text, Json>,
    families: Table<'t, Text, Text>,
    current: Table<'t, (Text, Text), Text>,
    users: Table<'t, Text, Json>,
    owned: Table<'t, Owned, ()>,
    ends: Table<'t, (u8, bool, i64, Text), ()>,
    idle: Table<'t, (i64, Text), ()>,
    ended: Table<'t, (Text, Text), ()>,
}

impl<'t> Tables<'t> {
    /// Opens the tables, and makes those that are missing.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            tokens: transaction.open_table(TOKENS)?,
            details: transaction.open_table(DETAILS)?,
            families: transaction.open_table(FAMILIES)?,
            current: transaction.open_table(CURRENT)?,
            users: transaction.open_table(USERS)?,
            owned: transaction.open_table(OWNED)?,
            ends: transaction.open_table(ENDS)?,
            idle: transaction.open_table(IDLE)?,
            ended: transaction.open_table(ENDED)?,
        })
    }

    /// Returns a token, unless its fence was replaced.
    pub(super) fn live(&self, kind: u8, token: &str) -> Result<Option<TokenRow>, Fault> {
        live(&self.tokens, &self.users, kind, token)
    }

    pub(super) fn user(&self, user: &str) -> Result<UserRow, Fault> {
        Ok(json(&self.users, user)?.unwrap_or_default())
    }

    pub(super) fn put_user(&mut self, user: &str, row: &UserRow) -> Result<(), Fault> {
        let before = self.user(user)?.used_at;
        self.idle.remove((before, user))?;
        self.idle.insert((row.used_at, user), ())?;
        self.users.insert(user, &*bytes(row)?)?;
        Ok(())
    }

    /// Returns the user's fence, which is `fresh` if there was none.
    pub(super) fn fence(
        &mut self,
        user: &str,
        fresh: Fence,
        now: Timestamp,
    ) -> Result<String, Fault> {
        let mut row = self.user(user)?;
        // Somebody else may have written one since the caller looked.
        if let Some(fence) = row.fence {
            return Ok(fence);
        }
        let fence = fresh.to_text();
        row.fence = Some(fence.clone());
        row.used_at = now.as_micros();
        self.put_user(user, &row)?;
        Ok(fence)
    }

    /// Returns `true` if `fence` is the user's current one, or absent, and notes its use.
    pub(super) fn lets_in(
        &mut self,
        user: &str,
        fence: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        if fence.is_none() {
            return Ok(true);
        }
        let mut row = self.user(user)?;
        let is_current = row.fence.as_deref() == fence;
        if is_current {
            row.used_at = row.used_at.max(now.as_micros());
            self.put_user(user, &row)?;
        }
        Ok(is_current)
    }

    /// Records a new token.
    fn insert(&mut self, kind: u8, token: &str, row: &TokenRow) -> Result<(), Fault> {
        if self.tokens.get((kind, token))?.is_some() {
            return Err(Fault::Taken);
        }
        self.put(kind, token, row)
    }

    /// Records a new access token behind a fence.
    pub(super) fn insert_access(
        &mut self,
        access: &NewAccess,
        fence: Option<String>,
    ) -> Result<(), Fault> {
        self.insert(
            ACCESS,
            access.digest.as_str(),
            &TokenRow::of_access(access, fence),
        )
    }

    /// Records a new refresh token.
    pub(super) fn insert_refresh(
        &mut self,
        token: &str,
        row: &TokenRow,
        details: &RefreshRow,
    ) -> Result<(), Fault> {
        self.insert(REFRESH, token, row)?;
        self.families.insert(&*details.family, token)?;
        if let Some(session) = &row.session {
            self.current.insert((&*row.user, &**session), token)?;
        }
        self.put_details(token, details)
    }

    fn details(&self, token: &str) -> Result<Option<RefreshRow>, Fault> {
        json(&self.details, token)
    }

    fn put_details(&mut self, token: &str, details: &RefreshRow) -> Result<(), Fault> {
        self.details.insert(token, &*bytes(details)?)?;
        Ok(())
    }

    /// Records when a session was seen in use, unless a later time is recorded.
    pub(super) fn note_use(
        &mut self,
        user: &str,
        session: &str,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let found = self
            .current
            .get((user, session))?
            .map(|token| token.value().to_owned());
        let Some(token) = found else {
            return Ok(());
        };
        if let Some(mut details) = self.details(&token)? {
            details.used_at = details.used_at.max(Some(at.as_micros()));
            self.put_details(&token, &details)?;
        }
        Ok(())
    }

    /// Records a re-authentication in a session that can be refreshed, and returns `true` if there
    /// is one that the fence fits.
    pub(super) fn reauthenticate(
        &mut self,
        user: &str,
        session: &str,
        at: Timestamp,
        fence: Option<&str>,
    ) -> Result<bool, Fault> {
        let found = self
            .current
            .get((user, session))?
            .map(|token| token.value().to_owned());
        let Some(token) = found else {
            return Ok(false);
        };

        let (Some(row), Some(mut details)) = (self.live(REFRESH, &token)?, self.details(&token)?)
        else {
            return Ok(false);
        };
        if fence.is_some() && row.fence.is_some() && row.fence.as_deref() != fence {
            return Ok(false);
        }

        details.authenticated_at = details.authenticated_at.max(at.as_micros());
        self.put_details(&token, &details)?;
        Ok(true)
    }

    fn put(&mut self, kind: u8, token: &str, row: &TokenRow) -> Result<(), Fault> {
        self.tokens.insert((kind, token), &*bytes(row)?)?;
        self.owned.insert(place(kind, token, row), ())?;
        self.ends.insert(end(kind, token, row), ())?;
        Ok(())
    }

    /// Removes a token and whatever leads to it.
    pub(super) fn remove(&mut self, kind: u8, token: &str) -> Result<(), Fault> {
        let Some(row) = json::<TokenRow, _>(&self.tokens, (kind, token))? else {
            return Ok(());
        };

        self.tokens.remove((kind, token))?;
        self.owned.remove(place(kind, token, &row))?;
        self.ends.remove(end(kind, token, &row))?;

        if kind == REFRESH {
            if let Some(details) = self.details(token)? {
                self.families.remove(&*details.family)?;
            }
            if let Some(session) = &row.session {
                self.current.remove((&*row.user, &**session))?;
            }
            self.details.remove(token)?;
        }
        Ok(())
    }

    /// Removes tokens, and returns the number of them.
    fn remove_all(&mut self, tokens: &[(u8, String)]) -> Result<u64, Fault> {
        for (kind, token) in tokens {
            self.remove(*kind, token)?;
        }
        Ok(u64::try_from(tokens.len()).unwrap_or(u64::MAX))
    }

    /// Replaces a refresh token by its successor, if it is there.
    pub(super) fn rotate(&mut self, rotate: &RotateRequest) -> Result<RotateOutcome, Fault> {
        let presented = rotate.presented.as_str();
        let (Some(mut row), Some(mut details)) =
            (self.live(REFRESH, presented)?, self.details(presented)?)
        else {
            return Ok(RotateOutcome::Gone);
        };

        self.remove(REFRESH, presented)?;
        row.session
            .get_or_insert_with(|| rotate.session.to_string());
        row.created_at = rotate.created_at.as_micros();
        row.expires_at = rotate.expires_at.map(Timestamp::as_micros);
        rotate.family.as_str().clone_into(&mut details.family);
        details.consumed = rotate.consumed.to_text();
        let session_end = rotate.session_expires_at.map(Timestamp::as_micros);
        details.session_expires_at = details.session_expires_at.or(session_end);
        let access_end = rotate.access_expires_at.map(Timestamp::as_micros);
        details.access_expires_at = details.access_expires_at.max(access_end);

        // A digest that is taken rolls all of it back.
        self.insert_refresh(rotate.successor.as_str(), &row, &details)?;
        if let Some(access) = &rotate.access {
            self.insert_access(access, row.fence)?;
        }
        Ok(RotateOutcome::Done)
    }

    /// Ends one session, and returns `true` if there was one.
    pub(super) fn end_session(&mut self, user: &str, session: &str) -> Result<bool, Fault> {
        // What is live lies behind the current fence or behind none.
        let fence = self.user(user)?.fence.unwrap_or_default();
        let mut tokens = self.owned(of_session(user, &fence, session), usize::MAX)?;
        tokens.extend(self.owned(of_session(user, "", session), usize::MAX)?);
        Ok(self.remove_all(&tokens)? > 0)
    }

    /// Replaces the fence of a user. What lies behind the old one isn't found any more, and is
    /// removed later. The session to keep moves behind the new one.
    pub(super) fn end_user(&mut self, end: &EndUser) -> Result<(), Fault> {
        let (user, new) = (user_text(&end.user), end.fence.to_text());
        let mut row = self.user(&user)?;
        // A call that is repeated must not end what was recorded behind its own fence.
        if row.fence.as_ref() == Some(&new) {
            return Ok(());
        }

        let kept = end.kept.map(|session| session.to_string());
        let old = row.fence.replace(new.clone());
        row.used_at = row.used_at.max(end.now.as_micros());

        if let Some(old) = &old {
            self.ended.insert((&*user, &**old), ())?;
            if !end.settled {
                row.unsettled.push((old.clone(), kept.clone()));
            }
        }
        self.put_user(&user, &row)?;

        if let (Some(old), Some(kept)) = (old, kept) {
            for (kind, token) in self.owned(of_session(&user, &old, &kept), usize::MAX)? {
                if let Some(mut row) = json::<TokenRow, _>(&self.tokens, (kind, &*token))? {
                    self.owned.remove(place(kind, &token, &row))?;
                    row.fence = Some(new.clone());
                    self.put(kind, &token, &row)?;
                }
            }
        }
        Ok(())
    }

    /// Removes a part of what was ended by a fence, or of what lies behind none.
    pub(super) fn clear(&mut self, clear: &ClearUser) -> Result<Cleared, Fault> {
        let (user, rows) = (user_text(&clear.user), count(clear.rows));
        if !clear.unfenced {
            return self.drop_ended((&user, "")..(&user, LAST), rows);
        }

        let kept = clear.kept.map(|session| session.to_string());
        let mut tokens = Vec::new();
        for found in self
            .owned
            .range((&*user, "", "", 0, "")..(&*user, "", LAST, 0, ""))?
        {
            let found = found?.0;
            let (_, _, session, kind, token) = found.value();
            if kept.as_deref() != Some(session) {
                tokens.push((kind, token.to_owned()));
            }
            if tokens.len() > rows {
                break;
            }
        }

        let more = tokens.len() > rows;
        tokens.truncate(rows);
        Ok(Cleared::new(self.remove_all(&tokens)?, more))
    }

    /// Removes up to `rows` tokens behind the replaced fences of a range of users.
    fn drop_ended(&mut self, range: Range<(&str, &str)>, rows: usize) -> Result<Cleared, Fault> {
        let mut removed = 0;
        let mut left = rows;
        loop {
            let Some(ended) = self.first_ended(range.clone())? else {
                return Ok(Cleared::new(removed, false));
            };

            let (user, fence) = (&*ended.0, &*ended.1);
            let behind = (user, fence, "", 0, "")..(user, fence, LAST, 0, "");
            let mut tokens = self.owned(behind, left.saturating_add(1))?;
            let more = tokens.len() > left;
            tokens.truncate(left);
            removed = self.remove_all(&tokens)?.saturating_add(removed);
            if more {
                return Ok(Cleared::new(removed, more));
            }

            left = left.saturating_sub(tokens.len());
            self.ended.remove((user, fence))?;
        }
    }

    /// Returns the first replaced fence of a range of users, after its user.
    fn first_ended(&self, range: Range<(&str, &str)>) -> Result<Option<(String, String)>, Fault> {
        let Some(found) = self.ended.range(range)?.next() else {
            return Ok(None);
        };
        let found = found?.0;
        let (user, fence) = found.value();
        Ok(Some((user.to_owned(), fence.to_owned())))
    }

    /// Removes a part of what has expired or was ended, and fences that nobody uses.
    ///
    /// The last costs a look at each user whose fence wasn't used for long.
    pub(super) fn sweep(&mut self, limit: &SweepLimit) -> Result<Swept, Fault> {
        let rows = count(limit.rows);
        let (access, more_access) =
            self.drop_expired(ACCESS, limit.now, limit.access_created, rows)?;
        let (refresh, more_refresh) =
            self.drop_expired(REFRESH, limit.now, limit.refresh_created, rows)?;
        let ended = self.drop_ended(("", "")..(LAST, ""), rows)?;
        let (fences, more_fences) = self.drop_fences(limit.fence_used, rows)?;

        let mut swept = Swept::default();
        swept.access = access.saturating_add(ended.removed);
        swept.refresh = refresh;
        swept.fences = fences;
        swept.more = more_access || more_refresh || more_fences || ended.more;
        Ok(swept)
    }

    /// Returns the number of tokens removed, and `true` if more have expired.
    fn drop_expired(
        &mut self,
        kind: u8,
        now: Timestamp,
        created: Timestamp,
        rows: usize,
    ) -> Result<(u64, bool), Fault> {
        let mut tokens = Vec::new();
        for (has_end, last) in [(true, now), (false, created)] {
            // Bounds are inclusive: a token has ended at the very moment of its end.
            let until = (kind, has_end, last.as_micros().saturating_add(1), "");
            for found in self.ends.range((kind, has_end, i64::MIN, "")..until)? {
                tokens.push((kind, found?.0.value().3.to_owned()));
                if tokens.len() > rows {
                    break;
                }
            }
        }

        let more = tokens.len() > rows;
        tokens.truncate(rows);
        Ok((self.remove_all(&tokens)?, more))
    }

    /// Returns the number of fences removed, and `true` if more are out of use.
    fn drop_fences(&mut self, cutoff: Timestamp, rows: usize) -> Result<(u64, bool), Fault> {
        let mut users = Vec::new();
        for found in self
            .idle
            .range((i64::MIN, "")..(cutoff.as_micros().saturating_add(1), ""))?
        {
            let key = found?.0;
            let (used_at, user) = key.value();

            // A fence that a token lies behind stays: an ending must find the token by it.
            let has_tokens = self
                .owned
                .range((user, "", "", 0, "")..(user, LAST, "", 0, ""))?
                .next()
                .is_some();
            if !has_tokens {
                users.push((used_at, user.to_owned()));
            }
            if users.len() > rows {
                break;
            }
        }

        let more = users.len() > rows;
        users.truncate(rows);
        for (used_at, user) in &users {
            self.users.remove(&**user)?;
            self.idle.remove((*used_at, &**user))?;
        }
        Ok((u64::try_from(users.len()).unwrap_or(u64::MAX), more))
    }

    /// Returns the first tokens in a range of the index by owner.
    fn owned(
        &self,
        range: Range<(&str, &str, &str, u8, &str)>,
        most: usize,
    ) -> Result<Vec<(u8, String)>, Fault> {
        let mut tokens = Vec::new();
        for found in self.owned.range(range)?.take(most) {
            let found = found?.0;
            let (.., kind, token) = found.value();
            tokens.push((kind, token.to_owned()));
        }
        Ok(tokens)
    }
}

/// Returns a token, unless its fence was replaced.
pub(super) fn live(
    tokens: &impl ReadableTable<(u8, Text), Json>,
    users: &impl ReadableTable<Text, Json>,
    kind: u8,
    token: &str,
) -> Result<Option<TokenRow>, Fault> {
    let row: Option<TokenRow> = json(tokens, (kind, token))?;
    match row {
        Some(row) if row.fence.is_some() => {
            let user: Option<UserRow> = json(users, &*row.user)?;
            Ok((user.unwrap_or_default().fence == row.fence).then_some(row))
        }
        found => Ok(found),
    }
}

/// Reads a value.
pub(super) fn json<'k, T: DeserializeOwned, K: redb::Key + 'static>(
    table: &impl ReadableTable<K, Json>,
    key: impl Borrow<K::SelfType<'k>>,
) -> Result<Option<T>, Fault> {
    let found = table.get(key)?;
    found
        .map(|bytes| Ok(serde_json::from_slice(bytes.value())?))
        .transpose()
}

fn bytes(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    Ok(serde_json::to_vec(value)?)
}

/// Returns the entry of a token in the index by owner.
fn place<'r>(
    kind: u8,
    token: &'r str,
    row: &'r TokenRow,
) -> (&'r str, &'r str, &'r str, u8, &'r str) {
    let fence = row.fence.as_deref().unwrap_or_default();
    (
        &row.user,
        fence,
        row.session.as_deref().unwrap_or_default(),
        kind,
        token,
    )
}

/// Returns the entry of a token in the index by end.
fn end<'r>(kind: u8, token: &'r str, row: &TokenRow) -> (u8, bool, i64, &'r str) {
    (
        kind,
        row.expires_at.is_some(),
        row.expires_at.unwrap_or(row.created_at),
        token,
    )
}

/// Returns the range of the index by owner that holds a session.
fn of_session<'r>(
    user: &'r str,
    fence: &'r str,
    session: &'r str,
) -> Range<(&'r str, &'r str, &'r str, u8, &'r str)> {
    (user, fence, session, ACCESS, "")..(user, fence, session, REFRESH + 1, "")
}

fn count(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
