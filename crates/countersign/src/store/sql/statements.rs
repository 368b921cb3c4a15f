//! Every statement of the SQL store, in one place: a column per dialect, guards included.
//!
//! On PostgreSQL each operation is one statement, so that it needs no transaction and can travel over a shared
//! connection. SQLite and MySQL run their steps in one transaction, where the first is the guard.

use crate::store::sql::{DatabaseTokenModels, Dialect, Script, Statement};

/// The statements over one pair of tables, in one dialect.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    /// 1 token.
    pub(super) find_access: Statement,
    /// 1 token.
    pub(super) find_refresh: Statement,
    /// 1 user, 2 after, 3 limit.
    pub(super) sessions: Statement,
    pub(super) ping: Statement,
    /// 1 token, 2 created, 3 user, 4 session, 5 end.
    pub(super) insert_access: Script,
    /// 1 token, 2 created, 3 user, 4 session, 5 end, 6 session end.
    pub(super) insert_refresh: Script,
    /// As `insert_refresh`, then 7 to 11 as `insert_access`.
    pub(super) insert_both: Script,
    /// 1 presented, 2 successor, 3 created, 4 end, 5 session, 6 session end.
    pub(super) rotate: Script,
    /// As `rotate`, then 7 to 11 as `insert_access`.
    pub(super) rotate_both: Script,
    /// 1 token.
    pub(super) remove_access: Script,
    /// 1 token, 2 user.
    pub(super) remove_own_access: Script,
    /// 1 token.
    pub(super) remove_refresh: Script,
    /// 1 token, 2 user.
    pub(super) remove_own_refresh: Script,
    /// 1 session, 2 user.
    pub(super) end_session: Removal,
    /// 1 user.
    pub(super) remove_user: Removal,
    /// 1 now, 2 cutoff of access tokens, 3 cutoff of refresh tokens, 4 rows.
    pub(super) sweep: Script,
}

/// Removes refresh tokens before access tokens: whoever rotates meanwhile holds the refresh token's row, so the access
/// token that it records is there by the time the second kind is removed.
#[derive(Clone, Debug)]
pub(super) struct Removal {
    pub(super) script: Script,
    /// PostgreSQL's one statement sees one snapshot, taken before it waited for the row. Removing access tokens once
    /// more finds what was recorded meanwhile.
    pub(super) again: Option<Script>,
}

const FIND_ACCESS: &str = "SELECT t.{a.token}, t.{a.user_id}, t.{a.session_id}, t.{a.created_at}, t.{a.expires_at}{u.columns} \
     FROM {access} t{u.join} WHERE t.{a.token} = ?1";
const FIND_REFRESH: &str = "SELECT {r.token}, {r.user_id}, {r.session_id}, {r.created_at}, {r.expires_at}, \
     {r.session_expires_at} FROM {refresh} WHERE {r.token} = ?1";
const SESSIONS: &str = "SELECT {r.session_id} FROM {refresh} WHERE {r.user_id} = ?1 AND {r.session_id} > ?2 \
     ORDER BY {r.session_id} LIMIT ?3";

const INSERT_ACCESS: &str = "INSERT INTO {access} ({a.token}, {a.created_at}, {a.user_id}, {a.session_id}, \
     {a.expires_at}) VALUES (?1, ?2, ?3, ?4, ?5)";
const INSERT_SECOND: &str = "INSERT INTO {access} ({a.token}, {a.created_at}, {a.user_id}, {a.session_id}, \
     {a.expires_at}) VALUES (?7, ?8, ?9, ?10, ?11)";
const INSERT_REFRESH: &str = "INSERT INTO {refresh} ({r.token}, {r.created_at}, {r.user_id}, {r.session_id}, \
     {r.expires_at}, {r.session_expires_at}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const INSERT_BOTH_PG: &str = "WITH r AS (INSERT INTO {refresh} ({r.token}, {r.created_at}, {r.user_id}, \
     {r.session_id}, {r.expires_at}, {r.session_expires_at}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)) \
     INSERT INTO {access} ({a.token}, {a.created_at}, {a.user_id}, {a.session_id}, {a.expires_at}) \
     VALUES (?7, ?8, ?9, ?10, ?11)";

