//! Names of the tables and columns that hold tokens: `DatabaseTokenModels` of the strategies page.
//!
//! Start with [`DatabaseTokenModels::bundled`] unless tables of other names exist. Names become
//! part of SQL texts, so each is checked when it is set, and quoted when it is used.

use std::borrow::Cow;

use crate::error::{ConfigError, Failure};
use crate::store::sql::user_ids::refuse_another_kind;
use crate::store::sql::{Dialect, Driver, SetupError, Statement};
use crate::user::UserKeyKind;
use crate::value::Value;

/// The names of one table of tokens and of its columns.
///
/// Columns keep their default names unless they are set. `token`, `created_at` and `user_id` are
/// the columns of litestar-auth. The others are added by countersign, and are null in rows that
/// litestar-auth wrote.
///
/// # Examples
///
/// ```
/// use countersign::user::UserKeyKind;
/// use countersign::store::sql::{DatabaseTokenModels, TokenTable};
///
/// let access = TokenTable::new("api_key").token("digest");
/// let refresh = TokenTable::new("api_refresh").token("digest");
/// assert!(DatabaseTokenModels::new(access, refresh, UserKeyKind::Int).is_ok());
///
/// let incomplete = TokenTable::new("api_key").user_id("").created_at("created at");
/// let refresh = TokenTable::new("r");
/// let error = DatabaseTokenModels::new(incomplete, refresh, UserKeyKind::Int).unwrap_err();
/// let problem = "access_token_model: has an invalid name for created_at, user_id";
/// assert!(error.to_string().contains(problem));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTable {
    pub(super) table: Cow<'static, str>,
    pub(super) token: Cow<'static, str>,
    pub(super) created_at: Cow<'static, str>,
    pub(super) user_id: Cow<'static, str>,
    pub(super) session_id: Cow<'static, str>,
    pub(super) expires_at: Cow<'static, str>,
    pub(super) session_expires_at: Cow<'static, str>,
    pub(super) family: Cow<'static, str>,
    pub(super) consumed: Cow<'static, str>,
    pub(super) opened_at: Cow<'static, str>,
    pub(super) last_used_at: Cow<'static, str>,
    pub(super) user_agent: Cow<'static, str>,
    pub(super) ip: Cow<'static, str>,
    pub(super) label: Cow<'static, str>,
    pub(super) fence: Cow<'static, str>,
    pub(super) access_expires_at: Cow<'static, str>,
    pub(super) authenticated_at: Cow<'static, str>,
}

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident),+) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(mut self, column: impl Into<Cow<'static, str>>) -> Self {
            self.$name = column.into();
            self
        })+
    };
}

impl TokenTable {
    /// Creates the names for a table called `table`, with the default names of all columns.
    pub fn new(table: impl Into<Cow<'static, str>>) -> Self {
        Self {
            table: table.into(),
            token: "token".into(),
            created_at: "created_at".into(),
            user_id: "user_id".into(),
            session_id: "session_id".into(),
            expires_at: "expires_at".into(),
            session_expires_at: "session_expires_at".into(),
            family: "family".into(),
            consumed: "consumed".into(),
            opened_at: "opened_at".into(),
            last_used_at: "last_used_at".into(),
            user_agent: "user_agent".into(),
            ip: "ip".into(),
            label: "label".into(),
            fence: "fence".into(),
            access_expires_at: "access_expires_at".into(),
            authenticated_at: "authenticated_at".into(),
        }
    }

