//! Clauses about the time of the latest authentication of a session.
//!
//! They cover [`reauthenticate`](crate::store::TokenStore::reauthenticate), alone and beside
//! rotations and endings.

use crate::clock::Timestamp;
use crate::session::SessionId;
use crate::store::{
    Fence, NewAccess, NewRefresh, Opened, Reauthentication, RotateOutcome, SessionRecord,
};
use crate::testing::case::needs_threads;
use crate::testing::tokens::fixture::{Fixture, NOW, another, minutes, session};
use crate::testing::tokens::race::at_once;
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// The number of rounds of a race.
const ROUNDS: u8 = 64;

/// Checks that a session begins with the authentication of its login, also after a rotation.
pub(super) async fn begins_with_the_login(fixture: Fixture) -> Verdict {
    let mine = session(1)?;
    fixture.open(&fixture.opening("old", mine), None).await?;
    same(
        "after a login",
        &authenticated(&fixture, mine).await?,
        &Some(NOW),
    )?;

    rotate(&fixture, "old", "new", mine).await?;
    same(
        "after a rotation",
        &authenticated(&fixture, mine).await?,
        &Some(NOW),
    )
}

/// Checks that a re-authentication is shown, alone and in lists, that it changes nothing else of
/// the session, and that a rotation keeps it. A repetition has the effect of one call.
pub(super) async fn is_recorded_and_kept(fixture: Fixture) -> Verdict {
    let (mine, other) = (session(1)?, session(2)?);
    let (refresh, access) = (fixture.opening("old", mine), of(&fixture, "access", mine));
    fixture.open(&refresh, Some(&access)).await?;
    fixture.open(&fixture.opening("other", other), None).await?;
    let before = found(&fixture, mine).await?;
    let again = Reauthentication::new(mine, fixture.owner().clone(), minutes(5));
    for _ in 0..2 {
        same(
            "recording it",
            &fixture.store.reauthenticate(&again).await?,
            &true,
        )?;
    }
    let expected = SessionRecord {
        authenticated_at: Some(minutes(5)),
        ..before
    };
    same("the session", &found(&fixture, mine).await?, &expected)?;
    for record in fixture.listed(fixture.owner(), 100).await? {
        let at = if record.id == mine { minutes(5) } else { NOW };
        same("the time in a list", &record.authenticated_at, &Some(at))?;
    }

    fixture.holds_access(&access).await?;
    fixture.holds_refresh(&refresh).await?;
    rotate(&fixture, "old", "new", mine).await?;
    rotate(&fixture, "new", "newer", mine).await?;
    same(
        "after rotations",
        &authenticated(&fixture, mine).await?,
        &Some(minutes(5)),
    )
}

/// Checks that the time never moves back: neither behind an earlier one nor behind the login.
pub(super) async fn never_moves_back(fixture: Fixture) -> Verdict {
    let mine = session(1)?;
    fixture.open(&fixture.opening("old", mine), None).await?;

    let before = Timestamp::from_unix_seconds(1_000_000_000);
    for (at, shown) in [
        (before, NOW),
        (minutes(9), minutes(9)),
        (minutes(5), minutes(9)),
    ] {
        let again = Reauthentication::new(mine, fixture.owner().clone(), at);
        same(
            "recording it",
            &fixture.store.reauthenticate(&again).await?,
            &true,
        )?;
        same(
            "the time",
            &authenticated(&fixture, mine).await?,
            &Some(shown),
        )?;
    }
    Ok(())
}

