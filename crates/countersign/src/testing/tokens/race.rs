//! Many callers at once.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::entropy::SystemEntropy;
use crate::store::{Fence, NewAccess, NewRefresh, Rotated, SweepLimit};
use crate::testing::case::needs_threads;
use crate::testing::tokens::ground::{Ground, NOW, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

const CALLERS: usize = 64;
const ROUNDS: u8 = 8;

/// Promise P1: of 64 callers that present one token, one gets a successor, and the others write nothing.
pub(super) async fn has_one_winner(ground: Ground) -> Verdict {
    needs_threads()?;
    for round in 0..ROUNDS {
        let session = session(round)?;
        let old = format!("old {round}");
        ground.open(&ground.opening(&old, session), None).await?;
        let calls = (0..CALLERS).map(|caller| {
            let (ground, old) = (ground.clone(), old.clone());
            async move {
                let new = format!("new {round} {caller}");
                let rotated = ground.store.rotate(&ground.rotate(&old, &new, session)).await?;
                Ok((new, rotated))
            }
        });
        let outcomes = at_once(calls).await?;
        let winners = outcomes.iter().filter(|(_, rotated)| *rotated == Rotated::Done).count();
        same("successors of one token", &winners, &1)?;
        ensure(!ground.has_refresh(&old).await?, "the token that was exchanged is still there")?;
        for (new, rotated) in outcomes {
            let won = rotated == Rotated::Done;
            same("a successor is recorded if its caller won", &ground.has_refresh(&new).await?, &won)?;
            same("an access token is recorded if its caller won", &ground.has_access(&new).await?, &won)?;
        }
    }
    Ok(())
}

/// Whichever comes first, nothing of the session is left: a rotation before the logout is removed by it, one after it
/// finds its token gone (promise P4).
pub(super) async fn logout_beside_a_rotation_leaves_nothing(ground: Ground) -> Verdict {
    beside_a_rotation(ground, Ending::Session).await
}

/// The same for the removal of a user.
pub(super) async fn user_removal_beside_a_rotation_leaves_nothing(ground: Ground) -> Verdict {
    beside_a_rotation(ground, Ending::User).await
}

#[derive(Clone, Copy)]
enum Ending {
    Session,
    User,
}

async fn beside_a_rotation(ground: Ground, ending: Ending) -> Verdict {
    needs_threads()?;
    for round in 0..16 * ROUNDS {
        let session = session(round)?;
        let [old, new] = ["old", "new"].map(|name| format!("{name} {round}"));
        let access = NewAccess { session: Some(session), ..ground.access(&old) };
        ground.open(&ground.opening(&old, session), Some(&access)).await?;
        let calls = [true, false].map(|rotates| {
            let (ground, old, new) = (ground.clone(), old.clone(), new.clone());
            async move {
                if rotates {
                    ground.store.rotate(&ground.rotate(&old, &new, session)).await?;
                } else if matches!(ending, Ending::Session) {
                    ground.store.end_session(session, ground.owner()).await?;
                } else {
                    ground.store.remove_user(ground.owner()).await?;
                }
                Ok(())
            }
        });
        at_once(calls).await?;
        for label in [&old, &new] {
            ensure(!ground.has_refresh(label).await?, "a refresh token survived the end of its session")?;
            ensure(!ground.has_access(label).await?, "an access token survived the end of its session")?;
        }
    }
    Ok(())
}

/// A login that read the fence before everything was ended is either ended too or never recorded (promise P4).
pub(super) async fn login_beside_a_logout_everywhere_leaves_nothing(ground: Ground) -> Verdict {
    needs_threads()?;
    for round in 0..4 * ROUNDS {
        let fence = ground.store.fence(ground.owner(), Fence::generate(&SystemEntropy)?, NOW).await?;
        let calls = (0..8).map(|caller| {
            let (ground, label) = (ground.clone(), format!("login {round} {caller}"));
            async move {
                if caller == 0 {
                    ground.store.raise_fence(ground.owner(), Fence::generate(&SystemEntropy)?, NOW).await?;
                    ground.store.remove_user(ground.owner()).await?;
                } else {
                    let session = session(round * 8 + caller)?;
                    let access = NewAccess { session: Some(session), ..ground.access(&label) };
                    let login = NewRefresh { fence: Some(fence), ..ground.opening(&label, session) };
                    let _either = ground.store.insert_refresh(&login, Some(&access)).await?;
                }
                Ok(label)
            }
        });
        for label in at_once(calls).await? {
            ensure(!ground.has_refresh(&label).await?, "a refresh token of a login survived that was overtaken")?;
            ensure(!ground.has_access(&label).await?, "an access token of a login survived that was overtaken")?;
        }
    }
    Ok(())
}

/// Sweepers of several processes share the work: together they remove every expired row, and count each once.
pub(super) async fn sweeps_count_each_row_once(ground: Ground) -> Verdict {
    needs_threads()?;
    for row in 0..40 {
        let expired = NewAccess { expires_at: Some(NOW), ..ground.access(&format!("expired {row}")) };
        ground.store.insert_access(&expired).await?;
    }
    let limit = SweepLimit { now: NOW, access_created: NOW, refresh_created: NOW, fence_used: NOW, rows: 3 };
    let calls = (0..4).map(|_| {
        let ground = ground.clone();
        async move {
            let mut removed = 0;
            for _ in 0..100 {
                let swept = ground.store.sweep(&limit).await?;
                removed += swept.access;
                if !swept.more {
                    return Ok(removed);
                }
            }
            Err(Violation::new("sweeping does not come to an end"))
        }
    });
    let removed: u64 = at_once(calls).await?.into_iter().sum();
    same("rows that four sweepers removed together", &removed, &40)
}

/// Starts all calls in the same moment, each as a task of its own.
async fn at_once<T, C>(calls: impl IntoIterator<Item = C>) -> Result<Vec<T>, Violation>
where
    T: Send + 'static,
    C: Future<Output = Result<T, Violation>> + Send + 'static,
{
    let calls: Vec<_> = calls.into_iter().collect();
    let start = Arc::new(Barrier::new(calls.len()));
    let mut tasks = JoinSet::new();
    for call in calls {
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            start.wait().await;
            call.await
        });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        outcomes.push(outcome.map_err(|error| Violation::new(error.to_string()))??);
    }
    Ok(outcomes)
}
