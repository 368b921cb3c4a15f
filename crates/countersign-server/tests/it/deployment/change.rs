//! `countersign deployment show` and `change`.

use std::io::Write;
use std::process::Stdio;

use reqwest::StatusCode;
use serde_json::json;

use super::{JWT_SECRET, OTHER_SECRET, elsewhere, mismatch, signed};
use crate::harness::{DATABASES, Database, Place, SECRET, Tokens, env, shared};

#[tokio::test]
async fn the_record_is_shown_without_secrets() {
    for database in DATABASES {
        let mut settings = database.fresh();
        settings.extend([
            env("STRATEGY", "jwt"),
            env("JWT_ALGORITHM", "HS256"),
            env("JWT_SECRET", JWT_SECRET),
        ]);
        let place = Place::new(settings);
        assert_eq!(place.json(&["deployment", "show"])["recorded"], false);
        assert!(
            !place.data_dir().join("countersign.sqlite").exists(),
            "showing makes nothing"
        );
        place.start().stop();
        let shown = place.json(&["deployment", "show"]);
        assert_eq!(shown["recorded"], true);
        assert_eq!(
            (&shown["strategy"], &shown["denials"]),
            (&json!("jwt"), &json!("database")),
            "{shown}"
        );
        assert_eq!(
            (&shown["algorithm"], &shown["audience"]),
            (&json!("HS256"), &json!("countersign:access"))
        );
        assert_eq!(shown["profile"], "countersign");
        assert_eq!(shown["schema"]["countersign-server"], 3);
        for check in ["key", "token_hash_secret"] {
            assert!(
                shown[check].as_str().is_some_and(|text| text.len() >= 16),
                "{shown}"
            );
        }
        let text = String::from_utf8(place.run(&["deployment", "show"]).stdout).unwrap();
        assert!(text.contains("jwt") && text.contains("HS256"), "{text}");
        for shown in [text, shown.to_string()] {
            assert!(
                !shown.contains(SECRET) && !shown.contains(JWT_SECRET),
                "{shown}"
            );
        }
    }
}

/// The record can be read by whoever knows the database alone.
#[tokio::test]
async fn the_record_is_shown_to_whoever_reaches_the_database() {
    let url = Database::Postgres.fresh().swap_remove(0).1;
    signed(&url).start().stop();
    let bare = Place::new(vec![env("DATABASE_URL", &url)]);
    assert_eq!(bare.json(&["deployment", "show"])["strategy"], "jwt");
}

#[tokio::test]
async fn a_change_says_what_it_does_and_asks() {
    let url = Database::Postgres.fresh().swap_remove(0).1;
    let place = signed(&url);
    place.start().stop();
    let opaque = Place::new(shared(&url)).with("STRATEGY", "database");
    let nobody = opaque.run(&["deployment", "change"]);
    assert_eq!(nobody.status.code(), Some(2), "nobody can be asked");
    assert_eq!(place.json(&["deployment", "show"])["strategy"], "jwt");

    let changed = opaque.json(&["deployment", "change", "--yes"]);
    let rows = changed["changed"].as_array().unwrap();
    let row = rows.iter().find(|row| row["what"] == "strategy").unwrap();
    assert_eq!(
        (&row["from"], &row["to"]),
        (&json!("jwt"), &json!("database")),
        "{changed}"
    );
    assert_eq!(
        opaque.json(&["deployment", "change", "--yes"])["changed"],
        json!([])
    );
    mismatch(&place, &["serve"]);
    let server = elsewhere(&place, &["STRATEGY"]).start();
    assert_eq!(server.ready["strategy"], "database");
    server.newcomer("ada@example.org").await;
}

/// Each setting of the record can be changed, and what nobody tells stays.
#[tokio::test]
async fn one_setting_changes_and_the_others_stay() {
    let url = Database::MariaDb.fresh().swap_remove(0).1;
    let place = signed(&url).with("JWT_ISSUER", "https://auth.example");
    place.start().stop();
    let bare = Place::new(shared(&url)).with("JWT_SECRET", OTHER_SECRET);
    bare.json(&["deployment", "change", "--yes"]);
    let shown = bare.json(&["deployment", "show"]);
    assert_eq!(
        (&shown["strategy"], &shown["issuer"]),
        (&json!("jwt"), &json!("https://auth.example"))
    );
    let said = mismatch(&place, &["serve"]);
    assert!(said.contains("COUNTERSIGN_JWT_SECRET"), "{said}");
    let server = bare.start();
    let tokens = server.newcomer("ada@example.org").await;
    server.me(&tokens.access).await.expect(StatusCode::OK);
    server.stop();

    bare.json(&["deployment", "change", "--yes", "--unset", "jwt_issuer"]);
    assert_eq!(bare.json(&["deployment", "show"])["issuer"], json!(null));
    let redis = bare
        .clone()
        .with("REDIS_URL", testbed::Redis::shared().url());
    redis.json(&["deployment", "change", "--yes"]);
    assert_eq!(bare.json(&["deployment", "show"])["denials"], "redis");
    redis.start().stop();
    bare.json(&["deployment", "change", "--yes", "--unset", "redis_url"]);
    assert_eq!(bare.json(&["deployment", "show"])["denials"], "database");
    bare.start().stop();
    mismatch(&redis, &["serve"]);
}

