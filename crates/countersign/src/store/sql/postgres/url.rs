//! Parsing of PostgreSQL URLs, with the options that tokio-postgres leaves to the TLS part.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::error::ConfigError;

/// The part of the server's certificate that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// No part of it.
    Nothing,
    /// The issuer: a trusted authority.
    Authority,
    /// The issuer, and the host that it is for.
    AuthorityAndHost,
}

/// Options of other clients that are accepted and have no effect.
const HARMLESS: [&str; 6] = [
    "gssencmode",
    "sslsni",
    "sslcompression",
    "fallback_application_name",
    "connection_limit",
    "pool_timeout",
];

/// The parts of a URL.
pub(super) struct Parsed {
    pub(super) config: Config,
    /// The part of the certificate to check.
    pub(super) check: Check,
    /// The PEM file of trusted certificates. `None` for those of the operating system.
    pub(super) authorities: Option<PathBuf>,
    /// `true` if the URL says that a pooler is in between.
    pub(super) says_pooler: bool,
}

impl Parsed {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `database_url`, without quoting the URL.
    pub(super) fn parse(url: &str) -> Result<Self, ConfigError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refused("is not a PostgreSQL URL"));
        }

        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = "prefer";
        let mut authorities = None;
        let mut says_pooler = false;
        let mut rest: Vec<&str> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => authorities = Some(decoded(value)?),
                Some(("pgbouncer", "true")) => says_pooler = true,
                // Each connection is tested then.
                Some(("pgbouncer", "false")) => {}
                // Options of other clients, for settings that are fixed here or have no effect.
                Some(("charset" | "client_encoding", value))
                    if value.to_lowercase().starts_with("utf") => {}
                Some((name, _)) if HARMLESS.contains(&name) => {}
                Some(("target_session_attrs", "primary")) => {
                    rest.push("target_session_attrs=read-write");
                }
                _ => rest.push(pair),
            }
        }

        let authorities = authorities
            .filter(|path| path != "system")
            .map(PathBuf::from);
        let (mode, check) = match mode {
            "disable" => (SslMode::Disable, Check::Nothing),
            "prefer" => (SslMode::Prefer, Check::Nothing),
            "require" if authorities.is_none() => (SslMode::Require, Check::Nothing),
            "require" | "verify-ca" => (SslMode::Require, Check::Authority),
            "verify-full" => (SslMode::Require, Check::AuthorityAndHost),
            _ => {
                return Err(refused(
                    "has an `sslmode` other than disable, prefer, require, verify-ca or \
                     verify-full",
                ));
            }
        };

        // The parser's own message could quote a password whose special characters weren't encoded.
        let mut config = Config::from_str(&format!("{address}?{}", rest.join("&")))
            .map_err(|_| refused("is not a valid URL, or has an unknown option"))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refused("has no host"));
        }
        config.ssl_mode(mode);
        watch(&mut config, &rest);
        if config.get_application_name().is_none() {
            config.application_name("countersign");
        }
        Ok(Self {
            config,
            check,
            authorities,
            says_pooler,
        })
    }
}

/// Lets the kernel notice within a minute that the other side is gone, and keeps address
/// translators from forgetting idle connections. Settings in the URL take precedence.
fn watch(config: &mut Config, given: &[&str]) {
    if !given.iter().any(|pair| pair.starts_with("keepalives")) {
        config
            .keepalives_idle(IDLE)
            .keepalives_interval(INTERVAL)
            .keepalives_retries(3);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNANSWERED);
    }
}

/// The idle time before the first keepalive probe.
const IDLE: Duration = Duration::from_secs(30);
/// The time between keepalive probes.
const INTERVAL: Duration = Duration::from_secs(10);
/// The time that sent data may stay unacknowledged.
const UNANSWERED: Duration = Duration::from_secs(30);

/// Decodes the percent-encoded path of a file.
fn decoded(value: &str) -> Result<String, ConfigError> {
    let decoded = percent_decode_str(value)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned);
    decoded.map_err(|_| refused("has an `sslrootcert` that is not valid UTF-8"))
}

/// Returns the error for an unusable URL, without quoting it.
pub(super) fn refused(problem: impl Into<std::borrow::Cow<'static, str>>) -> ConfigError {
    let cure = "write it as postgres://user:password@host:5432/database with special characters \
         percent-encoded";
    ConfigError::new("database_url", problem, cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_means_what_it_means_to_psql() {
        for (query, mode, check) in [
            ("", SslMode::Prefer, Check::Nothing),
            ("?sslmode=disable", SslMode::Disable, Check::Nothing),
            ("?sslmode=require", SslMode::Require, Check::Nothing),
            (
                "?sslmode=require&sslrootcert=/ca.pem",
                SslMode::Require,
                Check::Authority,
            ),
            (
                "?sslrootcert=system&sslmode=verify-full",
                SslMode::Require,
                Check::AuthorityAndHost,
            ),
            (
                "?connect_timeout=3&sslmode=verify-ca",
                SslMode::Require,
                Check::Authority,
            ),
        ] {
            let parsed = Parsed::parse(&format!("postgres://u:p@h/d{query}")).unwrap();
            assert_eq!(
                (parsed.config.get_ssl_mode(), parsed.check),
                (mode, check),
                "{query}"
            );
        }
    }

    #[test]
    fn the_kernel_watches_connections_unless_the_url_says_how() {
        let watched = |query: &str| {
            let config = Parsed::parse(&format!("postgres://u:p@h/d{query}"))
                .unwrap()
                .config;
            (
                config.get_keepalives_idle(),
                config.get_tcp_user_timeout().copied(),
            )
        };
        assert_eq!(watched(""), (IDLE, Some(UNANSWERED)));
        let own = watched("?keepalives_idle=7&tcp_user_timeout=9");
        assert_eq!(own, (Duration::from_secs(7), Some(Duration::from_secs(9))));
    }

    #[test]
    fn several_hosts_sockets_and_options_of_others() {
        let hosts = |url: &str| Parsed::parse(url).unwrap().config.get_hosts().len();
        assert_eq!(
            hosts("postgres://u:p@one:1,two:2/d?target_session_attrs=primary"),
            2
        );
        assert_eq!(hosts("postgres://u:p@/d?host=/run/postgresql"), 1);
        assert_eq!(
            hosts("postgres://u:p@h/d?charset=utf8mb4&connection_limit=5&gssencmode=disable"),
            1
        );
        assert!(Parsed::parse("postgres://u:p@h/d?charset=latin1").is_err());
    }

    #[test]
    fn refusals_name_the_setting_and_hide_the_password() {
        for url in [
            "mysql://u:hunter2@h/d",
            "postgres:hunter2",
            "postgres://u:hunter2@h/d?sslmode=hunter2",
            "postgres://u:hunter2@h:port/d",
            "postgres://h/d?hunter2=x",
            "postgres://",
        ] {
            let error = Parsed::parse(url)
                .err()
                .unwrap_or_else(|| panic!("{url} was accepted"));
            assert_eq!(error.setting(), "database_url");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
