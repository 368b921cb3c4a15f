//! MySQL and MariaDB through sqlx: statements, and the text around them.

mod ddl;
mod value;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlDatabaseError, MySqlRow};
use sqlx::{Arguments, AssertSqlSafe, Either, Error, Executor, MySql, Pool};

use crate::error::Failure;
use crate::store::sql::codes::mysql as codes;
use crate::store::sql::ddl::DdlSession;
use crate::store::sql::sqlx_pool::wire::{Answer, Fault, SqlxDatabase, Verdict, Wire, told};
use crate::store::sql::{Dialect, Statement};
use crate::store::{Row, Value};

impl SqlxDatabase for MySql {}

#[async_trait]
impl Wire for MySql {
    const DIALECT: Dialect = Dialect::Mysql;
    const SAVEPOINT: Option<(&'static str, &'static str)> = Some((
        "SAVEPOINT countersign_script",
        "ROLLBACK TO SAVEPOINT countersign_script",
    ));

    type Memory = ();

    /// The limits are settings of the session, which is the application's, so its own are kept in
    /// variables until the [end](Self::end). Only MariaDB can fail at once when a row is locked,
    /// and limit a statement's whole time. A MariaDB with a statement-based binary log refuses
    /// writes at `READ COMMITTED`.
    fn begin(timeout: Duration, sees_all: bool) -> String {
        // For this transaction only. This level locks the gaps between the rows of a search, so no
        // row moves into them.
        let locks_gaps = if sees_all {
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; "
        } else {
            ""
        };

        format!(
            "SET @countersign_wait = @@SESSION.innodb_lock_wait_timeout \
             /*!50720 , @countersign_isolation = @@SESSION.transaction_isolation */ \
             /*M! , @countersign_isolation = @@SESSION.tx_isolation, \
                 @countersign_limit = @@SESSION.max_statement_time */; \
             SET SESSION innodb_lock_wait_timeout = /*M! 0 * */ 1 \
             /*!50720 , SESSION transaction_isolation = 'READ-COMMITTED' */ \
             /*M! , SESSION max_statement_time = {:.3}, \
                 SESSION tx_isolation = IF(\
                     @@log_bin AND @@binlog_format = 'STATEMENT', \
                     'REPEATABLE-READ', \
                     'READ-COMMITTED'\
                 ) */; \
             {locks_gaps}BEGIN",
            timeout.mul_f64(0.9).as_secs_f64(),
        )
    }

    fn end(command: &'static str) -> String {
        format!(
            "{command}; SET SESSION innodb_lock_wait_timeout = @countersign_wait \
             /*!50720 , SESSION transaction_isolation = @countersign_isolation */ \
             /*M! , SESSION max_statement_time = @countersign_limit, \
                 SESSION tx_isolation = @countersign_isolation */"
        )
    }

    fn step<'a>(
        connection: &'a mut MySqlConnection,
        _memory: &'a (),
        statement: &'a Statement,
        params: &'a [Value],
        persistent: bool,
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(async move {
            let mut arguments = MySqlArguments::default();
            for number in statement.order() {
                let value = params.get(*number).unwrap_or(&Value::Null);
                value::add(&mut arguments, value).map_err(Error::Encode)?;
            }

            let is_bare = arguments.len() == 0;
            match collect(connection, statement, arguments, persistent).await {
                Err(error) if is_bare && number(&error).is_some_and(codes::needs_text) => {
                    let text = statement.text().to_owned();
                    Self::command(connection, text)
                        .await
                        .map(|touched| (touched, Vec::new()))
                }
                answer => answer,
            }
        })
    }

    fn command(
        connection: &mut MySqlConnection,
        text: String,
    ) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(async move {
            let result = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
            result.map(|done| done.rows_affected())
        })
    }

    fn verdict(error: &dyn DatabaseError) -> Verdict {
        let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() else {
            return Verdict {
                fault: Fault::Refused,
                symptom: None,
                told: "the database refused it".to_owned(),
            };
        };

        let number = error.number();
        let fault = match number {
            _ if codes::is_loss(number) => Fault::Lost,
            _ if codes::is_held(number) => Fault::Held,
            _ if codes::is_undone(number) => Fault::Undone,
            _ if codes::is_way_refused(number) => Fault::WayRefused,
            _ if codes::is_busy(number) => Fault::Busy,
            _ => Fault::Refused,
        };

        let state = error.code().unwrap_or_default();
        let code = format!("error {number} ({state})");
        Verdict {
            fault,
            symptom: codes::symptom(number),
            told: told(&code, error, codes::names_only(number)),
        }
    }

    async fn ddl(pool: Pool<Self>, _persistent: bool) -> Result<Box<dyn DdlSession>, Failure> {
        Ok(Box::new(ddl::SqlxMysqlDdl::open(&pool).await?))
    }
}

/// Returns the number of an error that the server reported, or `None` for errors of the
/// connection, the pool and the conversion of values.
fn number(error: &Error) -> Option<u16> {
    let error = error.as_database_error()?;
    let error = error.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(error.number())
}

/// Runs a statement, and returns the number of rows it changed or returned, and the rows.
async fn collect(
    connection: &mut MySqlConnection,
    statement: &Statement,
    arguments: MySqlArguments,
    persistent: bool,
) -> Result<Answer, Error> {
    let text = AssertSqlSafe(statement.shared_text());
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
fn read(row: &MySqlRow) -> Result<Row, Error> {
    use sqlx::Row as _;
    let values: Result<_, Error> = (0..row.len())
        .map(|column| value::read(row.try_get_raw(column)?).map_err(Error::Decode))
        .collect();
    Ok(Row::new(values?))
}
