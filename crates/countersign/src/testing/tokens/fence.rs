//! Clauses about the user's [`Fence`], which keeps out logins that began before a "log out
//! everywhere".
//!
//! A login reads the fence before it checks the password, and its tokens are recorded behind that
//! fence. If [`end_user`](crate::store::TokenStore::end_user) has replaced the fence meanwhile, the
//! store refuses them. Without the fence such a login, judged by the old password, would outlive
//! the logout.

use std::time::Duration;

use crate::session::SessionId;
use crate::store::{Fence, NewAccess, NewRefresh, Opened, SweepLimit};
use crate::testing::tokens::fixture::{Fixture, NOW, TICK, another, minutes, session};
use crate::testing::violation::{Verdict, ensure, same};
use crate::user::UserKey;

/// Checks that all callers get the same fence until `end_user` replaces it, and its replacement
/// afterwards.
///
/// The value that a call offers is used only if the user has no fence.
/// [`clear`](crate::store::TokenStore::clear) does not change the fence.
pub(super) async fn stands_until_it_is_replaced(fixture: Fixture) -> Verdict {
    let first = fixture
        .store
        .fence(fixture.owner(), another()?, NOW)
        .await?;
    let again = fixture
        .store
        .fence(fixture.owner(), another()?, minutes(1))
        .await?;
    same("a fence that nobody replaced", &again, &first)?;
    let replaced = fixture.end(fixture.owner(), None).await?;
    same(
        "a fence that was replaced",
        &fixture
            .store
            .fence(fixture.owner(), another()?, minutes(3))
            .await?,
        &replaced,
    )?;

    fixture.clear(fixture.owner(), None).await?;
    same(
        "the fence after clearing",
        &fixture
            .store
            .fence(fixture.owner(), first, minutes(4))
            .await?,
        &replaced,
    )
}

/// Checks that a login is recorded only behind the current fence.
///
/// With a fence that was replaced, `insert_refresh` returns `Opened::Fenced` and records neither
/// the refresh token nor the access token. A login with the new fence is recorded.
pub(super) async fn lets_nobody_in_who_came_before_it(fixture: Fixture) -> Verdict {
    let (mine, late) = (session(1)?, session(2)?);
    let fence = fixture.fence(fixture.owner()).await?;
    let login = login_behind(&fixture, "mine", mine, fence);
    let access = fixture.access_of("mine", mine);
    let opened = fixture.store.insert_refresh(&login, Some(&access)).await?;
    same(
        "a login behind the fence that stands",
        &opened,
        &Opened::Done,
    )?;
    fixture.holds_refresh(&login).await?;
    fixture.holds_access(&access).await?;

    let replaced = fixture.end(fixture.owner(), None).await?;
    for with_access in [true, false] {
        let login = login_behind(&fixture, "late", late, fence);
        let access = Some(fixture.access_of("late", late)).filter(|_| with_access);
        let opened = fixture
            .store
            .insert_refresh(&login, access.as_ref())
            .await?;
        same(
            "a login behind a fence that was replaced",
            &opened,
            &Opened::Fenced,
        )?;
        ensure(
            !fixture.has_refresh("late").await?,
            "a login was recorded that was overtaken",
        )?;
        ensure(
            !fixture.has_access("late").await?,
            "a login that was overtaken has an access token",
        )?;
    }

    let login = login_behind(&fixture, "late", late, replaced);
    let opened = fixture.store.insert_refresh(&login, None).await?;
    same("a login behind the new fence", &opened, &Opened::Done)?;
    fixture.holds_refresh(&login).await
}

/// Returns a login of the owner behind a fence.
fn login_behind(fixture: &Fixture, label: &str, session: SessionId, fence: Fence) -> NewRefresh {
    NewRefresh {
        fence: Some(fence),
        ..fixture.opening(label, session)
    }
}

/// Checks that an access token without a refresh token is recorded only behind the current fence.
///
/// With a fence that was replaced, or with one that the user never had, `insert_access` returns
/// `Opened::Fenced` and records nothing.
pub(super) async fn keeps_out_access_tokens_too(fixture: Fixture) -> Verdict {
    let fence = fixture.fence(fixture.owner()).await?;
    let mine = access_behind(&fixture, "mine", fence);
    let opened = fixture.store.insert_access(&mine).await?;
    same(
        "an access token behind the fence that stands",
        &opened,
        &Opened::Done,
    )?;
    fixture.holds_access(&mine).await?;

    let replaced = fixture.end(fixture.owner(), None).await?;
    for other in [fence, another()?] {
        let late = access_behind(&fixture, "late", other);
        let opened = fixture.store.insert_access(&late).await?;
        same(
            "an access token behind a fence that doesn't stand",
            &opened,
            &Opened::Fenced,
        )?;
        ensure(
            !fixture.has_access("late").await?,
            "an access token was recorded that was overtaken",
        )?;
    }

    let late = access_behind(&fixture, "late", replaced);
    let opened = fixture.store.insert_access(&late).await?;
    same(
        "an access token behind the new fence",
        &opened,
        &Opened::Done,
    )?;
    fixture.holds_access(&late).await
}

