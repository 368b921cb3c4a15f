//! A sweep by a host whose clock is far from the store's.

use reqwest::StatusCode;

use crate::harness::{DATABASES, Database, Place, Tokens};

/// A process on a host whose clock is wrong by so much.
fn with_clock(place: &Place, offset: &str) -> Place {
    let library = testbed::faketime();
    let mut there = place.clone();
    let variables = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME", offset),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    there
        .settings
        .extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    there
}

/// A place that was served and has one session.
async fn served(database: Database) -> (Place, Tokens) {
    let place = Place::new(database.fresh());
    let server = place.start();
    let tokens = server.newcomer("ada@example.org").await;
    server.stop();
    (place, tokens)
}

async fn expect_alive(place: &Place, tokens: &Tokens) {
    let server = place.start();
    server.me(&tokens.access).await.expect(StatusCode::OK);
    server.refresh(&tokens.refresh).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_command_with_a_wrong_clock_sweeps_nothing() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let (place, tokens) = served(database).await;
        let offsets = if database == Database::Sqlite {
            &["+200d"][..]
        } else {
            &["+200d", "-200d", "+10m"]
        };
        for offset in offsets {
            let output = with_clock(&place, offset).run(&["cleanup", "--json"]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{offset}: {said}");
            assert!(said.contains("CLOCK_WRONG"), "{offset}: {said}");
            // Both clocks are named, in full.
            assert!(
                said.matches('T').count() >= 2 && said.matches('Z').count() >= 2,
                "{said}"
            );
        }
        expect_alive(&place, &tokens).await;
        place.json(&["cleanup"]);
    }
}

/// The server serves on, and says it once.
#[tokio::test]
async fn a_server_with_a_wrong_clock_sweeps_nothing() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let (place, tokens) = served(database).await;
        let ahead = with_clock(&place, "+200d")
            .with("SWEEP_INTERVAL", "100ms")
            .start();
        testbed::wait_until("it says so", || ahead.log().contains("sweep_refused"));
        let other = ahead.newcomer("bob@example.org").await;
        ahead.me(&other.access).await.expect(StatusCode::OK);
        let (_, log) = ahead.stop();
        assert_eq!(log.matches("sweep_refused").count(), 1, "{log}");
        expect_alive(&place, &tokens).await;
    }
}

/// Time that has passed while nobody served this SQLite file is told by hand, or waited for.
#[tokio::test]
async fn a_long_absence_is_confirmed_by_hand() {
    let place = Place::new(Vec::new())
        .with("ACCESS_LIFETIME", "1s")
        .with("REFRESH_LIFETIME", "1s");
    let server = place.start();
    server.newcomer("ada@example.org").await;
    server.stop();
    let later = with_clock(&place, "+20d");
    assert_eq!(later.run(&["cleanup"]).status.code(), Some(1));
    assert_eq!(
        later.json(&["cleanup", "--clock-is-right"])["refresh_tokens"],
        1
    );
    assert_eq!(later.json(&["cleanup"])["refresh_tokens"], 0);
}
