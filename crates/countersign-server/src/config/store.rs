//! Settings of the stores: the data directory, the database, and the intervals of their
//! maintenance.
//!
//! Without a URL the server uses an SQLite file in the data directory, which it creates. A URL of
//! PostgreSQL or MySQL makes the database shared: other servers may use it, and the secret that
//! digests tokens must be given.

use std::path::PathBuf;
use std::time::Duration;

use countersign::{ConfigError, UrlSource};
use zeroize::Zeroizing;

use crate::config::given::Given;
use crate::config::setting::{Kind, Setting};
use crate::config::{Sources, parse};

const DATA_DIR: Setting = Setting {
    key: "data_dir",
    kind: Kind::Plain,
    default: "./countersign-data",
    form: "DIRECTORY",
    example: "./countersign-data",
    help: "Directory of countersign.sqlite and of generated keys; created on first start with mode 0700.",
};
/// The URL of the database. It may hold a password, so it is never shown.
pub const DATABASE_URL: Setting = Setting {
    key: "database_url",
    kind: Kind::Secret,
    default: "",
    form: "sqlite://PATH|postgres://…|mysql://…",
    example: "postgres://user:password@localhost/app",
    help: "Database of the accounts and, unless they are on Redis, the tokens. Defaults to countersign.sqlite in the data directory.",
};
const DATABASE_CONNECTIONS: Setting = Setting {
    key: "database_connections",
    kind: Kind::Plain,
    default: "4",
    form: "NUMBER",
    example: "4",
    help: "Number of database connections for reads, and as many again for writes.",
};
const STORE_TIMEOUT: Setting = Setting {
    key: "store_timeout",
    kind: Kind::Plain,
    default: "1s",
    form: "TIME",
    example: "1s",
    help: "Time limit for the database or Redis to answer; beyond it, the request gets 503.",
};
/// The time that a start waits for stores that don't answer yet.
pub const WAIT_FOR_STORES: Setting = Setting {
    key: "wait_for_stores",
    kind: Kind::Plain,
    default: "10s",
    form: "TIME",
    example: "10s",
    help: "How long to wait at startup for a database or Redis that is not available yet; 0s to not wait.",
};
const SWEEP_INTERVAL: Setting = Setting {
    key: "sweep_interval",
    kind: Kind::Plain,
    default: "5m",
    form: "TIME",
    example: "5m",
    help: "How often expired tokens are deleted.",
};
const USE_INTERVAL: Setting = Setting {
    key: "use_interval",
    kind: Kind::Plain,
    default: "1m",
    form: "TIME|off",
    example: "1m",
    help: "How often last-used times are written, in one batch.",
};

/// The settings of this section, in the order of the help.
pub(super) const SETTINGS: &[&Setting] = &[
    &DATA_DIR,
    &DATABASE_URL,
    &DATABASE_CONNECTIONS,
    &STORE_TIMEOUT,
    &WAIT_FOR_STORES,
    &SWEEP_INTERVAL,
    &USE_INTERVAL,
];

/// The settings of the stores.
#[derive(Clone, Debug)]
pub struct Store {
    /// The directory of the SQLite file and of generated keys (`data_dir`).
    pub data_dir: PathBuf,
    /// The database (`database_url`). Defaults to the file `countersign.sqlite` in the data
    /// directory.
    pub database: DatabaseUrl,
    /// The name under which the database was given, for error messages.
    pub database_spelled: String,
    /// The reader that reads the database's URL again, if the URL is in a file.
    pub database_source: Option<UrlSource>,
    /// The number of connections for reads (`database_connections`, 1 to 1000). There are as many
    /// for writes.
    pub connections: usize,
    /// The time that the database or Redis may take to answer (`store_timeout`, 100 milliseconds to
    /// one hour).
    pub timeout: Duration,
    /// The time that the start waits for stores that don't answer yet (`wait_for_stores`, up to one
    /// day). Zero doesn't wait.
    pub wait: Duration,
    /// The interval between two sweeps of expired rows (`sweep_interval`, 100 milliseconds to 30
    /// days).
    pub sweep_interval: Duration,
    /// The interval at which the last use of sessions is written (`use_interval`, 100 milliseconds
    /// to 30 days). `None` if it isn't written.
    pub use_interval: Option<Duration>,
}

/// The database that the settings name. The `Debug` output doesn't show a URL.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// SQLite in this file.
    Sqlite(PathBuf),
    /// PostgreSQL, MySQL or MariaDB, which servers share. The URL may hold a password.
    Shared(Zeroizing<String>),
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Shared(_) => f.write_str("Shared(..)"),
        }
    }
}

impl Store {
    /// Reads this section.
    ///
    /// # Errors
    /// [`ConfigError`] if a value can't be parsed. It names the setting and gives an example.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let data_dir = PathBuf::from(sources.parse(&DATA_DIR, parse::text)?);
        let given = sources.parse_optional(&DATABASE_URL, database_url)?;
        let database =
            given.unwrap_or_else(|| DatabaseUrl::Sqlite(data_dir.join("countersign.sqlite")));

