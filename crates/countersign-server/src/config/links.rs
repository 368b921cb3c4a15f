//! The environment variables that orchestrators set for services and containers named like us.
//!
//! Their names begin with `COUNTERSIGN_` as the names of the settings do. Without this module a
//! Kubernetes Service called `countersign` would stop the server with an unknown setting.

use std::net::IpAddr;

const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Returns `true` if a variable describes a service or a linked container, and so isn't a
/// misspelled setting. `name` comes without its prefix `COUNTERSIGN_`.
///
/// For a Service named `countersign` or `countersign-…`, Kubernetes sets `…SERVICE_HOST`,
/// `…SERVICE_PORT`, `…SERVICE_PORT_NAME`, `…PORT=tcp://…` and `…PORT_8000_TCP…`. Links of Docker
/// also set `…NAME=/…` and `…ENV_…`.
pub(super) fn is_link(name: &str, value: &str) -> bool {
    is_service(name, value) || is_port(name, value) || is_container(name, value)
}

/// Recognises `…SERVICE_HOST`, `…SERVICE_PORT` and `…SERVICE_PORT_NAME`.
fn is_service(name: &str, value: &str) -> bool {
    let is_number = value.parse::<u16>().is_ok();
    match after(name, "SERVICE") {
        Some("HOST") => value.parse::<IpAddr>().is_ok(),
        Some(rest) => is_number && (rest == "PORT" || rest.starts_with("PORT_")),
        None => false,
    }
}

/// Recognises `…PORT=tcp://…` and `…PORT_8000_TCP…`.
fn is_port(name: &str, value: &str) -> bool {
    if (name == "PORT" || name.ends_with("_PORT")) && is_address(value) {
        return true;
    }
    // `PORT_8000_TCP`, with or without a suffix such as `_ADDR`.
    let Some((number, rest)) = after(name, "PORT").and_then(|rest| rest.split_once('_')) else {
        return false;
    };
    let protocol = rest.split('_').next().unwrap_or_default();
    number.parse::<u16>().is_ok() && PROTOCOLS.contains(&protocol)
}

/// Recognises `tcp://…`.
fn is_address(value: &str) -> bool {
    let scheme = value
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_uppercase());
    scheme.is_some_and(|scheme| PROTOCOLS.contains(&scheme.as_str()))
}

/// Recognises `…NAME=/…` and `…ENV_…`.
fn is_container(name: &str, value: &str) -> bool {
    let is_name = (name == "NAME" || name.ends_with("_NAME")) && value.starts_with('/');
    is_name || after(name, "ENV").is_some()
}

/// Returns the text after the first `word_` in `name` that is at the beginning or follows an
/// underscore.
fn after<'a>(name: &'a str, word: &str) -> Option<&'a str> {
    let mut rest = name;
    loop {
        if let Some(behind) = rest
            .strip_prefix(word)
            .and_then(|behind| behind.strip_prefix('_'))
        {
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