/// Returns an access token of the owner, without a session, behind a fence.
fn access_behind(fixture: &Fixture, label: &str, fence: Fence) -> NewAccess {
    NewAccess {
        fence: Some(fence),
        ..fixture.access(label)
    }
}

/// Checks that nothing is recorded behind a fence that the user never had.
///
/// A store that lost the fence must refuse logins that began before the loss. It cannot know
/// whether a "log out everywhere" was lost as well.
pub(super) async fn must_have_stood(fixture: Fixture) -> Verdict {
    let login = NewRefresh {
        fence: Some(another()?),
        ..fixture.opening("login", session(1)?)
    };
    let access = NewAccess {
        fence: Some(another()?),
        ..fixture.access("access")
    };

    same(
        "a login",
        &fixture.store.insert_refresh(&login, None).await?,
        &Opened::Fenced,
    )?;
    same(
        "an access token",
        &fixture.store.insert_access(&access).await?,
        &Opened::Fenced,
    )?;
    let recorded = fixture.has_refresh("login").await? || fixture.has_access("access").await?;
    ensure(
        !recorded,
        "a token was recorded behind a fence that never stood",
    )
}

/// Checks that the access token of a login is recorded behind the login's fence, whatever its own
/// field says.
///
/// Otherwise `end_user` would end the session and miss this access token.
pub(super) async fn of_a_session_is_that_of_its_login(fixture: Fixture) -> Verdict {
    let fence = fixture.fence(fixture.owner()).await?;
    for (number, named) in [(1, None), (2, Some(another()?)), (3, Some(fence))] {
        let (label, session) = (format!("login {number}"), session(number)?);
        let login = NewRefresh {
            fence: Some(fence),
            ..fixture.opening(&label, session)
        };
        let access = NewAccess {
            session: Some(session),
            fence: named,
            ..fixture.access(&label)
        };
        same(
            "a login",
            &fixture.store.insert_refresh(&login, Some(&access)).await?,
            &Opened::Done,
        )?;
        fixture.holds_access(&access).await?;
    }

    fixture.end(fixture.owner(), None).await?;
    for number in 1..=3 {
        ensure(
            !fixture.has_access(&format!("login {number}")).await?,
            "an access token outlives the fence of its login",
        )?;
    }
    Ok(())
}

/// Checks that each user has a fence of their own, and that replacing one leaves the others.
///
/// A fence that two users share would log out both.
pub(super) async fn is_the_users_own(fixture: Fixture) -> Verdict {
    let mut first: Vec<Fence> = Vec::new();
    for user in fixture.users.iter() {
        let fence = fixture.fence(user).await?;
        ensure(!first.contains(&fence), "two users have one fence")?;
        first.push(fence);
    }
    let mut fences = Vec::new();
    for (user, first) in fixture.users.iter().zip(first) {
        same(
            "the fence of a user when another's was replaced",
            &fixture.fence(user).await?,
            &first,
        )?;
        fences.push(fixture.end(user, None).await?);
    }

    for (user, fence) in fixture.users.iter().zip(fences) {
        same("a user's fence", &fixture.fence(user).await?, &fence)?;
    }
    Ok(())
}

/// One day, for times that are far apart.
const DAY: Duration = Duration::from_hours(24);

/// Returns the limits of a sweep that removes fences last used at or before `fence_used`.
const fn swept(fence_used: crate::clock::Timestamp) -> SweepLimit {
    SweepLimit {
        now: NOW,
        access_created: NOW,
        refresh_created: NOW,
        fence_used,
        rows: 10,
    }
}

