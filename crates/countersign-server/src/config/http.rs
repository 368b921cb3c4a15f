//! Settings of the HTTP side: the address to listen on, proxies, browsers, and limits.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use countersign::transport::SameSite;
use countersign::{ConfigError, OriginPolicy};
use ipnet::IpNet;

use crate::config::public_url::PublicUrl;
use crate::config::setting::{Kind, Setting};
use crate::config::{Sources, parse};

/// The address and port to listen on, as `ADDRESS:PORT` or `localhost:PORT`.
pub const LISTEN: Setting = Setting {
    key: "listen",
    kind: Kind::Plain,
    default: "127.0.0.1:8000",
    form: "ADDRESS:PORT",
    example: "127.0.0.1:8000",
    help: "Address and port to listen on; port 0 picks any free port.",
};
/// The proxies whose `X-Forwarded-For` header is believed: addresses and networks, separated by
/// commas.
pub const TRUSTED_PROXIES: Setting = Setting {
    key: "trusted_proxies",
    kind: Kind::Plain,
    default: "",
    form: "ADDRESS|NETWORK,…",
    example: "10.0.0.0/8,::1",
    help: "Proxies whose X-Forwarded-For header is trusted, for example 10.0.0.0/8,::1.",
};
/// The URL under which browsers reach the server, a path prefix included.
pub const PUBLIC_URL: Setting = Setting {
    key: "public_url",
    kind: Kind::Plain,
    default: "",
    form: "URL",
    example: "https://app.example/accounts",
    help: "URL under which browsers reach the server, with its path, for example https://app.example/accounts.",
};
/// The other origins whose pages may send cookies and read answers (CORS), separated by commas.
pub const ALLOWED_ORIGINS: Setting = Setting {
    key: "allowed_origins",
    kind: Kind::Plain,
    default: "",
    form: "ORIGIN,…",
    example: "https://www.example",
    help: "Other origins whose pages may send cookies and read responses (CORS), for example https://www.example.",
};
const COOKIE_NAME: Setting = Setting {
    key: "cookie_name",
    kind: Kind::Plain,
    default: "",
    form: "NAME",
    example: "accounts",
    help: "Base name of the cookies, for servers that share a host under different paths.",
};
const COOKIE_SAMESITE: Setting = Setting {
    key: "cookie_samesite",
    kind: Kind::Plain,
    default: "lax",
    form: "lax|strict|none",
    example: "lax",
    help: "When browsers send the cookies from pages of other sites: when following a link (lax), never (strict) or always (none).",
};
const INSECURE_COOKIES: Setting = Setting {
    key: "insecure_cookies",
    kind: Kind::Switch,
    default: "false",
    form: "true|false",
    example: "false",
    help: "Send cookies over plain HTTP too; for development only.",
};
/// The maximum number of connections at once.
pub const MAX_CONNECTIONS: Setting = Setting {
    key: "max_connections",
    kind: Kind::Plain,
    default: "4096",
    form: "NUMBER",
    example: "4096",
    help: "Maximum number of connections; further ones are closed, except a few reserved for /healthz and /readyz.",
};
const BODY_LIMIT: Setting = Setting {
    key: "body_limit",
    kind: Kind::Plain,
    default: "64KiB",
    form: "BYTES",
    example: "64KiB",
    help: "Maximum size of a request body; larger ones get 413.",
};
pub(super) const HEADER_TIMEOUT: Setting = Setting {
    key: "header_timeout",
    kind: Kind::Plain,
    default: "10s",
    form: "TIME",
    example: "10s",
    help: "Time limit for receiving the head of a request.",
};
const BODY_TIMEOUT: Setting = Setting {
    key: "body_timeout",
    kind: Kind::Plain,
    default: "10s",
    form: "TIME",
    example: "10s",
    help: "Time limit for receiving the body of a request.",
};
pub(super) const IDLE_TIMEOUT: Setting = Setting {
    key: "idle_timeout",
    kind: Kind::Plain,
    default: "60s",
    form: "TIME",
    example: "60s",
    help: "How long a connection may be idle between requests; over HTTP/1, header_timeout applies if it is shorter.",
};
const REQUEST_TIMEOUT: Setting = Setting {
    key: "request_timeout",
    kind: Kind::Plain,
    default: "30s",
    form: "TIME",
    example: "30s",
    help: "Time limit for a whole request; slower ones get 503.",
};
pub(super) const DRAIN_LIMIT: Setting = Setting {
    key: "drain_limit",
    kind: Kind::Plain,
    default: "20s",
    form: "TIME",
    example: "20s",
    help: "How long a shutdown waits for requests in progress.",
};
pub(super) const DRAIN_DELAY: Setting = Setting {
    key: "drain_delay",
    kind: Kind::Plain,
    default: "1s",
    form: "TIME",
    example: "1s",
    help: "How long after SIGTERM requests are still accepted while /readyz answers 503, so that load balancers switch to other servers.",
};

