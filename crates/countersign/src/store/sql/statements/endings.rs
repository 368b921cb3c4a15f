//! Statements that end everything of a user: by replacing the fence, at a cost that doesn't depend
//! on the number of sessions.
//!
//! The replaced fence is inserted into the table of ended fences. Queries for tokens look there, so
//! everything recorded with that fence is gone from that moment. Its rows are deleted later, in
//! batches.

use crate::store::sql::statements::names::Names;
use crate::store::sql::statements::parts::{ALWAYS, counted, upsert_fence};
use crate::store::sql::statements::sweep;
use crate::store::sql::{Dialect, Script, Statement};

/// The statements that end everything of a user. Each field lists its parameters.
#[derive(Clone, Debug)]
pub(in crate::store::sql) struct Endings {
    /// The replacement of a user's fence. 1 user, 2 new fence, 3 now, 4 session that is kept, 5
    /// time of settlement.
    pub(in crate::store::sql) end: Script,
    /// The same, with one session that continues: its rows get the new fence first.
    pub(in crate::store::sql) end_but_one: Script,
    /// The steps that follow a change of an account, as templates: those of `end_but_one`, and the
    /// deletion of tokens without a fence.
    pub(in crate::store::sql) after_change: Vec<String>,
    /// The query for replaced fences whose signed tokens may not be denied yet. 1 user.
    pub(in crate::store::sql) unsettled: Statement,
    /// The update that marks a fence as settled, once its signed tokens are denied. 1 fence, 2 now,
    /// 3 user.
    pub(in crate::store::sql) settle: Script,
    /// The deletion of some ended tokens of a user. 1 user, 2 limit of rows, 3 session that is
    /// kept.
    pub(in crate::store::sql) clear: Script,
    /// The deletion of some of a user's tokens without a fence. Parameters as for `clear`.
    pub(in crate::store::sql) clear_unfenced: Script,
    /// The counts for a part of a user's sessions. 1 user, 2 now, 3 cutoff of refresh tokens, 4
    /// session id to begin after, 5 limit of rows.
    pub(in crate::store::sql) survey: Statement,
    /// The deletion of ended tokens and then of their fences. 1 cutoff of settled fences, 2 limit
    /// of rows, 3 cutoff of all fences.
    pub(in crate::store::sql) sweep: Script,
}

/// The update that keeps a session, if it was recorded with the fence that is replaced now.
///
/// A session that ended earlier stays ended. A session without a fence stays without: another
/// ending, which has replaced the fence already, may be about to delete it.
const KEEP_REFRESH: &str = "\
    UPDATE {refresh} \
    SET {r.fence} = ?2 \
    WHERE {r.session_id} = ?4 \
      AND {r.user_id} = ?1 \
      AND {r.fence} = (SELECT fence FROM {fences} WHERE user_id = ?1)";

/// The same update for the access tokens of the kept session.
const KEEP_ACCESS: &str = "\
    UPDATE {access} \
    SET {a.fence} = ?2 \
    WHERE {a.session_id} = ?4 \
      AND {no_index}{a.user_id} = ?1 \
      AND {a.fence} = (SELECT fence FROM {fences} WHERE user_id = ?1)";

/// The entry for the replaced fence. None is made if the fence is new: the user had none, or this
/// repeats a call that took effect.
const END: &str = "\
    INSERT INTO {ended} (fence, user_id, kept_session_id, ended_at, settled_at) \
    SELECT fence, user_id, NULLIF({kept}, '-'), {now}, {settled} \
    FROM {fences} \
    WHERE user_id = ?1 \
      AND fence <> ?2";

/// The replacement of the fence. It comes last, since the steps before it read the old fence.
const REPLACE: &str = "\
    UPDATE {fences} \
    SET fence = ?2 \
    WHERE user_id = ?1";

/// The condition for a user's rows without a fence, except those of the session that is kept.
const UNFENCED_REFRESH: &str = "\
    {r.user_id} = ?1 \
      AND {r.fence} IS NULL \
      AND COALESCE({r.session_id}, '') <> {kept}";

/// The fences whose signed tokens may still be accepted somewhere.
const UNSETTLED: &str = "\
    SELECT fence, kept_session_id, ended_at \
    FROM {ended} \
    WHERE user_id = ?1 \
      AND settled_at IS NULL";

