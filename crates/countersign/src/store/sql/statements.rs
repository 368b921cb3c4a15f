//! Every statement of the SQL store, in one place: a column per dialect, guards included.
//!
//! On PostgreSQL each operation is one statement, so that it needs no transaction and can travel over a shared
//! connection. SQLite and MySQL run their steps in one transaction, where the first is the guard.

mod endings;
mod names;
mod sweep;

use crate::store::sql::{DatabaseTokenModels, Dialect, Script, Statement};
use names::Names;

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
    /// 1 user, 2 after, 3 limit, 4 rows that are looked at.
    pub(super) sessions: Statement,
    /// 1 user, 2 after, 3 rows.
    pub(super) unfenced_sessions: Statement,
    pub(super) ping: Statement,
    /// 1 user.
    pub(super) fence: Statement,
    /// 1 user, 2 fence, 3 now.
    pub(super) found_fence: Script,
    /// 1 token, 2 created, 3 user, 4 session, 5 end, 6 fence, 7 now.
    pub(super) insert_access: Opening,
    /// 1 token, 2 created, 3 user, 4 session, 5 end, 6 session end, 7 family, 8 opened, 9 user agent, 10 ip, 11 label,
    /// 12 end of the signed access token, 13 fence.
    pub(super) insert_refresh: Opening,
    /// As `insert_refresh`, then 14 to 18 as the first of `insert_access`.
    pub(super) insert_both: Opening,
    /// 1 presented, 2 successor, 3 created, 4 end, 5 session, 6 session end, 7 family, 8 consumed, 9 end of the signed
    /// access token.
    pub(super) rotate: Script,
    /// As `rotate`, then 10 to 14 as the first of `insert_access`.
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
    /// The end of all that a user has.
    pub(super) endings: endings::Endings,
    /// For each of [`NOTED`] sessions: its id, then the moment.
    pub(super) note_use: Script,
    /// 1 now, 2 cutoff of access tokens, 3 cutoff of refresh tokens, 4 rows, 5 cutoff of fences.
    pub(super) sweep: Script,
    /// 1 now, 2 cutoff of fences, 3 rows.
    pub(super) held_fences: Script,
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
     FROM {access} t{u.join} WHERE t.{a.token} = ?1 \
     AND NOT EXISTS (SELECT 1 FROM {ended} e WHERE e.fence = t.{a.fence})";
const FIND_REFRESH: &str = "SELECT {r.token}, {r.user_id}, {r.session_id}, {r.created_at}, {r.expires_at}, \
     {r.session_expires_at}, {r.consumed}, {r.access_expires_at}, {r.fence} FROM {refresh} WHERE {r.token} = ?1 AND {stands}";
const FIND_FAMILY: &str = "SELECT {r.token}, {r.user_id}, {r.session_id}, {r.created_at}, {r.expires_at}, \
     {r.session_expires_at}, {r.consumed}, {r.access_expires_at}, {r.fence} FROM {refresh} WHERE {r.family} = ?1 AND {stands}";
const SESSION: &str = "SELECT {r.session_id}, {r.opened_at}, {r.created_at}, {r.last_used_at}, {r.expires_at}, \
     {r.session_expires_at}, {r.user_agent}, {r.ip}, {r.label}, {r.access_expires_at}, {r.token}, {r.consumed}, \
     {r.fence} FROM {refresh} WHERE ";
const ONE_SESSION: &str = "{r.session_id} = ?1 AND {r.user_id} = ?2 AND {stands}";
const UNFENCED_SESSIONS: &str = "{r.user_id} = ?1 AND {r.fence} IS NULL AND {no_index}{r.session_id} > ?2 \
     ORDER BY {no_index}{r.session_id} LIMIT ?3";
