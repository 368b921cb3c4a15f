//! What stands between a login in flight and a "log out everywhere" (promise P4).

use std::time::Duration;

use crate::entropy::SystemEntropy;
use crate::store::{Fence, NewAccess, NewRefresh, Opened, SweepLimit};
use crate::testing::tokens::ground::{Ground, NOW, TICK, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

fn another() -> Result<Fence, Violation> {
    Ok(Fence::generate(&SystemEntropy)?)
}

/// Whoever asks, and whatever they offer, the fence is one and the same until it is raised; then it is the new one.
pub(super) async fn stands_until_it_is_raised(ground: Ground) -> Verdict {
    let first = ground.store.fence(ground.owner(), another()?, NOW).await?;
    let again = ground.store.fence(ground.owner(), another()?, minutes(1)).await?;
    same("a fence that nobody raised", &again, &first)?;
    let raised = another()?;
    ground.store.raise_fence(ground.owner(), raised, minutes(2)).await?;
    same("a fence that was raised", &ground.store.fence(ground.owner(), another()?, minutes(3)).await?, &raised)?;
    let removed = ground.store.remove_user(ground.owner()).await?;
    same("tokens of a user who has none", &removed, &0)?;
    same("the fence of a removed user", &ground.store.fence(ground.owner(), first, minutes(4)).await?, &raised)
}

/// A refresh token that asks for the fence that stands is recorded; one that asks for an earlier one leaves nothing.
pub(super) async fn lets_nobody_in_who_came_before_it(ground: Ground) -> Verdict {
    let (mine, late) = (session(1)?, session(2)?);
    let fence = ground.store.fence(ground.owner(), another()?, NOW).await?;
    let behind = |label, session, fence| NewRefresh { fence: Some(fence), ..ground.opening(label, session) };
    let access = |label, session| NewAccess { session: Some(session), ..ground.access(label) };
    let opened = ground.store.insert_refresh(&behind("mine", mine, fence), Some(&access("mine", mine))).await?;
    same("a login behind the fence that stands", &opened, &Opened::Done)?;
    ground.holds_refresh(&ground.opening("mine", mine)).await?;
    ground.holds_access(&access("mine", mine)).await?;

    let raised = another()?;
    ground.store.raise_fence(ground.owner(), raised, NOW).await?;
    ground.holds_refresh(&ground.opening("mine", mine)).await?;
    for with_access in [true, false] {
        let access = Some(access("late", late)).filter(|_| with_access);
        let opened = ground.store.insert_refresh(&behind("late", late, fence), access.as_ref()).await?;
        same("a login behind a fence that was raised", &opened, &Opened::Fenced)?;
        ensure(!ground.has_refresh("late").await?, "a login was recorded that was overtaken")?;
        ensure(!ground.has_access("late").await?, "a login that was overtaken has an access token")?;
    }
    let opened = ground.store.insert_refresh(&behind("late", late, raised), None).await?;
    same("a login behind the new fence", &opened, &Opened::Done)?;
    ground.holds_refresh(&ground.opening("late", late)).await
}

pub(super) async fn is_the_users_own(ground: Ground) -> Verdict {
    let mut fences = Vec::new();
    for user in ground.users.iter() {
        ground.store.fence(user, another()?, NOW).await?;
        let raised = another()?;
        ground.store.raise_fence(user, raised, NOW).await?;
        fences.push(raised);
    }
    for (user, fence) in ground.users.iter().zip(fences) {
        same("a user's fence", &ground.store.fence(user, another()?, NOW).await?, &fence)?;
    }
    Ok(())
}

/// A sweep takes fences that nobody uses, and leaves those behind which somebody logged in.
pub(super) async fn goes_when_nobody_uses_it(ground: Ground) -> Verdict {
    let day = Duration::from_hours(24);
    let [unused, used] = [ground.owner(), ground.stranger()];
    for user in [unused, used] {
        ground.store.fence(user, another()?, NOW).await?;
    }
    let raised = another()?;
    ground.store.raise_fence(used, raised, NOW).await?;
    let login = NewRefresh {
        user: used.clone(),
        created_at: NOW.saturating_add(day),
        fence: Some(raised),
        ..ground.opening("login", session(1)?)
    };
    same("logging in", &ground.store.insert_refresh(&login, None).await?, &Opened::Done)?;
    let before = ground.store.fence(unused, another()?, NOW).await?;
    let limit = |fence_used| SweepLimit { now: NOW, access_created: NOW, refresh_created: NOW, fence_used, rows: 10 };
    same("sweeping too early", &ground.store.sweep(&limit(NOW.saturating_sub(TICK))).await?.fences, &0)?;
    same("a fence that isn't old enough", &ground.store.fence(unused, another()?, NOW).await?, &before)?;
    same("fences that were swept", &ground.store.sweep(&limit(NOW)).await?.fences, &1)?;
    ensure(ground.store.fence(unused, another()?, NOW).await? != before, "a fence that nobody uses is kept")?;
    same("a fence in use", &ground.store.fence(used, another()?, NOW).await?, &raised)
}
