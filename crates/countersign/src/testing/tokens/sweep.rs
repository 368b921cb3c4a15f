//! Clauses about [`sweep`](crate::store::TokenStore::sweep), which removes what has expired.

use crate::clock::Timestamp;
use crate::store::{NewAccess, NewRefresh, SweepLimit, Swept};
use crate::testing::tokens::fixture::{Fixture, LONG_AGO, NOW, TICK, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Records a session's refresh token and its access token under one label, with these times.
async fn insert(
    fixture: &Fixture,
    label: &str,
    created_at: Timestamp,
    access_end: Option<Timestamp>,
    refresh_end: Option<Timestamp>,
) -> Verdict {
    let access = NewAccess {
        created_at,
        expires_at: access_end,
        ..fixture.access(label)
    };
    let refresh = NewRefresh {
        created_at,
        expires_at: refresh_end,
        ..fixture.opening(label, session(1)?)
    };
    fixture.open(&refresh, Some(&access)).await
}

/// Looks for the access token and the refresh token of that label, and returns `true` for each that
/// is found.
async fn left(fixture: &Fixture, label: &str) -> Result<(bool, bool), Violation> {
    Ok((
        fixture.has_access(label).await?,
        fixture.has_refresh(label).await?,
    ))
}

/// Checks that a sweep removes a token at the moment of its `expires_at`, and not a microsecond
/// earlier.
///
/// If a token has an end, its age does not matter. The two tokens of a login expire separately.
pub(super) async fn ends_at_the_exact_moment(fixture: Fixture) -> Verdict {
    let (before, after) = (NOW.saturating_sub(TICK), NOW.saturating_add(TICK));
    insert(&fixture, "before", LONG_AGO, Some(before), Some(before)).await?;
    insert(&fixture, "now", minutes(5), Some(NOW), Some(NOW)).await?;
    insert(&fixture, "after", LONG_AGO, Some(after), Some(after)).await?;
    insert(&fixture, "access alone", NOW, Some(NOW), Some(after)).await?;
    insert(&fixture, "refresh alone", NOW, Some(after), Some(NOW)).await?;
    let limit = SweepLimit {
        now: NOW,
        access_created: NOW,
        refresh_created: NOW,
        fence_used: LONG_AGO,
        rows: 100,
    };

    let swept = fixture.store.sweep(&limit).await?;
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
        &left(&fixture, "before").await?,
        &(false, false),
    )?;
    same(
        "ended at this very moment",
        &left(&fixture, "now").await?,
        &(false, false),
    )?;
    same(
        "ends in a tick",
        &left(&fixture, "after").await?,
        &(true, true),
    )?;
    same(
        "access ended alone",
        &left(&fixture, "access alone").await?,
        &(false, true),
    )?;
    same(
        "refresh ended alone",
        &left(&fixture, "refresh alone").await?,
        &(true, false),
    )
}

/// Checks that a token without an end is removed if it was created at or before the limit for its
/// kind.
///
/// Rows that litestar-auth wrote have no end. They age by `access_created` or `refresh_created`.
pub(super) async fn ages_rows_without_an_end(fixture: Fixture) -> Verdict {
    let (access_created, refresh_created) = (minutes(120), minutes(60));
    for (label, created_at) in [
        ("refresh", refresh_created),
        ("past refresh", refresh_created.saturating_add(TICK)),
        ("access", access_created),
        ("past access", access_created.saturating_add(TICK)),
    ] {
        insert(&fixture, label, created_at, None, None).await?;
    }

    let now = minutes(180);
    insert(
        &fixture,
        "with an end",
        LONG_AGO,
        Some(now.saturating_add(TICK)),
        Some(now.saturating_add(TICK)),
    )
    .await?;

    let swept = fixture
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
        &left(&fixture, "refresh").await?,
        &(false, false),
    )?;
    same(
        "created a tick after it",
        &left(&fixture, "past refresh").await?,
        &(false, true),
    )?;
    same(
        "created at the access cutoff",
        &left(&fixture, "access").await?,
        &(false, true),
    )?;
    same(
        "created a tick after it",
        &left(&fixture, "past access").await?,
        &(true, true),
    )?;
    same(
        "old, with an end to come",
        &left(&fixture, "with an end").await?,
        &(true, true),
    )
}

/// Checks that a call removes at most `rows` tokens of each kind, and that repeated calls remove
/// all that have expired.
///
/// `more` must be `true` while something is left, and must become `false`. Live tokens stay.
/// Bounded batches keep a sweep from stalling requests.
pub(super) async fn is_bounded_and_resumable(fixture: Fixture) -> Verdict {
    for row in 0..7 {
        insert(&fixture, &format!("both {row}"), NOW, Some(NOW), Some(NOW)).await?;
    }

    for row in 0..2 {
        let alone = NewAccess {
            expires_at: Some(NOW),
            ..fixture.access(&format!("access {row}"))
        };
        fixture.record(&alone).await?;
    }
    insert(&fixture, "live", NOW, Some(minutes(1)), Some(minutes(1))).await?;
    let limit = SweepLimit {
        now: NOW,
        access_created: LONG_AGO,
        refresh_created: LONG_AGO,
        fence_used: LONG_AGO,
        rows: 2,
    };
    let (mut access, mut refresh) = (0, 0);
    for _ in 0..20 {
        let swept = fixture.store.sweep(&limit).await?;
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
    let idle = fixture.store.sweep(&limit).await?;
    same("a call after \"no more\"", &idle, &Swept::default())?;
    same(
        "a live token",
        &left(&fixture, "live").await?,
        &(true, true),
    )
}

/// Checks that a sweep returns zeros and leaves live tokens if records expire by themselves.
///
/// The sweeper calls again while `more` is `true`, so a store without work must say that there is
/// none.
pub(super) async fn is_left_to_the_store(fixture: Fixture) -> Verdict {
    let ended = NewAccess {
        expires_at: Some(NOW),
        ..fixture.access("ended")
    };
    fixture.record(&ended).await?;
    insert(&fixture, "live", NOW, Some(minutes(1)), Some(minutes(1))).await?;
    let limit = SweepLimit {
        now: minutes(1),
        access_created: NOW,
        refresh_created: NOW,
        fence_used: LONG_AGO,
        rows: 100,
    };

    same(
        "sweeping",
        &fixture.store.sweep(&limit).await?,
        &Swept::default(),
    )?;
    same(
        "a live token",
        &left(&fixture, "live").await?,
        &(true, true),
    )
}

/// Checks that a sweep without anything to remove succeeds and returns zeros.
///
/// Most sweeps find nothing. They must neither fail nor ask for another call.
pub(super) async fn nothing_to_do_is_a_value(fixture: Fixture) -> Verdict {
    let limit = SweepLimit {
        now: NOW,
        access_created: LONG_AGO,
        refresh_created: LONG_AGO,
        fence_used: LONG_AGO,
        rows: 10,
    };
    same(
        "sweeping an empty store",
        &fixture.store.sweep(&limit).await?,
        &Swept::default(),
    )?;

    insert(&fixture, "live", NOW, Some(minutes(1)), None).await?;
    same(
        "sweeping live tokens",
        &fixture.store.sweep(&limit).await?,
        &Swept::default(),
    )?;
    same(
        "a live token",
        &left(&fixture, "live").await?,
        &(true, true),
    )
}