        Ok(Self {
            data_dir,
            database,
            database_spelled: sources
                .get(&DATABASE_URL)
                .map_or_else(|| DATABASE_URL.env(), |given| given.spelled.clone()),
            database_source: sources.get(&DATABASE_URL).and_then(Given::source),
            connections: sources.parse(&DATABASE_CONNECTIONS, parse::number(1..=1000))?,
            timeout: sources.parse(
                &STORE_TIMEOUT,
                parse::duration_in(Duration::from_millis(100)..=Duration::from_hours(1)),
            )?,
            wait: sources.parse(&WAIT_FOR_STORES, parse::duration_in(Duration::ZERO..=DAY))?,
            sweep_interval: sources.parse(&SWEEP_INTERVAL, interval)?,
            use_interval: sources.parse(&USE_INTERVAL, |text| match text {
                "off" => Ok(None),
                text => interval(text).map(Some),
            })?,
        })
    }

    /// Returns the database in a form for people: without password, user and query.
    pub fn shown(&self) -> String {
        match &self.database {
            DatabaseUrl::Sqlite(path) => path.display().to_string(),
            DatabaseUrl::Shared(text) => shown(text, "(a shared database)"),
        }
    }
}

const DAY: Duration = Duration::from_hours(24);

/// Parses an interval: 100 milliseconds to 30 days.
fn interval(text: &str) -> Result<Duration, String> {
    parse::duration_in(Duration::from_millis(100)..=DAY.saturating_mul(30))(text)
}

/// Returns a URL without user, password and query, or `otherwise` if `text` isn't a URL. The query
/// may hold a password too.
pub(super) fn shown(text: &str, otherwise: &str) -> String {
    url::Url::parse(text).map_or_else(
        |_| otherwise.to_owned(),
        |url| {
            let port = url
                .port()
                .map(|port| format!(":{port}"))
                .unwrap_or_default();
            format!(
                "{}://{}{port}{}",
                url.scheme(),
                url.host_str().unwrap_or_default(),
                url.path()
            )
        },
    )
}

/// Parses the URL of a database: `sqlite://PATH`, `postgres://…`, `postgresql://…`, `mysql://…` or
/// `mariadb://…`. The library checks the parts that only its drivers understand.
///
/// SQLite in memory is rejected, because it would be empty after every start.
fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    if let Some(path) = text.strip_prefix("sqlite://") {
        let usable = !path.is_empty() && !path.starts_with(":memory:") && !path.contains('?');
        return if usable {
            Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
        } else {
            Err("must be sqlite:// followed by the path of a file, without parameters".to_owned())
        };
    }

    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let known = matches!(
        scheme,
        Some("postgres" | "postgresql" | "mysql" | "mariadb")
    );
    if !known {
        return Err("must start with sqlite://, postgres:// or mysql://".to_owned());
    }

    match url::Url::parse(&with_one_host(text)) {
        Ok(url) if url.host_str().is_some() || url.query().is_some() => {
            Ok(DatabaseUrl::Shared(Zeroizing::new(text.to_owned())))
        }
        Ok(_) => Err("has no host".to_owned()),
        Err(_) => Err(
            "is not a valid URL (special characters in a password must be percent-encoded: `@` \
             as %40, `#` as %23)"
                .to_owned(),
        ),
    }
}

/// Returns the URL with a single host in place of several hosts, or of none where a socket is
/// named.
///
/// The drivers understand such URLs, but the general parser that checks them here doesn't.
fn with_one_host(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };

    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (account, hosts) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(account, hosts)| (Some(account), hosts));

    let names_socket = ["?host=", "&host=", "?socket=", "&socket="]
        .iter()
        .any(|option| path.contains(option));
    let is_plain = !hosts.contains(',') && (!hosts.is_empty() || !names_socket);
    if is_plain {
        return text.to_owned();
    }

    let account = account
        .map(|account| format!("{account}@"))
        .unwrap_or_default();
    format!("{scheme}://{account}host{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert!(
            matches!(database_url("sqlite:///var/a.sqlite"), Ok(DatabaseUrl::Sqlite(path)) if path == *"/var/a.sqlite")
        );
        assert!(
            matches!(database_url("sqlite://a.sqlite"), Ok(DatabaseUrl::Sqlite(path)) if path == *"a.sqlite")
        );
        assert!(matches!(
            database_url("postgres://me:pw@db/app"),
            Ok(DatabaseUrl::Shared(_))
        ));
        for shared in [
            "postgres://me:pw@h1:5432,h2:5433/app?target_session_attrs=read-write",
            "postgres://me:pw@/app?host=/run/postgresql",
            "mysql://me:pw@h1,h2/app",
            "mysql://me:pw@/app?socket=/run/mysqld/mysqld.sock",
        ] {
            assert!(
                matches!(database_url(shared), Ok(DatabaseUrl::Shared(_))),
                "{shared}"
            );
        }
        assert!(database_url("postgres://me:p#w@h1/app").is_err());
        for bad in [
            "",
            "sqlite://",
            "sqlite::memory:",
            "redis://x",
            "postgres//x",
            "postgres://",
            "/a/path",
        ] {
            assert!(database_url(bad).is_err(), "{bad}");
        }
        assert_eq!(
            shown("postgres://me:pw@db:5433/app?sslmode=require", ""),
            "postgres://db:5433/app"
        );
    }
}
