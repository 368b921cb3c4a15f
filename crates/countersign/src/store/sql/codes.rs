//! The codes of errors that matter to more than one driver of the same database.
//!
//! They are the databases' own, and say the same through every client library: whether the
//! connection is lost, whether the statement was undone, whether waiting may help, and whether the
//! message is fit for a log.

/// SQLSTATEs of PostgreSQL.
#[cfg(any(feature = "postgres", feature = "sqlx-postgres"))]
pub(super) mod postgres {
    use crate::error::Symptom;

    /// Returns `true` if the connection can't be used any more: the server is shutting down, has
    /// crashed, or became a read-only replica meanwhile.
    pub(in crate::store::sql) fn is_loss(code: &str) -> bool {
        code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "25006")
    }

    /// Returns `true` if another transaction holds a lock. The statement was undone.
    pub(in crate::store::sql) fn is_held(code: &str) -> bool {
        code == "55P03"
    }

    /// Returns `true` if the transaction was rolled back in favour of another: after a
    /// serialization failure, a deadlock, or a wait for a lock.
    pub(in crate::store::sql) fn is_undone(code: &str) -> bool {
        matches!(code, "40001" | "40P01") || is_held(code)
    }

    /// Returns `true` if the tables have changed since the statement was prepared, and the types
    /// of parameters with them.
    pub(in crate::store::sql) fn is_stale(code: &str) -> bool {
        matches!(code, "26000" | "0A000" | "42883" | "42804")
    }

    /// Returns `true` if PostgreSQL can't do this now, but may later: it is out of connections,
    /// memory or disk, or the statement was cancelled or lost against others.
    pub(in crate::store::sql) fn is_busy(code: &str) -> bool {
        matches!(code.get(..2), Some("53" | "57" | "58" | "55")) || is_undone(code)
    }

    /// Returns `true` if messages with this code quote nothing but names: of missing objects, or
    /// of objects without permission.
    pub(in crate::store::sql) fn names_only(code: &str) -> bool {
        matches!(
            code,
            "42703" | "42P01" | "42501" | "28P01" | "28000" | "3D000"
        )
    }

    /// Returns the symptom that a code shows, if any.
    pub(in crate::store::sql) fn symptom(code: &str) -> Option<Symptom> {
        match code {
            "28P01" | "28000" => Some(Symptom::Credentials),
            "3D000" => Some(Symptom::NoDatabase),
            "57P01" | "57P02" | "57P03" => Some(Symptom::Starting),
            "53300" => Some(Symptom::Busy),
            "53100" | "53200" | "53400" => Some(Symptom::Full),
            "42501" => Some(Symptom::Rights),
            "25006" => Some(Symptom::ReadOnly),
            "42P01" | "42703" | "3F000" => Some(Symptom::NoTable),
            _ => None,
        }
    }
}

/// Numbers of errors of MySQL and MariaDB.
#[cfg(any(feature = "mysql", feature = "sqlx-mysql"))]
pub(super) mod mysql {
    use crate::error::Symptom;

    /// Errors after which nothing has taken effect: `ER_LOCK_DEADLOCK`, `ER_LOCK_WAIT_TIMEOUT`,
    /// `ER_CHECKREAD`, `ER_NEED_REPREPARE` and `ER_UNKNOWN_STMT_HANDLER`.
    const UNDONE: [u16; 5] = [1213, 1205, 1020, 1615, 1243];

    /// Errors of a server that is out of connections, memory or disk, is shutting down, has killed
    /// the statement, or is read-only.
    const BUSY: [u16; 18] = [
        1021, 1037, 1038, 1040, 1041, 1053, 1079, 1114, 1129, 1152, 1158, 1159, 1160, 1161, 1203,
        1226, 1290, 1317,
    ];
    /// The same, with the numbers of later versions and of MariaDB.
    const BUSY_TOO: [u16; 8] = [1836, 1927, 1969, 3024, 3100, 3168, 3169, 4031];

    /// Errors that refuse the account, its password or its privileges.
    const DENIED: [u16; 9] = [1044, 1045, 1142, 1143, 1227, 1370, 1410, 1524, 1698];
    /// Errors whose message quotes nothing but the name of a column, a table or a database.
    const NAMES: [u16; 3] = [1049, 1054, 1146];

    /// Returns `true` if the connection can't be used any more.
    pub(in crate::store::sql) fn is_loss(number: u16) -> bool {
        [1053, 1079, 1290, 1836, 1927, 4031].contains(&number)
    }

    /// Returns `true` if another transaction holds a row. The statement was undone.
    pub(in crate::store::sql) const fn is_held(number: u16) -> bool {
        number == 1205
    }

    /// Returns `true` if nothing has taken effect.
    pub(in crate::store::sql) fn is_undone(number: u16) -> bool {
        UNDONE.contains(&number)
    }

    /// Returns `true` if a change of a table isn't possible in the requested way: the server
    /// doesn't know that way, or not for this change.
    pub(in crate::store::sql) fn is_way_refused(number: u16) -> bool {
        [1800, 1801, 1845, 1846].contains(&number)
    }

    /// Returns `true` if the statement can't be prepared and must be sent as text
    /// (`ER_UNSUPPORTED_PS`).
    pub(in crate::store::sql) const fn needs_text(number: u16) -> bool {
        number == 1295
    }

    /// Returns `true` if the server can't do this now, but may later.
    pub(in crate::store::sql) fn is_busy(number: u16) -> bool {
        BUSY.contains(&number) || BUSY_TOO.contains(&number) || is_undone(number)
    }

    /// Returns `true` if messages with this number quote nothing but names.
    pub(in crate::store::sql) fn names_only(number: u16) -> bool {
        DENIED.contains(&number) || NAMES.contains(&number)
    }

    /// Returns the symptom that a number shows, if any.
    pub(in crate::store::sql) const fn symptom(number: u16) -> Option<Symptom> {
        match number {
            1045 | 1698 => Some(Symptom::Credentials),
            1044 | 1142 | 1143 | 1227 | 1370 => Some(Symptom::Rights),
            1049 => Some(Symptom::NoDatabase),
            1054 | 1146 => Some(Symptom::NoTable),
            1040 | 1203 | 1226 => Some(Symptom::Busy),
            1053 | 1079 | 3169 => Some(Symptom::Starting),
            1290 | 1836 | 3100 => Some(Symptom::ReadOnly),
            1021 | 1037 | 1038 | 1041 | 1114 => Some(Symptom::Full),
            _ => None,
        }
    }
}
