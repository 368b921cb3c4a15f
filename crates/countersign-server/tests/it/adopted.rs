//! Accounts that litestar-auth made: their hashes, their second factors, and the collation of their table.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{DATABASES, Database, PASSWORD, Place, Reply, Server, Tokens};
use crate::rows::Rows;

/// Hashes of [`PASSWORD`]: by argon2-cffi 25.1 with its defaults, and by bcrypt 5.0.
const THEIRS: &str = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$opK/12lewr2z5YpUKucJCUXASikIGYN+qjR3vL2e8go";
const BCRYPT: &str = "$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG";
const BCRYPT_12: &str = "$2b$12$abcdefghijklmnopqrstuu0sDWleciW5uGBGYwxpcgAsh9WK4bWNy";
/// Of 72 times the letter x.
const LONG: &str = "$2b$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q";

const OURS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

async fn log_in(server: &Server, email: &str, password: &str) -> Reply {
    server
        .post(
            "/auth/login",
            json!({ "identifier": email, "password": password }),
        )
        .await
}

#[tokio::test]
async fn hashes_of_other_kinds_log_in_and_become_ours() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh());
        let server = place.start();
        let rows = Rows::of(&place);
        let hashes = ["2a", "2b", "2y"].map(|version| format!("${version}{BCRYPT}"));
        for (at, hash) in hashes
            .iter()
            .map(String::as_str)
            .chain([BCRYPT_12, THEIRS])
            .enumerate()
        {
            let email = format!("{at}@example.org");
            rows.insert(&email, hash).await;
            log_in(&server, &email, "wrong password")
                .await
                .expect(StatusCode::UNAUTHORIZED);
            assert_eq!(rows.hash_of(&email).await, hash);
            Tokens::of(&log_in(&server, &email, PASSWORD).await);
            assert!(rows.hash_of(&email).await.starts_with(OURS), "{hash}");
            Tokens::of(&log_in(&server, &email, PASSWORD).await);
        }
        // bcrypt looks at 72 bytes; once the hash is ours, all of them count.
        rows.insert("long@example.org", LONG).await;
        let password = format!("{} and more", "x".repeat(72));
        Tokens::of(&log_in(&server, "long@example.org", &password).await);
        log_in(&server, "long@example.org", &"x".repeat(72))
            .await
            .expect(StatusCode::UNAUTHORIZED);
        Tokens::of(&log_in(&server, "long@example.org", &password).await);
    }
}

/// Beside a litestar-auth that still serves, hashes stay as it makes them: it would hash them anew each time.
#[tokio::test]
async fn in_the_originals_profile_hashes_become_the_originals() {
    let place = Place::new(Vec::new()).with("PROFILE", "litestar-auth");
    let server = place.start();
    let rows = Rows::of(&place);
    server.newcomer("ada@example.org").await;
    assert!(
        rows.hash_of("ada@example.org")
            .await
            .starts_with("$argon2id$v=19$m=65536,t=3,p=4$")
    );
    rows.insert("bob@example.org", THEIRS).await;
    Tokens::of(&log_in(&server, "bob@example.org", PASSWORD).await);
    assert_eq!(rows.hash_of("bob@example.org").await, THEIRS);
    rows.insert("cyd@example.org", BCRYPT_12).await;
    Tokens::of(&log_in(&server, "cyd@example.org", PASSWORD).await);
    assert!(
        rows.hash_of("cyd@example.org")
            .await
            .starts_with("$argon2id$v=19$m=65536,t=3,p=4$")
    );
}

#[tokio::test]
async fn an_account_with_a_second_factor_is_refused_unless_told_otherwise() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh());
        let server = place.start();
        let tokens = server.newcomer("ada@example.org").await;
        server.newcomer("bob@example.org").await;
        let secret = "UPDATE {user} SET totp_secret = ?2 WHERE email = ?1";
        Rows::of(&place)
            .run(secret, &["ada@example.org".into(), "fernet:abc".into()])
            .await;
        let refused = log_in(&server, "ada@example.org", PASSWORD).await;
        refused.expect_problem(StatusCode::UNAUTHORIZED, "LOGIN_BAD_CREDENTIALS");
        let cookie = json!({ "identifier": "ada@example.org", "password": PASSWORD });
        server
            .post("/auth/cookie/login", cookie)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        server.login("bob@example.org").await;
        server.says("second_factor_not_asked", 1);
        server.says("COUNTERSIGN_SECOND_FACTOR", 1);
        // Whoever is logged in already has shown both, and may change the password.
        let body = json!({ "current_password": PASSWORD, "email": "countess@example.org" });
        let change = server
            .request(Method::PATCH, "/users/me")
            .bearer_auth(&tokens.access)
            .json(&body);
        Reply::of(change).await.expect(StatusCode::OK);
        server.stop();

        let server = place.with("SECOND_FACTOR", "ignore").start();
        server.login("countess@example.org").await;
        server.says("second_factor_ignored", 1);
    }
}

