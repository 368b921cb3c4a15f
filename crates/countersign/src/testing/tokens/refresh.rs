//! Clauses about refresh tokens, one at a time, and about the access token that is issued with one.
//!
//! They cover [`insert_refresh`](crate::store::TokenStore::insert_refresh),
//! [`find_refresh`](crate::store::TokenStore::find_refresh) and
//! [`remove_refresh`](crate::store::TokenStore::remove_refresh).

use crate::store::{NewAccess, NewRefresh, RotateOutcome};
use crate::testing::tokens::fixture::{Fixture, NOW, TICK, minutes, session};
use crate::testing::violation::{Verdict, ensure, same};

/// Checks that a refresh token is found with every field as it was recorded.
///
/// Times must come back to the microsecond, those of the session and of its signed access tokens
/// included. `None` must come back as `None`.
pub(super) async fn is_found_as_recorded(fixture: Fixture) -> Verdict {
    let full = NewRefresh {
        user: fixture.stranger().clone(),
        created_at: NOW.saturating_add(TICK),
        session_expires_at: Some(minutes(60 * 24 * 366 * 100)),
        access_expires_at: Some(minutes(60).saturating_add(TICK)),
        ..fixture.opening("full", session(1)?)
    };
    let plain = fixture.refresh("plain");
    let aging = NewRefresh {
        expires_at: None,
        ..fixture.refresh("aging")
    };

    for refresh in [&full, &plain, &aging] {
        fixture.open(refresh, None).await?;
    }
    for refresh in [&full, &plain, &aging] {
        fixture.holds_refresh(refresh).await?;
    }
    Ok(())
}

/// Checks that an unknown token is answered with `None` by a look-up and with `false` by a removal.
///
/// An error means that the store could not be asked, so an unknown token must never be an error.
pub(super) async fn unknown_is_a_value(fixture: Fixture) -> Verdict {
    ensure(
        !fixture.has_refresh("unknown").await?,
        "an empty store found a refresh token",
    )?;
    fixture.open(&fixture.refresh("known"), None).await?;
    ensure(
        !fixture.has_refresh("unknown").await?,
        "a token that was never recorded was found",
    )?;

    let removed = fixture
        .store
        .remove_refresh(&fixture.token("unknown"), None)
        .await?;
    ensure(!removed, "removing an unknown token said that it was there")?;
    fixture.holds_refresh(&fixture.refresh("known")).await
}

/// Checks that an expired token is found as it was recorded, every time.
///
/// The strategy compares times, not the store, and a read never writes: it must not remove what has
/// expired.
pub(super) async fn expired_is_returned_as_it_is(fixture: Fixture) -> Verdict {
    let created_at = NOW.saturating_sub(std::time::Duration::from_hours(438_000));
    let expired = NewRefresh {
        created_at,
        expires_at: Some(created_at),
        session_expires_at: Some(created_at),
        ..fixture.opening("expired", session(1)?)
    };
    fixture.open(&expired, None).await?;

    for _ in 0..3 {
        fixture.holds_refresh(&expired).await?;
        fixture.store.ping().await?;
    }
    Ok(())
}

/// Checks that a refresh token and the access token issued with it are both recorded.
///
/// A login hands out both, so both must be valid when the call returns.
pub(super) async fn comes_with_its_access(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    let refresh = fixture.opening("refresh", session);
    let access = NewAccess {
        session: Some(session),
        ..fixture.access("access")
    };
    fixture.open(&refresh, Some(&access)).await?;
    fixture.holds_refresh(&refresh).await?;
    fixture.holds_access(&access).await
}

/// Checks that a digest which is recorded already is refused with an error, and the record stays as
/// it is.
///
/// Both tokens of the call are one atomic step: the access token of the refused call must not be
/// recorded.
pub(super) async fn taken_digest_is_refused(fixture: Fixture) -> Verdict {
    let first = fixture.refresh("taken");
    fixture.open(&first, None).await?;
    let second = NewRefresh {
        user: fixture.stranger().clone(),
        ..fixture.opening("taken", session(1)?)
    };
    let again = fixture.open(&second, Some(&fixture.access("beside"))).await;
    ensure(again.is_err(), "a digest was recorded twice")?;

    fixture.holds_refresh(&first).await?;
    ensure(
        !fixture.has_access("beside").await?,
        "the access token beside a refused refresh token was recorded",
    )
}

