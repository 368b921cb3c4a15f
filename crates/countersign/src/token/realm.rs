//! The names of realms: kinds of users that one application keeps apart.

use crate::error::ConfigError;

/// The longest name of a realm. Names of tables and indexes are made of it, and PostgreSQL cuts
/// longer ones than 63 bytes.
const MAX_LENGTH: usize = 16;

/// Checks the name of a realm.
///
/// # Errors
///
/// Returns a [`ConfigError`] that names `realm` if `name` isn't 1 to 16 lower-case letters, digits
/// and underscores that begin with a letter.
pub(crate) fn check_realm(name: &str) -> Result<(), ConfigError> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if name.len() <= MAX_LENGTH
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && is_plain
    {
        return Ok(());
    }

    Err(ConfigError::new(
        "realm",
        "has an invalid name",
        "use 1 to 16 lower-case letters, digits and `_`, such as staff",
    ))
}
