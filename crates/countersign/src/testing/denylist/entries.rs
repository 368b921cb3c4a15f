//! Clauses about one entry, from its denial to its end.
//!
//! The caller passes the end of the entry and the present time. A denylist compares the two, keeps
//! no clock of its own, and never lets an entry end earlier than the latest end that was asked for.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::testing::case::needs_threads;
use crate::testing::denylist::fixture::{Fixture, NOW, TICK, minutes};
use crate::testing::violation::{Verdict, Violation, ensure};

/// An id in the form of a token's `jti` claim.
const ID: &str = "0f8fad5bd9cb469fa16570867728950e";

/// Checks that a denied id is denied from the moment of the call.
///
/// The logout is acknowledged after this call. From then on no server may accept the token.
pub(super) async fn denied_is_denied(fixture: Fixture) -> Verdict {
    fixture.store.deny(ID, minutes(15), NOW).await?;
    for now in [NOW, minutes(1), minutes(14)] {
        ensure(
            fixture.store.is_any_denied(&[ID], now).await?,
            "a denied id is not denied",
        )?;
    }
    Ok(())
}

/// Checks that an id that was never denied is answered with `false`, also when no id is asked for.
///
/// An error means that the denylist could not be asked. Callers then refuse to serve the request,
/// so an unknown id must never be an error.
pub(super) async fn unknown_is_a_value(fixture: Fixture) -> Verdict {
    ensure(
        !fixture.store.is_any_denied(&[ID], NOW).await?,
        "an empty denylist denies an id",
    )?;
    ensure(
        !fixture.store.is_any_denied(&[], NOW).await?,
        "an empty denylist denies no id at all",
    )?;

    fixture.store.deny(ID, minutes(15), NOW).await?;
    ensure(
        !fixture.store.is_any_denied(&["another"], NOW).await?,
        "an id is denied that nobody denied",
    )?;
    ensure(
        !fixture.store.is_any_denied(&[], NOW).await?,
        "none of no ids can be denied",
    )
}

/// Checks that an id is denied in the microsecond before its end, and no longer at its end.
///
/// The end already contains the leeway: at that moment every server rejects the token itself.
pub(super) async fn end_at_the_exact_moment(fixture: Fixture) -> Verdict {
    let until = minutes(15).saturating_add(TICK);
    fixture.store.deny(ID, until, NOW).await?;

    ensure(
        fixture
            .store
            .is_any_denied(&[ID], until.saturating_sub(TICK))
            .await?,
        "an entry ended a tick too early",
    )?;
    ensure(
        !fixture.store.is_any_denied(&[ID], until).await?,
        "an entry outlives its end",
    )?;
    ensure(
        !fixture
            .store
            .is_any_denied(&[ID], until.saturating_add(TICK))
            .await?,
        "an entry outlives its end",
    )
}

/// Checks that denying an id again with an earlier end does not shorten its entry.
///
/// Two calls may deny the same session for different reasons. The longer of the two must hold.
pub(super) async fn are_never_shortened(fixture: Fixture) -> Verdict {
    fixture.store.deny(ID, minutes(60), NOW).await?;
    for until in [minutes(5), minutes(59), NOW] {
        fixture.store.deny(ID, until, NOW).await?;
        let denied = fixture
            .store
            .is_any_denied(&[ID], minutes(60).saturating_sub(TICK))
            .await?;
        ensure(denied, "denying again shortened an entry")?;
    }
    Ok(())
}

/// Checks that the later end counts if two servers deny an id and compute different ends, whichever
/// call comes last.
///
/// A server whose clock is behind asks for an earlier end. It must not shorten what another server
/// recorded.
pub(super) async fn are_never_shortened_by_a_clock_behind(fixture: Fixture) -> Verdict {
    let (ahead, behind) = (minutes(30), minutes(2));
    for (id, first, second) in [
        ("ahead first", ahead, behind),
        ("behind first", behind, ahead),
    ] {
        for now in [
            first,
            second,
            behind.saturating_sub(Duration::from_hours(1)),
        ] {
            fixture
                .store
                .deny(id, now.saturating_add(Duration::from_mins(15)), now)
                .await?;
        }

        let denied = fixture
            .store
            .is_any_denied(&[id], minutes(45).saturating_sub(TICK))
            .await?;
        ensure(
            denied,
            "a denial by a clock that is behind shortened an entry",
        )?;
        ensure(
            !fixture.store.is_any_denied(&[id], minutes(45)).await?,
            "an entry outlives its end",
        )?;
    }
    Ok(())
}