/// Checks that only the owner's session is found, and only if it has a refresh token. Everything
/// else is answered with `false` and changes nothing.
pub(super) async fn asks_for_the_owner(fixture: Fixture) -> Verdict {
    let (mine, bare, unknown) = (session(1)?, session(2)?, session(3)?);
    fixture.open(&fixture.opening("mine", mine), None).await?;
    fixture.record(&of(&fixture, "bare", bare)).await?;
    for (session, user) in [
        (mine, fixture.stranger()),
        (bare, fixture.owner()),
        (unknown, fixture.owner()),
    ] {
        let again = Reauthentication::new(session, user.clone(), minutes(5));
        same(
            "a session that the user doesn't have",
            &fixture.store.reauthenticate(&again).await?,
            &false,
        )?;
    }

    same(
        "one's own",
        &authenticated(&fixture, mine).await?,
        &Some(NOW),
    )?;
    same(
        "sessions afterwards",
        &fixture.session_ids(fixture.owner()).await?,
        &vec![mine],
    )?;
    same(
        "sessions of the other user",
        &fixture.session_ids(fixture.stranger()).await?,
        &Vec::new(),
    )
}

/// Checks that a session that has ended, alone or with everything of its user, isn't revived.
pub(super) async fn never_revives(fixture: Fixture) -> Verdict {
    for (number, everything) in [(1, false), (2, true)] {
        let mine = session(number)?;
        let label = format!("token {number}");
        log_in(&fixture, &label, mine).await?;
        if everything {
            fixture.end(fixture.owner(), None).await?;
        } else {
            fixture.store.end_session(mine, fixture.owner()).await?;
        }

        let again = Reauthentication::new(mine, fixture.owner().clone(), minutes(5));
        same(
            "a session that has ended",
            &fixture.store.reauthenticate(&again).await?,
            &false,
        )?;
        is_gone(&fixture, &label, mine).await?;
    }
    Ok(())
}

/// Checks that a call with a fence finds only a session behind that fence. A session that an ending
/// keeps moves behind the new one, and keeps its time.
pub(super) async fn asks_for_the_fence(fixture: Fixture) -> Verdict {
    let mine = session(1)?;
    let old = log_in(&fixture, "token", mine).await?;
    same(
        "behind another fence",
        &again(&fixture, mine, 3, another()?).await?,
        &false,
    )?;
    same(
        "the time",
        &authenticated(&fixture, mine).await?,
        &Some(NOW),
    )?;

    same(
        "behind the session's fence",
        &again(&fixture, mine, 4, old).await?,
        &true,
    )?;

    let new = fixture.end(fixture.owner(), Some(mine)).await?;
    same(
        "the time of a session that was kept",
        &authenticated(&fixture, mine).await?,
        &Some(minutes(4)),
    )?;

    same(
        "behind the fence that was replaced",
        &again(&fixture, mine, 5, old).await?,
        &false,
    )?;
    same(
        "the time",
        &authenticated(&fixture, mine).await?,
        &Some(minutes(4)),
    )?;

    same(
        "behind the new fence",
        &again(&fixture, mine, 6, new).await?,
        &true,
    )?;
    same(
        "the time",
        &authenticated(&fixture, mine).await?,
        &Some(minutes(6)),
    )
}

/// Checks that a re-authentication and a rotation at the same moment both take effect.
pub(super) async fn stands_beside_a_rotation(fixture: Fixture) -> Verdict {
    needs_threads()?;
    for round in 0..ROUNDS {
        let mine = session(round)?;
        let [old, new] = ["old", "new"].map(|name| format!("{name} {round}"));
        log_in(&fixture, &old, mine).await?;
        let rotates_first = round % 2 == 0;
        let calls = [rotates_first, !rotates_first].map(|rotates| {
            let (fixture, old, new) = (fixture.clone(), old.clone(), new.clone());
            async move {
                if rotates {
                    return rotate(&fixture, &old, &new, mine).await;
                }
                let again = Reauthentication::new(mine, fixture.owner().clone(), minutes(5));
                let recorded = fixture.store.reauthenticate(&again).await?;
                same("recording it", &recorded, &true)
            }
        });

        at_once(calls).await?;
        ensure(
            fixture.has_refresh(&new).await?,
            "the successor of a rotation is not found",
        )?;
        same(
            "the time afterwards",
            &authenticated(&fixture, mine).await?,
            &Some(minutes(5)),
        )?;
    }
    Ok(())
}