/// The settings of this section, in the order of the help.
pub(super) const SETTINGS: &[&Setting] = &[
    &LISTEN,
    &TRUSTED_PROXIES,
    &PUBLIC_URL,
    &ALLOWED_ORIGINS,
    &COOKIE_NAME,
    &COOKIE_SAMESITE,
    &INSECURE_COOKIES,
    &MAX_CONNECTIONS,
    &BODY_LIMIT,
    &HEADER_TIMEOUT,
    &BODY_TIMEOUT,
    &IDLE_TIMEOUT,
    &REQUEST_TIMEOUT,
    &DRAIN_LIMIT,
    &DRAIN_DELAY,
];

/// The settings of the HTTP side.
#[derive(Clone, Debug)]
pub struct Http {
    /// The address and port to listen on. Port 0 stands for any free port.
    pub listen: SocketAddr,
    /// The name under which the address was given, for the error about a port that is taken.
    pub listen_spelled: String,
    /// The networks of the proxies whose `X-Forwarded-For` header is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The URL under which browsers reach the server, if it was given.
    pub public_url: Option<PublicUrl>,
    /// The origins whose pages may send cookies: the server's own and the allowed ones.
    pub origins: OriginPolicy,
    /// The beginning of the cookies' names, after the prefix `__Host-` if there is one. `None`
    /// keeps the names of the profile.
    pub cookie_name: Option<String>,
    /// The `SameSite` attribute of the cookies.
    pub cookie_samesite: SameSite,
    /// `true` if cookies are sent without `Secure`, over plain HTTP too. For development only.
    pub insecure_cookies: bool,
    /// The limits of what a client may use.
    pub limits: Limits,
}

/// The limits of what a client may use, so that none can hold up the server or exhaust its memory,
/// and the times of an orderly stop.
///
/// The documentation of each field names its setting and the bounds that [`Http::read`] accepts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The maximum number of connections at once (`max_connections`, 1 to 1,000,000).
    pub connections: usize,
    /// The maximum length of a request body in bytes (`body_limit`, 4 KiB to 16 MiB).
    pub body: usize,
    /// The time that a client may take to send the head of a request (`header_timeout`, one second
    /// to one day).
    pub header_time: Duration,
    /// The time that a client may take to send the body of a request (`body_timeout`, one second to
    /// one day).
    pub body_time: Duration,
    /// The time that a connection may be idle between two requests (`idle_timeout`, one second to
    /// one day).
    pub idle_time: Duration,
    /// The time that a request may take in total (`request_timeout`, one second to one day). After
    /// that it is answered with 503.
    pub request_time: Duration,
    /// The time that a stop waits for requests that are being answered (`drain_limit`, up to one
    /// day).
    pub drain: Duration,
    /// The time after SIGTERM for which requests are still accepted, while `GET /readyz` answers
    /// 503 so that load balancers turn to other servers (`drain_delay`, up to one day).
    pub leave: Duration,
}

impl Http {
    /// Reads this section.
    ///
    /// # Errors
    /// [`ConfigError`] if a value can't be parsed. It names the setting and gives an example.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let public_url = sources.parse_optional(&PUBLIC_URL, PublicUrl::parse)?;
        let origins = sources.parse(&ALLOWED_ORIGINS, origins)?;
        let insecure_cookies = sources.parse(&INSECURE_COOKIES, parse::truth)?;

