//! Clauses about [`end_user`](crate::store::TokenStore::end_user), which ends everything of a user
//! in one step.
//!
//! It replaces the user's fence. From then on nothing that was recorded behind the old one is
//! found, although the records may stay in the database until a `clear` or a sweep removes them. So
//! each clause looks for ended tokens by every way that there is, before and after they are
//! cleared.

use crate::session::SessionId;
use crate::store::{
    EndUser, EndedFence, Fence, NewAccess, NewRefresh, Opened, RotateOutcome, RotateRequest, Used,
    UserSurvey,
};
use crate::testing::tokens::fixture::{Fixture, NOW, another, limit, minutes, session};
use crate::testing::violation::{Verdict, ensure, same};

/// Opens a session behind `fence` with an access token, and rotates its refresh token once.
///
/// Its tokens have the labels `{label} old`, which is only an access token after the rotation, and
/// `{label} new`.
async fn opened(
    fixture: &Fixture,
    label: &str,
    session: SessionId,
    fence: Option<Fence>,
) -> Verdict {
    let [old, new] = ["old", "new"].map(|name| format!("{label} {name}"));
    let login = NewRefresh {
        fence,
        ..fixture.opening(&old, session)
    };
    let access = NewAccess {
        session: Some(session),
        expires_at: Some(minutes(120)),
        ..fixture.access(&old)
    };

    same(
        "logging in",
        &fixture.store.insert_refresh(&login, Some(&access)).await?,
        &Opened::Done,
    )?;
    same(
        "rotating",
        &fixture
            .store
            .rotate(&fixture.rotate(&old, &new, session))
            .await?,
        &RotateOutcome::Done,
    )
}

/// Checks that no token of a session from [`opened`] is found in any way, and that the session
/// cannot be refreshed.
async fn is_over(fixture: &Fixture, label: &str, session: SessionId) -> Verdict {
    let [old, new, newer] = ["old", "new", "newer"].map(|name| format!("{label} {name}"));
    for label in [&old, &new] {
        ensure(
            !fixture.has_access(label).await?,
            "an access token outlives the end of its user",
        )?;
    }
    ensure(
        !fixture.has_refresh(&new).await?,
        "a refresh token outlives the end of its user",
    )?;
    let family = fixture.store.find_family(&fixture.family(&old)).await?;
    ensure(family.is_none(), "a family outlives the end of its user")?;
    let found = fixture.store.find_session(session, fixture.owner()).await?;
    ensure(found.is_none(), "a session outlives the end of its user")?;
    let rotate = RotateRequest {
        family: fixture.family(&old),
        ..fixture.rotate(&new, &newer, session)
    };
    same(
        "rotating what has ended",
        &fixture.store.rotate(&rotate).await?,
        &RotateOutcome::Gone,
    )?;

    ensure(
        !fixture.has_refresh(&newer).await?,
        "what has ended was continued",
    )?;
    ensure(
        !fixture.has_access(&newer).await?,
        "what has ended was continued with an access token",
    )
}

/// Checks that every token of a session from [`opened`] is found.
async fn is_good(fixture: &Fixture, label: &str, session: SessionId) -> Verdict {
    let [old, new] = ["old", "new"].map(|name| format!("{label} {name}"));
    for label in [&old, &new] {
        ensure(
            fixture.has_access(label).await?,
            "an access token of a session that goes on is gone",
        )?;
    }
    ensure(
        fixture.has_refresh(&new).await?,
        "the refresh token of a session that goes on is gone",
    )?;

    let family = fixture.store.find_family(&fixture.family(&old)).await?;
    ensure(
        family.is_some(),
        "the family of a session that goes on is gone",
    )?;
    let found = fixture.store.find_session(session, fixture.owner()).await?;
    ensure(found.is_some(), "a session that goes on is not found")
}

/// Returns an access token without a session that is still live when the rotations of these cases
/// take place.
fn loose_access(fixture: &Fixture, label: &str, fence: Option<Fence>) -> NewAccess {
    NewAccess {
        fence,
        expires_at: Some(minutes(120)),
        ..fixture.access(label)
    }
}

