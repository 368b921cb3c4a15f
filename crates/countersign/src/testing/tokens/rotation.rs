//! Clauses about [`rotate`](crate::store::TokenStore::rotate), the exchange of a refresh token for
//! its successor.
//!
//! A rotation updates the session's record in place. These clauses say which fields it replaces,
//! which it keeps, and that it writes nothing at all if it does not succeed.

use crate::session::ClientInfo;
use crate::store::{NewAccess, NewRefresh, RotateOutcome, RotateRequest};
use crate::testing::tokens::fixture::{Fixture, NOW, TICK, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Returns the record that the successor of `rotate` must have.
fn successor(fixture: &Fixture, rotate: &RotateRequest) -> NewRefresh {
    NewRefresh {
        digest: rotate.successor.clone(),
        family: rotate.family.clone(),
        user: fixture.owner().clone(),
        session: Some(rotate.session),
        created_at: rotate.created_at,
        expires_at: rotate.expires_at,
        session_expires_at: rotate.session_expires_at,
        access_expires_at: rotate.access_expires_at,
        client: ClientInfo::new(),
        fence: None,
    }
}

/// Checks that the successor takes the place of the presented token, and that nothing else changes.
///
/// The successor and its access token have the values that the call gave. The presented token is
/// not found any more. Earlier access tokens of the session and tokens of other users stay.
pub(super) async fn puts_the_successor_in_place(fixture: Fixture) -> Verdict {
    let (mine, other) = (session(1)?, session(2)?);
    // It lives on at the time of the exchange: a store may let go of what has ended by then.
    let old_access = NewAccess {
        session: Some(mine),
        expires_at: Some(minutes(120)),
        ..fixture.access("old access")
    };
    let neighbour = NewRefresh {
        user: fixture.stranger().clone(),
        ..fixture.opening("neighbour", other)
    };
    fixture
        .open(&fixture.opening("old", mine), Some(&old_access))
        .await?;
    fixture.open(&neighbour, None).await?;
    let rotate = fixture.rotate("old", "new", mine);
    same(
        "rotating",
        &fixture.store.rotate(&rotate).await?,
        &RotateOutcome::Done,
    )?;
    ensure(
        !fixture.has_refresh("old").await?,
        "the token that was exchanged is still there",
    )?;
    fixture.holds_refresh(&successor(&fixture, &rotate)).await?;
    if let Some(access) = &rotate.access {
        fixture.holds_access(access).await?;
    }

    fixture.holds_access(&old_access).await?;
    fixture.holds_refresh(&neighbour).await
}

/// Checks that a token is exchanged once: the second call with it returns `RotateOutcome::Gone` and
/// writes nothing.
///
/// The successor of the first call stays, and can be exchanged in turn.
pub(super) async fn works_once(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    fixture.open(&fixture.opening("old", session), None).await?;
    let first = fixture.rotate("old", "new", session);
    same(
        "rotating",
        &fixture.store.rotate(&first).await?,
        &RotateOutcome::Done,
    )?;
    let again = fixture
        .store
        .rotate(&fixture.rotate("old", "another", session))
        .await?;
    same(
        "rotating the same token again",
        &again,
        &RotateOutcome::Gone,
    )?;

    ensure(
        !fixture.has_refresh("another").await?,
        "a second successor was recorded",
    )?;
    ensure(
        !fixture.has_access("another").await?,
        "an access token was recorded without a successor",
    )?;
    fixture.holds_refresh(&successor(&fixture, &first)).await?;
    let on = fixture
        .store
        .rotate(&fixture.rotate("new", "newer", session))
        .await?;
    same("rotating the successor", &on, &RotateOutcome::Done)
}

/// Checks that a rotation of an unknown token returns `RotateOutcome::Gone` and writes nothing.
///
/// A rotation updates a record and never creates one. Otherwise a rotation under way would bring a
/// session back that was logged out meanwhile.
pub(super) async fn of_an_unknown_token_writes_nothing(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    let other = fixture.opening("other", session);
    fixture.open(&other, None).await?;
    let rotated = fixture
        .store
        .rotate(&fixture.rotate("unknown", "new", session))
        .await?;
    same("rotating an unknown token", &rotated, &RotateOutcome::Gone)?;

    ensure(
        !fixture.has_refresh("new").await?,
        "an unknown token has a successor",
    )?;
    ensure(
        !fixture.has_access("new").await?,
        "an access token was recorded for an unknown refresh token",
    )?;
    fixture.holds_refresh(&other).await
}

/// Checks that a rotation keeps the session that is recorded, also if the call names another one.
///
/// A session keeps its id for life: device lists, access tokens and logouts refer to it.
pub(super) async fn keeps_the_session(fixture: Fixture) -> Verdict {
    let mine = session(1)?;
    fixture.open(&fixture.opening("old", mine), None).await?;
    let confused = RotateRequest {
        access: None,
        ..fixture.rotate("old", "new", session(2)?)
    };
    same(
        "rotating",
        &fixture.store.rotate(&confused).await?,
        &RotateOutcome::Done,
    )?;

    fixture
        .holds_refresh(&NewRefresh {
            session: Some(mine),
            ..successor(&fixture, &confused)
        })
        .await
}

/// Checks that a token without a session gets the one that the call names.
///
/// Rows that litestar-auth wrote have no session until their first rotation.
pub(super) async fn gives_a_session_to_a_token_without(fixture: Fixture) -> Verdict {
    fixture.open(&fixture.refresh("old"), None).await?;
    let rotate = fixture.rotate("old", "new", session(1)?);
    same(
        "rotating",
        &fixture.store.rotate(&rotate).await?,
        &RotateOutcome::Done,
    )?;
    fixture.holds_refresh(&successor(&fixture, &rotate)).await
}

/// Checks that a rotation never changes the absolute expiry of a session, neither to a later time
/// nor to an earlier one, nor to `None`.
///
/// A session whose absolute expiry moves forward with each rotation never ends.
pub(super) async fn never_moves_a_recorded_end(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    let first = fixture.opening("0", session);
    fixture.open(&first, None).await?;

    for (from, to, end) in [
        ("0", "1", Some(minutes(10_000))),
        ("1", "2", Some(minutes(100))),
        ("2", "3", None),
    ] {
        let rotate = RotateRequest {
            session_expires_at: end,
            ..fixture.rotate(from, to, session)
        };
        same(
            "rotating",
            &fixture.store.rotate(&rotate).await?,
            &RotateOutcome::Done,
        )?;
        let kept = NewRefresh {
            session_expires_at: first.session_expires_at,
            ..successor(&fixture, &rotate)
        };
        fixture.holds_refresh(&kept).await?;
    }
    Ok(())
}

/// Checks that a rotation records the absolute expiry of a session that has none yet.
///
/// Rows that litestar-auth wrote have none. A call without one leaves the field empty.
pub(super) async fn records_a_missing_end(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    let old = NewRefresh {
        session_expires_at: None,
        ..fixture.opening("old", session)
    };
    fixture.open(&old, None).await?;
    let without = RotateRequest {
        session_expires_at: None,
        ..fixture.rotate("old", "new", session)
    };
    same(
        "rotating",
        &fixture.store.rotate(&without).await?,
        &RotateOutcome::Done,
    )?;
    fixture
        .holds_refresh(&successor(&fixture, &without))
        .await?;

    let with = fixture.rotate("new", "newer", session);
    same(
        "rotating",
        &fixture.store.rotate(&with).await?,
        &RotateOutcome::Done,
    )?;
    fixture.holds_refresh(&successor(&fixture, &with)).await
}

/// Checks that `access_expires_at` only moves forward: of the recorded time and the given one, the
/// later is kept.
///
/// It is the latest end of a signed access token of the session. A logout denies the session until
/// then. An earlier token may live longer than the one issued by this rotation, so neither an
/// earlier time nor `None` may replace it.
pub(super) async fn never_moves_the_signed_end_back(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    fixture.open(&fixture.opening("0", session), None).await?;
    let (early, late, latest) = (
        Some(minutes(70)),
        Some(minutes(90)),
        Some(minutes(90).saturating_add(TICK)),
    );

    let exchanges = [
        (None, None),
        (early, early),
        (late, late),
        (early, late),
        (None, late),
        (latest, latest),
    ];
    for ((from, to), (given, expected)) in (0..)
        .map(|number: u8| (number.to_string(), (number + 1).to_string()))
        .zip(exchanges)
    {
        let rotate = RotateRequest {
            access: None,
            access_expires_at: given,
            ..fixture.rotate(&from, &to, session)
        };
        same(
            "rotating",
            &fixture.store.rotate(&rotate).await?,
            &RotateOutcome::Done,
        )?;
        fixture
            .holds_refresh(&NewRefresh {
                access_expires_at: expected,
                ..successor(&fixture, &rotate)
            })
            .await?;

        let found = fixture.store.find_session(session, fixture.owner()).await?;
        let found = found.map(|found| found.access_expires_at);
        same(
            "the latest signed end of a session",
            &found,
            &Some(expected),
        )?;
    }
    Ok(())
}

/// Checks that an expired token is rotated like any other, and that the successor may have no end.
///
/// The strategy decides which token is too old. A successor without an end ages by `created_at`.
pub(super) async fn does_not_judge(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    let expired = NewRefresh {
        expires_at: Some(NOW),
        ..fixture.opening("old", session)
    };
    fixture.open(&expired, None).await?;

    let rotate = RotateRequest {
        expires_at: None,
        ..fixture.rotate("old", "new", session)
    };
    same(
        "rotating an expired token",
        &fixture.store.rotate(&rotate).await?,
        &RotateOutcome::Done,
    )?;
    fixture.holds_refresh(&successor(&fixture, &rotate)).await
}

/// Checks that a rotation without an access token records none.
///
/// Strategies that sign access tokens rotate in this way.
pub(super) async fn without_access(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    fixture.open(&fixture.opening("old", session), None).await?;
    let rotate = RotateRequest {
        access: None,
        ..fixture.rotate("old", "new", session)
    };
    same(
        "rotating",
        &fixture.store.rotate(&rotate).await?,
        &RotateOutcome::Done,
    )?;

    fixture.holds_refresh(&successor(&fixture, &rotate)).await?;
    ensure(
        !fixture.has_access("new").await?,
        "an access token appeared that nobody asked for",
    )
}

/// Checks that a rotation to a digest that is recorded already fails and changes nothing.
///
/// The presented token must stay: its holder got no successor.
pub(super) async fn taken_successor_changes_nothing(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    let (old, taken) = (fixture.opening("old", session), fixture.refresh("taken"));
    fixture.open(&old, None).await?;
    fixture.open(&taken, None).await?;
    refused(&fixture, &fixture.rotate("old", "taken", session)).await?;
    fixture.holds_refresh(&old).await?;
    fixture.holds_refresh(&taken).await?;
    ensure(
        !fixture.has_access("taken").await?,
        "an access token was recorded for a rotation that failed",
    )
}

/// Checks that a rotation fails and changes nothing if the digest of its access token is recorded
/// already.
pub(super) async fn taken_access_digest_changes_nothing(fixture: Fixture) -> Verdict {
    let session = session(1)?;
    let (old, taken) = (fixture.opening("old", session), fixture.access("new"));
    fixture.open(&old, None).await?;
    fixture.record(&taken).await?;
    refused(&fixture, &fixture.rotate("old", "new", session)).await?;
    fixture.holds_refresh(&old).await?;
    fixture.holds_access(&taken).await?;
    ensure(
        !fixture.has_refresh("new").await?,
        "a successor was recorded although its access token was not",
    )
}

/// Checks that a rotation returns an error.
async fn refused(fixture: &Fixture, rotate: &RotateRequest) -> Verdict {
    match fixture.store.rotate(rotate).await {
        Err(_) => Ok(()),
        Ok(rotated) => Err(Violation::new(format!(
            "a digest was recorded twice: {rotated:?}"
        ))),
    }
}
