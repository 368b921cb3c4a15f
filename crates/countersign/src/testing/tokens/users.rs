//! User ids of one kind, the hostile ones included: no id is ever taken for another.

use crate::answer::SessionId;
use crate::store::{NewAccess, NewRefresh, Page};
use crate::testing::tokens::ground::{Ground, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};
use crate::user::UserKey;

/// What one user has in these cases: a session of two tokens, and a token of each kind without session.
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
        let holding = Holding {
            number,
            user: user.clone(),
            session,
            refresh: [
                NewRefresh { user: user.clone(), ..ground.opening(&label("session"), session) },
                NewRefresh { user: user.clone(), ..ground.refresh(&label("loose")) },
            ],
            access: [
                NewAccess { user: user.clone(), session: Some(session), ..ground.access(&label("session")) },
                NewAccess { user: user.clone(), ..ground.access(&label("loose")) },
            ],
        };
        let ([first, second], [with_first, alone]) = (&holding.refresh, &holding.access);
        ground.open(first, Some(with_first)).await?;
        ground.open(second, None).await?;
        ground.store.insert_access(alone).await?;
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
            ensure(!any, "a token survived the removal of its user").map_err(|violation| self.about(&violation))?;
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

/// Every token of the user goes and is counted; everybody else's stay.
pub(super) async fn removal_touches_one_user_alone(ground: Ground) -> Verdict {
    let holdings = everyone(&ground).await?;
    let mut rest = holdings.as_slice();
    while let [leaving, staying @ ..] = rest {
        let removed = ground.store.remove_user(&leaving.user).await?;
        same("tokens of the user", &removed, &4).map_err(|violation| leaving.about(&violation))?;
        leaving.is_gone(&ground).await?;
        if let Some(next) = staying.first() {
            next.is_whole(&ground).await?;
        }
        same("removing the user again", &ground.store.remove_user(&leaving.user).await?, &0)?;
        rest = staying;
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
        let sessions = ground.store.sessions(&mine.user, Page { after: None, limit: 100 }).await?;
        let sessions: Vec<_> = sessions.iter().map(|found| found.id).collect();
        same("the user's sessions", &sessions, &vec![mine.session]).map_err(|violation| mine.about(&violation))?;
    }
    Ok(())
}