/// Returns the survey of the owner's sessions at [`NOW`].
async fn survey(fixture: &Fixture) -> Result<UserSurvey, crate::testing::violation::Violation> {
    Ok(fixture
        .store
        .survey(fixture.owner(), &limit(NOW, NOW))
        .await?)
}

/// Checks that `end_user` ends everything that was recorded behind the fence.
///
/// That includes sessions, their access tokens, the tokens of rotations, and tokens without a
/// session. None of them is found, listed or counted, and noting the use of a session does not
/// bring it back. Tokens of other users stay.
pub(super) async fn take_everything_behind_the_fence(fixture: Fixture) -> Verdict {
    let fence = fixture.fence(fixture.owner()).await?;
    let sessions = [session(1)?, session(2)?, session(3)?];
    for (number, session) in sessions.into_iter().enumerate() {
        opened(&fixture, &format!("session {number}"), session, Some(fence)).await?;
    }

    fixture
        .record(&loose_access(&fixture, "loose", Some(fence)))
        .await?;
    let loose = NewRefresh {
        fence: Some(fence),
        ..fixture.refresh("loose")
    };
    same(
        "a token of no session",
        &fixture.store.insert_refresh(&loose, None).await?,
        &Opened::Done,
    )?;

    let stranger = NewRefresh {
        user: fixture.stranger().clone(),
        ..fixture.opening("stranger", session(9)?)
    };
    let beside = NewAccess {
        user: fixture.stranger().clone(),
        ..fixture.access("stranger")
    };
    let fence_of_stranger = fixture.fence(fixture.stranger()).await?;
    let stranger = NewRefresh {
        fence: Some(fence_of_stranger),
        ..stranger
    };
    same(
        "a stranger's login",
        &fixture.store.insert_refresh(&stranger, None).await?,
        &Opened::Done,
    )?;

    fixture.record(&beside).await?;
    same(
        "sessions before the end",
        &fixture.session_ids(fixture.owner()).await?,
        &sessions.to_vec(),
    )?;
    same(
        "sessions that a survey counts before the end",
        &survey(&fixture).await?.sessions,
        &3,
    )?;

    fixture.end(fixture.owner(), None).await?;
    for cleared in [false, true] {
        for (number, session) in sessions.into_iter().enumerate() {
            is_over(&fixture, &format!("session {number}"), session).await?;
        }
        ensure(
            !fixture.has_access("loose").await?,
            "an access token of no session outlives the end of its user",
        )?;
        ensure(
            !fixture.has_refresh("loose").await?,
            "a refresh token of no session outlives the end of its user",
        )?;
        same(
            "sessions after the end",
            &fixture.session_ids(fixture.owner()).await?,
            &Vec::new(),
        )?;
        same(
            "what a survey finds after the end",
            &survey(&fixture).await?,
            &UserSurvey::default(),
        )?;
        let used = Used {
            session: session(1)?,
            user: fixture.owner().clone(),
            at: minutes(70),
        };
        fixture.store.note_use(&[used]).await?;
        let noted = fixture
            .store
            .find_session(session(1)?, fixture.owner())
            .await?;
        ensure(noted.is_none(), "noting its use brought a session back")?;
        fixture.holds_refresh(&stranger).await?;
        fixture.holds_access(&beside).await?;
        if !cleared {
            fixture.clear(fixture.owner(), None).await?;
        }
    }
    Ok(())
}

