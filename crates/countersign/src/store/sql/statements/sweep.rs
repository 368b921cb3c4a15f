//! Statements that delete expired rows in bounded batches.
//!
//! Each deletion first selects a limited number of keys by an index, and then deletes these, so
//! that a batch costs the same for any number of expired rows. The arrays have one variant per
//! dialect: SQLite, PostgreSQL, MySQL.

use crate::store::sql::statements::names::Names;
use crate::store::sql::statements::parts::{ALWAYS, counted};
use crate::store::sql::{Dialect, Script};

/// The deletion of expired access tokens.
///
/// SQLite's columns accept any type. A value that readers can't take for a time counts as expired
/// there: a text in `expires_at`, or a text in `created_at` that doesn't begin with a year. Each
/// part of the query is a range of an index.
const SWEEP_ACCESS: [&str; 3] = [
    "DELETE FROM {access} \
     WHERE {a.token} IN (\
         SELECT {a.token} \
         FROM {access} \
         WHERE {a.expires_at} <= ?1 \
         UNION ALL \
         SELECT {a.token} \
         FROM {access} \
         WHERE {a.expires_at} > 9223372036854775807 \
         UNION ALL \
         SELECT {a.token} \
         FROM {access} \
         WHERE {a.expires_at} IS NULL \
           AND {a.created_at} <= ?2 \
           AND CASE \
             WHEN typeof({a.created_at}) = 'integer' \
               THEN {a.created_at} < unixepoch(?2) * 1000000 \
             WHEN substr({a.created_at}, 11) NOT LIKE '%-%' \
               THEN TRUE \
             ELSE COALESCE(\
               unixepoch({a.created_at}) < unixepoch(?2), \
               {a.created_at} < datetime(?2, '-1 day')\
             ) \
           END \
         UNION ALL \
         SELECT {a.token} \
         FROM {access} \
         WHERE {a.expires_at} IS NULL \
           AND {a.created_at} > datetime(?1 / 1000000, 'unixepoch', '+1 day') \
           AND {a.created_at} NOT GLOB '[0-9][0-9][0-9][0-9]*' \
         LIMIT ?4\
     )",
    // Concurrent sweeps skip each other's rows. A sweep that waited instead would find the rows
    // gone, and report that nothing is left.
    "DELETE FROM {access} \
     WHERE {a.token} IN (\
         SELECT {a.token} \
         FROM (\
             SELECT {a.token} \
             FROM {access} \
             WHERE {a.expires_at} <= ?1 \
             LIMIT ?4 \
             FOR UPDATE SKIP LOCKED\
         ) ended \
         UNION ALL \
         SELECT {a.token} \
         FROM (\
             SELECT {a.token} \
             FROM {access} \
             WHERE {a.expires_at} IS NULL \
               AND {a.created_at} <= ?2 \
             LIMIT ?4 \
             FOR UPDATE SKIP LOCKED\
         ) aged \
         LIMIT ?4\
     )",
    // Each part has a limit of its own: with one on the whole, MySQL would first copy all expired
    // keys.
    "DELETE t \
     FROM {access} t \
     JOIN (\
         (\
             SELECT {a.token} \
             FROM {access} \
             WHERE {a.expires_at} <= ?1 \
             LIMIT ?4\
         ) \
         UNION ALL (\
             SELECT {a.token} \
             FROM {access} \
             WHERE {a.expires_at} IS NULL \
               AND {a.created_at} <= ?2 \
             LIMIT ?4\
         ) \
         LIMIT ?4\
     ) ended ON ended.{a.token} = t.{a.token}",
];

/// The update of [`TOUCH_FENCES`] for SQLite and PostgreSQL.
const TOUCH_LISTED_FENCES: &str = "\
    UPDATE {fences} \
    SET used_at = ?1 \
    WHERE used_at <= ?2 \
      AND user_id IN (\
          SELECT f.user_id \
          FROM (\
              SELECT user_id \
              FROM {fences} \
              WHERE used_at <= ?2 \
              ORDER BY used_at \
              LIMIT ?3\
          ) f \
          WHERE {held}\
      )";

