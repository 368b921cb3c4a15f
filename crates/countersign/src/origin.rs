//! Whether a request with cookies was sent by a page of ours (SECURITY row W-04).
//!
//! tower-http's `csrf` module has the same first rules. It lets every request through that has neither
//! `Sec-Fetch-Site` nor `Origin`, and it judges all requests alike, those with an `Authorization` header included; here
//! proof is asked for where a cookie is the credential, and silence is no proof.

mod spelling;

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::error::ConfigError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where proxies say which method they were asked with.
const TOLD_METHODS: [&str; 2] = ["x-original-method", "x-forwarded-method"];

/// The origins whose pages may send cookies along with unsafe methods: the site's own, and those named here.
///
/// A request passes when one of these holds:
///
/// - its method is GET, HEAD or OPTIONS, which must change nothing, and it asks for no upgrade, such as a WebSocket;
/// - its `Origin` is one that was named, or the [public one](Self::public), byte for byte;
/// - its `Sec-Fetch-Site` is `same-origin` or `none`;
/// - it has no `Sec-Fetch-Site` (an older browser, or a site over plain http), no public origin was named, and its `Origin`
///   is where it was sent to;
/// - it has neither, and its content type is `application/json`: no browser lets a page send that to another site
///   unasked, and none that could would leave `Origin` out.
///
/// `Origin` is where the request was sent to when host and port are the same, by the request's target or its `Host`. A port
/// that is left out is the scheme's own. The scheme of `Origin` counts where the site's is known: it is https when the
/// request's target says so, when the cookies are `Secure`, or when the policy was [told so](Self::https_only). That a
/// request reached us over http says nothing, since a proxy may end TLS. Where the site is known by its cookies or by the
/// policy, `http` is still accepted from loopback hosts, to which browsers send `Secure` cookies over http as well.
#[derive(Clone, Debug, Default)]
pub struct OriginPolicy {
    public: Option<HeaderValue>,
    trusted: HashSet<HeaderValue>,
    https_only: bool,
}

impl OriginPolicy {
    /// Says which origin browsers have the site under. It then takes the place of the request's own target, which a proxy may
    /// have replaced.
    ///
    /// # Errors
    /// [`ConfigError`] when it isn't spelled as for [`trust`](Self::trust).
    pub fn public(mut self, origin: &str) -> Result<Self, ConfigError> {
        self.public = Some(spelling::parse("public origin", origin)?);
        Ok(self)
    }

    /// Trusts the pages of `origin` as well.
    ///
    /// # Errors
    /// [`ConfigError`] when it isn't spelled as browsers spell it: scheme, lower-case host, the port if it isn't the scheme's
    /// own, and nothing after that, no slash either. The scheme's own port may be there; it is left out.
    pub fn trust(mut self, origin: &str) -> Result<Self, ConfigError> {
        self.trusted.insert(spelling::parse("trusted origin", origin)?);
        Ok(self)
    }

    /// Returns the origins that were [named](Self::trust), as browsers spell them: those that may be allowed to read answers
    /// as well (CORS).
    pub fn trusted(&self) -> impl Iterator<Item = &HeaderValue> {
        self.trusted.iter()
    }

    /// Says that all pages of this site are https pages. An [`Authenticator`](crate::Authenticator) knows that by itself
    /// where cookies are `Secure`.
    #[must_use]
    pub const fn https_only(mut self) -> Self {
        self.https_only = true;
        self
    }

    /// Returns whether the request may be acted on if a cookie is its credential.
    pub fn allows(&self, request: &Parts) -> bool {
        self.allows_cookies(request, false)
    }

    /// Like [`allows`](Self::allows), for cookies that may be known to travel over https alone.
    pub(crate) fn allows_cookies(&self, request: &Parts, https_only: bool) -> bool {
        is_safe(request) || self.is_ours(request, https_only || self.https_only)
    }

    /// Returns whether the request that a proxy asks about may be acted on if a cookie is its credential.
    ///
    /// Its method is the one in `X-Original-Method` and `X-Forwarded-Method`, if there is any, beside that of `request` itself:
    /// one that isn't safe is enough, so that nothing a client adds takes anything away. A request with an `Origin` needs
    /// proof whatever its method is: browsers say it with each unsafe one and each WebSocket, so a proxy that leaves out
    /// method or upgrade opens no door.
    pub fn allows_forwarded(&self, request: &Parts) -> bool {
        self.allows_forwarded_cookies(request, false)
    }

