//! Secrets without their database, and a database without its secrets.

use reqwest::StatusCode;

use super::mismatch;
use crate::harness::{DATABASES, Place, Tokens, env};

fn signing() -> Place {
    Place::new(Vec::new()).with("STRATEGY", "jwt")
}

#[tokio::test]
async fn a_lost_secret_is_not_replaced_in_silence() {
    for (place, lost) in [
        (Place::new(Vec::new()), "token_hash_secret"),
        (signing(), "token_hash_secret"),
        (signing(), "jwt_private_key.pem"),
    ] {
        let server = place.start();
        let tokens = server.newcomer("ada@example.org").await;
        server.stop();
        let file = place.data_dir().join(lost);
        let kept = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let said = super::refused(&place, &["serve"], "CONFIGURATION_INVALID");
        assert!(
            said.contains(file.to_str().unwrap()) && said.contains("countersign deployment change"),
            "{said}"
        );
        assert!(!file.exists());

        std::fs::write(&file, kept).unwrap();
        let server = place.start();
        server.me(&tokens.access).await.expect(StatusCode::OK);
        server.stop();

        std::fs::remove_file(&file).unwrap();
        place.json(&["deployment", "change", "--yes"]);
        let server = place.start();
        let is_secret = lost == "token_hash_secret";
        // A signed token isn't looked up.
        let is_good = is_secret && server.ready["strategy"] == "jwt";
        let expected = if is_good {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        server.me(&tokens.access).await.expect(expected);
        let refreshed = server.refresh(&tokens.refresh).await;
        assert_eq!(
            refreshed.status,
            if is_secret {
                StatusCode::UNAUTHORIZED
            } else {
                StatusCode::OK
            }
        );
        server.login("ada@example.org").await;
    }
}

/// The same for a database of an earlier version, which doesn't say what its secret is.
#[tokio::test]
async fn a_lost_secret_of_an_earlier_version_is_not_replaced_in_silence() {
    let place = Place::new(Vec::new());
    let server = place.start();
    server.newcomer("ada@example.org").await;
    server.stop();
    super::forget(&place).await;
    let file = place.data_dir().join("token_hash_secret");
    std::fs::remove_file(&file).unwrap();
    for command in [&["serve"][..], &["user", "list"]] {
        let said = super::refused(&place, command, "CONFIGURATION_INVALID");
        assert!(said.contains(file.to_str().unwrap()), "{said}");
    }
    place.json(&["deployment", "change", "--yes"]);
    place.start().login("ada@example.org").await;
}

/// A database that was restored wrong, or another one, is no new deployment.
#[tokio::test]
async fn secrets_beside_an_empty_database_are_no_new_deployment() {
    for place in [Place::new(Vec::new()), signing()] {
        let server = place.start();
        let tokens = server.newcomer("ada@example.org").await;
        server.stop();
        let kept = place.data_dir().join("kept.sqlite");
        let file = place.data_dir().join("countersign.sqlite");
        std::fs::rename(&file, &kept).unwrap();
        for command in [
            &["serve"][..],
            &["user", "list"],
            &["migrate"],
            &["cleanup"],
        ] {
            let said = mismatch(&place, command);
            assert!(
                said.contains("token_hash_secret") && said.contains(file.to_str().unwrap()),
                "{said}"
            );
            assert!(!file.exists(), "{command:?} makes nothing");
        }
        // A copy of a file in use, without what its log holds: it is there, and empty.
        std::fs::write(&file, []).unwrap();
        mismatch(&place, &["serve"]);
        std::fs::rename(&kept, &file).unwrap();
        place
            .start()
            .me(&tokens.access)
            .await
            .expect(StatusCode::OK);

        std::fs::remove_file(&file).unwrap();
        place.json(&["deployment", "change", "--yes"]);
        place.start().newcomer("ada@example.org").await;
    }
}

/// The schema was restored, and no rows.
#[tokio::test]
async fn secrets_beside_tables_without_rows_are_no_new_deployment() {
    let place = Place::new(Vec::new());
    place.start().stop();
    let rows = crate::rows::Rows::of(&place);
    for table in ["countersign_migration", "countersign_deployment"] {
        rows.run(&format!("DELETE FROM {table}"), &[]).await;
    }
    mismatch(&place, &["serve"]);
}

/// One that starts anew at any point of its first start goes on.
#[tokio::test]
async fn a_first_start_that_was_cut_short_is_not_a_restored_database() {
    let place = Place::new(Vec::new());
    place.start().stop();
    let rows = crate::rows::Rows::of(&place);
    rows.run("DELETE FROM countersign_deployment", &[]).await;
    place.start().newcomer("ada@example.org").await;
}

/// Accounts are made before the first server starts, with whatever it will be told.
#[tokio::test]
async fn commands_before_the_first_server_settle_nothing() {
    for database in DATABASES {
        let place = Place::new(database.fresh());
        place.json(&["migrate"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "correct horse battery staple\n").unwrap();
        let file = file.path().to_str().unwrap();
        for email in ["ada@example.org", "bob@example.org"] {
            place.json(&["user", "add", email, "--password-file", file]);
        }
        place.json(&["user", "disable", "bob@example.org"]);
        let mut signed = place.clone();
        signed.settings.push(env("STRATEGY", "jwt"));
        let server = signed.start();
        let tokens = server.login("ada@example.org").await;
        server.me(&tokens.access).await.expect(StatusCode::OK);
        place.json(&["session", "revoke", "ada@example.org", "--all"]);
        server
            .me(&tokens.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        server.stop();
        let again: Tokens = place.start().login("ada@example.org").await;
        assert_eq!(
            again.access.matches('.').count(),
            2,
            "the strategy is the deployment's"
        );
    }
}