/// The update that marks a replaced fence as settled, once its signed tokens are denied.
const SETTLE: &str = "\
    UPDATE {ended} \
    SET settled_at = ?2 \
    WHERE fence = ?1 \
      AND user_id = ?3";

/// A part of the list: the number of its rows, the number of live ones, the latest expiry of a
/// signed access token, and the last session id.
const SURVEY: &str = "\
    SELECT COUNT(*), \
        COUNT(CASE WHEN live = 1 THEN 1 END), \
        MAX(CASE WHEN live = 1 THEN access_end END), \
        MAX(id) \
    FROM (\
        SELECT {r.session_id} AS id, \
            {r.access_expires_at} AS access_end, \
            CASE \
                WHEN ({r.expires_at} > ?2 OR ({r.expires_at} IS NULL AND {r.created_at} > ?3)) \
                  AND {stands} THEN 1 \
                ELSE 0 \
            END AS live \
        FROM {refresh} \
        WHERE {r.user_id} = ?1 \
          AND {r.session_id} > ?4 \
        ORDER BY {r.session_id} \
        LIMIT ?5\
    ) part";

/// The deletion of rows whose fence was replaced. `{of}` restricts it to one user.
const CLEAR: [&str; 3] = [
    // The few ended fences come first: without statistics SQLite would scan all tokens instead.
    "DELETE FROM {refresh} \
     WHERE {r.token} IN (\
         SELECT t.{r.token} \
         FROM {ended} e \
         CROSS JOIN {refresh} t ON t.{r.user_id} = e.user_id \
           AND t.{r.fence} = e.fence{of} \
         LIMIT ?2\
     )",
    "DELETE FROM {refresh} \
     WHERE {r.token} IN (\
         SELECT {r.token} \
         FROM (\
             SELECT t.{r.token} \
             FROM {ended} e \
             JOIN {refresh} t ON t.{r.user_id} = e.user_id \
               AND t.{r.fence} = e.fence{of} \
             LIMIT ?2 \
             FOR UPDATE OF t SKIP LOCKED\
         ) x\
     )",
    "DELETE d \
     FROM {refresh} d \
     JOIN (\
         SELECT t.{r.token} \
         FROM {ended} e \
         JOIN {refresh} t ON t.{r.user_id} = e.user_id \
           AND t.{r.fence} = e.fence{of} \
         LIMIT ?2\
     ) x ON x.{r.token} = d.{r.token}",
];

/// The deletion of a user's rows without a fence.
const CLEAR_UNFENCED: [&str; 3] = [
    "DELETE FROM {refresh} \
     WHERE {r.token} IN (SELECT {r.token} FROM {refresh} WHERE {unfenced} LIMIT ?2)",
    "DELETE FROM {refresh} \
     WHERE {unfenced} \
       AND {r.token} IN (SELECT {r.token} FROM {refresh} WHERE {unfenced} LIMIT ?2)",
    "DELETE FROM {refresh} \
     WHERE {unfenced} \
     LIMIT ?2",
];

/// The deletion of replaced fences that no row was recorded with any more.
const SWEEP: [&str; 3] = [
    "DELETE FROM {ended} \
     WHERE fence IN (SELECT e.fence FROM {ended} e WHERE {over} LIMIT ?2)",
    "DELETE FROM {ended} \
     WHERE fence IN (SELECT e.fence FROM {ended} e WHERE {over} LIMIT ?2)",
    "DELETE d \
     FROM {ended} d \
     JOIN (SELECT e.fence FROM {ended} e WHERE {over} LIMIT ?2) x ON x.fence = d.fence",
];
/// The condition that a replaced fence may be forgotten: it is older than the first cutoff, it is
/// settled or older than the second, and no row has it.
const OVER: &str = "\
    e.ended_at <= ?1 \
      AND (e.settled_at IS NOT NULL OR e.ended_at <= ?3) \
      AND NOT EXISTS (\
          SELECT 1 \
          FROM {refresh} r \
          WHERE r.{r.user_id} = e.user_id \
            AND r.{r.fence} = e.fence\
      ) \
      AND NOT EXISTS (\
          SELECT 1 \
          FROM {access} a \
          WHERE a.{a.user_id} = e.user_id \
            AND a.{a.fence} = e.fence\
      )";

