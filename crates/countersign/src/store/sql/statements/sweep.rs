//! What has ended leaves in bounded batches.

use crate::store::sql::statements::names::Names;
use crate::store::sql::statements::{ALWAYS, counted};
use crate::store::sql::{Dialect, Script};

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

/// The fences that were used longest ago. Whoever has a token keeps the fence that it was recorded behind: it counts as
/// used, so that nobody looks at it again for a day.
const TOUCH_FENCES: [&str; 3] = [
    "UPDATE {fences} SET used_at = ?1 WHERE used_at <= ?2 AND user_id IN (SELECT f.user_id FROM \
     (SELECT user_id FROM {fences} WHERE used_at <= ?2 ORDER BY used_at LIMIT ?3) f WHERE {held})",
    "UPDATE {fences} SET used_at = ?1 WHERE used_at <= ?2 AND user_id IN (SELECT f.user_id FROM \
     (SELECT user_id FROM {fences} WHERE used_at <= ?2 ORDER BY used_at LIMIT ?3) f WHERE {held})",
    "UPDATE {fences} t JOIN (SELECT f.user_id FROM \
     (SELECT user_id FROM {fences} WHERE used_at <= ?2 ORDER BY used_at LIMIT ?3) f WHERE {held}) h \
     ON h.user_id = t.user_id SET t.used_at = ?1 WHERE t.used_at <= ?2",
];

/// The condition is repeated outside: a login that uses the fence meanwhile keeps it.
const SWEEP_FENCES: [&str; 3] = [
    "DELETE FROM {fences} WHERE used_at <= ?5 AND user_id IN (SELECT f.user_id FROM \
     (SELECT user_id FROM {fences} WHERE used_at <= ?5 ORDER BY used_at LIMIT ?4) f WHERE NOT ({held}))",
    "DELETE FROM {fences} WHERE used_at <= ?5 AND user_id IN (SELECT f.user_id FROM \
     (SELECT user_id FROM {fences} WHERE used_at <= ?5 ORDER BY used_at LIMIT ?4) f WHERE NOT ({held}))",
    "DELETE t FROM {fences} t JOIN (SELECT f.user_id FROM \
     (SELECT user_id FROM {fences} WHERE used_at <= ?5 ORDER BY used_at LIMIT ?4) f WHERE NOT ({held})) h \
     ON h.user_id = t.user_id WHERE t.used_at <= ?5",
];

const HELD: &str = "EXISTS (SELECT 1 FROM {refresh} r WHERE r.{r.user_id} = f.user_id) \
     OR EXISTS (SELECT 1 FROM {access} a WHERE a.{a.user_id} = f.user_id)";

/// Removes expired tokens and fences that nobody uses.
pub(super) fn expired(dialect: Dialect, names: &Names) -> Script {
    let access = spelled(dialect, &SWEEP_ACCESS);
    let refresh = access.replace("{access}", "{refresh}").replace("{a.", "{r.").replace("?2", "?3");
    let (refresh, access) = (names.fill(&refresh), names.fill(access));
    let fences = names.fill(&spelled(dialect, &SWEEP_FENCES).replace("{held}", HELD));
    match dialect {
        Dialect::Postgres => Script::new(dialect, &[&counted(&[&refresh, &access, &fences])]),
        Dialect::Sqlite | Dialect::Mysql => Script::new(dialect, &[ALWAYS, &refresh, &access, &fences]),
    }
}

/// Notes that the fences are in use of users who have tokens: 1 now, 2 cutoff, 3 rows.
pub(super) fn held_fences(dialect: Dialect, names: &Names) -> Script {
    Script::new(dialect, &[&names.fill(&spelled(dialect, &TOUCH_FENCES).replace("{held}", HELD))])
}

pub(super) fn spelled<'a>(dialect: Dialect, [sqlite, postgres, mysql]: &[&'a str; 3]) -> &'a str {
    match dialect {
        Dialect::Sqlite => sqlite,
        Dialect::Postgres => postgres,
        Dialect::Mysql => mysql,
    }
}
