//! The clause about one user with more sessions than fit into one statement, while others use the
//! store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::error::Failure;
use crate::store::{
    ClearUser, NewAccess, NewRefresh, Opened, RotateOutcome, RotateRequest, SweepPace, UserSurvey,
};
use crate::testing::case::needs_threads;
use crate::testing::tokens::fixture::{Fixture, NOW, limit, session, session_of_crowd};
use crate::testing::violation::{Verdict, Violation, ensure, same};
use crate::user::UserKey;

/// The number of tasks that open sessions at the same time.
const OPENERS: u32 = 32;

/// The number of other users that write while the user is logged out.
const WRITERS: usize = 4;

/// The pause of a writer between two rounds, so that a slow store has time for the call that is
/// watched.
const PAUSE: Duration = Duration::from_millis(1);

/// The number of rows that a call of `clear` may remove.
const ROWS: u32 = 1_000;

/// Checks that one call ends a user with very many sessions, and that batches clear them while
/// others go on.
///
/// From the call on no token of the user is found. Clearing takes no more calls than there are
/// batches. Meanwhile logins and rotations of other users succeed, and so do new logins of the same
/// user.
pub(super) async fn ends_beside_writers(fixture: Fixture) -> Verdict {
    needs_threads()?;
    open_crowd(&fixture).await?;
    let sessions = (0..fixture.crowd)
        .filter(|number| !is_loose(*number))
        .count();
    same(
        "sessions of the crowd",
        &survey(&fixture).await?.sessions,
        &u64::try_from(sessions).unwrap_or(0),
    )?;

    let writers = Writers::start(&fixture);
    writers.all_wrote(1).await;
    let fence = fixture.end(fixture.owner(), None).await?;
    is_over(&fixture, |number| !is_loose(number)).await?;
    same(
        "what a survey finds",
        &survey(&fixture).await?,
        &UserSurvey::default(),
    )?;
    let mine = NewRefresh {
        fence: Some(fence),
        ..fixture.opening("mine", session(1)?)
    };
    same(
        "a login after the end",
        &fixture.store.insert_refresh(&mine, None).await?,
        &Opened::Done,
    )?;

    // Some calls more than that are allowed: `more` may be `true` although nothing is left.
    let most = 10 + 2 * fixture.crowd.div_ceil(ROWS);
    for unfenced in [true, false] {
        let clear = ClearUser {
            user: fixture.owner().clone(),
            unfenced,
            kept: None,
            rows: ROWS,
        };
        let mut calls = 0;
        while fixture.store.clear(&clear).await?.more {
            calls += 1;
            ensure(
                calls <= most,
                "clearing a crowd takes more calls than it has batches",
            )?;
        }
    }

    is_over(&fixture, |_| true).await?;
    let rotated = fixture
        .store
        .rotate(&fixture.rotate("mine", "next", session(1)?))
        .await?;
    same(
        "rotating what was opened after the end",
        &rotated,
        &RotateOutcome::Done,
    )?;
    same(
        "sessions after the end",
        &fixture.session_ids(fixture.owner()).await?,
        &vec![session(1)?],
    )?;
    writers.all_wrote(2).await;
    writers.stop().await
}

/// Returns the survey of the owner's sessions.
async fn survey(fixture: &Fixture) -> Result<UserSurvey, Failure> {
    fixture
        .store
        .survey(fixture.owner(), &limit(NOW, NOW))
        .await
}

/// Returns `true` for the numbers that are an access token without a session instead of a session.
const fn is_loose(number: u32) -> bool {
    number.is_multiple_of(16)
}

/// Opens the sessions of the crowd behind the owner's fence, by several tasks at once.
async fn open_crowd(fixture: &Fixture) -> Verdict {
    let fence = Some(fixture.fence(fixture.owner()).await?);
    let mut openers = JoinSet::new();
    for opener in 0..OPENERS {
        let fixture = fixture.clone();
        openers.spawn(async move {
            for number in (0..fixture.crowd).filter(|number| number % OPENERS == opener) {
                let label = format!("crowd {number}");
                if is_loose(number) {
                    fixture.record(&fixture.access(&label)).await?;
                    continue;
                }
                let session = session_of_crowd(number)?;
                let login = NewRefresh {
                    fence,
                    ..fixture.opening(&label, session)
                };
                // Where tokens are signed, the store has no access tokens.
                let access = NewAccess {
                    session: Some(session),
                    ..fixture.access(&label)
                };
                let access = Some(access).filter(|_| number % 2 == 0);
                let opened = fixture
                    .store
                    .insert_refresh(&login, access.as_ref())
                    .await?;
                same("opening a session of a crowd", &opened, &Opened::Done)?;
            }
            Ok::<_, Violation>(())
        });
    }

    while let Some(opened) = openers.join_next().await {
        opened.map_err(|error| Violation::new(error.to_string()))??;
    }
    Ok(())
}

