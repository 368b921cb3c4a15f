//! The message on standard output once the server is ready.
//!
//! It names the address, the database and the data directory. As long as there is no account, it
//! also shows commands to register and log in. With `--json` the same facts are one JSON object,
//! which scripts and the tests read to learn the port. Its keys are the fields of [`Greeting`],
//! except `address`.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

/// The facts that the message is made of.
#[derive(Clone, Debug, Serialize)]
pub struct Greeting {
    /// The URL that the server listens on, as `http://127.0.0.1:8000`.
    pub listening: String,
    /// The address of the database, without its password.
    pub database: String,
    /// The address of Redis without its password, if Redis is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<String>,
    /// The path of the data directory.
    pub data_dir: String,
    /// The name of the strategy: `database`, `redis` or `jwt`.
    pub strategy: &'static str,
    /// `true` if there is no account yet.
    pub first_start: bool,
    #[serde(skip)]
    /// The address and port that the server listens on.
    pub address: SocketAddr,
}

impl Greeting {
    /// Returns the message for people, with a line feed at its end.
    ///
    /// On a [first start](Self::first_start) it includes three commands to register an account, log
    /// in and ask for the account.
    pub fn text(&self) -> String {
        let redis = self
            .redis
            .as_ref()
            .map(|redis| format!("  redis     {redis}\n"))
            .unwrap_or_default();
        let mut text = format!(
            "countersign is listening on {}\n  database  {}\n{redis}  data dir  {}\n",
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
                "\nThere are no accounts yet. To register, log in and show the account, run in another terminal:\n\n  \
                 curl -sS {json} -d '{{{account}}}' {url}/auth/register\n  \
                 TOKEN=$(curl -sS {json} -d '{{{login}}}' {url}/auth/login | {pick}); echo \"$TOKEN\"\n  \
                 curl -sS -H \"authorization: Bearer $TOKEN\" {url}/users/me\n"
            );
        }

        text
    }
}

/// Returns a URL that works on this machine, also if the server listens on all addresses.
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
        assert!(
            greeting(Some("redis://cache:6379"))
                .text()
                .contains("\n  redis     redis://cache:6379\n")
        );
        assert!(!greeting(None).text().contains("redis"));
    }
}
