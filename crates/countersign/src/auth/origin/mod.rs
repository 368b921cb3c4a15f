//! The check that a request with a cookie was sent by a trusted page (cross-site request forgery).
//!
//! [`OriginPolicy`] is plain data with two questions: one for a request that is served here, one
//! for the request that a proxy asks about. The [`Authenticator`](crate::Authenticator) asks them,
//! so that no route can forget the check.
//!
//! tower-http's `csrf` module has the same first rules. It lets every request through that has
//! neither `Sec-Fetch-Site` nor `Origin`, and it judges all requests alike, those with an
//! `Authorization` header included. Here proof is required where a cookie is the credential, and a
//! request without either header is no proof.

mod spelling;

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::error::ConfigError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The headers in which proxies send the method of the request that they ask about.
const TOLD_METHODS: [&str; 2] = ["x-original-method", "x-forwarded-method"];

/// A policy that decides whether a request with a cookie was sent by a trusted page.
///
/// Browsers attach cookies to requests that pages of other sites start, so a cookie alone doesn't
/// prove that the site's own page sent the request. The [`Authenticator`](crate::Authenticator)
/// asks this policy whenever a cookie is the credential; set it with
/// [`AuthenticatorBuilder::origins`](crate::auth::AuthenticatorBuilder::origins). A request with an
/// `Authorization` header needs no proof. The default policy trusts the site's own pages only.
///
/// # Rules
///
/// A request passes when one of these holds:
///
/// - Its method is GET, HEAD or OPTIONS, and it asks for no upgrade. Handlers of these methods must
///   change nothing. A WebSocket handshake is an upgrade, so it needs one of the proofs below.
/// - Its `Origin` is the [public one](Self::public) or a [trusted one](Self::trust), byte for byte.
/// - Its `Sec-Fetch-Site` is `same-origin` or `none`.
/// - It has no `Sec-Fetch-Site` (an older browser, or a site over plain http), no public origin is
///   set, and its `Origin` is the place that the request was sent to.
/// - It has neither header, and its content type is `application/json`. Programs send that. A page
///   of another site can't, unless the server has allowed it in answer to a preflight.
///
/// A header that occurs twice proves nothing.
///
/// `Origin` is the place that the request was sent to if host and port are the same. The host is
/// taken from the request's target, or else from `Host`; a port that is left out is the scheme's
/// own. The scheme of `Origin` counts where the site's scheme is known. It is https if the
/// request's target says so, if the cookies are `Secure`, or if [`https_only`](Self::https_only) is
/// set. A request that arrived over http proves nothing about the scheme, since a proxy may end
/// TLS. Where the scheme is known by the cookies or by the policy, `http` is still accepted from
/// loopback hosts, to which browsers send `Secure` cookies over http as well.
///
/// # Behind a proxy
///
/// Set the [public origin](Self::public): the one that browsers show in the address bar. The
/// request's own target and its `Host` then play no part, whatever a proxy has made of them.
///
/// Without a public origin, a proxy must pass `Host` and `Origin` on as they came. Many proxies
/// replace `Host` with the name of the upstream server by default. `Origin` then never matches, and
/// requests without `Sec-Fetch-Site` are refused with 403. Browsers send no `Sec-Fetch-Site` to
/// sites over plain http, so there `Origin` is the only proof.
///
/// A proxy that asks about requests ("forward auth") must also pass `Origin` and `Sec-Fetch-Site`
/// on in the copy that it sends, and the method as `X-Original-Method` or `X-Forwarded-Method`:
/// [`allows_forwarded`](Self::allows_forwarded) judges that copy alone.
///
/// # Examples
///
/// ```
/// use countersign::OriginPolicy;
/// use http::Request;
///
/// let policy = OriginPolicy::default()
///     .public("https://app.example")?
///     .trust("https://admin.example")?;
///
/// let sent_from = |origin: &str| {
///     let request = Request::post("/orders").header("origin", origin).body(()).unwrap();
///     request.into_parts().0
/// };
/// assert!(policy.allows(&sent_from("https://app.example")));
/// assert!(policy.allows(&sent_from("https://admin.example")));
/// assert!(!policy.allows(&sent_from("https://evil.example")));
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct OriginPolicy {
    public: Option<HeaderValue>,
    trusted: HashSet<HeaderValue>,
    https_only: bool,
}

