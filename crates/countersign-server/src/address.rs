//! Whose request is it, as far as addresses tell (SECURITY row B-04).

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use http::HeaderMap;
use ipnet::IpNet;

use crate::accounts::Source;
use crate::config::TRUSTED_PROXIES;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// The most addresses that are remembered as those of proxies that nobody trusts.
const MOST_UNKNOWN: usize = 1024;

/// Proxies: those whose word is taken, and those that were only met.
#[derive(Debug, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    unknown: RwLock<HashSet<IpAddr>>,
}

impl Proxies {
    /// Takes the word of these.
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self { trusted, unknown: RwLock::default() }
    }

    /// The client's address: the right-most hop that isn't a trusted proxy.
    ///
    /// `X-Forwarded-For` counts only as far as trusted proxies wrote it. Where one of them wrote something that is no
    /// address, the proxy itself is the client. A client on a private network that was sent on by others is a proxy that
    /// nobody told us of: it is remembered, and said once.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let is_trusted = |address: IpAddr| self.trusted.iter().any(|network| network.contains(&address));
        let lines = headers.get_all(FORWARDED_FOR).iter();
        let mut hops: Vec<&str> = lines.flat_map(|line| line.to_str().unwrap_or("?").split(',')).collect();
        let mut client = peer.to_canonical();
        while is_trusted(client)
            && let Some(address) = hops.last().and_then(|hop| parse(hop.trim()))
        {
            hops.pop();
            client = address;
        }
        if is_private(client) && (!hops.is_empty() || headers.contains_key(FORWARDED)) {
            self.met(client);
        }
        client
    }

    /// What a request from `address` says of who sent it.
    pub fn source(&self, address: IpAddr) -> Source {
        let unknown = self.unknown.read().unwrap_or_else(PoisonError::into_inner);
        Source { address, is_shared: unknown.contains(&address) }
    }

    fn met(&self, proxy: IpAddr) {
        if self.source(proxy).is_shared {
            return;
        }
        let mut unknown = self.unknown.write().unwrap_or_else(PoisonError::into_inner);
        if unknown.is_empty() {
            tracing::warn!(
                event = "proxy_not_trusted",
                address = %proxy,
                setting = TRUSTED_PROXIES.env(),
                "requests come through a proxy whose X-Forwarded-For isn't believed, so that all clients look like one: name \
                 the proxy's address or network in this setting, and let it send X-Forwarded-For. Until then failed logins \
                 and registrations aren't limited by address"
            );
        }
        if unknown.len() < MOST_UNKNOWN {
            unknown.insert(proxy);
        }
    }
}

/// Whether an address is of this machine or of a network of somebody's own, where proxies are.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let is_shared = matches!(address.octets(), [100, 64..=127, ..]);
            address.is_private() || address.is_loopback() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// An address, with or without a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a request by way of `peer` and `forwarded` tells of a proxy that isn't trusted.
    fn is_shared(trusted: &[&str], peer: &str, name: &'static str, forwarded: &str) -> bool {
        let proxies = Proxies::new(trusted.iter().map(|network| network.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        if !forwarded.is_empty() {
            headers.insert(name, forwarded.parse().unwrap());
        }
        let client = proxies.client(peer.parse().unwrap(), &headers);
        proxies.source(client).is_shared
    }

    #[test]
    fn a_private_peer_that_sends_others_on_is_a_proxy() {
        for peer in
            ["10.1.2.3", "172.17.0.1", "192.168.0.4", "127.0.0.1", "100.64.1.1", "::1", "fd00::7", "::ffff:10.0.0.1"]
        {
            assert!(is_shared(&[], peer, FORWARDED_FOR, "203.0.113.9"), "{peer}");
            assert!(is_shared(&[], peer, FORWARDED, "for=203.0.113.9"), "{peer}");
            assert!(!is_shared(&[], peer, FORWARDED_FOR, ""), "{peer}");
        }
        // Anybody can send a header.
        assert!(!is_shared(&[], "198.51.100.7", FORWARDED_FOR, "203.0.113.9"));
        // The proxy behind the one that is trusted, and one that writes what nobody reads.
        assert!(is_shared(&["10.0.0.1/32"], "10.0.0.1", FORWARDED_FOR, "203.0.113.9, 10.0.0.2"));
        assert!(is_shared(&["10.0.0.1/32"], "10.0.0.1", FORWARDED, "for=203.0.113.9"));
        assert!(!is_shared(&["10.0.0.0/8"], "10.0.0.1", FORWARDED_FOR, "203.0.113.9, 10.0.0.2"));
        assert!(!is_shared(&["10.0.0.0/8"], "10.0.0.1", FORWARDED_FOR, "10.0.0.9"), "a client at home");
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let cases = [
            ("203.0.113.9", "", "203.0.113.9"),
            ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("::ffff:10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
            ("10.0.0.1", "1.2.3.4, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "1.2.3.4, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
            ("10.0.0.1", "1.2.3.4, junk", "10.0.0.1"),
            ("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
            ("::1", "[2001:db8::7]:443", "2001:db8::7"),
        ];
        for (peer, forwarded, expected) in cases {
            let mut headers = HeaderMap::new();
            if !forwarded.is_empty() {
                headers.insert(FORWARDED_FOR, forwarded.parse().unwrap());
            }
            let client = Proxies::new(trusted.clone()).client(peer.parse().unwrap(), &headers);
            assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded}");
        }
    }
}