/// Checks that a refresh token is not recorded if the access token issued with it is refused.
///
/// Otherwise the caller gets an error for a session that exists.
pub(super) async fn taken_access_digest_records_nothing(fixture: Fixture) -> Verdict {
    let first = fixture.access("taken");
    fixture.record(&first).await?;
    let beside = NewAccess {
        user: fixture.stranger().clone(),
        ..fixture.access("taken")
    };
    let outcome = fixture
        .open(&fixture.refresh("refresh"), Some(&beside))
        .await;
    ensure(outcome.is_err(), "a digest was recorded twice")?;

    fixture.holds_access(&first).await?;
    ensure(
        !fixture.has_refresh("refresh").await?,
        "a refresh token was recorded although its access token was not",
    )
}

/// Checks that access tokens and refresh tokens are separate, also if both have the same digest.
///
/// No method for one kind may find, remove or rotate a token of the other. Otherwise an access
/// token could be exchanged for a new session.
pub(super) async fn kinds_do_not_mix(fixture: Fixture) -> Verdict {
    let (access, refresh) = (fixture.access("access"), fixture.refresh("refresh"));
    fixture.record(&access).await?;
    fixture.open(&refresh, None).await?;
    ensure(
        !fixture.has_refresh("access").await?,
        "an access token is found as a refresh token",
    )?;
    ensure(
        !fixture.has_access("refresh").await?,
        "a refresh token is found as an access token",
    )?;

    let (access_token, refresh_token) = (fixture.token("access"), fixture.token("refresh"));
    let removed = fixture.store.remove_refresh(&access_token, None).await?;
    ensure(!removed, "an access token is removed as a refresh token")?;
    let removed = fixture.store.remove_access(&refresh_token, None).await?;
    ensure(!removed, "a refresh token is removed as an access token")?;
    let rotated = fixture
        .store
        .rotate(&fixture.rotate("access", "next", session(1)?))
        .await?;
    same("rotating an access token", &rotated, &RotateOutcome::Gone)?;
    fixture.holds_access(&access).await?;
    fixture.holds_refresh(&refresh).await?;
    let twin = fixture.refresh("access");
    fixture.open(&twin, None).await?;
    same(
        "removing the access token of a pair",
        &fixture.store.remove_access(&access_token, None).await?,
        &true,
    )?;
    fixture.holds_refresh(&twin).await
}

/// Checks that a refresh token without a session can be removed alone, once, and by its owner only.
///
/// Rows that litestar-auth wrote have no session. Logging out such a token removes only its row.
pub(super) async fn removal_without_session(fixture: Fixture) -> Verdict {
    for label in ["one", "two"] {
        fixture.open(&fixture.refresh(label), None).await?;
    }

    let one = fixture.token("one");
    let by_stranger = fixture
        .store
        .remove_refresh(&one, Some(fixture.stranger()))
        .await?;
    ensure(
        !by_stranger && fixture.has_refresh("one").await?,
        "another user removed the token",
    )?;
    same(
        "removal by the owner",
        &fixture
            .store
            .remove_refresh(&one, Some(fixture.owner()))
            .await?,
        &true,
    )?;
    ensure(
        !fixture.has_refresh("one").await?,
        "a removed token is still found",
    )?;
    same(
        "removing it again",
        &fixture.store.remove_refresh(&one, None).await?,
        &false,
    )?;

    fixture.holds_refresh(&fixture.refresh("two")).await?;
    same(
        "removal without an owner",
        &fixture
            .store
            .remove_refresh(&fixture.token("two"), None)
            .await?,
        &true,
    )
}

/// Checks that `remove_refresh` does not remove the refresh token of a session.
///
/// A session ends as a whole. If its refresh token were removed alone, its access tokens would live
/// on and no list would show them.
pub(super) async fn removal_leaves_sessions_alone(fixture: Fixture) -> Verdict {
    let refresh = fixture.opening("refresh", session(1)?);
    fixture.open(&refresh, None).await?;
    let removed = fixture
        .store
        .remove_refresh(&fixture.token("refresh"), Some(fixture.owner()))
        .await?;
    ensure(!removed, "the refresh token of a session was removed alone")?;
    fixture.holds_refresh(&refresh).await
}
