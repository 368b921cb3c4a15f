//! Clauses about user ids, run for each kind that a backend can hold: no id is taken for another.
//!
//! The ids come from [`user_ids`](crate::testing::user_ids). Among them are ids that collations,
//! conversions or careless key formats treat as equal.

use crate::session::SessionId;
use crate::store::{NewAccess, NewRefresh, Opened};
use crate::testing::tokens::fixture::{Fixture, NOW, limit, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};
use crate::user::UserKey;

/// The records of one user in these cases.
///
/// They are a session of two tokens behind the user's fence, and a token of each kind without a
/// session and behind no fence.
struct Holding {
    /// The user's place in the list of users, which is part of the tokens' labels.
    number: usize,
    /// The user.
    user: UserKey,
    /// The user's session.
    session: SessionId,
    /// The session's refresh token, and one without a session.
    refresh: [NewRefresh; 2],
    /// The session's access token, and one without a session.
    access: [NewAccess; 2],
}

/// Records a [`Holding`] for each user, and returns them.
async fn everyone(fixture: &Fixture) -> Result<Vec<Holding>, Violation> {
    let mut holdings = Vec::new();
    for (number, user) in fixture.users.iter().enumerate() {
        let session = session(u8::try_from(number).unwrap_or(u8::MAX))?;
        let [in_session, loose] = ["session", "loose"].map(|name| format!("{name} {number}"));
        let fence = Some(fixture.fence(user).await?);
        let holding = Holding {
            number,
            user: user.clone(),
            session,
            refresh: [
                NewRefresh {
                    user: user.clone(),
                    fence,
                    ..fixture.opening(&in_session, session)
                },
                NewRefresh {
                    user: user.clone(),
                    ..fixture.refresh(&loose)
                },
            ],
            access: [
                NewAccess {
                    user: user.clone(),
                    session: Some(session),
                    ..fixture.access(&in_session)
                },
                NewAccess {
                    user: user.clone(),
                    ..fixture.access(&loose)
                },
            ],
        };

        let ([first, second], [with_first, alone]) = (&holding.refresh, &holding.access);
        let opened = fixture
            .store
            .insert_refresh(first, Some(with_first))
            .await?;
        same("logging in", &opened, &Opened::Done)
            .map_err(|violation| holding.about(&violation))?;
        fixture.open(second, None).await?;
        fixture.record(alone).await?;
        holdings.push(holding);
    }

    Ok(holdings)
}

impl Holding {
    /// Checks that all four tokens are found with the values they were recorded with.
    async fn is_whole(&self, fixture: &Fixture) -> Verdict {
        for refresh in &self.refresh {
            fixture
                .holds_refresh(refresh)
                .await
                .map_err(|violation| self.about(&violation))?;
        }

        for access in &self.access {
            fixture
                .holds_access(access)
                .await
                .map_err(|violation| self.about(&violation))?;
        }
        Ok(())
    }

    /// Checks that none of the four tokens is found.
    async fn is_gone(&self, fixture: &Fixture) -> Verdict {
        for name in ["session", "loose"] {
            let label = format!("{name} {}", self.number);
            let any = fixture.has_access(&label).await? || fixture.has_refresh(&label).await?;
            ensure(!any, "a token outlives the end of its user")
                .map_err(|violation| self.about(&violation))?;
        }
        Ok(())
    }

    /// Returns the violation with the user's id added.
    fn about(&self, violation: &Violation) -> Violation {
        Violation::new(format!("user id {:?}: {violation}", self.user.to_subject()))
    }
}

/// Checks that each token is found with exactly the user id that it was recorded for.
///
/// An id that comes back changed is another account.
pub(super) async fn ids_come_back_as_they_went_in(fixture: Fixture) -> Verdict {
    for holding in everyone(&fixture).await? {
        holding.is_whole(&fixture).await?;
    }
    Ok(())
}

/// Checks that ending everything of one user leaves all other users' tokens.
///
/// This holds also if the call names another user's session as the one to keep.
pub(super) async fn endings_touch_one_user_alone(fixture: Fixture) -> Verdict {
    let holdings = everyone(&fixture).await?;
    let mut rest = holdings.as_slice();

    while let [leaving, staying @ ..] = rest {
        let kept = staying.first().map(|next| next.session);
        for round in 0..2 {
            fixture
                .end_all(&leaving.user, kept.filter(|_| round == 0))
                .await?;
            leaving.is_gone(&fixture).await?;
            if let Some(next) = staying.first() {
                next.is_whole(&fixture).await?;
            }
        }
        rest = staying;
    }
    Ok(())
}

/// Checks that each user can keep a session of their own, and that their next `end_user` ends it.
///
/// The kept session must be recorded behind the new fence of its own user.
pub(super) async fn kept_sessions_are_the_users_own(fixture: Fixture) -> Verdict {
    let holdings = everyone(&fixture).await?;
    for mine in &holdings {
        fixture.end_all(&mine.user, Some(mine.session)).await?;
    }

    for mine in &holdings {
        let label = format!("session {}", mine.number);
        let there = fixture.has_access(&label).await? && fixture.has_refresh(&label).await?;
        ensure(there, "a session that was kept is gone")
            .map_err(|violation| mine.about(&violation))?;
        fixture.end(&mine.user, None).await?;
        mine.is_gone(&fixture).await?;
    }
    Ok(())
}

/// Checks that removals with an owner change nothing for any other user, and work for the owner.
///
/// Each pair of users is tried, so that one pair of ids that the store takes for the same is enough
/// to fail.
pub(super) async fn owners_are_told_apart(fixture: Fixture) -> Verdict {
    let holdings = everyone(&fixture).await?;
    for mine in &holdings {
        let token = fixture.token(&format!("loose {}", mine.number));
        for other in holdings.iter().filter(|other| other.number != mine.number) {
            let owner = Some(&other.user);
            let took = fixture.store.remove_access(&token, owner).await?
                || fixture.store.remove_refresh(&token, owner).await?
                || fixture.store.end_session(mine.session, &other.user).await?;
            ensure(!took, "another user took a token")
                .map_err(|violation| mine.about(&violation))?;
        }

        mine.is_whole(&fixture).await?;
        let owner = Some(&mine.user);
        let took = fixture.store.remove_access(&token, owner).await?
            && fixture.store.remove_refresh(&token, owner).await?
            && fixture.store.end_session(mine.session, &mine.user).await?;
        ensure(took, "the owner could not remove every token")
            .map_err(|violation| mine.about(&violation))?;
    }
    Ok(())
}

/// Checks that lists and surveys show a user exactly their own session.
pub(super) async fn sessions_are_the_users_own(fixture: Fixture) -> Verdict {
    for mine in everyone(&fixture).await? {
        let sessions = fixture.session_ids(&mine.user).await?;
        same("the user's sessions", &sessions, &vec![mine.session])
            .map_err(|violation| mine.about(&violation))?;
        let survey = fixture.store.survey(&mine.user, &limit(NOW, NOW)).await?;
        same("the user's sessions, counted", &survey.sessions, &1)
            .map_err(|violation| mine.about(&violation))?;
    }
    Ok(())
}