/// The live ones of some rows, and then the id of the last of these rows and how many they were: no others are looked at,
/// however many are left of sessions that have ended.
const SESSIONS: &str = "SELECT * FROM (SELECT id, opened_at, created_at, last_used_at, expires_at, session_expires_at, \
     user_agent, ip, label, access_expires_at, token, consumed, fence, live, 0 AS looked_at FROM (SELECT \
     {r.session_id} AS id, {r.opened_at} AS opened_at, {r.created_at} AS created_at, {r.last_used_at} AS last_used_at, \
     {r.expires_at} AS expires_at, {r.session_expires_at} AS session_expires_at, {r.user_agent} AS user_agent, \
     {r.ip} AS ip, {r.label} AS label, {r.access_expires_at} AS access_expires_at, {r.token} AS token, \
     {r.consumed} AS consumed, {r.fence} AS fence, CASE WHEN {stands} THEN 1 ELSE 0 END AS live FROM {refresh} \
     WHERE {r.user_id} = ?1 AND {r.session_id} > ?2 ORDER BY {r.session_id} LIMIT ?4) part \
     WHERE live = 1 ORDER BY id LIMIT ?3) live_ones UNION ALL SELECT MAX(id), NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
     NULL, NULL, NULL, NULL, NULL, 0, COUNT(*) FROM (SELECT {r.session_id} AS id FROM {refresh} \
     WHERE {r.user_id} = ?1 AND {r.session_id} > ?2 ORDER BY {r.session_id} LIMIT ?4) part ORDER BY live DESC, id";
/// Nobody has replaced the fence that the refresh token was recorded behind.
const STANDS: &str = "NOT EXISTS (SELECT 1 FROM {ended} e WHERE e.fence = {refresh}.{r.fence})";

const FENCE: &str = "SELECT fence FROM {fences} WHERE user_id = ?1";
/// Locks the user's fence until what it guards is recorded.
const GUARD: &str = "UPDATE {fences} SET used_at = ?8 WHERE user_id = ?3 AND fence = ?13";
/// The same for an access token alone.
const GUARD_ACCESS: &str = "UPDATE {fences} SET used_at = ?7 WHERE user_id = ?3 AND fence = ?6";

const INSERT_ACCESS: &str = "INSERT INTO {access} ({a.token}, {a.created_at}, {a.user_id}, {a.session_id}, \
     {a.expires_at}, {a.fence}) ";
const ACCESS: &str = "?1, ?2, ?3, ?4, ?5, ?6";
const INSERT_REFRESH: &str = "INSERT INTO {refresh} ({r.token}, {r.created_at}, {r.user_id}, {r.session_id}, \
     {r.expires_at}, {r.session_expires_at}, {r.family}, {r.opened_at}, {r.user_agent}, {r.ip}, {r.label}, \
     {r.access_expires_at}, {r.fence}) ";
const OPENING: &str = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13";

/// In place: a session keeps its row, and of the callers that come at once one finds the presented token in it.
const ROTATE: &str = "UPDATE {refresh} SET {r.token} = ?2, {r.created_at} = ?3, {r.expires_at} = ?4, \
     {r.session_id} = COALESCE({r.session_id}, ?5), {r.session_expires_at} = COALESCE({r.session_expires_at}, ?6), \
     {r.family} = ?7, {r.consumed} = ?8, {r.access_expires_at} = {later} WHERE {r.token} = ?1 AND {stands}";

const REMOVE_ACCESS: &str = "DELETE FROM {access} WHERE {a.token} = ?1";
const REMOVE_OWN_ACCESS: &str = "DELETE FROM {access} WHERE {a.token} = ?1 AND {a.user_id} = ?2";
const REMOVE_REFRESH: &str = "DELETE FROM {refresh} WHERE {r.token} = ?1 AND {r.session_id} IS NULL";
const REMOVE_OWN_REFRESH: &str =
    "DELETE FROM {refresh} WHERE {r.token} = ?1 AND {r.session_id} IS NULL AND {r.user_id} = ?2";

/// A guard that always lets the rest run.
const ALWAYS: &str = "SELECT 1";

