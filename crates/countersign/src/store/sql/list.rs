//! Lists of a user's sessions, a page at a time, by session id.
//!
//! Rows of ended sessions stay in the table until they are removed, so a page may have to read more
//! rows than it returns. Each statement reads a bounded number of rows, and a page takes at most
//! [`STATEMENTS`] of them. A page may therefore be short, or empty, although more follow.
//!
//! Sessions without a fence have an index of their own, so their list reads no other rows.

use super::store::SqlStore;
use crate::error::Failure;
use crate::session::SessionId;
use crate::store::sql::Driver;
use crate::store::sql::rows::{int, session_record};
use crate::store::{Page, SessionPage};
use crate::user::UserKey;
use crate::value::Row;

/// The number of rows beyond the page's limit that its first statement reads, to make up for ended
/// sessions.
const MARGIN: i64 = 100;

/// The number of rows that each further statement of a page reads.
const LOOKED_AT: i64 = 2000;

/// The largest number of statements for one page. The next page continues where they ended.
const STATEMENTS: usize = 10;

/// The column that tells whether a row is live. It follows the columns of a session.
const LIVE: usize = 14;
/// The column with the number of rows that were read. It is set in the last row only.
const COUNT: usize = 15;

impl<D: Driver> SqlStore<D> {
    /// Returns the sessions after the cursor of `page`, up to its limit. There may be fewer, or
    /// none, although more follow.
    pub(super) async fn page(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let Some(mut after) = begin(page) else {
            return Ok(SessionPage::default());
        };
        let limit = limit(page);
        let mut looked_at = limit.saturating_add(MARGIN);
        let mut found = SessionPage::default();

        for _ in 0..STATEMENTS {
            let params = [
                self.key(user)?,
                after.as_str().into(),
                limit.into(),
                looked_at.into(),
            ];
            let rows = self
                .driver
                .fetch(&self.statements.sessions, &params)
                .await?;
            found = live(&rows, page.limit, looked_at);

            // An empty part with a cursor means that all its rows had ended: go on behind them.
            match &found.next {
                Some(next) if found.sessions.is_empty() => next.as_str().clone_into(&mut after),
                _ => break,
            }
            looked_at = LOOKED_AT;
        }
        Ok(found)
    }

    /// Returns a page of the sessions that were recorded without a fence.
    pub(super) async fn unfenced_page(
        &self,
        user: &UserKey,
        page: &Page,
    ) -> Result<SessionPage, Failure> {
        let Some(after) = begin(page) else {
            return Ok(SessionPage::default());
        };
        let params = [self.key(user)?, after.into(), limit(page).into()];
        let rows = self
            .driver
            .fetch(&self.statements.unfenced_sessions, &params)
            .await?;

        Ok(SessionPage::of_ordered(
            rows.iter().filter_map(session_record).collect(),
            page.limit,
        ))
    }
}

/// Returns the session id that the page begins after, or `None` if the cursor isn't one of this
/// store.
fn begin(page: &Page) -> Option<String> {
    match &page.after {
        None => Some(String::new()),
        Some(after) => after
            .as_str()
            .parse::<SessionId>()
            .ok()
            .map(|after| after.to_string()),
    }
}

/// Returns one more than the page's limit. The additional row tells that more follow.
fn limit(page: &Page) -> i64 {
    i64::from(page.limit.max(1)).saturating_add(1)
}

/// Returns the live sessions of some rows as a page.
///
/// If the limit cut nothing off but as many rows were read as could be, the page's cursor is the
/// last row's id: the rows behind it weren't read.
fn live(rows: &[Row], limit: u32, looked_at: i64) -> SessionPage {
    let sessions = rows
        .iter()
        .filter(|row| int(row, LIVE) == Some(1))
        .filter_map(session_record)
        .collect();
    let mut page = SessionPage::of_ordered(sessions, limit);

    let last = rows.last().filter(|row| int(row, COUNT) >= Some(looked_at));
    if let (None, Some(last)) = (&page.next, last) {
        page.next = last
            .text(0)
            .ok()
            .flatten()
            .and_then(|last| last.parse().ok());
    }
    page
}
