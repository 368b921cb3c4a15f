//! Migrations, tables of the caller's own, and the denylist in SQL, on each database.

#![cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use countersign::denylist::SqlDenylist;
use countersign::store::sql::{
    Database, DatabaseTokenModels, Dialect, Driver, Migration, MigrationSet, Migrator, Script,
    SetupError, SqlStore, Statement, TokenTable,
};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::{RefreshableStrategy, Strategy, TokenControl};
use countersign::testing::DenylistSuite;
use countersign::token::Invalidated;
use countersign::user::UserKeyKind;
use countersign::{Profile, Secret};

use crate::fixture::databases::{Kind, Place};
use crate::fixture::users::{Account, users};

const KINDS: [Kind; 3] = [Kind::Sqlite, Kind::Postgres, Kind::MariaDb];

async fn run(database: &Database, statement: &str) {
    database
        .run(
            &Script::new(database.dialect(), &["SELECT 1", statement]),
            &[],
        )
        .await
        .unwrap();
}

async fn count(database: &Database, table: &str) -> i64 {
    let count = Statement::new(database.dialect(), &format!("SELECT count(*) FROM {table}"));
    database
        .fetch(&count, &[])
        .await
        .unwrap()
        .first()
        .unwrap()
        .int(0)
        .unwrap()
        .unwrap()
}

const NOTE: &str = "CREATE TABLE note (id BIGINT PRIMARY KEY, user_id {user_id} NOT NULL);";
const EDITED: &str = "CREATE TABLE note (id BIGINT PRIMARY KEY, user_id {user_id});";

const fn notes(text: &'static str) -> Migration {
    Migration {
        version: 1,
        name: "note",
        sqlite: text,
        postgres: text,
        mysql: text,
    }
}

