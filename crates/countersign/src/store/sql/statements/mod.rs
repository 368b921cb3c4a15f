//! Every statement of the SQL store, guards included, with a variant per dialect where they differ.
//!
//! On PostgreSQL each operation is one statement, so that it needs no transaction and can travel
//! over a shared connection. SQLite and MySQL run their steps in one transaction, where the first
//! is the guard.
//!
//! # Fences
//!
//! A token row has the fence that its user had at login. Two checks keep an ended session from
//! coming back:
//!
//! - An insertion is guarded by an `UPDATE` of the user's current fence, which also locks its row:
//!   [`GUARD`]. It fails if the fence was replaced since the login read it.
//! - Every query and every rotation requires that the row's fence isn't among the replaced ones:
//!   [`STANDS`].
//!
//! So replacing a fence ends all sessions of a user at once, and their rows may be deleted later.
//! Rows without a fence, from older versions or litestar-auth, are found by an index of their own.
//!
//! # Templates
//!
//! `{access}`, `{refresh}`, `{fences}` and `{ended}` are the tables; `{a.…}` and `{r.…}` are
//! columns of the first two. [`Names`] fills them in. `{stands}` is the condition [`STANDS`].
//! Parameters are numbered, and the fields of [`Statements`] say what each number is. Add a new
//! statement to the test at the end of this file, which checks that SQLite finds its rows by an
//! index.

mod endings;
mod names;
mod parts;
mod sweep;

use crate::store::sql::{DatabaseTokenModels, Dialect, Script, Statement};
use names::Names;
use parts::{ALWAYS, STANDS, counted, upsert_fence};

/// The statements over one set of tables, in one dialect. Each field lists its parameters.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    /// The query for an access token and, if configured, its user's row. 1 token.
    pub(super) find_access: Statement,
    /// The query for a refresh token. 1 token.
    pub(super) find_refresh: Statement,
    /// The query for the current refresh token of a family. 1 family.
    pub(super) find_family: Statement,
    /// The query for one session of a user. 1 session, 2 user.
    pub(super) find_session: Statement,
    /// The query for a part of a user's list of sessions. 1 user, 2 session id to begin after, 3
    /// limit, 4 limit of rows to read.
    pub(super) sessions: Statement,
    /// The query for a part of a user's sessions without a fence. 1 user, 2 session id to begin
    /// after, 3 limit.
    pub(super) unfenced_sessions: Statement,
    /// The query that asks whether the database answers. No parameters.
    pub(super) ping: Statement,
    /// The query for a user's current fence. 1 user.
    pub(super) fence: Statement,
    /// The insertion of a fence for a user who has none. 1 user, 2 fence, 3 now.
    pub(super) found_fence: Script,
    /// The insertion of an access token. 1 token, 2 created, 3 user, 4 session, 5 expiry, 6 fence,
    /// and if there is one: 7 now.
    pub(super) insert_access: Opening,
    /// The insertion of a refresh token. 1 token, 2 created, 3 user, 4 session, 5 expiry, 6 session
    /// expiry, 7 family, 8 opened, 9 user agent, 10 IP address, 11 label, 12 expiry of the signed
    /// access token, 13 fence.
    pub(super) insert_refresh: Opening,
    /// The insertion of a refresh token and its access token. As `insert_refresh`, then 14 to 18 as
    /// the first five of `insert_access`.
    pub(super) insert_both: Opening,
    /// The rotation of a refresh token. 1 presented token, 2 successor, 3 created, 4 expiry, 5
    /// session, 6 session expiry, 7 family, 8 consumed tokens, 9 expiry of the signed access token.
    pub(super) rotate: Script,
    /// The rotation of a refresh token, with a new access token. As `rotate`, then 10 to 14 as the
    /// first five of `insert_access`.
    pub(super) rotate_both: Script,
    /// The deletion of an access token. 1 token.
    pub(super) remove_access: Script,
    /// The deletion of an access token of a certain user. 1 token, 2 user.
    pub(super) remove_own_access: Script,
    /// The deletion of a refresh token without a session. 1 token.
    pub(super) remove_refresh: Script,
    /// The deletion of a refresh token without a session, of a certain user. 1 token, 2 user.
    pub(super) remove_own_refresh: Script,
    /// The deletion of a session's tokens. 1 session, 2 user.
    pub(super) end_session: Removal,
    /// The statements that end everything of a user.
    pub(super) endings: endings::Endings,
    /// The update of the time of the latest authentication. 1 session, 2 user, 3 time, 4 fence or an
    /// empty text.
    pub(super) reauthenticate: Script,
    /// The update of the time of last use, for [`NOTED`] sessions. For each: its id, then the time.
    pub(super) note_use: Script,
    /// The deletion of expired tokens and unused fences. 1 now, 2 cutoff of access tokens, 3 cutoff
    /// of refresh tokens, 4 limit of rows, 5 cutoff of fences.
    pub(super) sweep: Script,
    /// The update of old fences whose users have tokens. 1 now, 2 cutoff of fences, 3 limit of
    /// rows.
    pub(super) held_fences: Script,
}

