//! Redis URLs: of one server, of the nodes of a cluster, or of a master that Sentinels watch.
//!
//! Errors are [`ConfigError`]s that name `redis_url`. They never quote the URL, because it may
//! contain a password.

use std::borrow::Cow;

use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use percent_encoding::percent_decode_str;

use crate::error::ConfigError;

/// A URL, taken apart.
pub(super) struct Parsed {
    pub(super) servers: Servers,
    /// The certificates of the trusted authorities, in PEM. `None` stands for those of the
    /// operating system.
    pub(super) authorities: Option<Vec<u8>>,
}

/// The servers that a URL names.
pub(super) enum Servers {
    /// One server.
    One(Box<ConnectionInfo>),
    /// Some nodes of a cluster.
    Cluster(Vec<ConnectionInfo>),
    /// A master that Sentinels watch.
    Watched(Box<Service>),
}

/// A master that Sentinels watch.
pub(super) struct Service {
    /// The Sentinels, each with the user and password for it.
    pub(super) sentinels: Vec<ConnectionInfo>,
    /// The name of the master, as the Sentinels know it.
    pub(super) name: String,
    /// The user, the password and the database at the master.
    pub(super) settings: RedisConnectionInfo,
    /// The scheme for the master and the Sentinels: `redis` or `rediss`.
    pub(super) scheme: &'static str,
}

impl Parsed {
    /// Parses one URL, or several with commas between them.
    pub(super) fn parse(urls: &str) -> Result<Self, ConfigError> {
        let watched = [
            ("redis+sentinel://", "redis"),
            ("rediss+sentinel://", "rediss"),
        ]
        .into_iter()
        .find_map(|(prefix, scheme)| Some((urls.trim().strip_prefix(prefix)?, scheme)));

        if let Some((rest, scheme)) = watched {
            return service(rest, scheme);
        }
        let mut nodes = Vec::new();
        let mut authorities = None;
        for url in urls.split(',').map(str::trim) {
            let (url, file) = without_authorities(url)?;
            if let Some(file) = file {
                authorities = Some(read(&file)?);
            }
            nodes.push(node(&url)?);
        }

        if let [one] = nodes.as_slice() {
            return Ok(Self {
                servers: Servers::One(Box::new(one.clone())),
                authorities,
            });
        }
        if nodes
            .iter()
            .any(|node| matches!(node.addr(), ConnectionAddr::Unix(_)))
        {
            return Err(refused("lists a Unix socket as a cluster node"));
        }

        if nodes.iter().any(|node| node.redis_settings().db() != 0) {
            return Err(refused(
                "selects a database, but a cluster has only database 0",
            ));
        }

        Ok(Self {
            servers: Servers::Cluster(nodes),
            authorities,
        })
    }
}

/// Parses the part of a Sentinel URL that follows the scheme.
///
/// The form is `user:password@host:26379,host:26379/name/db?sentinel_password=…`. The port defaults
/// to 26379 and the database to 0.
fn service(rest: &str, scheme: &'static str) -> Result<Parsed, ConfigError> {
    const FORM: &str = "is not a valid Sentinel URL";
    if rest.contains('#') {
        return Err(refused(
            "contains `#`, which must be written as %23 in a password",
        ));
    }

    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, path) = address.split_once('/').ok_or_else(|| refused(FORM))?;
    let (user, hosts) = hosts
        .rsplit_once('@')
        .map_or(("", hosts), |(user, hosts)| (user, hosts));
    let (name, database) = path.split_once('/').unwrap_or((path, "0"));
    let name = decoded(name)?;
    if name.is_empty() {
        return Err(refused(FORM));
    }

    let (mut sentinel_user, mut sentinel_password, mut authorities) = ("", "", None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslrootcert", file)) => authorities = Some(read(&decoded(file)?)?),
            Some(("sentinel_username", user)) => sentinel_user = user,
            Some(("sentinel_password", password)) => sentinel_password = password,
            _ => {
                return Err(refused(
                    "has a parameter other than sentinel_username, sentinel_password and sslrootcert",
                ));
            }
        }
    }

    let login = match (sentinel_user, sentinel_password) {
        ("", "") => String::new(),
        (user, password) => format!("{user}:{password}"),
    };

    let sentinels: Result<Vec<_>, _> = hosts
        .split(',')
        .map(|host| sentinel(scheme, &login, host.trim()))
        .collect();
    let master = node(&format!(
        "{scheme}://{}master/{database}",
        before_host(user)
    ))?;
    let settings = master.redis_settings().clone();
    let service = Service {
        sentinels: sentinels?,
        name,
        settings,
        scheme,
    };

    Ok(Parsed {
        servers: Servers::Watched(Box::new(service)),
        authorities,
    })
}

/// Parses the address of one Sentinel, whose port defaults to 26379.
fn sentinel(scheme: &str, login: &str, host: &str) -> Result<ConnectionInfo, ConfigError> {
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let port = if has_port { "" } else { ":26379" };
    node(&format!("{scheme}://{}{host}{port}", before_host(login)))
}

/// Returns the part of a URL before the host, which is empty without a user.
fn before_host(user: &str) -> String {
    if user.is_empty() {
        String::new()
    } else {
        format!("{user}@")
    }
}

