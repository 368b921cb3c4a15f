//! What a user has, counted.

use crate::clock::Timestamp;
use crate::store::{NewRefresh, Rotate, Rotated, SweepLimit, UserSurvey};
use crate::testing::tokens::ground::{Ground, NOW, TICK, limit, minutes, session};
use crate::testing::violation::{Verdict, Violation, same};

async fn survey(ground: &Ground, limit: &SweepLimit) -> Result<(u64, Option<Timestamp>), Violation> {
    let UserSurvey { sessions, access_expires_at, .. } = ground.store.survey(ground.owner(), limit).await?;
    Ok((sessions, access_expires_at))
}

/// A survey counts sessions that can be refreshed: those that haven't ended, by their own end or by their age, and only
/// the user's own.
pub(super) async fn counts_what_can_be_refreshed(ground: Ground) -> Verdict {
    same("a survey of a user without sessions", &survey(&ground, &limit(NOW, NOW)).await?, &(0, None))?;
    let at = |number, created_at, expires_at| {
        Ok::<_, Violation>(NewRefresh {
            created_at,
            expires_at,
            ..ground.opening(&format!("token {number}"), session(number)?)
        })
    };
    let later = minutes(100);
    let sessions = [
        at(1, NOW, Some(minutes(24 * 60)))?,
        at(2, NOW, Some(later.saturating_add(TICK)))?,
        at(3, NOW, Some(later))?,
        at(4, NOW, Some(later.saturating_sub(TICK)))?,
        at(5, minutes(50), None)?,
        at(6, minutes(50).saturating_add(TICK), None)?,
        NewRefresh { user: ground.stranger().clone(), ..at(7, NOW, Some(minutes(24 * 60)))? },
        ground.refresh("loose"),
    ];
    for opening in &sessions {
        ground.open(opening, None).await?;
    }
    let of_age = SweepLimit { access_created: NOW, ..limit(later, minutes(50)) };
    same("sessions that can be refreshed", &survey(&ground, &of_age).await?, &(3, None))?;
    same("rotating", &ground.store.rotate(&ground.rotate("token 1", "new", session(1)?)).await?, &Rotated::Done)?;
    same("sessions after a rotation", &survey(&ground, &of_age).await?, &(3, None))?;
    ground.store.end_session(session(2)?, ground.owner()).await?;
    same("sessions after a logout", &survey(&ground, &of_age).await?, &(2, None))
}

/// The latest end of a signed access token is that of the sessions that count, wherever it stands among them.
pub(super) async fn tells_the_latest_signed_end(ground: Ground) -> Verdict {
    let of_day = limit(NOW, NOW);
    let ends = [None, Some(minutes(30)), Some(minutes(90).saturating_add(TICK)), None, Some(minutes(60))];
    for (number, access_expires_at) in (1..).zip(ends) {
        let opening = ground.opening(&format!("token {number}"), session(number)?);
        let expires_at = Some(minutes(24 * 60 + u64::from(number)));
        ground.open(&NewRefresh { expires_at, access_expires_at, ..opening }, None).await?;
    }
    let stranger = NewRefresh {
        user: ground.stranger().clone(),
        access_expires_at: Some(minutes(500)),
        ..ground.opening("stranger", session(9)?)
    };
    ground.open(&stranger, None).await?;
    let latest = Some(minutes(90).saturating_add(TICK));
    same("five sessions and their latest end", &survey(&ground, &of_day).await?, &(5, latest))?;
    let third_is_over = limit(minutes(24 * 60 + 3), NOW);
    same("when three have expired", &survey(&ground, &third_is_over).await?, &(2, Some(minutes(60))))?;
    ground.store.end_session(session(3)?, ground.owner()).await?;
    same("without the latest of them", &survey(&ground, &of_day).await?, &(4, Some(minutes(60))))?;
    let signed =
        Rotate { access_expires_at: Some(minutes(75)), access: None, ..ground.rotate("token 1", "new", session(1)?) };
    same("rotating", &ground.store.rotate(&signed).await?, &Rotated::Done)?;
    same("after a rotation with a later one", &survey(&ground, &of_day).await?, &(4, Some(minutes(75))))?;
    ground.end_all(ground.owner(), None).await?;
    same("after the end of everything", &survey(&ground, &of_day).await?, &(0, None))
}