impl Statements {
    pub(super) fn new(dialect: Dialect, models: &DatabaseTokenModels) -> Self {
        let names = Names::new(dialect, models);
        let fill = |template: &str| names.fill(&template.replace("{stands}", STANDS));
        let read = |template: &str| Statement::new(dialect, &fill(template));
        let one = |template: &str| Script::new(dialect, &[&fill(template)]);
        let chain = |steps: &[String], row: usize| {
            let steps: Vec<_> = chain(dialect, steps).iter().map(|step| fill(step)).collect();
            Script::new(dialect, &steps.iter().map(String::as_str).collect::<Vec<_>>()).one_at_a_time(row)
        };
        let insert_access = |after| format!("{INSERT_ACCESS}{}", values(dialect, ACCESS, after));
        let insert_refresh = |after| format!("{INSERT_REFRESH}{}", values(dialect, OPENING, after));
        let insert_second = |first, fence: &str, after| insert_second(dialect, first, fence, after);
        let removal = |refresh: &str, access: &str| removal(dialect, &fill(refresh), &fill(access));
        let rotate = ROTATE.replace("{later}", later(dialect));
        Self {
            find_access: read(FIND_ACCESS),
            find_refresh: read(FIND_REFRESH),
            find_family: read(FIND_FAMILY),
            find_session: read(&format!("{SESSION}{ONE_SESSION}")),
            sessions: read(SESSIONS),
            unfenced_sessions: read(&format!("{SESSION}{UNFENCED_SESSIONS}")),
            ping: read(ALWAYS),
            fence: read(FENCE),
            found_fence: one(&upsert_fence(dialect, None)).one_at_a_time(1),
            insert_access: Opening {
                fenced: chain(&[GUARD_ACCESS.to_owned(), insert_access("f")], 3),
                free: chain(&[insert_access("")], 1),
            },
            insert_refresh: Opening {
                fenced: chain(&[GUARD.to_owned(), insert_refresh("f")], 3),
                free: chain(&[insert_refresh("")], 1),
            },
            insert_both: Opening {
                fenced: chain(&[GUARD.to_owned(), insert_refresh("f"), insert_second(14, "?13", "r")], 3),
                free: chain(&[insert_refresh(""), insert_second(14, "?13", "f")], 1),
            },
            rotate: one(&rotate).one_at_a_time(1),
            rotate_both: chain(&[rotate, insert_second(10, fence_of_successor(dialect), "f")], 1),
            remove_access: one(REMOVE_ACCESS).one_at_a_time(1),
            remove_own_access: one(REMOVE_OWN_ACCESS).one_at_a_time(1),
            remove_refresh: one(REMOVE_REFRESH).one_at_a_time(1),
            remove_own_refresh: one(REMOVE_OWN_REFRESH).one_at_a_time(1),
            end_session: removal(
                "DELETE FROM {refresh} WHERE {r.session_id} = ?1 AND {r.user_id} = ?2 AND {stands}",
                "DELETE FROM {access} WHERE {a.session_id} = ?1 AND {no_index}{a.user_id} = ?2",
            ),
            endings: endings::Endings::new(dialect, &names),
            note_use: one(&note_use(dialect)),
            sweep: sweep::expired(dialect, &names),
            held_fences: sweep::held_fences(dialect, &names),
        }
    }
}

/// The later of the recorded end of signed access tokens and the new one, either of which may be missing.
const fn later(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "GREATEST({r.access_expires_at}, ?9)",
        Dialect::Mysql => "COALESCE(GREATEST({r.access_expires_at}, ?9), {r.access_expires_at}, ?9)",
        Dialect::Sqlite => "COALESCE(MAX({r.access_expires_at}, ?9), {r.access_expires_at}, ?9)",
    }
}

/// The fence that the session of a successor was recorded behind, as it is when the access token is recorded.
const fn fence_of_successor(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "f.fence",
        Dialect::Sqlite | Dialect::Mysql => "(SELECT {r.fence} FROM {refresh} WHERE {r.token} = ?2)",
    }
}

/// Steps of which each but the first runs only if the one before touched a row. What PostgreSQL says in one statement,
/// whose parts are called `f` and `r`, the others say in steps.
fn chain(dialect: Dialect, steps: &[String]) -> Vec<String> {
    let (Dialect::Postgres, [first @ .., last]) = (dialect, steps) else { return steps.to_vec() };
    let returning = |step: &str| if step.starts_with("UPDATE {refresh}") { "{r.fence} AS fence" } else { "1" };
    let part = |(name, step): (&&str, &String)| format!("{name} AS ({step} RETURNING {})", returning(step));
    let parts: Vec<_> = ["f", "r"].iter().zip(first).map(part).collect();
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

/// Records an access token beside a refresh token, behind the same fence; its parameters count from `first`.
fn insert_second(dialect: Dialect, first: usize, fence: &str, after: &str) -> String {
    let places = (first..first + 5).map(|number| format!("?{number}")).chain([fence.to_owned()]);
    let places = places.collect::<Vec<_>>().join(", ");
    format!("{INSERT_ACCESS}{}", values(dialect, &places, after))
}

/// Records a fence; with `used`, notes the use of the one that is there.
fn upsert_fence(dialect: Dialect, used: Option<&str>) -> String {
    let insert = "INSERT INTO {fences} (user_id, fence, used_at) VALUES (?1, ?2, ?3)";
    match (dialect, used) {
        (Dialect::Mysql, used) => format!("{insert} ON DUPLICATE KEY UPDATE used_at = {}", used.unwrap_or("used_at")),
        (_, None) => format!("{insert} ON CONFLICT (user_id) DO NOTHING"),
        (_, Some(used)) => format!("{insert} ON CONFLICT (user_id) DO UPDATE SET used_at = {used}"),
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
            script: Script::new(dialect, &[&counted(&[refresh, access])]).one_at_a_time(1),
            again: Some(Script::new(dialect, &[access]).one_at_a_time(1)),
        },
        Dialect::Sqlite | Dialect::Mysql => {
            let script = Script::new(dialect, &[ALWAYS, refresh, access]).seeing_all().one_at_a_time(1);
            Removal { script, again: None }
        }
    }
}

