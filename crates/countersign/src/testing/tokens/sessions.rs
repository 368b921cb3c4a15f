//! Clauses about one session: its end, its record, and its place in lists.
//!
//! They cover [`end_session`](crate::store::TokenStore::end_session),
//! [`find_session`](crate::store::TokenStore::find_session),
//! [`sessions`](crate::store::TokenStore::sessions) and
//! [`note_use`](crate::store::TokenStore::note_use).

use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::session::ClientInfo;
use crate::store::{
    Consumed, NewAccess, NewRefresh, RotateOutcome, RotateRequest, SessionRecord, Used,
};
use crate::testing::tokens::fixture::{Fixture, minutes, session};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// Checks that `end_session` removes every token of the session, and no other.
///
/// Access tokens from before a rotation belong to it as well. The call returns `true` the first
/// time and `false` afterwards, and no token of the session can be rotated any more.
pub(super) async fn end_takes_every_token(fixture: Fixture) -> Verdict {
    let (mine, other) = (session(1)?, session(2)?);
    let first = fixture.access_of("first", mine);
    fixture
        .open(&fixture.opening("old", mine), Some(&first))
        .await?;
    same(
        "rotating",
        &fixture
            .store
            .rotate(&fixture.rotate("old", "new", mine))
            .await?,
        &RotateOutcome::Done,
    )?;
    let (others, none, loose) = (
        fixture.access_of("other", other),
        fixture.access("none"),
        fixture.refresh("loose"),
    );
    fixture
        .open(&fixture.opening("others", other), Some(&others))
        .await?;
    fixture.record(&none).await?;
    fixture.open(&loose, None).await?;

    same(
        "ending a session",
        &fixture.store.end_session(mine, fixture.owner()).await?,
        &true,
    )?;
    ensure(
        !fixture.has_refresh("new").await?,
        "a refresh token survived the end of its session",
    )?;
    for label in ["first", "new"] {
        ensure(
            !fixture.has_access(label).await?,
            "an access token survived the end of its session",
        )?;
    }

    fixture.holds_access(&others).await?;
    fixture.holds_access(&none).await?;
    fixture.holds_refresh(&loose).await?;
    fixture
        .holds_refresh(&fixture.opening("others", other))
        .await?;
    same(
        "ending it again",
        &fixture.store.end_session(mine, fixture.owner()).await?,
        &false,
    )?;
    let gone = fixture
        .store
        .rotate(&fixture.rotate("new", "newer", mine))
        .await?;
    same(
        "rotating a token of an ended session",
        &gone,
        &RotateOutcome::Gone,
    )
}

/// Checks that `end_session` ends a session of `owner` only, and returns `false` for one of another
/// user.
///
/// A session's id is no secret: it is shown in device lists and carried by signed tokens. Knowing
/// it must not be enough to end the session.
pub(super) async fn end_asks_for_the_owner(fixture: Fixture) -> Verdict {
    let mine = session(1)?;
    let refresh = fixture.opening("refresh", mine);
    let access = NewAccess {
        session: Some(mine),
        ..fixture.access("access")
    };
    fixture.open(&refresh, Some(&access)).await?;
    same(
        "ending another user's session",
        &fixture.store.end_session(mine, fixture.stranger()).await?,
        &false,
    )?;

    fixture.holds_refresh(&refresh).await?;
    fixture.holds_access(&access).await?;
    same(
        "ending one's own",
        &fixture.store.end_session(mine, fixture.owner()).await?,
        &true,
    )?;
    ensure(
        !fixture.has_access("access").await?,
        "an access token survived the end of its session",
    )
}

/// Checks that ending an unknown session returns `false`, and that a user without sessions has an
/// empty list.
///
/// Neither is an error: an error means that the store could not be asked.
pub(super) async fn unknown_session_is_a_value(fixture: Fixture) -> Verdict {
    let refresh = fixture.opening("refresh", session(1)?);
    fixture.open(&refresh, None).await?;

    same(
        "ending an unknown session",
        &fixture
            .store
            .end_session(session(2)?, fixture.owner())
            .await?,
        &false,
    )?;
    same(
        "sessions of a user without any",
        &fixture.session_ids(fixture.stranger()).await?,
        &Vec::new(),
    )?;
    fixture.holds_refresh(&refresh).await
}

/// Checks that lists show the sessions that have a refresh token, and only those of the user.
///
/// A session with only access tokens cannot be refreshed, and a token without a session is none. A
/// rotation neither adds a session nor removes one.
pub(super) async fn list_those_with_a_refresh_token(fixture: Fixture) -> Verdict {
    let (mine, theirs, access_only) = (session(1)?, session(2)?, session(3)?);
    let foreign = NewRefresh {
        user: fixture.stranger().clone(),
        ..fixture.opening("foreign", theirs)
    };
    let alone = NewAccess {
        session: Some(access_only),
        ..fixture.access("alone")
    };
    fixture.open(&fixture.opening("old", mine), None).await?;
    fixture.open(&foreign, None).await?;
    fixture.open(&fixture.refresh("loose"), None).await?;
    fixture.record(&alone).await?;
    same(
        "the user's sessions",
        &fixture.session_ids(fixture.owner()).await?,
        &vec![mine],
    )?;

    fixture
        .store
        .rotate(&fixture.rotate("old", "new", mine))
        .await?;
    same(
        "the user's sessions after a rotation",
        &fixture.session_ids(fixture.owner()).await?,
        &vec![mine],
    )?;
    fixture.store.end_session(mine, fixture.owner()).await?;
    same(
        "the user's sessions after a logout",
        &fixture.session_ids(fixture.owner()).await?,
        &Vec::new(),
    )
}

