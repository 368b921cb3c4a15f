//! Clauses about access tokens, one at a time.
//!
//! They cover [`insert_access`](crate::store::TokenStore::insert_access),
//! [`find_access`](crate::store::TokenStore::find_access) and
//! [`remove_access`](crate::store::TokenStore::remove_access).

use crate::store::NewAccess;
use crate::testing::tokens::fixture::{Fixture, NOW, TICK, minutes, session};
use crate::testing::violation::{Verdict, ensure, same};
use crate::token::{PlainToken, StoredToken};

/// Checks that an access token is found with every field as it was recorded.
///
/// Times must come back to the microsecond, a time a hundred years ahead included. `None` must come
/// back as `None`: a token without an end ages by `created_at`, and a token without a session
/// belongs to none.
pub(super) async fn is_found_as_recorded(fixture: Fixture) -> Verdict {
    let plain = fixture.access("plain");
    let full = NewAccess {
        user: fixture.stranger().clone(),
        session: Some(session(1)?),
        created_at: NOW.saturating_add(TICK),
        expires_at: Some(minutes(60 * 24 * 366 * 100)),
        ..fixture.access("full")
    };
    let aging = NewAccess {
        expires_at: None,
        ..fixture.access("aging")
    };

    for access in [&plain, &full, &aging] {
        fixture.record(access).await?;
    }
    for access in [&plain, &full, &aging] {
        fixture.holds_access(access).await?;
    }
    Ok(())
}

/// Checks that an unknown token is answered with `None` by a look-up and with `false` by a removal.
///
/// An error means that the store could not be asked. Callers answer it with 503 instead of 401, so
/// an unknown token must never be an error. The known token must not be touched.
pub(super) async fn unknown_is_a_value(fixture: Fixture) -> Verdict {
    ensure(
        !fixture.has_access("unknown").await?,
        "an empty store found an access token",
    )?;
    fixture.record(&fixture.access("known")).await?;
    ensure(
        !fixture.has_access("unknown").await?,
        "a token that was never recorded was found",
    )?;

    let removed = fixture
        .store
        .remove_access(&fixture.token("unknown"), None)
        .await?;
    ensure(!removed, "removing an unknown token said that it was there")?;
    fixture.holds_access(&fixture.access("known")).await
}

/// Checks that an expired token is found as it was recorded, every time.
///
/// The strategy compares times, not the store, and a read never writes: it must not remove what has
/// expired.
pub(super) async fn expired_is_returned_as_it_is(fixture: Fixture) -> Verdict {
    let created_at = NOW.saturating_sub(std::time::Duration::from_hours(438_000));
    let expired = NewAccess {
        created_at,
        expires_at: Some(created_at),
        ..fixture.access("expired")
    };
    fixture.record(&expired).await?;
    for _ in 0..3 {
        fixture.holds_access(&expired).await?;
        fixture.store.ping().await?;
    }
    Ok(())
}

/// Checks that a removal deletes the given token alone, and returns `true` the first time and
/// `false` afterwards.
///
/// The number of rows that the deletion touched is the answer. A logout reports from it if it ended
/// anything.
pub(super) async fn is_removed_once(fixture: Fixture) -> Verdict {
    for label in ["one", "two"] {
        fixture.record(&fixture.access(label)).await?;
    }

    let one = fixture.token("one");
    same(
        "removing a token",
        &fixture.store.remove_access(&one, None).await?,
        &true,
    )?;
    ensure(
        !fixture.has_access("one").await?,
        "a removed token is still found",
    )?;
    same(
        "removing it again",
        &fixture.store.remove_access(&one, None).await?,
        &false,
    )?;
    fixture.holds_access(&fixture.access("two")).await
}

/// Checks that a removal with an owner deletes the token only if it belongs to that user.
///
/// The owner must be a condition of the deletion. A caller that presents another user's token must
/// not log that user out.
pub(super) async fn removal_asks_for_the_owner(fixture: Fixture) -> Verdict {
    let access = fixture.access("mine");
    fixture.record(&access).await?;
    let mine = fixture.token("mine");
    let by_stranger = fixture
        .store
        .remove_access(&mine, Some(fixture.stranger()))
        .await?;
    ensure(!by_stranger, "another user removed the token")?;
    fixture.holds_access(&access).await?;

    let by_owner = fixture
        .store
        .remove_access(&mine, Some(fixture.owner()))
        .await?;
    ensure(
        by_owner && !fixture.has_access("mine").await?,
        "the owner could not remove the token",
    )
}

/// Checks that a digest which is recorded already is refused with an error, and the record stays as
/// it is.
///
/// An insertion that overwrites would give one token another user or a later end.
pub(super) async fn taken_digest_is_refused(fixture: Fixture) -> Verdict {
    let first = fixture.access("taken");
    fixture.record(&first).await?;
    let second = NewAccess {
        user: fixture.stranger().clone(),
        session: Some(session(1)?),
        created_at: minutes(1),
        expires_at: None,
        ..first.clone()
    };
    let again = fixture.store.insert_access(&second).await;
    ensure(again.is_err(), "a digest was recorded twice")?;
    fixture.holds_access(&first).await
}

/// Checks that tokens are compared byte by byte, and that any text may be looked up.
///
/// A store must not fold case or accents, trim spaces, or treat any character as a wildcard or as
/// part of a query. A text of any length is an unknown token and not an error: it comes from the
/// client.
pub(super) async fn other_spellings_are_unknown(fixture: Fixture) -> Verdict {
    let access = fixture.access("known");
    let refresh = fixture.refresh("known");
    fixture.record(&access).await?;
    fixture.open(&refresh, None).await?;
    let digits = access.digest.as_str().to_owned();
    let near = [
        digits.to_uppercase(),
        format!("{digits} "),
        format!(" {digits}"),
        digits.replace('a', "á"),
    ];
    let odd = [
        "%",
        "_",
        "*",
        "' OR '1'='1",
        "\"",
        "\\",
        "$1",
        "?1",
        "a\nb",
        "漢字🔑",
    ]
    .map(str::to_owned);
    let long = ["x".repeat(255), "_".repeat(64), "€".repeat(85)];

    for text in near.into_iter().chain(odd).chain(long) {
        let token = StoredToken::LegacyPlaintext(PlainToken::new(text.clone()));
        ensure(
            fixture.store.find_access(&token).await?.is_none(),
            &spelled_otherwise("an access token is found", &text),
        )?;
        ensure(
            fixture.store.find_refresh(&token).await?.is_none(),
            &spelled_otherwise("a refresh token is found", &text),
        )?;
        ensure(
            !fixture.store.remove_access(&token, None).await?,
            &spelled_otherwise("an access token is removed", &text),
        )?;
        ensure(
            !fixture.store.remove_refresh(&token, None).await?,
            &spelled_otherwise("a refresh token is removed", &text),
        )?;
    }

    fixture.holds_access(&access).await?;
    fixture.holds_refresh(&refresh).await
}

/// Checks that [`ping`](crate::store::TokenStore::ping) succeeds on a store that works.
pub(super) async fn ping_answers(fixture: Fixture) -> Verdict {
    Ok(fixture.store.ping().await?)
}

/// Returns the clause that a store breaks if it takes a text for a token's digest.
fn spelled_otherwise(what: &str, text: &str) -> String {
    format!("{what} under another spelling: {}", text.escape_debug())
}
