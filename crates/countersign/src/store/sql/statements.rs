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
    /// 1 family.
    pub(super) find_family: Statement,
    /// 1 session, 2 user.
    pub(super) find_session: Statement,
    /// 1 user, 2 after, 3 limit.
    pub(super) sessions: Statement,
    pub(super) ping: Statement,
    /// 1 user.
    pub(super) fence: Statement,
    /// 1 user, 2 fence, 3 now.
    pub(super) found_fence: Script,
    /// 1 user, 2 fence, 3 now.
    pub(super) raise_fence: Script,
    /// 1 token, 2 created, 3 user, 4 session, 5 end.
    pub(super) insert_access: Script,
    /// 1 token, 2 created, 3 user, 4 session, 5 end, 6 session end, 7 family, 8 opened, 9 user agent, 10 ip, 11 label,
    /// 12 fence.
    pub(super) insert_refresh: Opening,
    /// As `insert_refresh`, then 13 to 17 as `insert_access`.
    pub(super) insert_both: Opening,
    /// 1 presented, 2 successor, 3 created, 4 end, 5 session, 6 session end, 7 family, 8 consumed.
    pub(super) rotate: Script,
    /// As `rotate`, then 9 to 13 as `insert_access`.
    pub(super) rotate_both: Script,
    /// 1 token.
    pub(super) remove_access: Script,
    /// 1 token, 2 user.
    pub(super) remove_own_access: Script,
    /// 1 token.
    pub(super) remove_refresh: Script,
    /// 1 token, 2 user.
    pub(super) remove_own_refresh: Script,
    /// 1 user.
    pub(super) remove_loose: Script,
    /// 1 session, 2 user.
    pub(super) end_session: Removal,
    /// 1 user.
    pub(super) remove_user: Removal,
    /// What follows on a change of an account: 1 user, 2 fence, 3 now, 4 the session that is kept.
    pub(super) after_change: [String; 3],
    /// For each of [`NOTED`] sessions: its id, then the moment.
    pub(super) note_use: Script,
    /// 1 now, 2 cutoff of access tokens, 3 cutoff of refresh tokens, 4 rows, 5 cutoff of fences.
    pub(super) sweep: Script,
}

/// How many sessions one statement notes the use of.
pub(super) const NOTED: usize = 32;

/// Records a session, behind its user's fence or without one.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) fenced: Script,
    pub(super) free: Script,
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
     {r.session_expires_at}, {r.consumed} FROM {refresh} WHERE {r.token} = ?1";
const FIND_FAMILY: &str = "SELECT {r.token}, {r.user_id}, {r.session_id}, {r.created_at}, {r.expires_at}, \
     {r.session_expires_at}, {r.consumed} FROM {refresh} WHERE {r.family} = ?1";
const SESSION: &str = "SELECT {r.session_id}, {r.opened_at}, {r.created_at}, {r.last_used_at}, {r.expires_at}, \
     {r.session_expires_at}, {r.user_agent}, {r.ip}, {r.label} FROM {refresh} WHERE ";
const ONE_SESSION: &str = "{r.session_id} = ?1 AND {r.user_id} = ?2";
const SESSIONS: &str = "{r.user_id} = ?1 AND {r.session_id} > ?2 ORDER BY {r.session_id} LIMIT ?3";

const FENCE: &str = "SELECT fence FROM {fences} WHERE user_id = ?1";
/// Locks the user's fence until what it guards is recorded.
const GUARD: &str = "UPDATE {fences} SET used_at = ?8 WHERE user_id = ?3 AND fence = ?12";

const INSERT_ACCESS: &str = "INSERT INTO {access} ({a.token}, {a.created_at}, {a.user_id}, {a.session_id}, \
     {a.expires_at}) VALUES (?1, ?2, ?3, ?4, ?5)";
const INSERT_REFRESH: &str = "INSERT INTO {refresh} ({r.token}, {r.created_at}, {r.user_id}, {r.session_id}, \
     {r.expires_at}, {r.session_expires_at}, {r.family}, {r.opened_at}, {r.user_agent}, {r.ip}, {r.label}) ";