/// In place: a session keeps its row, and of the callers that come at once one finds the presented token in it.
const ROTATE: &str = "UPDATE {refresh} SET {r.token} = ?2, {r.created_at} = ?3, {r.expires_at} = ?4, \
     {r.session_id} = COALESCE({r.session_id}, ?5), {r.session_expires_at} = COALESCE({r.session_expires_at}, ?6) \
     WHERE {r.token} = ?1";
const ROTATE_BOTH_PG: &str = "WITH r AS (UPDATE {refresh} SET {r.token} = ?2, {r.created_at} = ?3, \
     {r.expires_at} = ?4, {r.session_id} = COALESCE({r.session_id}, ?5), \
     {r.session_expires_at} = COALESCE({r.session_expires_at}, ?6) WHERE {r.token} = ?1 RETURNING 1) \
     INSERT INTO {access} ({a.token}, {a.created_at}, {a.user_id}, {a.session_id}, {a.expires_at}) \
     SELECT ?7, ?8, ?9, ?10, ?11 FROM r";

const REMOVE_ACCESS: &str = "DELETE FROM {access} WHERE {a.token} = ?1";
const REMOVE_OWN_ACCESS: &str = "DELETE FROM {access} WHERE {a.token} = ?1 AND {a.user_id} = ?2";
const REMOVE_REFRESH: &str = "DELETE FROM {refresh} WHERE {r.token} = ?1 AND {r.session_id} IS NULL";
const REMOVE_OWN_REFRESH: &str =
    "DELETE FROM {refresh} WHERE {r.token} = ?1 AND {r.session_id} IS NULL AND {r.user_id} = ?2";

/// A guard that always lets the rest run.
const ALWAYS: &str = "SELECT 1";

/// SQLite's columns hold anything. What no reader takes for a time is expired: texts in the place of `expires_at`, and
/// texts that begin with no year. Each part is a piece of an index.
const SWEEP_ACCESS: [&str; 3] = [
    "DELETE FROM {access} WHERE {a.token} IN (SELECT {a.token} FROM {access} WHERE {a.expires_at} <= ?1 \
     UNION ALL SELECT {a.token} FROM {access} WHERE {a.expires_at} > 9223372036854775807 \
     UNION ALL SELECT {a.token} FROM {access} WHERE {a.expires_at} IS NULL AND {a.created_at} <= ?2 \
     AND CASE WHEN typeof({a.created_at}) = 'integer' THEN {a.created_at} < unixepoch(?2) * 1000000 \
     WHEN substr({a.created_at}, 11) NOT LIKE '%-%' THEN TRUE \
     ELSE COALESCE(unixepoch({a.created_at}) < unixepoch(?2), {a.created_at} < datetime(?2, '-1 day')) END \
     UNION ALL SELECT {a.token} FROM {access} WHERE {a.expires_at} IS NULL \
     AND {a.created_at} > datetime(?1 / 1000000, 'unixepoch', '+1 day') \
     AND {a.created_at} NOT GLOB '[0-9][0-9][0-9][0-9]*' LIMIT ?4)",
    "DELETE FROM {access} WHERE {a.token} IN (SELECT {a.token} FROM {access} WHERE {a.expires_at} <= ?1 \
     UNION ALL SELECT {a.token} FROM {access} WHERE {a.expires_at} IS NULL AND {a.created_at} <= ?2 LIMIT ?4)",
    "DELETE t FROM {access} t JOIN (SELECT {a.token} FROM {access} WHERE {a.expires_at} <= ?1 \
     UNION ALL SELECT {a.token} FROM {access} WHERE {a.expires_at} IS NULL AND {a.created_at} <= ?2 LIMIT ?4) ended \
     ON ended.{a.token} = t.{a.token}",
];