impl Endings {
    /// Spells the statements in `dialect`, with the configured names.
    pub(super) fn new(dialect: Dialect, names: &Names) -> Self {
        let number = if dialect == Dialect::Mysql {
            "SIGNED"
        } else {
            "BIGINT"
        };
        let text = if dialect == Dialect::Mysql {
            "CHAR"
        } else {
            "VARCHAR"
        };
        let end = END
            .replace("{kept}", &format!("CAST(?4 AS {text}(36))"))
            .replace("{now}", &format!("CAST(?3 AS {number})"))
            .replace("{settled}", &format!("CAST(?5 AS {number})"));
        // Locking the fence's row first puts concurrent endings in an order: the later one replaces
        // the fence that the earlier one has set.
        let lock = upsert_fence(dialect, Some("?3"));

        let unfenced = UNFENCED_REFRESH.replace("{kept}", "?4");
        let unfenced = format!("DELETE FROM {{refresh}} WHERE {unfenced}");
        let unfenced_access = of_access(&unfenced);
        let after_change = [
            &*lock,
            KEEP_REFRESH,
            KEEP_ACCESS,
            &end,
            REPLACE,
            &unfenced,
            &unfenced_access,
        ];

        Self {
            end: names
                .script(&[ALWAYS, &lock, &end, REPLACE])
                .one_at_a_time(1),
            // A refresh moves the session's row to another key meanwhile, and the update must still
            // find it.
            end_but_one: names
                .script(&[ALWAYS, &lock, KEEP_REFRESH, KEEP_ACCESS, &end, REPLACE])
                .seeing_all()
                .one_at_a_time(1),
            after_change: after_change.iter().map(|step| names.fill(step)).collect(),
            unsettled: names.statement(UNSETTLED),
            settle: names.script(&[SETTLE]),
            clear: removals(dialect, names, &CLEAR, &[("{of}", " WHERE e.user_id = ?1")]),
            clear_unfenced: removals(
                dialect,
                names,
                &CLEAR_UNFENCED,
                &[("{unfenced}", &UNFENCED_REFRESH.replace("{kept}", "?3"))],
            ),
            survey: names.statement(SURVEY),
            sweep: sweep_all(dialect, names),
        }
    }
}

/// Returns the deletion of refresh tokens and then of access tokens.
///
/// The order matters: a rotation that holds a refresh token's row has recorded its access token by
/// the time access tokens are deleted.
fn removals(
    dialect: Dialect,
    names: &Names,
    templates: &[&str; 3],
    parts: &[(&str, &str)],
) -> Script {
    let template = sweep::spelled(dialect, templates).to_owned();
    let refresh = parts
        .iter()
        .fold(template, |text, (place, part)| text.replace(place, part));
    let (refresh, access) = (names.fill(&refresh), names.fill(&of_access(&refresh)));
    match dialect {
        Dialect::Postgres => Script::new(dialect, &[&counted(&[&refresh, &access])]),
        Dialect::Sqlite | Dialect::Mysql => Script::new(dialect, &[ALWAYS, &refresh, &access]),
    }
    .one_at_a_time(1)
}

/// Returns the deletion of all users' ended tokens, and of fences that nothing was recorded with
/// any more.
fn sweep_all(dialect: Dialect, names: &Names) -> Script {
    let refresh = sweep::spelled(dialect, &CLEAR).replace("{of}", "");
    let (refresh, access) = (names.fill(&refresh), names.fill(&of_access(&refresh)));
    let ended = names.fill(&sweep::spelled(dialect, &SWEEP).replace("{over}", OVER));
    match dialect {
        Dialect::Postgres => Script::new(dialect, &[&counted(&[&refresh, &access, &ended])]),
        Dialect::Sqlite | Dialect::Mysql => {
            Script::new(dialect, &[ALWAYS, &refresh, &access, &ended])
        }
    }
}

/// Returns the same statement for the table of access tokens.
fn of_access(refresh: &str) -> String {
    refresh
        .replace("{refresh}", "{access}")
        .replace("{r.", "{a.")
}
