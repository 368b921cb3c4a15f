//! PostgreSQL through sqlx: statements, and the text around them.

mod ddl;
mod error;
mod types;
mod value;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Arguments, AssertSqlSafe, Either, Error, Executor, Pool, Postgres};

use crate::error::Failure;
use crate::store::sql::ddl::DdlSession;
use crate::store::sql::sqlx_pool::wire::{Answer, SqlxDatabase, Verdict, Wire};
use crate::store::sql::{Dialect, Statement};
use crate::store::{Row, Value};

/// The shortest time that a write waits for a lock in the server.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
/// The longest time that a write waits for a lock in the server.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

impl SqlxDatabase for Postgres {}

#[async_trait]
impl Wire for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;
    const SAVEPOINT: Option<(&'static str, &'static str)> = None;

    type Memory = types::Types;

    /// The server gives up a little before the driver does, so that its answer arrives and the
    /// connection can be kept. A statement whose caller has gone away ends then, too.
    fn begin(timeout: Duration, _sees_all: bool) -> String {
        let patience = timeout.mul_f64(0.9);
        let wait = (patience / 100).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = {}; \
             SET LOCAL lock_timeout = {}",
            patience.as_millis().max(1),
            wait.as_millis(),
        )
    }

    fn end(command: &'static str) -> String {
        command.to_owned()
    }

    fn step<'a>(
        connection: &'a mut PgConnection,
        memory: &'a types::Types,
        statement: &'a Statement,
        params: &'a [Value],
        persistent: bool,
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(async move {
            let types = memory.of(connection, statement).await?;
            let mut arguments = PgArguments::default();
            for (number, ty) in types.iter().enumerate() {
                let value = params.get(number).unwrap_or(&Value::Null);
                let param = value::Param { value, ty: *ty };
                arguments.add(param).map_err(Error::Encode)?;
            }

            let text = AssertSqlSafe(statement.shared_text());
            let result = collect(connection, text, arguments, persistent).await;
            if result.as_ref().is_err_and(error::is_stale) {
                memory.forget(statement);
            }
            result
        })
    }

    fn command(connection: &mut PgConnection, text: String) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move {
            let result = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
            result.map(|done| done.rows_affected())
        })
    }

    fn verdict(error: &dyn DatabaseError) -> Verdict {
        error::verdict(error)
    }

    async fn ddl(pool: Pool<Self>, persistent: bool) -> Result<Box<dyn DdlSession>, Failure> {
        Ok(Box::new(
            ddl::SqlxPostgresDdl::open(&pool, persistent).await?,
        ))
    }
}

/// Runs a statement, and returns the number of rows it changed or returned, and the rows.
async fn collect(
    connection: &mut PgConnection,
    text: AssertSqlSafe<std::sync::Arc<str>>,
    arguments: PgArguments,
    persistent: bool,
) -> Result<Answer, Error> {
    let query = sqlx::query_with(text, arguments).persistent(persistent);
    let mut answers = connection.fetch_many(query);

    let (mut touched, mut rows) = (0, Vec::new());
    while let Some(answer) = answers.try_next().await? {
        match answer {
            Either::Left(done) => touched = done.rows_affected(),
            Either::Right(row) => rows.push(read(&row)?),
        }
    }
    let returned = rows.len().try_into().unwrap_or(u64::MAX);
    Ok((touched.max(returned), rows))
}

/// Returns the values of a row.
fn read(row: &PgRow) -> Result<Row, Error> {
    use sqlx::Row as _;
    let values: Result<_, Error> = (0..row.len())
        .map(|column| value::read(&row.try_get_raw(column)?).map_err(Error::Decode))
        .collect();
    Ok(Row::new(values?))
}
