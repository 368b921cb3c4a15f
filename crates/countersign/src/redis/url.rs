//! A Redis URL, or those of a cluster's nodes.

use std::borrow::Cow;

use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use percent_encoding::percent_decode_str;

use crate::error::ConfigError;

/// URLs taken apart.
pub(super) struct Parsed {
    pub(super) nodes: Vec<ConnectionInfo>,
    pub(super) cluster: bool,
    /// The certificates of authorities, as PEM.
    pub(super) authorities: Option<Vec<u8>>,
}

impl Parsed {
    pub(super) fn parse(urls: &str) -> Result<Self, ConfigError> {
        let mut nodes = Vec::new();
        let mut authorities = None;
        for url in urls.split(',').map(str::trim) {
            let (url, file) = without_authorities(url)?;
            if let Some(file) = file {
                let unreadable = |_| refused("names an `sslrootcert` that can't be read");
                authorities = Some(std::fs::read(file).map_err(unreadable)?);
            }
            nodes.push(node(&url)?);
        }
        let cluster = nodes.len() > 1;
        if cluster && nodes.iter().any(|node| matches!(node.addr(), ConnectionAddr::Unix(_))) {
            return Err(refused("has a socket among the nodes of a cluster"));
        }
        if cluster && nodes.iter().any(|node| node.redis_settings().db() != 0) {
            return Err(refused("names a database, and a cluster has none but 0"));
        }
        Ok(Self { nodes, cluster, authorities })
    }
}

fn node(url: &str) -> Result<ConnectionInfo, ConfigError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if !matches!(scheme, Some("redis" | "rediss" | "valkey" | "valkeys" | "unix")) {
        return Err(refused("doesn't start with redis://, rediss:// or unix://"));
    }
    if url.contains('#') {
        return Err(refused(
            "has a `#`, which a password has as %23, and which can't switch off the check of certificates",
        ));
    }
    // The driver's own words could quote the password.
    url.into_connection_info().map_err(|_| refused("can't be read"))
}

/// The URL without its `sslrootcert`, and the file that this names.
fn without_authorities(url: &str) -> Result<(String, Option<String>), ConfigError> {
    let Some((address, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let mut file = None;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslrootcert", value)) => {
                let decoded = percent_decode_str(value).decode_utf8().map(Cow::into_owned);
                file = Some(decoded.map_err(|_| refused("has an `sslrootcert` that isn't UTF-8"))?);
            }
            _ => rest.push(pair),
        }
    }
    let rest = rest.join("&");
    Ok((if rest.is_empty() { address.to_owned() } else { format!("{address}?{rest}") }, file))
}

pub(super) fn refused(problem: &'static str) -> ConfigError {
    let cure = "write it as redis://user:password@host:6379/0, special characters percent-encoded, or name several \
                nodes of a cluster with commas between them";
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
            let parsed = Parsed::parse(url).unwrap();
            assert_eq!((parsed.nodes.len(), parsed.cluster), (nodes, nodes > 1), "{url}");
        }
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
        ] {
            let error = Parsed::parse(url).err().unwrap_or_else(|| panic!("{url} was accepted"));
            assert_eq!(error.setting(), "redis_url");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
