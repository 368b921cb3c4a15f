//! The reads: a snapshot of the tables, which holds no writer up.

use std::ops::Bound;

use countersign::store::{
    Page, RefreshRecord, SessionCursor, SessionPage, SessionRecord, SweepLimit, UserSurvey,
};
use countersign::{SessionId, Timestamp};
use redb::{ReadOnlyTable, ReadTransaction};

use super::rows::{Fault, RefreshRow, TokenRow, UserRow, parsed};
use super::tables::{CURRENT, DETAILS, FAMILIES, REFRESH, TOKENS, USERS, json, live};

/// The number of sessions that one part of a survey looks at.
const SURVEYED: u32 = 500;

/// The tables of a reading transaction.
pub(super) struct View {
    tokens: ReadOnlyTable<(u8, &'static str), &'static [u8]>,
    details: ReadOnlyTable<&'static str, &'static [u8]>,
    families: ReadOnlyTable<&'static str, &'static str>,
    current: ReadOnlyTable<(&'static str, &'static str), &'static str>,
    users: ReadOnlyTable<&'static str, &'static [u8]>,
}

impl View {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, Fault> {
        Ok(Self {
            tokens: transaction.open_table(TOKENS)?,
            details: transaction.open_table(DETAILS)?,
            families: transaction.open_table(FAMILIES)?,
            current: transaction.open_table(CURRENT)?,
            users: transaction.open_table(USERS)?,
        })
    }

    pub(super) fn live(&self, kind: u8, token: &str) -> Result<Option<TokenRow>, Fault> {
        live(&self.tokens, &self.users, kind, token)
    }

    pub(super) fn user(&self, user: &str) -> Result<UserRow, Fault> {
        Ok(json(&self.users, user)?.unwrap_or_default())
    }

    pub(super) fn refresh(&self, token: &str) -> Result<Option<RefreshRecord>, Fault> {
        let found = self.with_details(token)?;
        found
            .map(|(row, details)| details.record(token, &row))
            .transpose()
    }

    pub(super) fn family(&self, family: &str) -> Result<Option<RefreshRecord>, Fault> {
        match self.families.get(family)? {
            Some(token) => self.refresh(token.value()),
            None => Ok(None),
        }
    }

    pub(super) fn session(
        &self,
        user: &str,
        session: &str,
    ) -> Result<Option<SessionRecord>, Fault> {
        match self.current.get((user, session))? {
            Some(token) => self.session_of(token.value()),
            None => Ok(None),
        }
    }

    /// Returns a part of the list, in the order of the sessions' ids. The cursor is such an id.
    pub(super) fn sessions(&self, user: &str, page: &Page) -> Result<SessionPage, Fault> {
        let after = page
            .after
            .as_ref()
            .map(|after| after.as_str().parse::<SessionId>());
        let start = match after {
            None => String::new(),
            Some(Ok(after)) => after.to_string(),
            // A cursor that this store didn't make.
            Some(Err(_)) => return Ok(SessionPage::default()),
        };

        let (start, stop) = (
            Bound::Excluded((user, &*start)),
            Bound::Excluded((user, "~")),
        );
        let limit = usize::try_from(page.limit.max(1)).unwrap_or(usize::MAX);
        let mut answer = SessionPage::default();
        let mut last = None;

        for (index, found) in self
            .current
            .range::<(&str, &str)>((start, stop))?
            .enumerate()
        {
            if index == limit {
                answer.next = parsed::<SessionCursor>(last.as_deref())?;
                break;
            }

            let (key, token) = found?;
            last = Some(key.value().1.to_owned());
            // Sessions that were ended may still be in the list: the page is shorter then.
            answer.sessions.extend(self.session_of(token.value())?);
        }

        Ok(answer)
    }

    /// Counts the sessions of a part of the list that can be refreshed.
    pub(super) fn survey(
        &self,
        user: &str,
        limit: &SweepLimit,
        after: Option<SessionCursor>,
    ) -> Result<UserSurvey, Fault> {
        let page = self.sessions(
            user,
            &Page {
                after,
                limit: SURVEYED,
            },
        )?;

        let mut survey = UserSurvey::default();
        survey.next = page.next;
        for session in page
            .sessions
            .iter()
            .filter(|session| can_be_refreshed(session, limit))
        {
            survey.sessions = survey.sessions.saturating_add(1);
            survey.access_expires_at = survey.access_expires_at.max(session.access_expires_at);
        }
        Ok(survey)
    }

    fn session_of(&self, token: &str) -> Result<Option<SessionRecord>, Fault> {
        match self.with_details(token)? {
            Some((row, details)) => details.session_record(token, &row),
            None => Ok(None),
        }
    }

    fn with_details(&self, token: &str) -> Result<Option<(TokenRow, RefreshRow)>, Fault> {
        let Some(row) = self.live(REFRESH, token)? else {
            return Ok(None);
        };
        Ok(json(&self.details, token)?.map(|details| (row, details)))
    }
}

fn can_be_refreshed(session: &SessionRecord, limit: &SweepLimit) -> bool {
    let issued = session
        .refreshed_at
        .unwrap_or(Timestamp::from_micros(i64::MIN));
    session
        .expires_at
        .map_or(issued > limit.refresh_created, |end| end > limit.now)
}
