//! Clauses about one session: its end, its record, and its place in lists.
//!
//! They cover [`end_session`](crate::store::TokenStore::end_session),
//! [`find_session`](crate::store::TokenStore::find_session),
//! [`sessions`](crate::store::TokenStore::sessions) and
//! [`note_use`](crate::store::TokenStore::note_use).

use std::net::IpAddr;

use crate::session::Client;
use crate::store::{Consumed, NewAccess, NewRefresh, Rotate, Rotated, SessionRecord, Used};
use crate::testing::tokens::ground::{Ground, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Checks that `end_session` removes every token of the session, and no other.
///
/// Access tokens from before a rotation belong to it as well. The call returns `true` the first
/// time and `false` afterwards, and no token of the session can be rotated any more.
pub(super) async fn end_takes_every_token(ground: Ground) -> Verdict {
    let (mine, other) = (session(1)?, session(2)?);
    let of = |session, label: &str| NewAccess {
        session: Some(session),
        ..ground.access(label)
    };
    ground
        .open(&ground.opening("old", mine), Some(&of(mine, "first")))
        .await?;
    same(
        "rotating",
        &ground
            .store
            .rotate(&ground.rotate("old", "new", mine))
            .await?,
        &Rotated::Done,
    )?;
    let (others, none, loose) = (
        of(other, "other"),
        ground.access("none"),
        ground.refresh("loose"),
    );
    ground
        .open(&ground.opening("others", other), Some(&others))
        .await?;
    ground.record(&none).await?;
    ground.open(&loose, None).await?;

    same(
        "ending a session",
        &ground.store.end_session(mine, ground.owner()).await?,
        &true,
    )?;
    ensure(
        !ground.has_refresh("new").await?,
        "a refresh token survived the end of its session",
    )?;
    for label in ["first", "new"] {
        ensure(
            !ground.has_access(label).await?,
            "an access token survived the end of its session",
        )?;
    }
    ground.holds_access(&others).await?;
    ground.holds_access(&none).await?;
    ground.holds_refresh(&loose).await?;
    ground
        .holds_refresh(&ground.opening("others", other))
        .await?;
    same(
        "ending it again",
        &ground.store.end_session(mine, ground.owner()).await?,
        &false,
    )?;
    let gone = ground
        .store
        .rotate(&ground.rotate("new", "newer", mine))
        .await?;
    same(
        "rotating a token of an ended session",
        &gone,
        &Rotated::Gone,
    )
}

/// Checks that `end_session` ends a session of `owner` only, and returns `false` for one of another
/// user.
///
/// A session's id is no secret: it is shown in device lists and carried by signed tokens. Knowing
/// it must not be enough to end the session.
pub(super) async fn end_asks_for_the_owner(ground: Ground) -> Verdict {
    let mine = session(1)?;
    let refresh = ground.opening("refresh", mine);
    let access = NewAccess {
        session: Some(mine),
        ..ground.access("access")
    };
    ground.open(&refresh, Some(&access)).await?;
    same(
        "ending another user's session",
        &ground.store.end_session(mine, ground.stranger()).await?,
        &false,
    )?;
    ground.holds_refresh(&refresh).await?;
    ground.holds_access(&access).await?;
    same(
        "ending one's own",
        &ground.store.end_session(mine, ground.owner()).await?,
        &true,
    )?;
    ensure(
        !ground.has_access("access").await?,
        "an access token survived the end of its session",
    )
}

/// Checks that ending an unknown session returns `false`, and that a user without sessions has an
/// empty list.
///
/// Neither is an error: an error means that the store could not be asked.
pub(super) async fn unknown_session_is_a_value(ground: Ground) -> Verdict {
    let refresh = ground.opening("refresh", session(1)?);
    ground.open(&refresh, None).await?;
    same(
        "ending an unknown session",
        &ground
            .store
            .end_session(session(2)?, ground.owner())
            .await?,
        &false,
    )?;
    same(
        "sessions of a user without any",
        &ground.session_ids(ground.stranger()).await?,
        &Vec::new(),
    )?;
    ground.holds_refresh(&refresh).await
}

/// Checks that lists show the sessions that have a refresh token, and only those of the user.
///
/// A session with only access tokens cannot be refreshed, and a token without a session is none. A
/// rotation neither adds a session nor removes one.
pub(super) async fn list_those_with_a_refresh_token(ground: Ground) -> Verdict {
    let (mine, theirs, access_only) = (session(1)?, session(2)?, session(3)?);
    let foreign = NewRefresh {
        user: ground.stranger().clone(),
        ..ground.opening("foreign", theirs)
    };
    let alone = NewAccess {
        session: Some(access_only),
        ..ground.access("alone")
    };
    ground.open(&ground.opening("old", mine), None).await?;
    ground.open(&foreign, None).await?;
    ground.open(&ground.refresh("loose"), None).await?;
    ground.record(&alone).await?;
    same(
        "the user's sessions",
        &ground.session_ids(ground.owner()).await?,
        &vec![mine],
    )?;
    ground
        .store
        .rotate(&ground.rotate("old", "new", mine))
        .await?;
    same(
        "the user's sessions after a rotation",
        &ground.session_ids(ground.owner()).await?,
        &vec![mine],
    )?;
    ground.store.end_session(mine, ground.owner()).await?;
    same(
        "the user's sessions after a logout",
        &ground.session_ids(ground.owner()).await?,
        &Vec::new(),
    )
}

/// Checks that a session's record keeps the time and the client of its login through rotations.
///
/// A rotation moves `refreshed_at`, `expires_at` and `access_expires_at`, and replaces the current
/// digest and the list of exchanged tokens. The client's texts, non-ASCII ones included, come back
/// unchanged. Lists show the same as the look-up. Another user does not find the session, and
/// nobody finds one that has ended.
pub(super) async fn tell_of_their_login(ground: Ground) -> Verdict {
    let mine = session(1)?;
    let client = Client::new()
        .with_user_agent("Mozilla/5.0 (X11; Linux) – „Ünïcode“ | 1")
        .with_label("Ada's | phone");
    let client = client.with_ip(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]));
    let opening = NewRefresh {
        client: client.clone(),
        access_expires_at: Some(minutes(20)),
        ..ground.opening("old", mine)
    };
    ground.open(&opening, None).await?;
    ground
        .open(&ground.opening("plain", session(2)?), None)
        .await?;
    for rotated in [false, true] {
        let rotate = Rotate {
            access_expires_at: Some(minutes(80)),
            ..ground.rotate("old", "new", mine)
        };
        if rotated {
            same(
                "rotating",
                &ground.store.rotate(&rotate).await?,
                &Rotated::Done,
            )?;
        }
        let found = ground.store.find_session(mine, ground.owner()).await?;
        let expected = SessionRecord {
            // A session for which no fence is asked may be recorded behind the current one.
            fence: found.as_ref().and_then(|found| found.fence),
            id: mine,
            opened_at: Some(opening.created_at),
            refreshed_at: Some(if rotated {
                rotate.created_at
            } else {
                opening.created_at
            }),
            used_at: None,
            expires_at: if rotated {
                rotate.expires_at
            } else {
                opening.expires_at
            },
            session_expires_at: opening.session_expires_at,
            access_expires_at: if rotated {
                Some(minutes(80))
            } else {
                opening.access_expires_at
            },
            current: Some(if rotated {
                rotate.successor
            } else {
                opening.digest.clone()
            }),
            consumed: if rotated {
                rotate.consumed
            } else {
                Consumed::default()
            },
            client: client.clone(),
        };
        ensure(
            found.as_ref() == Some(&expected),
            "a session is not what its login and its exchanges made it",
        )?;
        let listed = ground
            .listed(ground.owner(), 100)
            .await?
            .into_iter()
            .filter(|found| found.id == mine);
        ensure(
            listed.eq([expected]),
            "a list shows a session otherwise than its look-up does",
        )?;
    }
    let plain = ground
        .store
        .find_session(session(2)?, ground.owner())
        .await?;
    ensure(
        plain.is_some_and(|plain| plain.client == Client::new()),
        "a login has a client that nobody recorded",
    )?;
    let strangers = ground.store.find_session(mine, ground.stranger()).await?;
    ensure(strangers.is_none(), "a session is found for another user")?;
    ground.store.end_session(mine, ground.owner()).await?;
    let ended = ground.store.find_session(mine, ground.owner()).await?;
    ensure(ended.is_none(), "a session is found that has ended")
}

