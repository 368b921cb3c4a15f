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
//!   `GUARD`. It fails if the fence was replaced since the login read it.
//! - Every query and every rotation requires that the row's fence isn't among the replaced ones:
//!   `STANDS`.
//!
//! So replacing a fence ends all sessions of a user at once, and their rows may be deleted later.
//! Rows without a fence, from older versions or litestar-auth, are found by an index of their own.
//!
//! # Templates
//!
//! `{access}`, `{refresh}`, `{fences}` and `{ended}` are the tables; `{a.…}` and `{r.…}` are
//! columns of the first two. [`Names`] fills them in. `{stands}` is the condition `STANDS`.
//! Parameters are numbered, and the fields of [`Statements`] say what each number is. Add a new
//! statement to the test at the end of this file, which checks that SQLite finds its rows by an
//! index.

mod endings;
mod names;
mod parts;
mod sweep;
mod texts;

use crate::store::sql::{DatabaseTokenModels, Dialect, Script, Statement};
use names::Names;
use parts::{ALWAYS, counted, upsert_fence};
use texts::{
    ACCESS, END_SESSION, END_SESSION_ACCESS, FENCE, FIND_ACCESS, FIND_FAMILY, FIND_REFRESH, GUARD,
    GUARD_ACCESS, INSERT_ACCESS, INSERT_REFRESH, ONE_SESSION, OPENING, REAUTHENTICATE,
    REMOVE_ACCESS, REMOVE_OWN_ACCESS, REMOVE_OWN_REFRESH, REMOVE_REFRESH, ROTATE, SESSION,
    SESSIONS, UNFENCED_SESSIONS,
};

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
    /// The update of the time of the latest authentication. 1 session, 2 user, 3 time, 4 fence or
    /// an empty text.
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

impl Statements {
    /// Spells all statements in `dialect`, with the names of `models`.
    pub(super) fn new(dialect: Dialect, models: &DatabaseTokenModels) -> Self {
        let names = Names::new(dialect, models);
        let rotate = ROTATE.replace("{later}", later(dialect));
        let reauthenticate = REAUTHENTICATE.replace("{latest}", latest(dialect));
        let access_after_rotation = insert_second(dialect, 10, fence_of_successor(dialect), "f");

        Self {
            find_access: names.statement(FIND_ACCESS),
            find_refresh: names.statement(FIND_REFRESH),
            find_family: names.statement(FIND_FAMILY),
            find_session: names.statement(&format!("{SESSION}{ONE_SESSION}")),
            sessions: names.statement(SESSIONS),
            unfenced_sessions: names.statement(&format!("{SESSION}{UNFENCED_SESSIONS}")),
            ping: names.statement(ALWAYS),
            fence: names.statement(FENCE),
            found_fence: names
                .script(&[upsert_fence(dialect, None)])
                .one_at_a_time(1),
            insert_access: insert_access(dialect, &names),
            insert_refresh: insert_refresh(dialect, &names),
            insert_both: insert_both(dialect, &names),
            rotate: names.script(&[&rotate]).one_at_a_time(1),
            rotate_both: chain(dialect, &names, &[rotate, access_after_rotation]).one_at_a_time(1),
            remove_access: names.script(&[REMOVE_ACCESS]).one_at_a_time(1),
            remove_own_access: names.script(&[REMOVE_OWN_ACCESS]).one_at_a_time(1),
            remove_refresh: names.script(&[REMOVE_REFRESH]).one_at_a_time(1),
            remove_own_refresh: names.script(&[REMOVE_OWN_REFRESH]).one_at_a_time(1),
            end_session: removal(dialect, &names, END_SESSION, END_SESSION_ACCESS),
            endings: endings::Endings::new(dialect, &names),
            reauthenticate: names.script(&[reauthenticate]).one_at_a_time(1),
            note_use: names.script(&[note_use(dialect)]),
            sweep: sweep::expired(dialect, &names),
            held_fences: sweep::held_fences(dialect, &names),
        }
    }
}

