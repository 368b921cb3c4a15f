//! A mark that somebody wrote over, or that a newer version left.

use countersign::store::Value;
use serde_json::json;

use super::{on_redis_signed, refused, run};
use crate::harness::{DATABASES, Place};
use crate::rows::Rows;

const GARBAGE: [&str; 3] = ["", "not a mark", r#"{"version":1,"strategy":7}"#];
const NEWER: &str = r#"{"version":2,"strategy":{"accepts":["jwt","database"]}}"#;

async fn write_over(place: &Place, text: &str) {
    let rows = Rows::of(place);
    rows.run(
        "UPDATE countersign_deployment SET value = ?1 WHERE name = 'mark'",
        &[Value::from(text)],
    )
    .await;
}

const COMMANDS: [&[&str]; 4] = [
    &["serve"],
    &["user", "list"],
    &["migrate"],
    &["deployment", "show"],
];

#[tokio::test]
async fn a_mark_that_is_none_is_named_with_its_cure() {
    for database in DATABASES {
        let place = Place::new(database.fresh());
        place.start().stop();
        for garbage in GARBAGE {
            write_over(&place, garbage).await;
            for command in COMMANDS {
                let said = refused(&place, command, "DEPLOYMENT_UNREADABLE");
                assert!(
                    said.contains("row `mark` of the table countersign_deployment"),
                    "{said}"
                );
                assert!(
                    said.contains("can't be read") && !said.contains("answer"),
                    "{said}"
                );
                assert!(
                    said.contains("backup") && said.contains("countersign deployment change"),
                    "{said}"
                );
            }
        }
        // The cure cures.
        place.json(&["deployment", "change", "--yes"]);
        assert_eq!(
            place.json(&["deployment", "show"])["strategy"],
            json!("database")
        );
        place.start().newcomer("ada@example.org").await;
    }
}

/// Nothing of this version replaces it.
#[tokio::test]
async fn a_mark_of_a_newer_version_is_left_alone() {
    for database in DATABASES {
        let place = Place::new(database.fresh());
        place.start().stop();
        write_over(&place, NEWER).await;
        for command in COMMANDS
            .into_iter()
            .chain([&["deployment", "change", "--yes"][..]])
        {
            let said = refused(&place, command, "DEPLOYMENT_UNREADABLE");
            assert!(
                said.contains("row `mark` of the table countersign_deployment"),
                "{said}"
            );
            assert!(
                said.contains("newer version") && said.contains("format 2"),
                "{said}"
            );
        }
        let kept = Rows::of(&place)
            .text(
                "SELECT value FROM countersign_deployment WHERE name = 'mark'",
                &[],
            )
            .await;
        assert_eq!(kept, NEWER);
    }
}

#[tokio::test]
async fn a_mark_on_redis_that_is_none_is_named_with_its_cure() {
    let redis = testbed::Redis::dedicated();
    let place = on_redis_signed(&redis);
    place.start().stop();
    let key = redis.command(&["--scan", "--pattern", "countersign:deployment:*"]);
    for garbage in [
        &["SET", &key, "not a mark"][..],
        &["SET", &key, ""],
        &["SET", &key, "v"],
        &["HSET", &key, "a", "b"],
    ] {
        redis.command(&["DEL", &key]);
        redis.command(garbage);
        let said = refused(&place, &["serve"], "DEPLOYMENT_UNREADABLE");
        assert!(said.contains(&key) && said.contains(redis.url()), "{said}");
        assert!(
            said.contains("can't be read") && said.contains("countersign deployment change"),
            "{said}"
        );
    }
    place.json(&["deployment", "change", "--yes"]);
    place.start().stop();
    assert!(run(&place, &["user", "list"]).status.success());
}

#[tokio::test]
async fn a_mark_of_a_newer_version_on_redis_is_left_alone() {
    let redis = testbed::Redis::dedicated();
    let place = on_redis_signed(&redis);
    place.start().stop();
    let key = redis.command(&["--scan", "--pattern", "countersign:deployment:*"]);
    redis.command(&["SET", &key, "v2"]);
    for command in [&["serve"][..], &["deployment", "change", "--yes"]] {
        let said = refused(&place, command, "DEPLOYMENT_UNREADABLE");
        assert!(
            said.contains(&key) && said.contains("newer version"),
            "{said}"
        );
    }
    assert_eq!(redis.command(&["GET", &key]), "v2");
}

/// A server that runs goes on, and says so.
#[tokio::test]
async fn a_running_server_says_that_the_mark_cannot_be_read() {
    let place = Place::new(Vec::new()).with("SWEEP_INTERVAL", "1s");
    let server = place.start();
    let tokens = server.newcomer("ada@example.org").await;
    write_over(&place, "not a mark").await;
    server.says("event=\"deployment_unreadable\"", 1);
    server
        .me(&tokens.access)
        .await
        .expect(reqwest::StatusCode::OK);
}