const OPENING: &str = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11";

/// In place: a session keeps its row, and of the callers that come at once one finds the presented token in it.
const ROTATE: &str = "UPDATE {refresh} SET {r.token} = ?2, {r.created_at} = ?3, {r.expires_at} = ?4, \
     {r.session_id} = COALESCE({r.session_id}, ?5), {r.session_expires_at} = COALESCE({r.session_expires_at}, ?6), \
     {r.family} = ?7, {r.consumed} = ?8 WHERE {r.token} = ?1";

const REMOVE_ACCESS: &str = "DELETE FROM {access} WHERE {a.token} = ?1";
const REMOVE_OWN_ACCESS: &str = "DELETE FROM {access} WHERE {a.token} = ?1 AND {a.user_id} = ?2";
const REMOVE_REFRESH: &str = "DELETE FROM {refresh} WHERE {r.token} = ?1 AND {r.session_id} IS NULL";
const REMOVE_OWN_REFRESH: &str =
    "DELETE FROM {refresh} WHERE {r.token} = ?1 AND {r.session_id} IS NULL AND {r.user_id} = ?2";
const REMOVE_LOOSE: &str = "DELETE FROM {refresh} WHERE {r.user_id} = ?1 AND {r.session_id} IS NULL";

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
    // Of two that sweep at once, each takes rows of its own: one that waited for the other's would find them gone, and say
    // that nothing is left.
    "DELETE FROM {access} WHERE {a.token} IN (SELECT {a.token} FROM (SELECT {a.token} FROM {access} \
     WHERE {a.expires_at} <= ?1 LIMIT ?4 FOR UPDATE SKIP LOCKED) ended \
     UNION ALL SELECT {a.token} FROM (SELECT {a.token} FROM {access} \
     WHERE {a.expires_at} IS NULL AND {a.created_at} <= ?2 LIMIT ?4 FOR UPDATE SKIP LOCKED) aged LIMIT ?4)",
    // A limit on the whole alone would be applied to a copy of everything that has expired.
    "DELETE t FROM {access} t JOIN ((SELECT {a.token} FROM {access} WHERE {a.expires_at} <= ?1 LIMIT ?4) \
     UNION ALL (SELECT {a.token} FROM {access} WHERE {a.expires_at} IS NULL AND {a.created_at} <= ?2 LIMIT ?4) LIMIT ?4) \
     ended ON ended.{a.token} = t.{a.token}",
];

