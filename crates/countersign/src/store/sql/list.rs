//! Lists of a user's sessions, a page at a time. A statement of the list looks at a bounded number of rows; one of the
//! sessions behind no fence looks at those alone.

use super::store::SqlStore;
use crate::answer::SessionId;
use crate::client::Client;
use crate::error::Failure;
use crate::store::sql::Driver;
use crate::store::{Consumed, Fence, Page, SessionPage, SessionRecord};
use crate::token::Digest;
use crate::user::UserKey;
use crate::value::Row;

/// Rows beyond the page that its first statement looks at, for those that have ended and aren't removed yet.
const MARGIN: i64 = 100;

/// Rows that each further statement of a page looks at, where the earlier ones found nothing live.
const LOOKED_AT: i64 = 2000;

/// The most statements of a page. What these didn't reach follows on the next page.
const STATEMENTS: usize = 10;

/// The column that says whether a row is live, after those of a session.
const LIVE: usize = 13;
/// The column of the last row that says how many were looked at.
const COUNT: usize = 14;

impl<D: Driver> SqlStore<D> {
    /// Returns the sessions from where `page` begins, up to its limit; fewer, or none, where many rows are left of sessions that
    /// have ended.
    pub(super) async fn page(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let Some(mut after) = begin(page) else { return Ok(SessionPage::default()) };
        let limit = limit(page);
        let mut looked_at = limit.saturating_add(MARGIN);
        let mut found = SessionPage::default();
        for _ in 0..STATEMENTS {
            let params = [self.key(user)?, after.as_str().into(), limit.into(), looked_at.into()];
            let rows = self.driver.fetch(&self.statements.sessions, &params).await?;
            found = live(&rows, page.limit, looked_at);
            match &found.next {
                Some(next) if found.sessions.is_empty() => next.as_str().clone_into(&mut after),
                _ => break,
            }
            looked_at = LOOKED_AT;
        }
        Ok(found)
    }

    /// Returns a page of the sessions that were recorded behind no fence.
    pub(super) async fn unfenced_page(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let Some(after) = begin(page) else { return Ok(SessionPage::default()) };
        let params = [self.key(user)?, after.into(), limit(page).into()];
        let rows = self.driver.fetch(&self.statements.unfenced_sessions, &params).await?;
        Ok(SessionPage::of_ordered(rows.iter().filter_map(session_record).collect(), page.limit))
    }
}

/// Returns the id that the page's sessions come after; `None` for a cursor that isn't one of this store's.
fn begin(page: &Page) -> Option<String> {
    match &page.after {
        None => Some(String::new()),
        Some(after) => after.as_str().parse::<SessionId>().ok().map(|after| after.to_string()),
    }
}

/// Returns one more than the page asks for, which tells whether there are more.
fn limit(page: &Page) -> i64 {
    i64::from(page.limit.max(1)).saturating_add(1)
}

/// Returns the live sessions of some rows. The list goes on after the last of these, which the last row names, when they were
/// as many as could be looked at.
fn live(rows: &[Row], limit: u32, looked_at: i64) -> SessionPage {
    let number = |row: &Row, column| row.int(column).ok().flatten();
    let sessions = rows.iter().filter(|row| number(row, LIVE) == Some(1)).filter_map(session_record).collect();
    let mut page = SessionPage::of_ordered(sessions, limit);
    let last = rows.last().filter(|row| number(row, COUNT) >= Some(looked_at));
    if let (None, Some(last)) = (&page.next, last) {
        page.next = last.text(0).ok().flatten().and_then(|last| last.parse().ok());
    }
    page
}

/// Returns the session in a row of the refresh tokens' table; `None` where its id isn't one.
pub(super) fn session_record(row: &Row) -> Option<SessionRecord> {
    let moment = |column| row.time(column).ok().flatten();
    let text = |column| row.text(column).ok().flatten();
    let mut client = Client::new().with_user_agent(text(6).unwrap_or_default()).with_label(text(8).unwrap_or_default());
    if let Some(ip) = text(7).and_then(|ip| ip.parse().ok()) {
        client = client.with_ip(ip);
    }
    Some(SessionRecord {
        id: SessionId::canonical(text(0)?)?,
        opened_at: moment(1),
        refreshed_at: moment(2),
        used_at: moment(3),
        expires_at: moment(4),
        session_expires_at: moment(5),
        access_expires_at: moment(9),
        current: text(10).and_then(Digest::parse),
        consumed: text(11).and_then(Consumed::parse).unwrap_or_default(),
        fence: text(12).and_then(Fence::parse),
        client,
    })
}