/// The number of sessions whose use one statement notes.
pub(super) const NOTED: usize = 32;

/// The insertion of a token, with and without the check of the user's fence as guard.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) fenced: Script,
    pub(super) free: Script,
}

/// The deletion of a session's tokens, refresh tokens first.
///
/// A rotation that runs meanwhile holds the refresh token's row until its access token is recorded.
/// So that access token is there by the time access tokens are deleted.
#[derive(Clone, Debug)]
pub(super) struct Removal {
    pub(super) script: Script,
    /// The deletion of access tokens once more, on PostgreSQL only.
    ///
    /// Its one statement sees a single snapshot, taken before it waited for the row. A second
    /// statement finds what was recorded meanwhile.
    pub(super) again: Option<Script>,
}

/// The query for an access token `t` and its joined user `u`. A token whose fence was replaced
/// isn't found.
const FIND_ACCESS: &str = "SELECT t.{a.token}, t.{a.user_id}, t.{a.session_id}, t.{a.created_at}, t.{a.expires_at}{u.columns} \
     FROM {access} t{u.join} WHERE t.{a.token} = ?1 \
     AND NOT EXISTS (SELECT 1 FROM {ended} e WHERE e.fence = t.{a.fence})";
/// The query for a refresh token. `SqlStore::refresh_record` reads the columns in this order.
const FIND_REFRESH: &str = "SELECT {r.token}, {r.user_id}, {r.session_id}, {r.created_at}, {r.expires_at}, \
     {r.session_expires_at}, {r.consumed}, {r.access_expires_at}, {r.fence} FROM {refresh} WHERE {r.token} = ?1 AND {stands}";
const FIND_FAMILY: &str = "SELECT {r.token}, {r.user_id}, {r.session_id}, {r.created_at}, {r.expires_at}, \
     {r.session_expires_at}, {r.consumed}, {r.access_expires_at}, {r.fence} FROM {refresh} WHERE {r.family} = ?1 AND {stands}";
/// The columns of a session, in the order in which `session_record` reads them.
const SESSION: &str = "SELECT {r.session_id}, {r.opened_at}, {r.created_at}, {r.last_used_at}, {r.expires_at}, \
     {r.session_expires_at}, {r.user_agent}, {r.ip}, {r.label}, {r.access_expires_at}, {r.token}, {r.consumed}, \
     {r.fence}, {r.authenticated_at} FROM {refresh} WHERE ";
const ONE_SESSION: &str = "{r.session_id} = ?1 AND {r.user_id} = ?2 AND {stands}";
/// The condition and the order for sessions without a fence, which have an index of their own.
/// `{no_index}` keeps SQLite from walking through all sessions of the user in their order instead.
const UNFENCED_SESSIONS: &str = "{r.user_id} = ?1 AND {r.fence} IS NULL AND {no_index}{r.session_id} > ?2 \
     ORDER BY {no_index}{r.session_id} LIMIT ?3";
/// The live sessions among a bounded number of rows, followed by one more row: the id of the last
/// row that was read, and how many were read.
const SESSIONS: &str = "SELECT * FROM (SELECT id, opened_at, created_at, last_used_at, expires_at, session_expires_at, \
     user_agent, ip, label, access_expires_at, token, consumed, fence, authenticated_at, live, 0 AS looked_at FROM (SELECT \
     {r.session_id} AS id, {r.opened_at} AS opened_at, {r.created_at} AS created_at, {r.last_used_at} AS last_used_at, \
     {r.expires_at} AS expires_at, {r.session_expires_at} AS session_expires_at, {r.user_agent} AS user_agent, \
     {r.ip} AS ip, {r.label} AS label, {r.access_expires_at} AS access_expires_at, {r.token} AS token, \
     {r.consumed} AS consumed, {r.fence} AS fence, {r.authenticated_at} AS authenticated_at, \
     CASE WHEN {stands} THEN 1 ELSE 0 END AS live FROM {refresh} \
     WHERE {r.user_id} = ?1 AND {r.session_id} > ?2 ORDER BY {r.session_id} LIMIT ?4) part \
     WHERE live = 1 ORDER BY id LIMIT ?3) live_ones UNION ALL SELECT MAX(id), NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
     NULL, NULL, NULL, NULL, NULL, NULL, 0, COUNT(*) FROM (SELECT {r.session_id} AS id FROM {refresh} \
     WHERE {r.user_id} = ?1 AND {r.session_id} > ?2 ORDER BY {r.session_id} LIMIT ?4) part ORDER BY live DESC, id";

