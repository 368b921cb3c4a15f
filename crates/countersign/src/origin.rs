//! Whether a request with cookies was sent by a page of ours (SECURITY row W-04).
//!
//! tower-http's `csrf` module has the same first rules. It lets every request through that has neither
//! `Sec-Fetch-Site` nor `Origin`, and it judges all requests alike, those with an `Authorization` header included; here
//! proof is asked for where a cookie is the credential, and silence is no proof.

use std::collections::HashSet;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::error::ConfigError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origins whose pages may send cookies along with unsafe methods: the request's own host, and those named here.
///
/// A request passes when one of these holds:
///
/// - its method is GET, HEAD or OPTIONS, which must change nothing;
/// - its `Origin` is one that was named, byte for byte;
/// - its `Sec-Fetch-Site` is `same-origin` or `none`;
/// - it has no `Sec-Fetch-Site` (an older browser), and the host and port of its `Origin` are those it was sent to;
/// - it has neither, and its content type is `application/json`: no browser lets a page send that to another site
///   unasked, and none that could would leave `Origin` out.
#[derive(Clone, Debug, Default)]
pub struct OriginPolicy {
    trusted: HashSet<HeaderValue>,
}

impl OriginPolicy {
    /// Trusts the pages of `origin` as well.
    ///
    /// # Errors
    /// [`ConfigError`] when it isn't spelled as browsers spell it: scheme, lower-case host, the port unless it is the
    /// scheme's own, and nothing after that.
    pub fn trust(mut self, origin: &str) -> Result<Self, ConfigError> {
        self.trusted.insert(parse_origin(origin)?);
        Ok(self)
    }

    /// Whether the request may be acted on if a cookie is its credential.
    pub fn allows(&self, request: &Parts) -> bool {
        is_safe(&request.method) || self.is_ours(&request.headers, &request.uri)
    }

    fn is_ours(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let (Ok(site), Ok(origin)) = (only(headers, &SEC_FETCH_SITE), only(headers, &header::ORIGIN)) else {
            return false;
        };
        if origin.is_some_and(|origin| self.trusted.contains(origin)) {
            return true;
        }
        match (site.map(HeaderValue::as_bytes), origin) {
            (Some(b"same-origin" | b"none"), _) => true,
            (Some(_), _) => false,
            (None, Some(origin)) => target(headers, uri).is_some_and(|host| host_of(origin) == Some(host)),
            (None, None) => is_json(headers),
        }
    }
}

/// Methods that must not change anything. TRACE isn't among them: nobody needs it with a cookie.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The one value of a header; an error when there are several.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(()),
    }
}

/// The host and port that the request was sent to (RFC 9110 section 7.2).
fn target<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a [u8]> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => only(headers, &header::HOST).ok().flatten().map(HeaderValue::as_bytes),
    }
}

fn host_of(origin: &HeaderValue) -> Option<&[u8]> {
    let origin = origin.as_bytes();
    origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://")).filter(|host| !host.is_empty())
}

/// Whether the one content type is `application/json`, with or without parameters.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Ok(Some(value)) = only(headers, &header::CONTENT_TYPE) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default();
    essence.trim_matches([' ', '\t']).eq_ignore_ascii_case("application/json")
}

fn parse_origin(text: &str) -> Result<HeaderValue, ConfigError> {
    let refused = |problem: &'static str| {
        ConfigError::new("trusted origin", problem, "write it as browsers send it: https://app.example or with :port")
    };
    let url = url::Url::parse(text).map_err(|_| refused("is no origin"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("is neither http nor https"));
    }
    if url.origin().ascii_serialization() != text {
        return Err(refused("isn't spelled as browsers spell it"));
    }
    HeaderValue::from_str(text).map_err(|_| refused("is no origin"))
}
