//! Clauses about denials and sweeps at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::testing::case::needs_threads;
use crate::testing::denylist::fixture::{Fixture, NOW, TICK};
use crate::testing::violation::{Verdict, Violation, ensure};

/// The number of denials that run at the same time.
const DENIERS: u32 = 64;

/// The number of sweepers that run beside them.
const SWEEPERS: u32 = 2;

/// The time for which each denial holds.
const HOUR: Duration = Duration::from_hours(1);

/// Checks that no acknowledged denial is lost while sweepers remove expired entries.
///
/// In each round the same ids are denied again, an hour after their entries of the round before
/// expired, while sweepers remove those entries. A sweep that finds an expired entry and then
/// deletes it by its id alone also deletes the denial that extended the entry meanwhile, and the
/// revoked token is valid again. The deletion must repeat its condition.
pub(super) async fn denials_beside_sweeps(fixture: Fixture) -> Verdict {
    needs_threads()?;
    let rounds = fixture.denials.div_ceil(DENIERS);
    let mut lost = 0;
    for round in 0..rounds {
        let now = NOW.saturating_add(2 * round * HOUR);
        deny_all(&fixture, now).await?;
        lost += lost_at(&fixture, now.saturating_add(HOUR).saturating_sub(TICK)).await?;
    }

    ensure(
        lost == 0,
        &format!(
            "denials that were acknowledged beside sweeps, lost: {lost} of {}",
            rounds * DENIERS
        ),
    )
}

/// Returns the number of ids that are not denied at `now`.
async fn lost_at(fixture: &Fixture, now: Timestamp) -> Result<u32, Violation> {
    let mut readers = JoinSet::new();
    for number in 0..DENIERS {
        let store = Arc::clone(&fixture.store);
        readers.spawn(async move { store.is_any_denied(&[&id(number)], now).await });
    }
    let mut lost = 0;
    while let Some(denied) = readers.join_next().await {
        lost += u32::from(!denied.map_err(|error| Violation::new(error.to_string()))??);
    }
    Ok(lost)
}

/// Returns the id of that number.
fn id(number: u32) -> String {
    format!("raced {number}")
}

/// Denies all ids for an hour from `now`, while sweepers run.
async fn deny_all(fixture: &Fixture, now: Timestamp) -> Verdict {
    let start = Arc::new(Barrier::new(
        usize::try_from(DENIERS + SWEEPERS).unwrap_or(1),
    ));
    let over = Arc::new(AtomicBool::new(false));
    let mut sweepers = JoinSet::new();
    for _ in 0..SWEEPERS {
        // Small sweeps, again and again, meet more denials in their middle than one large sweep.
        let (store, start, over) = (
            Arc::clone(&fixture.store),
            Arc::clone(&start),
            Arc::clone(&over),
        );
        sweepers.spawn(async move {
            start.wait().await;
            while !over.load(Ordering::SeqCst) {
                store.sweep(now, 8).await?;
                tokio::task::yield_now().await;
            }
            Ok::<_, Failure>(())
        });
    }

    let mut deniers = JoinSet::new();
    for number in 0..DENIERS {
        let (store, start) = (Arc::clone(&fixture.store), Arc::clone(&start));
        deniers.spawn(async move {
            start.wait().await;
            store.deny(&id(number), now.saturating_add(HOUR), now).await
        });
    }

    // The sweepers are stopped before a failed denial is reported: otherwise they would go on for
    // ever.
    let mut denied = Ok(());
    while let Some(outcome) = deniers.join_next().await {
        let outcome = outcome
            .map_err(|error| Violation::new(error.to_string()))
            .and_then(|denied| Ok(denied?));
        denied = denied.and(outcome);
    }
    over.store(true, Ordering::SeqCst);
    while let Some(outcome) = sweepers.join_next().await {
        outcome.map_err(|error| Violation::new(error.to_string()))??;
    }
    denied
}
