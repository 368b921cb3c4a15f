//! What orchestrators put into the environment beside our settings, when a service or a linked container has our name.

use std::net::IpAddr;

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether a variable, its prefix taken off, tells of a service or a linked container, and is no setting misspelled.
///
/// Kubernetes writes, for a Service named `countersign` or `countersign-…`, `…SERVICE_HOST`, `…SERVICE_PORT`,
/// `…SERVICE_PORT_NAME`, `…PORT=tcp://…` and `…PORT_8000_TCP…`; links of Docker write `…NAME=/…` and `…ENV_…` as well.
pub(super) fn is_link(name: &str, value: &str) -> bool {
    is_service(name, value) || is_port(name, value) || is_container(name, value)
}

fn is_service(name: &str, value: &str) -> bool {
    let is_number = value.parse::<u16>().is_ok();
    match after(name, "SERVICE") {
        Some("HOST") => value.parse::<IpAddr>().is_ok(),
        Some(rest) => is_number && (rest == "PORT" || rest.starts_with("PORT_")),
        None => false,
    }
}

fn is_port(name: &str, value: &str) -> bool {
    let is_address = || {
        let scheme = value.split_once("://").map(|(scheme, _)| scheme.to_ascii_uppercase());
        scheme.is_some_and(|scheme| PROTOCOLS.contains(&scheme.as_str()))
    };
    if (name == "PORT" || name.ends_with("_PORT")) && is_address() {
        return true;
    }
    // PORT_8000_TCP, and what stands behind it.
    let Some((number, rest)) = after(name, "PORT").and_then(|rest| rest.split_once('_')) else { return false };
    let protocol = rest.split('_').next().unwrap_or_default();
    number.parse::<u16>().is_ok() && PROTOCOLS.contains(&protocol)
}

fn is_container(name: &str, value: &str) -> bool {
    let is_name = (name == "NAME" || name.ends_with("_NAME")) && value.starts_with('/');
    is_name || after(name, "ENV").is_some()
}

/// What stands behind the first `word_` that begins the name or follows an underscore.
fn after<'a>(name: &'a str, word: &str) -> Option<&'a str> {
    let mut rest = name;
    loop {
        if let Some(behind) = rest.strip_prefix(word).and_then(|behind| behind.strip_prefix('_')) {
            return Some(behind);
        }
        rest = rest.split_once('_')?.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_their_own_forms_are_theirs() {
        for (name, value) in [
            ("SERVICE_HOST", "10.0.0.1"),
            ("PORT_REDIS_SERVICE_PORT", "6379"),
            ("PORT_REDIS_PORT", "tcp://10.0.0.1:6379"),
            ("PORT_6379_TCP_ADDR", "10.0.0.1"),
            ("PORT_6379_TCP_PORT", "6379"),
            ("A_B_ENV_C_D", ""),
            ("DB_NAME", "/web/db"),
        ] {
            assert!(is_link(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("SERVICE_HOST", "db.example.org"),
            ("SERVICE_PORT", "http"),
            ("PORT", "8000"),
            ("PORT", "http://10.0.0.1"),
            ("PORT_8000", "tcp://10.0.0.1:8000"),
            ("PORT_X_TCP", "tcp://10.0.0.1:8000"),
            ("NAME", "db"),
            ("LISTEN_ENVIRONMENT", "x"),
            ("LISTNE", "127.0.0.1:0"),
        ] {
            assert!(!is_link(name, value), "{name}={value}");
        }
    }
}
