//! Parsing of MySQL URLs: hosts, TLS settings with the meaning of MySQL's own tools, and the
//! settings of new connections.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder, SslOpts};
use url::Url;

use crate::error::ConfigError;
use crate::store::sql::DatabaseOptions;

/// The number of statements that a connection keeps prepared. Beyond it, the least recently used
/// one is dropped.
const STATEMENTS: usize = 256;

/// Returns the settings for each host of a URL, in their order.
pub(super) fn parse_all(url: &str, options: &DatabaseOptions) -> Result<Vec<Opts>, ConfigError> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| refused("is not a valid URL"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (account, hosts) = authority
        .rsplit_once('@')
        .map_or(("", authority), |(account, hosts)| (account, hosts));
    let at = if account.is_empty() { "" } else { "@" };

    hosts
        .split(',')
        .map(|host| {
            // A URL with a socket needs no host.
            let host = if host.is_empty() && path.contains("socket=") {
                "localhost"
            } else {
                host
            };
            parse(&format!("{scheme}://{account}{at}{host}{path}"), options)
        })
        .collect()
}

/// Returns the settings for a URL with one host.
fn parse(url: &str, options: &DatabaseOptions) -> Result<Opts, ConfigError> {
    // The parsers' own messages aren't used: they could quote a password whose special characters
    // weren't encoded.
    let url = url
        .strip_prefix("mariadb:")
        .map_or_else(|| Cow::Borrowed(url), |rest| format!("mysql:{rest}").into());
    let mut url = Url::parse(&url).map_err(|_| refused("is not a valid URL"))?;
    let (mut mode, mut authorities, mut rest) = (String::new(), None, Vec::new());
    for (name, value) in url.query_pairs().into_owned() {
        match &*name {
            "ssl-mode" => mode = value.to_lowercase().replace('_', "-"),
            "ssl-ca" => authorities = Some(PathBuf::from(value)),
            // Options of other clients, for settings that are fixed here.
            "charset" | "characterEncoding" if value.to_lowercase().starts_with("utf") => {}
            "collation" | "parseTime" | "useUnicode" | "serverTimezone" | "loc"
            | "connection_limit" => {}
            _ => rest.push((name, value)),
        }
    }

    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    let opts = Opts::from_url(url.as_str())
        .map_err(|_| refused("is not a valid URL, or has an unknown option"))?;
    if opts.db_name().is_none() {
        return Err(refused("has no database name"));
    }

    let tls = match (&*mode, authorities) {
        ("", None) => opts.ssl_opts().cloned(),
        ("", Some(authorities)) => Some(verified(Some(authorities))),
        ("disabled", _) => None,
        ("required", _) => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
        ("verify-identity", authorities) => Some(verified(authorities)),
        _ => {
            return Err(refused(
                "has an `ssl-mode` other than disabled, required or verify-identity",
            ));
        }
    };

    if tls.is_some() {
        // An error means that the application has installed a provider already, which serves as
        // well.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let builder = OptsBuilder::from_opts(opts)
        .ssl_opts(tls)
        .client_found_rows(true)
        .prefer_socket(false)
        .stmt_cache_size(STATEMENTS)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .init(session(options.timeout, ""));
    Ok(builder.into())
}

/// Returns the settings for connections that write. On MariaDB these don't wait for row locks.
pub(super) fn for_writes(opts: Opts, options: &DatabaseOptions) -> Opts {
    OptsBuilder::from_opts(opts)
        .init(session(options.timeout, "/*M! 0 * */"))
        .into()
}

/// Returns TLS settings that check certificates against the authorities in a PEM file, or against
/// those of the operating system.
fn verified(authorities: Option<PathBuf>) -> SslOpts {
    let checked = SslOpts::default().with_disable_built_in_roots(true);
    if let Some(path) = authorities {
        return checked.with_root_certs(vec![path.into()]);
    }
    let roots = rustls_native_certs::load_native_certs().certs;
    checked.with_root_certs(roots.iter().map(|root| root.to_vec().into()).collect())
}

/// Returns the statement that sets up a new connection.
///
/// It limits waits for locks, so that a statement whose caller has given up doesn't go on waiting.
/// Only MariaDB can limit a statement's whole time. Transactions are `READ COMMITTED`, except on a
/// MariaDB with a statement-based binary log, which refuses writes at that level. `waits` is text
/// that multiplies the seconds to wait for a lock.
fn session(timeout: Duration, waits: &str) -> Vec<String> {
    let limit = timeout.mul_f64(0.9).as_secs_f64();
    vec![format!(
        "SET autocommit = 1, \
             time_zone = '+00:00', \
             sql_mode = 'TRADITIONAL', \
             innodb_lock_wait_timeout = {waits} {} \
             /*!50720 , transaction_isolation = 'READ-COMMITTED' */ \
             /*M! , max_statement_time = {limit:.3}, \
                 tx_isolation = IF(\
                     @@log_bin AND @@binlog_format = 'STATEMENT', \
                     'REPEATABLE-READ', \
                     'READ-COMMITTED'\
                 ) */",
        timeout.as_secs().max(1),
    )]
}

/// Returns the error for an unusable URL, without quoting it.
fn refused(problem: &'static str) -> ConfigError {
    let cure = "write it as mysql://user:password@host:3306/database with special characters \
         percent-encoded";
    ConfigError::new("database_url", problem, cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(query: &str) -> Option<SslOpts> {
        parse(
            &format!("mysql://u:p@h/d{query}"),
            &DatabaseOptions::default(),
        )
        .unwrap()
        .ssl_opts()
        .cloned()
    }

    #[test]
    fn ssl_mode_means_what_it_means_to_mysql() {
        assert_eq!(tls(""), None);
        assert_eq!(tls("?ssl-mode=DISABLED&require_ssl=true"), None);
        let checks = |query| {
            tls(query).map(|tls| (!tls.accept_invalid_certs(), !tls.skip_domain_validation()))
        };
        assert_eq!(checks("?ssl-mode=REQUIRED"), Some((false, true)));
        assert_eq!(
            checks("?ssl-mode=verify-identity&ssl-ca=/ca.pem"),
            Some((true, true))
        );
        assert_eq!(checks("?require_ssl=true"), Some((true, true)));
    }

    #[test]
    fn several_hosts_sockets_and_options_of_others() {
        let hosts = |url: &str| {
            let all = parse_all(url, &DatabaseOptions::default()).unwrap();
            all.iter()
                .map(|opts| (opts.ip_or_hostname().to_owned(), opts.tcp_port()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            hosts("mysql://u:p@one:1,two:2/d"),
            [("one".to_owned(), 1), ("two".to_owned(), 2)]
        );
        assert_eq!(hosts("mysql://u:p@/d?socket=/run/s").len(), 1);
        assert_eq!(
            hosts("mysql://h/d?charset=utf8mb4&parseTime=true&collation=utf8mb4_bin").len(),
            1
        );
        assert!(
            parse_all(
                "mysql://u:p@h/d?charset=latin1",
                &DatabaseOptions::default()
            )
            .is_err()
        );
        assert!(parse_all("mysql://u:p@/d", &DatabaseOptions::default()).is_err());
    }

    #[test]
    fn mariadb_is_a_scheme_too() {
        let opts = parse("mariadb://u:p@h/d", &DatabaseOptions::default()).unwrap();
        assert_eq!((opts.ip_or_hostname(), opts.db_name()), ("h", Some("d")));
    }

    #[test]
    fn refusals_name_the_setting_and_hide_the_password() {
        for url in [
            "postgres://u:hunter2@h/d",
            "mysql://u:hunter2@h",
            "mysql://u:hunter2@h:port/d",
            "mysql://u:hunter2@h/d?ssl-mode=hunter2",
            "mysql://u:x?hunter2@h/d",
        ] {
            let error = parse(url, &DatabaseOptions::default()).expect_err(url);
            assert_eq!(error.setting(), "database_url");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