/// Checks that no token is found of the numbers for which `ended` is `true`, on a sample that
/// includes the first and the last.
async fn is_over(fixture: &Fixture, ended: impl Fn(u32) -> bool) -> Verdict {
    let some = (0..fixture.crowd)
        .step_by(97)
        .chain([fixture.crowd.saturating_sub(1)]);

    for number in some.filter(|number| ended(*number)) {
        let label = format!("crowd {number}");
        ensure(
            !fixture.has_refresh(&label).await?,
            "a refresh token of a crowd outlives its end",
        )?;
        ensure(
            !fixture.has_access(&label).await?,
            "an access token of a crowd outlives its end",
        )?;
    }
    Ok(())
}

/// Tasks of users who log in and refresh again and again.
struct Writers {
    tasks: JoinSet<Verdict>,
    rounds: Vec<Arc<AtomicU32>>,
    over: Arc<AtomicBool>,
}

impl Writers {
    /// Starts a writer for each of [`WRITERS`] users other than the owner.
    fn start(fixture: &Fixture) -> Self {
        let mut writers = Self {
            tasks: JoinSet::new(),
            rounds: Vec::new(),
            over: Arc::default(),
        };
        let users = fixture
            .users
            .iter()
            .filter(|user| *user != fixture.owner())
            .take(WRITERS)
            .cloned();

        for (number, user) in (1..).zip(users) {
            let (rounds, over, fixture) = (
                Arc::<AtomicU32>::default(),
                Arc::clone(&writers.over),
                fixture.clone(),
            );
            writers.rounds.push(Arc::clone(&rounds));
            writers.tasks.spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let round = rounds.load(Ordering::SeqCst);
                    let written = write(&fixture, &user, number, round).await;
                    // A writer that fails stops all of them, so that nobody waits for it in vain.
                    // `stop` returns its error.
                    over.fetch_or(written.is_err(), Ordering::SeqCst);
                    written?;
                    rounds.fetch_add(1, Ordering::SeqCst);
                    SweepPace::rest(PAUSE).await;
                }
                Ok(())
            });
        }
        writers
    }

    /// Returns how often each writer has written.
    fn written(&self) -> impl Iterator<Item = u32> {
        self.rounds
            .iter()
            .map(|rounds| rounds.load(Ordering::SeqCst))
    }

    /// Waits until each writer has written `times` times more, or one has failed.
    async fn all_wrote(&self, times: u32) {
        let enough: Vec<_> = self
            .written()
            .map(|before| before.saturating_add(times))
            .collect();
        while !self.over.load(Ordering::SeqCst)
            && self
                .written()
                .zip(&enough)
                .any(|(now, enough)| now < *enough)
        {
            SweepPace::rest(PAUSE).await;
        }
    }

    /// Stops the writers, and returns the error of one that failed.
    async fn stop(mut self) -> Verdict {
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| Violation::new(error.to_string()))??;
        }
        Ok(())
    }
}

/// Logs `user` in, refreshes the session, and checks that the new tokens are found.
async fn write(fixture: &Fixture, user: &UserKey, writer: u32, round: u32) -> Verdict {
    let session = session_of_crowd(writer.saturating_mul(0x0100_0000).saturating_add(round))?;
    let [old, new] = ["old", "new"].map(|name| format!("writer {writer} {round} {name}"));
    let fence = Some(fixture.fence(user).await?);
    let login = NewRefresh {
        user: user.clone(),
        fence,
        ..fixture.opening(&old, session)
    };
    let access = NewAccess {
        user: user.clone(),
        session: Some(session),
        ..fixture.access(&old)
    };
    let opened = fixture.store.insert_refresh(&login, Some(&access)).await?;
    same(
        "another user's login beside the ending",
        &opened,
        &Opened::Done,
    )?;
    let rotate = fixture.rotate(&old, &new, session);
    let access = rotate.access.clone().map(|access| NewAccess {
        user: user.clone(),
        ..access
    });
    let rotated = fixture
        .store
        .rotate(&RotateRequest { access, ..rotate })
        .await?;

    same(
        "another user's exchange beside the ending",
        &rotated,
        &RotateOutcome::Done,
    )?;
    let there = fixture.has_refresh(&new).await? && fixture.has_access(&new).await?;
    ensure(there, "another user's tokens are gone beside the ending")
}
