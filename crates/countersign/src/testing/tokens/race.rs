//! Clauses about concurrent calls.
//!
//! Each case repeats a race in several rounds, since one round may miss it. All calls of a round
//! start at the same moment, each as a task of its own. A store passes if it decides in the
//! statement that writes, and fails if it reads first and decides then.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::store::{EndUser, NewAccess, NewRefresh, Opened, RotateOutcome, SweepLimit};
use crate::testing::case::needs_threads;
use crate::testing::tokens::fixture::{Fixture, NOW, another, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// The number of callers that present the same refresh token.
const CALLERS: usize = 64;
/// The number of rounds. Some cases run a multiple of it.
const ROUNDS: u8 = 8;

/// Checks that of 64 concurrent rotations of one token, one succeeds and the others write nothing.
///
/// However many requests present the same refresh token at once, one live successor exists
/// afterwards. With two, the session would have two
/// holders, one of them perhaps a thief.
pub(super) async fn has_one_winner(fixture: Fixture) -> Verdict {
    needs_threads()?;
    for round in 0..ROUNDS {
        let session = session(round)?;
        let old = format!("old {round}");
        fixture.open(&fixture.opening(&old, session), None).await?;
        let calls = (0..CALLERS).map(|caller| {
            let (fixture, old) = (fixture.clone(), old.clone());
            async move {
                let new = format!("new {round} {caller}");
                let rotated = fixture
                    .store
                    .rotate(&fixture.rotate(&old, &new, session))
                    .await?;
                Ok((new, rotated))
            }
        });

        let outcomes = at_once(calls).await?;
        let winners = outcomes
            .iter()
            .filter(|(_, rotated)| *rotated == RotateOutcome::Done)
            .count();
        same("successors of one token", &winners, &1)?;
        ensure(
            !fixture.has_refresh(&old).await?,
            "the token that was exchanged is still there",
        )?;

        for (new, rotated) in outcomes {
            let won = rotated == RotateOutcome::Done;
            same(
                "a successor is recorded if its caller won",
                &fixture.has_refresh(&new).await?,
                &won,
            )?;
            same(
                "an access token is recorded if its caller won",
                &fixture.has_access(&new).await?,
                &won,
            )?;
        }
    }
    Ok(())
}

/// Checks that nothing is left of a session that is logged out while its token is rotated.
///
/// If the rotation comes first, the logout removes its new tokens too. If the logout comes first,
/// the rotation finds no token and writes nothing.
pub(super) async fn logout_beside_a_rotation_leaves_nothing(fixture: Fixture) -> Verdict {
    beside_a_rotation(fixture, Ending::Session).await
}

/// Checks that nothing is left of a session if `end_user` runs while its token is rotated.
pub(super) async fn end_of_the_user_beside_a_rotation_leaves_nothing(fixture: Fixture) -> Verdict {
    beside_a_rotation(fixture, Ending::Mark).await
}

/// Checks that nothing is left of a session behind no fence if it is cleared while its token is
/// rotated.
///
/// `end_user` does not reach such a session; the `clear` with `unfenced` that follows ends it.
pub(super) async fn clearing_beside_a_rotation_leaves_nothing(fixture: Fixture) -> Verdict {
    beside_a_rotation(fixture, Ending::Clearing).await
}

/// The call that ends the session in a race.
#[derive(Clone, Copy)]
enum Ending {
    /// `end_session`, for a session behind the current fence.
    Session,
    /// `end_user`, for a session behind the current fence.
    Mark,
    /// `end_user` and `clear`, for a session behind no fence.
    Clearing,
}

/// Runs a rotation and the call that ends the session at the same moment, and checks that no token
/// is left.
async fn beside_a_rotation(fixture: Fixture, ending: Ending) -> Verdict {
    needs_threads()?;
    for round in 0..16 * ROUNDS {
        let session = session(round)?;
        let [old, new] = ["old", "new"].map(|name| format!("{name} {round}"));
        let fence = match ending {
            Ending::Clearing => None,
            Ending::Session | Ending::Mark => Some(fixture.fence(fixture.owner()).await?),
        };

        let access = NewAccess {
            session: Some(session),
            ..fixture.access(&old)
        };
        let login = NewRefresh {
            fence,
            ..fixture.opening(&old, session)
        };
        same(
            "logging in",
            &fixture.store.insert_refresh(&login, Some(&access)).await?,
            &Opened::Done,
        )?;

        let calls = [true, false].map(|rotates| {
            let (fixture, old, new) = (fixture.clone(), old.clone(), new.clone());
            async move {
                if rotates {
                    fixture
                        .store
                        .rotate(&fixture.rotate(&old, &new, session))
                        .await?;
                    return Ok(());
                }
                match ending {
                    Ending::Session => {
                        fixture.store.end_session(session, fixture.owner()).await?;
                    }
                    Ending::Mark => drop(fixture.end(fixture.owner(), None).await?),
                    Ending::Clearing => drop(fixture.end_all(fixture.owner(), None).await?),
                }
                Ok(())
            }
        });
        at_once(calls).await?;
        for label in [&old, &new] {
            ensure(
                !fixture.has_refresh(label).await?,
                "a refresh token outlives the end of its session",
            )?;
            ensure(
                !fixture.has_access(label).await?,
                "an access token outlives the end of its session",
            )?;
        }
    }
    Ok(())
}

/// Checks that a session which `end_user` keeps can be refreshed at the same moment.
///
/// Its new refresh token and all its access tokens go on. The next `end_user` must find all of
/// them, those recorded by the rotation included.
pub(super) async fn kept_session_rotates_beside_the_end(fixture: Fixture) -> Verdict {
    needs_threads()?;
    for round in 0..8 * ROUNDS {
        let session = session(round)?;
        let [old, new] = ["old", "new"].map(|name| format!("{name} {round}"));
        let fence = Some(fixture.fence(fixture.owner()).await?);
        let access = NewAccess {
            session: Some(session),
            expires_at: Some(minutes(120)),
            ..fixture.access(&old)
        };
        let login = NewRefresh {
            fence,
            ..fixture.opening(&old, session)
        };
        same(
            "logging in",
            &fixture.store.insert_refresh(&login, Some(&access)).await?,
            &Opened::Done,
        )?;

        let calls = [true, false].map(|rotates| {
            let (fixture, old, new) = (fixture.clone(), old.clone(), new.clone());
            async move {
                if rotates {
                    let rotated = fixture
                        .store
                        .rotate(&fixture.rotate(&old, &new, session))
                        .await?;
                    same(
                        "rotating a session that is kept",
                        &rotated,
                        &RotateOutcome::Done,
                    )?;
                } else {
                    fixture.end(fixture.owner(), Some(session)).await?;
                }
                Ok(())
            }
        });
        at_once(calls).await?;
        ensure(
            fixture.has_refresh(&new).await?,
            "the refresh token of a session that was kept is gone",
        )?;
        for label in [&old, &new] {
            ensure(
                fixture.has_access(label).await?,
                "an access token of a session that was kept is gone",
            )?;
        }

        fixture.end(fixture.owner(), None).await?;
        ensure(
            !fixture.has_refresh(&new).await?,
            "a refresh token outlives the ending after the one that kept it",
        )?;
        for label in [&old, &new] {
            ensure(
                !fixture.has_access(label).await?,
                "an access token outlives the ending after the one that kept it",
            )?;
        }
    }
    Ok(())
}

/// Checks that a login that read the fence before an `end_user` is either ended by it or never
/// recorded.
///
/// This holds for a refresh token with its access token, and for an access token alone. A login in
/// flight must not survive a "log out everywhere".
pub(super) async fn login_beside_a_logout_everywhere_leaves_nothing(fixture: Fixture) -> Verdict {
    needs_threads()?;
    for round in 0..4 * ROUNDS {
        let fence = Some(fixture.fence(fixture.owner()).await?);
        let calls = (0..8).map(|caller| {
            let (fixture, label) = (fixture.clone(), format!("login {round} {caller}"));
            async move {
                let session = session(round * 8 + caller)?;
                let access = NewAccess {
                    session: Some(session),
                    ..fixture.access(&label)
                };
                match caller {
                    0 => drop(fixture.end(fixture.owner(), None).await?),
                    1 | 2 => {
                        let alone = NewAccess {
                            session: None,
                            fence,
                            ..access
                        };
                        let _either = fixture.store.insert_access(&alone).await?;
                    }
                    _ => {
                        let login = NewRefresh {
                            fence,
                            ..fixture.opening(&label, session)
                        };
                        let _either = fixture.store.insert_refresh(&login, Some(&access)).await?;
                    }
                }
                Ok(label)
            }
        });

        for label in at_once(calls).await? {
            ensure(
                !fixture.has_refresh(&label).await?,
                "a refresh token of a login is left that was overtaken",
            )?;
            ensure(
                !fixture.has_access(&label).await?,
                "an access token is left that was overtaken",
            )?;
        }
    }

    Ok(())
}

/// Checks that concurrent `end_user` calls replace one fence each, and that each replaced fence is
/// unsettled.
///
/// A fence that is replaced and not listed would never be denied, so its signed tokens would stay
/// valid.
pub(super) async fn endings_replace_one_fence_each(fixture: Fixture) -> Verdict {
    needs_threads()?;
    for _ in 0..ROUNDS {
        let first = fixture.fence(fixture.owner()).await?;
        let calls = (0..8).map(|_| {
            let fixture = fixture.clone();
            async move {
                let (user, fence) = (fixture.owner().clone(), another()?);
                let end = EndUser {
                    user,
                    fence,
                    kept: None,
                    settled: false,
                    now: NOW,
                };
                fixture.store.end_user(&end).await?;
                Ok(fence)
            }
        });
        let mut fences = at_once(calls).await?;
        fences.push(first);
        let standing = fixture.fence(fixture.owner()).await?;
        ensure(
            fences.contains(&standing),
            "a fence stands that nobody put up",
        )?;
        fences.retain(|fence| *fence != standing);
        let unsettled: Vec<_> = fixture
            .store
            .unsettled(fixture.owner())
            .await?
            .into_iter()
            .map(|ended| ended.fence)
            .collect();
        same(
            "how many fences are unsettled",
            &unsettled.len(),
            &fences.len(),
        )?;

        let told = fences.iter().all(|fence| unsettled.contains(fence));
        ensure(
            told,
            "a fence was replaced, and nobody is told to settle it",
        )?;

        fixture
            .store
            .settle(fixture.owner(), &unsettled, NOW)
            .await?;
    }
    Ok(())
}

/// Checks that concurrent sweepers together remove every expired row and count each row once.
///
/// Servers of one deployment sweep the same tables. They must neither block each other nor report a
/// row twice.
pub(super) async fn sweeps_count_each_row_once(fixture: Fixture) -> Verdict {
    needs_threads()?;
    for row in 0..40 {
        let expired = NewAccess {
            expires_at: Some(NOW),
            ..fixture.access(&format!("expired {row}"))
        };
        fixture.record(&expired).await?;
    }

    let limit = SweepLimit {
        now: NOW,
        access_created: NOW,
        refresh_created: NOW,
        fence_used: NOW,
        rows: 3,
    };
    let calls = (0..4).map(|_| {
        let fixture = fixture.clone();
        async move {
            let mut removed = 0;
            for _ in 0..100 {
                let swept = fixture.store.sweep(&limit).await?;
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

/// Starts all calls at the same moment, each as a task of its own, and returns their results.
pub(super) async fn at_once<T, C>(calls: impl IntoIterator<Item = C>) -> Result<Vec<T>, Violation>
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
