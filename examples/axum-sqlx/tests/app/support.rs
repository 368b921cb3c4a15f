//! A running application, and a client of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::{Clock, SystemClock};
use countersign::testing::{ManualClock, SeededEntropy, TestSession};
use countersign::{Auth, Secret, Users};
use example_axum_sqlx::{Member, Members, auth, migrate, routes, serve};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use testbed::Postgres;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The password of every member here.
pub const PASSWORD: &str = "correct horse battery";

/// The application on a free port.
pub struct Server {
    pub pool: PgPool,
    pub auth: Auth<Member>,
    pub clock: Arc<ManualClock>,
    members: Members,
    pub address: SocketAddr,
    client: Client,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

/// An answer: status, headers and the JSON of the body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// Checks that the request is refused, with this status and code.
    pub fn assert_refused(&self, status: u16, code: &str) {
        let answer = (self.status.as_u16(), self.body["code"].as_str());
        assert_eq!(answer, (status, Some(code)), "{self:?}");
    }

    /// Checks that the answer is 204.
    pub fn assert_done(&self) {
        assert_eq!(self.status, StatusCode::NO_CONTENT, "{self:?}");
    }

    /// Returns the headers of a client that has these tokens.
    pub fn bearer(&self) -> HeaderMap {
        let token = self.body["access_token"].as_str().unwrap();
        let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }
}

/// Waits until a query on the database answers `true`, and fails after a minute.
pub async fn wait_until(pool: &PgPool, query: &'static str) {
    let is_true = async {
        let ask = || sqlx::query_scalar::<_, bool>(query).fetch_one(pool);
        // So that the questions leave the processor to what they wait for.
        let mut pauses = tokio::time::interval(Duration::from_millis(20));
        while !ask().await.unwrap() {
            pauses.tick().await;
        }
    };
    let minute = Duration::from_mins(1);
    let waited = tokio::time::timeout(minute, is_true).await;
    waited.expect(query);
}

impl Server {
    /// Starts the application on an empty database.
    pub async fn start() -> Self {
        Self::start_on(&Postgres::shared().database(), SystemClock.now()).await
    }

    /// Starts the application on a database, with a clock that shows `now` until it is moved.
    pub async fn start_on(database: &str, now: countersign::Timestamp) -> Self {
        let pool = PgPool::connect(database).await.unwrap();
        Self::start_with(pool, now, Duration::from_mins(1)).await
    }

    /// Starts the application on a pool, with a time limit for requests.
    pub async fn start_with(
        pool: PgPool,
        now: countersign::Timestamp,
        time_limit: Duration,
    ) -> Self {
        let secret = Secret::generate(&SeededEntropy::new(1)).unwrap();
        let clock = Arc::new(ManualClock::new(now));
        migrate(&pool).await.unwrap();
        let members = Members::new(pool.clone(), &secret).unwrap();
        let auth = auth(&members, &secret).clock(clock.clone());
        let auth = auth.build().await.unwrap();
        let app = routes::app(&auth, members.clone()).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stopped) = oneshot::channel();
        let served = auth.clone();
        let task = tokio::spawn(async move {
            let stopped = async move { stopped.await.unwrap_or(()) };
            serve(listener, &served, app, time_limit, stopped).await
        });
        Self {
            pool,
            auth,
            clock,
            members,
            address,
            client: Client::new(),
            shutdown,
            task,
        }
    }

    /// Ends the application as a service manager does, and waits for it.
    pub async fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }

    /// Sends a request.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Value>,
    ) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Answer {
            status,
            headers,
            body,
        }
    }

    pub async fn post(&self, path: &str, headers: HeaderMap, body: Value) -> Answer {
        self.call(Method::POST, path, headers, Some(body)).await
    }

    pub async fn put(&self, path: &str, headers: HeaderMap, body: Value) -> Answer {
        self.call(Method::PUT, path, headers, Some(body)).await
    }

    /// Sends a request while another transaction changes `member`. That one is committed once the
    /// request waits for a row, so after its member was read and every check was passed.
    pub async fn put_during(
        &self,
        change: &'static str,
        path: &str,
        headers: HeaderMap,
        body: Value,
    ) -> Answer {
        let mut first = self.pool.begin().await.unwrap();
        sqlx::query(change).execute(&mut *first).await.unwrap();
        let commit = async {
            let waits = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = \
                         current_database() AND wait_event_type = 'Lock')";
            wait_until(&self.pool, waits).await;
            first.commit().await.unwrap();
        };
        let (second, ()) = tokio::join!(self.put(path, headers, body), commit);
        second
    }

    pub async fn me(&self, headers: HeaderMap) -> Answer {
        self.call(Method::GET, "/me", headers, None).await
    }

    /// Checks that these headers are those of a logged-in member, or aren't.
    pub async fn assert_live(&self, headers: HeaderMap, expected: bool) {
        let answer = self.me(headers).await;
        if expected {
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        } else {
            answer.assert_refused(401, "AUTHENTICATION_FAILED");
        }
    }

    pub async fn log_in(&self, identifier: &str, password: &str) -> Answer {
        let body = json!({ "identifier": identifier, "password": password });
        self.post("/auth/login", HeaderMap::new(), body).await
    }

    pub async fn refresh(&self, tokens: &Value) -> Answer {
        let body = json!({ "refresh_token": tokens["refresh_token"] });
        self.post("/auth/refresh", HeaderMap::new(), body).await
    }

    /// Registers a member.
    pub async fn register(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.post("/members", HeaderMap::new(), body).await
    }

    /// Registers a member with the password of all, and returns the id.
    pub async fn member(&self, email: &str) -> Uuid {
        let answer = self.register(email, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let id = "SELECT id FROM member WHERE email = $1";
        let id = sqlx::query_scalar(id).bind(email);
        id.fetch_one(&self.pool).await.unwrap()
    }

    /// Opens a session of a member.
    pub async fn session(&self, id: Uuid) -> TestSession {
        let member = self.members.find(&id).await.unwrap().unwrap();
        self.auth.test_session(&member).await.unwrap()
    }

    /// Runs statements, as somebody with access to the database does.
    pub async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }
}
