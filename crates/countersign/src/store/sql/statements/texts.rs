//! The texts of the statements on single tokens and sessions, as templates.
//!
//! A clause has a line of its own here, as in the other files of this module. The line breaks
//! aren't sent: a backslash at the end of a line takes the break and the indentation out of the
//! text.
//!
//! The names of parameters, tables and columns are explained in the parent module.

/// The query for an access token `t` and its joined user `u`. A token whose fence was replaced
/// isn't found.
pub(super) const FIND_ACCESS: &str = "\
    SELECT t.{a.token}, t.{a.user_id}, t.{a.session_id}, t.{a.created_at}, \
        t.{a.expires_at}{u.columns} \
    FROM {access} t{u.join} \
    WHERE t.{a.token} = ?1 \
      AND NOT EXISTS (SELECT 1 FROM {ended} e WHERE e.fence = t.{a.fence})";

/// The query for a refresh token. `refresh_record` reads the columns in this order.
///
/// A token whose fence was replaced isn't found, as with [`FIND_ACCESS`].
pub(super) const FIND_REFRESH: &str = "\
    SELECT {r.token}, {r.user_id}, {r.session_id}, {r.created_at}, {r.expires_at}, \
        {r.session_expires_at}, {r.consumed}, {r.access_expires_at}, {r.fence} \
    FROM {refresh} \
    WHERE {r.token} = ?1 \
      AND {stands}";

/// The query for the current refresh token of a family. Its columns are those of [`FIND_REFRESH`].
pub(super) const FIND_FAMILY: &str = "\
    SELECT {r.token}, {r.user_id}, {r.session_id}, {r.created_at}, {r.expires_at}, \
        {r.session_expires_at}, {r.consumed}, {r.access_expires_at}, {r.fence} \
    FROM {refresh} \
    WHERE {r.family} = ?1 \
      AND {stands}";

/// The columns of a session, in the order in which `session_record` reads them.
pub(super) const SESSION: &str = "\
    SELECT {r.session_id}, {r.opened_at}, {r.created_at}, {r.last_used_at}, {r.expires_at}, \
        {r.session_expires_at}, {r.user_agent}, {r.ip}, {r.label}, {r.access_expires_at}, \
        {r.token}, {r.consumed}, {r.fence}, {r.authenticated_at} \
    FROM {refresh} \
    WHERE ";

/// The condition for one session of a user, if it wasn't ended.
pub(super) const ONE_SESSION: &str = "{r.session_id} = ?1 AND {r.user_id} = ?2 AND {stands}";

/// The condition and the order for sessions without a fence, which have an index of their own.
/// `{no_index}` keeps SQLite from walking through all sessions of the user in their order instead.
pub(super) const UNFENCED_SESSIONS: &str = "\
    {r.user_id} = ?1 \
      AND {r.fence} IS NULL \
      AND {no_index}{r.session_id} > ?2 \
    ORDER BY {no_index}{r.session_id} \
    LIMIT ?3";

/// The live sessions among a bounded number of rows, followed by one more row: the id of the last
/// row that was read, and how many were read.
///
/// The innermost query reads the rows in the order of an index and tells which are live. The next
/// one keeps as many live ones as the page may have, and the part behind `UNION ALL` adds the last
/// row, whose other columns are null.
pub(super) const SESSIONS: &str = "\
    SELECT * \
    FROM (\
        SELECT id, opened_at, created_at, last_used_at, expires_at, session_expires_at, \
            user_agent, ip, label, access_expires_at, token, consumed, fence, \
            authenticated_at, live, 0 AS looked_at \
        FROM (\
            SELECT {r.session_id} AS id, {r.opened_at} AS opened_at, \
                {r.created_at} AS created_at, {r.last_used_at} AS last_used_at, \
                {r.expires_at} AS expires_at, \
                {r.session_expires_at} AS session_expires_at, \
                {r.user_agent} AS user_agent, {r.ip} AS ip, {r.label} AS label, \
                {r.access_expires_at} AS access_expires_at, {r.token} AS token, \
                {r.consumed} AS consumed, {r.fence} AS fence, \
                {r.authenticated_at} AS authenticated_at, \
                CASE WHEN {stands} THEN 1 ELSE 0 END AS live \
            FROM {refresh} \
            WHERE {r.user_id} = ?1 \
              AND {r.session_id} > ?2 \
            ORDER BY {r.session_id} \
            LIMIT ?4\
        ) part \
        WHERE live = 1 \
        ORDER BY id \
        LIMIT ?3\
    ) live_ones \
    UNION ALL \
    SELECT MAX(id), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
        NULL, 0, COUNT(*) \
    FROM (\
        SELECT {r.session_id} AS id \
        FROM {refresh} \
        WHERE {r.user_id} = ?1 \
          AND {r.session_id} > ?2 \
        ORDER BY {r.session_id} \
        LIMIT ?4\
    ) part \
    ORDER BY live DESC, id";

