//! The least rights that STORAGE.md prints are enough, and so are its ways to back up and restore.

use std::path::Path;
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{PASSWORD, Place, Reply, Tokens, env, shared, write};

/// The text of a block of STORAGE.md, by the comment that it begins with.
fn printed(heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/STORAGE.md");
    let text = std::fs::read_to_string(path).unwrap();
    let block = text.split("```").find(|block| block.contains(heading));
    let block = block.unwrap_or_else(|| panic!("STORAGE.md has no block {heading:?}"));
    block.split_once('\n').unwrap().1.to_owned()
}

/// Everything that a server and its commands do.
async fn everything(place: &Place) {
    let server = place
        .clone()
        .with("SWEEP_INTERVAL", "100ms")
        .with("USE_INTERVAL", "100ms")
        .start();
    // The commands below may take longer than an idle connection is kept.
    let server = server.with_new_connections();
    let tokens = server.newcomer("ada@example.org").await;
    let wrong = json!({ "identifier": "ada@example.org", "password": "wrong password" });
    server
        .post("/auth/login", wrong)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    server.me(&tokens.access).await.expect(StatusCode::OK);
    let tokens = Tokens::of(&server.refresh(&tokens.refresh).await);
    server
        .get("/auth/sessions", &tokens.access)
        .await
        .expect(StatusCode::OK);
    let change = json!({ "current_password": PASSWORD, "email": "eve@example.org" });
    let change = server
        .request(Method::PATCH, "/users/me")
        .bearer_auth(&tokens.access)
        .json(&change);
    Reply::of(change).await.expect(StatusCode::OK);
    for path in ["/auth/logout", "/auth/logout/all"] {
        let tokens = server.login("eve@example.org").await;
        Reply::of(
            server
                .request(Method::POST, path)
                .bearer_auth(&tokens.access),
        )
        .await
        .expect(StatusCode::NO_CONTENT);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("password"), "another long password\n");
    for command in [
        &["user", "list"][..],
        &["user", "disable", "eve@example.org"],
        &["user", "enable", "eve@example.org"],
        &[
            "user",
            "set-password",
            "eve@example.org",
            "--password-file",
            &file,
        ],
        &["session", "list", "eve@example.org"],
        &["session", "revoke", "eve@example.org", "--all"],
        &["user", "delete", "eve@example.org", "--yes"],
        &["cleanup"],
        &["migrate"],
        &["deployment", "show"],
        &["deployment", "change", "--yes"],
    ] {
        place.json(command);
    }
    Reply::of(server.request(Method::GET, "/readyz"))
        .await
        .expect(StatusCode::OK);
    let (_, log) = server.stop();
    assert!(
        !log.contains("sweep_failed") && !log.contains("ERROR"),
        "{log}"
    );
}

#[tokio::test]
async fn the_rights_in_the_docs_are_enough_on_postgres() {
    let database = testbed::Postgres::shared();
    let url = database.database();
    for strategy in ["database", "jwt"] {
        let owner = Place::new(shared(&url)).with("STRATEGY", strategy);
        owner.json(&["migrate"]);
        let name = format!("app_{}", testbed::free_port());
        let sql = printed("-- PostgreSQL: the least rights").replace("countersign_app", &name);
        testbed::Postgres::execute(&url, &sql);
        let mut place = owner.sibling();
        let theirs = url.replace("postgres@", &format!("{name}:secret@"));
        place.settings.push(env("DATABASE_URL", &theirs));
        let table = testbed::Postgres::execute(&theirs, "SELECT current_user");
        assert_eq!(table.trim(), name);
        everything(&place).await;
        testbed::Postgres::execute(&url, "DELETE FROM countersign_deployment");
    }
}

#[tokio::test]
async fn the_rights_in_the_docs_are_enough_on_mariadb() {
    let database = testbed::MariaDb::shared();
    let url = database.database();
    for strategy in ["database", "jwt"] {
        let owner = Place::new(shared(&url)).with("STRATEGY", strategy);
        owner.json(&["migrate"]);
        let name = format!("app_{}", testbed::free_port());
        let sql =
            printed("-- MySQL and MariaDB: the least rights").replace("countersign_app", &name);
        testbed::MariaDb::execute(&url, &sql);
        let mut place = owner.sibling();
        place.settings.push(env(
            "DATABASE_URL",
            &url.replace("test:test@", &format!("{name}:secret@")),
        ));
        everything(&place).await;
        testbed::MariaDb::execute(&url, "DELETE FROM countersign_deployment");
    }
}

/// A file that a server has open is copied whole by SQLite alone; a plain copy is refused, not taken for a new database.
#[tokio::test]
async fn a_backup_of_a_serving_sqlite_file_is_whole() {
    let place = Place::new(Vec::new());
    let server = place.start();
    let tokens = server.newcomer("ada@example.org").await;
    let restored = place.sibling();
    std::fs::create_dir_all(restored.data_dir()).unwrap();
    let script = printed("# back up a file that is being served");
    let shell = Command::new("bash")
        .args(["-euc", &script])
        .env("DATA", place.data_dir())
        .env("BACKUP", restored.data_dir())
        .output()
        .unwrap();
    assert!(
        shell.status.success(),
        "{}",
        String::from_utf8_lossy(&shell.stderr)
    );
    let second = restored.start();
    second.me(&tokens.access).await.expect(StatusCode::OK);
    second.refresh(&tokens.refresh).await.expect(StatusCode::OK);

    let copied = place.sibling();
    std::fs::create_dir_all(copied.data_dir()).unwrap();
    for file in ["countersign.sqlite", "token_hash_secret"] {
        std::fs::copy(place.data_dir().join(file), copied.data_dir().join(file)).unwrap();
    }
    super::mismatch(&copied, &["serve"]);
    drop(server);
}
