//! Settings that contradict the deployment's, and settings that somebody left out.

use reqwest::{Method, StatusCode};

use super::{JWT_SECRET, OTHER_SECRET, elsewhere, forget, mismatch, refused, run, signed};
use crate::harness::{DATABASES, Database, Place, Reply, Server, Tokens, env, on_redis, shared};

/// Ends everything of an account from another machine.
#[derive(Clone, Copy, Debug)]
enum Ending {
    RevokeAll,
    DisableAndEnable,
    SetPassword,
    Delete,
}

const ENDINGS: [Ending; 4] = [
    Ending::RevokeAll,
    Ending::DisableAndEnable,
    Ending::SetPassword,
    Ending::Delete,
];

impl Ending {
    fn by(self, admin: &Place, email: &str) {
        match self {
            Self::RevokeAll => drop(admin.json(&["session", "revoke", email, "--all"])),
            Self::DisableAndEnable => {
                admin.json(&["user", "disable", email]);
                admin.json(&["user", "enable", email]);
            }
            Self::SetPassword => {
                let file = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(file.path(), "another long password\n").unwrap();
                admin.json(&[
                    "user",
                    "set-password",
                    email,
                    "--password-file",
                    file.path().to_str().unwrap(),
                ]);
            }
            Self::Delete => drop(admin.json(&["user", "delete", email, "--yes"])),
        }
    }
}

async fn expect_ended(ending: Ending, admin: &Place, servers: &[&Server]) {
    let email = format!("{ending:?}@example.org").to_lowercase();
    let tokens = servers[0].newcomer(&email).await;
    for server in servers {
        server.me(&tokens.access).await.expect(StatusCode::OK);
    }
    ending.by(admin, &email);
    for server in servers {
        assert_eq!(
            server.me(&tokens.access).await.status,
            StatusCode::UNAUTHORIZED,
            "{ending:?}"
        );
        assert_eq!(
            server.refresh(&tokens.refresh).await.status,
            StatusCode::UNAUTHORIZED,
            "{ending:?}"
        );
    }
}

/// The administrator's machine knows the database and the secret, and nothing of how tokens are made.
#[tokio::test]
async fn a_command_that_was_told_nothing_ends_signed_tokens_everywhere() {
    for database in [Database::Postgres, Database::MariaDb] {
        let url = database.fresh().swap_remove(0).1;
        let place = signed(&url).with("JWT_ISSUER", "https://auth.example.org");
        let (one, two) = (place.start(), place.sibling().start());
        let admin = Place::new(shared(&url));
        for ending in ENDINGS {
            expect_ended(ending, &admin, &[&one, &two]).await;
        }
    }
}

/// The same for what is on Redis; without its URL nothing is told to have ended.
#[tokio::test]
async fn a_command_without_the_redis_of_the_deployment_is_refused() {
    let redis = testbed::Redis::shared().url();
    for strategy in ["jwt", "redis"] {
        let url = Database::Postgres.fresh().swap_remove(0).1;
        let place = signed(&url)
            .with("REDIS_URL", redis)
            .with("STRATEGY", strategy);
        let (one, two) = (place.start(), place.sibling().start());
        let without = Place::new(shared(&url));
        let tokens = one.newcomer("ada@example.org").await;
        for command in [
            &["session", "revoke", "ada@example.org", "--all"][..],
            &["user", "disable", "ada@example.org"],
        ] {
            let said = refused(&without, command, "CONFIGURATION_INVALID");
            assert!(
                said.starts_with("COUNTERSIGN_REDIS_URL: is required"),
                "{said}"
            );
        }
        two.me(&tokens.access).await.expect(StatusCode::OK);
        let admin = without.with("REDIS_URL", redis);
        for ending in ENDINGS {
            expect_ended(ending, &admin, &[&one, &two]).await;
        }
    }
}

