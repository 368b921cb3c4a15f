//! The constructors and setters of records, and the changes of records that stores share.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::session::{ClientInfo, Lifetimes, SessionId};
use crate::store::{
    AccessRecord, Cleared, Consumed, Fence, JoinedUser, NewAccess, NewRefresh, RefreshRecord,
    RotateRequest, SessionCursor, SessionPage, SessionRecord, SweepLimit, UserSurvey,
};
use crate::token::{Digest, StoredToken};
use crate::user::UserKey;

/// Writes setters that take a record and return it with one field changed.
macro_rules! setters {
    ($($setter:ident, $field:ident: $type:ty;)+) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $setter(mut self, $field: impl Into<$type>) -> Self {
            self.$field = $field.into();
            self
        }
    )+};
}

impl NewAccess {
    /// Creates an access token without a session, without an end, and behind no fence.
    pub const fn new(digest: Digest, user: UserKey, created_at: Timestamp) -> Self {
        Self {
            digest,
            user,
            session: None,
            created_at,
            expires_at: None,
            fence: None,
        }
    }

    setters! {
        with_session, session: Option<SessionId>;
        with_expires_at, expires_at: Option<Timestamp>;
        with_fence, fence: Option<Fence>;
    }
}

impl NewRefresh {
    /// Creates a refresh token without a session, without an end, and behind no fence.
    pub fn new(digest: Digest, family: Digest, user: UserKey, created_at: Timestamp) -> Self {
        Self {
            digest,
            family,
            user,
            session: None,
            created_at,
            expires_at: None,
            session_expires_at: None,
            access_expires_at: None,
            client: ClientInfo::default(),
            fence: None,
        }
    }

    setters! {
        with_session, session: Option<SessionId>;
        with_expires_at, expires_at: Option<Timestamp>;
        with_session_expires_at, session_expires_at: Option<Timestamp>;
        with_access_expires_at, access_expires_at: Option<Timestamp>;
        with_client, client: ClientInfo;
        with_fence, fence: Option<Fence>;
    }
}

impl AccessRecord {
    /// Creates a record of which only the owner is known.
    pub const fn new(user: UserKey) -> Self {
        Self {
            user,
            session: None,
            created_at: None,
            expires_at: None,
            joined_user: JoinedUser::NotJoined,
        }
    }
}

/// The record of a token as it was inserted.
impl From<&NewAccess> for AccessRecord {
    fn from(access: &NewAccess) -> Self {
        Self {
            user: access.user.clone(),
            session: access.session,
            created_at: Some(access.created_at),
            expires_at: access.expires_at,
            joined_user: JoinedUser::NotJoined,
        }
    }
}

impl RefreshRecord {
    /// Creates a record of which only the owner is known.
    pub fn new(user: UserKey) -> Self {
        Self {
            digest: None,
            consumed: Consumed::default(),
            user,
            session: None,
            created_at: None,
            expires_at: None,
            session_expires_at: None,
            access_expires_at: None,
            fence: None,
        }
    }
}

/// The record of a token as it was inserted, without consumed tokens.
impl From<&NewRefresh> for RefreshRecord {
    fn from(refresh: &NewRefresh) -> Self {
        Self {
            digest: Some(refresh.digest.clone()),
            consumed: Consumed::default(),
            user: refresh.user.clone(),
            session: refresh.session,
            created_at: Some(refresh.created_at),
            expires_at: refresh.expires_at,
            session_expires_at: refresh.session_expires_at,
            access_expires_at: refresh.access_expires_at,
            fence: refresh.fence,
        }
    }
}

impl RotateRequest {
    /// Creates an exchange that issues no access token, and whose successor has no end.
    pub fn new(
        presented: StoredToken,
        successor: Digest,
        family: Digest,
        session: SessionId,
        created_at: Timestamp,
    ) -> Self {
        Self {
            presented,
            successor,
            family,
            consumed: Consumed::default(),
            session,
            created_at,
            expires_at: None,
            session_expires_at: None,
            access_expires_at: None,
            access: None,
        }
    }

    setters! {
        with_consumed, consumed: Consumed;
        with_expires_at, expires_at: Option<Timestamp>;
        with_session_expires_at, session_expires_at: Option<Timestamp>;
        with_access_expires_at, access_expires_at: Option<Timestamp>;
        with_access, access: Option<NewAccess>;
    }

