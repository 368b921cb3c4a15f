//! The removal of what an ending left.

use crate::store::{ClearUser, Cleared, NewAccess, NewRefresh, Opened, SweepLimit};
use crate::testing::tokens::ground::{Ground, LONG_AGO, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// The sessions of these cases that asked for the fence, and those that didn't.
const SESSIONS: u8 = 7;

/// Opens as many sessions behind the fence as behind none, each with an access token.
async fn open_both(ground: &Ground) -> Verdict {
    let fence = ground.fence(ground.owner()).await?;
    for number in 1..=2 * SESSIONS {
        let (label, session) = (format!("session {number}"), session(number)?);
        let login = NewRefresh { fence: Some(fence).filter(|_| number % 2 == 0), ..ground.opening(&label, session) };
        let access = NewAccess { session: Some(session), ..ground.access(&label) };
        same("logging in", &ground.store.insert_refresh(&login, Some(&access)).await?, &Opened::Done)?;
    }
    Ok(())
}

/// How many of the sessions are found, by any of their tokens.
async fn left(ground: &Ground) -> Result<u8, Violation> {
    let mut left = 0;
    for number in 1..=2 * SESSIONS {
        let label = format!("session {number}");
        left += u8::from(ground.has_access(&label).await? || ground.has_refresh(&label).await?);
    }
    Ok(left)
}

/// Each call removes at most so many of each kind; `more` is never false while some are left, nor true for ever.
pub(super) async fn is_bounded_and_resumable(ground: Ground) -> Verdict {
    open_both(&ground).await?;
    ground.end(ground.owner(), None).await?;
    for unfenced in [true, false] {
        let clear = ClearUser { user: ground.owner().clone(), unfenced, kept: None, rows: 2 };
        let mut calls = 0;
        loop {
            let cleared = ground.store.clear(&clear).await?;
            ensure(cleared.removed <= 4, "one call removed more rows than it may")?;
            calls += 1;
            if !cleared.more {
                break;
            }
            ensure(calls < 100, "clearing does not come to an end")?;
        }
        same("sessions that are left after \"no more\"", &left(&ground).await?, &0)?;
        same("a call after \"no more\"", &ground.store.clear(&clear).await?, &Cleared::default())?;
    }
    Ok(())
}

/// Clearing ends nothing by itself: what the standing fence is before stays, whoever clears and however often.
pub(super) async fn leaves_what_lives(ground: Ground) -> Verdict {
    let replaced = ground.end(ground.owner(), None).await?;
    open_both(&ground).await?;
    let fenced = ClearUser { user: ground.owner().clone(), unfenced: false, kept: None, rows: 100 };
    for _ in 0..3 {
        ground.store.clear(&fenced).await?;
    }
    same("sessions that are left", &left(&ground).await?, &(2 * SESSIONS))?;
    for _ in 0..3 {
        ground.store.clear(&ClearUser { unfenced: true, ..fenced.clone() }).await?;
    }
    for number in (2..=2 * SESSIONS).step_by(2) {
        let label = format!("session {number}");
        let there = ground.has_access(&label).await? && ground.has_refresh(&label).await?;
        ensure(there, "clearing ended a session behind the fence that stands")?;
    }
    same("the fence", &ground.fence(ground.owner()).await?, &replaced)
}

/// Until it is cleared away, what has ended stays ended, whatever a sweep removes before and however late.
pub(super) async fn may_be_left_to_sweeps(ground: Ground) -> Verdict {
    let fence = ground.fence(ground.owner()).await?;
    let month = minutes(30 * 24 * 60);
    for number in 1..=2 * SESSIONS {
        let (label, session) = (format!("session {number}"), session(number)?);
        let login = NewRefresh { fence: Some(fence), expires_at: Some(month), ..ground.opening(&label, session) };
        let access = NewAccess { session: Some(session), expires_at: Some(month), ..ground.access(&label) };
        same("logging in", &ground.store.insert_refresh(&login, Some(&access)).await?, &Opened::Done)?;
    }
    let replaced = ground.end(ground.owner(), Some(session(2)?)).await?;
    let later =
        NewRefresh { fence: Some(replaced), expires_at: Some(month), ..ground.opening("later", session(0x70)?) };
    same("a login after the end", &ground.store.insert_refresh(&later, None).await?, &Opened::Done)?;
    for hours in 0..48 {
        let at = minutes(60 * hours);
        let limit =
            SweepLimit { now: at, access_created: LONG_AGO, refresh_created: LONG_AGO, fence_used: at, rows: 2 };
        let swept = ground.store.sweep(&limit).await?;
        same("sessions that go on beside sweeps", &left(&ground).await?, &1)?;
        ensure(ground.has_access("session 2").await?, "a sweep ended the session that was kept")?;
        ground.holds_refresh(&later).await?;
        same("the fence beside sweeps", &ground.fence(ground.owner()).await?, &replaced)?;
        ensure(hours < 40 || !swept.more, "sweeping what was ended does not come to an end")?;
    }
    Ok(())
}