const FENCE: &str = "SELECT fence FROM {fences} WHERE user_id = ?1";
/// The guard of a login: it locks the row of the user's fence until the session is recorded.
const GUARD: &str = "UPDATE {fences} SET used_at = ?8 WHERE user_id = ?3 AND fence = ?13";
/// The guard for an access token without a session.
const GUARD_ACCESS: &str = "UPDATE {fences} SET used_at = ?7 WHERE user_id = ?3 AND fence = ?6";

/// The beginning of every insertion of an access token.
const INSERT_ACCESS: &str = "INSERT INTO {access} ({a.token}, {a.created_at}, {a.user_id}, {a.session_id}, \
     {a.expires_at}, {a.fence}) ";
/// The values of an access token.
const ACCESS: &str = "?1, ?2, ?3, ?4, ?5, ?6";
const INSERT_REFRESH: &str = "INSERT INTO {refresh} ({r.token}, {r.created_at}, {r.user_id}, {r.session_id}, \
     {r.expires_at}, {r.session_expires_at}, {r.family}, {r.opened_at}, {r.user_agent}, {r.ip}, {r.label}, \
     {r.access_expires_at}, {r.fence}) ";
/// The values of a refresh token.
const OPENING: &str = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13";

/// The rotation, in place: a session keeps its row, and of concurrent rotations exactly one finds
/// the presented token in it.
const ROTATE: &str = "UPDATE {refresh} SET {r.token} = ?2, {r.created_at} = ?3, {r.expires_at} = ?4, \
     {r.session_id} = COALESCE({r.session_id}, ?5), {r.session_expires_at} = COALESCE({r.session_expires_at}, ?6), \
     {r.family} = ?7, {r.consumed} = ?8, {r.access_expires_at} = {later} WHERE {r.token} = ?1 AND {stands}";

/// The new time of the latest authentication, which never moves back. It updates the session's row
/// and inserts none, so it revives nothing.
const REAUTHENTICATE: &str = "UPDATE {refresh} SET {r.authenticated_at} = \
     {latest}(COALESCE({r.authenticated_at}, ?3), ?3) WHERE {r.session_id} = ?1 AND {no_index}{r.user_id} = ?2 \
     AND (?4 = '' OR {r.fence} IS NULL OR {r.fence} = ?4) AND {stands}";

const REMOVE_ACCESS: &str = "DELETE FROM {access} WHERE {a.token} = ?1";
const REMOVE_OWN_ACCESS: &str = "DELETE FROM {access} WHERE {a.token} = ?1 AND {a.user_id} = ?2";
/// The deletion of a refresh token without a session. One with a session is deleted only together
/// with it.
const REMOVE_REFRESH: &str =
    "DELETE FROM {refresh} WHERE {r.token} = ?1 AND {r.session_id} IS NULL";
const REMOVE_OWN_REFRESH: &str =
    "DELETE FROM {refresh} WHERE {r.token} = ?1 AND {r.session_id} IS NULL AND {r.user_id} = ?2";