/// A key is exchanged server by server: sessions go on, whoever serves them.
#[tokio::test]
async fn a_key_changes_while_servers_run() {
    let place = signed(&Database::Postgres.fresh().swap_remove(0).1);
    let old = place.start();
    let tokens = old.newcomer("ada@example.org").await;
    let next = elsewhere(&place, &["JWT_SECRET"]).with("JWT_SECRET", OTHER_SECRET);
    next.json(&["deployment", "change", "--yes"]);
    let new = next.start();
    old.me(&tokens.access).await.expect(StatusCode::OK);
    new.me(&tokens.access)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let refreshed = Tokens::of(&new.refresh(&tokens.refresh).await);
    new.me(&refreshed.access).await.expect(StatusCode::OK);
    // Whoever starts with the old key now is late.
    mismatch(&place.sibling(), &["serve"]);
    next.json(&["session", "revoke", "ada@example.org", "--all"]);
    for token in [&tokens.access, &refreshed.access] {
        old.me(token).await.expect(StatusCode::UNAUTHORIZED);
        new.me(token).await.expect(StatusCode::UNAUTHORIZED);
    }
}

/// Both keep their sessions in the database, so that clients refresh and go on.
#[tokio::test]
async fn sessions_go_on_when_opaque_tokens_become_signed_ones() {
    for database in DATABASES {
        let place = Place::new(database.fresh());
        let server = place.start();
        let mut tokens = server.newcomer("ada@example.org").await;
        server.stop();
        for strategy in ["jwt", "database"] {
            place.json(&["deployment", "change", "--yes", "--strategy", strategy]);
            let server = place.start();
            assert_eq!(server.ready["strategy"], strategy);
            server
                .me(&tokens.access)
                .await
                .expect(StatusCode::UNAUTHORIZED);
            tokens = Tokens::of(&server.refresh(&tokens.refresh).await);
            server.me(&tokens.access).await.expect(StatusCode::OK);
            server.stop();
        }
    }
}

/// A server that runs hears of it, and says so until it is started again.
#[tokio::test]
async fn a_running_server_says_that_the_deployment_changed() {
    let place =
        signed(&Database::Postgres.fresh().swap_remove(0).1).with("SWEEP_INTERVAL", "100ms");
    let server = place.start();
    elsewhere(&place, &["JWT_SECRET"])
        .with("JWT_SECRET", OTHER_SECRET)
        .json(&["deployment", "change", "--yes"]);
    testbed::wait_until("the server says so", || {
        server.log().contains("deployment_changed")
    });
    assert_eq!(server.log().matches("deployment_changed").count(), 1);
}

/// A Redis that loses what it held while servers run is marked again by them.
#[tokio::test]
async fn a_running_server_marks_its_redis_again() {
    let redis = testbed::Redis::dedicated();
    let url = Database::Postgres.fresh().swap_remove(0).1;
    let place = signed(&url)
        .with("REDIS_URL", redis.url())
        .with("SWEEP_INTERVAL", "100ms");
    let server = place.start();
    redis.command(&["FLUSHALL"]);
    testbed::wait_until("it is marked again", || {
        server.log().contains("redis_mark_lost")
    });
    place.sibling().start().stop();
}

#[test]
fn a_change_is_confirmed_by_a_yes_on_a_terminal_alone() {
    let place = Place::new(Vec::new());
    place.start().stop();
    let arguments = ["deployment", "change", "--strategy", "jwt"];
    let mut process = place
        .command(&arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(b"yes\n").unwrap();
    assert_eq!(process.wait_with_output().unwrap().status.code(), Some(2));
    assert_eq!(place.json(&["deployment", "show"])["strategy"], "database");
}
