//! A fresh database on one of the two servers, and the words in which they differ.

use std::sync::Arc;
use std::time::Duration;

use countersign::store::sql::sqlx::mysql::MySqlPoolOptions;
use countersign::store::sql::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use countersign::store::sql::{
    Database, DatabaseOptions, Dialect, Driver, MysqlDriver, PostgresDriver, Script, SqlxDriver,
    Statement,
};
use testbed::{MariaDb, PgBouncer, Postgres};

/// Mounts async tests that take a [`Place`] on PostgreSQL behind PgBouncer.
macro_rules! through_pgbouncer {
    ($($test:ident),+ $(,)?) => {
        mod pgbouncer {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::drivers::place::Place::pooled()).await;
            })+
        }
    };
}
pub(crate) use through_pgbouncer;

/// Mounts async tests that take a [`Place`] on both servers.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::drivers::place::Place::new(countersign::store::sql::Dialect::Postgres)).await;
            })+
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::drivers::place::Place::new(countersign::store::sql::Dialect::Mysql)).await;
            })+
        }
    };
}
pub(crate) use on_both;

/// Mounts async tests that take a [`Place`] on both servers, through sqlx.
macro_rules! on_both_by_sqlx {
    ($($test:ident),+ $(,)?) => {
        mod sqlx_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::drivers::place::Place::by_sqlx(countersign::store::sql::Dialect::Postgres)).await;
            })+
        }
        mod sqlx_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::drivers::place::Place::by_sqlx(countersign::store::sql::Dialect::Mysql)).await;
            })+
        }
    };
}
pub(crate) use on_both_by_sqlx;

/// Mounts async tests that take a [`Place`] on PostgreSQL behind PgBouncer, through sqlx.
macro_rules! through_pgbouncer_by_sqlx {
    ($($test:ident),+ $(,)?) => {
        mod sqlx_pgbouncer {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::drivers::place::Place::pooled_by_sqlx()).await;
            })+
        }
    };
}
pub(crate) use through_pgbouncer_by_sqlx;

/// Options with a timeout that nothing reaches on a server that answers, on a machine however busy.
pub fn patient() -> DatabaseOptions {
    DatabaseOptions::default().with_timeout(Duration::from_secs(20))
}

/// Whose driver runs the statements.
#[derive(Clone, Copy)]
enum By {
    Itself,
    Sqlx { persistent: bool },
}

pub struct Place {
    pub dialect: Dialect,
    pub url: String,
    by: By,
}

impl Place {
    /// A database with one table, `item (id, name)`.
    pub fn new(dialect: Dialect) -> Self {
        let url = match dialect {
            Dialect::Postgres => Postgres::shared().database(),
            _ => MariaDb::shared().database(),
        };
        let place = Self::at(dialect, url);
        place.execute("CREATE TABLE item (id int PRIMARY KEY, name varchar(40) NOT NULL)");
        place
    }

    /// The database at `url`, whatever is in it.
    pub fn at(dialect: Dialect, url: String) -> Self {
        Self {
            dialect,
            url,
            by: By::Itself,
        }
    }

    /// The same, on a pool of sqlx.
    pub fn by_sqlx(dialect: Dialect) -> Self {
        Self {
            by: By::Sqlx { persistent: true },
            ..Self::new(dialect)
        }
    }

    /// The same on a pool of sqlx that leads to PgBouncer in transaction mode.
    pub fn pooled_by_sqlx() -> Self {
        Self {
            by: By::Sqlx { persistent: false },
            ..Self::pooled()
        }
    }

    /// The same on PostgreSQL, through PgBouncer in transaction mode.
    pub fn pooled() -> Self {
        let place = Self::new(Dialect::Postgres);
        Self {
            url: PgBouncer::shared().through(&place.url),
            ..place
        }
    }

    pub fn execute(&self, sql: &str) -> String {
        match self.dialect {
            Dialect::Postgres => Postgres::execute(&self.url, sql),
            _ => MariaDb::execute(&self.url, sql),
        }
    }

    pub fn driver(&self) -> Arc<dyn Driver> {
        self.driver_with(&patient())
    }

    pub fn driver_with(&self, options: &DatabaseOptions) -> Arc<dyn Driver> {
        match self.by {
            By::Itself => connect(self.dialect, &self.url, options),
            By::Sqlx { persistent } => self.database_by_sqlx(options, persistent).driver(),
        }
    }

    /// A handle on the database, by the same driver.
    pub fn database_with(&self, options: &DatabaseOptions) -> Database {
        match self.by {
            By::Itself => Database::connect(&self.url, options.clone()).unwrap(),
            By::Sqlx { persistent } => self.database_by_sqlx(options, persistent),
        }
    }

    fn database_by_sqlx(&self, options: &DatabaseOptions, persistent: bool) -> Database {
        let connections = u32::try_from(options.connections).unwrap();
        if self.dialect == Dialect::Postgres {
            let pool = PgPoolOptions::new().max_connections(connections);
            let target: PgConnectOptions = self.url.parse().unwrap();
            let target = target.extra_float_digits(None);
            SqlxDriver::new(pool.connect_lazy_with(target))
                .timeout(options.timeout)
                .persistent(persistent)
                .into()
        } else {
            let pool = MySqlPoolOptions::new().max_connections(connections);
            SqlxDriver::new(pool.connect_lazy(&self.url).unwrap())
                .timeout(options.timeout)
                .into()
        }
    }

    pub fn statement(&self, template: &str) -> Statement {
        Statement::new(self.dialect, template)
    }

    pub fn script(&self, templates: &[&str]) -> Script {
        Script::new(self.dialect, templates)
    }

    /// The table's rows as `id:name`, in order.
    pub fn items(&self) -> Vec<String> {
        let rows = match self.dialect {
            Dialect::Postgres => self.execute("SELECT id || ':' || name FROM item ORDER BY id"),
            _ => self.execute("SELECT concat(id, ':', name) FROM item ORDER BY id"),
        };
        rows.lines().map(str::to_owned).collect()
    }
}

pub fn connect(dialect: Dialect, url: &str, options: &DatabaseOptions) -> Arc<dyn Driver> {
    match dialect {
        Dialect::Postgres => Arc::new(PostgresDriver::connect(url, options).unwrap()),
        _ => Arc::new(MysqlDriver::connect(url, options).unwrap()),
    }
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
