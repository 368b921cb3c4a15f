//! Clauses about calls whose caller goes away before they answer.
//!
//! A web server drops the handler of a request, and with it the store's future, when the client
//! disconnects. A store must not leave half of a call behind then, nor a lock, an open transaction
//! or a broken connection.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::store::NewAccess;
use crate::testing::tokens::fixture::{Fixture, session};
use crate::testing::violation::{Verdict, Violation};

/// The longest time in which a call may still take effect after it was dropped.
const GRACE: Duration = Duration::from_secs(5);

/// The number of different points at which a call is dropped.
const POINTS: u8 = 12;

/// Checks that a login that is dropped records both tokens or none, and that the store works
/// afterwards.
pub(super) async fn dropped_insert_is_whole_or_nothing(fixture: Fixture) -> Verdict {
    for point in 1..=POINTS {
        let session = session(point)?;
        let label = format!("dropped {point}");
        let refresh = fixture.opening(&label, session);
        let access = NewAccess {
            session: Some(session),
            ..fixture.access(&label)
        };

        dropped_after(point, fixture.open(&refresh, Some(&access))).await;
        settles(|| async {
            Ok(fixture.has_refresh(&label).await? == fixture.has_access(&label).await?)
        })
        .await?;
        works(&fixture, &format!("after {point}")).await?;
    }
    Ok(())
}

/// Checks that a rotation that is dropped takes effect as a whole or not at all, and that the store
/// works afterwards.
///
/// Either the presented token is current, or its successor and the access token are recorded.
pub(super) async fn dropped_rotation_is_whole_or_nothing(fixture: Fixture) -> Verdict {
    for point in 1..=POINTS {
        let session = session(point)?;
        let [old, new] = ["old", "new"].map(|name| format!("{name} {point}"));
        fixture.open(&fixture.opening(&old, session), None).await?;
        dropped_after(
            point,
            fixture.store.rotate(&fixture.rotate(&old, &new, session)),
        )
        .await;
        settles(|| async {
            let done = !fixture.has_refresh(&old).await?;
            Ok(fixture.has_refresh(&new).await? == done && fixture.has_access(&new).await? == done)
        })
        .await?;

        works(&fixture, &format!("after {point}")).await?;
    }
    Ok(())
}

/// Polls `call` up to `point` times and then drops it.
async fn dropped_after<T>(point: u8, call: impl Future<Output = T>) {
    let mut call = pin!(call);
    let mut polls = 0;
    std::future::poll_fn(|context| {
        polls += 1;
        if call.as_mut().poll(context).is_ready() || polls >= point {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Waits until `whole` returns `true` twice in a row, and fails after [`GRACE`].
///
/// The call may take effect between the two reads of one check, so that one `true` proves little.
async fn settles<C>(mut whole: impl FnMut() -> C) -> Verdict
where
    C: Future<Output = Result<bool, Violation>>,
{
    let settled = tokio::time::timeout(GRACE, async {
        while !(whole().await? && whole().await?) {
            tokio::task::yield_now().await;
        }
        Ok(())
    });
    settled.await.unwrap_or_else(|_| {
        Err(Violation::new(
            "a call that was dropped took effect by halves",
        ))
    })
}

/// Checks that the store still records and finds a token: nothing was left locked or open.
async fn works(fixture: &Fixture, label: &str) -> Verdict {
    let access = fixture.access(label);
    fixture.record(&access).await?;
    fixture.holds_access(&access).await
}