/// The query for the fence that new sessions of a user are recorded with.
pub(super) const FENCE: &str = "\
    SELECT fence \
    FROM {fences} \
    WHERE user_id = ?1";

/// The guard of a login: it locks the row of the user's fence until the session is recorded.
pub(super) const GUARD: &str = "\
    UPDATE {fences} \
    SET used_at = ?8 \
    WHERE user_id = ?3 \
      AND fence = ?13";

/// The guard for an access token without a session.
pub(super) const GUARD_ACCESS: &str = "\
    UPDATE {fences} \
    SET used_at = ?7 \
    WHERE user_id = ?3 \
      AND fence = ?6";

/// The beginning of every insertion of an access token.
pub(super) const INSERT_ACCESS: &str = "\
    INSERT INTO {access} ({a.token}, {a.created_at}, {a.user_id}, {a.session_id}, \
        {a.expires_at}, {a.fence}) ";

/// The values of an access token.
pub(super) const ACCESS: &str = "?1, ?2, ?3, ?4, ?5, ?6";

/// The beginning of every insertion of a refresh token.
pub(super) const INSERT_REFRESH: &str = "\
    INSERT INTO {refresh} ({r.token}, {r.created_at}, {r.user_id}, {r.session_id}, \
        {r.expires_at}, {r.session_expires_at}, {r.family}, {r.opened_at}, {r.user_agent}, \
        {r.ip}, {r.label}, {r.access_expires_at}, {r.fence}) ";

/// The values of a refresh token.
pub(super) const OPENING: &str = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13";

/// The rotation, in place: a session keeps its row, and of concurrent rotations exactly one finds
/// the presented token in it.
pub(super) const ROTATE: &str = "\
    UPDATE {refresh} \
    SET {r.token} = ?2, \
        {r.created_at} = ?3, \
        {r.expires_at} = ?4, \
        {r.session_id} = COALESCE({r.session_id}, ?5), \
        {r.session_expires_at} = COALESCE({r.session_expires_at}, ?6), \
        {r.family} = ?7, \
        {r.consumed} = ?8, \
        {r.access_expires_at} = {later} \
    WHERE {r.token} = ?1 \
      AND {stands}";

/// The new time of the latest authentication, which never moves back. It updates the session's row
/// and inserts none, so it revives nothing.
pub(super) const REAUTHENTICATE: &str = "\
    UPDATE {refresh} \
    SET {r.authenticated_at} = {latest}(COALESCE({r.authenticated_at}, ?3), ?3) \
    WHERE {r.session_id} = ?1 \
      AND {no_index}{r.user_id} = ?2 \
      AND (?4 = '' OR {r.fence} IS NULL OR {r.fence} = ?4) \
      AND {stands}";

/// The deletion of an access token, whoever its user is.
pub(super) const REMOVE_ACCESS: &str = "\
    DELETE FROM {access} \
    WHERE {a.token} = ?1";

/// The deletion of an access token if it belongs to a certain user.
pub(super) const REMOVE_OWN_ACCESS: &str = "\
    DELETE FROM {access} \
    WHERE {a.token} = ?1 \
      AND {a.user_id} = ?2";

/// The deletion of a refresh token without a session. One with a session is deleted only together
/// with it.
pub(super) const REMOVE_REFRESH: &str = "\
    DELETE FROM {refresh} \
    WHERE {r.token} = ?1 \
      AND {r.session_id} IS NULL";

/// The same deletion if the refresh token belongs to a certain user.
pub(super) const REMOVE_OWN_REFRESH: &str = "\
    DELETE FROM {refresh} \
    WHERE {r.token} = ?1 \
      AND {r.session_id} IS NULL \
      AND {r.user_id} = ?2";

/// The deletion of a session's refresh token.
pub(super) const END_SESSION: &str = "\
    DELETE FROM {refresh} \
    WHERE {r.session_id} = ?1 \
      AND {r.user_id} = ?2 \
      AND {stands}";

/// The deletion of a session's access tokens.
pub(super) const END_SESSION_ACCESS: &str = "\
    DELETE FROM {access} \
    WHERE {a.session_id} = ?1 \
      AND {no_index}{a.user_id} = ?2";
