//! Settings of the HTTP side: where to listen, whom to believe, how much to take.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use countersign::ConfigError;
use ipnet::IpNet;

use crate::config::setting::{Kind, Setting};
use crate::config::{Sources, parse};

/// `host:port` to listen on.
pub const LISTEN: Setting = Setting {
    key: "listen",
    kind: Kind::Plain,
    default: "127.0.0.1:8000",
    form: "ADDRESS:PORT",
    help: "Where to listen; port 0 takes any free port.",
};
/// Whose word on where a request comes from is taken.
pub const TRUSTED_PROXIES: Setting = Setting {
    key: "trusted_proxies",
    kind: Kind::Plain,
    default: "",
    form: "ADDRESS|NETWORK,…",
    help: "Proxies whose X-Forwarded-For is believed, as 10.0.0.0/8,::1.",
};
const INSECURE_COOKIES: Setting = Setting {
    key: "insecure_cookies",
    kind: Kind::Switch,
    default: "false",
    form: "true|false",
    help: "Sends cookies over plain HTTP too: for development only.",
};
const MAX_CONNECTIONS: Setting = Setting {
    key: "max_connections",
    kind: Kind::Plain,
    default: "4096",
    form: "NUMBER",
    help: "Connections beyond this are closed at once.",
};
const BODY_LIMIT: Setting = Setting {
    key: "body_limit",
    kind: Kind::Plain,
    default: "64KiB",
    form: "BYTES",
    help: "The longest request body; longer ones are answered with 413.",
};
const HEADER_TIMEOUT: Setting = Setting {
    key: "header_timeout",
    kind: Kind::Plain,
    default: "10s",
    form: "TIME",
    help: "How long a client may take to send a request's head.",
};
const BODY_TIMEOUT: Setting = Setting {
    key: "body_timeout",
    kind: Kind::Plain,
    default: "10s",
    form: "TIME",
    help: "How long a client may take to send a request's body.",
};
const IDLE_TIMEOUT: Setting = Setting {
    key: "idle_timeout",
    kind: Kind::Plain,
    default: "60s",
    form: "TIME",
    help: "How long a connection may lie idle between requests; over HTTP/1 the header timeout ends it where that is shorter.",
};
const REQUEST_TIMEOUT: Setting = Setting {
    key: "request_timeout",
    kind: Kind::Plain,
    default: "30s",
    form: "TIME",
    help: "How long a request may take in all; then it is answered with 503.",
};
const DRAIN_LIMIT: Setting = Setting {
    key: "drain_limit",
    kind: Kind::Plain,
    default: "20s",
    form: "TIME",
    help: "How long a stop waits for requests that are being answered.",
};

/// This section's settings.
pub(super) const SETTINGS: &[&Setting] = &[
    &LISTEN,
    &TRUSTED_PROXIES,
    &INSECURE_COOKIES,
    &MAX_CONNECTIONS,
    &BODY_LIMIT,
    &HEADER_TIMEOUT,
    &BODY_TIMEOUT,
    &IDLE_TIMEOUT,
    &REQUEST_TIMEOUT,
    &DRAIN_LIMIT,
];

/// The HTTP side.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What the setting is called where it was given; the error about a taken port names it.
    pub listen_spelled: String,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Cookies without `Secure`.
    pub insecure_cookies: bool,
    /// The bounds.
    pub limits: Limits,
}

/// Bounds on what a client may take of us (SECURITY row D-01).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// Time to send a head.
    pub header_time: Duration,
    /// Time to send a body.
    pub body_time: Duration,
    /// Time between requests.
    pub idle_time: Duration,
    /// Time to answer.
    pub request_time: Duration,
    /// Time to finish when told to stop.
    pub drain: Duration,
}

impl Http {
    /// Reads the section.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: sources.parse(&LISTEN, address)?,
            listen_spelled: sources.get(&LISTEN).map_or_else(|| LISTEN.env(), |given| given.spelled.clone()),
            trusted_proxies: sources.parse(&TRUSTED_PROXIES, networks)?,
            insecure_cookies: sources.parse(&INSECURE_COOKIES, parse::truth)?,
            limits: Limits {
                connections: sources.parse(&MAX_CONNECTIONS, parse::number(1..=1_000_000))?,
                body: sources.parse(&BODY_LIMIT, body_limit)?,
                header_time: sources.parse(&HEADER_TIMEOUT, parse::positive_duration)?,
                body_time: sources.parse(&BODY_TIMEOUT, parse::positive_duration)?,
                idle_time: sources.parse(&IDLE_TIMEOUT, parse::positive_duration)?,
                request_time: sources.parse(&REQUEST_TIMEOUT, parse::positive_duration)?,
                drain: sources.parse(&DRAIN_LIMIT, parse::duration)?,
            },
        })
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "is not an address and a port".to_owned())
}

fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |part: &str| {
        let whole = part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
        whole.map_err(|_| format!("has {part:?} in it, which is no address and no network"))
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(network).collect()
}

/// A login must fit, and memory for the bodies of all connections must stay within reason.
fn body_limit(text: &str) -> Result<usize, String> {
    let bytes = parse::bytes(text)?;
    if (4096..=16 * 1024 * 1024).contains(&bytes) { Ok(bytes) } else { Err("must be from 4KiB to 16MiB".to_owned()) }
}
