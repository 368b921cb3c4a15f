//! Logging in: floods, limits, and answers that tell nothing.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{DATABASES, PASSWORD, Place, Reply, Server, Tokens};
use crate::rows::Rows;

async fn attempt(server: &Server, email: &str, password: &str) -> Reply {
    server
        .post(
            "/auth/login",
            json!({ "identifier": email, "password": password }),
        )
        .await
}

async fn attempt_from(server: &Server, email: &str, password: &str, address: &str) -> Reply {
    let request = server
        .request(Method::POST, "/auth/login")
        .header("x-forwarded-for", address);
    Reply::of(request.json(&json!({ "identifier": email, "password": password }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logins_starves_no_token_check() {
    let place = Place::new(Vec::new())
        .with("PASSWORD_QUEUE", "4")
        .with("LOGIN_LIMIT", "off");
    let server = Arc::new(place.start());
    let tokens = server.newcomer("ada@example.org").await;
    let (over, checked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let watcher = tokio::spawn({
        let (server, over, checked) =
            (Arc::clone(&server), Arc::clone(&over), Arc::clone(&checked));
        async move {
            while !over.load(Ordering::Acquire) {
                server.me(&tokens.access).await.expect(StatusCode::OK);
                checked.fetch_add(1, Ordering::AcqRel);
            }
        }
    });
    let flood = (0..256).map(|_| attempt(&server, "ada@example.org", PASSWORD));
    let replies = join_all(flood).await;
    over.store(true, Ordering::Release);
    watcher.await.unwrap();
    assert!(checked.load(Ordering::Acquire) > 0);
    let (accepted, shed): (Vec<_>, Vec<_>) = replies
        .into_iter()
        .partition(|reply| reply.status == StatusCode::OK);
    assert!(
        !accepted.is_empty() && !shed.is_empty(),
        "{} accepted, {} shed",
        accepted.len(),
        shed.len()
    );
    for reply in shed {
        let reply = reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED");
        assert_eq!(reply.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn unknown_wrong_and_disabled_are_one_answer() {
    let place = Place::new(Vec::new());
    let server = place.start();
    server
        .register("ada@example.org")
        .await
        .expect(StatusCode::CREATED);
    server
        .register("bob@example.org")
        .await
        .expect(StatusCode::CREATED);
    place.json(&["user", "disable", "bob@example.org"]);
    let mut answers = Vec::new();
    for (email, password) in [
        ("ada@example.org", "wrong password"),
        ("eve@example.org", PASSWORD),
        ("bob@example.org", PASSWORD),
        ("no address at all", PASSWORD),
        ("ada @example.org", PASSWORD),
    ] {
        let reply = attempt(&server, email, password).await;
        let reply = reply.expect_problem(StatusCode::UNAUTHORIZED, "LOGIN_BAD_CREDENTIALS");
        let mut headers = reply.headers.clone();
        headers.remove("date");
        headers.remove("x-request-id");
        answers.push((reply.text, format!("{headers:?}")));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

#[tokio::test]
async fn every_server_counts_failed_logins_together() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh())
            .with("LOGIN_LIMIT", "6/1h")
            .with("TRUSTED_PROXIES", "127.0.0.0/8");
        let servers = [place.start(), place.start()];
        servers[0]
            .register("ada@example.org")
            .await
            .expect(StatusCode::CREATED);
        servers[0]
            .register("bob@example.org")
            .await
            .expect(StatusCode::CREATED);
        for at in 0..6 {
            let reply = attempt_from(
                &servers[at % 2],
                "Ada@Example.org",
                "wrong password",
                "203.0.113.7",
            )
            .await;
            reply.expect_problem(StatusCode::UNAUTHORIZED, "LOGIN_BAD_CREDENTIALS");
        }
        for server in &servers {
            // The right password doesn't show either.
            let reply = attempt_from(server, "ada@example.org", PASSWORD, "203.0.113.7").await;
            let reply = reply.expect_problem(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED");
            let after: u64 = reply.header("retry-after").parse().unwrap();
            assert!((1..=3600).contains(&after), "{after}");
            // Others at that address, and the user elsewhere, are not concerned.
            Tokens::of(&attempt_from(server, "bob@example.org", PASSWORD, "203.0.113.7").await);
            Tokens::of(&attempt_from(server, "ada@example.org", PASSWORD, "203.0.113.8").await);
        }
    }
}

#[tokio::test]
async fn a_success_forgets_the_failures_before_it() {
    let server = Place::new(Vec::new()).with("LOGIN_LIMIT", "3/1h").start();
    server
        .register("ada@example.org")
        .await
        .expect(StatusCode::CREATED);
    for _ in 0..4 {
        for _ in 0..2 {
            attempt(&server, "ada@example.org", "wrong password")
                .await
                .expect(StatusCode::UNAUTHORIZED);
        }
        server.login("ada@example.org").await;
    }
}

#[tokio::test]
async fn guesses_from_everywhere_at_once_stop_too() {
    let place = Place::new(Vec::new())
        .with("LOGIN_LIMIT", "2/1h")
        .with("TRUSTED_PROXIES", "127.0.0.1");
    let server = place.start();
    server
        .register("ada@example.org")
        .await
        .expect(StatusCode::CREATED);
    let mut tried = 0;
    let stopped = loop {
        let address = format!("203.0.113.{tried}");
        let reply = attempt_from(&server, "ada@example.org", "wrong password", &address).await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            break tried;
        }
        reply.expect(StatusCode::UNAUTHORIZED);
        tried += 1;
    };
    assert_eq!(
        stopped, 20,
        "ten times the limit for one account from anywhere"
    );
}

#[tokio::test]
async fn passwords_and_addresses_have_bounds() {
    let server = Place::new(Vec::new()).start();
    let long = "p".repeat(1025);
    for (email, password, code) in [
        ("ada", PASSWORD, "REGISTER_EMAIL_INVALID"),
        ("ada@", PASSWORD, "REGISTER_EMAIL_INVALID"),
        ("a b@example.org", PASSWORD, "REGISTER_EMAIL_INVALID"),
        ("ada@example.org", "short", "REGISTER_PASSWORD_INVALID"),
        (
            "ada@example.org",
            long.as_str(),
            "REGISTER_PASSWORD_INVALID",
        ),
    ] {
        let reply = server
            .post(
                "/auth/register",
                json!({ "email": email, "password": password }),
            )
            .await;
        reply.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, code);
    }
    let longest = "ü".repeat(512);
    let body = json!({ "email": "ada@example.org", "password": longest });
    server
        .post("/auth/register", body)
        .await
        .expect(StatusCode::CREATED);
    server
        .register("ADA@example.ORG")
        .await
        .expect_problem(StatusCode::CONFLICT, "REGISTER_EMAIL_TAKEN");
    Tokens::of(&attempt(&server, "ａda@example.org", &longest).await);
}

/// bcrypt's of [`PASSWORD`], which takes its time.
const DEAR: &str = "$2b$12$abcdefghijklmnopqrstuu0sDWleciW5uGBGYwxpcgAsh9WK4bWNy";

/// How long the threads that hash have worked, in ticks.
fn hashing(server: &Server) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let stats = threads
        .filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).ok());
    let ticks = stats
        .filter(|stat| stat.contains("(password-"))
        .map(|stat| {
            let (_, fields) = stat.rsplit_once(") ").unwrap();
            fields.split(' ').nth(11).unwrap().parse::<u64>().unwrap()
        });
    ticks.sum()
}

/// A guess whose sender hangs up before the hash ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_counts_when_the_client_hangs_up() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh()).with("LOGIN_LIMIT", "2/1h");
        let server = place.start();
        let rows = Rows::of(&place);
        rows.insert("ada@example.org", DEAR).await;
        let body = r#"{"identifier":"ada@example.org","password":"wrong password"}"#;
        let head = "POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length:";
        for guess in 1..=2 {
            let before = hashing(&server);
            let mut connection = TcpStream::connect(server.address()).unwrap();
            write!(connection, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
            testbed::wait_until("the password is being hashed", || hashing(&server) > before);
            drop(connection);
            let deadline = Instant::now() + Duration::from_mins(1);
            while rows
                .number("SELECT MAX(failures) FROM login_failure", &[])
                .await
                < guess
            {
                assert!(Instant::now() < deadline, "guess {guess} isn't counted");
            }
        }
        attempt(&server, "ada@example.org", PASSWORD)
            .await
            .expect(StatusCode::TOO_MANY_REQUESTS);
    }
}