impl Statements {
    pub(super) fn new(dialect: Dialect, models: &DatabaseTokenModels) -> Self {
        let names = Names::new(dialect, models);
        let read = |template: &str| Statement::new(dialect, &names.fill(template));
        let one = |template: &str| Script::new(dialect, &[&names.fill(template)]);
        let chain = |steps: &[String]| {
            let steps: Vec<_> = chain(dialect, steps).iter().map(|step| names.fill(step)).collect();
            Script::new(dialect, &steps.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let insert_refresh = |after| format!("{INSERT_REFRESH}{}", values(dialect, OPENING, after));
        let insert_second = |first, after| insert_second(dialect, first, after);
        let removal = |refresh: &str, access: &str| removal(dialect, &names.fill(refresh), &names.fill(access));
        Self {
            find_access: read(FIND_ACCESS),
            find_refresh: read(FIND_REFRESH),
            find_family: read(FIND_FAMILY),
            find_session: read(&format!("{SESSION}{ONE_SESSION}")),
            sessions: read(&format!("{SESSION}{SESSIONS}")),
            ping: read(ALWAYS),
            fence: read(FENCE),
            found_fence: one(&upsert_fence(dialect, None)),
            raise_fence: one(&upsert_fence(dialect, Some("fence"))),
            insert_access: one(INSERT_ACCESS),
            insert_refresh: Opening {
                fenced: chain(&[GUARD.to_owned(), insert_refresh("f")]),
                free: chain(&[insert_refresh("")]),
            },
            insert_both: Opening {
                fenced: chain(&[GUARD.to_owned(), insert_refresh("f"), insert_second(13, "r")]),
                free: chain(&[insert_refresh(""), insert_second(13, "f")]),
            },
            rotate: one(ROTATE),
            rotate_both: chain(&[ROTATE.to_owned(), insert_second(9, "f")]),
            remove_access: one(REMOVE_ACCESS),
            remove_own_access: one(REMOVE_OWN_ACCESS),
            remove_refresh: one(REMOVE_REFRESH),
            remove_own_refresh: one(REMOVE_OWN_REFRESH),
            remove_loose: one(REMOVE_LOOSE),
            end_session: removal(
                "DELETE FROM {refresh} WHERE {r.session_id} = ?1 AND {r.user_id} = ?2",
                "DELETE FROM {access} WHERE {a.session_id} = ?1 AND {a.user_id} = ?2",
            ),
            remove_user: removal(
                "DELETE FROM {refresh} WHERE {r.user_id} = ?1",
                "DELETE FROM {access} WHERE {a.user_id} = ?1",
            ),
            after_change: [
                upsert_fence(dialect, Some("fence")),
                "DELETE FROM {refresh} WHERE {r.user_id} = ?1 AND COALESCE({r.session_id}, '') <> ?4".to_owned(),
                "DELETE FROM {access} WHERE {a.user_id} = ?1 AND COALESCE({a.session_id}, '') <> ?4".to_owned(),
            ]
            .map(|template| names.fill(&template)),
            note_use: one(&note_use(dialect)),
            sweep: sweep(dialect, &names),
        }
    }
}

/// Steps of which each but the first runs only if the one before touched a row. What PostgreSQL says in one statement,
/// whose parts are called `f` and `r`, the others say in steps.
fn chain(dialect: Dialect, steps: &[String]) -> Vec<String> {
    let (Dialect::Postgres, [first @ .., last]) = (dialect, steps) else { return steps.to_vec() };
    let parts: Vec<_> =
        ["f", "r"].iter().zip(first).map(|(name, step)| format!("{name} AS ({step} RETURNING 1)")).collect();
    if parts.is_empty() { vec![last.clone()] } else { vec![format!("WITH {} {last}", parts.join(", "))] }
}

/// What an `INSERT` inserts: once, or on PostgreSQL once for each row of the part that is called `after`.
fn values(dialect: Dialect, values: &str, after: &str) -> String {
    if dialect == Dialect::Postgres && !after.is_empty() {
        format!("SELECT {values} FROM {after}")
    } else {
        format!("VALUES ({values})")
    }
}

/// Records an access token beside a refresh token; its parameters count from `first`.
fn insert_second(dialect: Dialect, first: usize, after: &str) -> String {
    let places: Vec<_> = (first..first + 5).map(|number| format!("?{number}")).collect();
    let columns = "{a.token}, {a.created_at}, {a.user_id}, {a.session_id}, {a.expires_at}";
    format!("INSERT INTO {{access}} ({columns}) {}", values(dialect, &places.join(", "), after))
}

/// Records a fence, or puts it in the place of the one that is there if `replaced` names what is replaced.
fn upsert_fence(dialect: Dialect, replaced: Option<&str>) -> String {
    let insert = "INSERT INTO {fences} (user_id, fence, used_at) VALUES (?1, ?2, ?3)";
    match (dialect, replaced) {
        (Dialect::Mysql, None) => format!("{insert} ON DUPLICATE KEY UPDATE used_at = used_at"),
        (Dialect::Mysql, Some(_)) => format!("{insert} ON DUPLICATE KEY UPDATE fence = ?2, used_at = ?3"),
        (_, None) => format!("{insert} ON CONFLICT (user_id) DO NOTHING"),
        (_, Some(_)) => format!("{insert} ON CONFLICT (user_id) DO UPDATE SET fence = ?2, used_at = ?3"),
    }
}

/// One statement for [`NOTED`] sessions, which may be the same.
fn note_use(dialect: Dialect) -> String {
    let later = if dialect == Dialect::Sqlite { "MAX" } else { "GREATEST" };
    let number = if dialect == Dialect::Mysql { "SIGNED" } else { "BIGINT" };
    let (ids, moments): (Vec<_>, Vec<_>) =
        (0..NOTED).map(|at| (format!("?{}", 2 * at + 1), format!("CAST(?{} AS {number})", 2 * at + 2))).unzip();
    let cases: Vec<_> = ids.iter().zip(&moments).map(|(id, moment)| format!("WHEN {id} THEN {moment}")).collect();
    format!(
        "UPDATE {{refresh}} SET {{r.last_used_at}} = {later}(COALESCE({{r.last_used_at}}, 0), \
         CASE {{r.session_id}} {} ELSE 0 END) WHERE {{r.session_id}} IN ({})",
        cases.join(" "),
        ids.join(", ")
    )
}

fn removal(dialect: Dialect, refresh: &str, access: &str) -> Removal {
    match dialect {
        Dialect::Postgres => Removal {
            script: Script::new(dialect, &[&counted(&[refresh, access])]),
            again: Some(Script::new(dialect, &[access])),
        },
        Dialect::Sqlite | Dialect::Mysql => {
            Removal { script: Script::new(dialect, &[ALWAYS, refresh, access]).seeing_all(), again: None }
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
    let fences = names.fill(match dialect {
        Dialect::Mysql => "DELETE FROM {fences} WHERE used_at <= ?5 LIMIT ?4",
        Dialect::Sqlite | Dialect::Postgres => {
            "DELETE FROM {fences} WHERE user_id IN (SELECT user_id FROM {fences} WHERE used_at <= ?5 LIMIT ?4)"
        }
    });
    match dialect {
        Dialect::Postgres => Script::new(dialect, &[&counted(&[&refresh, &access, &fences])]),
        Dialect::Sqlite | Dialect::Mysql => Script::new(dialect, &[ALWAYS, &refresh, &access, &fences]),
    }
}

/// Answers one row: how many rows each of these removed.
fn counted(removals: &[&str]) -> String {
    let parts = removals.iter().enumerate().map(|(at, removal)| format!("r{at} AS ({removal} RETURNING 1)"));
    let counts = (0..removals.len()).map(|at| format!("(SELECT count(*) FROM r{at})"));
    format!("WITH {} SELECT {}", parts.collect::<Vec<_>>().join(", "), counts.collect::<Vec<_>>().join(", "))
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
            ("{r.family}", quote(&refresh.family)),
            ("{r.consumed}", quote(&refresh.consumed)),
            ("{r.opened_at}", quote(&refresh.opened_at)),
            ("{r.last_used_at}", quote(&refresh.last_used_at)),
            ("{r.user_agent}", quote(&refresh.user_agent)),
            ("{r.ip}", quote(&refresh.ip)),
            ("{r.label}", quote(&refresh.label)),
            ("{fences}", quote(&models.fences)),
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
            &all.insert_both.fenced,
            &all.note_use,
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
        for statement in steps.chain([
            &all.find_access,
            &all.find_refresh,
            &all.find_family,
            &all.find_session,
            &all.sessions,
            &all.fence,
        ]) {
            let explain = Statement::new(Dialect::Sqlite, &format!("EXPLAIN QUERY PLAN {}", statement.text()));
            for row in database.fetch(&explain, &vec![Value::Null; 64]).await.unwrap() {
                let plan = row.text(3).unwrap().unwrap_or_default();
                let whole_table = plan.starts_with("SCAN") && !plan.contains("CONSTANT ROW");
                assert!(!whole_table && !plan.contains("TEMP B-TREE"), "{plan}: {}", statement.text());
                seen += usize::from(plan.contains("USING"));
            }
        }
        assert!(seen >= 15, "only {seen} uses of an index were seen");
    }
}
