//! Clauses about fences that are [`unsettled`](crate::store::TokenStore::unsettled).
//!
//! Signed access tokens are in no store. After [`end_user`](crate::store::TokenStore::end_user)
//! they are valid until their fence is on the denylist. A process that crashes in between leaves
//! the replaced fence unsettled, and the next one denies it and calls
//! [`settle`](crate::store::TokenStore::settle).

use std::time::Duration;

use crate::session::SessionId;
use crate::store::{EndUser, EndedFence, Fence, SweepLimit};
use crate::testing::tokens::fixture::{Fixture, NOW, another, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};
use crate::user::UserKey;

/// Ends everything of the user, except the session `kept`, and leaves the replaced fence unsettled.
async fn end(
    fixture: &Fixture,
    user: &UserKey,
    kept: Option<SessionId>,
) -> Result<Fence, Violation> {
    let fence = another()?;
    fixture
        .store
        .end_user(&EndUser {
            user: user.clone(),
            fence,
            kept,
            settled: false,
            now: NOW,
        })
        .await?;
    Ok(fence)
}

/// Checks that the user's unsettled fences are the `expected` ones, in any order.
async fn unsettled(fixture: &Fixture, user: &UserKey, expected: &[EndedFence]) -> Verdict {
    let found = fixture.store.unsettled(user).await?;
    same(
        "how many fences are unsettled",
        &found.len(),
        &expected.len(),
    )?;
    ensure(
        expected.iter().all(|ended| found.contains(ended)),
        "the fences that are unsettled are not those expected",
    )
}

/// Checks that a replaced fence is listed, with the session that was kept, until it is settled.
///
/// A fence that was settled when it was replaced is not listed, and neither is the current one.
/// Settling a fence that is current, unknown or settled already changes nothing. A settled fence
/// never comes back to the list.
pub(super) async fn lists_what_nobody_settled(fixture: Fixture) -> Verdict {
    let user = fixture.owner();
    let first = fixture.fence(user).await?;
    unsettled(&fixture, user, &[]).await?;
    let second = end(&fixture, user, None).await?;
    let third = end(&fixture, user, Some(session(1)?)).await?;
    let fourth = fixture.end(user, None).await?;
    let fifth = end(&fixture, user, None).await?;
    let all = [
        ended(first, None),
        ended(second, Some(session(1)?)),
        ended(fourth, None),
    ];
    // The third was settled when it was replaced, and the fifth stands.
    unsettled(&fixture, user, &all).await?;
    fixture.store.settle(user, &[], NOW).await?;
    fixture
        .store
        .settle(user, &[third, fifth, another()?], NOW)
        .await?;
    unsettled(&fixture, user, &all).await?;
    let [oldest, middle, latest] = all;
    fixture.store.settle(user, &[middle.fence], NOW).await?;
    unsettled(&fixture, user, &[oldest, latest]).await?;
    for _ in 0..2 {
        fixture
            .store
            .settle(
                user,
                &[oldest.fence, middle.fence, latest.fence],
                minutes(1),
            )
            .await?;
        unsettled(&fixture, user, &[]).await?;
    }

    end(&fixture, user, None).await?;
    unsettled(&fixture, user, &[ended(fifth, None)]).await
}

/// Checks that neither clearing nor sweeping forgets an unsettled fence, for at least a day.
///
/// If it were forgotten, the signed tokens of users who were logged out would stay valid.
pub(super) async fn outlasts_clearing_and_sweeping(fixture: Fixture) -> Verdict {
    let user = fixture.owner();
    let fence = fixture.fence(user).await?;
    end(&fixture, user, None).await?;
    fixture.clear(user, None).await?;

    for hours in 0..24 {
        let (at, day_before) = (
            minutes(60 * hours),
            minutes(60 * hours).saturating_sub(Duration::from_hours(24)),
        );
        let limit = SweepLimit {
            now: at,
            access_created: at,
            refresh_created: at,
            fence_used: day_before,
            rows: 100,
        };
        fixture.store.sweep(&limit).await?;
        unsettled(&fixture, user, &[EndedFence { fence, kept: None }]).await?;
    }
    Ok(())
}

/// Checks that a user's list has only their own fences, and that settling another user's fence
/// changes nothing.
pub(super) async fn is_the_users_own(fixture: Fixture) -> Verdict {
    let mut fences = Vec::new();
    for (number, user) in fixture.users.iter().enumerate() {
        let kept = session(u8::try_from(number).unwrap_or(u8::MAX))?;
        fences.push(EndedFence {
            fence: fixture.fence(user).await?,
            kept: Some(kept),
        });
        end(&fixture, user, Some(kept)).await?;
    }

    let all: Vec<_> = fences.iter().map(|ended| ended.fence).collect();
    for (user, ended) in fixture.users.iter().zip(&fences) {
        unsettled(&fixture, user, &[*ended]).await?;
        // Whoever names everybody's settles their own alone.
        fixture.store.settle(user, &all, NOW).await?;
        unsettled(&fixture, user, &[]).await?;
    }
    Ok(())
}

/// Returns a fence that an ending replaced, with the session that was kept.
const fn ended(fence: Fence, kept: Option<SessionId>) -> EndedFence {
    EndedFence { fence, kept }
}
