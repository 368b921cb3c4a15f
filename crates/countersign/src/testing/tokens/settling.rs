//! Fences that were replaced, and whose signed tokens nobody may have denied yet.

use std::time::Duration;

use crate::answer::SessionId;
use crate::store::{EndUser, EndedFence, Fence, SweepLimit};
use crate::testing::tokens::ground::{Ground, NOW, another, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};
use crate::user::UserKey;

/// Ends what the user has, and leaves the fence that was replaced unsettled.
async fn end(ground: &Ground, user: &UserKey, kept: Option<SessionId>) -> Result<Fence, Violation> {
    let fence = another()?;
    ground.store.end_user(&EndUser { user: user.clone(), fence, kept, settled: false, now: NOW }).await?;
    Ok(fence)
}

/// The user's unsettled fences, each with what was kept, in the order of `expected`.
async fn unsettled(ground: &Ground, user: &UserKey, expected: &[EndedFence]) -> Verdict {
    let found = ground.store.unsettled(user).await?;
    same("how many fences are unsettled", &found.len(), &expected.len())?;
    ensure(expected.iter().all(|ended| found.contains(ended)), "the fences that are unsettled are not those expected")
}

/// Each fence that was replaced is told until it is settled, with the session that was kept; settling is for good.
pub(super) async fn lists_what_nobody_settled(ground: Ground) -> Verdict {
    let user = ground.owner();
    let first = ground.fence(user).await?;
    unsettled(&ground, user, &[]).await?;
    let second = end(&ground, user, None).await?;
    let third = end(&ground, user, Some(session(1)?)).await?;
    let fourth = ground.end(user, None).await?;
    let fifth = end(&ground, user, None).await?;
    let ended = |fence, kept| EndedFence { fence, kept };
    let all = [ended(first, None), ended(second, Some(session(1)?)), ended(fourth, None)];
    // The third was settled when it was replaced, and the fifth stands.
    unsettled(&ground, user, &all).await?;
    ground.store.settle(user, &[], NOW).await?;
    ground.store.settle(user, &[third, fifth, another()?], NOW).await?;
    unsettled(&ground, user, &all).await?;
    let [oldest, middle, latest] = all;
    ground.store.settle(user, &[middle.fence], NOW).await?;
    unsettled(&ground, user, &[oldest, latest]).await?;
    for _ in 0..2 {
        ground.store.settle(user, &[oldest.fence, middle.fence, latest.fence], minutes(1)).await?;
        unsettled(&ground, user, &[]).await?;
    }
    end(&ground, user, None).await?;
    unsettled(&ground, user, &[ended(fifth, None)]).await
}

/// For a day, neither clearing nor sweeping forgets that tokens may still have to be denied.
pub(super) async fn outlasts_clearing_and_sweeping(ground: Ground) -> Verdict {
    let user = ground.owner();
    let fence = ground.fence(user).await?;
    end(&ground, user, None).await?;
    ground.clear(user, None).await?;
    for hours in 0..24 {
        let (at, day_before) = (minutes(60 * hours), minutes(60 * hours).saturating_sub(Duration::from_hours(24)));
        let limit = SweepLimit { now: at, access_created: at, refresh_created: at, fence_used: day_before, rows: 100 };
        ground.store.sweep(&limit).await?;
        unsettled(&ground, user, &[EndedFence { fence, kept: None }]).await?;
    }
    Ok(())
}

pub(super) async fn is_the_users_own(ground: Ground) -> Verdict {
    let mut fences = Vec::new();
    for (number, user) in ground.users.iter().enumerate() {
        let kept = session(u8::try_from(number).unwrap_or(u8::MAX))?;
        fences.push(EndedFence { fence: ground.fence(user).await?, kept: Some(kept) });
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
