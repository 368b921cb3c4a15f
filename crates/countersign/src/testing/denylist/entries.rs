//! One entry, from its denial to its end.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::testing::case::needs_threads;
use crate::testing::denylist::{Ground, NOW, TICK, minutes};
use crate::testing::violation::{Verdict, Violation, ensure};

const ID: &str = "0f8fad5bd9cb469fa16570867728950e";

pub(super) async fn denied_is_denied(ground: Ground) -> Verdict {
    ground.store.deny(ID, minutes(15), NOW).await?;
    for now in [NOW, minutes(1), minutes(14)] {
        ensure(ground.store.is_any_denied(&[ID], now).await?, "a denied id is not denied")?;
    }
    Ok(())
}

pub(super) async fn unknown_is_a_value(ground: Ground) -> Verdict {
    ensure(!ground.store.is_any_denied(&[ID], NOW).await?, "an empty denylist denies an id")?;
    ensure(!ground.store.is_any_denied(&[], NOW).await?, "an empty denylist denies no id at all")?;
    ground.store.deny(ID, minutes(15), NOW).await?;
    ensure(!ground.store.is_any_denied(&["another"], NOW).await?, "an id is denied that nobody denied")?;
    ensure(!ground.store.is_any_denied(&[], NOW).await?, "none of no ids can be denied")
}

/// Denied up to its end, not at it: at that moment the token itself, leeway included, has ended.
pub(super) async fn end_at_the_exact_moment(ground: Ground) -> Verdict {
    let until = minutes(15).saturating_add(TICK);
    ground.store.deny(ID, until, NOW).await?;
    ensure(ground.store.is_any_denied(&[ID], until.saturating_sub(TICK)).await?, "an entry ended a tick too early")?;
    ensure(!ground.store.is_any_denied(&[ID], until).await?, "an entry outlives its end")?;
    ensure(!ground.store.is_any_denied(&[ID], until.saturating_add(TICK)).await?, "an entry outlives its end")
}

pub(super) async fn are_never_shortened(ground: Ground) -> Verdict {
    ground.store.deny(ID, minutes(60), NOW).await?;
    for until in [minutes(5), minutes(59), NOW] {
        ground.store.deny(ID, until, NOW).await?;
        let denied = ground.store.is_any_denied(&[ID], minutes(60).saturating_sub(TICK)).await?;
        ensure(denied, "denying again shortened an entry")?;
    }
    Ok(())
}

/// A server whose clock is behind means an earlier end than another does: the later one counts, whoever comes last.
pub(super) async fn are_never_shortened_by_a_clock_behind(ground: Ground) -> Verdict {
    let (ahead, behind) = (minutes(30), minutes(2));
    for (id, first, second) in [("ahead first", ahead, behind), ("behind first", behind, ahead)] {
        for now in [first, second, behind.saturating_sub(Duration::from_hours(1))] {
            ground.store.deny(id, now.saturating_add(Duration::from_mins(15)), now).await?;
        }
        let denied = ground.store.is_any_denied(&[id], minutes(45).saturating_sub(TICK)).await?;
        ensure(denied, "a denial by a clock that is behind shortened an entry")?;
        ensure(!ground.store.is_any_denied(&[id], minutes(45)).await?, "an entry outlives its end")?;
    }
    Ok(())
}

pub(super) async fn are_extended(ground: Ground) -> Verdict {
    ground.store.deny(ID, minutes(5), NOW).await?;
    ground.store.deny(ID, minutes(60), minutes(1)).await?;
    let denied = ground.store.is_any_denied(&[ID], minutes(60).saturating_sub(TICK)).await?;
    ensure(denied, "denying again for longer did not extend the entry")?;
    ensure(!ground.store.is_any_denied(&[ID], minutes(60)).await?, "an entry outlives its end")
}

pub(super) async fn longest_of_many_callers_wins(ground: Ground) -> Verdict {
    needs_threads()?;
    for round in 0..8 {
        let id = format!("{ID}{round}");
        let mut calls = JoinSet::new();
        for caller in 0..32 {
            let (store, id) = (ground.store.clone(), id.clone());
            // Neither first nor last in order of starting.
            let until = minutes(1 + (caller * 13) % 32);
            calls.spawn(async move { store.deny(&id, until, NOW).await });
        }
        while let Some(outcome) = calls.join_next().await {
            outcome.map_err(|error| Violation::new(error.to_string()))??;
        }
        let denied = ground.store.is_any_denied(&[&id], minutes(32).saturating_sub(TICK)).await?;
        ensure(denied, "a shorter denial won over a longer one beside it")?;
    }
    Ok(())
}

/// A token that has ended needs no entry, and asking for one is no error.
pub(super) async fn ended_already_is_a_value(ground: Ground) -> Verdict {
    for until in [NOW, NOW.saturating_sub(TICK)] {
        ground.store.deny(ID, until, NOW).await?;
        ensure(!ground.store.is_any_denied(&[ID], NOW).await?, "an entry outlives its end")?;
    }
    Ok(())
}

pub(super) async fn can_be_denied_anew(ground: Ground) -> Verdict {
    ground.store.deny(ID, minutes(5), NOW).await?;
    ground.store.deny(ID, minutes(30), minutes(20)).await?;
    ensure(ground.store.is_any_denied(&[ID], minutes(25)).await?, "an id could not be denied again after its end")
}

/// Asking at a late moment doesn't remove the entry for whoever asks at an earlier one: clocks differ.
pub(super) async fn reads_do_not_write(ground: Ground) -> Verdict {
    ground.store.deny(ID, minutes(15), NOW).await?;
    ensure(!ground.store.is_any_denied(&[ID], minutes(16)).await?, "an entry outlives its end")?;
    ensure(ground.store.is_any_denied(&[ID], minutes(14)).await?, "a read removed an entry")
}