/// Reads a file of certificates.
fn read(file: &str) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(file).map_err(|_| refused("has an `sslrootcert` that can't be read"))
}

/// Decodes the percent-encoding of a part.
fn decoded(text: &str) -> Result<String, ConfigError> {
    let decoded = percent_decode_str(text).decode_utf8().map(Cow::into_owned);
    decoded.map_err(|_| refused("has a part that is not valid UTF-8"))
}

/// Parses the URL of one server.
fn node(url: &str) -> Result<ConnectionInfo, ConfigError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if !matches!(
        scheme,
        Some("redis" | "rediss" | "valkey" | "valkeys" | "unix")
    ) {
        return Err(refused(
            "must start with redis://, rediss://, redis+sentinel:// or unix://",
        ));
    }

    if url.contains('#') {
        return Err(refused(
            "contains `#`, which must be written as %23 in a password and can't switch off \
             certificate checks",
        ));
    }

    // The error of the `redis` crate could quote the password, so it isn't passed on.
    url.into_connection_info()
        .map_err(|_| refused("is not a valid URL"))
}

/// Returns the URL without its parameter `sslrootcert`, and the file that the parameter names.
fn without_authorities(url: &str) -> Result<(String, Option<String>), ConfigError> {
    let Some((address, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), None));
    };

    let mut file = None;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslrootcert", value)) => {
                file = Some(decoded(value)?);
            }
            _ => rest.push(pair),
        }
    }
    let rest = rest.join("&");
    Ok((
        if rest.is_empty() {
            address.to_owned()
        } else {
            format!("{address}?{rest}")
        },
        file,
    ))
}

/// Returns the error for a URL that can't be used.
pub(super) fn refused(problem: &'static str) -> ConfigError {
    let cure = "write it as redis://user:password@host:6379/0 with special characters \
         percent-encoded, separate cluster nodes with commas, or write Sentinels as \
         redis+sentinel://user:password@host:26379,host:26379/name";
    ConfigError::new("redis_url", problem, cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_or_several_nodes() {
        for (url, nodes) in [
            ("redis://localhost", 1),
            ("redis://app:p%40ss@localhost:6380/3", 1),
            ("rediss://cache.example.org:6380", 1),
            ("unix:///run/redis.sock", 1),
            ("redis://a:1, redis://b:2,redis://c:3", 3),
        ] {
            let named = match Parsed::parse(url).unwrap().servers {
                Servers::One(_) => 1,
                Servers::Cluster(nodes) => nodes.len(),
                Servers::Watched(_) => 0,
            };
            assert_eq!(named, nodes, "{url}");
        }
    }

    #[test]
    fn a_master_that_sentinels_watch() {
        for (url, sentinels, name, database) in [
            ("redis+sentinel://one/mymaster", "one:26379", "mymaster", 0),
            (
                "redis+sentinel://one:1,two , [::1]:3/my%20master/2",
                "one:1 two:26379 ::1:3",
                "my master",
                2,
            ),
            (
                "redis+sentinel://me:p%40ss@one/m?sentinel_password=s%2Fecret",
                "one:26379",
                "m",
                0,
            ),
        ] {
            let Servers::Watched(service) = Parsed::parse(url).unwrap().servers else {
                panic!("{url}")
            };
            let hosts: Vec<String> = service
                .sentinels
                .iter()
                .map(|node| match node.addr() {
                    ConnectionAddr::Tcp(host, port) => format!("{host}:{port}"),
                    other => panic!("{other}"),
                })
                .collect();
            assert_eq!(
                (hosts.join(" ").as_str(), service.name.as_str()),
                (sentinels, name),
                "{url}"
            );
            assert_eq!(service.settings.db(), database, "{url}");
            let has_password = url.contains('@');
            assert_eq!(
                service.settings.password(),
                has_password.then_some("p@ss"),
                "{url}"
            );
            let password = service.sentinels[0].redis_settings().password();
            assert_eq!(password, has_password.then_some("s/ecret"), "{url}");
        }
        let Servers::Watched(secure) = Parsed::parse("rediss+sentinel://one/m").unwrap().servers
        else {
            panic!()
        };
        assert!(matches!(
            secure.sentinels[0].addr(),
            ConnectionAddr::TcpTls { .. }
        ));
    }

    #[test]
    fn refusals_name_the_setting_and_hide_the_password() {
        for url in [
            "",
            "postgres://u:hunter2@h/d",
            "redis:hunter2",
            "redis://u:hunter2@h:port",
            "redis://u:hunter2@h/first",
            "rediss://u:hunter2@h/#insecure",
            "redis://u:hunter2@h?sslrootcert=/no/such/file",
            "redis://u:hunter2@a/1,redis://b/1",
            "unix:///run/redis.sock,redis://u:hunter2@b",
            "redis://a,,redis://u:hunter2@b",
            "redis+sentinel://u:hunter2@one",
            "redis+sentinel://u:hunter2@one/",
            "redis+sentinel://u:hunter2@one,/name",
            "redis+sentinel://u:hunter2@one/name/first",
            "redis+sentinel://u:hunter2@one/name?db=1",
            "redis+sentinel://u:hunter2@one/name#x",
        ] {
            let error = Parsed::parse(url)
                .err()
                .unwrap_or_else(|| panic!("{url} was accepted"));
            assert_eq!(error.setting(), "redis_url");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
