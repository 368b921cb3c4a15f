//! Messages as server-sent events, in streams that end when their user logs out.
//!
//! A request is authenticated once, at its start. A stream of events goes on for hours, so it has
//! to learn of a logout from elsewhere: each stream holds a
//! [`LiveSession`](countersign::auth::LiveSession) of the [`SessionWatcher`], and ends with it.

use std::convert::Infallible;
use std::future::ready;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use countersign::auth::{SessionEnd, SessionWatcher};
use countersign::axum::{CurrentUser, LoginAttempt, LoginVerdict};
use countersign::{Auth, AuthBuilder, Failure, Problem, Secret, User, Users};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// A member of the site.
#[derive(Clone, Debug)]
pub struct Member {
    /// The id.
    pub id: i64,
}

impl User for Member {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.id
    }
}

/// The accounts: Ada alone. The example `own_users` of the library has a table of them, with hashes
/// of passwords.
#[derive(Debug)]
struct Members;

impl Users for Members {
    type User = Member;

    async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
        Ok((*id == 7).then_some(Member { id: 7 }))
    }

    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        Ok(match (login.identifier(), login.password()) {
            ("ada", "correct horse battery") => LoginVerdict::Accepted(Member { id: 7 }),
            _ => LoginVerdict::Rejected,
        })
    }
}

/// Starts to build authentication with tokens in the SQLite database at `url`.
pub fn auth(url: &str, secret: &Secret) -> AuthBuilder<Member> {
    Auth::builder(Members).database_url(url).secret(secret)
}

/// The state that the handlers share.
#[derive(Clone)]
struct Feed {
    watcher: SessionWatcher<Member>,
    messages: broadcast::Sender<String>,
}

/// Returns the application. `auth.maintain()` has to run beside it, or no stream ever ends.
pub fn app(auth: &Auth<Member>) -> Router {
    let feed = Feed {
        watcher: auth.watcher().clone(),
        messages: broadcast::Sender::new(64),
    };
    Router::new()
        .route("/events", get(events))
        .route("/messages", post(publish))
        .with_state(feed)
        .layer(auth.layer())
        .nest("/auth", auth.routes())
}

/// Sends a message to every open stream.
async fn publish(
    _member: CurrentUser<Member>,
    State(feed): State<Feed>,
    text: String,
) -> StatusCode {
    // An error says that nobody listens, which is fine.
    drop(feed.messages.send(text));
    StatusCode::NO_CONTENT
}

/// Streams messages until the session ends, and says at last why it has ended.
async fn events(
    member: CurrentUser<Member>,
    State(feed): State<Feed>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    // A token that belongs to no session has no logout, so nothing would end its stream.
    let session = feed
        .watcher
        .watch(&member)
        .ok_or(Problem::AUTHENTICATION_FAILED)?;
    let (until, last) = (session.clone(), session);
    let stream = stream::once(ready(Event::default().event("open").data("open")))
        .chain(messages(feed.messages.subscribe()))
        .take_until(async move { until.ended().await })
        .chain(stream::once(async move { closing(last.ended().await) }))
        .map(Ok);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// Returns the messages that are published from now on.
fn messages(feed: broadcast::Receiver<String>) -> impl Stream<Item = Event> {
    stream::unfold(feed, async |mut feed| {
        let event = match feed.recv().await {
            Ok(text) => Event::default().event("message").data(text),
            // A client that reads too slowly is told that it has missed some.
            Err(RecvError::Lagged(missed)) => {
                Event::default().event("missed").data(missed.to_string())
            }
            Err(RecvError::Closed) => return None,
        };
        Some((event, feed))
    })
}

/// Returns the last event of a stream. A page closes its `EventSource` on it: otherwise the browser
/// connects again, and is refused if the session has ended.
fn closing(end: SessionEnd) -> Event {
    let reason = match end {
        SessionEnd::Ended => "logged out",
        SessionEnd::UserInactive => "account disabled",
        // The stores don't answer. The session may be live, so the client should connect again.
        _ => "try again",
    };
    Event::default().event("end").data(reason)
}
