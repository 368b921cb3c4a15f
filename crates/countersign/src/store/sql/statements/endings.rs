//! The end of everything that a user has: one mark, and what it left is removed in batches.

use crate::store::sql::statements::names::Names;
use crate::store::sql::statements::{ALWAYS, STANDS, counted, sweep, upsert_fence};
use crate::store::sql::{Dialect, Script, Statement};

/// The statements of endings.
#[derive(Clone, Debug)]
pub(in crate::store::sql) struct Endings {
    /// 1 user, 2 new fence, 3 now, 4 the session that is kept, 5 settled.
    pub(in crate::store::sql) end: Script,
    /// The same, and the session that is kept goes on.
    pub(in crate::store::sql) end_but_one: Script,
    /// What follows on a change of an account, as templates: as `end_but_one`, and tokens behind no fence.
    pub(in crate::store::sql) after_change: Vec<String>,
    /// 1 user.
    pub(in crate::store::sql) unsettled: Statement,
    /// 1 fence, 2 now, 3 user.
    pub(in crate::store::sql) settle: Script,
    /// 1 user, 2 rows, 3 the session that is kept.
    pub(in crate::store::sql) clear: Script,
    /// As `clear`.
    pub(in crate::store::sql) clear_unfenced: Script,
    /// 1 user, 2 now, 3 cutoff of refresh tokens, 4 after, 5 rows.
    pub(in crate::store::sql) survey: Statement,
    /// 1 cutoff of settled fences, 2 rows, 3 cutoff of all.
    pub(in crate::store::sql) sweep: Script,
}

/// A session goes on that was recorded behind the fence that is replaced. One that ended earlier stays ended, and one behind
/// no fence stays so: another ending, which has marked already, may be about to remove it.
const KEEP_REFRESH: &str = "UPDATE {refresh} SET {r.fence} = ?2 WHERE {r.session_id} = ?4 AND {r.user_id} = ?1 \
     AND {r.fence} = (SELECT fence FROM {fences} WHERE user_id = ?1)";
const KEEP_ACCESS: &str = "UPDATE {access} SET {a.fence} = ?2 WHERE {a.session_id} = ?4 AND {no_index}{a.user_id} = ?1 \
     AND {a.fence} = (SELECT fence FROM {fences} WHERE user_id = ?1)";
/// Nothing when the fence is new: the user had none, or this is the repetition of a call that took effect.
const END: &str = "INSERT INTO {ended} (fence, user_id, kept_session_id, ended_at, settled_at) \
     SELECT fence, user_id, NULLIF({kept}, '-'), {now}, {settled} FROM {fences} WHERE user_id = ?1 AND fence <> ?2";
const REPLACE: &str = "UPDATE {fences} SET fence = ?2 WHERE user_id = ?1";

const UNFENCED_REFRESH: &str = "{r.user_id} = ?1 AND {r.fence} IS NULL AND COALESCE({r.session_id}, '') <> {kept}";

const UNSETTLED: &str = "SELECT fence, kept_session_id FROM {ended} WHERE user_id = ?1 AND settled_at IS NULL";
const SETTLE: &str = "UPDATE {ended} SET settled_at = ?2 WHERE fence = ?1 AND user_id = ?3";

/// A part of the list at a time: how many rows it has, how many of them are live, the latest end, and the last id.
const SURVEY: &str = "SELECT COUNT(*), COUNT(CASE WHEN live = 1 THEN 1 END), \
     MAX(CASE WHEN live = 1 THEN access_end END), MAX(id) FROM (SELECT {r.session_id} AS id, \
     {r.access_expires_at} AS access_end, CASE WHEN ({r.expires_at} > ?2 \
     OR ({r.expires_at} IS NULL AND {r.created_at} > ?3)) AND {stands} THEN 1 ELSE 0 END AS live \
     FROM {refresh} WHERE {r.user_id} = ?1 AND {r.session_id} > ?4 ORDER BY {r.session_id} LIMIT ?5) part";

/// Rows of a table whose fence was replaced. `{of}` names the user, where it is one user's.
const CLEAR: [&str; 3] = [
    // The few that ended come first: SQLite would look through all tokens where it knows nothing of the tables' sizes.
    "DELETE FROM {refresh} WHERE {r.token} IN (SELECT t.{r.token} FROM {ended} e \
     CROSS JOIN {refresh} t ON t.{r.user_id} = e.user_id AND t.{r.fence} = e.fence{of} LIMIT ?2)",
    "DELETE FROM {refresh} WHERE {r.token} IN (SELECT {r.token} FROM (SELECT t.{r.token} FROM {ended} e \
     JOIN {refresh} t ON t.{r.user_id} = e.user_id AND t.{r.fence} = e.fence{of} LIMIT ?2 \
     FOR UPDATE OF t SKIP LOCKED) x)",
    "DELETE d FROM {refresh} d JOIN (SELECT t.{r.token} FROM {ended} e \
     JOIN {refresh} t ON t.{r.user_id} = e.user_id AND t.{r.fence} = e.fence{of} LIMIT ?2) x \
     ON x.{r.token} = d.{r.token}",
];