const NOTES: MigrationSet = MigrationSet {
    name: "notes",
    migrations: &[notes(NOTE)],
};
const EDITED_NOTES: MigrationSet = MigrationSet {
    name: "notes",
    migrations: &[notes(EDITED)],
};
const BROKEN_NOTES: MigrationSet = MigrationSet {
    name: "notes",
    migrations: &[notes(
        "CREATE TABLE draft (id BIGINT PRIMARY KEY);\nINSERT INTO nowhere VALUES (1);",
    )],
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_migration_is_refused_on_postgres_and_mariadb() {
    for kind in KINDS {
        let place = Place::new(kind);
        let database = place.database();
        Migrator::new(&database, UserKeyKind::Int)
            .add(NOTES)
            .run()
            .await
            .unwrap();
        let edited = Migrator::new(&database, UserKeyKind::Int).add(EDITED_NOTES);
        let errors = [
            edited.run().await.map(|_| ()).unwrap_err(),
            edited.pending().await.map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            let SetupError::Config(error) = error else {
                panic!("{kind:?}: {error}")
            };
            assert!(
                error.to_string().contains("notes/1 was edited"),
                "{kind:?}: {error}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_fails_can_be_mended_on_postgres_and_mariadb() {
    for kind in KINDS {
        let place = Place::new(kind);
        let database = place.migrated().await;
        let broken = Migrator::new(&database, UserKeyKind::Uuid).add(BROKEN_NOTES);
        let SetupError::Store(_) = broken.run().await.unwrap_err() else {
            panic!("{kind:?}: not the store's failure")
        };
        assert_eq!(
            broken.pending().await.unwrap().len(),
            1,
            "{kind:?}: it isn't recorded"
        );
        if kind != Kind::MariaDb {
            let draft = Statement::new(database.dialect(), "SELECT count(*) FROM draft");
            assert!(
                database.fetch(&draft, &[]).await.is_err(),
                "{kind:?}: half of it took effect"
            );
        }
        let mended = Migrator::new(&database, UserKeyKind::Uuid).add(NOTES);
        assert_eq!(mended.run().await.unwrap().len(), 1, "{kind:?}");
    }
}

/// Conformance case 043, and the eager checks of the models.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_the_callers_own_on_postgres_and_mariadb() {
    for kind in KINDS {
        let place = Place::new(kind);
        let database = place.migrated().await;
        let (id, time) = match database.dialect() {
            Dialect::Postgres => ("UUID", "TIMESTAMPTZ"),
            Dialect::Sqlite | Dialect::Mysql => ("BINARY(16)", "DATETIME(6)"),
        };
        let columns = format!(
            "digest VARCHAR(64) PRIMARY KEY, made {time} NOT NULL, account {id} NOT NULL, sitting VARCHAR(36)"
        );
        run(
            &database,
            &format!("CREATE TABLE api_key ({columns}, expires_at BIGINT, fence VARCHAR(32))"),
        )
        .await;
        run(&database, &format!("CREATE TABLE api_refresh ({columns})")).await;
        let table = |name| {
            TokenTable::new(name)
                .token("digest")
                .created_at("made")
                .user_id("account")
                .session_id("sitting")
        };
        let models =
            DatabaseTokenModels::new(table("api_key"), table("api_refresh"), UserKeyKind::Uuid)
                .unwrap();

        let error = models.verify(&database).await.unwrap_err().to_string();
        assert!(
            error
                .contains("refresh_token_model: table api_refresh has no column expires_at, fence, session_expires_at"),
            "{error}"
        );
        run(
            &database,
            "ALTER TABLE api_refresh ADD COLUMN expires_at BIGINT",
        )
        .await;
        let added = [
            "session_expires_at BIGINT",
            "access_expires_at BIGINT",
            "fence VARCHAR(32)",
            "family VARCHAR(64)",
            "consumed VARCHAR(1024)",
            "opened_at BIGINT",
            "last_used_at BIGINT",
            "authenticated_at BIGINT",
            "user_agent VARCHAR(255)",
            "ip VARCHAR(45)",
            "label VARCHAR(64)",
        ];
        for column in added {
            run(
                &database,
                &format!("ALTER TABLE api_refresh ADD COLUMN {column}"),
            )
            .await;
        }
        models.verify(&database).await.unwrap();

        let secret = Secret::new("token_hash_secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
        let store = SqlStore::new(database.driver(), models);
        let strategy = DatabaseTokenStrategy::builder(store)
            .token_hash_secret(&secret)
            .build()
            .unwrap();
        let pair = strategy.open_session(&Account::new(1)).await.unwrap();
        let refreshed = strategy
            .refresh_session(&pair.refresh.unwrap().token, &users)
            .await;
        assert!(refreshed.is_ok(), "{kind:?}");
        assert!(
            strategy
                .read_token(Some(&pair.access.token), &users)
                .await
                .unwrap()
                .accepted()
                .is_some(),
            "{kind:?}"
        );
        assert_eq!(
            (
                count(&database, "api_key").await,
                count(&database, "api_refresh").await
            ),
            (2, 1),
            "{kind:?}"
        );
        let ended = strategy
            .invalidate_all(&Account::new(1).key())
            .await
            .unwrap();
        assert_eq!(ended, Invalidated::All(1), "{kind:?}");
        for table in ["access_token", "refresh_token", "api_key", "api_refresh"] {
            assert_eq!(count(&database, table).await, 0, "{kind:?} {table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn denylists_in_sql_keep_the_contract_on_postgres_and_mariadb() {
    for kind in KINDS {
        let places = std::sync::Mutex::new(Vec::new());
        let fresh = || async {
            let place = Place::new(kind);
            let database = place.migrated().await;
            places.lock().unwrap().push(place);
            Ok::<_, countersign::Failure>(SqlDenylist::new(&database))
        };
        let report = DenylistSuite::new(format!("{kind:?}"), fresh).run().await;
        println!("{report}");
        report.into_result().unwrap();
    }
}

/// Rows that state no end were written by litestar-auth, whose tokens live longer than ours unless told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_original_are_swept_by_no_default_of_ours_on_postgres_and_mariadb() {
    for kind in KINDS {
        let place = Place::new(kind);
        let database = place.migrated().await;
        let id = match database.dialect() {
            Dialect::Postgres => "'00000000-0000-0000-0000-000000000001'",
            Dialect::Sqlite | Dialect::Mysql => "x'00000000000000000000000000000001'",
        };
        for table in ["access_token", "refresh_token"] {
            let row = format!("('0123', '2020-01-01 00:00:00', {id})");
            run(
                &database,
                &format!("INSERT INTO {table} (token, created_at, user_id) VALUES {row}"),
            )
            .await;
        }
        let secret = Secret::new("token_hash_secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
        let store = SqlStore::new(
            database.driver(),
            DatabaseTokenModels::bundled(UserKeyKind::Uuid),
        );
        let ours = DatabaseTokenStrategy::builder(store.clone())
            .token_hash_secret(&secret)
            .build()
            .unwrap();
        assert_eq!(
            ours.cleanup_expired(100, &mut |_| ()).await.unwrap(),
            0,
            "{kind:?}"
        );
        // In the original's profile they age by the lifetimes that were agreed on.
        let theirs = DatabaseTokenStrategy::builder(store)
            .token_hash_secret(&secret)
            .profile(Profile::LitestarAuth);
        assert_eq!(
            theirs
                .build()
                .unwrap()
                .cleanup_expired(100, &mut |_| ())
                .await
                .unwrap(),
            2,
            "{kind:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_kind_of_user_ids_is_refused_on_postgres_and_mariadb() {
    for kind in KINDS {
        let place = Place::new(kind);
        let database = place.database();
        let ours = Migrator::new(&database, UserKeyKind::Uuid);
        ours.run().await.unwrap();

        for other in [UserKeyKind::Int, UserKeyKind::Text] {
            let migrated = Migrator::new(&database, other).run().await;
            let models = DatabaseTokenModels::bundled(other);
            let verified = models.verify(&database).await;
            for error in [migrated.unwrap_err(), verified.unwrap_err()] {
                let error = error.to_string();
                assert!(error.contains("access_token.user_id"), "{kind:?}: {error}");
                assert!(error.contains("UUIDs as user ids"), "{kind:?}: {error}");
            }
        }

        ours.run().await.unwrap();
        let models = DatabaseTokenModels::bundled(UserKeyKind::Uuid);
        models.verify(&database).await.unwrap();
    }
}
