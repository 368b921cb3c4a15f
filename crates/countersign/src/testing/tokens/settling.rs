//! Clauses about fences that are [`unsettled`](crate::store::TokenStore::unsettled).
//!
//! Signed access tokens are in no store. After [`end_user`](crate::store::TokenStore::end_user)
//! they are valid until their fence is on the denylist. A process that crashes in between leaves
//! the replaced fence unsettled, and the next one denies it and calls
//! [`settle`](crate::store::TokenStore::settle).

use std::time::Duration;

use crate::session::SessionId;
use crate::store::{EndUser, EndedFence, Fence, SweepLimit};
use crate::testing::tokens::ground::{Ground, NOW, another, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};
use crate::user::UserKey;

/// Ends everything of the user, except the session `kept`, and leaves the replaced fence unsettled.
async fn end(ground: &Ground, user: &UserKey, kept: Option<SessionId>) -> Result<Fence, Violation> {
    let fence = another()?;
    ground
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
async fn unsettled(ground: &Ground, user: &UserKey, expected: &[EndedFence]) -> Verdict {
    let found = ground.store.unsettled(user).await?;
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
pub(super) async fn lists_what_nobody_settled(ground: Ground) -> Verdict {
    let user = ground.owner();
    let first = ground.fence(user).await?;
    unsettled(&ground, user, &[]).await?;
    let second = end(&ground, user, None).await?;
    let third = end(&ground, user, Some(session(1)?)).await?;
    let fourth = ground.end(user, None).await?;
    let fifth = end(&ground, user, None).await?;
    let ended = |fence, kept| EndedFence { fence, kept };
    let all = [
        ended(first, None),
        ended(second, Some(session(1)?)),
        ended(fourth, None),
    ];
    // The third was settled when it was replaced, and the fifth stands.
    unsettled(&ground, user, &all).await?;
    ground.store.settle(user, &[], NOW).await?;
    ground
        .store
        .settle(user, &[third, fifth, another()?], NOW)
        .await?;
    unsettled(&ground, user, &all).await?;
    let [oldest, middle, latest] = all;
    ground.store.settle(user, &[middle.fence], NOW).await?;
    unsettled(&ground, user, &[oldest, latest]).await?;
    for _ in 0..2 {
        ground
            .store
            .settle(
                user,
                &[oldest.fence, middle.fence, latest.fence],
                minutes(1),
            )
            .await?;
        unsettled(&ground, user, &[]).await?;
    }
    end(&ground, user, None).await?;
    unsettled(&ground, user, &[ended(fifth, None)]).await
}

/// Checks that neither clearing nor sweeping forgets an unsettled fence, for at least a day.
///
/// If it were forgotten, the signed tokens of users who were logged out would stay valid.
pub(super) async fn outlasts_clearing_and_sweeping(ground: Ground) -> Verdict {
    let user = ground.owner();
    let fence = ground.fence(user).await?;
    end(&ground, user, None).await?;
    ground.clear(user, None).await?;
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
        ground.store.sweep(&limit).await?;
        unsettled(&ground, user, &[EndedFence { fence, kept: None }]).await?;
    }
    Ok(())
}

/// Checks that a user's list has only their own fences, and that settling another user's fence
/// changes nothing.
pub(super) async fn is_the_users_own(ground: Ground) -> Verdict {
    let mut fences = Vec::new();
    for (number, user) in ground.users.iter().enumerate() {
        let kept = session(u8::try_from(number).unwrap_or(u8::MAX))?;
        fences.push(EndedFence {
            fence: ground.fence(user).await?,
            kept: Some(kept),
        });
        end(&ground, user, Some(kept)).await?;
    }
    let all: Vec<_> = fences.iter().map(|ended| ended.fence).collect();
    for (user, ended) in ground.users.iter().zip(&fences) {
        unsettled(&ground, user, &[*ended]).await?;
        // Whoever names everybody's settles their own alone.
        ground.store.settle(user, &all, NOW).await?;
        unsettled(&ground, user, &[]).await?;
    }
    Ok(())
}
