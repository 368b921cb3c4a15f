//! Refresh tokens, one at a time, and with the access token that is issued beside them.

use crate::store::{NewAccess, NewRefresh, Rotated};
use crate::testing::tokens::ground::{Ground, NOW, TICK, minutes, session};
use crate::testing::violation::{Verdict, ensure, same};

/// Every field comes back, to the microsecond, and "none" as none.
pub(super) async fn is_found_as_recorded(ground: Ground) -> Verdict {
    let full = NewRefresh {
        user: ground.stranger().clone(),
        created_at: NOW.saturating_add(TICK),
        session_expires_at: Some(minutes(60 * 24 * 366 * 100)),
        access_expires_at: Some(minutes(60).saturating_add(TICK)),
        ..ground.opening("full", session(1)?)
    };
    let plain = ground.refresh("plain");
    let aging = NewRefresh { expires_at: None, ..ground.refresh("aging") };
    for refresh in [&full, &plain, &aging] {
        ground.open(refresh, None).await?;
    }
    for refresh in [&full, &plain, &aging] {
        ground.holds_refresh(refresh).await?;
    }
    Ok(())
}

pub(super) async fn unknown_is_a_value(ground: Ground) -> Verdict {
    ensure(!ground.has_refresh("unknown").await?, "an empty store found a refresh token")?;
    ground.open(&ground.refresh("known"), None).await?;
    ensure(!ground.has_refresh("unknown").await?, "a token that was never recorded was found")?;
    let removed = ground.store.remove_refresh(&ground.token("unknown"), None).await?;
    ensure(!removed, "removing an unknown token said that it was there")?;
    ground.holds_refresh(&ground.refresh("known")).await
}

/// Reads never judge and never write: what ended long ago is found, again and again.
pub(super) async fn expired_is_returned_as_it_is(ground: Ground) -> Verdict {
    let created_at = NOW.saturating_sub(std::time::Duration::from_hours(438_000));
    let expired = NewRefresh {
        created_at,
        expires_at: Some(created_at),
        session_expires_at: Some(created_at),
        ..ground.opening("expired", session(1)?)
    };
    ground.open(&expired, None).await?;
    for _ in 0..3 {
        ground.holds_refresh(&expired).await?;
        ground.store.ping().await?;
    }
    Ok(())
}

pub(super) async fn comes_with_its_access(ground: Ground) -> Verdict {
    let session = session(1)?;
    let refresh = ground.opening("refresh", session);
    let access = NewAccess { session: Some(session), ..ground.access("access") };
    ground.open(&refresh, Some(&access)).await?;
    ground.holds_refresh(&refresh).await?;
    ground.holds_access(&access).await
}

/// A record is never overwritten, and the access token beside the refused one isn't recorded either.
pub(super) async fn taken_digest_is_refused(ground: Ground) -> Verdict {
    let first = ground.refresh("taken");
    ground.open(&first, None).await?;
    let second = NewRefresh { user: ground.stranger().clone(), ..ground.opening("taken", session(1)?) };
    let again = ground.open(&second, Some(&ground.access("beside"))).await;
    ensure(again.is_err(), "a digest was recorded twice")?;
    ground.holds_refresh(&first).await?;
    ensure(!ground.has_access("beside").await?, "the access token beside a refused refresh token was recorded")
}

pub(super) async fn taken_access_digest_records_nothing(ground: Ground) -> Verdict {
    let first = ground.access("taken");
    ground.record(&first).await?;
    let beside = NewAccess { user: ground.stranger().clone(), ..ground.access("taken") };
    let outcome = ground.open(&ground.refresh("refresh"), Some(&beside)).await;
    ensure(outcome.is_err(), "a digest was recorded twice")?;
    ground.holds_access(&first).await?;
    ensure(!ground.has_refresh("refresh").await?, "a refresh token was recorded although its access token was not")
}

/// One digest may stand for an access token and for a refresh token, and neither is taken for the other.
pub(super) async fn kinds_do_not_mix(ground: Ground) -> Verdict {
    let (access, refresh) = (ground.access("access"), ground.refresh("refresh"));
    ground.record(&access).await?;
    ground.open(&refresh, None).await?;
    ensure(!ground.has_refresh("access").await?, "an access token is found as a refresh token")?;
    ensure(!ground.has_access("refresh").await?, "a refresh token is found as an access token")?;
    let (access_token, refresh_token) = (ground.token("access"), ground.token("refresh"));
    let removed = ground.store.remove_refresh(&access_token, None).await?;
    ensure(!removed, "an access token is removed as a refresh token")?;
    let removed = ground.store.remove_access(&refresh_token, None).await?;
    ensure(!removed, "a refresh token is removed as an access token")?;
    let rotated = ground.store.rotate(&ground.rotate("access", "next", session(1)?)).await?;
    same("rotating an access token", &rotated, &Rotated::Gone)?;
    ground.holds_access(&access).await?;
    ground.holds_refresh(&refresh).await?;
    let twin = ground.refresh("access");
    ground.open(&twin, None).await?;
    same("removing the access token of a pair", &ground.store.remove_access(&access_token, None).await?, &true)?;
    ground.holds_refresh(&twin).await
}

/// Rows of the original have no session; they can be removed alone, by their owner.
pub(super) async fn removal_without_session(ground: Ground) -> Verdict {
    for label in ["one", "two"] {
        ground.open(&ground.refresh(label), None).await?;
    }
    let one = ground.token("one");
    let by_stranger = ground.store.remove_refresh(&one, Some(ground.stranger())).await?;
    ensure(!by_stranger && ground.has_refresh("one").await?, "another user removed the token")?;
    same("removal by the owner", &ground.store.remove_refresh(&one, Some(ground.owner())).await?, &true)?;
    ensure(!ground.has_refresh("one").await?, "a removed token is still found")?;
    same("removing it again", &ground.store.remove_refresh(&one, None).await?, &false)?;
    ground.holds_refresh(&ground.refresh("two")).await?;
    same("removal without an owner", &ground.store.remove_refresh(&ground.token("two"), None).await?, &true)
}

/// A session ends as a whole: its refresh token isn't removed alone, with its access tokens left behind.
pub(super) async fn removal_leaves_sessions_alone(ground: Ground) -> Verdict {
    let refresh = ground.opening("refresh", session(1)?);
    ground.open(&refresh, None).await?;
    let removed = ground.store.remove_refresh(&ground.token("refresh"), Some(ground.owner())).await?;
    ensure(!removed, "the refresh token of a session was removed alone")?;
    ground.holds_refresh(&refresh).await
}