/// Checks that nothing is left of a session that ends while its user is being re-authenticated,
/// whichever comes first.
pub(super) async fn revives_nothing_beside_an_ending(fixture: Fixture) -> Verdict {
    needs_threads()?;
    for round in 0..2 * ROUNDS {
        let mine = session(round)?;
        let label = format!("token {round}");
        log_in(&fixture, &label, mine).await?;

        // A runtime tends to run one of two new tasks first, so each of them is the first one in
        // half of the rounds.
        let ends_first = round % 4 < 2;
        let calls = [ends_first, !ends_first].map(|ends| {
            let fixture = fixture.clone();
            async move {
                if !ends {
                    let again = Reauthentication::new(mine, fixture.owner().clone(), minutes(5));
                    fixture.store.reauthenticate(&again).await?;
                } else if round % 2 == 0 {
                    fixture.store.end_session(mine, fixture.owner()).await?;
                } else {
                    fixture.end(fixture.owner(), None).await?;
                }
                Ok(())
            }
        });
        at_once(calls).await?;
        is_gone(&fixture, &label, mine).await?;
    }
    Ok(())
}

/// Opens a session behind the owner's fence, with an access token of the same label. Returns the
/// fence.
async fn log_in(fixture: &Fixture, label: &str, session: SessionId) -> Result<Fence, Violation> {
    let fence = fixture.fence(fixture.owner()).await?;
    let login = NewRefresh {
        fence: Some(fence),
        ..fixture.opening(label, session)
    };
    let access = of(fixture, label, session);
    let opened = fixture.store.insert_refresh(&login, Some(&access)).await?;
    same("logging in", &opened, &Opened::Done)?;
    Ok(fence)
}

/// Returns an access token of the owner's `session`.
fn of(fixture: &Fixture, label: &str, session: SessionId) -> NewAccess {
    NewAccess {
        session: Some(session),
        ..fixture.access(label)
    }
}

/// Records that the owner authenticated again at `minute`, if the session is behind `fence`. Returns
/// `true` if it was recorded.
async fn again(
    fixture: &Fixture,
    session: SessionId,
    minute: u64,
    fence: Fence,
) -> Result<bool, Violation> {
    let again = Reauthentication::new(session, fixture.owner().clone(), minutes(minute));
    Ok(fixture.store.reauthenticate(&again.behind(fence)).await?)
}

/// Rotates a refresh token.
async fn rotate(fixture: &Fixture, from: &str, to: &str, session: SessionId) -> Verdict {
    let rotated = fixture
        .store
        .rotate(&fixture.rotate(from, to, session))
        .await?;
    same("rotating", &rotated, &RotateOutcome::Done)
}

/// Returns a session of the owner.
async fn found(fixture: &Fixture, session: SessionId) -> Result<SessionRecord, Violation> {
    let found = fixture.store.find_session(session, fixture.owner()).await?;
    found.ok_or_else(|| Violation::new("a session that is live is not found"))
}

/// Returns the time of the latest authentication of a session of the owner.
async fn authenticated(
    fixture: &Fixture,
    session: SessionId,
) -> Result<Option<Timestamp>, Violation> {
    Ok(found(fixture, session).await?.authenticated_at)
}

/// Checks that nothing is left of a session.
async fn is_gone(fixture: &Fixture, label: &str, session: SessionId) -> Verdict {
    let found = fixture.store.find_session(session, fixture.owner()).await?;
    ensure(found.is_none(), "a session that has ended is found")?;
    ensure(
        !fixture.has_refresh(label).await?,
        "a refresh token outlives the end of its session",
    )?;
    ensure(
        !fixture.has_access(label).await?,
        "an access token outlives the end of its session",
    )?;

    let ids = fixture.session_ids(fixture.owner()).await?;
    ensure(
        !ids.contains(&session),
        "a session that has ended is listed",
    )
}
