//! User ids of one kind, the hostile ones included: no id is ever taken for another.

use crate::answer::SessionId;
use crate::store::{NewAccess, NewRefresh, Opened};
use crate::testing::tokens::ground::{Ground, NOW, limit, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};
use crate::user::UserKey;

/// What one user has in these cases: a session of two tokens behind the user's fence, and a token of each kind without
/// session and behind no fence.
struct Holding {
    number: usize,
    user: UserKey,
    session: SessionId,
    refresh: [NewRefresh; 2],
    access: [NewAccess; 2],
}

async fn everyone(ground: &Ground) -> Result<Vec<Holding>, Violation> {
    let mut holdings = Vec::new();
    for (number, user) in ground.users.iter().enumerate() {
        let session = session(u8::try_from(number).unwrap_or(u8::MAX))?;
        let label = |name: &str| format!("{name} {number}");
        let fence = Some(ground.fence(user).await?);
        let holding = Holding {
            number,
            user: user.clone(),
            session,
            refresh: [
                NewRefresh { user: user.clone(), fence, ..ground.opening(&label("session"), session) },
                NewRefresh { user: user.clone(), ..ground.refresh(&label("loose")) },
            ],
            access: [
                NewAccess { user: user.clone(), session: Some(session), ..ground.access(&label("session")) },
                NewAccess { user: user.clone(), ..ground.access(&label("loose")) },
            ],
        };
        let ([first, second], [with_first, alone]) = (&holding.refresh, &holding.access);
        let opened = ground.store.insert_refresh(first, Some(with_first)).await?;
        same("logging in", &opened, &Opened::Done).map_err(|violation| holding.about(&violation))?;
        ground.open(second, None).await?;
        ground.record(alone).await?;
        holdings.push(holding);
    }
    Ok(holdings)
}

impl Holding {
    async fn is_whole(&self, ground: &Ground) -> Verdict {
        for refresh in &self.refresh {
            ground.holds_refresh(refresh).await.map_err(|violation| self.about(&violation))?;
        }
        for access in &self.access {
            ground.holds_access(access).await.map_err(|violation| self.about(&violation))?;
        }
        Ok(())
    }

    async fn is_gone(&self, ground: &Ground) -> Verdict {
        for name in ["session", "loose"] {
            let label = format!("{name} {}", self.number);
            let any = ground.has_access(&label).await? || ground.has_refresh(&label).await?;
            ensure(!any, "a token outlives the end of its user").map_err(|violation| self.about(&violation))?;
        }
        Ok(())
    }

    fn about(&self, violation: &Violation) -> Violation {
        Violation::new(format!("user id {:?}: {violation}", self.user.to_subject()))
    }
}

pub(super) async fn ids_come_back_as_they_went_in(ground: Ground) -> Verdict {
    for holding in everyone(&ground).await? {
        holding.is_whole(&ground).await?;
    }
    Ok(())
}

/// Everything of the user ends; everybody else's stays, also when the user names another's session as the one to keep.
pub(super) async fn endings_touch_one_user_alone(ground: Ground) -> Verdict {
    let holdings = everyone(&ground).await?;
    let mut rest = holdings.as_slice();
    while let [leaving, staying @ ..] = rest {
        let kept = staying.first().map(|next| next.session);
        for round in 0..2 {
            ground.end_all(&leaving.user, kept.filter(|_| round == 0)).await?;
            leaving.is_gone(&ground).await?;
            if let Some(next) = staying.first() {
                next.is_whole(&ground).await?;
            }
        }
        rest = staying;
    }
    Ok(())
}

/// Each user keeps a session of their own, and it is behind their own fence from then on.
pub(super) async fn kept_sessions_are_the_users_own(ground: Ground) -> Verdict {
    let holdings = everyone(&ground).await?;
    for mine in &holdings {
        ground.end_all(&mine.user, Some(mine.session)).await?;
    }
    for mine in &holdings {
        let label = format!("session {}", mine.number);
        let there = ground.has_access(&label).await? && ground.has_refresh(&label).await?;
        ensure(there, "a session that was kept is gone").map_err(|violation| mine.about(&violation))?;
        ground.end(&mine.user, None).await?;
        mine.is_gone(&ground).await?;
    }
    Ok(())
}

pub(super) async fn owners_are_told_apart(ground: Ground) -> Verdict {
    let holdings = everyone(&ground).await?;
    for mine in &holdings {
        let token = ground.token(&format!("loose {}", mine.number));
        for other in holdings.iter().filter(|other| other.number != mine.number) {
            let owner = Some(&other.user);
            let took = ground.store.remove_access(&token, owner).await?
                || ground.store.remove_refresh(&token, owner).await?
                || ground.store.end_session(mine.session, &other.user).await?;
            ensure(!took, "another user took a token").map_err(|violation| mine.about(&violation))?;
        }
        mine.is_whole(&ground).await?;
        let owner = Some(&mine.user);
        let took = ground.store.remove_access(&token, owner).await?
            && ground.store.remove_refresh(&token, owner).await?
            && ground.store.end_session(mine.session, &mine.user).await?;
        ensure(took, "the owner could not remove every token").map_err(|violation| mine.about(&violation))?;
    }
    Ok(())
}

pub(super) async fn sessions_are_the_users_own(ground: Ground) -> Verdict {
    for mine in everyone(&ground).await? {
        let sessions = ground.session_ids(&mine.user).await?;
        same("the user's sessions", &sessions, &vec![mine.session]).map_err(|violation| mine.about(&violation))?;
        let survey = ground.store.survey(&mine.user, &limit(NOW, NOW)).await?;
        same("the user's sessions, counted", &survey.sessions, &1).map_err(|violation| mine.about(&violation))?;
    }
    Ok(())
}