impl OriginPolicy {
    /// Sets the origin under which browsers reach the site, such as `https://app.example`.
    ///
    /// It replaces the request's own target and `Host` in the comparison with `Origin`. Set it
    /// behind a proxy that replaces `Host`.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the origin isn't spelled as [`trust`](Self::trust) describes.
    pub fn public(mut self, origin: &str) -> Result<Self, ConfigError> {
        self.public = Some(spelling::parse("public origin", origin)?);
        Ok(self)
    }

    /// Adds an origin of another site whose pages may send cookies with unsafe methods.
    ///
    /// The origin is spelled as browsers spell it: scheme, lower-case host, and the port unless it
    /// is the scheme's own. Nothing follows, not even a slash. The scheme's own port may be given
    /// and is left out. There are no wildcards: add each origin by its own call.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the origin is spelled in another way, or if its scheme isn't
    /// http or https. The message says what is wrong.
    pub fn trust(mut self, origin: &str) -> Result<Self, ConfigError> {
        self.trusted
            .insert(spelling::parse("trusted origin", origin)?);
        Ok(self)
    }

    /// Returns the [trusted](Self::trust) origins as browsers spell them, in no particular order.
    ///
    /// Use them as the allowed origins of a CORS layer: a page that may act with a user's cookies
    /// may also read the answers. The [public](Self::public) origin isn't among them, since a
    /// site's own pages need no CORS.
    pub fn trusted(&self) -> impl Iterator<Item = &HeaderValue> {
        self.trusted.iter()
    }

    /// States that every page of this site is served over https, so that an `http` origin isn't the
    /// site.
    ///
    /// An [`Authenticator`](crate::Authenticator) knows this by itself where cookies are `Secure`.
    /// Set it for a policy that is asked directly, with [`allows`](Self::allows).
    #[must_use]
    pub const fn https_only(mut self) -> Self {
        self.https_only = true;
        self
    }

    /// Returns `true` if the request may be acted on with a cookie as its credential.
    ///
    /// Layers and routes of this crate ask by themselves. Call it in a handler of your own that
    /// acts before anybody is authenticated, such as a login form: otherwise a page of another site
    /// could log a visitor in to an account of the attacker's choice.
    pub fn allows(&self, request: &Parts) -> bool {
        self.allows_cookies(request, false)
    }

    /// Returns the answer of [`allows`](Self::allows). `https_only` adds the knowledge that the
    /// cookies travel over https only.
    pub(crate) fn allows_cookies(&self, request: &Parts, https_only: bool) -> bool {
        is_safe(request) || self.is_ours(request, https_only || self.https_only)
    }

    /// Returns `true` if the request that a proxy asks about may be acted on with a cookie as its
    /// credential ("forward auth").
    ///
    /// `request` is the copy of the head that the proxy sends. It needs proof of origin if its own
    /// method, `X-Original-Method` or `X-Forwarded-Method` is other than GET, HEAD and OPTIONS: a
    /// client that adds such a header can only make the check stricter. It also needs proof if it
    /// has an `Origin`, whatever its method. Browsers send `Origin` with every unsafe method and
    /// every WebSocket handshake, so a proxy that forwards neither method nor upgrade still lets no
    /// forged request through.
    pub fn allows_forwarded(&self, request: &Parts) -> bool {
        self.allows_forwarded_cookies(request, false)
    }

    /// Returns the answer of [`allows_forwarded`](Self::allows_forwarded). `https_only` adds the
    /// knowledge that the cookies travel over https only.
    pub(crate) fn allows_forwarded_cookies(&self, request: &Parts, https_only: bool) -> bool {
        let headers = &request.headers;
        let mut told = TOLD_METHODS.iter().flat_map(|name| headers.get_all(*name));
        let is_told_safe =
            told.all(|method| matches!(method.as_bytes(), b"GET" | b"HEAD" | b"OPTIONS"));
        let needs_none = is_safe(request) && is_told_safe && !headers.contains_key(header::ORIGIN);
        needs_none || self.is_ours(request, https_only || self.https_only)
    }

    /// Returns `true` if the headers prove that a trusted page sent the request, whatever its
    /// method. `https_only` adds the knowledge that the cookies travel over https only.
    #[cfg(feature = "tower")]
    pub(crate) fn proves(&self, request: &Parts, https_only: bool) -> bool {
        self.is_ours(request, https_only || self.https_only)
    }

