//! What several test files need: accounts, fresh databases, a strategy over them.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::time::Duration;

use countersign::store::sql::{Database, DatabaseOptions, DatabaseTokenModels, Migrator, SqlStore};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::user::UserKeyKind;
use countersign::{Failure, ReusePolicy, Secret, User};
use tempfile::TempDir;
use testbed::{MariaDb, Postgres};
use uuid::Uuid;

/// An account that always exists and is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account(pub Uuid);

impl Account {
    pub const fn new(number: u128) -> Self {
        Self(Uuid::from_u128(number))
    }
}

impl User for Account {
    type Id = Uuid;

    fn id(&self) -> &Uuid {
        &self.0
    }
}

/// Knows every account.
pub async fn users(id: Uuid) -> Result<Option<Account>, Failure> {
    Ok(Some(Account(id)))
}

/// A database server, or SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

/// An empty database of a test's own.
pub struct Place {
    pub url: String,
    _folder: Option<TempDir>,
}

impl Place {
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("tokens.sqlite").display());
                Self {
                    url,
                    _folder: Some(folder),
                }
            }
            Kind::Postgres => Self {
                url: Postgres::shared().database(),
                _folder: None,
            },
            Kind::MariaDb => Self {
                url: MariaDb::shared().database(),
                _folder: None,
            },
        }
    }

    /// A new handle, as another process would have it, patient enough for a busy machine.
    pub fn database(&self) -> Database {
        let options = DatabaseOptions::default().with_timeout(Duration::from_secs(30));
        Database::connect(&self.url, options).unwrap()
    }

    /// A handle on the database with the bundled tables in it.
    pub async fn migrated(&self) -> Database {
        let database = self.database();
        Migrator::new(&database, UserKeyKind::Uuid)
            .run()
            .await
            .unwrap();
        database
    }
}

/// A handle on the database at `url` through a pool of sqlx.
#[cfg(all(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
pub fn by_sqlx(url: &str, options: &DatabaseOptions) -> Database {
    use countersign::store::sql::SqlxDriver;
    use countersign::store::sql::sqlx::pool::PoolOptions;
    use countersign::store::sql::sqlx::{MySql, Postgres as SqlxPostgres};

    let connections = u32::try_from(options.connections).unwrap();
    if url.starts_with("postgres") {
        let pool = PoolOptions::new().max_connections(connections);
        let driver = SqlxDriver::<SqlxPostgres>::new(pool.connect_lazy(url).unwrap());
        driver.timeout(options.timeout).into()
    } else {
        let pool = PoolOptions::new().max_connections(connections);
        let driver = SqlxDriver::<MySql>::new(pool.connect_lazy(url).unwrap());
        driver.timeout(options.timeout).into()
    }
}

/// A strategy over the bundled tables. All strategies made by this share one secret.
pub fn strategy(database: &Database) -> DatabaseTokenStrategy<SqlStore> {
    let secret = Secret::new("token_hash_secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
    let store = SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(UserKeyKind::Uuid),
    );
    // The machine may be busy: a retry comes in time however long it takes.
    let reuse = ReusePolicy::new(ReusePolicy::MAX_GRACE).unwrap();
    DatabaseTokenStrategy::builder(store)
        .token_hash_secret(&secret)
        .reuse(reuse)
        .build()
        .unwrap()
}

/// Waits until `condition` holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let mut interval = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..3000 {
        interval.tick().await;
        if condition().await {
            return;
        }
    }
    panic!("waited a minute in vain until {what}");
}