        Ok(Self {
            listen: sources.parse(&LISTEN, address)?,
            listen_spelled: sources
                .get(&LISTEN)
                .map_or_else(|| LISTEN.env(), |given| given.spelled.clone()),
            trusted_proxies: sources.parse(&TRUSTED_PROXIES, networks)?,
            origins: public_url
                .as_ref()
                .map_or(Ok(origins.clone()), |url| origins.public(&url.origin))?,
            public_url,
            cookie_name: sources.parse_optional(&COOKIE_NAME, cookie_name)?,
            cookie_samesite: sources.parse(&COOKIE_SAMESITE, samesite(insecure_cookies))?,
            insecure_cookies,
            limits: Limits {
                connections: sources.parse(&MAX_CONNECTIONS, parse::number(1..=1_000_000))?,
                body: sources.parse(&BODY_LIMIT, body_limit)?,
                header_time: sources.parse(&HEADER_TIMEOUT, patience)?,
                body_time: sources.parse(&BODY_TIMEOUT, patience)?,
                idle_time: sources.parse(&IDLE_TIMEOUT, patience)?,
                request_time: sources.parse(&REQUEST_TIMEOUT, patience)?,
                drain: sources.parse(&DRAIN_LIMIT, parse::duration_in(Duration::ZERO..=DAY))?,
                leave: sources.parse(&DRAIN_DELAY, parse::duration_in(Duration::ZERO..=DAY))?,
            },
        })
    }
}

const DAY: Duration = Duration::from_hours(24);

/// Parses a timeout for a client or an answer: one second to one day.
fn patience(text: &str) -> Result<Duration, String> {
    parse::duration_in(Duration::from_secs(1)..=DAY)(text)
}

/// Parses the address to listen on. `localhost` stands for `127.0.0.1`.
fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text
        .strip_prefix("localhost:")
        .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse()
        .map_err(|_| "is not a valid address and port".to_owned())
}

/// Parses a list of addresses and networks, separated by commas.
fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(network)
        .collect()
}

/// Parses one network. An address alone is a network too.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("contains {text:?}, which is not a valid address or network"))
}

/// Returns a policy that trusts each of the origins in `text`, which are separated by commas.
fn origins(text: &str) -> Result<OriginPolicy, String> {
    let mut parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.try_fold(OriginPolicy::default(), |origins, part| {
        // The text before an `@` may hold a password, so the error leaves it out.
        let shown = part.rsplit('@').next().unwrap_or_default();
        origins
            .trust(part)
            .map_err(|error| format!("contains {shown:?}, which {}", error.problem()))
    })
}

/// Parses the beginning of the cookies' names: 1 to 64 letters, digits, `-` and `_`, without `_` at
/// the start.
fn cookie_name(text: &str) -> Result<String, String> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if (1..=64).contains(&text.len()) && is_plain && !text.starts_with('_') {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 64 letters, digits, `-` and `_`, and must not begin with `_`".to_owned())
}

/// Returns a parser for `SameSite`. Browsers reject cookies with `SameSite=None` and without
/// `Secure`.
fn samesite(insecure_cookies: bool) -> impl Fn(&str) -> Result<SameSite, String> {
    let choose = parse::one_of(&[
        ("lax", SameSite::Lax),
        ("strict", SameSite::Strict),
        ("none", SameSite::None),
    ]);

    move |text| match choose(text)? {
        SameSite::None if insecure_cookies => Err(
            "can't be `none` while insecure_cookies is on, because browsers reject such \
                 cookies"
                .to_owned(),
        ),
        samesite => Ok(samesite),
    }
}

/// Parses the maximum length of a body, 4 KiB to 16 MiB: a login must fit, and the bodies of all
/// connections together must fit into memory.
fn body_limit(text: &str) -> Result<usize, String> {
    let bytes = parse::bytes(text)?;
    if (4096..=16 * 1024 * 1024).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("must be between 4KiB and 16MiB".to_owned())
    }
}