    /// Like [`allows_forwarded`](Self::allows_forwarded), for cookies that may be known to travel over https alone.
    pub(crate) fn allows_forwarded_cookies(&self, request: &Parts, https_only: bool) -> bool {
        let headers = &request.headers;
        let mut told = TOLD_METHODS.iter().flat_map(|name| headers.get_all(*name));
        let is_told_safe = told.all(|method| matches!(method.as_bytes(), b"GET" | b"HEAD" | b"OPTIONS"));
        let needs_none = is_safe(request) && is_told_safe && !headers.contains_key(header::ORIGIN);
        needs_none || self.is_ours(request, https_only || self.https_only)
    }

    fn is_ours(&self, request: &Parts, https_only: bool) -> bool {
        let headers = &request.headers;
        let (Ok(site), Ok(origin)) = (only(headers, &SEC_FETCH_SITE), only(headers, &header::ORIGIN)) else {
            return false;
        };
        if origin.is_some_and(|origin| self.trusted.contains(origin) || self.public.as_ref() == Some(origin)) {
            return true;
        }
        match (site.map(HeaderValue::as_bytes), origin) {
            (Some(b"same-origin" | b"none"), _) => true,
            (Some(_), _) => false,
            (None, Some(origin)) => self.public.is_none() && is_target(origin, request, https_only),
            (None, None) => is_json(headers),
        }
    }
}

/// Whether the request must change nothing and open nothing. TRACE isn't among the methods: nobody needs it with a cookie.
fn is_safe(request: &Parts) -> bool {
    matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) && !is_upgrade(&request.headers)
}

/// Whether the request asks for another protocol on its connection. Not HTTP/2, in which it would be the same request:
/// some clients offer that with each.
fn is_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::UPGRADE).iter();
    let mut protocols = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    protocols.any(|protocol| !protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

/// The one value of a header; an error when there are several.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(()),
    }
}

/// Whether `origin` is where the request was sent to (RFC 9110 section 7.1).
fn is_target(origin: &HeaderValue, request: &Parts, https_only: bool) -> bool {
    let target = match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => only(&request.headers, &header::HOST).ok().flatten().and_then(|host| host.to_str().ok()),
    };
    let Some((host, port)) = target.and_then(host_and_port) else { return false };
    let Some((is_https, origin)) = origin.to_str().ok().and_then(scheme_and_rest) else { return false };
    let Some((origin_host, origin_port)) = host_and_port(origin) else { return false };
    let own_port = if is_https { 443 } else { 80 };
    let is_same_place =
        host.eq_ignore_ascii_case(origin_host) && port.unwrap_or(own_port) == origin_port.unwrap_or(own_port);
    let may_be_http = request.uri.scheme() != Some(&Scheme::HTTPS) && (!https_only || is_loopback(host));
    is_same_place && (is_https || may_be_http)
}

/// Whether the scheme is https rather than http, and what follows.
fn scheme_and_rest(origin: &str) -> Option<(bool, &str)> {
    let https = origin.strip_prefix("https://").map(|rest| (true, rest));
    https.or_else(|| origin.strip_prefix("http://").map(|rest| (false, rest)))
}

/// A host and its port, if they are nothing else than that.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let is_v6 = text.starts_with('[');
    let end = if is_v6 { text.find(']').map(|at| at.saturating_add(1)) } else { text.find(':') };
    let (host, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    };
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return None,
        Some(digits) => Some(digits.parse::<u16>().ok().filter(|port| port.to_string() == digits)?),
    };
    is_host.then_some((host, port))
}

/// Whether browsers take the host for this very machine, and so for safe without TLS (Secure Contexts section 3.1).
fn is_loopback(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let is_v4 = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    host == "localhost" || host.ends_with(".localhost") || host == "[::1]" || is_v4()
}

/// Whether the one content type is `application/json`, with or without parameters.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Ok(Some(value)) = only(headers, &header::CONTENT_TYPE) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default();
    essence.trim_matches([' ', '\t']).eq_ignore_ascii_case("application/json")
}
