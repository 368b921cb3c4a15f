//! A migration's text, made into one script that applies and records it.

use crate::clock::Timestamp;
use crate::error::{ConfigError, Failure};
use crate::store::sql::migrate::LOCKED;
use crate::store::sql::models::columns_of;
use crate::store::sql::{Dialect, Driver, Migration, Script, SetupError, Statement};
use crate::user::UserKeyKind;
use crate::value::Value;

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS countersign_migration (set_name VARCHAR(64) NOT NULL, \
     version BIGINT NOT NULL, name VARCHAR(64) NOT NULL, checksum VARCHAR(64) NOT NULL, applied_at BIGINT NOT NULL, \
     PRIMARY KEY (set_name, version))";

/// How many seconds MySQL waits for the lock of migrations before it is asked anew.
const LOCK_WAIT: u32 = 2;

/// Whether any migration has ever been applied.
pub(super) async fn has_history(driver: &dyn Driver) -> Result<bool, Failure> {
    Ok(!columns_of(driver, "countersign_migration").await?.is_empty())
}

/// Applies a migration, unless another process has done so by the time that its turn comes; whether this call did.
pub(super) async fn run(
    driver: &dyn Driver,
    user_id: UserKeyKind,
    set: &str,
    migration: &Migration,
    now: Timestamp,
) -> Result<bool, SetupError> {
    let dialect = driver.dialect();
    let text = migration.text(dialect).replace("{user_id}", user_id_type(dialect, user_id));
    // Whatever format the server takes when none is named: ours has room for the indexes.
    let text = ["ENGINE = InnoDB", "ENGINE=InnoDB"]
        .iter()
        .fold(text, |text, engine| text.replace(&format!("{engine};"), &format!("{engine} ROW_FORMAT = DYNAMIC;")));
    for (table, columns) in asked(&text) {
        let live = columns_of(driver, &table).await?;
        let missing: Vec<_> = columns.into_iter().filter(|column| !live.contains(column)).collect();
        if !live.is_empty() && !missing.is_empty() {
            return Err(foreign(&table, &missing).into());
        }
    }
    let mut changes = Vec::new();
    for (unless, statement) in statements(&text) {
        if !already(driver, unless).await? {
            changes.push(statement);
        }
    }
    let record = Record { set, migration, checksum: migration.checksum(dialect), now };
    let script = match dialect {
        Dialect::Sqlite => in_transaction(driver, &changes, &record).await?,
        Dialect::Postgres => one_statement(&changes, &record),
        Dialect::Mysql => under_lock(&changes, &record),
    };
    let outcome = driver.run(&script, &[]).await?;
    if dialect == Dialect::Mysql && !outcome.took_effect() {
        return Err(Failure::unavailable(LOCKED, "another session holds the named lock `countersign_migration`").into());
    }
    Ok(match dialect {
        Dialect::Sqlite => outcome.took_effect(),
        Dialect::Postgres => outcome.rows.iter().any(|row| matches!(row.text(0), Ok(Some("yes")))),
        // What stands before the lock's release records the migration.
        Dialect::Mysql => outcome.affected.iter().rev().nth(1).is_some_and(|recorded| *recorded > 0),
    })
}

/// A table that has the name of ours and isn't.
fn foreign(table: &str, missing: &[String]) -> ConfigError {
    let problem =
        format!("the database has a table `{table}` of something else: it has no column {}", missing.join(", "));
    ConfigError::new("database_url", problem, "name another database, or in PostgreSQL another schema")
}

/// The tables that a migration makes where they are missing, with the columns that one which is there must have: those
/// that are never null and that the migration doesn't add.
fn asked(text: &str) -> Vec<(String, Vec<String>)> {
    let plain = |name: &str| name.trim_matches(['"', '`']).to_owned();
    let added: Vec<_> = text.lines().filter(|line| line.starts_with("ALTER TABLE")).collect();
    let adds = |table: &str, column: &str| {
        added.iter().any(|line| {
            let mut words = line.split_whitespace().map(plain);
            words.any(|word| word == table) && words.any(|word| word == column)
        })
    };
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("CREATE TABLE IF NOT EXISTS ").filter(|rest| rest.ends_with('(')) else {
            continue;
        };
        let table = plain(rest.split([' ', '(']).next().unwrap_or_default());
        let body = lines.by_ref().take_while(|line| !line.starts_with(')')).map(str::trim);
        let columns = body.filter(|line| line.contains(" NOT NULL")).filter_map(|line| line.split_whitespace().next());
        let columns = columns.map(plain).filter(|column| !adds(&table, column)).collect();
        found.push((table, columns));
    }
    found
}

struct Record<'a> {
    set: &'a str,
    migration: &'a Migration,
    checksum: String,
    now: Timestamp,
}

impl Record<'_> {
    /// The values stand in the text: all of them are ours or are checked.
    fn values(&self) -> String {
        let Self { set, migration, checksum, now } = self;
        let (version, name) = (migration.version, migration.name.replace('\'', "''"));
        format!("'{set}', {version}, '{name}', '{checksum}', {}", now.as_micros())
    }

    fn exists(&self) -> String {
        let (set, version) = (self.set, self.migration.version);
        format!("EXISTS (SELECT 1 FROM countersign_migration WHERE set_name = '{set}' AND version = {version})")
    }
}

