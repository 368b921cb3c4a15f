//! Denials and sweeps at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::testing::case::needs_threads;
use crate::testing::denylist::{Ground, NOW, TICK};
use crate::testing::violation::{Verdict, Violation, ensure};

/// How many denials are under way at once.
const DENIERS: u32 = 64;

/// How many sweep beside them.
const SWEEPERS: u32 = 2;

/// How long each denial holds.
const HOUR: Duration = Duration::from_hours(1);

/// The same ids are denied anew again and again, each time when their entries have just ended and sweepers take those
/// away: no denial that was acknowledged is lost.
pub(super) async fn denials_beside_sweeps(ground: Ground) -> Verdict {
    needs_threads()?;
    let rounds = ground.denials.div_ceil(DENIERS);
    let mut lost = 0;
    for round in 0..rounds {
        let now = NOW.saturating_add(2 * round * HOUR);
        deny_all(&ground, now).await?;
        lost += lost_at(&ground, now.saturating_add(HOUR).saturating_sub(TICK)).await?;
    }
    ensure(lost == 0, &format!("denials that were acknowledged beside sweeps, lost: {lost} of {}", rounds * DENIERS))
}

async fn lost_at(ground: &Ground, now: Timestamp) -> Result<u32, Violation> {
    let mut readers = JoinSet::new();
    for number in 0..DENIERS {
        let store = Arc::clone(&ground.store);
        readers.spawn(async move { store.is_any_denied(&[&id(number)], now).await });
    }
    let mut lost = 0;
    while let Some(denied) = readers.join_next().await {
        lost += u32::from(!denied.map_err(|error| Violation::new(error.to_string()))??);
    }
    Ok(lost)
}

fn id(number: u32) -> String {
    format!("raced {number}")
}

async fn deny_all(ground: &Ground, now: Timestamp) -> Verdict {
    let start = Arc::new(Barrier::new(usize::try_from(DENIERS + SWEEPERS).unwrap_or(1)));
    let over = Arc::new(AtomicBool::new(false));
    let mut sweepers = JoinSet::new();
    for _ in 0..SWEEPERS {
        let (store, start, over) = (Arc::clone(&ground.store), Arc::clone(&start), Arc::clone(&over));
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
        let (store, start) = (Arc::clone(&ground.store), Arc::clone(&start));
        deniers.spawn(async move {
            start.wait().await;
            store.deny(&id(number), now.saturating_add(HOUR), now).await
        });
    }
    let mut denied = Ok(());
    while let Some(outcome) = deniers.join_next().await {
        let outcome = outcome.map_err(|error| Violation::new(error.to_string())).and_then(|denied| Ok(denied?));
        denied = denied.and(outcome);
    }
    over.store(true, Ordering::SeqCst);
    while let Some(outcome) = sweepers.join_next().await {
        outcome.map_err(|error| Violation::new(error.to_string()))??;
    }
    denied
}