impl Statements {
    /// Spells all statements in `dialect`, with the names of `models`.
    pub(super) fn new(dialect: Dialect, models: &DatabaseTokenModels) -> Self {
        let names = Names::new(dialect, models);
        let fill = |template: &str| names.fill(&template.replace("{stands}", STANDS));
        let read = |template: &str| Statement::new(dialect, &fill(template));
        let one = |template: &str| Script::new(dialect, &[&fill(template)]);
        let chain = |steps: &[String], row: usize| {
            let steps: Vec<_> = chain(dialect, steps)
                .iter()
                .map(|step| fill(step))
                .collect();
            Script::new(
                dialect,
                &steps.iter().map(String::as_str).collect::<Vec<_>>(),
            )
            .one_at_a_time(row)
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
                fenced: chain(
                    &[
                        GUARD.to_owned(),
                        insert_refresh("f"),
                        insert_second(14, "?13", "r"),
                    ],
                    3,
                ),
                free: chain(&[insert_refresh(""), insert_second(14, "?13", "f")], 1),
            },
            rotate: one(&rotate).one_at_a_time(1),
            rotate_both: chain(
                &[rotate, insert_second(10, fence_of_successor(dialect), "f")],
                1,
            ),
            remove_access: one(REMOVE_ACCESS).one_at_a_time(1),
            remove_own_access: one(REMOVE_OWN_ACCESS).one_at_a_time(1),
            remove_refresh: one(REMOVE_REFRESH).one_at_a_time(1),
            remove_own_refresh: one(REMOVE_OWN_REFRESH).one_at_a_time(1),
            end_session: removal(
                "DELETE FROM {refresh} WHERE {r.session_id} = ?1 AND {r.user_id} = ?2 AND {stands}",
                "DELETE FROM {access} WHERE {a.session_id} = ?1 AND {no_index}{a.user_id} = ?2",
            ),
            endings: endings::Endings::new(dialect, &names),
            reauthenticate: one(&REAUTHENTICATE.replace("{latest}", latest(dialect)))
                .one_at_a_time(1),
            note_use: one(&note_use(dialect)),
            sweep: sweep::expired(dialect, &names),
            held_fences: sweep::held_fences(dialect, &names),
        }
    }
}

/// Returns the later of the recorded and the new expiry of signed access tokens. Either may be
/// null.
const fn later(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "GREATEST({r.access_expires_at}, ?9)",
        Dialect::Mysql => {
            "COALESCE(GREATEST({r.access_expires_at}, ?9), {r.access_expires_at}, ?9)"
        }
        Dialect::Sqlite => "COALESCE(MAX({r.access_expires_at}, ?9), {r.access_expires_at}, ?9)",
    }
}

/// Returns the fence of the session that was rotated just now, for its new access token.
const fn fence_of_successor(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "f.fence",
        Dialect::Sqlite | Dialect::Mysql => {
            "(SELECT {r.fence} FROM {refresh} WHERE {r.token} = ?2)"
        }
    }
}

/// Returns steps of which each runs only if the one before changed a row.
///
/// On PostgreSQL they become one statement, whose parts before the last are called `f` and `r`. The
/// other databases run them as the steps of a script.
fn chain(dialect: Dialect, steps: &[String]) -> Vec<String> {
    let (Dialect::Postgres, [first @ .., last]) = (dialect, steps) else {
        return steps.to_vec();
    };
    let returning = |step: &str| {
        if step.starts_with("UPDATE {refresh}") {
            "{r.fence} AS fence"
        } else {
            "1"
        }
    };
    let part = |(name, step): (&&str, &String)| {
        format!("{name} AS ({step} RETURNING {})", returning(step))
    };
    let parts: Vec<_> = ["f", "r"].iter().zip(first).map(part).collect();
    if parts.is_empty() {
        vec![last.clone()]
    } else {
        vec![format!("WITH {} {last}", parts.join(", "))]
    }
}

/// Returns the source of an `INSERT`: one row, or on PostgreSQL one row for each row of the part
/// called `after`.
fn values(dialect: Dialect, values: &str, after: &str) -> String {
    if dialect == Dialect::Postgres && !after.is_empty() {
        format!("SELECT {values} FROM {after}")
    } else {
        format!("VALUES ({values})")
    }
}

/// Returns the insertion of an access token beside a refresh token, with the same fence. Its
/// parameters count from `first`.
fn insert_second(dialect: Dialect, first: usize, fence: &str, after: &str) -> String {
    let places = (first..first + 5)
        .map(|number| format!("?{number}"))
        .chain([fence.to_owned()]);
    let places = places.collect::<Vec<_>>().join(", ");
    format!("{INSERT_ACCESS}{}", values(dialect, &places, after))
}

/// Returns the function that gives the later of two times.
const fn latest(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "MAX",
        Dialect::Postgres | Dialect::Mysql => "GREATEST",
    }
}

