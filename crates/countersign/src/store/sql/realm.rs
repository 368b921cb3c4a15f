//! The tables of a realm: the bundled ones again, with the name of the realm in front.

use crate::error::ConfigError;
use crate::store::sql::migrate::{BUNDLED, Migration, MigrationSet};
use crate::store::sql::{DatabaseTokenModels, Migrator, TokenTable};
use crate::token::check_realm;
use crate::user::UserKeyKind;

/// The bundled tables that hold what belongs to a user. Each realm has its own.
///
/// Denied ids are random, so all realms share their table.
const TABLES: [&str; 4] = [
    "access_token",
    "refresh_token",
    "session_fence",
    "ended_fence",
];

impl DatabaseTokenModels {
    /// Returns the names of the tables of a realm, which [`Migrator::realm`] creates:
    /// `<realm>_access_token`, `<realm>_refresh_token`, `<realm>_session_fence` and
    /// `<realm>_ended_fence`.
    ///
    /// Two kinds of users whose ids overlap, such as members and staff, need tables of their own.
    /// Otherwise "log out everywhere" of member 7 would end the sessions of the seventh of the
    /// staff. Digest the tokens with the same realm's keys
    /// ([`DigestKeyRing::realm`](crate::token::DigestKeyRing::realm)).
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `realm` if the name isn't 1 to 16 lower-case letters,
    /// digits and underscores that begin with a letter.
    pub fn realm(realm: &str, user_id: UserKeyKind) -> Result<Self, ConfigError> {
        check_realm(realm)?;
        let [access, refresh, fences, ended] = TABLES.map(|table| format!("{realm}_{table}"));
        Self::new(TokenTable::new(access), TokenTable::new(refresh), user_id)?
            .with_fences(fences)?
            .with_ended_fences(ended)
    }
}

impl Migrator {
    /// Adds the tables of a realm ([`DatabaseTokenModels::realm`]), beside the bundled ones.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] as [`DatabaseTokenModels::realm`] does.
    pub fn realm(mut self, realm: &str) -> Result<Self, ConfigError> {
        check_realm(realm)?;
        self.realms.push(realm.to_owned());
        let migrations = BUNDLED.migrations.iter().map(|bundled| Migration {
            sqlite: renamed(bundled.sqlite, realm),
            postgres: renamed(bundled.postgres, realm),
            mysql: renamed(bundled.mysql, realm),
            ..*bundled
        });
        let migrations: Vec<Migration> = migrations.collect();

        Ok(self.add(MigrationSet {
            name: leaked(format!("{}-{realm}", BUNDLED.name)),
            migrations: Vec::leak(migrations),
        }))
    }
}

/// Returns the text of a migration with the realm in front of the names of tables, and so within
/// those of their indexes.
fn renamed(text: &str, realm: &str) -> &'static str {
    let renamed = TABLES.iter().fold(text.to_owned(), |text, table| {
        text.replace(table, &format!("{realm}_{table}"))
    });
    leaked(renamed)
}

/// Returns the text for as long as the program runs. A program has few realms, and migrates each of
/// them once.
fn leaked(text: String) -> &'static str {
    String::leak(text)
}
