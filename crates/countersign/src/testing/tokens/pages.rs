//! Clauses about [`sessions`](crate::store::TokenStore::sessions) and
//! [`unfenced_sessions`](crate::store::TokenStore::unfenced_sessions), which list sessions in
//! pages.
//!
//! A page may have fewer sessions than asked for, or none, although more follow. Only the cursor
//! tells where the list ends.

use std::collections::BTreeSet;

use crate::session::SessionId;
use crate::store::{NewAccess, NewRefresh, Page, RotateOutcome, RotateRequest, SessionCursor};
use crate::testing::tokens::fixture::{Fixture, session, session_of_crowd};
use crate::testing::violation::{Verdict, Violation, ensure, same};

/// The number of sessions in a long list. It is larger than the batches in which stores read.
const SESSIONS: u8 = 200;

/// Opens the sessions of these numbers, each with an access token, and returns their ids.
async fn open(
    fixture: &Fixture,
    numbers: impl IntoIterator<Item = u8>,
) -> Result<BTreeSet<SessionId>, Violation> {
    let mut opened = BTreeSet::new();
    for number in numbers {
        let (label, session) = (format!("token {number}"), session(number)?);
        let access = NewAccess {
            session: Some(session),
            ..fixture.access(&label)
        };
        fixture
            .open(&fixture.opening(&label, session), Some(&access))
            .await?;
        opened.insert(session);
    }

    Ok(opened)
}

/// Checks that the pages of a list show each session of the user once, at any page size.
///
/// No page may be longer than its limit, from 1 up to the largest number, and other users' sessions
/// must not appear.
pub(super) async fn show_each_session_once(fixture: Fixture) -> Verdict {
    // Not opened in the order of their ids.
    let opened = open(&fixture, (0..SESSIONS).map(|number| number.wrapping_mul(7))).await?;
    let stranger = NewRefresh {
        user: fixture.stranger().clone(),
        ..fixture.opening("stranger", session_of_crowd(1)?)
    };
    fixture.open(&stranger, None).await?;

    for limit in [1, 3, 64, u32::from(SESSIONS), u32::MAX] {
        let listed = fixture.listed(fixture.owner(), limit).await?;
        same(
            "how many sessions the pages show",
            &listed.len(),
            &opened.len(),
        )?;
        let listed: BTreeSet<_> = listed.into_iter().map(|found| found.id).collect();
        ensure(
            listed == opened,
            "the pages show other sessions than were opened, or one of them twice",
        )?;
    }
    Ok(())
}

/// Checks that a list goes on if sessions are opened, refreshed and ended while it is read.
///
/// The last session of each page ends, from which the next page may begin, and so does one that was
/// not shown yet. Every session that is there from the first page to the last must be shown, and
/// the list must come to an end.
pub(super) async fn go_on_beside_changes(fixture: Fixture) -> Verdict {
    let mut expected = open(&fixture, 0..100).await?;
    let mut page = Page {
        after: None,
        limit: 3,
    };
    let mut seen = BTreeSet::new();
    for round in 0..1000_u32 {
        let part = fixture.store.sessions(fixture.owner(), &page).await?;
        let shown: Vec<_> = part.sessions.iter().map(|found| found.id).collect();
        let Some(next) = part.next else {
            seen.extend(shown);
            return ensure(
                expected.is_subset(&seen),
                "a session that was there all the time is on no page",
            );
        };

        // End the last session that was shown, where the next page may begin, and the first one that
        // wasn't shown yet.
        let hidden = expected
            .iter()
            .find(|id| !seen.contains(id) && !shown.contains(id))
            .copied();
        seen.extend(&shown);
        for ending in shown.last().copied().into_iter().chain(hidden) {
            fixture.store.end_session(ending, fixture.owner()).await?;
            expected.remove(&ending);
        }
        if let Some(number) = u8::try_from(round).ok().filter(|number| *number < 100) {
            fixture
                .open(
                    &fixture.opening(&format!("late {number}"), session(100 + number)?),
                    None,
                )
                .await?;
            let (old, new) = (format!("token {number}"), format!("new {number}"));
            let rotate = RotateRequest {
                access: None,
                ..fixture.rotate(&old, &new, session(number)?)
            };
            let _gone_or_not: RotateOutcome = fixture.store.rotate(&rotate).await?;
        }

        page.after = Some(next);
    }
    Err(Violation::new("a list of sessions does not come to an end"))
}

