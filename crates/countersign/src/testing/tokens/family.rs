//! Clauses about [`find_family`](crate::store::TokenStore::find_family).
//!
//! A family is a digest that all refresh tokens of a session have in common. It finds the session's
//! record by any of its tokens, however long ago that was exchanged. Reuse detection rests on this:
//! a token that is not current any more either gets the answer of its rotation again, or ends its
//! session.

use crate::store::{Consumed, ConsumedToken, NewRefresh, Rotate, Rotated};
use crate::testing::tokens::ground::{Ground, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Checks that a family finds the current refresh token after any number of rotations.
///
/// The record must also contain the exchanged tokens as the last rotation gave them: with their
/// salts a retry gets the same successor again. An unknown family finds nothing.
pub(super) async fn leads_to_the_current_token(ground: Ground) -> Verdict {
    let mine = session(1)?;
    ground.open(&ground.opening("0", mine), None).await?;
    ground
        .open(&ground.opening("other", session(2)?), None)
        .await?;
    let family = ground.family("0");
    let mut consumed = Consumed::default();
    for number in 0..10_u8 {
        let found = ground.store.find_family(&family).await?;
        let Some(found) = found else {
            return Err(Violation::new("a session's family is not found"));
        };
        same(
            "the digest that a family leads to",
            &found.digest,
            &Some(ground.digest(&number.to_string())),
        )?;
        ensure(
            found.consumed == consumed,
            "what is remembered of exchanged tokens is not what was recorded",
        )?;
        ensure(
            found.user == *ground.owner(),
            "a family leads to another user",
        )?;
        same(
            "the session that a family leads to",
            &found.session,
            &Some(mine),
        )?;
        let token = ConsumedToken {
            digest: ground.digest(&number.to_string()),
            at: minutes(u64::from(number)),
            salt: [number; 16],
        };
        consumed = consumed.and(token);
        let rotate = Rotate {
            family: family.clone(),
            consumed: consumed.clone(),
            ..ground.rotate(&number.to_string(), &(number + 1).to_string(), mine)
        };
        same(
            "rotating",
            &ground.store.rotate(&rotate).await?,
            &Rotated::Done,
        )?;
    }
    ensure(
        ground
            .store
            .find_family(&ground.family("unknown"))
            .await?
            .is_none(),
        "an unknown family leads somewhere",
    )
}

/// Checks that a family is not found any more after its session has ended or its user was logged
/// out everywhere.
///
/// A token of an ended session is unknown, not reused: its holder gets a refusal, and no reuse is
/// reported. The families of other sessions stay.
pub(super) async fn survives_no_ending(ground: Ground) -> Verdict {
    for number in 1..=2 {
        ground
            .open(&ground.opening(&number.to_string(), session(number)?), None)
            .await?;
        let found = ground
            .store
            .find_family(&ground.family(&number.to_string()))
            .await?;
        ensure(found.is_some(), "a session's family is not found")?;
    }
    ground
        .store
        .end_session(session(1)?, ground.owner())
        .await?;
    ensure(
        ground
            .store
            .find_family(&ground.family("1"))
            .await?
            .is_none(),
        "a family survived its session",
    )?;
    ensure(
        ground
            .store
            .find_family(&ground.family("2"))
            .await?
            .is_some(),
        "a family went with another's session",
    )?;
    ground.end_all(ground.owner(), None).await?;
    ensure(
        ground
            .store
            .find_family(&ground.family("2"))
            .await?
            .is_none(),
        "a family survived its user's sessions",
    )
}

/// Checks that a rotation replaces the family by the one that the call gives.
///
/// Rows that litestar-auth wrote get their family at their first rotation. The earlier family finds
/// nothing any more.
pub(super) async fn of_a_row_without_comes_with_the_successor(ground: Ground) -> Verdict {
    let mine = session(1)?;
    ground
        .open(
            &NewRefresh {
                family: ground.family("none"),
                ..ground.opening("old", mine)
            },
            None,
        )
        .await?;
    same(
        "rotating",
        &ground
            .store
            .rotate(&ground.rotate("old", "new", mine))
            .await?,
        &Rotated::Done,
    )?;
    let found = ground
        .store
        .find_family(&ground.family("old"))
        .await?
        .and_then(|found| found.digest);
    same(
        "the digest that the new family leads to",
        &found,
        &Some(ground.digest("new")),
    )?;
    ensure(
        ground
            .store
            .find_family(&ground.family("none"))
            .await?
            .is_none(),
        "the family before leads somewhere still",
    )
}
