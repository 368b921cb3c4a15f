//! Clauses about room: what a sweep removes, and what a full denylist does.
//!
//! A denylist must never forget an id that a valid token may still carry. It may lose entries only
//! by their end.

use std::time::Duration;

use crate::denylist::CLOCK_SLACK;
use crate::error::FailureKind;
use crate::testing::denylist::fixture::{Fixture, NOW, TICK, minutes};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Checks that a sweep removes entries that ended at least a minute before `now`, and no others.
///
/// The minute is [`CLOCK_SLACK`]: a server whose clock is behind still needs the entry. The second
/// sweep must find nothing left.
pub(super) async fn sweep_takes_what_ended(fixture: Fixture) -> Verdict {
    let ends = [
        ("before", minutes(10).saturating_sub(TICK)),
        ("now", minutes(10)),
        ("after", minutes(10).saturating_add(TICK)),
    ];
    for (id, until) in ends {
        fixture.store.deny(id, until, NOW).await?;
    }

    same(
        "entries swept",
        &fixture.store.sweep(minutes(11), 100).await?,
        &2,
    )?;
    same(
        "entries swept again",
        &fixture.store.sweep(minutes(11), 100).await?,
        &0,
    )?;
    ensure(
        fixture.store.is_any_denied(&["after"], minutes(10)).await?,
        "a sweep removed a live entry",
    )
}

/// Checks that a sweep leaves an entry that a server with a slower clock still needs.
///
/// The sweeper's clock may be ahead by up to [`CLOCK_SLACK`]. If its sweep removed the entry, the
/// slower server would accept the denied token until its own clock reaches the end.
pub(super) async fn sweep_leaves_room_for_clocks_that_differ(fixture: Fixture) -> Verdict {
    let until = minutes(15);
    fixture.store.deny("denied", until, NOW).await?;

    for behind in [
        Duration::ZERO,
        Duration::from_secs(30),
        CLOCK_SLACK.saturating_sub(TICK),
    ] {
        fixture
            .store
            .sweep(until.saturating_add(behind), 100)
            .await?;
        let denied = fixture
            .store
            .is_any_denied(&["denied"], until.saturating_sub(TICK))
            .await?;
        ensure(
            denied,
            "a sweep removed an entry that is live by a clock that is behind",
        )?;
    }
    Ok(())
}

/// Checks that a sweep removes nothing and returns 0 if entries expire by themselves.
pub(super) async fn sweep_is_left_to_the_store(fixture: Fixture) -> Verdict {
    fixture.store.deny("ended", minutes(1), NOW).await?;
    fixture.store.deny("live", minutes(60), NOW).await?;
    same(
        "entries swept",
        &fixture.store.sweep(minutes(10), 100).await?,
        &0,
    )?;
    ensure(
        fixture.store.is_any_denied(&["live"], minutes(10)).await?,
        "a sweep removed a live entry",
    )
}

/// Checks that a sweep removes at most `limit` entries, and that repeated sweeps remove all expired
/// ones.
///
/// Bounded sweeps let a large denylist be cleaned up without a long lock. Each call must return the
/// number of entries that it removed, because callers go on until it is 0.
pub(super) async fn sweep_is_bounded_and_resumable(fixture: Fixture) -> Verdict {
    for number in 0..7 {
        fixture
            .store
            .deny(&format!("ended {number}"), minutes(1), NOW)
            .await?;
        fixture
            .store
            .deny(&format!("live {number}"), minutes(60), NOW)
            .await?;
    }
    let mut removed = Vec::new();
    for _ in 0..5 {
        removed.push(fixture.store.sweep(minutes(2), 3).await?);
    }
    same(
        "entries that sweeps of 3 removed",
        &removed,
        &vec![3, 3, 1, 0, 0],
    )?;

    for number in 0..7 {
        let id = format!("live {number}");
        ensure(
            fixture.store.is_any_denied(&[&id], minutes(1)).await?,
            "a sweep removed a live entry",
        )?;
    }
    Ok(())
}

/// Checks that a full denylist still denies every entry in the last microsecond of its life.
///
/// The denylist is filled to its capacity, or with 2,000 entries if its capacity is not known.
/// A denylist that makes room by evicting live entries would accept revoked tokens again.
pub(super) async fn never_forgets(fixture: Fixture) -> Verdict {
    for number in 0..fixture.entries {
        fixture
            .store
            .deny(
                &format!("token {number}"),
                minutes(15 + u64::from(number % 7)),
                NOW,
            )
            .await?;
    }
    all_denied(&fixture).await
}

/// Checks that every entry is denied in the last microsecond of its life.
async fn all_denied(fixture: &Fixture) -> Verdict {
    for number in 0..fixture.entries {
        let last = minutes(15 + u64::from(number % 7)).saturating_sub(TICK);
        ensure(
            fixture
                .store
                .is_any_denied(&[&format!("token {number}")], last)
                .await?,
            "a live entry was forgotten",
        )?;
    }
    Ok(())
}

/// Checks that a full denylist refuses a new entry with [`FailureKind::Full`] and keeps every entry
/// that it has.
///
/// The refused id must not be recorded: its caller is told that the revocation failed, and may try
/// again.
pub(super) async fn full_refuses_and_forgets_nothing(fixture: Fixture) -> Verdict {
    never_forgets(fixture.clone()).await?;
    for _ in 0..3 {
        let outcome = fixture.store.deny("one too many", minutes(15), NOW).await;
        let kind = outcome.err().map(|failure| failure.kind());
        same(
            "denying one more than there is room for",
            &kind,
            &Some(FailureKind::Full),
        )?;
        ensure(
            !fixture.store.is_any_denied(&["one too many"], NOW).await?,
            "an entry was refused and recorded",
        )?;
    }

    all_denied(&fixture).await
}

/// Checks that a full denylist can extend an entry that it has, because that takes no more room.
pub(super) async fn full_still_extends(fixture: Fixture) -> Verdict {
    never_forgets(fixture.clone()).await?;
    fixture
        .store
        .deny("token 0", minutes(60), NOW)
        .await
        .map_err(|failure| {
            Violation::new(format!(
                "a full denylist could not extend an entry that it has: {failure}"
            ))
        })?;

    ensure(
        fixture
            .store
            .is_any_denied(&["token 0"], minutes(59))
            .await?,
        "the entry was not extended",
    )?;
    all_denied(&fixture).await
}

/// Checks that a full denylist has its whole capacity again after its entries expired and were
/// swept.
///
/// It must hold exactly as many entries as before: the next one is refused.
pub(super) async fn room_returns_when_entries_end(fixture: Fixture) -> Verdict {
    never_forgets(fixture.clone()).await?;
    let later = minutes(60);
    same(
        "entries swept",
        &fixture.store.sweep(later, u32::MAX).await?,
        &u64::from(fixture.entries),
    )?;

    for number in 0..fixture.entries {
        fixture
            .store
            .deny(&format!("later {number}"), minutes(90), later)
            .await?;
    }
    let outcome = fixture.store.deny("one too many", minutes(90), later).await;
    ensure(outcome.is_err(), "it holds more entries than it says")
}