/// SQLite changes tables inside transactions, so recording the migration is the guard.
async fn in_transaction(driver: &dyn Driver, changes: &[String], record: &Record<'_>) -> Result<Script, Failure> {
    driver.run(&Script::new(Dialect::Sqlite, &["SELECT 1", HISTORY]), &[]).await?;
    let guard = format!("INSERT INTO countersign_migration SELECT {} WHERE NOT {}", record.values(), record.exists());
    let steps: Vec<&str> = std::iter::once(&guard).chain(changes).map(String::as_str).collect();
    Ok(Script::new(Dialect::Sqlite, &steps))
}

/// PostgreSQL takes it all in one anonymous block, behind a lock that ends with the transaction. Such a block returns
/// nothing, so the record is asked whether this transaction made it.
fn one_statement(changes: &[String], record: &Record<'_>) -> Script {
    let changes = changes.join(";\n");
    let block = format!(
        "DO $countersign$ BEGIN PERFORM pg_advisory_xact_lock(7165072881); {HISTORY}; IF NOT {} THEN {changes}; \
         INSERT INTO countersign_migration VALUES ({}); END IF; END $countersign$",
        record.exists(),
        record.values()
    );
    let (set, version) = (record.set, record.migration.version);
    let ours = format!(
        "SELECT CASE WHEN xmin::text::bigint = txid_current() % 4294967296 THEN 'yes' ELSE 'no' END \
         FROM countersign_migration WHERE set_name = '{set}' AND version = {version}"
    );
    Script::new(Dialect::Postgres, &["SELECT 1", &block, &ours])
}

/// MySQL commits each change of a table at once: a lock keeps others out, and what was done before a crash is left out
/// the next time.
fn under_lock(changes: &[String], record: &Record<'_>) -> Script {
    let insert = format!("INSERT IGNORE INTO countersign_migration VALUES ({})", record.values());
    // Without the lock the guard finds nothing, and nothing is run. With `LIMIT` the inner question is asked once: the lock
    // would be taken as often as it is asked, and given back once.
    let locked =
        format!("SELECT 1 FROM (SELECT GET_LOCK('countersign_migration', {LOCK_WAIT}) AS got LIMIT 1) l WHERE got = 1");
    let before = [locked.as_str(), HISTORY];
    let after = [insert.as_str(), "SELECT RELEASE_LOCK('countersign_migration')"];
    let steps: Vec<&str> = before.into_iter().chain(changes.iter().map(String::as_str)).chain(after).collect();
    Script::new(Dialect::Mysql, &steps)
}

/// The statements of a migration's text, each with the condition that stands above it.
fn statements(text: &str) -> Vec<(Option<&str>, String)> {
    let mut found = Vec::new();
    let (mut unless, mut statement) = (None, String::new());
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("--") {
            unless = comment.trim().strip_prefix("unless ").or(unless);
            continue;
        }
        statement.push_str(line.strip_suffix(';').unwrap_or(line));
        if line.ends_with(';') {
            found.push((unless.take(), std::mem::take(&mut statement)));
        } else {
            statement.push('\n');
        }
    }
    found
}

/// Whether what a statement would bring is there already.
async fn already(driver: &dyn Driver, condition: Option<&str>) -> Result<bool, Failure> {
    let Some(condition) = condition else { return Ok(false) };
    let mut words = condition.split([' ', '.']);
    let mut next = || words.next().ok_or_else(|| Failure::internal("migrations", "a condition is incomplete"));
    let (what, table, name) = (next()?, next()?, next()?);
    if what == "column" {
        let columns = columns_of(driver, table).await?;
        // A table that isn't there yet is about to be made with all its columns.
        return Ok(columns.is_empty() || columns.iter().any(|column| column == name));
    }
    let (template, params): (_, Vec<Value>) = match what {
        "index" => (
            "SELECT 1 FROM information_schema.tables t WHERE t.table_schema = DATABASE() AND t.table_name = ?1 \
             AND NOT EXISTS (SELECT 1 FROM information_schema.statistics s WHERE s.table_schema = DATABASE() \
             AND s.table_name = ?1 AND s.index_name = ?2)",
            vec![table.into(), name.into()],
        ),
        "collation" => (
            "SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?1 \
             AND column_name = ?2 AND collation_name <> ?3",
            vec![table.into(), name.into(), next()?.into()],
        ),
        _ => return Err(Failure::internal("migrations", "a condition is unknown")),
    };
    Ok(driver.fetch(&Statement::new(driver.dialect(), template), &params).await?.is_empty())
}

/// The type of a column of user ids. MySQL's texts are compared byte by byte, so that no two ids are one.
const fn user_id_type(dialect: Dialect, kind: UserKeyKind) -> &'static str {
    match (kind, dialect) {
        (UserKeyKind::Uuid, Dialect::Postgres) => "UUID",
        (UserKeyKind::Uuid, Dialect::Sqlite | Dialect::Mysql) => "BINARY(16)",
        (UserKeyKind::Int, _) => "BIGINT",
        (UserKeyKind::Text, Dialect::Sqlite) => "VARCHAR(255)",
        (UserKeyKind::Text, Dialect::Postgres) => "VARCHAR(255) COLLATE \"C\"",
        (UserKeyKind::Text, Dialect::Mysql) => "VARBINARY(255)",
    }
}
