//! Clauses about [`clear`](crate::store::TokenStore::clear), which removes what an
//! [`end_user`](crate::store::TokenStore::end_user) ended.

use crate::store::{ClearUser, Cleared, NewAccess, NewRefresh, Opened, SweepLimit};
use crate::testing::tokens::fixture::{Fixture, LONG_AGO, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// The number of sessions behind the fence, and of those behind no fence.
const SESSIONS: u8 = 7;

/// Opens [`SESSIONS`] sessions behind the fence and as many behind none, each with an access token.
///
/// Sessions with even numbers are behind the fence.
async fn open_both(fixture: &Fixture) -> Verdict {
    let fence = fixture.fence(fixture.owner()).await?;
    for number in 1..=2 * SESSIONS {
        let (label, session) = (format!("session {number}"), session(number)?);
        let login = NewRefresh {
            fence: Some(fence).filter(|_| number % 2 == 0),
            ..fixture.opening(&label, session)
        };
        let access = NewAccess {
            session: Some(session),
            ..fixture.access(&label)
        };

        same(
            "logging in",
            &fixture.store.insert_refresh(&login, Some(&access)).await?,
            &Opened::Done,
        )?;
    }
    Ok(())
}

/// Returns the number of sessions of which any token is found.
async fn left(fixture: &Fixture) -> Result<u8, Violation> {
    let mut left = 0;
    for number in 1..=2 * SESSIONS {
        let label = format!("session {number}");
        left += u8::from(fixture.has_access(&label).await? || fixture.has_refresh(&label).await?);
    }
    Ok(left)
}

/// Checks that a call removes at most `rows` tokens of each kind, and that repeated calls remove
/// everything.
///
/// `more` must be `true` while something is left, and must become `false`. A call after that
/// removes nothing. Bounded batches let a user with very many sessions be cleared without stalling
/// others.
pub(super) async fn is_bounded_and_resumable(fixture: Fixture) -> Verdict {
    open_both(&fixture).await?;
    fixture.end(fixture.owner(), None).await?;
    for unfenced in [true, false] {
        let clear = ClearUser {
            user: fixture.owner().clone(),
            unfenced,
            kept: None,
            rows: 2,
        };
        let mut calls = 0;
        loop {
            let cleared = fixture.store.clear(&clear).await?;
            ensure(
                cleared.removed <= 4,
                "one call removed more rows than it may",
            )?;
            calls += 1;
            if !cleared.more {
                break;
            }
            ensure(calls < 100, "clearing does not come to an end")?;
        }

        same(
            "sessions that are left after \"no more\"",
            &left(&fixture).await?,
            &0,
        )?;
        same(
            "a call after \"no more\"",
            &fixture.store.clear(&clear).await?,
            &Cleared::default(),
        )?;
    }
    Ok(())
}

/// Checks that a call never removes what is recorded behind the current fence, however often it is
/// made.
///
/// It also leaves the fence itself. With `unfenced` it removes only tokens behind no fence.
pub(super) async fn leaves_what_lives(fixture: Fixture) -> Verdict {
    let replaced = fixture.end(fixture.owner(), None).await?;
    open_both(&fixture).await?;
    let fenced = ClearUser {
        user: fixture.owner().clone(),
        unfenced: false,
        kept: None,
        rows: 100,
    };
    for _ in 0..3 {
        fixture.store.clear(&fenced).await?;
    }
    same(
        "sessions that are left",
        &left(&fixture).await?,
        &(2 * SESSIONS),
    )?;

    for _ in 0..3 {
        fixture
            .store
            .clear(&ClearUser {
                unfenced: true,
                ..fenced.clone()
            })
            .await?;
    }

    for number in (2..=2 * SESSIONS).step_by(2) {
        let label = format!("session {number}");
        let there = fixture.has_access(&label).await? && fixture.has_refresh(&label).await?;
        ensure(
            there,
            "clearing ended a session behind the fence that stands",
        )?;
    }
    same(
        "the fence",
        &fixture.fence(fixture.owner()).await?,
        &replaced,
    )
}

/// Checks that sessions stay ended if nobody clears them and only sweeps remove them.
///
/// The process that should clear may crash. For 48 hours sweeps run that forget fences as soon as
/// they may. None of the ended sessions may come back, the kept session and a later login stay, and
/// after 40 hours nothing is left to sweep.
pub(super) async fn may_be_left_to_sweeps(fixture: Fixture) -> Verdict {
    let fence = fixture.fence(fixture.owner()).await?;
    let month = minutes(30 * 24 * 60);
    for number in 1..=2 * SESSIONS {
        let (label, session) = (format!("session {number}"), session(number)?);
        let login = NewRefresh {
            fence: Some(fence),
            expires_at: Some(month),
            ..fixture.opening(&label, session)
        };
        let access = NewAccess {
            session: Some(session),
            expires_at: Some(month),
            ..fixture.access(&label)
        };
        same(
            "logging in",
            &fixture.store.insert_refresh(&login, Some(&access)).await?,
            &Opened::Done,
        )?;
    }

    let replaced = fixture.end(fixture.owner(), Some(session(2)?)).await?;
    let later = NewRefresh {
        fence: Some(replaced),
        expires_at: Some(month),
        ..fixture.opening("later", session(0x70)?)
    };

    same(
        "a login after the end",
        &fixture.store.insert_refresh(&later, None).await?,
        &Opened::Done,
    )?;

    for hours in 0..48 {
        let at = minutes(60 * hours);
        let limit = SweepLimit {
            now: at,
            access_created: LONG_AGO,
            refresh_created: LONG_AGO,
            fence_used: at,
            rows: 2,
        };
        let swept = fixture.store.sweep(&limit).await?;
        same(
            "sessions that go on beside sweeps",
            &left(&fixture).await?,
            &1,
        )?;
        ensure(
            fixture.has_access("session 2").await?,
            "a sweep ended the session that was kept",
        )?;
        fixture.holds_refresh(&later).await?;
        same(
            "the fence beside sweeps",
            &fixture.fence(fixture.owner()).await?,
            &replaced,
        )?;
        ensure(
            hours < 40 || !swept.more,
            "sweeping what was ended does not come to an end",
        )?;
    }
    Ok(())
}
