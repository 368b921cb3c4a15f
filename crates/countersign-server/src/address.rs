//! The address of a client, found through the proxies in front of the server.
//!
//! Rate limits and device lists need the address of the client and not that of the last proxy.
//! [`Proxies::client`] reads it from `X-Forwarded-For`, as far as trusted proxies wrote that
//! header. Anything further left in the header could have been written by the client itself, and is
//! ignored.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{PoisonError, RwLock};

use http::HeaderMap;
use ipnet::IpNet;

use crate::config::TRUSTED_PROXIES;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// The largest number of remembered addresses of proxies that aren't trusted.
const MOST_UNKNOWN: usize = 1024;

/// The address that stands for a client whose address isn't known.
pub(crate) const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The proxies in front of the server: those that are trusted, and those that were noticed.
///
/// # Examples
///
/// ```
/// use countersign_server::address::Proxies;
/// use http::HeaderMap;
///
/// let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "192.0.2.1, 198.51.100.7".parse().unwrap());
///
/// // The proxy at 10.0.0.1 is trusted, so the address that it appended is the client's.
/// let client = proxies.client("10.0.0.1".parse().unwrap(), &headers);
/// assert_eq!(client.to_string(), "198.51.100.7");
/// ```
#[derive(Debug, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    unknown: RwLock<HashSet<IpAddr>>,
}

impl Proxies {
    /// Creates a set of proxies, of which those in the `trusted` networks are trusted.
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self {
            trusted,
            unknown: RwLock::default(),
        }
    }

    /// Returns the client's address: the right-most hop that isn't a trusted proxy.
    ///
    /// The hops are the entries of all `X-Forwarded-For` lines, followed by `peer`, the address at
    /// the other end of the connection. They are read from right to left. If a trusted proxy wrote
    /// an entry that isn't an address, the search ends, and that proxy counts as the client. IPv4
    /// addresses that are mapped into IPv6 are returned as IPv4.
    ///
    /// If the result is a private address, yet the request was forwarded, it is probably a proxy
    /// that is missing in the configuration. It is then remembered, so that
    /// [`source`](Self::source) marks it as shared, and a warning is logged for the first such
    /// proxy (`proxy_not_trusted`).
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all(FORWARDED_FOR).iter();
        let mut hops: Vec<&str> = lines
            .flat_map(|line| line.to_str().unwrap_or("?").split(','))
            .collect();

        let mut client = peer.to_canonical();
        while self.trusts(client)
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

    /// Returns `true` if `peer`, the other end of a connection, is a trusted proxy.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|network| network.contains(&peer))
    }

    /// Returns `address` as the source of a login, marked as shared if it is a known untrusted
    /// proxy.
    ///
    /// Behind a shared address there are many clients. Callers must not limit them by that address.
    pub fn source(&self, address: IpAddr) -> Source {
        let unknown = self.unknown.read().unwrap_or_else(PoisonError::into_inner);
        Source {
            address,
            is_shared: unknown.contains(&address),
        }
    }

    /// Remembers the address of an untrusted proxy, and warns at the first one.
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
                "requests come through a proxy that is not trusted, so its X-Forwarded-For is \
                 ignored and all clients appear to have one address; add the proxy's address \
                 or network to this setting and make the proxy send X-Forwarded-For. Until \
                 then, failed logins and registrations are not limited by address"
            );
        }

        if unknown.len() < MOST_UNKNOWN {
            unknown.insert(proxy);
        }
    }
}

/// Returns `true` for an address of this machine or of a private network, where proxies usually
/// are.
///
/// This includes the shared address space of carriers, 100.64.0.0/10 (RFC 6598).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let is_shared = matches!(address.octets(), [100, 64..=127, ..]);
            address.is_private() || address.is_loopback() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// Parses an address with or without a port, and with or without brackets.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    let address = bare
        .parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The origin of a request, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address from which the request came.
    pub address: IpAddr,
    /// `true` if the address is that of a proxy that isn't trusted, behind which there may be many
    /// clients.
    pub is_shared: bool,
}

/// The address at the other end of the connection, as an extension of each request.
///
/// Behind a proxy this is the proxy's address. Handlers that need the client's use
/// [`ClientAddress`](countersign::axum::ClientAddress), which [`crate::limits::bound`] sets.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a request by way of `peer` and `forwarded` tells of a proxy that isn't trusted.
    fn is_shared(trusted: &[&str], peer: &str, name: &'static str, forwarded: &str) -> bool {
        let proxies = Proxies::new(
            trusted
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
        );
        let mut headers = HeaderMap::new();
        if !forwarded.is_empty() {
            headers.insert(name, forwarded.parse().unwrap());
        }
        let client = proxies.client(peer.parse().unwrap(), &headers);
        proxies.source(client).is_shared
    }

    #[test]
    fn a_private_peer_that_sends_others_on_is_a_proxy() {
        for peer in [
            "10.1.2.3",
            "172.17.0.1",
            "192.168.0.4",
            "127.0.0.1",
            "100.64.1.1",
            "::1",
            "fd00::7",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_shared(&[], peer, FORWARDED_FOR, "203.0.113.9"), "{peer}");
            assert!(is_shared(&[], peer, FORWARDED, "for=203.0.113.9"), "{peer}");
            assert!(!is_shared(&[], peer, FORWARDED_FOR, ""), "{peer}");
        }
        // Anybody can send a header.
        assert!(!is_shared(
            &[],
            "198.51.100.7",
            FORWARDED_FOR,
            "203.0.113.9"
        ));
        // The proxy behind the one that is trusted, and one that writes what nobody reads.
        assert!(is_shared(
            &["10.0.0.1/32"],
            "10.0.0.1",
            FORWARDED_FOR,
            "203.0.113.9, 10.0.0.2"
        ));
        assert!(is_shared(
            &["10.0.0.1/32"],
            "10.0.0.1",
            FORWARDED,
            "for=203.0.113.9"
        ));
        assert!(!is_shared(
            &["10.0.0.0/8"],
            "10.0.0.1",
            FORWARDED_FOR,
            "203.0.113.9, 10.0.0.2"
        ));
        assert!(
            !is_shared(&["10.0.0.0/8"], "10.0.0.1", FORWARDED_FOR, "10.0.0.9"),
            "a client at home"
        );
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
            (
                "10.0.0.1",
                "1.2.3.4, 198.51.100.7, 10.9.9.9",
                "198.51.100.7",
            ),
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
            assert_eq!(
                client,
                expected.parse::<IpAddr>().unwrap(),
                "{peer} {forwarded}"
            );
        }
    }
}