/// Checks that denying an id again for longer extends its entry, up to the new end and no further.
///
/// A server whose tokens live longer finds the shorter entry of another one, and must be able to
/// extend it.
pub(super) async fn are_extended(fixture: Fixture) -> Verdict {
    fixture.store.deny(ID, minutes(5), NOW).await?;
    fixture.store.deny(ID, minutes(60), minutes(1)).await?;
    let denied = fixture
        .store
        .is_any_denied(&[ID], minutes(60).saturating_sub(TICK))
        .await?;
    ensure(denied, "denying again for longer did not extend the entry")?;
    ensure(
        !fixture.store.is_any_denied(&[ID], minutes(60)).await?,
        "an entry outlives its end",
    )
}

/// Checks that the latest end counts if 32 calls deny the same id at the same time.
///
/// A denylist that reads the end and then writes it in a second step loses this race. The
/// comparison belongs in the statement that writes.
pub(super) async fn longest_of_many_callers_wins(fixture: Fixture) -> Verdict {
    needs_threads()?;
    for round in 0..8 {
        let id = format!("{ID}{round}");
        let mut calls = JoinSet::new();
        for caller in 0..32 {
            let (store, id) = (fixture.store.clone(), id.clone());
            // Neither first nor last in order of starting.
            let until = minutes(1 + (caller * 13) % 32);
            calls.spawn(async move { store.deny(&id, until, NOW).await });
        }

        while let Some(outcome) = calls.join_next().await {
            outcome.map_err(|error| Violation::new(error.to_string()))??;
        }
        let denied = fixture
            .store
            .is_any_denied(&[&id], minutes(32).saturating_sub(TICK))
            .await?;
        ensure(denied, "a shorter denial won over a longer one beside it")?;
    }
    Ok(())
}

/// Checks that denying an id whose end is not in the future succeeds, and denies nothing.
///
/// Such a token has expired and needs no entry. The caller must not get an error for it.
pub(super) async fn ended_already_is_a_value(fixture: Fixture) -> Verdict {
    for until in [NOW, NOW.saturating_sub(TICK)] {
        fixture.store.deny(ID, until, NOW).await?;
        ensure(
            !fixture.store.is_any_denied(&[ID], NOW).await?,
            "an entry outlives its end",
        )?;
    }
    Ok(())
}

/// Checks that an id can be denied again after its entry expired, also if no sweep has removed the
/// entry yet.
///
/// Ids of sessions and fences outlive a single token, so they may be denied more than once.
pub(super) async fn can_be_denied_anew(fixture: Fixture) -> Verdict {
    fixture.store.deny(ID, minutes(5), NOW).await?;
    fixture.store.deny(ID, minutes(30), minutes(20)).await?;
    ensure(
        fixture.store.is_any_denied(&[ID], minutes(25)).await?,
        "an id could not be denied again after its end",
    )
}

/// Checks that asking at a later time does not remove an entry for a caller who asks at an earlier
/// time.
///
/// Clocks of servers differ: what one server sees as expired, another still needs.
pub(super) async fn reads_do_not_write(fixture: Fixture) -> Verdict {
    fixture.store.deny(ID, minutes(15), NOW).await?;
    ensure(
        !fixture.store.is_any_denied(&[ID], minutes(16)).await?,
        "an entry outlives its end",
    )?;
    ensure(
        fixture.store.is_any_denied(&[ID], minutes(14)).await?,
        "a read removed an entry",
    )
}