/// Checks that a session's record keeps the time and the client of its login through rotations.
///
/// A rotation moves `refreshed_at`, `expires_at` and `access_expires_at`, and replaces the current
/// digest and the list of exchanged tokens. The client's texts, non-ASCII ones included, come back
/// unchanged. Lists show the same as the look-up. Another user does not find the session, and
/// nobody finds one that has ended.
pub(super) async fn tell_of_their_login(fixture: Fixture) -> Verdict {
    let mine = session(1)?;
    let client = ClientInfo::new()
        .with_user_agent("Mozilla/5.0 (X11; Linux) – „Ünïcode“ | 1")
        .with_label("Ada's | phone");
    let client = client.with_ip(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]));
    let opening = NewRefresh {
        client: client.clone(),
        access_expires_at: Some(minutes(20)),
        ..fixture.opening("old", mine)
    };
    fixture.open(&opening, None).await?;
    fixture
        .open(&fixture.opening("plain", session(2)?), None)
        .await?;

    for rotated in [false, true] {
        let rotate = RotateRequest {
            access_expires_at: Some(minutes(80)),
            ..fixture.rotate("old", "new", mine)
        };
        if rotated {
            same(
                "rotating",
                &fixture.store.rotate(&rotate).await?,
                &RotateOutcome::Done,
            )?;
        }

        let found = fixture.store.find_session(mine, fixture.owner()).await?;
        let expected = SessionRecord {
            // A session for which no fence is asked may be recorded behind the current one.
            fence: found.as_ref().and_then(|found| found.fence),
            id: mine,
            opened_at: Some(opening.created_at),
            authenticated_at: Some(opening.created_at),
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
        let listed = fixture
            .listed(fixture.owner(), 100)
            .await?
            .into_iter()
            .filter(|found| found.id == mine);
        ensure(
            listed.eq([expected]),
            "a list shows a session otherwise than its look-up does",
        )?;
    }

    let plain = fixture
        .store
        .find_session(session(2)?, fixture.owner())
        .await?;
    ensure(
        plain.is_some_and(|plain| plain.client == ClientInfo::new()),
        "a login has a client that nobody recorded",
    )?;

    let strangers = fixture.store.find_session(mine, fixture.stranger()).await?;
    ensure(strangers.is_none(), "a session is found for another user")?;
    fixture.store.end_session(mine, fixture.owner()).await?;
    let ended = fixture.store.find_session(mine, fixture.owner()).await?;
    ensure(ended.is_none(), "a session is found that has ended")
}

/// Checks that `note_use` records the later time for each session, also for many sessions in one
/// call.
///
/// An earlier time must not replace a later one, nor a rotation the time of use. A session that
/// does not exist must not be created: it may have ended since it was seen.
pub(super) async fn use_is_noted(fixture: Fixture) -> Verdict {
    let numbers = 1..=70;
    for number in numbers.clone() {
        fixture
            .open(
                &fixture.opening(&format!("token {number}"), session(number)?),
                None,
            )
            .await?;
    }
    fixture.store.note_use(&[]).await?;
    let mut all = numbers
        .clone()
        .skip(1)
        .map(|number| used(&fixture, number, minutes(u64::from(number))))
        .collect::<Result<Vec<_>, _>>()?;
    all.push(used(&fixture, 0xff, minutes(1))?);
    fixture.store.note_use(&all).await?;
    let again = [
        used(&fixture, 2, minutes(1))?,
        used(&fixture, 3, minutes(9))?,
    ];
    fixture.store.note_use(&again).await?;
    let rotate = fixture.rotate("token 4", "new", session(4)?);
    same(
        "rotating a session in use",
        &fixture.store.rotate(&rotate).await?,
        &RotateOutcome::Done,
    )?;

    for number in numbers {
        let expected = match number {
            1 => None,
            3 => Some(minutes(9)),
            number => Some(minutes(u64::from(number))),
        };
        let found = fixture
            .store
            .find_session(session(number)?, fixture.owner())
            .await?;
        same(
            "when a session was seen in use",
            &found.map(|found| found.used_at),
            &Some(expected),
        )?;
    }

    ensure(
        fixture
            .store
            .find_session(session(0xff)?, fixture.owner())
            .await?
            .is_none(),
        "noting its use opened a session",
    )
}

/// Returns the use of a session of the owner.
fn used(fixture: &Fixture, number: u8, at: Timestamp) -> Result<Used, Violation> {
    Ok(Used {
        session: session(number)?,
        user: fixture.owner().clone(),
        at,
    })
}