/// Returns the insertion of an access token.
///
/// With a fence it changes the row of that fence, so insertions for one user wait for each other.
/// Without a fence those of one token do.
fn insert_access(dialect: Dialect, names: &Names) -> Opening {
    let fenced = [GUARD_ACCESS.to_owned(), access_insertion(dialect, "f")];
    let free = [access_insertion(dialect, "")];

    Opening {
        fenced: chain(dialect, names, &fenced).one_at_a_time(3),
        free: chain(dialect, names, &free).one_at_a_time(1),
    }
}

/// Returns the insertion of a refresh token.
///
/// Insertions wait for each other as those of [`insert_access`] do.
fn insert_refresh(dialect: Dialect, names: &Names) -> Opening {
    let fenced = [GUARD.to_owned(), refresh_insertion(dialect, "f")];
    let free = [refresh_insertion(dialect, "")];

    Opening {
        fenced: chain(dialect, names, &fenced).one_at_a_time(3),
        free: chain(dialect, names, &free).one_at_a_time(1),
    }
}

/// Returns the insertion of a refresh token and its access token.
///
/// Insertions wait for each other as those of [`insert_access`] do. On PostgreSQL the parts of its
/// one statement follow from each other: the access token is inserted only with the refresh token.
fn insert_both(dialect: Dialect, names: &Names) -> Opening {
    let fenced = [
        GUARD.to_owned(),
        refresh_insertion(dialect, "f"),
        insert_second(dialect, 14, "?13", "r"),
    ];
    let free = [
        refresh_insertion(dialect, ""),
        insert_second(dialect, 14, "?13", "f"),
    ];

    Opening {
        fenced: chain(dialect, names, &fenced).one_at_a_time(3),
        free: chain(dialect, names, &free).one_at_a_time(1),
    }
}

/// Returns the template that inserts an access token, on PostgreSQL for each row of the part called
/// `after`.
fn access_insertion(dialect: Dialect, after: &str) -> String {
    format!("{INSERT_ACCESS}{}", values(dialect, ACCESS, after))
}

/// Returns the template that inserts a refresh token. `after` is as for [`access_insertion`].
fn refresh_insertion(dialect: Dialect, after: &str) -> String {
    format!("{INSERT_REFRESH}{}", values(dialect, OPENING, after))
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

/// Returns the script of steps of which each runs only if the one before changed a row.
///
/// On PostgreSQL they become one statement, whose parts before the last are called `f` and `r`. The
/// other databases run them as the steps of a script.
fn chain(dialect: Dialect, names: &Names, steps: &[String]) -> Script {
    let (Dialect::Postgres, [first @ .., last]) = (dialect, steps) else {
        return names.script(steps);
    };

    let parts: Vec<_> = ["f", "r"]
        .iter()
        .zip(first)
        .map(|(name, step)| format!("{name} AS ({step} RETURNING {})", returned_by(step)))
        .collect();
    if parts.is_empty() {
        names.script(&[last])
    } else {
        names.script(&[format!("WITH {} {last}", parts.join(", "))])
    }
}

/// Returns the column that a part of a [`chain`] returns: the fence if it changes a refresh token.
fn returned_by(step: &str) -> &'static str {
    if step.starts_with("UPDATE {refresh}") {
        "{r.fence} AS fence"
    } else {
        "1"
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
        "UPDATE {{refresh}} \
         SET {{r.last_used_at}} = {later}(COALESCE({{r.last_used_at}}, 0), \
             CASE {{r.session_id}} {} ELSE 0 END) \
         WHERE {{r.session_id}} IN ({})",
        cases.join(" "),
        ids.join(", ")
    )
}

/// Returns the deletion of tokens by two conditions, one per table.
fn removal(dialect: Dialect, names: &Names, refresh: &str, access: &str) -> Removal {
    match dialect {
        Dialect::Postgres => Removal {
            script: names
                .script(&[counted(&[refresh, access])])
                .one_at_a_time(1),
            again: Some(names.script(&[access]).one_at_a_time(1)),
        },
        Dialect::Sqlite | Dialect::Mysql => Removal {
            script: names
                .script(&[ALWAYS, refresh, access])
                .seeing_all()
                .one_at_a_time(1),
            again: None,
        },
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
                // Fences that were replaced are few, and parts of a list are bounded, so that they
                // may be sorted.
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
