//! Who may make an account, and how many.

use futures_util::future::{join, join_all};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{DATABASES, PASSWORD, Place, Reply, Server};

async fn register_from(server: &Server, email: &str, address: &str) -> Reply {
    let request = server
        .request(Method::POST, "/auth/register")
        .header("x-forwarded-for", address);
    Reply::of(request.json(&json!({ "email": email, "password": PASSWORD }))).await
}

#[tokio::test]
async fn nobody_registers_where_registration_is_off() {
    let place = Place::new(Vec::new()).with("REGISTRATION", "off");
    let server = place.start();
    server
        .register("ada@example.org")
        .await
        .expect_problem(StatusCode::FORBIDDEN, "REGISTRATION_OFF");
    server
        .post("/auth/register", json!({}))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "REGISTRATION_OFF");
    assert_eq!(place.json(&["user", "list"])["users"], json!([]));
    server.says("registration_refused", 1);
}

#[tokio::test]
async fn from_one_address_so_many_register_on_all_servers_together() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh())
            .with("REGISTRATION", "3/1h")
            .with("TRUSTED_PROXIES", "127.0.0.0/8");
        let servers = [place.start(), place.start()];
        for at in 0..3 {
            // An address that is taken counts too: asking which are is what strangers do.
            let email = format!("{}@example.org", at % 2);
            let answer = register_from(&servers[at % 2], &email, "203.0.113.7").await;
            answer.expect(if at < 2 {
                StatusCode::CREATED
            } else {
                StatusCode::CONFLICT
            });
        }
        for server in &servers {
            let answer = register_from(server, "eve@example.org", "203.0.113.7").await;
            let answer = answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED");
            let after: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=3600).contains(&after), "{after}");
        }
        register_from(&servers[0], "ada@example.org", "203.0.113.8")
            .await
            .expect(StatusCode::CREATED);
        servers[1].login("ada@example.org").await;
    }
}

/// Unless told, a limit holds, and what can't become an account doesn't count.
#[tokio::test]
async fn there_is_a_limit_by_default() {
    let server = Place::new(Vec::new()).start();
    for _ in 0..100 {
        let answer = server.register("nobody").await;
        answer.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "REGISTER_EMAIL_INVALID");
    }
    let mut made = 0;
    while server.register(&format!("{made}@example.org")).await.status == StatusCode::CREATED {
        made += 1;
    }
    assert_eq!(made, 60);
    let answer = server.register("one@example.org").await;
    answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED");
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_keep_no_login_out() {
    let place = Place::new(Vec::new())
        .with("REGISTRATION", "open")
        .with("PASSWORD_THREADS", "1");
    let server = place.with("PASSWORD_QUEUE", "24").start();
    server
        .register("ada@example.org")
        .await
        .expect(StatusCode::CREATED);
    let emails: Vec<String> = (0..96)
        .map(|number| format!("{number}@example.org"))
        .collect();
    let newcomers = join_all(emails.iter().map(|email| server.register(email)));
    let login = || json!({ "identifier": "ada@example.org", "password": PASSWORD });
    let logins = join_all((0..20).map(|_| server.post("/auth/login", login())));
    let (newcomers, logins) = join(newcomers, logins).await;
    for login in logins {
        login.expect(StatusCode::OK);
    }
    assert!(
        newcomers
            .iter()
            .any(|answer| answer.status == StatusCode::CREATED),
        "they have their turn"
    );
    for answer in newcomers
        .into_iter()
        .filter(|answer| answer.status != StatusCode::CREATED)
    {
        answer.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED");
    }
}
