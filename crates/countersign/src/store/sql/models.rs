//! Which tables and columns hold tokens: `DatabaseTokenModels` of the strategies page.

use std::borrow::Cow;

use crate::error::{ConfigError, Failure};
use crate::store::sql::{Dialect, Driver, Statement};
use crate::user::UserKeyKind;
use crate::value::Value;

/// The names of a table of tokens and of its columns.
///
/// `token`, `created_at` and `user_id` are the original's; the rest is ours, and null in rows that it wrote.
///
/// ```
/// use countersign::UserKeyKind;
/// use countersign::store::sql::{DatabaseTokenModels, TokenTable};
///
/// let access = TokenTable::new("api_key").token("digest");
/// let refresh = TokenTable::new("api_refresh").token("digest");
/// assert!(DatabaseTokenModels::new(access, refresh, UserKeyKind::Int).is_ok());
///
/// let incomplete = TokenTable::new("api_key").user_id("").created_at("created at");
/// let error = DatabaseTokenModels::new(incomplete, TokenTable::new("r"), UserKeyKind::Int).unwrap_err();
/// assert!(error.to_string().contains("access_token_model: has no usable name for created_at, user_id"));
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
    /// The table called `table`, with columns of the usual names.
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
        }
    }

    columns! {
        /// The column of the digest: the primary key, binary or C-collated.
        token,
        /// The column of the time of issue.
        created_at,
        /// The column of the user's id.
        user_id,
        /// The column of the session's id: a text of 36 characters, may be null.
        session_id,
        /// The column of the token's end: microseconds since the Unix epoch, may be null.
        expires_at,
        /// The column of the session's end: as `expires_at`. Refresh tokens only.
        session_expires_at,
        /// The column of the family's digest: a text of 64 characters with an index, may be null. Refresh tokens only.
        family,
        /// The column of what is known of exchanged tokens: a text of up to [`Consumed::MAX_LENGTH`] characters, may be
        /// null. Refresh tokens only.
        ///
        /// [`Consumed::MAX_LENGTH`]: crate::store::Consumed::MAX_LENGTH
        consumed,
        /// The column of the session's beginning: as `expires_at`. Refresh tokens only.
        opened_at,
        /// The column of the moment at which the session was last seen in use: as `expires_at`. Refresh tokens only.
        last_used_at,
        /// The column of the client's user agent: a text of up to 255 bytes, may be null. Refresh tokens only.
        user_agent,
        /// The column of the client's address: a text of up to 45 characters, may be null. Refresh tokens only.
        ip,
        /// The column of the client's label: a text of up to 64 bytes, may be null. Refresh tokens only.
        label,
        /// The column of the fence that the token was recorded behind: a text of 32 characters, may be null.
        fence,
        /// The column of the end of the session's latest signed access token: as `expires_at`. Refresh tokens only.
        access_expires_at
    }

    /// The columns in their fixed order, each under the name it is known by here.
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
        ];
        let shared = [
            ("token", &*self.token),
            ("created_at", &*self.created_at),
            ("user_id", &*self.user_id),
            ("session_id", &*self.session_id),
            ("expires_at", &*self.expires_at),
            ("fence", &*self.fence),
        ];
        shared.into_iter().chain(of_sessions.into_iter().filter(move |_| kind == Kind::Refresh))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Access,
    Refresh,
}

impl Kind {
    const fn setting(self) -> &'static str {
        match self {
            Self::Access => "access_token_model",
            Self::Refresh => "refresh_token_model",
        }
    }
}

/// The table of users, to be read along with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserTable {
    /// The table's name.
    pub table: Cow<'static, str>,
    /// The column of the user's id.
    pub id: Cow<'static, str>,
    /// The columns that [`UserManager::read_joined`](crate::UserManager::read_joined) is given, in this order.
    pub columns: Vec<Cow<'static, str>>,
}

/// The tables of access and refresh tokens, and the kind of user id they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseTokenModels {
    pub(super) access: TokenTable,
    pub(super) refresh: TokenTable,
    pub(super) fences: Cow<'static, str>,
    pub(super) ended: Cow<'static, str>,
    pub(super) user_id: UserKeyKind,
    pub(super) users: Option<UserTable>,
}

/// The table of fences, unless told.
const FENCES: &str = "session_fence";

/// The default table of fences that were replaced.
const ENDED: &str = "ended_fence";

impl DatabaseTokenModels {
    /// The bundled tables `access_token` and `refresh_token`, which the bundled migrations make (the strategies page:
    /// `import_token_orm_models`).
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

    /// Tables of the caller's own.
    ///
    /// # Errors
    /// [`ConfigError`] that names the model and, in the fixed order token, created_at, user_id, each column whose name
    /// is missing or isn't 1 to 63 letters, digits and underscores.
    pub fn new(access: TokenTable, refresh: TokenTable, user_id: UserKeyKind) -> Result<Self, ConfigError> {
        for (kind, table) in [(Kind::Access, &access), (Kind::Refresh, &refresh)] {
            let columns = table.columns(kind).chain([("table", &*table.table)]);
            let unusable: Vec<_> = columns.filter(|(_, column)| !is_name(column)).map(|(name, _)| name).collect();
            if !unusable.is_empty() {
                let problem = format!("has no usable name for {}", unusable.join(", "));
                return Err(ConfigError::new(kind.setting(), problem, NAMES));
            }
        }
        if access.table.eq_ignore_ascii_case(&refresh.table) {
            let problem = "is the table of access tokens as well";
            return Err(ConfigError::new(Kind::Refresh.setting(), problem, "give each kind a table of its own"));
        }
        Ok(Self { access, refresh, fences: FENCES.into(), ended: ENDED.into(), user_id, users: None })
    }