/// Answers one row: how many rows each of these removed.
fn counted(removals: &[&str]) -> String {
    let parts = removals.iter().enumerate().map(|(at, removal)| format!("r{at} AS ({removal} RETURNING 1)"));
    let counts = (0..removals.len()).map(|at| format!("(SELECT count(*) FROM r{at})"));
    format!("WITH {} SELECT {}", parts.collect::<Vec<_>>().join(", "), counts.collect::<Vec<_>>().join(", "))
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
            &all.insert_access.fenced,
            &all.note_use,
            &all.remove_access,
            &all.remove_own_access,
            &all.remove_refresh,
            &all.remove_own_refresh,
            &all.end_session.script,
            &all.endings.end,
            &all.endings.end_but_one,
            &all.endings.clear,
            &all.endings.clear_unfenced,
            &all.endings.sweep,
            &all.endings.settle,
            &all.sweep,
            &all.held_fences,
        ];
        let steps = scripts.into_iter().flat_map(Script::steps);
        let mut seen = 0;
        for statement in steps.chain([
            &all.find_access,
            &all.find_refresh,
            &all.find_family,
            &all.find_session,
            &all.sessions,
            &all.unfenced_sessions,
            &all.fence,
            &all.endings.unsettled,
            &all.endings.survey,
        ]) {
            let explain = Statement::new(Dialect::Sqlite, &format!("EXPLAIN QUERY PLAN {}", statement.text()));
            for row in database.fetch(&explain, &vec![Value::Null; 64]).await.unwrap() {
                let plan = row.text(3).unwrap().unwrap_or_default();
                // Fences that were replaced are few, and parts of a list are bounded, so that they may be sorted.
                let is_part = statement.text().contains("LIMIT ?4) part");
                let is_unfenced = *statement.text() == *all.unfenced_sessions.text();
                let is_small = ["SCAN e", "SCAN f", "SCAN part", "SCAN live_ones"].contains(&plan);
                let whole_table = plan.starts_with("SCAN") && !is_small && !plan.contains("CONSTANT ROW");
                let sorts = plan.contains("TEMP B-TREE") && !is_part && !is_unfenced;
                assert!(!whole_table && !sorts, "{plan}: {}", statement.text());
                // Those behind no fence are few among all that the user has.
                assert!(
                    !is_unfenced || plan.contains("ix_refresh_token_unfenced") || plan.contains("TEMP B-TREE"),
                    "{plan}: {}",
                    statement.text()
                );
                seen += usize::from(plan.contains("USING"));
            }
        }
        assert!(seen >= 15, "only {seen} uses of an index were seen");
    }

    /// A logout costs the same however many other sessions the user has.
    #[tokio::test]
    async fn the_end_of_a_session_looks_at_that_session_alone() {
        let database = Database::connect("sqlite::memory:", DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid).run().await.unwrap();
        let all = Statements::new(Dialect::Sqlite, &DatabaseTokenModels::bundled(UserKeyKind::Uuid));
        let steps = all.end_session.script.steps().iter().filter(|step| step.text().starts_with("DELETE"));
        for step in steps {
            let explain = Statement::new(Dialect::Sqlite, &format!("EXPLAIN QUERY PLAN {}", step.text()));
            let rows = database.fetch(&explain, &vec![Value::Null; 8]).await.unwrap();
            let plan = rows.first().unwrap().text(3).unwrap().unwrap_or_default().to_owned();
            assert!(plan.contains("session_id=?"), "{plan}: {}", step.text());
        }
    }
}
