//! Servers that start at once on an empty database.

use reqwest::StatusCode;

use super::{JWT_SECRET, mismatch, run};
use crate::harness::{DATABASES, Database, Place, env};

/// One record, and all serve.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_agree() {
    for database in DATABASES {
        let settings = database.fresh();
        let place = Place::new(settings);
        let starts: Vec<_> = (0..4)
            .map(|_| {
                let there = if database == Database::Sqlite {
                    place.clone()
                } else {
                    place.sibling()
                };
                std::thread::spawn(move || there.start())
            })
            .collect();
        let servers: Vec<_> = starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect();
        let tokens = servers[0].newcomer("ada@example.org").await;
        for server in &servers {
            server.me(&tokens.access).await.expect(StatusCode::OK);
        }
        let recorded: usize = servers
            .iter()
            .map(|server| server.log().matches("deployment_recorded").count())
            .sum();
        assert_eq!(recorded, 1, "{database:?}");
    }
}

/// Of two that differ one serves, and the other is told why it doesn't.
#[tokio::test(flavor = "multi_thread")]
async fn of_servers_that_differ_one_starts() {
    for database in [Database::Postgres, Database::MariaDb] {
        let place = Place::new(database.fresh());
        let signed = |secret: &str| {
            let mut there = place.sibling();
            let told = [
                ("STRATEGY", "jwt"),
                ("JWT_ALGORITHM", "HS256"),
                ("JWT_SECRET", secret),
            ];
            there
                .settings
                .extend(told.map(|(name, value)| env(name, value)));
            there
        };
        let opaque = place.sibling().with("STRATEGY", "database");
        let both = [opaque, signed(JWT_SECRET)];
        let runs: Vec<_> = both
            .clone()
            .into_iter()
            .map(|place| std::thread::spawn(move || run(&place, &["serve"])))
            .collect();
        let outputs: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        let started: Vec<bool> = outputs
            .iter()
            .map(|output| !output.stdout.is_empty())
            .collect();
        assert_eq!(
            started.iter().filter(|started| **started).count(),
            1,
            "{outputs:?}"
        );
        for (place, started) in both.iter().zip(started) {
            if started {
                place.start().stop();
            } else {
                mismatch(place, &["serve"]);
            }
        }
    }
}