    columns! {
        /// Sets the column of the token's digest: the primary key, a text of 64 characters,
        /// compared byte by byte (binary or `C` collation). Defaults to `token`.
        token,
        /// Sets the column of the time of issue, in the database's own type: `TIMESTAMPTZ` on
        /// PostgreSQL, `DATETIME(6)` in UTC on MySQL, a text in UTC on SQLite. Defaults to
        /// `created_at`.
        created_at,
        /// Sets the column of the user's id, of the type that belongs to the [`UserKeyKind`]. Needs
        /// an index. Defaults to `user_id`.
        user_id,
        /// Sets the column of the session's id: a text of 36 characters, nullable, with an index.
        /// Defaults to `session_id`.
        session_id,
        /// Sets the column of the token's expiry: a 64-bit integer, microseconds since the Unix
        /// epoch, nullable. A row without it ages by `created_at`. Defaults to `expires_at`.
        expires_at,
        /// Sets the column of the absolute expiry of the session, of the same type as `expires_at`.
        /// Refresh tokens only. Defaults to `session_expires_at`.
        session_expires_at,
        /// Sets the column of the token family's digest: a text of 64 characters, nullable, with an
        /// index. Refresh tokens only. Defaults to `family`.
        family,
        /// Sets the column of the tokens that were rotated last, kept for retries and for reuse
        /// detection: a text of up to [`Consumed::MAX_LENGTH`] characters, nullable. Refresh tokens
        /// only. Defaults to `consumed`.
        ///
        /// [`Consumed::MAX_LENGTH`]: crate::store::Consumed::MAX_LENGTH
        consumed,
        /// Sets the column of the time at which the session was opened, of the same type as
        /// `expires_at`. Refresh tokens only. Defaults to `opened_at`.
        opened_at,
        /// Sets the column of the time at which the session was last seen in use, of the same type
        /// as `expires_at`. Refresh tokens only. Defaults to `last_used_at`.
        last_used_at,
        /// Sets the column of the client's user agent: a text of up to 255 bytes, nullable. Refresh
        /// tokens only. Defaults to `user_agent`.
        user_agent,
        /// Sets the column of the client's IP address: a text of up to 45 characters, nullable.
        /// Refresh tokens only. Defaults to `ip`.
        ip,
        /// Sets the column of the client's label: a text of up to 64 bytes, nullable. Refresh
        /// tokens only. Defaults to `label`.
        label,
        /// Sets the column of the user's fence at the time of the login: a text of 32 characters,
        /// nullable. Defaults to `fence`.
        fence,
        /// Sets the column of the latest expiry of the session's signed access tokens, of the same
        /// type as `expires_at`. Refresh tokens only. Defaults to `access_expires_at`.
        access_expires_at,
        /// Sets the column of the time at which the session's user last proved again who they are,
        /// of the same type as `expires_at`. Refresh tokens only. Defaults to `authenticated_at`.
        authenticated_at
    }

    /// Returns the columns of a table in their fixed order, each with its default name in front.
    fn columns(&self, kind: Kind) -> impl Iterator<Item = (&'static str, &str)> {
        let of_sessions = [
            ("session_expires_at", &*self.session_expires_at),
            ("family", &*self.family),
            ("consumed", &*self.consumed),
            ("opened_at", &*self.opened_at),
            ("last_used_at", &*self.last_used_at),
            ("user_agent", &*self.user_agent),
            ("ip", &*self.ip),
            ("label", &*self.label),
            ("access_expires_at", &*self.access_expires_at),
            ("authenticated_at", &*self.authenticated_at),
        ];

        let shared = [
            ("token", &*self.token),
            ("created_at", &*self.created_at),
            ("user_id", &*self.user_id),
            ("session_id", &*self.session_id),
            ("expires_at", &*self.expires_at),
            ("fence", &*self.fence),
        ];

        shared.into_iter().chain(
            of_sessions
                .into_iter()
                .filter(move |_| kind == Kind::Refresh),
        )
    }
}

/// The two kinds of tables, with different columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Access,
    Refresh,
}

impl Kind {
    /// Returns the name of the setting that errors about this kind of table mention.
    const fn setting(self) -> &'static str {
        match self {
            Self::Access => "access_token_model",
            Self::Refresh => "refresh_token_model",
        }
    }
}

/// The application's table of users, to be read together with an access token.
///
/// # Examples
///
/// ```
/// use countersign::user::UserKeyKind;
/// use countersign::store::sql::{DatabaseTokenModels, UserTable};
///
/// # fn main() -> Result<(), countersign::ConfigError> {
/// let users = UserTable {
///     table: "user".into(),
///     id: "id".into(),
///     columns: vec!["email".into(), "is_active".into()],
/// };
/// let models = DatabaseTokenModels::bundled(UserKeyKind::Uuid).join_users(users)?;
/// # drop(models);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the caller has to name all of it"
)]
pub struct UserTable {
    /// The name of the table.
    pub table: Cow<'static, str>,
    /// The column of the user's id, with an index.
    pub id: Cow<'static, str>,
    /// The columns that [`UserManager::read_joined`](crate::UserManager::read_joined) receives, in
    /// this order.
    pub columns: Vec<Cow<'static, str>>,
}