    /// Keeps users' fences in the table of that name, with the columns `user_id` (the key), `fence` (a text of 32
    /// characters) and `used_at` (as `expires_at`). It is called `session_fence` unless told.
    ///
    /// # Errors
    /// [`ConfigError`] that names `fence_table` when the name isn't 1 to 63 letters, digits and underscores.
    pub fn with_fences(mut self, table: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let table = table.into();
        if !is_name(&table) {
            return Err(ConfigError::new("fence_table", "has no usable name", NAMES));
        }
        self.fences = table;
        Ok(self)
    }

    /// Keeps the fences that were replaced in the table of that name, with the columns `fence` (the key, a text of 32
    /// characters), `user_id`, `kept_session_id` (as `session_id`), `ended_at` and `settled_at` (as `expires_at`).
    /// Defaults to `ended_fence`.
    ///
    /// # Errors
    /// [`ConfigError`] that names `ended_fence_table` when the name isn't 1 to 63 letters, digits and underscores.
    pub fn with_ended_fences(mut self, table: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let table = table.into();
        if !is_name(&table) {
            return Err(ConfigError::new("ended_fence_table", "has no usable name", NAMES));
        }
        self.ended = table;
        Ok(self)
    }

    /// Also reads the user's row with each access token, so that a request costs one round trip (promise P8).
    ///
    /// # Errors
    /// [`ConfigError`] that names `user_table` when a name isn't 1 to 63 letters, digits and underscores.
    pub fn join_users(mut self, users: UserTable) -> Result<Self, ConfigError> {
        let unusable = [&users.table, &users.id].into_iter().chain(&users.columns).find(|name| !is_name(name));
        if let Some(name) = unusable {
            return Err(ConfigError::new("user_table", format!("has no usable name in place of {name:?}"), NAMES));
        }
        self.users = Some(users);
        Ok(self)
    }

    /// Compares the names with the live schema.
    ///
    /// # Errors
    /// [`SetupError::Config`] that names every missing table and column; [`SetupError::Store`] when the database
    /// can't be asked.
    pub async fn verify<D: Driver + ?Sized>(&self, database: &D) -> Result<(), SetupError> {
        let access = self.access.columns(Kind::Access).map(|(_, column)| column).collect();
        let refresh = self.refresh.columns(Kind::Refresh).map(|(_, column)| column).collect();
        let mut tables: Vec<(&str, &str, Vec<&str>)> = vec![
            (Kind::Access.setting(), &self.access.table, access),
            (Kind::Refresh.setting(), &self.refresh.table, refresh),
            ("fence_table", &self.fences, vec!["user_id", "fence", "used_at"]),
            ("ended_fence_table", &self.ended, vec!["fence", "user_id", "kept_session_id", "ended_at", "settled_at"]),
        ];
        if let Some(users) = &self.users {
            let columns = std::iter::once(&users.id).chain(&users.columns).map(|column| &**column).collect();
            tables.push(("user_table", &users.table, columns));
        }
        for (setting, table, wanted) in tables {
            let live = columns_of(database, table).await?;
            let missing: Vec<_> = wanted.into_iter().filter(|column| !live.iter().any(|l| l == column)).collect();
            if !missing.is_empty() {
                let problem = format!("table {table} has no column {}", missing.join(", "));
                return Err(ConfigError::new(setting.to_owned(), problem, "run the migrations").into());
            }
        }
        Ok(())
    }
}

/// Setting a database up didn't work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The schema isn't what it must be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database can't be asked.
    #[error(transparent)]
    Store(#[from] Failure),
}

const NAMES: &str = "names are 1 to 63 ASCII letters, digits and underscores, and don't begin with a digit";

fn is_name(name: &str) -> bool {
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word && name.len() <= 63 && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// The columns that a table has now; none when there is no such table.
pub(super) async fn columns_of<D: Driver + ?Sized>(database: &D, table: &str) -> Result<Vec<String>, Failure> {
    let template = match database.dialect() {
        Dialect::Sqlite => "SELECT name FROM pragma_table_info(?1)",
        Dialect::Postgres => {
            "SELECT attname::text FROM pg_attribute \
             WHERE attrelid = to_regclass(quote_ident(?1::text)) AND attnum > 0 AND NOT attisdropped"
        }
        Dialect::Mysql => {
            "SELECT column_name FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = ?1"
        }
    };
    let statement = Statement::new(database.dialect(), template);
    let rows = database.fetch(&statement, &[Value::from(table)]).await?;
    Ok(rows.iter().filter_map(|row| row.text(0).ok().flatten().map(ToOwned::to_owned)).collect())
}