/// A user's rows behind no fence.
const CLEAR_UNFENCED: [&str; 3] = [
    "DELETE FROM {refresh} WHERE {r.token} IN (SELECT {r.token} FROM {refresh} WHERE {unfenced} LIMIT ?2)",
    "DELETE FROM {refresh} WHERE {unfenced} AND {r.token} IN (SELECT {r.token} FROM {refresh} WHERE {unfenced} LIMIT ?2)",
    "DELETE FROM {refresh} WHERE {unfenced} LIMIT ?2",
];

/// A fence that was replaced is forgotten when nothing is left that was recorded behind it.
const SWEEP: [&str; 3] = [
    "DELETE FROM {ended} WHERE fence IN (SELECT e.fence FROM {ended} e WHERE {over} LIMIT ?2)",
    "DELETE FROM {ended} WHERE fence IN (SELECT e.fence FROM {ended} e WHERE {over} LIMIT ?2)",
    "DELETE d FROM {ended} d JOIN (SELECT e.fence FROM {ended} e WHERE {over} LIMIT ?2) x ON x.fence = d.fence",
];
const OVER: &str = "e.ended_at <= ?1 AND (e.settled_at IS NOT NULL OR e.ended_at <= ?3) \
     AND NOT EXISTS (SELECT 1 FROM {refresh} r WHERE r.{r.user_id} = e.user_id AND r.{r.fence} = e.fence) \
     AND NOT EXISTS (SELECT 1 FROM {access} a WHERE a.{a.user_id} = e.user_id AND a.{a.fence} = e.fence)";

impl Endings {
    pub(super) fn new(dialect: Dialect, names: &Names) -> Self {
        let number = if dialect == Dialect::Mysql { "SIGNED" } else { "BIGINT" };
        let text = if dialect == Dialect::Mysql { "CHAR" } else { "VARCHAR" };
        let end = END
            .replace("{kept}", &format!("CAST(?4 AS {text}(36))"))
            .replace("{now}", &format!("CAST(?3 AS {number})"))
            .replace("{settled}", &format!("CAST(?5 AS {number})"));
        // The row of the fence is locked first, so that of two endings the later replaces the fence of the earlier.
        let lock = upsert_fence(dialect, Some("?3"));
        let script = |steps: &[&str]| {
            let steps: Vec<_> = steps.iter().map(|step| names.fill(step)).collect();
            Script::new(dialect, &steps.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let read = |template: &str| Statement::new(dialect, &names.fill(&template.replace("{stands}", STANDS)));
        let unfenced = UNFENCED_REFRESH.replace("{kept}", "?4");
        let unfenced = format!("DELETE FROM {{refresh}} WHERE {unfenced}");
        let unfenced_access = of_access(&unfenced);
        let after_change = [&*lock, KEEP_REFRESH, KEEP_ACCESS, &end, REPLACE, &unfenced, &unfenced_access];
        Self {
            end: script(&[ALWAYS, &lock, &end, REPLACE]).one_at_a_time(1),
            // The row of a session that is refreshed meanwhile moves to another key.
            end_but_one: script(&[ALWAYS, &lock, KEEP_REFRESH, KEEP_ACCESS, &end, REPLACE])
                .seeing_all()
                .one_at_a_time(1),
            after_change: after_change.iter().map(|step| names.fill(step)).collect(),
            unsettled: read(UNSETTLED),
            settle: script(&[SETTLE]),
            clear: removals(dialect, names, &CLEAR, &[("{of}", " WHERE e.user_id = ?1")]),
            clear_unfenced: removals(
                dialect,
                names,
                &CLEAR_UNFENCED,
                &[("{unfenced}", &UNFENCED_REFRESH.replace("{kept}", "?3"))],
            ),
            survey: read(SURVEY),
            sweep: sweep_all(dialect, names),
        }
    }
}

/// Removes refresh tokens before access tokens: a rotation that holds the row of a refresh token has recorded its access
/// token by the time those are removed.
fn removals(dialect: Dialect, names: &Names, templates: &[&str; 3], parts: &[(&str, &str)]) -> Script {
    let template = sweep::spelled(dialect, templates).to_owned();
    let refresh = parts.iter().fold(template, |text, (place, part)| text.replace(place, part));
    let (refresh, access) = (names.fill(&refresh), names.fill(&of_access(&refresh)));
    match dialect {
        Dialect::Postgres => Script::new(dialect, &[&counted(&[&refresh, &access])]),
        Dialect::Sqlite | Dialect::Mysql => Script::new(dialect, &[ALWAYS, &refresh, &access]),
    }
    .one_at_a_time(1)
}

fn sweep_all(dialect: Dialect, names: &Names) -> Script {
    let refresh = sweep::spelled(dialect, &CLEAR).replace("{of}", "");
    let (refresh, access) = (names.fill(&refresh), names.fill(&of_access(&refresh)));
    let ended = names.fill(&sweep::spelled(dialect, &SWEEP).replace("{over}", OVER));
    match dialect {
        Dialect::Postgres => Script::new(dialect, &[&counted(&[&refresh, &access, &ended])]),
        Dialect::Sqlite | Dialect::Mysql => Script::new(dialect, &[ALWAYS, &refresh, &access, &ended]),
    }
}

fn of_access(refresh: &str) -> String {
    refresh.replace("{refresh}", "{access}").replace("{r.", "{a.")
}