/// Returns the update of the last use of [`NOTED`] sessions, which needn't be different. A time
/// never moves back.
fn note_use(dialect: Dialect) -> String {
    let later = latest(dialect);
    let number = if dialect == Dialect::Mysql {
        "SIGNED"
    } else {
        "BIGINT"
    };
    let (ids, moments): (Vec<_>, Vec<_>) = (0..NOTED)
        .map(|at| {
            (
                format!("?{}", 2 * at + 1),
                format!("CAST(?{} AS {number})", 2 * at + 2),
            )
        })
        .unzip();
    let cases: Vec<_> = ids
        .iter()
        .zip(&moments)
        .map(|(id, moment)| format!("WHEN {id} THEN {moment}"))
        .collect();
    format!(
        "UPDATE {{refresh}} SET {{r.last_used_at}} = {later}(COALESCE({{r.last_used_at}}, 0), \
         CASE {{r.session_id}} {} ELSE 0 END) WHERE {{r.session_id}} IN ({})",
        cases.join(" "),
        ids.join(", ")
    )
}

/// Returns the deletion of tokens by two conditions, one per table.
fn removal(dialect: Dialect, refresh: &str, access: &str) -> Removal {
    match dialect {
        Dialect::Postgres => Removal {
            script: Script::new(dialect, &[&counted(&[refresh, access])]).one_at_a_time(1),
            again: Some(Script::new(dialect, &[access]).one_at_a_time(1)),
        },
        Dialect::Sqlite | Dialect::Mysql => {
            let script = Script::new(dialect, &[ALWAYS, refresh, access])
                .seeing_all()
                .one_at_a_time(1);
            Removal {
                script,
                again: None,
            }
        }
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
        Migrator::new(&database, UserKeyKind::Uuid)
            .run()
            .await
            .unwrap();
        let user = Script::new(
            Dialect::Sqlite,
            &[
                "SELECT 1",
                "CREATE TABLE user (id BINARY(16) PRIMARY KEY, name TEXT)",
            ],
        );
        database.run(&user, &[]).await.unwrap();
        let users = UserTable {
            table: "user".into(),
            id: "id".into(),
            columns: vec!["name".into()],
        };
        let models = DatabaseTokenModels::bundled(UserKeyKind::Uuid)
            .join_users(users)
            .unwrap();
        let all = Statements::new(Dialect::Sqlite, &models);
        let scripts = [
            &all.rotate,
            &all.rotate_both,
            &all.insert_both.fenced,
            &all.insert_access.fenced,
            &all.note_use,
            &all.reauthenticate,
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
            let explain = Statement::new(
                Dialect::Sqlite,
                &format!("EXPLAIN QUERY PLAN {}", statement.text()),
            );
            for row in database
                .fetch(&explain, &vec![Value::Null; 64])
                .await
                .unwrap()
            {
                let plan = row.text(3).unwrap().unwrap_or_default();
                // Fences that were replaced are few, and parts of a list are bounded, so that they may be sorted.
                let is_part = statement.text().contains("LIMIT ?4) part");
                let is_unfenced = *statement.text() == *all.unfenced_sessions.text();
                let is_small = ["SCAN e", "SCAN f", "SCAN part", "SCAN live_ones"].contains(&plan);
                let whole_table =
                    plan.starts_with("SCAN") && !is_small && !plan.contains("CONSTANT ROW");
                let sorts = plan.contains("TEMP B-TREE") && !is_part && !is_unfenced;
                assert!(!whole_table && !sorts, "{plan}: {}", statement.text());
                // Those behind no fence are few among all that the user has.
                assert!(
                    !is_unfenced
                        || plan.contains("ix_refresh_token_unfenced")
                        || plan.contains("TEMP B-TREE"),
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
        Migrator::new(&database, UserKeyKind::Uuid)
            .run()
            .await
            .unwrap();
        let all = Statements::new(
            Dialect::Sqlite,
            &DatabaseTokenModels::bundled(UserKeyKind::Uuid),
        );
        let steps = all
            .end_session
            .script
            .steps()
            .iter()
            .filter(|step| step.text().starts_with("DELETE"));
        for step in steps {
            let explain = Statement::new(
                Dialect::Sqlite,
                &format!("EXPLAIN QUERY PLAN {}", step.text()),
            );
            let rows = database
                .fetch(&explain, &vec![Value::Null; 8])
                .await
                .unwrap();
            let plan = rows
                .first()
                .unwrap()
                .text(3)
                .unwrap()
                .unwrap_or_default()
                .to_owned();
            assert!(plan.contains("session_id=?"), "{plan}: {}", step.text());
        }
    }
}