/// The update of the fences that were used longest ago, if their users have tokens.
///
/// Such a fence must stay, and counts as used now, so that no sweep looks at it again for a day.
const TOUCH_FENCES: [&str; 3] = [
    TOUCH_LISTED_FENCES,
    TOUCH_LISTED_FENCES,
    "UPDATE {fences} t \
     JOIN (\
         SELECT f.user_id \
         FROM (\
             SELECT user_id \
             FROM {fences} \
             WHERE used_at <= ?2 \
             ORDER BY used_at \
             LIMIT ?3\
         ) f \
         WHERE {held}\
     ) h ON h.user_id = t.user_id \
     SET t.used_at = ?1 \
     WHERE t.used_at <= ?2",
];

/// The deletion of [`SWEEP_FENCES`] for SQLite and PostgreSQL.
const SWEEP_LISTED_FENCES: &str = "\
    DELETE FROM {fences} \
    WHERE used_at <= ?5 \
      AND user_id IN (\
          SELECT f.user_id \
          FROM (\
              SELECT user_id \
              FROM {fences} \
              WHERE used_at <= ?5 \
              ORDER BY used_at \
              LIMIT ?4\
          ) f \
          WHERE NOT ({held})\
      )";

/// The deletion of the fences that were used longest ago, if their users have no tokens. The outer
/// condition repeats the cutoff, so that a fence which a login has used meanwhile stays.
const SWEEP_FENCES: [&str; 3] = [
    SWEEP_LISTED_FENCES,
    SWEEP_LISTED_FENCES,
    "DELETE t \
     FROM {fences} t \
     JOIN (\
         SELECT f.user_id \
         FROM (\
             SELECT user_id \
             FROM {fences} \
             WHERE used_at <= ?5 \
             ORDER BY used_at \
             LIMIT ?4\
         ) f \
         WHERE NOT ({held})\
     ) h ON h.user_id = t.user_id \
     WHERE t.used_at <= ?5",
];

/// The condition that a user has a token.
const HELD: &str = "\
    EXISTS (SELECT 1 FROM {refresh} r WHERE r.{r.user_id} = f.user_id) \
      OR EXISTS (SELECT 1 FROM {access} a WHERE a.{a.user_id} = f.user_id)";

/// Returns the deletion of expired tokens and of unused fences.
pub(super) fn expired(dialect: Dialect, names: &Names) -> Script {
    let access = spelled(dialect, &SWEEP_ACCESS);
    let refresh = access
        .replace("{access}", "{refresh}")
        .replace("{a.", "{r.")
        .replace("?2", "?3");
    let (refresh, access) = (names.fill(&refresh), names.fill(access));
    let fences = names.fill(&spelled(dialect, &SWEEP_FENCES).replace("{held}", HELD));

    match dialect {
        Dialect::Postgres => Script::new(dialect, &[&counted(&[&refresh, &access, &fences])]),
        Dialect::Sqlite | Dialect::Mysql => {
            Script::new(dialect, &[ALWAYS, &refresh, &access, &fences])
        }
    }
}

/// Returns the update of old fences whose users have tokens. 1 now, 2 cutoff, 3 limit of rows.
pub(super) fn held_fences(dialect: Dialect, names: &Names) -> Script {
    Script::new(
        dialect,
        &[&names.fill(&spelled(dialect, &TOUCH_FENCES).replace("{held}", HELD))],
    )
}

/// Returns the variant for `dialect`.
pub(super) fn spelled<'a>(dialect: Dialect, [sqlite, postgres, mysql]: &[&'a str; 3]) -> &'a str {
    match dialect {
        Dialect::Sqlite => sqlite,
        Dialect::Postgres => postgres,
        Dialect::Mysql => mysql,
    }
}