/// Checks that the session that `end_user` keeps goes on with all its tokens, behind the new fence.
///
/// This serves a password change and "log out all other devices". The kept session can be
/// refreshed. The next `end_user` finds it, and keeps it again or ends it.
pub(super) async fn keep_the_session_that_they_name(fixture: Fixture) -> Verdict {
    let fence = fixture.fence(fixture.owner()).await?;
    let (kept, other) = (session(1)?, session(2)?);
    opened(&fixture, "kept", kept, Some(fence)).await?;
    opened(&fixture, "other", other, Some(fence)).await?;
    fixture
        .record(&loose_access(&fixture, "loose", Some(fence)))
        .await?;
    let mut current = "kept new".to_owned();
    for round in 0..3 {
        let replaced = fixture.end(fixture.owner(), Some(kept)).await?;
        if round > 0 {
            fixture.clear(fixture.owner(), Some(kept)).await?;
        }

        is_over(&fixture, "other", other).await?;
        ensure(
            !fixture.has_access("loose").await?,
            "a token of no session was kept with a session",
        )?;
        same(
            "the sessions that go on",
            &fixture.session_ids(fixture.owner()).await?,
            &vec![kept],
        )?;
        same(
            "the sessions that a survey counts",
            &survey(&fixture).await?.sessions,
            &1,
        )?;
        ensure(
            fixture.has_access("kept old").await?,
            "an access token of the session that is kept is gone",
        )?;
        let found = fixture.store.find_refresh(&fixture.token(&current)).await?;
        same(
            "the fence of a session that is kept",
            &found.map(|found| found.fence),
            &Some(Some(replaced)),
        )?;
        let next = format!("kept {round}");
        let rotate = RotateRequest {
            family: fixture.family("kept old"),
            ..fixture.rotate(&current, &next, kept)
        };
        same(
            "rotating the session that is kept",
            &fixture.store.rotate(&rotate).await?,
            &RotateOutcome::Done,
        )?;
        ensure(
            fixture.has_access(&next).await?,
            "a rotation of the session that is kept has no access token",
        )?;
        current = next;
    }

    fixture.end(fixture.owner(), None).await?;
    for label in ["kept old", "kept new", "kept 0", "kept 1", "kept 2"] {
        ensure(
            !fixture.has_access(label).await?,
            "an access token of a session that was kept before outlives it",
        )?;
    }

    ensure(
        !fixture.has_refresh(&current).await?,
        "a session that was kept before is never ended",
    )?;
    same(
        "sessions after the last end",
        &fixture.session_ids(fixture.owner()).await?,
        &Vec::new(),
    )
}

/// Checks that a session that has ended does not come back if a later `end_user` names it as the
/// one to keep.
///
/// This holds for a session that an earlier `end_user` ended and for one that was logged out,
/// before and after they are cleared. Naming the session of another user keeps nothing and does not
/// touch that session.
pub(super) async fn never_revive(fixture: Fixture) -> Verdict {
    let (marked, logged_out, theirs) = (session(1)?, session(2)?, session(3)?);
    let fence = fixture.fence(fixture.owner()).await?;
    opened(&fixture, "marked", marked, Some(fence)).await?;
    opened(&fixture, "logged out", logged_out, Some(fence)).await?;
    let stranger = NewRefresh {
        user: fixture.stranger().clone(),
        ..fixture.opening("stranger", theirs)
    };
    fixture.open(&stranger, None).await?;
    fixture
        .store
        .end_session(logged_out, fixture.owner())
        .await?;
    fixture.end(fixture.owner(), None).await?;

    for round in 0..2 {
        for (label, session) in [("marked", marked), ("logged out", logged_out)] {
            fixture.end(fixture.owner(), Some(session)).await?;
            is_over(&fixture, label, session).await?;
            // The second time round it is cleared away, too.
            if round == 1 {
                fixture.clear(fixture.owner(), Some(session)).await?;
            }
            is_over(&fixture, label, session).await?;
        }

        fixture.end_all(fixture.owner(), Some(theirs)).await?;
        same(
            "sessions of whoever kept a stranger's",
            &fixture.session_ids(fixture.owner()).await?,
            &Vec::new(),
        )?;
        same(
            "sessions of the stranger",
            &fixture.session_ids(fixture.stranger()).await?,
            &vec![theirs],
        )?;
        fixture.holds_refresh(&stranger).await?;
    }
    Ok(())
}

