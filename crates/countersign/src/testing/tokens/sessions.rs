//! What belongs to a session, and lists of sessions.

use std::collections::BTreeSet;

use crate::answer::SessionId;
use crate::store::{NewAccess, NewRefresh, Page, Rotated};
use crate::testing::tokens::ground::{Ground, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Every token of the session goes, those issued before a rotation too, and no other.
pub(super) async fn end_takes_every_token(ground: Ground) -> Verdict {
    let (mine, other) = (session(1)?, session(2)?);
    let of = |session, label: &str| NewAccess { session: Some(session), ..ground.access(label) };
    ground.store.insert_refresh(&ground.opening("old", mine), Some(&of(mine, "first"))).await?;
    same("rotating", &ground.store.rotate(&ground.rotate("old", "new", mine)).await?, &Rotated::Done)?;
    let (others, none, loose) = (of(other, "other"), ground.access("none"), ground.refresh("loose"));
    ground.store.insert_refresh(&ground.opening("others", other), Some(&others)).await?;
    ground.store.insert_access(&none).await?;
    ground.store.insert_refresh(&loose, None).await?;

    same("ending a session", &ground.store.end_session(mine, ground.owner()).await?, &true)?;
    ensure(!ground.has_refresh("new").await?, "a refresh token survived the end of its session")?;
    for label in ["first", "new"] {
        ensure(!ground.has_access(label).await?, "an access token survived the end of its session")?;
    }
    ground.holds_access(&others).await?;
    ground.holds_access(&none).await?;
    ground.holds_refresh(&loose).await?;
    ground.holds_refresh(&ground.opening("others", other)).await?;
    same("ending it again", &ground.store.end_session(mine, ground.owner()).await?, &false)?;
    let gone = ground.store.rotate(&ground.rotate("new", "newer", mine)).await?;
    same("rotating a token of an ended session", &gone, &Rotated::Gone)
}

pub(super) async fn end_asks_for_the_owner(ground: Ground) -> Verdict {
    let mine = session(1)?;
    let refresh = ground.opening("refresh", mine);
    let access = NewAccess { session: Some(mine), ..ground.access("access") };
    ground.store.insert_refresh(&refresh, Some(&access)).await?;
    same("ending another user's session", &ground.store.end_session(mine, ground.stranger()).await?, &false)?;
    ground.holds_refresh(&refresh).await?;
    ground.holds_access(&access).await?;
    same("ending one's own", &ground.store.end_session(mine, ground.owner()).await?, &true)?;
    ensure(!ground.has_access("access").await?, "an access token survived the end of its session")
}

pub(super) async fn unknown_session_is_a_value(ground: Ground) -> Verdict {
    let refresh = ground.opening("refresh", session(1)?);
    ground.store.insert_refresh(&refresh, None).await?;
    same("ending an unknown session", &ground.store.end_session(session(2)?, ground.owner()).await?, &false)?;
    same("sessions of a user without any", &all(&ground, ground.stranger().clone()).await?, &Vec::new())?;
    ground.holds_refresh(&refresh).await
}

/// A session with access tokens alone can't be continued, and isn't listed; nor is a token without session.
pub(super) async fn list_those_with_a_refresh_token(ground: Ground) -> Verdict {
    let (mine, theirs, access_only) = (session(1)?, session(2)?, session(3)?);
    let foreign = NewRefresh { user: ground.stranger().clone(), ..ground.opening("foreign", theirs) };
    let alone = NewAccess { session: Some(access_only), ..ground.access("alone") };
    ground.store.insert_refresh(&ground.opening("old", mine), None).await?;
    ground.store.insert_refresh(&foreign, None).await?;
    ground.store.insert_refresh(&ground.refresh("loose"), None).await?;
    ground.store.insert_access(&alone).await?;
    same("the user's sessions", &all(&ground, ground.owner().clone()).await?, &vec![mine])?;
    ground.store.rotate(&ground.rotate("old", "new", mine)).await?;
    same("the user's sessions after a rotation", &all(&ground, ground.owner().clone()).await?, &vec![mine])?;
    ground.store.end_session(mine, ground.owner()).await?;
    same("the user's sessions after a logout", &all(&ground, ground.owner().clone()).await?, &Vec::new())
}

/// Pages are ordered by id, as long as asked for, and complete.
pub(super) async fn come_in_ordered_pages(ground: Ground) -> Verdict {
    let numbers = [0x90, 0x05, 0xff, 0x42, 0x11, 0x7f, 0x80];
    let mut expected = BTreeSet::new();
    for number in numbers {
        let session = session(number)?;
        ground.store.insert_refresh(&ground.opening(&format!("token {number}"), session), None).await?;
        expected.insert(session);
    }
    let mut seen: Vec<SessionId> = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let page = Page { after: seen.last().copied(), limit: 3 };
        let sessions = ground.store.sessions(ground.owner(), page).await?;
        sizes.push(sessions.len());
        seen.extend(sessions);
    }
    same("the sizes of pages of 3", &sizes, &vec![3, 3, 1, 0])?;
    same("the sessions on all pages", &seen, &expected.iter().copied().collect())?;
    let none = ground.store.sessions(ground.owner(), Page { after: None, limit: 0 }).await?;
    ensure(none.is_empty(), "a page of none has some")?;
    let after = Page { after: Some(session(0x20)?), limit: 100 };
    let later = ground.store.sessions(ground.owner(), after).await?.len();
    same("sessions after an id that isn't there", &later, &5)?;
    same("all of them on one page", &all(&ground, ground.owner().clone()).await?.len(), &numbers.len())
}

async fn all(ground: &Ground, user: crate::user::UserKey) -> Result<Vec<SessionId>, Violation> {
    Ok(ground.store.sessions(&user, Page { after: None, limit: u32::MAX }).await?)
}
