//! The few operations on URLs that the servers need: another database, another port, and the parts
//! of a MySQL URL.

/// Returns `url` with another database. Its query stays.
pub(crate) fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url
        .split_once('?')
        .map_or((url, None), |(address, query)| (address, Some(query)));
    let host = address.find("://").map_or(0, |scheme| scheme + 3);
    let end = address[host..]
        .find('/')
        .map_or(address.len(), |slash| host + slash);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &address[..end])
}

/// Returns `url` with 127.0.0.1 and `port` in place of its host and port.
pub(crate) fn with_port(url: &str, port: u16) -> String {
    let start = url.rfind('@').map_or_else(
        || url.find("://").map_or(0, |scheme| scheme + 3),
        |at| at + 1,
    );
    let end = url[start..]
        .find(['/', '?'])
        .map_or(url.len(), |end| start + end);
    format!("{}127.0.0.1:{port}{}", &url[..start], &url[end..])
}

/// The parts of `mysql://user:password@host:port/database`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: &'a str,
    pub(crate) database: &'a str,
}

impl<'a> Address<'a> {
    /// Splits a URL into its parts. Percent-encoded characters aren't decoded.
    pub(crate) fn parse(url: &'a str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
        let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (account, place) = server.rsplit_once('@').unwrap_or(("root", server));
        let (user, password) = account.split_once(':').unwrap_or((account, ""));
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "3306"));

        Self {
            user,
            password,
            host,
            port,
            database,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database() {
        assert_eq!(
            with_database("postgres://a:b@h:1/old?sslmode=disable", "new"),
            "postgres://a:b@h:1/new?sslmode=disable"
        );
        assert_eq!(with_database("postgres://h", "new"), "postgres://h/new");
    }

    #[test]
    fn another_port() {
        assert_eq!(
            with_port("postgres://a@h:1/d?x=y", 7),
            "postgres://a@127.0.0.1:7/d?x=y"
        );
        assert_eq!(with_port("postgres://h", 7), "postgres://127.0.0.1:7");
    }

    #[test]
    fn parts() {
        let all = Address {
            user: "u",
            password: "p",
            host: "h",
            port: "1",
            database: "d",
        };
        assert_eq!(Address::parse("mysql://u:p@h:1/d?x=y"), all);
        let least = Address {
            user: "root",
            password: "",
            host: "h",
            port: "3306",
            database: "",
        };
        assert_eq!(Address::parse("mysql://h"), least);
    }
}
