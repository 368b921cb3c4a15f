//! Clauses about [`rotate`](crate::store::TokenStore::rotate), the exchange of a refresh token for
//! its successor.
//!
//! A rotation updates the session's record in place. These clauses say which fields it replaces,
//! which it keeps, and that it writes nothing at all if it does not succeed.

use crate::session::Client;
use crate::store::{NewAccess, NewRefresh, Rotate, Rotated};
use crate::testing::tokens::ground::{Ground, NOW, TICK, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Returns the record that the successor of `rotate` must have.
fn successor(ground: &Ground, rotate: &Rotate) -> NewRefresh {
    NewRefresh {
        digest: rotate.successor.clone(),
        family: rotate.family.clone(),
        user: ground.owner().clone(),
        session: Some(rotate.session),
        created_at: rotate.created_at,
        expires_at: rotate.expires_at,
        session_expires_at: rotate.session_expires_at,
        access_expires_at: rotate.access_expires_at,
        client: Client::new(),
        fence: None,
    }
}

/// Checks that the successor takes the place of the presented token, and that nothing else changes.
///
/// The successor and its access token have the values that the call gave. The presented token is
/// not found any more. Earlier access tokens of the session and tokens of other users stay.
pub(super) async fn puts_the_successor_in_place(ground: Ground) -> Verdict {
    let (mine, other) = (session(1)?, session(2)?);
    // It lives on at the time of the exchange: a store may let go of what has ended by then.
    let old_access = NewAccess {
        session: Some(mine),
        expires_at: Some(minutes(120)),
        ..ground.access("old access")
    };
    let neighbour = NewRefresh {
        user: ground.stranger().clone(),
        ..ground.opening("neighbour", other)
    };
    ground
        .open(&ground.opening("old", mine), Some(&old_access))
        .await?;
    ground.open(&neighbour, None).await?;
    let rotate = ground.rotate("old", "new", mine);
    same(
        "rotating",
        &ground.store.rotate(&rotate).await?,
        &Rotated::Done,
    )?;
    ensure(
        !ground.has_refresh("old").await?,
        "the token that was exchanged is still there",
    )?;
    ground.holds_refresh(&successor(&ground, &rotate)).await?;
    if let Some(access) = &rotate.access {
        ground.holds_access(access).await?;
    }
    ground.holds_access(&old_access).await?;
    ground.holds_refresh(&neighbour).await
}

/// Checks that a token is exchanged once: the second call with it returns `Rotated::Gone` and
/// writes nothing.
///
/// The successor of the first call stays, and can be exchanged in turn.
pub(super) async fn works_once(ground: Ground) -> Verdict {
    let session = session(1)?;
    ground.open(&ground.opening("old", session), None).await?;
    let first = ground.rotate("old", "new", session);
    same(
        "rotating",
        &ground.store.rotate(&first).await?,
        &Rotated::Done,
    )?;
    let again = ground
        .store
        .rotate(&ground.rotate("old", "another", session))
        .await?;
    same("rotating the same token again", &again, &Rotated::Gone)?;
    ensure(
        !ground.has_refresh("another").await?,
        "a second successor was recorded",
    )?;
    ensure(
        !ground.has_access("another").await?,
        "an access token was recorded without a successor",
    )?;
    ground.holds_refresh(&successor(&ground, &first)).await?;
    let on = ground
        .store
        .rotate(&ground.rotate("new", "newer", session))
        .await?;
    same("rotating the successor", &on, &Rotated::Done)
}

/// Checks that a rotation of an unknown token returns `Rotated::Gone` and writes nothing.
///
/// A rotation updates a record and never creates one. Otherwise a rotation under way would bring a
/// session back that was logged out meanwhile.
pub(super) async fn of_an_unknown_token_writes_nothing(ground: Ground) -> Verdict {
    let session = session(1)?;
    let other = ground.opening("other", session);
    ground.open(&other, None).await?;
    let rotated = ground
        .store
        .rotate(&ground.rotate("unknown", "new", session))
        .await?;
    same("rotating an unknown token", &rotated, &Rotated::Gone)?;
    ensure(
        !ground.has_refresh("new").await?,
        "an unknown token has a successor",
    )?;
    ensure(
        !ground.has_access("new").await?,
        "an access token was recorded for an unknown refresh token",
    )?;
    ground.holds_refresh(&other).await
}

/// Checks that a rotation keeps the session that is recorded, also if the call names another one.
///
/// A session keeps its id for life: device lists, access tokens and logouts refer to it.
pub(super) async fn keeps_the_session(ground: Ground) -> Verdict {
    let mine = session(1)?;
    ground.open(&ground.opening("old", mine), None).await?;
    let confused = Rotate {
        access: None,
        ..ground.rotate("old", "new", session(2)?)
    };
    same(
        "rotating",
        &ground.store.rotate(&confused).await?,
        &Rotated::Done,
    )?;
    ground
        .holds_refresh(&NewRefresh {
            session: Some(mine),
            ..successor(&ground, &confused)
        })
        .await
}

/// Checks that a token without a session gets the one that the call names.
///
/// Rows that litestar-auth wrote have no session until their first rotation.
pub(super) async fn gives_a_session_to_a_token_without(ground: Ground) -> Verdict {
    ground.open(&ground.refresh("old"), None).await?;
    let rotate = ground.rotate("old", "new", session(1)?);
    same(
        "rotating",
        &ground.store.rotate(&rotate).await?,
        &Rotated::Done,
    )?;
    ground.holds_refresh(&successor(&ground, &rotate)).await
}

/// Checks that a rotation never changes the absolute expiry of a session, neither to a later time
/// nor to an earlier one, nor to `None`.
///
/// A session whose absolute expiry moves forward with each rotation never ends.
pub(super) async fn never_moves_a_recorded_end(ground: Ground) -> Verdict {
    let session = session(1)?;
    let first = ground.opening("0", session);
    ground.open(&first, None).await?;
    for (from, to, end) in [
        ("0", "1", Some(minutes(10_000))),
        ("1", "2", Some(minutes(100))),
        ("2", "3", None),
    ] {
        let rotate = Rotate {
            session_expires_at: end,
            ..ground.rotate(from, to, session)
        };
        same(
            "rotating",
            &ground.store.rotate(&rotate).await?,
            &Rotated::Done,
        )?;
        let kept = NewRefresh {
            session_expires_at: first.session_expires_at,
            ..successor(&ground, &rotate)
        };
        ground.holds_refresh(&kept).await?;
    }
    Ok(())
}

/// Checks that a rotation records the absolute expiry of a session that has none yet.
///
/// Rows that litestar-auth wrote have none. A call without one leaves the field empty.
pub(super) async fn records_a_missing_end(ground: Ground) -> Verdict {
    let session = session(1)?;
    let old = NewRefresh {
        session_expires_at: None,
        ..ground.opening("old", session)
    };
    ground.open(&old, None).await?;
    let without = Rotate {
        session_expires_at: None,
        ..ground.rotate("old", "new", session)
    };
    same(
        "rotating",
        &ground.store.rotate(&without).await?,
        &Rotated::Done,
    )?;
    ground.holds_refresh(&successor(&ground, &without)).await?;
    let with = ground.rotate("new", "newer", session);
    same(
        "rotating",
        &ground.store.rotate(&with).await?,
        &Rotated::Done,
    )?;
    ground.holds_refresh(&successor(&ground, &with)).await
}

/// Checks that `access_expires_at` only moves forward: of the recorded time and the given one, the
/// later is kept.
///
/// It is the latest end of a signed access token of the session. A logout denies the session until
/// then. An earlier token may live longer than the one issued by this rotation, so neither an
/// earlier time nor `None` may replace it.
pub(super) async fn never_moves_the_signed_end_back(ground: Ground) -> Verdict {
    let session = session(1)?;
    ground.open(&ground.opening("0", session), None).await?;
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
        let rotate = Rotate {
            access: None,
            access_expires_at: given,
            ..ground.rotate(&from, &to, session)
        };
        same(
            "rotating",
            &ground.store.rotate(&rotate).await?,
            &Rotated::Done,
        )?;
        ground
            .holds_refresh(&NewRefresh {
                access_expires_at: expected,
                ..successor(&ground, &rotate)
            })
            .await?;
        let found = ground.store.find_session(session, ground.owner()).await?;
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
pub(super) async fn does_not_judge(ground: Ground) -> Verdict {
    let session = session(1)?;
    let expired = NewRefresh {
        expires_at: Some(NOW),
        ..ground.opening("old", session)
    };
    ground.open(&expired, None).await?;
    let rotate = Rotate {
        expires_at: None,
        ..ground.rotate("old", "new", session)
    };
    same(
        "rotating an expired token",
        &ground.store.rotate(&rotate).await?,
        &Rotated::Done,
    )?;
    ground.holds_refresh(&successor(&ground, &rotate)).await
}

/// Checks that a rotation without an access token records none.
///
/// Strategies that sign access tokens rotate in this way.
pub(super) async fn without_access(ground: Ground) -> Verdict {
    let session = session(1)?;
    ground.open(&ground.opening("old", session), None).await?;
    let rotate = Rotate {
        access: None,
        ..ground.rotate("old", "new", session)
    };
    same(
        "rotating",
        &ground.store.rotate(&rotate).await?,
        &Rotated::Done,
    )?;
    ground.holds_refresh(&successor(&ground, &rotate)).await?;
    ensure(
        !ground.has_access("new").await?,
        "an access token appeared that nobody asked for",
    )
}

/// Checks that a rotation to a digest that is recorded already fails and changes nothing.
///
/// The presented token must stay: its holder got no successor.
pub(super) async fn taken_successor_changes_nothing(ground: Ground) -> Verdict {
    let session = session(1)?;
    let (old, taken) = (ground.opening("old", session), ground.refresh("taken"));
    ground.open(&old, None).await?;
    ground.open(&taken, None).await?;
    refused(&ground, &ground.rotate("old", "taken", session)).await?;
    ground.holds_refresh(&old).await?;
    ground.holds_refresh(&taken).await?;
    ensure(
        !ground.has_access("taken").await?,
        "an access token was recorded for a rotation that failed",
    )
}

/// Checks that a rotation fails and changes nothing if the digest of its access token is recorded
/// already.
pub(super) async fn taken_access_digest_changes_nothing(ground: Ground) -> Verdict {
    let session = session(1)?;
    let (old, taken) = (ground.opening("old", session), ground.access("new"));
    ground.open(&old, None).await?;
    ground.record(&taken).await?;
    refused(&ground, &ground.rotate("old", "new", session)).await?;
    ground.holds_refresh(&old).await?;
    ground.holds_access(&taken).await?;
    ensure(
        !ground.has_refresh("new").await?,
        "a successor was recorded although its access token was not",
    )
}

/// Checks that a rotation returns an error.
async fn refused(ground: &Ground, rotate: &Rotate) -> Verdict {
    match ground.store.rotate(rotate).await {
        Err(_) => Ok(()),
        Ok(rotated) => Err(Violation::new(format!(
            "a digest was recorded twice: {rotated:?}"
        ))),
    }
}