impl Statements {
    pub(super) fn new(dialect: Dialect, models: &DatabaseTokenModels) -> Self {
        let names = Names::new(dialect, models);
        let read = |template: &str| Statement::new(dialect, &names.fill(template));
        let one = |template: &str| Script::new(dialect, &[&names.fill(template)]);
        // What PostgreSQL says in one statement, the others say in steps.
        let steps = |postgres: &str, others: [&str; 2]| match dialect {
            Dialect::Postgres => one(postgres),
            Dialect::Sqlite | Dialect::Mysql => {
                Script::new(dialect, &others.map(|template| names.fill(template)).each_ref().map(|text| &**text))
            }
        };
        let removal = |refresh: &str, access: &str| removal(dialect, &names.fill(refresh), &names.fill(access));
        Self {
            find_access: read(FIND_ACCESS),
            find_refresh: read(FIND_REFRESH),
            sessions: read(SESSIONS),
            ping: read(ALWAYS),
            insert_access: one(INSERT_ACCESS),
            insert_refresh: one(INSERT_REFRESH),
            insert_both: steps(INSERT_BOTH_PG, [INSERT_REFRESH, INSERT_SECOND]),
            rotate: one(ROTATE),
            rotate_both: steps(ROTATE_BOTH_PG, [ROTATE, INSERT_SECOND]),
            remove_access: one(REMOVE_ACCESS),
            remove_own_access: one(REMOVE_OWN_ACCESS),
            remove_refresh: one(REMOVE_REFRESH),
            remove_own_refresh: one(REMOVE_OWN_REFRESH),
            end_session: removal(
                "DELETE FROM {refresh} WHERE {r.session_id} = ?1 AND {r.user_id} = ?2",
                "DELETE FROM {access} WHERE {a.session_id} = ?1 AND {a.user_id} = ?2",
            ),
            remove_user: removal(
                "DELETE FROM {refresh} WHERE {r.user_id} = ?1",
                "DELETE FROM {access} WHERE {a.user_id} = ?1",
            ),
            sweep: sweep(dialect, &names),
        }
    }
}

fn removal(dialect: Dialect, refresh: &str, access: &str) -> Removal {
    match dialect {
        Dialect::Postgres => Removal {
            script: Script::new(dialect, &[&both_counted(refresh, access)]),
            again: Some(Script::new(dialect, &[access])),
        },
        Dialect::Sqlite | Dialect::Mysql => {
            Removal { script: Script::new(dialect, &[ALWAYS, refresh, access]), again: None }
        }
    }
}

fn sweep(dialect: Dialect, names: &Names) -> Script {
    let [sqlite, postgres, mysql] = SWEEP_ACCESS;
    let access = match dialect {
        Dialect::Sqlite => sqlite,
        Dialect::Postgres => postgres,
        Dialect::Mysql => mysql,
    };
    let refresh = access.replace("{access}", "{refresh}").replace("{a.", "{r.").replace("?2", "?3");
    let (refresh, access) = (names.fill(&refresh), names.fill(access));
    match dialect {
        Dialect::Postgres => Script::new(dialect, &[&both_counted(&refresh, &access)]),
        Dialect::Sqlite | Dialect::Mysql => Script::new(dialect, &[ALWAYS, &refresh, &access]),
    }
}

/// Answers one row: how many refresh tokens and how many access tokens were removed.
fn both_counted(refresh: &str, access: &str) -> String {
    format!(
        "WITH r AS ({refresh} RETURNING 1), a AS ({access} RETURNING 1) \
         SELECT (SELECT count(*) FROM r), (SELECT count(*) FROM a)"
    )
}