    /// Changes the record of the presented token as a rotation does, except for the list of
    /// consumed tokens, which a [`NewRefresh`] doesn't have.
    ///
    /// [`TokenStore::rotate`](crate::store::TokenStore::rotate) says what is replaced and what is
    /// kept. A store that holds its records in memory can use it.
    pub fn apply(&self, token: &mut NewRefresh) {
        token.digest = self.successor.clone();
        token.family = self.family.clone();
        token.session = token.session.or(Some(self.session));
        token.created_at = self.created_at;
        token.expires_at = self.expires_at;
        token.session_expires_at = token.session_expires_at.or(self.session_expires_at);
        token.access_expires_at = token.access_expires_at.max(self.access_expires_at);
    }
}

impl SessionRecord {
    /// Creates a record of which only the id is known.
    pub fn new(id: SessionId) -> Self {
        Self {
            id,
            opened_at: None,
            authenticated_at: None,
            refreshed_at: None,
            used_at: None,
            expires_at: None,
            session_expires_at: None,
            access_expires_at: None,
            current: None,
            consumed: Consumed::default(),
            fence: None,
            client: ClientInfo::default(),
        }
    }
}

impl SessionPage {
    /// Creates a page with the cursor of the next one, or `None` at the end of the list.
    pub const fn new(sessions: Vec<SessionRecord>, next: Option<SessionCursor>) -> Self {
        Self { sessions, next }
    }

    /// Returns the first `limit` of `sessions`, with a cursor if there are more.
    ///
    /// The sessions must be in the order of their ids, and either reach the end of the list or be
    /// more than `limit`. The cursor is the id of the last session of the page.
    pub fn of_ordered(mut sessions: Vec<SessionRecord>, limit: u32) -> Self {
        let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        let more = sessions.len() > limit;
        sessions.truncate(limit);
        let last = sessions.last().filter(|_| more);
        let next = last.and_then(|last| last.id.to_string().parse().ok());
        Self { sessions, next }
    }
}

impl Cleared {
    /// Creates the answer that `removed` tokens were deleted, and if there may be more.
    pub const fn new(removed: u64, more: bool) -> Self {
        Self { removed, more }
    }
}

impl UserSurvey {
    /// Counts those of `sessions` that can be refreshed at `limit.now`.
    pub(crate) fn of(
        sessions: &[SessionRecord],
        limit: &SweepLimit,
        next: Option<SessionCursor>,
    ) -> Self {
        let mut survey = Self {
            next,
            ..Self::default()
        };

        for session in sessions {
            // A time of issue that can't be read counts as expired.
            let is_over = match (session.expires_at, session.refreshed_at) {
                (Some(end), _) => end <= limit.now,
                (None, created) => created.is_none_or(|at| at <= limit.refresh_created),
            };
            if !is_over {
                survey.sessions = survey.sessions.saturating_add(1);
                survey.access_expires_at = survey.access_expires_at.max(session.access_expires_at);
            }
        }
        survey
    }

    /// Adds the next part to this survey, and takes over its cursor.
    pub fn add(&mut self, part: Self) {
        self.sessions = self.sessions.saturating_add(part.sessions);
        self.access_expires_at = self.access_expires_at.max(part.access_expires_at);
        self.next = part.next;
    }
}

/// The time for which an unused fence is kept: much longer than a login may take.
const FENCE_KEPT: Duration = Duration::from_hours(24);

impl SweepLimit {
    /// Creates a limit with all bounds at `now`, at most `rows` of each kind.
    ///
    /// Every token without an end has expired then, and every unused fence may be deleted. Change
    /// the bounds by the setters; [`new`](Self::new) derives them from lifetimes.
    pub const fn at(now: Timestamp, rows: u32) -> Self {
        Self {
            now,
            access_created: now,
            refresh_created: now,
            fence_used: now,
            rows,
        }
    }

    setters! {
        with_access_created, access_created: Timestamp;
        with_refresh_created, refresh_created: Timestamp;
        with_fence_used, fence_used: Timestamp;
    }

    /// Creates a limit for what has expired at `now`, at most `rows` of each kind.
    ///
    /// Tokens without an end age by the idle and access lifetimes of `lifetimes`. Unused fences are
    /// kept for 24 hours.
    pub fn new(now: Timestamp, lifetimes: &Lifetimes, rows: u32) -> Self {
        Self {
            now,
            access_created: now.saturating_sub(lifetimes.access()),
            refresh_created: now.saturating_sub(lifetimes.refresh()),
            fence_used: now.saturating_sub(FENCE_KEPT),
            rows,
        }
    }
}