/// A logout at a server with another denylist would be told, and not hold.
#[tokio::test]
async fn a_server_with_another_denylist_is_refused() {
    let (redis, other) = (
        testbed::Redis::shared().url().to_owned(),
        testbed::Redis::dedicated(),
    );
    let url = Database::Postgres.fresh().swap_remove(0).1;
    let place = signed(&url).with("REDIS_URL", &redis);
    let server = place.start();
    let said = mismatch(
        &elsewhere(&place, &["REDIS_URL"]).with("REDIS_URL", other.url()),
        &["serve"],
    );
    assert!(
        said.contains("COUNTERSIGN_REDIS_URL") && said.contains(other.url()),
        "{said}"
    );
    let said = refused(
        &elsewhere(&place, &["REDIS_URL"]),
        &["serve"],
        "CONFIGURATION_INVALID",
    );
    assert!(
        said.starts_with("COUNTERSIGN_REDIS_URL: is required"),
        "{said}"
    );

    let in_sql = signed(&Database::Postgres.fresh().swap_remove(0).1);
    let second = in_sql.start();
    let said = mismatch(&in_sql.sibling().with("REDIS_URL", &redis), &["serve"]);
    assert!(
        said.contains("COUNTERSIGN_REDIS_URL") && said.contains("in the database"),
        "{said}"
    );

    let tokens = server.newcomer("ada@example.org").await;
    let twin = place.sibling().start();
    let logout = twin
        .request(Method::POST, "/auth/logout")
        .bearer_auth(&tokens.access);
    Reply::of(logout).await.expect(StatusCode::NO_CONTENT);
    server
        .me(&tokens.access)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    drop(second);
}

/// What a second server is told, instead of what the first one has; and what the error says.
type Row = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const ROWS: &[Row] = &[
    (
        &[("STRATEGY", "database")],
        &["COUNTERSIGN_STRATEGY", "database", "jwt"],
    ),
    (
        &[("PROFILE", "litestar-auth")],
        &["COUNTERSIGN_PROFILE", "litestar-auth", "countersign"],
    ),
    (
        &[("JWT_ISSUER", "https://other.example")],
        &[
            "COUNTERSIGN_JWT_ISSUER",
            "https://other.example",
            "https://auth.example",
        ],
    ),
    (
        &[("JWT_AUDIENCE", "api")],
        &["COUNTERSIGN_JWT_AUDIENCE", "api", "countersign:access"],
    ),
    (
        &[("JWT_ALGORITHM", "HS384")],
        &["COUNTERSIGN_JWT_ALGORITHM", "HS384", "HS256"],
    ),
    (&[("JWT_SECRET", OTHER_SECRET)], &["COUNTERSIGN_JWT_SECRET"]),
    (
        &[("TOKEN_HASH_SECRET", OTHER_SECRET)],
        &["COUNTERSIGN_TOKEN_HASH_SECRET"],
    ),
];

#[tokio::test]
async fn each_setting_that_contradicts_the_deployment_is_refused() {
    for database in [Database::Postgres, Database::MariaDb] {
        let place =
            signed(&database.fresh().swap_remove(0).1).with("JWT_ISSUER", "https://auth.example");
        let server = place.start().with_new_connections();
        let tokens = server.newcomer("ada@example.org").await;
        for (told, expected) in ROWS {
            let mut other = place.sibling();
            other
                .settings
                .extend(told.iter().map(|(name, value)| env(name, value)));
            for command in [
                &["serve"][..],
                &["user", "list"],
                &["cleanup"],
                &["session", "list", "ada@example.org"],
                &["migrate"],
            ] {
                let key_of_signing = expected.contains(&"COUNTERSIGN_JWT_SECRET");
                if key_of_signing && command == ["migrate"] {
                    continue;
                }
                let said = mismatch(&other, command);
                for word in *expected {
                    assert!(said.contains(word), "{told:?} {command:?}: {said}");
                }
                assert!(said.contains("countersign deployment change"), "{said}");
                assert!(
                    !other.data_dir().exists(),
                    "{told:?} {command:?}: nothing is made"
                );
            }
        }
        server.me(&tokens.access).await.expect(StatusCode::OK);
    }
}

/// What nobody says is taken from the deployment, so that tokens pass between the two servers.
#[tokio::test]
async fn a_server_takes_what_it_was_not_told() {
    for database in [Database::Postgres, Database::MariaDb] {
        let place = signed(&database.fresh().swap_remove(0).1)
            .with("JWT_ISSUER", "https://auth.example")
            .with("JWT_AUDIENCE", "api");
        let server = place.start();
        elsewhere(&place, &["JWT_ALGORITHM"]).start();
        let bare = elsewhere(
            &place,
            &["STRATEGY", "JWT_ALGORITHM", "JWT_ISSUER", "JWT_AUDIENCE"],
        );
        let second = bare.start();
        assert_eq!(second.ready["strategy"], "jwt");
        let tokens = second.newcomer("ada@example.org").await;
        server.me(&tokens.access).await.expect(StatusCode::OK);
        let tokens = Tokens::of(&server.refresh(&tokens.refresh).await);
        second.me(&tokens.access).await.expect(StatusCode::OK);
    }
}