/// What stands for the `{…}` in a template.
struct Names {
    dialect: Dialect,
    names: Vec<(&'static str, String)>,
}

impl Names {
    fn new(dialect: Dialect, models: &DatabaseTokenModels) -> Self {
        let quote = |name: &str| dialect.quote(name);
        let (access, refresh) = (&models.access, &models.refresh);
        let (columns, join) = match &models.users {
            None => (String::new(), String::new()),
            Some(users) => {
                let id = quote(&users.id);
                let columns = users.columns.iter().map(|column| format!(", u.{}", quote(column)));
                let columns = format!(", u.{id}{}", columns.collect::<String>());
                let user_id = quote(&access.user_id);
                (columns, format!(" LEFT JOIN {} u ON u.{id} = t.{user_id}", quote(&users.table)))
            }
        };
        let names = vec![
            ("{access}", quote(&access.table)),
            ("{a.token}", quote(&access.token)),
            ("{a.created_at}", quote(&access.created_at)),
            ("{a.user_id}", quote(&access.user_id)),
            ("{a.session_id}", quote(&access.session_id)),
            ("{a.expires_at}", quote(&access.expires_at)),
            ("{refresh}", quote(&refresh.table)),
            ("{r.token}", quote(&refresh.token)),
            ("{r.created_at}", quote(&refresh.created_at)),
            ("{r.user_id}", quote(&refresh.user_id)),
            ("{r.session_id}", quote(&refresh.session_id)),
            ("{r.expires_at}", quote(&refresh.expires_at)),
            ("{r.session_expires_at}", quote(&refresh.session_expires_at)),
            ("{u.columns}", columns),
            ("{u.join}", join),
        ];
        Self { dialect, names }
    }

    fn fill(&self, template: &str) -> String {
        let text = match self.dialect {
            Dialect::Sqlite | Dialect::Postgres => template.to_owned(),
            // Equality there ignores spaces at the end, and fails on characters that the column can't hold. What such a
            // character becomes in ASCII is shorter than it was.
            Dialect::Mysql => ["{a.token}", "{r.token}"].iter().fold(template.to_owned(), |text, token| {
                let equal = format!("{token} = CONVERT(?1 USING ascii)");
                let text = text.replace(&format!("{token} = ?1"), &equal);
                text.replace(&format!("WHERE {equal}"), &format!("WHERE {equal} AND LENGTH({token}) = LENGTH(?1)"))
            }),
        };
        self.names.iter().fold(text, |text, (place, name)| text.replace(place, name))
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::store::sql::{Database, DatabaseOptions, Driver, Migrator, UserTable};
    use crate::user::UserKeyKind;
    use crate::value::Value;

    /// Conformance case 041: no operation looks at rows that it has no business with.
    #[tokio::test]
    async fn every_statement_finds_its_rows_by_an_index() {
        let database = Database::connect("sqlite::memory:", DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid).run().await.unwrap();
        let user =
            Script::new(Dialect::Sqlite, &["SELECT 1", "CREATE TABLE user (id BINARY(16) PRIMARY KEY, name TEXT)"]);
        database.run(&user, &[]).await.unwrap();
        let users = UserTable { table: "user".into(), id: "id".into(), columns: vec!["name".into()] };
        let models = DatabaseTokenModels::bundled(UserKeyKind::Uuid).join_users(users).unwrap();
        let all = Statements::new(Dialect::Sqlite, &models);
        let scripts = [
            &all.rotate,
            &all.rotate_both,
            &all.remove_access,
            &all.remove_own_access,
            &all.remove_refresh,
            &all.remove_own_refresh,
            &all.end_session.script,
            &all.remove_user.script,
            &all.sweep,
        ];
        let steps = scripts.into_iter().flat_map(Script::steps);
        let mut seen = 0;
        for statement in steps.chain([&all.find_access, &all.find_refresh, &all.sessions]) {
            let explain = Statement::new(Dialect::Sqlite, &format!("EXPLAIN QUERY PLAN {}", statement.text()));
            for row in database.fetch(&explain, &vec![Value::Null; 11]).await.unwrap() {
                let plan = row.text(3).unwrap().unwrap_or_default();
                let whole_table = plan.starts_with("SCAN") && !plan.contains("CONSTANT ROW");
                assert!(!whole_table && !plan.contains("TEMP B-TREE"), "{plan}: {}", statement.text());
                seen += usize::from(plan.contains("USING"));
            }
        }
        assert!(seen >= 15, "only {seen} uses of an index were seen");
    }
}