/// The names of all tables that hold tokens, and the kind of user id in them.
///
/// Pass it to [`SqlStore::new`](crate::store::sql::SqlStore::new). There are four tables: access
/// tokens, refresh tokens, the current fence of each user, and fences that were replaced. A fence
/// is a random value per user; replacing it logs the user out everywhere.
///
/// # Examples
///
/// Tables with names of the application:
///
/// ```
/// use countersign::user::UserKeyKind;
/// use countersign::store::sql::{DatabaseTokenModels, TokenTable};
///
/// # fn main() -> Result<(), countersign::ConfigError> {
/// let access = TokenTable::new("api_access").token("digest");
/// let refresh = TokenTable::new("api_refresh").token("digest");
/// let models = DatabaseTokenModels::new(access, refresh, UserKeyKind::Int)?
///     .with_fences("api_fence")?
///     .with_ended_fences("api_ended_fence")?;
/// assert!(models.clone().with_fences("api-fence").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseTokenModels {
    pub(super) access: TokenTable,
    pub(super) refresh: TokenTable,
    pub(super) fences: Cow<'static, str>,
    pub(super) ended: Cow<'static, str>,
    pub(super) user_id: UserKeyKind,
    pub(super) users: Option<UserTable>,
}

/// The default table of current fences.
const FENCES: &str = "session_fence";

/// The default table of replaced fences.
const ENDED: &str = "ended_fence";

impl DatabaseTokenModels {
    /// Returns the names of the bundled tables, which the bundled migrations create (the strategies
    /// page: `import_token_orm_models`).
    ///
    /// The tables are `access_token`, `refresh_token`, `session_fence` and `ended_fence`.
    pub fn bundled(user_id: UserKeyKind) -> Self {
        Self {
            access: TokenTable::new("access_token"),
            refresh: TokenTable::new("refresh_token"),
            fences: FENCES.into(),
            ended: ENDED.into(),
            user_id,
            users: None,
        }
    }

    /// Creates the names of tables that aren't the bundled ones, or that have other columns.
    ///
    /// The tables of fences keep their default names; [`with_fences`](Self::with_fences) and
    /// [`with_ended_fences`](Self::with_ended_fences) change them. Bundled migrations don't create
    /// or change tables of other names.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `access_token_model` or `refresh_token_model` if a name
    /// isn't 1 to 63 ASCII letters, digits and underscores, or begins with a digit. It lists all
    /// such columns of the table. Also if both kinds would share one table.
    pub fn new(
        access: TokenTable,
        refresh: TokenTable,
        user_id: UserKeyKind,
    ) -> Result<Self, ConfigError> {
        for (kind, table) in [(Kind::Access, &access), (Kind::Refresh, &refresh)] {
            let columns = table.columns(kind).chain([("table", &*table.table)]);
            let unusable: Vec<_> = columns
                .filter(|(_, column)| !is_name(column))
                .map(|(name, _)| name)
                .collect();
            if !unusable.is_empty() {
                let problem = format!("has an invalid name for {}", unusable.join(", "));
                return Err(ConfigError::new(kind.setting(), problem, NAMES));
            }
        }

        if access.table.eq_ignore_ascii_case(&refresh.table) {
            let problem = "is also the table of access tokens";
            return Err(ConfigError::new(
                Kind::Refresh.setting(),
                problem,
                "use a separate table for each kind",
            ));
        }

        Ok(Self {
            access,
            refresh,
            fences: FENCES.into(),
            ended: ENDED.into(),
            user_id,
            users: None,
        })
    }

    /// Sets the table of users' current fences. Defaults to `session_fence`.
    ///
    /// Its columns are `user_id` (the primary key), `fence` (a text of 32 characters) and `used_at`
    /// (microseconds since the Unix epoch).
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `fence_table` if the name isn't 1 to 63 ASCII letters,
    /// digits and underscores, or begins with a digit.
    pub fn with_fences(mut self, table: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let table = table.into();
        if !is_name(&table) {
            return Err(ConfigError::new(
                "fence_table",
                "is not a valid name",
                NAMES,
            ));
        }
        self.fences = table;
        Ok(self)
    }

    /// Sets the table of replaced fences. Defaults to `ended_fence`.
    ///
    /// Its columns are `fence` (the primary key, a text of 32 characters), `user_id`,
    /// `kept_session_id` (a text of 36 characters, nullable), `ended_at` and `settled_at`
    /// (microseconds since the Unix epoch, the latter nullable).
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `ended_fence_table` if the name isn't 1 to 63 ASCII
    /// letters, digits and underscores, or begins with a digit.
    pub fn with_ended_fences(
        mut self,
        table: impl Into<Cow<'static, str>>,
    ) -> Result<Self, ConfigError> {
        let table = table.into();
        if !is_name(&table) {
            return Err(ConfigError::new(
                "ended_fence_table",
                "is not a valid name",
                NAMES,
            ));
        }
        self.ended = table;
        Ok(self)
    }