/// Checks that any text of a cursor's form is answered with sessions of the user, or with none.
///
/// A cursor comes from the client and may be made up, or taken from another user's list. It must
/// not cause an error, show another user's sessions, or make the list endless.
pub(super) async fn take_any_cursor(fixture: Fixture) -> Verdict {
    let opened = open(&fixture, 0..10).await?;
    let theirs = session(0x80)?;
    let stranger = NewRefresh {
        user: fixture.stranger().clone(),
        ..fixture.opening("stranger", theirs)
    };
    fixture.open(&stranger, None).await?;
    let long = [
        "0".repeat(SessionCursor::MAX_LENGTH),
        "9".repeat(SessionCursor::MAX_LENGTH),
        "z".repeat(64),
    ];
    let short = [
        "0",
        "1",
        "-1",
        "00",
        "x",
        "-",
        ".",
        "_",
        "0-0",
        "0.0",
        "1.1.1",
        "v1.0",
        "null",
        "NaN",
        "1e9",
        "0x10",
        "18446744073709551615",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "ffffffffffffffffffffffffffffffff",
        "aGVsbG8",
        "2026-01-15",
    ];

    let ids = [session(0)?, session(5)?, session(0xff)?, theirs].map(|id| id.to_string());
    for text in short.into_iter().map(str::to_owned).chain(long).chain(ids) {
        let after = text
            .parse()
            .map_err(|_| Violation::new(format!("{text} is no cursor")))?;
        let mut page = Page {
            after: Some(after),
            limit: 3,
        };

        for _ in 0..100 {
            let part = fixture.store.sessions(fixture.owner(), &page).await?;
            ensure(
                part.sessions.len() <= 3,
                "a page has more sessions than were asked for",
            )?;
            let own = part.sessions.iter().all(|found| opened.contains(&found.id));
            ensure(own, "a foreign cursor shows another user's session")?;
            page.after = part.next;
            if page.after.is_none() {
                break;
            }
        }

        ensure(
            page.after.is_none(),
            "a list from a foreign cursor does not come to an end",
        )?;
    }
    Ok(())
}

/// Checks that `unfenced_sessions` lists each session recorded behind no fence once, and no other
/// session.
///
/// "Log out everywhere" uses this list for sessions from before there were fences. It must agree
/// with the `fence` that `sessions` shows.
pub(super) async fn show_those_behind_no_fence(fixture: Fixture) -> Verdict {
    for number in 0..40 {
        let opening = fixture.opening(&format!("token {number}"), session(number)?);
        fixture
            .open(
                &NewRefresh {
                    fence: None,
                    ..opening
                },
                None,
            )
            .await?;
    }
    let fence = Some(fixture.fence(fixture.owner()).await?);
    for number in 40..60 {
        let opening = fixture.opening(&format!("token {number}"), session(number)?);
        fixture.open(&NewRefresh { fence, ..opening }, None).await?;
    }

    let theirs = fixture.opening("stranger", session_of_crowd(1)?);
    fixture
        .open(
            &NewRefresh {
                user: fixture.stranger().clone(),
                fence: None,
                ..theirs
            },
            None,
        )
        .await?;

    // A store may record a session for which no fence is asked behind the current fence.
    let listed = fixture.listed(fixture.owner(), 100).await?;
    let unfenced = listed
        .iter()
        .filter(|found| found.fence.is_none())
        .map(|found| found.id)
        .collect();

    let mut page = Page {
        after: None,
        limit: 7,
    };
    let mut seen = BTreeSet::new();
    for _ in 0..1000 {
        let part = fixture
            .store
            .unfenced_sessions(fixture.owner(), &page)
            .await?;
        ensure(
            part.sessions.len() <= 7,
            "a page has more sessions than were asked for",
        )?;
        for found in part.sessions {
            ensure(
                seen.insert(found.id),
                "a session behind no fence is shown twice",
            )?;
        }
        page.after = part.next;
        if page.after.is_none() {
            return same("the sessions behind no fence", &seen, &unfenced);
        }
    }
    Err(Violation::new(
        "a list of sessions behind no fence does not come to an end",
    ))
}
