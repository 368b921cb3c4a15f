//! Clauses about [`survey`](crate::store::TokenStore::survey), which counts a user's sessions.

use crate::clock::Timestamp;
use crate::store::{NewRefresh, RotateOutcome, RotateRequest, SweepLimit, UserSurvey};
use crate::testing::tokens::fixture::{Fixture, NOW, TICK, limit, minutes, session};
use crate::testing::violation::{Verdict, Violation, same};

/// Returns the number of the owner's sessions that can be refreshed, and the latest end of their
/// signed access tokens.
async fn survey(
    fixture: &Fixture,
    limit: &SweepLimit,
) -> Result<(u64, Option<Timestamp>), Violation> {
    let UserSurvey {
        sessions,
        access_expires_at,
        ..
    } = fixture.store.survey(fixture.owner(), limit).await?;
    Ok((sessions, access_expires_at))
}

/// Checks that a survey counts the user's sessions that have not expired.
///
/// A session has expired at the moment of its `expires_at`. One without it has expired if its token
/// was created at or before `refresh_created`. Tokens without a session and other users' sessions
/// are not counted. The cap on a user's sessions rests on this number.
pub(super) async fn counts_what_can_be_refreshed(fixture: Fixture) -> Verdict {
    same(
        "a survey of a user without sessions",
        &survey(&fixture, &limit(NOW, NOW)).await?,
        &(0, None),
    )?;
    let later = minutes(100);
    let sessions = [
        opened(&fixture, 1, NOW, Some(minutes(24 * 60)))?,
        opened(&fixture, 2, NOW, Some(later.saturating_add(TICK)))?,
        // These two have expired, the first of them at this very moment.
        opened(&fixture, 3, NOW, Some(later))?,
        opened(&fixture, 4, NOW, Some(later.saturating_sub(TICK)))?,
        // Created at the limit, and a microsecond after it.
        opened(&fixture, 5, minutes(50), None)?,
        opened(&fixture, 6, minutes(50).saturating_add(TICK), None)?,
        NewRefresh {
            user: fixture.stranger().clone(),
            ..opened(&fixture, 7, NOW, Some(minutes(24 * 60)))?
        },
        fixture.refresh("loose"),
    ];
    for opening in &sessions {
        fixture.open(opening, None).await?;
    }

    let of_age = SweepLimit {
        access_created: NOW,
        ..limit(later, minutes(50))
    };
    same(
        "sessions that can be refreshed",
        &survey(&fixture, &of_age).await?,
        &(3, None),
    )?;

    same(
        "rotating",
        &fixture
            .store
            .rotate(&fixture.rotate("token 1", "new", session(1)?))
            .await?,
        &RotateOutcome::Done,
    )?;
    same(
        "sessions after a rotation",
        &survey(&fixture, &of_age).await?,
        &(3, None),
    )?;
    fixture
        .store
        .end_session(session(2)?, fixture.owner())
        .await?;
    same(
        "sessions after a logout",
        &survey(&fixture, &of_age).await?,
        &(2, None),
    )
}

/// Checks that a survey returns the latest end of a signed access token among the sessions that it
/// counts.
///
/// "Log out everywhere" denies the user's fence at least until
/// then. The time must follow rotations, and an
/// expired or ended session must not count.
pub(super) async fn tells_the_latest_signed_end(fixture: Fixture) -> Verdict {
    let of_day = limit(NOW, NOW);
    let ends = [
        None,
        Some(minutes(30)),
        Some(minutes(90).saturating_add(TICK)),
        None,
        Some(minutes(60)),
    ];
    for (number, access_expires_at) in (1..).zip(ends) {
        let opening = fixture.opening(&format!("token {number}"), session(number)?);
        let expires_at = Some(minutes(24 * 60 + u64::from(number)));
        fixture
            .open(
                &NewRefresh {
                    expires_at,
                    access_expires_at,
                    ..opening
                },
                None,
            )
            .await?;
    }

    let stranger = NewRefresh {
        user: fixture.stranger().clone(),
        access_expires_at: Some(minutes(500)),
        ..fixture.opening("stranger", session(9)?)
    };
    fixture.open(&stranger, None).await?;
    let latest = Some(minutes(90).saturating_add(TICK));
    same(
        "five sessions and their latest end",
        &survey(&fixture, &of_day).await?,
        &(5, latest),
    )?;
    let third_is_over = limit(minutes(24 * 60 + 3), NOW);
    same(
        "when three have expired",
        &survey(&fixture, &third_is_over).await?,
        &(2, Some(minutes(60))),
    )?;

    fixture
        .store
        .end_session(session(3)?, fixture.owner())
        .await?;
    same(
        "without the latest of them",
        &survey(&fixture, &of_day).await?,
        &(4, Some(minutes(60))),
    )?;
    let signed = RotateRequest {
        access_expires_at: Some(minutes(75)),
        access: None,
        ..fixture.rotate("token 1", "new", session(1)?)
    };

    same(
        "rotating",
        &fixture.store.rotate(&signed).await?,
        &RotateOutcome::Done,
    )?;
    same(
        "after a rotation with a later one",
        &survey(&fixture, &of_day).await?,
        &(4, Some(minutes(75))),
    )?;
    fixture.end_all(fixture.owner(), None).await?;
    same(
        "after the end of everything",
        &survey(&fixture, &of_day).await?,
        &(0, None),
    )
}

/// Returns a refresh token of the owner that opens the session of that number.
fn opened(
    fixture: &Fixture,
    number: u8,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<NewRefresh, Violation> {
    Ok(NewRefresh {
        created_at,
        expires_at,
        ..fixture.opening(&format!("token {number}"), session(number)?)
    })
}