    /// Reads the user's row together with each access token, so that checking a token costs one
    /// round trip.
    ///
    /// The columns are handed to [`UserManager::read_joined`](crate::UserManager::read_joined).
    /// Without this, users are loaded by [`UserManager::get`](crate::UserManager::get) in a query
    /// of their own.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `user_table` if a name isn't 1 to 63 ASCII letters,
    /// digits and underscores, or begins with a digit.
    pub fn join_users(mut self, users: UserTable) -> Result<Self, ConfigError> {
        let unusable = [&users.table, &users.id]
            .into_iter()
            .chain(&users.columns)
            .find(|name| !is_name(name));
        if let Some(name) = unusable {
            return Err(ConfigError::new(
                "user_table",
                format!("contains the invalid name {name:?}"),
                NAMES,
            ));
        }

        self.users = Some(users);
        Ok(self)
    }

    /// Compares the names with the live schema, and the kind of user ids with their columns' types.
    ///
    /// Other types and indexes aren't compared.
    ///
    /// # Errors
    ///
    /// Returns [`SetupError::Config`] for the first table that doesn't exist or lacks columns. It
    /// names all missing columns of that table. Also returns it if a table keeps user ids of
    /// another kind. Returns [`SetupError::Store`] if the database can't be asked; try again later.
    pub async fn verify<D: Driver + ?Sized>(&self, database: &D) -> Result<(), SetupError> {
        let access = self
            .access
            .columns(Kind::Access)
            .map(|(_, column)| column)
            .collect();
        let refresh = self
            .refresh
            .columns(Kind::Refresh)
            .map(|(_, column)| column)
            .collect();

        let mut tables: Vec<(&str, &str, Vec<&str>)> = vec![
            (Kind::Access.setting(), &self.access.table, access),
            (Kind::Refresh.setting(), &self.refresh.table, refresh),
            (
                "fence_table",
                &self.fences,
                vec!["user_id", "fence", "used_at"],
            ),
            (
                "ended_fence_table",
                &self.ended,
                vec![
                    "fence",
                    "user_id",
                    "kept_session_id",
                    "ended_at",
                    "settled_at",
                ],
            ),
        ];

        if let Some(users) = &self.users {
            let columns = std::iter::once(&users.id)
                .chain(&users.columns)
                .map(|column| &**column)
                .collect();
            tables.push(("user_table", &users.table, columns));
        }

        for (setting, table, wanted) in tables {
            let live = columns_of(database, table).await?;
            let missing: Vec<_> = wanted
                .into_iter()
                .filter(|column| !live.iter().any(|l| l == column))
                .collect();
            if !missing.is_empty() {
                let problem = format!("table {table} has no column {}", missing.join(", "));
                return Err(
                    ConfigError::new(setting.to_owned(), problem, "run the migrations").into(),
                );
            }
        }
        self.verify_user_ids(database).await
    }

    /// Refuses a database that keeps user ids of another kind than these models.
    async fn verify_user_ids<D: Driver + ?Sized>(&self, database: &D) -> Result<(), SetupError> {
        for table in [&self.access, &self.refresh] {
            refuse_another_kind(database, (&table.table, &table.user_id), self.user_id).await?;
        }
        refuse_another_kind(database, (&self.fences, "user_id"), self.user_id).await?;
        refuse_another_kind(database, (&self.ended, "user_id"), self.user_id).await
    }
}

/// The rule for names, as errors tell it.
const NAMES: &str = "use 1 to 63 ASCII letters, digits and underscores, not beginning with a digit";

/// Returns `true` if a name has 1 to 63 ASCII letters, digits and underscores, and doesn't begin
/// with a digit. PostgreSQL cuts off longer names.
fn is_name(name: &str) -> bool {
    let word = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word && name.len() <= 63
        && name
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
}

/// Returns the names of the columns that a table has now. Empty if there is no such table.
pub(super) async fn columns_of<D: Driver + ?Sized>(
    database: &D,
    table: &str,
) -> Result<Vec<String>, Failure> {
    let template = match database.dialect() {
        Dialect::Sqlite => "SELECT name FROM pragma_table_info(?1)",
        Dialect::Postgres => {
            "SELECT attname::text \
             FROM pg_attribute \
             WHERE attrelid = to_regclass(quote_ident(?1::text)) \
               AND attnum > 0 \
               AND NOT attisdropped"
        }
        Dialect::Mysql => {
            "SELECT column_name \
             FROM information_schema.columns \
             WHERE table_schema = DATABASE() \
               AND table_name = ?1"
        }
    };

    let statement = Statement::new(database.dialect(), template);
    let rows = database.fetch(&statement, &[Value::from(table)]).await?;
    Ok(rows
        .iter()
        .filter_map(|row| row.text(0).ok().flatten().map(ToOwned::to_owned))
        .collect())
}
