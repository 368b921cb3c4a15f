//! Parts of statements that several operations share.

use crate::store::sql::Dialect;

/// The condition that the fence of the refresh token wasn't replaced, so that its session wasn't
/// ended.
pub(super) const STANDS: &str =
    "NOT EXISTS (SELECT 1 FROM {ended} e WHERE e.fence = {refresh}.{r.fence})";

/// A guard that always lets the other steps run.
pub(super) const ALWAYS: &str = "SELECT 1";

/// Returns the insertion of a fence. With `used`, a fence that is there already is marked as used.
pub(super) fn upsert_fence(dialect: Dialect, used: Option<&str>) -> String {
    let insert = "\
        INSERT INTO {fences} (user_id, fence, used_at) \
        VALUES (?1, ?2, ?3)";
    match (dialect, used) {
        (Dialect::Mysql, used) => format!(
            "{insert} ON DUPLICATE KEY UPDATE used_at = {}",
            used.unwrap_or("used_at")
        ),
        (_, None) => format!("{insert} ON CONFLICT (user_id) DO NOTHING"),
        (_, Some(used)) => format!("{insert} ON CONFLICT (user_id) DO UPDATE SET used_at = {used}"),
    }
}

/// Returns one statement that runs several deletions, and answers one row with their counts.
pub(super) fn counted(removals: &[&str]) -> String {
    let parts = removals
        .iter()
        .enumerate()
        .map(|(at, removal)| format!("r{at} AS ({removal} RETURNING 1)"));
    let counts = (0..removals.len()).map(|at| format!("(SELECT count(*) FROM r{at})"));
    format!(
        "WITH {} SELECT {}",
        parts.collect::<Vec<_>>().join(", "),
        counts.collect::<Vec<_>>().join(", ")
    )
}
