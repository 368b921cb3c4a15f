//! The cost of reading a token on PostgreSQL and MariaDB, compared with the bare driver.
//!
//! The bare driver asks the same question. A second comparison is between unprepared statements,
//! which a pooler can't mix up, and prepared ones.
//!
//! `cargo bench -p countersign --features postgres,mysql,sqlx-postgres --bench reads` prints operations per
//! second with 1 and with 64 callers, as medians of alternating rounds. Server and callers share
//! the machine, so compare the ratios and not the rates.

#![allow(
    clippy::unused_async,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark: it stops loudly"
)]

mod crowd;

use std::sync::Arc;

use countersign::store::sql::sqlx::postgres::PgPoolOptions;
use countersign::store::sql::{Database, DatabaseOptions, DatabaseTokenModels, Migrator, SqlStore};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::Strategy;
use countersign::token::TokenStatus;
use countersign::user::UserKeyKind;
use countersign::{Failure, PlainToken, Secret, SystemEntropy, User};
use mysql_async::prelude::Queryable;
use testbed::{MariaDb, PgBouncer, Postgres};

use crowd::{Reader, TOKENS, compare};

/// The number of connections that a handle keeps for reads by default.
const CONNECTIONS: usize = 4;

/// A user with an integer id.
struct Account(i64);

impl User for Account {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.0
    }
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` starts benchmarks too. Only `cargo bench` passes `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (ours, digests) = Ours::fill(&Postgres::shared().database()).await;
    let bare = BarePostgres::connect(&ours.url, digests).await;
    compare("PostgreSQL", "read_token", &ours, &bare).await;
    println!("Against read_token with prepared statements, on a connection of its own:");
    let (unnamed, _) =
        Ours::fill(&format!("{}?pgbouncer=true", Postgres::shared().database())).await;
    compare("unprepared", "read_token", &unnamed, &ours).await;
    let pool = PgPoolOptions::new().max_connections(8);
    let url = Postgres::shared().database();
    let pool = pool.connect(&url).await.unwrap();
    let (pool, _) = Ours::over(pool.into(), &url).await;
    compare("sqlx", "read_token", &pool, &ours).await;
    let tested = PgPoolOptions::new()
        .max_connections(8)
        .test_before_acquire(false);
    let url = Postgres::shared().database();
    let (pool, _) = Ours::over(tested.connect(&url).await.unwrap().into(), &url).await;
    compare("sqlx, no test", "read_token", &pool, &ours).await;
    let (pooled, _) =
        Ours::fill(&PgBouncer::shared().through(&Postgres::shared().database())).await;
    compare("PgBouncer", "read_token", &pooled, &ours).await;
    let (ours, digests) = Ours::fill(&MariaDb::shared().database()).await;
    let bare = BareMysql::connect(&ours.url, digests);
    compare("MariaDB", "read_token", &ours, &bare).await;
}

/// The strategy on a database, with its tokens.
struct Ours {
    url: String,
    strategy: DatabaseTokenStrategy<SqlStore>,
    tokens: Vec<PlainToken>,
}

impl Ours {
    /// Creates the tables and the tokens. Returns the strategy, and the digests of its tokens.
    async fn fill(url: &str) -> (Arc<Self>, Vec<String>) {
        let database = Database::connect(url, DatabaseOptions::default()).unwrap();
        Self::over(database, url).await
    }

    /// The same on a database that is connected already.
    async fn over(database: Database, url: &str) -> (Arc<Self>, Vec<String>) {
        Migrator::new(&database, UserKeyKind::Int)
            .run()
            .await
            .unwrap();
        let store = SqlStore::new(
            database.driver(),
            DatabaseTokenModels::bundled(UserKeyKind::Int),
        );
        let secret = Secret::generate(&SystemEntropy).unwrap();
        let strategy = DatabaseTokenStrategy::builder(store)
            .token_hash_secret(&secret)
            .build()
            .unwrap();
        let mut tokens = Vec::with_capacity(TOKENS);
        for number in 0..TOKENS {
            let user = Account(i64::try_from(number).unwrap());
            tokens.push(strategy.write_token(&user).await.unwrap().token);
        }
        let select = "SELECT token FROM access_token";
        let plain = url.split('?').next().unwrap();
        let digests = if url.starts_with("postgres") {
            Postgres::execute(plain, select)
        } else {
            MariaDb::execute(url, select)
        };
        (
            Arc::new(Self {
                url: url.to_owned(),
                strategy,
                tokens,
            }),
            digests.lines().map(str::to_owned).collect(),
        )
    }
}

impl Reader for Ours {
    async fn read(&self, n: usize) {
        let users = |id: i64| async move { Ok::<_, Failure>(Some(Account(id))) };
        let answer: TokenStatus<Account> = self
            .strategy
            .read_token(Some(&self.tokens[n]), &users)
            .await
            .unwrap();
        assert!(answer.accepted().is_some());
    }
}

/// The bare driver of PostgreSQL, with the look-up as a prepared statement on each connection.
struct BarePostgres {
    connections: Vec<(tokio_postgres::Client, tokio_postgres::Statement)>,
    digests: Vec<String>,
}

impl BarePostgres {
    /// Opens the connections and prepares the statement.
    async fn connect(url: &str, digests: Vec<String>) -> Arc<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            let select =
                "SELECT token, user_id, session_id, expires_at FROM access_token WHERE token = $1";
            let statement = client.prepare(select).await.unwrap();
            connections.push((client, statement));
        }
        Arc::new(Self {
            connections,
            digests,
        })
    }
}

impl Reader for BarePostgres {
    async fn read(&self, n: usize) {
        let (client, statement) = &self.connections[n % CONNECTIONS];
        let row = client
            .query_one(statement, &[&self.digests[n]])
            .await
            .unwrap();
        assert!(row.get::<_, i64>(1) >= 0);
    }
}

/// The bare driver of MariaDB, with a pool.
struct BareMysql {
    pool: mysql_async::Pool,
    digests: Vec<String>,
}

impl BareMysql {
    /// Creates a pool of as many connections as our handle has.
    fn connect(url: &str, digests: Vec<String>) -> Arc<Self> {
        let constraints = mysql_async::PoolConstraints::new(CONNECTIONS, CONNECTIONS).unwrap();
        let pool_opts = mysql_async::PoolOpts::default()
            .with_constraints(constraints)
            .with_reset_connection(false);
        let opts = mysql_async::OptsBuilder::from_opts(mysql_async::Opts::from_url(url).unwrap());
        let pool = mysql_async::Pool::new(opts.prefer_socket(false).pool_opts(pool_opts));
        Arc::new(Self { pool, digests })
    }
}

impl Reader for BareMysql {
    async fn read(&self, n: usize) {
        let mut connection = self.pool.get_conn().await.unwrap();
        let select =
            "SELECT token, user_id, session_id, expires_at FROM access_token WHERE token = ?";
        let row: Option<mysql_async::Row> = connection
            .exec_first(select, (&self.digests[n],))
            .await
            .unwrap();
        assert!(row.unwrap().get::<i64, _>(1).unwrap() >= 0);
    }
}