/// The key that signs can't be taken; an administrator's machine needs none.
#[tokio::test]
async fn a_server_without_the_key_is_refused_and_a_command_needs_none() {
    let place = Place::new(Database::Postgres.fresh()).with("STRATEGY", "jwt");
    let server = place.start();
    let said = refused(&place.sibling(), &["serve"], "CONFIGURATION_INVALID");
    assert!(
        said.contains("COUNTERSIGN_JWT_PRIVATE_KEY") && said.contains("jwt_private_key.pem"),
        "{said}"
    );
    let admin = elsewhere(&place, &["STRATEGY"]);
    expect_ended(Ending::RevokeAll, &admin, &[&server]).await;
    assert!(!admin.data_dir().join("jwt_private_key.pem").exists());

    let given = place.sibling().with(
        "JWT_PRIVATE_KEY_FILE",
        place
            .data_dir()
            .join("jwt_private_key.pem")
            .to_str()
            .unwrap(),
    );
    let second = given.start();
    let tokens = server.newcomer("bob@example.org").await;
    second.me(&tokens.access).await.expect(StatusCode::OK);
}

/// Lifetimes, limits and the like may differ from server to server.
#[tokio::test]
async fn what_may_differ_is_not_compared() {
    let place = signed(&Database::Postgres.fresh().swap_remove(0).1);
    let server = place.start();
    let second = place
        .sibling()
        .with("ACCESS_LIFETIME", "1h")
        .with("REFRESH_LIFETIME", "7d")
        .with("SESSION_LIMIT", "3")
        .with("LOGIN_LIMIT", "off")
        .start();
    let tokens = second.newcomer("ada@example.org").await;
    server.me(&tokens.access).await.expect(StatusCode::OK);
}

/// A database of an earlier version: nothing says what the deployment is until a server has come.
#[tokio::test]
async fn an_earlier_version_is_adopted_by_the_next_server() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let mut settings = database.fresh();
        settings.extend([
            env("STRATEGY", "jwt"),
            env("JWT_ALGORITHM", "HS256"),
            env("JWT_SECRET", JWT_SECRET),
        ]);
        let place = Place::new(settings);
        let server = place.start();
        let tokens = server.newcomer("ada@example.org").await;
        server.stop();
        forget(&place).await;

        // A command can't know how tokens are made, so it must be told before it says that anything has ended.
        let mut bare = place.clone();
        bare.settings.retain(|(name, _)| !name.contains("STRATEGY"));
        let said = refused(
            &bare,
            &["session", "revoke", "ada@example.org", "--all"],
            "CONFIGURATION_INVALID",
        );
        assert!(
            said.starts_with("COUNTERSIGN_STRATEGY: is required"),
            "{said}"
        );
        bare.json(&["user", "list"]);
        bare.json(&["cleanup"]);

        let server = place.start();
        server.me(&tokens.access).await.expect(StatusCode::OK);
        let (_, log) = server.stop();
        assert_eq!(log.matches("deployment_recorded").count(), 1, "{log}");
        bare.json(&["session", "revoke", "ada@example.org", "--all"]);
        let server = place.start();
        server
            .me(&tokens.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        let (_, log) = server.stop();
        assert_eq!(log.matches("deployment_recorded").count(), 0, "{log}");
    }
}

/// A version that doesn't know the tables must not write to them.
#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    for database in DATABASES {
        let place = Place::new(database.fresh());
        place.start().stop();
        let newer = "INSERT INTO countersign_migration VALUES ('countersign', 99, 'later', 'x', 0)";
        crate::rows::Rows::of(&place).run(newer, &[]).await;
        for command in [&["serve"][..], &["user", "list"], &["migrate"]] {
            let said = mismatch(&place, command);
            assert!(said.contains("countersign/99"), "{said}");
        }
    }
}

/// Redis that has lost its data can't be told from another one.
#[tokio::test]
async fn a_redis_that_lost_everything_is_not_taken_for_the_deployments() {
    let redis = testbed::Redis::dedicated();
    let place = Place::new(on_redis(redis.url())).with("STRATEGY", "jwt");
    place.start().stop();
    redis.command(&["FLUSHALL"]);
    let said = mismatch(&place, &["serve"]);
    assert!(
        said.contains(redis.url()) && said.contains("lost its data"),
        "{said}"
    );
    place.json(&["deployment", "change", "--yes"]);
    place.start().stop();
    assert!(run(&place, &["user", "list"]).status.success());
}
