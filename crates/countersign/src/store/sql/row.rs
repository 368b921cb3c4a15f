//! The rows of sessions.

use crate::session::{Client, SessionId};
use crate::store::{Consumed, Fence, SessionRecord};
use crate::token::Digest;
use crate::value::Row;

/// Returns the session in a row of the refresh tokens' table, or `None` if its id can't be read.
pub(super) fn session_record(row: &Row) -> Option<SessionRecord> {
    let moment = |column| row.time(column).ok().flatten();
    let text = |column| row.text(column).ok().flatten();
    let mut client = Client::new()
        .with_user_agent(text(6).unwrap_or_default())
        .with_label(text(8).unwrap_or_default());
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
