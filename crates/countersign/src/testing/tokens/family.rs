//! Clauses about [`find_family`](crate::store::TokenStore::find_family).
//!
//! A family is a digest that all refresh tokens of a session have in common. It finds the session's
//! record by any of its tokens, however long ago that was exchanged. Reuse detection rests on this:
//! a token that is not current any more either gets the answer of its rotation again, or ends its
//! session.

use crate::store::{Consumed, ConsumedToken, NewRefresh, RotateOutcome, RotateRequest};
use crate::testing::tokens::fixture::{Fixture, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Checks that a family finds the current refresh token after any number of rotations.
///
/// The record must also contain the exchanged tokens as the last rotation gave them: with their
/// salts a retry gets the same successor again. An unknown family finds nothing.
pub(super) async fn leads_to_the_current_token(fixture: Fixture) -> Verdict {
    let mine = session(1)?;
    fixture.open(&fixture.opening("0", mine), None).await?;
    fixture
        .open(&fixture.opening("other", session(2)?), None)
        .await?;
    let family = fixture.family("0");
    let mut consumed = Consumed::default();
    for number in 0..10_u8 {
        let found = fixture.store.find_family(&family).await?;
        let Some(found) = found else {
            return Err(Violation::new("a session's family is not found"));
        };

        same(
            "the digest that a family leads to",
            &found.digest,
            &Some(fixture.digest(&number.to_string())),
        )?;
        ensure(
            found.consumed == consumed,
            "what is remembered of exchanged tokens is not what was recorded",
        )?;
        ensure(
            found.user == *fixture.owner(),
            "a family leads to another user",
        )?;
        same(
            "the session that a family leads to",
            &found.session,
            &Some(mine),
        )?;
        let token = ConsumedToken {
            digest: fixture.digest(&number.to_string()),
            at: minutes(u64::from(number)),
            salt: [number; 16],
        };
        consumed = consumed.and(token);
        let rotate = RotateRequest {
            family: family.clone(),
            consumed: consumed.clone(),
            ..fixture.rotate(&number.to_string(), &(number + 1).to_string(), mine)
        };
        same(
            "rotating",
            &fixture.store.rotate(&rotate).await?,
            &RotateOutcome::Done,
        )?;
    }

    ensure(
        fixture
            .store
            .find_family(&fixture.family("unknown"))
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
pub(super) async fn survives_no_ending(fixture: Fixture) -> Verdict {
    for number in 1..=2 {
        fixture
            .open(
                &fixture.opening(&number.to_string(), session(number)?),
                None,
            )
            .await?;
        let found = fixture
            .store
            .find_family(&fixture.family(&number.to_string()))
            .await?;
        ensure(found.is_some(), "a session's family is not found")?;
    }

    fixture
        .store
        .end_session(session(1)?, fixture.owner())
        .await?;
    ensure(
        fixture
            .store
            .find_family(&fixture.family("1"))
            .await?
            .is_none(),
        "a family survived its session",
    )?;
    ensure(
        fixture
            .store
            .find_family(&fixture.family("2"))
            .await?
            .is_some(),
        "a family went with another's session",
    )?;

    fixture.end_all(fixture.owner(), None).await?;
    ensure(
        fixture
            .store
            .find_family(&fixture.family("2"))
            .await?
            .is_none(),
        "a family survived its user's sessions",
    )
}

/// Checks that a rotation replaces the family by the one that the call gives.
///
/// Rows that litestar-auth wrote get their family at their first rotation. The earlier family finds
/// nothing any more.
pub(super) async fn of_a_row_without_comes_with_the_successor(fixture: Fixture) -> Verdict {
    let mine = session(1)?;
    fixture
        .open(
            &NewRefresh {
                family: fixture.family("none"),
                ..fixture.opening("old", mine)
            },
            None,
        )
        .await?;
    same(
        "rotating",
        &fixture
            .store
            .rotate(&fixture.rotate("old", "new", mine))
            .await?,
        &RotateOutcome::Done,
    )?;
    let found = fixture
        .store
        .find_family(&fixture.family("old"))
        .await?
        .and_then(|found| found.digest);
    same(
        "the digest that the new family leads to",
        &found,
        &Some(fixture.digest("new")),
    )?;

    ensure(
        fixture
            .store
            .find_family(&fixture.family("none"))
            .await?
            .is_none(),
        "the family before leads somewhere still",
    )
}