/// Checks that a sweep removes a fence that was last used at or before the limit and that no token
/// is recorded behind.
///
/// A login and an access token count as a use, at their `created_at`, also after they were removed:
/// another login of that user may be under way. Without this removal there would be a fence for
/// ever for each user that ever was.
pub(super) async fn goes_when_nobody_uses_it(fixture: Fixture) -> Verdict {
    let [unused, logged_in, let_in] = three(&fixture)?;
    let mut fences = Vec::new();
    for user in [&unused, &logged_in, &let_in] {
        fixture.fence(user).await?;
        fences.push(fixture.end(user, None).await?);
    }

    let later = NOW.saturating_add(DAY);
    let login = NewRefresh {
        user: logged_in.clone(),
        created_at: later,
        fence: fences.get(1).copied(),
        ..fixture.opening("login", session(1)?)
    };
    same(
        "logging in",
        &fixture.store.insert_refresh(&login, None).await?,
        &Opened::Done,
    )?;
    let access = NewAccess {
        user: let_in.clone(),
        created_at: later,
        fence: fences.get(2).copied(),
        ..fixture.access("access")
    };
    same(
        "an access token",
        &fixture.store.insert_access(&access).await?,
        &Opened::Done,
    )?;

    // Both tokens are removed again, so that only the use itself can keep these fences.
    fixture.store.end_session(session(1)?, &logged_in).await?;
    fixture
        .store
        .remove_access(&fixture.token("access"), None)
        .await?;

    same(
        "sweeping too early",
        &fixture
            .store
            .sweep(&swept(NOW.saturating_sub(TICK)))
            .await?
            .fences,
        &0,
    )?;
    same(
        "a fence that isn't old enough",
        &Some(fixture.fence(&unused).await?),
        &fences.first().copied(),
    )?;
    same(
        "fences that were swept",
        &fixture.store.sweep(&swept(NOW)).await?.fences,
        &1,
    )?;
    ensure(
        Some(fixture.fence(&unused).await?) != fences.first().copied(),
        "a fence that nobody uses is kept",
    )?;
    same(
        "the fence of a login",
        &Some(fixture.fence(&logged_in).await?),
        &fences.get(1).copied(),
    )?;
    same(
        "the fence of an access token",
        &Some(fixture.fence(&let_in).await?),
        &fences.get(2).copied(),
    )
}

/// Returns three different users.
fn three(fixture: &Fixture) -> Result<[UserKey; 3], crate::testing::violation::Violation> {
    match fixture.users.as_ref() {
        [first, second, third, ..] => Ok([first.clone(), second.clone(), third.clone()]),
        _ => Err(crate::testing::violation::Violation::new(
            "there are fewer than three users",
        )),
    }
}

/// Checks that a sweep leaves a fence for as long as a token is recorded behind it, however long
/// ago it was used.
///
/// `end_user` ends what is recorded behind the current fence. Without the fence it would not find
/// these tokens. Once the tokens are gone, a sweep removes the fence.
pub(super) async fn stays_while_tokens_are_behind_it(fixture: Fixture) -> Verdict {
    let [logged_in, let_in, bare] = three(&fixture)?;
    let mut fences = Vec::new();
    for user in [&logged_in, &let_in, &bare] {
        fences.push(fixture.fence(user).await?);
    }

    let login = NewRefresh {
        user: logged_in.clone(),
        fence: fences.first().copied(),
        ..fixture.opening("login", session(1)?)
    };
    same(
        "logging in",
        &fixture.store.insert_refresh(&login, None).await?,
        &Opened::Done,
    )?;
    let access = NewAccess {
        user: let_in.clone(),
        fence: fences.get(1).copied(),
        ..fixture.access("access")
    };
    same(
        "an access token",
        &fixture.store.insert_access(&access).await?,
        &Opened::Done,
    )?;

    let much_later = swept(NOW.saturating_add(365 * DAY));
    same(
        "fences that were swept",
        &fixture.store.sweep(&much_later).await?.fences,
        &1,
    )?;
    ensure(
        Some(fixture.fence(&bare).await?) != fences.get(2).copied(),
        "a fence that nothing is behind is kept",
    )?;
    same(
        "the fence of a session",
        &Some(fixture.fence(&logged_in).await?),
        &fences.first().copied(),
    )?;
    same(
        "the fence of an access token",
        &Some(fixture.fence(&let_in).await?),
        &fences.get(1).copied(),
    )?;
    fixture.end(&logged_in, None).await?;
    ensure(
        !fixture.has_refresh("login").await?,
        "an ending doesn't find a session behind a fence of long ago",
    )?;

    fixture.clear(&logged_in, None).await?;
    fixture
        .store
        .remove_access(&fixture.token("access"), None)
        .await?;
    fixture.store.sweep(&much_later).await?;
    for (user, fence) in [&logged_in, &let_in].into_iter().zip(fences) {
        ensure(
            fixture.fence(user).await? != fence,
            "a fence is kept that nothing is behind any more",
        )?;
    }
    Ok(())
}