/// Checks that tokens recorded behind no fence end too: by `end_user` or, at the latest, by `clear`
/// with `unfenced`.
///
/// Rows that litestar-auth wrote have no fence. The tokens of the kept session stay, an access
/// token that it gets during the clearing included.
pub(super) async fn reach_tokens_behind_no_fence(fixture: Fixture) -> Verdict {
    let (kept, other) = (session(1)?, session(2)?);
    fixture.fence(fixture.owner()).await?;
    let stranger = NewAccess {
        user: fixture.stranger().clone(),
        ..fixture.access("stranger")
    };
    fixture.record(&stranger).await?;
    for round in 0..2 {
        if round == 0 {
            opened(&fixture, "kept", kept, None).await?;
            opened(&fixture, "other", other, None).await?;
        }

        let loose = format!("loose {round}");
        let alone = format!("alone {round}");
        fixture
            .record(&loose_access(&fixture, &loose, None))
            .await?;
        fixture
            .record(&NewAccess {
                session: Some(session(3)?),
                ..loose_access(&fixture, &alone, None)
            })
            .await?;
        fixture.open(&fixture.refresh(&loose), None).await?;
        fixture.end(fixture.owner(), Some(kept)).await?;
        // The session gets this one while the other tokens of its user are cleared away.
        let late = format!("late {round}");
        fixture
            .record(&NewAccess {
                session: Some(kept),
                ..loose_access(&fixture, &late, None)
            })
            .await?;
        fixture.clear(fixture.owner(), Some(kept)).await?;
        ensure(
            fixture.has_access(&late).await?,
            "clearing took an access token of the session that is kept",
        )?;
        is_good(&fixture, "kept", kept).await?;
        is_over(&fixture, "other", other).await?;
        ensure(
            !fixture.has_access(&loose).await?,
            "an access token of no session and no fence is left",
        )?;
        ensure(
            !fixture.has_access(&alone).await?,
            "an access token behind no fence is left",
        )?;
        ensure(
            !fixture.has_refresh(&loose).await?,
            "a refresh token of no session and no fence is left",
        )?;
    }

    fixture.end_all(fixture.owner(), None).await?;
    is_over(&fixture, "kept", kept).await?;
    fixture.holds_access(&stranger).await
}

/// Checks that an `end_user` which keeps a session saves it from no other `end_user`.
///
/// The first call ends everything, but has not cleared yet. Meanwhile two others each keep a
/// session. Both sessions must be over when the first has cleared.
pub(super) async fn save_nothing_from_another(fixture: Fixture) -> Verdict {
    let (fenced, unfenced) = (session(1)?, session(2)?);
    let fence = fixture.fence(fixture.owner()).await?;
    opened(&fixture, "fenced", fenced, Some(fence)).await?;
    opened(&fixture, "unfenced", unfenced, None).await?;
    fixture.end(fixture.owner(), None).await?;
    for kept in [fenced, unfenced] {
        fixture.end(fixture.owner(), Some(kept)).await?;
    }

    fixture.clear(fixture.owner(), Some(unfenced)).await?;
    is_over(&fixture, "fenced", fenced).await?;
    fixture.clear(fixture.owner(), None).await?;
    is_over(&fixture, "unfenced", unfenced).await?;
    same(
        "sessions after both endings",
        &fixture.session_ids(fixture.owner()).await?,
        &Vec::new(),
    )
}

/// Checks that an `end_user` which is repeated changes nothing.
///
/// A driver repeats a call whose answer was lost, and cannot know that it was carried out. A session
/// that was opened in between must stay, and the fence that replaced another must not be listed.
pub(super) async fn change_nothing_when_repeated(fixture: Fixture) -> Verdict {
    let (kept, later) = (session(1)?, session(2)?);
    let replaced = fixture.fence(fixture.owner()).await?;
    opened(&fixture, "kept", kept, Some(replaced)).await?;
    let end = EndUser {
        user: fixture.owner().clone(),
        fence: another()?,
        kept: Some(kept),
        settled: false,
        now: NOW,
    };
    fixture.store.end_user(&end).await?;
    opened(&fixture, "later", later, Some(end.fence)).await?;

    for kept in [Some(kept), None] {
        fixture
            .store
            .end_user(&EndUser {
                kept,
                ..end.clone()
            })
            .await?;
        is_good(&fixture, "kept", end.kept.unwrap_or(later)).await?;
        is_good(&fixture, "later", later).await?;
    }

    same(
        "the user's fence",
        &fixture.fence(fixture.owner()).await?,
        &end.fence,
    )?;
    let listed = [EndedFence {
        fence: replaced,
        kept: end.kept,
    }];
    same(
        "the fences that are unsettled",
        &fixture.store.unsettled(fixture.owner()).await?.as_slice(),
        &listed.as_slice(),
    )
}
