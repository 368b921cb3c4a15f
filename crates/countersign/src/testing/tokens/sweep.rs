//! Clauses about [`sweep`](crate::store::TokenStore::sweep), which removes what has expired.

use crate::clock::Timestamp;
use crate::store::{NewAccess, NewRefresh, SweepLimit, Swept};
use crate::testing::tokens::ground::{Ground, LONG_AGO, NOW, TICK, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Records a session's refresh token and its access token under one label, with these times.
async fn insert(
    ground: &Ground,
    label: &str,
    created_at: Timestamp,
    access_end: Option<Timestamp>,
    refresh_end: Option<Timestamp>,
) -> Verdict {
    let access = NewAccess {
        created_at,
        expires_at: access_end,
        ..ground.access(label)
    };
    let refresh = NewRefresh {
        created_at,
        expires_at: refresh_end,
        ..ground.opening(label, session(1)?)
    };
    ground.open(&refresh, Some(&access)).await
}

/// Looks for the access token and the refresh token of that label, and returns `true` for each that
/// is found.
async fn left(ground: &Ground, label: &str) -> Result<(bool, bool), Violation> {
    Ok((
        ground.has_access(label).await?,
        ground.has_refresh(label).await?,
    ))
}

/// Checks that a sweep removes a token at the moment of its `expires_at`, and not a microsecond
/// earlier.
///
/// If a token has an end, its age does not matter. The two tokens of a login expire separately.
pub(super) async fn ends_at_the_exact_moment(ground: Ground) -> Verdict {
    let (before, after) = (NOW.saturating_sub(TICK), NOW.saturating_add(TICK));
    insert(&ground, "before", LONG_AGO, Some(before), Some(before)).await?;
    insert(&ground, "now", minutes(5), Some(NOW), Some(NOW)).await?;
    insert(&ground, "after", LONG_AGO, Some(after), Some(after)).await?;
    insert(&ground, "access alone", NOW, Some(NOW), Some(after)).await?;
    insert(&ground, "refresh alone", NOW, Some(after), Some(NOW)).await?;
    let limit = SweepLimit {
        now: NOW,
        access_created: NOW,
        refresh_created: NOW,
        fence_used: LONG_AGO,
        rows: 100,
    };
    let swept = ground.store.sweep(&limit).await?;
    same(
        "what was swept",
        &swept,
        &Swept {
            access: 3,
            refresh: 3,
            fences: 0,
            more: false,
        },
    )?;
    same(
        "ended before",
        &left(&ground, "before").await?,
        &(false, false),
    )?;
    same(
        "ended at this very moment",
        &left(&ground, "now").await?,
        &(false, false),
    )?;
    same(
        "ends in a tick",
        &left(&ground, "after").await?,
        &(true, true),
    )?;
    same(
        "access ended alone",
        &left(&ground, "access alone").await?,
        &(false, true),
    )?;
    same(
        "refresh ended alone",
        &left(&ground, "refresh alone").await?,
        &(true, false),
    )
}

/// Checks that a token without an end is removed if it was created at or before the limit for its
/// kind.
///
/// Rows that litestar-auth wrote have no end. They age by `access_created` or `refresh_created`.
pub(super) async fn ages_rows_without_an_end(ground: Ground) -> Verdict {
    let (access_created, refresh_created) = (minutes(120), minutes(60));
    for (label, created_at) in [
        ("refresh", refresh_created),
        ("past refresh", refresh_created.saturating_add(TICK)),
        ("access", access_created),
        ("past access", access_created.saturating_add(TICK)),
    ] {
        insert(&ground, label, created_at, None, None).await?;
    }
    let now = minutes(180);
    insert(
        &ground,
        "with an end",
        LONG_AGO,
        Some(now.saturating_add(TICK)),
        Some(now.saturating_add(TICK)),
    )
    .await?;
    let swept = ground
        .store
        .sweep(&SweepLimit {
            now,
            access_created,
            refresh_created,
            fence_used: LONG_AGO,
            rows: 100,
        })
        .await?;
    same(
        "what was swept",
        &swept,
        &Swept {
            access: 3,
            refresh: 1,
            fences: 0,
            more: false,
        },
    )?;
    same(
        "created at the refresh cutoff",
        &left(&ground, "refresh").await?,
        &(false, false),
    )?;
    same(
        "created a tick after it",
        &left(&ground, "past refresh").await?,
        &(false, true),
    )?;
    same(
        "created at the access cutoff",
        &left(&ground, "access").await?,
        &(false, true),
    )?;
    same(
        "created a tick after it",
        &left(&ground, "past access").await?,
        &(true, true),
    )?;
    same(
        "old, with an end to come",
        &left(&ground, "with an end").await?,
        &(true, true),
    )
}

/// Checks that a call removes at most `rows` tokens of each kind, and that repeated calls remove
/// all that have expired.
///
/// `more` must be `true` while something is left, and must become `false`. Live tokens stay.
/// Bounded batches keep a sweep from stalling requests.
pub(super) async fn is_bounded_and_resumable(ground: Ground) -> Verdict {
    for row in 0..7 {
        insert(&ground, &format!("both {row}"), NOW, Some(NOW), Some(NOW)).await?;
    }
    for row in 0..2 {
        let alone = NewAccess {
            expires_at: Some(NOW),
            ..ground.access(&format!("access {row}"))
        };
        ground.record(&alone).await?;
    }
    insert(&ground, "live", NOW, Some(minutes(1)), Some(minutes(1))).await?;
    let limit = SweepLimit {
        now: NOW,
        access_created: LONG_AGO,
        refresh_created: LONG_AGO,
        fence_used: LONG_AGO,
        rows: 2,
    };
    let (mut access, mut refresh) = (0, 0);
    for _ in 0..20 {
        let swept = ground.store.sweep(&limit).await?;
        ensure(
            swept.access <= 2 && swept.refresh <= 2,
            "one call removed more rows than it may",
        )?;
        access += swept.access;
        refresh += swept.refresh;
        if !swept.more {
            break;
        }
    }
    same(
        "access and refresh tokens removed before \"no more\"",
        &(access, refresh),
        &(9, 7),
    )?;
    let idle = ground.store.sweep(&limit).await?;
    same("a call after \"no more\"", &idle, &Swept::default())?;
    same("a live token", &left(&ground, "live").await?, &(true, true))
}

/// Checks that a sweep returns zeros and leaves live tokens if records expire by themselves.
///
/// The sweeper calls again while `more` is `true`, so a store without work must say that there is
/// none.
pub(super) async fn is_left_to_the_store(ground: Ground) -> Verdict {
    let ended = NewAccess {
        expires_at: Some(NOW),
        ..ground.access("ended")
    };
    ground.record(&ended).await?;
    insert(&ground, "live", NOW, Some(minutes(1)), Some(minutes(1))).await?;
    let limit = SweepLimit {
        now: minutes(1),
        access_created: NOW,
        refresh_created: NOW,
        fence_used: LONG_AGO,
        rows: 100,
    };
    same(
        "sweeping",
        &ground.store.sweep(&limit).await?,
        &Swept::default(),
    )?;
    same("a live token", &left(&ground, "live").await?, &(true, true))
}

/// Checks that a sweep without anything to remove succeeds and returns zeros.
///
/// Most sweeps find nothing. They must neither fail nor ask for another call.
pub(super) async fn nothing_to_do_is_a_value(ground: Ground) -> Verdict {
    let limit = SweepLimit {
        now: NOW,
        access_created: LONG_AGO,
        refresh_created: LONG_AGO,
        fence_used: LONG_AGO,
        rows: 10,
    };
    same(
        "sweeping an empty store",
        &ground.store.sweep(&limit).await?,
        &Swept::default(),
    )?;
    insert(&ground, "live", NOW, Some(minutes(1)), None).await?;
    same(
        "sweeping live tokens",
        &ground.store.sweep(&limit).await?,
        &Swept::default(),
    )?;
    same("a live token", &left(&ground, "live").await?, &(true, true))
}