/// Checks that `note_use` records the later time for each session, also for many sessions in one
/// call.
///
/// An earlier time must not replace a later one, nor a rotation the time of use. A session that
/// does not exist must not be created: it may have ended since it was seen.
pub(super) async fn use_is_noted(ground: Ground) -> Verdict {
    let numbers = 1..=70;
    for number in numbers.clone() {
        ground
            .open(
                &ground.opening(&format!("token {number}"), session(number)?),
                None,
            )
            .await?;
    }
    ground.store.note_use(&[]).await?;
    let used = |number, at| {
        Ok::<_, Violation>(Used {
            session: session(number)?,
            user: ground.owner().clone(),
            at,
        })
    };
    let mut all = numbers
        .clone()
        .skip(1)
        .map(|n| used(n, minutes(u64::from(n))))
        .collect::<Result<Vec<_>, _>>()?;
    all.push(used(0xff, minutes(1))?);
    ground.store.note_use(&all).await?;
    ground
        .store
        .note_use(&[used(2, minutes(1))?, used(3, minutes(9))?])
        .await?;
    let rotate = ground.rotate("token 4", "new", session(4)?);
    same(
        "rotating a session in use",
        &ground.store.rotate(&rotate).await?,
        &Rotated::Done,
    )?;
    for number in numbers {
        let expected = match number {
            1 => None,
            3 => Some(minutes(9)),
            number => Some(minutes(u64::from(number))),
        };
        let found = ground
            .store
            .find_session(session(number)?, ground.owner())
            .await?;
        same(
            "when a session was seen in use",
            &found.map(|found| found.used_at),
            &Some(expected),
        )?;
    }
    ensure(
        ground
            .store
            .find_session(session(0xff)?, ground.owner())
            .await?
            .is_none(),
        "noting its use opened a session",
    )
}
