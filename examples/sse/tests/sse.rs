//! Streams over TCP, from two servers that share a database, and logouts that end them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use countersign::testing::TestSession;
use countersign::{Auth, Secret};
use example_sse::Member;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const ADA: Member = Member { id: 7 };

/// A server on a free port.
struct Server {
    auth: Auth<Member>,
    address: SocketAddr,
    client: Client,
}

impl Server {
    async fn start(directory: &Path) -> Self {
        let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
        let url = format!("sqlite://{}", directory.join("app.sqlite").display());
        let auth = example_sse::auth(&url, &secret)
            .watch_interval(Duration::from_millis(20))
            .build()
            .await
            .unwrap();
        tokio::spawn(auth.maintain());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = example_sse::app(&auth);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = Client::new();
        Self {
            auth,
            address,
            client,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn session(&self) -> TestSession {
        self.auth.test_session(&ADA).await.unwrap()
    }

    async fn post(&self, path: &str, session: &TestSession, body: &'static str) -> StatusCode {
        let request = self.client.post(self.url(path)).headers(session.bearer());
        request.body(body).send().await.unwrap().status()
    }

    async fn stream(&self, session: &TestSession) -> Events {
        let request = self
            .client
            .get(self.url("/events"))
            .headers(session.bearer());
        let response = request.send().await.unwrap().error_for_status().unwrap();
        let mut events = Events {
            response,
            text: String::new(),
        };
        events.until("event: open\ndata: open\n\n").await;
        events
    }
}

/// An open stream, and the text that it has sent.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    /// Reads up to a text.
    async fn until(&mut self, expected: &str) {
        while !self.text.contains(expected) {
            let more = self.next().await;
            assert!(more, "ended without {expected:?}: {:?}", self.text);
        }
    }

    /// Reads to the end, and returns all that was sent.
    async fn rest(mut self) -> String {
        while self.next().await {}
        self.text
    }

    async fn next(&mut self) -> bool {
        // A stream that wrongly goes on fails the test, and doesn't hold it up for ever.
        let patience = Duration::from_mins(1);
        let chunk = tokio::time::timeout(patience, self.response.chunk());
        let chunk = chunk.await.expect("the stream is silent").unwrap();
        if let Some(chunk) = &chunk {
            self.text.push_str(std::str::from_utf8(chunk).unwrap());
        }
        chunk.is_some()
    }
}

#[tokio::test]
async fn a_logout_on_another_server_ends_the_stream_of_its_session() {
    let directory = tempfile::tempdir().unwrap();
    let (here, elsewhere) = (
        Server::start(directory.path()).await,
        Server::start(directory.path()).await,
    );
    let (laptop, phone) = (here.session().await, here.session().await);
    let (on_laptop, mut on_phone) = (here.stream(&laptop).await, here.stream(&phone).await);

    assert_eq!(
        elsewhere.post("/auth/logout", &laptop, "").await,
        StatusCode::NO_CONTENT
    );
    let text = on_laptop.rest().await;
    assert!(
        text.ends_with("event: end\ndata: logged out\n\n"),
        "{text:?}"
    );

    // The other session of the same user goes on.
    assert_eq!(
        here.post("/messages", &phone, "still here").await,
        StatusCode::NO_CONTENT
    );
    on_phone.until("event: message\ndata: still here\n\n").await;
    assert!(!on_phone.text.contains("event: end"), "{:?}", on_phone.text);
}

#[tokio::test]
async fn log_out_everywhere_ends_every_stream_of_the_user() {
    let directory = tempfile::tempdir().unwrap();
    let (here, elsewhere) = (
        Server::start(directory.path()).await,
        Server::start(directory.path()).await,
    );
    let sessions = [here.session().await, here.session().await];
    let streams = [
        here.stream(&sessions[0]).await,
        elsewhere.stream(&sessions[1]).await,
    ];

    let logout = elsewhere.post("/auth/logout/all", &sessions[0], "").await;
    assert_eq!(logout, StatusCode::NO_CONTENT);
    for stream in streams {
        let text = stream.rest().await;
        assert!(
            text.ends_with("event: end\ndata: logged out\n\n"),
            "{text:?}"
        );
    }
    // A browser that connects again is refused.
    let request = here
        .client
        .get(here.url("/events"))
        .headers(sessions[1].bearer());
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_login_opens_a_stream() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path()).await;
    let login = json!({ "identifier": "ada", "password": "correct horse battery" });
    let login = server
        .client
        .post(server.url("/auth/login"))
        .json(&login)
        .send()
        .await
        .unwrap();
    let tokens: Value = login.error_for_status().unwrap().json().await.unwrap();
    let access = tokens["access_token"].as_str().unwrap();
    let request = server.client.get(server.url("/events")).bearer_auth(access);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
}