    /// Returns `true` if the headers prove that a trusted page sent the request.
    fn is_ours(&self, request: &Parts, https_only: bool) -> bool {
        let headers = &request.headers;
        let (Ok(site), Ok(origin)) = (
            only(headers, &SEC_FETCH_SITE),
            only(headers, &header::ORIGIN),
        ) else {
            return false;
        };
        // A named origin counts first: its pages are cross-site by `Sec-Fetch-Site`, and trusted
        // all the same.
        if origin.is_some_and(|origin| {
            self.trusted.contains(origin) || self.public.as_ref() == Some(origin)
        }) {
            return true;
        }

        match (site.map(HeaderValue::as_bytes), origin) {
            (Some(b"same-origin" | b"none"), _) => true,
            (Some(_), _) => false,
            (None, Some(origin)) => self.public.is_none() && is_target(origin, request, https_only),
            // A program, or a browser that strips both headers. A page can't send JSON elsewhere
            // unasked.
            (None, None) => is_json(headers),
        }
    }
}

/// Returns `true` if the request must change nothing and open nothing.
///
/// TRACE isn't among the methods: nobody needs it with a cookie.
fn is_safe(request: &Parts) -> bool {
    matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS)
        && !is_upgrade(&request.headers)
}

/// Returns `true` if the request asks for another protocol on its connection.
///
/// `h2c` doesn't count. Some clients offer it with every request, and over HTTP/2 it would be the
/// same request.
fn is_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::UPGRADE).iter();
    let mut protocols = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    protocols.any(|protocol| !protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

/// Returns the value of a header that occurs at most once, and an error if it occurs more than
/// once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(()),
    }
}

/// Returns `true` if `origin` is the place that the request was sent to (RFC 9110 section 7.1).
fn is_target(origin: &HeaderValue, request: &Parts, https_only: bool) -> bool {
    let target = match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => only(&request.headers, &header::HOST)
            .ok()
            .flatten()
            .and_then(|host| host.to_str().ok()),
    };
    let Some((host, port)) = target.and_then(host_and_port) else {
        return false;
    };
    let Some((is_https, origin)) = origin.to_str().ok().and_then(scheme_and_rest) else {
        return false;
    };
    let Some((origin_host, origin_port)) = host_and_port(origin) else {
        return false;
    };

    let own_port = if is_https { 443 } else { 80 };
    let is_same_place = host.eq_ignore_ascii_case(origin_host)
        && port.unwrap_or(own_port) == origin_port.unwrap_or(own_port);
    // The target's own scheme is only trusted in one direction: http may be a proxy that ends TLS.
    let may_be_http =
        request.uri.scheme() != Some(&Scheme::HTTPS) && (!https_only || is_loopback(host));
    is_same_place && (is_https || may_be_http)
}

/// Returns `true` for https and `false` for http, with the text after `://`.
fn scheme_and_rest(origin: &str) -> Option<(bool, &str)> {
    let https = origin.strip_prefix("https://").map(|rest| (true, rest));
    https.or_else(|| origin.strip_prefix("http://").map(|rest| (false, rest)))
}

/// Splits a host and an optional port. Returns `None` if the text is anything else, such as a host
/// with user information or a port with leading zeros.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let is_v6 = text.starts_with('[');
    let end = if is_v6 {
        text.find(']').map(|at| at.saturating_add(1))
    } else {
        text.find(':')
    };
    let (host, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };

    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return None,
        Some(digits) => Some(
            digits
                .parse::<u16>()
                .ok()
                .filter(|port| port.to_string() == digits)?,
        ),
    };

    is_host.then_some((host, port))
}

/// Returns `true` for hosts that browsers take for this very machine, and so for safe without TLS
/// (Secure Contexts section 3.1).
fn is_loopback(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Returns `true` if there is exactly one content type and it is `application/json`, with or
/// without parameters.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Ok(Some(value)) = only(headers, &header::CONTENT_TYPE) else {
        return false;
    };
    let Ok(text) = value.to_str() else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default();
    essence
        .trim_matches([' ', '\t'])
        .eq_ignore_ascii_case("application/json")
}
