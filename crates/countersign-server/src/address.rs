//! Whose request is it, as far as addresses tell (SECURITY row B-04).

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: the right-most hop that isn't a trusted proxy.
///
/// `X-Forwarded-For` counts only as far as trusted proxies wrote it. Where one of them wrote something that is no
/// address, the proxy itself is the client.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let lines = headers.get_all(FORWARDED_FOR).iter();
    let hops: Vec<&str> = lines.flat_map(|line| line.to_str().unwrap_or("?").split(',')).collect();
    let mut client = peer.to_canonical();
    for hop in hops.into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Some(address) = parse(hop.trim()) else { break };
        client = address;
    }
    client
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
            let client = client(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded}");
        }
    }
}
