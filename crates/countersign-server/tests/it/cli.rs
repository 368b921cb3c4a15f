//! Commands beside a running server.

use std::io::Write;
use std::process::Stdio;

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{DATABASES, PASSWORD, Place, Tokens, everywhere, on_redis, write};

#[tokio::test]
async fn accounts_are_managed_beside_a_running_server() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        let tokens = server.newcomer("ada@example.org").await;

        let disabled = place.json(&["user", "disable", "Ada@example.org"]);
        assert_eq!(disabled["is_active"], false);
        server
            .me(&tokens.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        server
            .refresh(&tokens.refresh)
            .await
            .expect(StatusCode::UNAUTHORIZED);

        let id = disabled["id"].as_str().unwrap();
        place.json(&["user", "enable", id]);
        server
            .me(&tokens.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        server
            .refresh(&tokens.refresh)
            .await
            .expect(StatusCode::UNAUTHORIZED);

        let tokens = server.login("ada@example.org").await;
        let file = write(
            &place.data_dir().join("password"),
            "another long password\n",
        );
        place.json(&["user", "set-password", id, "--password-file", &file]);
        server
            .me(&tokens.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        let login = json!({ "identifier": "ada@example.org", "password": "another long password" });
        let tokens = Tokens::of(&server.post("/auth/login", login).await);

        let refused = place.run(&["user", "delete", id]);
        assert_eq!(refused.status.code(), Some(2), "nobody can be asked");
        server.me(&tokens.access).await.expect(StatusCode::OK);
        place.json(&["user", "delete", id, "--yes"]);
        server
            .me(&tokens.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        server
            .refresh(&tokens.refresh)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        assert_eq!(place.json(&["user", "list"])["users"], json!([]));
    }
}

#[tokio::test]
async fn an_account_is_added_with_a_password_from_standard_input() {
    let place = Place::new(Vec::new());
    let arguments = [
        "user",
        "add",
        "Ada@Example.org",
        "--password-file",
        "-",
        "--json",
    ];
    let mut process = place
        .command(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(format!("{PASSWORD}\n").as_bytes())
        .unwrap();
    assert!(process.wait_with_output().unwrap().status.success());
    let server = place.start();
    assert_eq!(server.ready["first_start"], false);
    server.login("ada@example.org").await;

    let users = place.json(&["user", "list"]);
    assert_eq!(users["users"][0]["email"], "ada@example.org");
    let text = String::from_utf8(place.run(&["user", "list"]).stdout).unwrap();
    assert!(
        text.starts_with("EMAIL") && text.contains("ada@example.org"),
        "{text}"
    );
}

#[test]
fn mistakes_have_their_exit_codes() {
    let place = Place::new(Vec::new());
    let cases: &[(&[&str], i32)] = &[
        (&["user", "add", "no address"], 2),
        (
            &[
                "user",
                "add",
                "ada@example.org",
                "--password-file",
                "/nowhere",
            ],
            1,
        ),
        (&["user", "disable", "nobody@example.org"], 1),
        (&["user", "disable", "neither this nor that"], 2),
        (&["user"], 2),
        (&["cleanup", "--batch", "0"], 2),
    ];
    for (arguments, code) in cases {
        let output = place.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(*code),
            "{arguments:?} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let output = place.run(&["user", "disable", "nobody@example.org", "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "REFUSED");
}

#[tokio::test]
async fn cleanup_removes_what_expired_and_nothing_else() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh());
        let short = place
            .clone()
            .with("ACCESS_LIFETIME", "1s")
            .with("REFRESH_LIFETIME", "1s");
        let server = short.start();
        server
            .register("ada@example.org")
            .await
            .expect(StatusCode::CREATED);
        let mut expired = Vec::new();
        for _ in 0..5 {
            expired.push(server.login("ada@example.org").await);
        }
        let last = expired.pop().unwrap();
        while server.me(&last.access).await.status == StatusCode::OK {}
        while server.refresh(&last.refresh).await.status == StatusCode::OK {}
        server.stop();
        let server = place.clone().with("SWEEP_INTERVAL", "1h").start();
        let live = server.login("ada@example.org").await;

        // The server's own first sweep may be at work beside us; together they remove all.
        let removed = place.json(&["cleanup", "--batch", "2"]);
        assert!(removed["access_tokens"].as_u64().unwrap() <= 7, "{removed}");
        let again = place.json(&["cleanup"]);
        assert_eq!(
            (&again["access_tokens"], &again["refresh_tokens"]),
            (&json!(0), &json!(0))
        );
        server.me(&live.access).await.expect(StatusCode::OK);
        server.refresh(&live.refresh).await.expect(StatusCode::OK);
    }
}

/// What is on Redis leaves by itself; the database is cleaned all the same, also of what an earlier strategy left.
#[tokio::test]
async fn cleanup_beside_redis_removes_what_expired_in_the_database() {
    let before = Place::new(on_redis(testbed::Redis::shared().url()));
    let place = before
        .clone()
        .with("STRATEGY", "redis")
        .with("LOGIN_LIMIT", "3/1s");
    let mut before = before
        .with("STRATEGY", "database")
        .with("ACCESS_LIFETIME", "1s")
        .with("REFRESH_LIFETIME", "1s");
    before
        .settings
        .retain(|(name, _)| !name.ends_with("REDIS_URL"));
    let server = before.start();
    server.newcomer("ada@example.org").await;
    server.kill();
    let until_some = |kind: &str| {
        testbed::wait_until(&format!("{kind} are removed"), || {
            place.json(&["cleanup"])[kind] != json!(0)
        });
    };
    place.json(&["deployment", "change", "--yes"]);
    until_some("refresh_tokens");

    let server = place.start();
    let wrong = json!({ "identifier": "ada@example.org", "password": "wrong password" });
    server
        .post("/auth/login", wrong)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let live = server.login("ada@example.org").await;
    server
        .post(
            "/auth/login",
            json!({ "identifier": "bob@example.org", "password": PASSWORD }),
        )
        .await;
    until_some("login_failures");
    server.me(&live.access).await.expect(StatusCode::OK);
    server.refresh(&live.refresh).await.expect(StatusCode::OK);
}

#[test]
fn migrate_says_what_it_did() {
    for database in DATABASES {
        let place = Place::new(database.fresh());
        let applied = place.json(&["migrate"]);
        assert!(
            applied["applied"].as_array().unwrap().len() >= 3,
            "{applied}"
        );
        assert_eq!(place.json(&["migrate"])["applied"], json!([]));
    }
}