#[tokio::test]
async fn a_table_that_knows_no_second_factor_is_adopted() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh());
        place.json(&["migrate"]);
        Rows::of(&place)
            .run("ALTER TABLE {user} DROP COLUMN totp_secret", &[])
            .await;
        let server = place.start();
        server.newcomer("ada@example.org").await;
        log_in(&server, "ada@example.org", "wrong password")
            .await
            .expect(StatusCode::UNAUTHORIZED);
        let log = server.stop().1;
        assert!(!log.contains("hashes_not_surveyed"), "{log}");
    }
}

#[tokio::test]
async fn a_hash_that_nobody_can_check_is_told() {
    let place = Place::new(Vec::new());
    let server = place.start();
    let rows = Rows::of(&place);
    let dear = "$argon2id$v=19$m=4194304,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$opK/12lewr2z5YpUKucJCUXASikIGYN+qjR3vL2e8go";
    for (at, hash) in ["$1$salt$hash", dear, ""].into_iter().enumerate() {
        let email = format!("{at}@example.org");
        rows.insert(&email, hash).await;
        log_in(&server, &email, PASSWORD)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    let log = server.stop().1;
    assert_eq!(
        log.matches("password_hash_unusable").count(),
        2,
        "an account without a password is in order"
    );
}

/// The original's table on a server with MariaDB's ordinary collation, by which `á` is `a`.
#[tokio::test]
async fn an_address_is_one_account_whatever_the_collation_of_its_table() {
    let place = Place::new(Database::MariaDb.fresh()).with("LOGIN_LIMIT", "3/1h");
    let rows = Rows::of(&place);
    let table = "CREATE TABLE {user} (id BINARY(16) NOT NULL, email VARCHAR(320) NOT NULL, \
        hashed_password VARCHAR(255) NOT NULL, is_active BOOL NOT NULL, is_verified BOOL NOT NULL, is_superuser BOOL NOT NULL, \
        totp_secret VARCHAR(255), sa_orm_sentinel INTEGER, CONSTRAINT pk_user PRIMARY KEY (id), UNIQUE KEY ix_user_email (email)) \
        ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci";
    rows.run(table, &[]).await;
    rows.insert("ada@example.org", &format!("$2b{BCRYPT}"))
        .await;
    let server = place.start();
    Tokens::of(&log_in(&server, "Ada@example.org", PASSWORD).await);
    for other in [
        "\u{e1}da@example.org",
        "ad\u{101}@example.org",
        "ad\u{e3}@example.org",
        "ada@ex\u{e1}mple.org",
    ] {
        log_in(&server, other, PASSWORD)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        assert_eq!(
            place.run(&["user", "disable", other]).status.code(),
            Some(1),
            "{other} has no account"
        );
    }
    // The limit can't be walked around by way of look-alikes.
    for _ in 0..3 {
        log_in(&server, "ada@example.org", "wrong password")
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    log_in(&server, "ada@example.org", PASSWORD)
        .await
        .expect(StatusCode::TOO_MANY_REQUESTS);
    log_in(&server, "\u{e1}da@example.org", PASSWORD)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    // The table itself takes them for one, so nobody can have the other.
    let answer = server.register("\u{e1}da@example.org").await;
    answer.expect_problem(StatusCode::CONFLICT, "REGISTER_EMAIL_TAKEN");
}

/// What PostgreSQL and SQLite have in place of such a collation.
#[tokio::test]
async fn an_address_is_one_account_where_the_table_ignores_case() {
    for (database, alter) in [
        (
            Database::Sqlite,
            "CREATE TABLE {user} (id BINARY(16) NOT NULL PRIMARY KEY, email VARCHAR(320) COLLATE NOCASE NOT NULL UNIQUE, ",
        ),
        (
            Database::Postgres,
            "CREATE TABLE {user} (id UUID NOT NULL PRIMARY KEY, email VARCHAR(320) COLLATE loose NOT NULL UNIQUE, ",
        ),
    ] {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh());
        std::fs::create_dir_all(place.data_dir()).unwrap();
        let rows = Rows::of(&place);
        if database == Database::Postgres {
            let loose = "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)";
            rows.run(loose, &[]).await;
        }
        let rest = "hashed_password VARCHAR(255) NOT NULL, is_active BOOLEAN NOT NULL, is_verified BOOLEAN NOT NULL, \
            is_superuser BOOLEAN NOT NULL)";
        rows.run(&format!("{alter}{rest}"), &[]).await;
        rows.insert("ADA@example.org", &format!("$2b{BCRYPT}"))
            .await;
        rows.insert("bob@example.org", &format!("$2b{BCRYPT}"))
            .await;
        let server = place.start();
        log_in(&server, "ada@example.org", PASSWORD)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        Tokens::of(&log_in(&server, "Bob@example.org", PASSWORD).await);
    }
}
