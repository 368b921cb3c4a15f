//! What the server says on standard output when it is ready: where it listens, where the data is, and what to try.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

/// What to say.
#[derive(Clone, Debug, Serialize)]
pub struct Greeting {
    /// Where it listens, as a URL.
    pub listening: String,
    /// Where the data is.
    pub database: String,
    /// Where Redis is, when it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// The data directory.
    pub data_dir: String,
    /// How access tokens are made.
    pub strategy: &'static str,
    /// Whether nobody has registered yet.
    pub first_start: bool,
    #[serde(skip)]
    /// The address itself.
    pub address: SocketAddr,
}

impl Greeting {
    /// The greeting for people.
    pub fn text(&self) -> String {
        let redis = self.redis.as_ref().map(|redis| format!("  redis     {redis}\n")).unwrap_or_default();
        let mut text = format!(
            "countersign listens on {}\n  database  {}\n{redis}  data dir  {}\n",
            self.listening, self.database, self.data_dir
        );
        if self.first_start {
            let url = local_url(self.address);
            let json = "-H 'content-type: application/json'";
            let account = r#""email":"ada@example.org","password":"correct horse battery""#;
            let login = r#""identifier":"ada@example.org","password":"correct horse battery""#;
            let pick = r#"sed -E 's/.*"access_token": ?"([^"]*)".*/\1/'"#;
            // Writing to a string can't fail.
            let _ = write!(
                text,
                "\nNobody has an account yet. Try, in another terminal (register, log in, who am I):\n\n  \
                 curl -sS {json} -d '{{{account}}}' {url}/auth/register\n  \
                 TOKEN=$(curl -sS {json} -d '{{{login}}}' {url}/auth/login | {pick}); echo \"$TOKEN\"\n  \
                 curl -sS -H \"authorization: Bearer $TOKEN\" {url}/users/me\n"
            );
        }
        text
    }
}

/// A URL that works on this machine.
fn local_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_has_a_line_where_it_is_used() {
        let greeting = |redis: Option<&str>| Greeting {
            listening: "http://127.0.0.1:8000".to_owned(),
            database: "a.sqlite".to_owned(),
            redis: redis.map(str::to_owned),
            data_dir: "data".to_owned(),
            strategy: "redis",
            first_start: false,
            address: ([127, 0, 0, 1], 8000).into(),
        };
        assert!(greeting(Some("redis://cache:6379")).text().contains("\n  redis     redis://cache:6379\n"));
        assert!(!greeting(None).text().contains("redis"));
    }
}
