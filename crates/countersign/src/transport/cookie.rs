//! Tokens in cookies: how they are read, set and cleared.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use crate::answer::{IssuedToken, TokenPair};
use crate::error::Failure;
use crate::profile::Profile;
use crate::token::PlainToken;
use crate::transport::cookie_builder::{CookieTransportBuilder, is_cookie_octet};
use crate::transport::{Candidates, CredentialSource, Offered, TokenBody, Transport};

/// The most that name and value of a cookie may have together, in bytes (rfc6265bis section 5.5).
const MAX_COOKIE_LENGTH: usize = 4096;

/// When browsers send a cookie along with requests that other sites start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// Never.
    Strict,
    /// When a link is followed.
    Lax,
    /// Always; needs `Secure`.
    None,
}

/// Tokens in two cookies, one for access and one for refresh, neither ever read as the other.
///
/// Attributes are written in the order Domain, HttpOnly, Max-Age, Path, SameSite, Secure; clearing repeats the
/// attributes of setting, or browsers would keep the cookie (SECURITY row W-03). Names are compared byte for byte and
/// values are read as they are: nothing is decoded, quotes aren't stripped, and no white space but spaces and tabs around
/// a pair is taken off. An empty value is malformed, and a name that occurs twice, in one header or over several, is
/// ambiguous.
///
/// Build one with [`CookieTransport::builder`].
#[derive(Clone)]
pub struct CookieTransport {
    pub(super) profile: Profile,
    pub(super) access: CookieShape,
    pub(super) refresh: CookieShape,
    pub(super) domain: Option<String>,
    pub(super) secure: bool,
    pub(super) samesite: SameSite,
}

/// What differs between the two cookies.
#[derive(Clone)]
pub(super) struct CookieShape {
    pub(super) name: Arc<str>,
    pub(super) path: String,
    pub(super) httponly: bool,
    pub(super) age: CookieAge,
}

/// How long a browser keeps a cookie. It is never longer than the token's life, nor than 400 days.
#[derive(Clone, Copy)]
pub(super) enum CookieAge {
    /// Up to the end of the browser's session.
    Session,
    /// As long as the token lives.
    Token,
    /// At most this long.
    AtMost(Duration),
}

/// Browsers keep no cookie longer (rfc6265bis section 5.5).
const MAX_COOKIE_AGE: Duration = Duration::from_hours(400 * 24);

impl CookieTransport {
    /// Starts a transport with the defaults of `profile`.
    ///
    /// ```
    /// use countersign::transport::CookieTransport;
    /// use countersign::Profile;
    ///
    /// let cookies = CookieTransport::builder(Profile::Countersign).build()?;
    /// assert_eq!(cookies.cookie_name(), "__Host-countersign_access");
    /// assert_eq!(cookies.refresh_cookie_name(), "__Host-countersign_refresh");
    ///
    /// let original = CookieTransport::builder(Profile::LitestarAuth).build()?;
    /// assert_eq!(original.refresh_cookie_name(), "litestar_auth_refresh");
    /// # Ok::<_, countersign::ConfigError>(())
    /// ```
    pub const fn builder(profile: Profile) -> CookieTransportBuilder {
        CookieTransportBuilder::new(profile)
    }

    /// The name of the access cookie.
    pub fn cookie_name(&self) -> &str {
        &self.access.name
    }

    /// The name of the refresh cookie.
    pub fn refresh_cookie_name(&self) -> &str {
        &self.refresh.name
    }

    fn set(&self, shape: &CookieShape, token: &IssuedToken) -> Result<HeaderValue, Failure> {
        let text = token.token.expose();
        if text.is_empty() || !text.bytes().all(is_cookie_octet) {
            return Err(Failure::internal("cookie transport", "the token has characters that a cookie can't carry"));
        }
        if shape.name.len().saturating_add(text.len()) > MAX_COOKIE_LENGTH {
            return Err(Failure::internal("cookie transport", "the token is too long for a cookie"));
        }
        let life = token.life();
        let max_age = match shape.age {
            CookieAge::Session => None,
            CookieAge::Token => Some(life.min(MAX_COOKIE_AGE)),
            CookieAge::AtMost(age) => Some(age.min(life).min(MAX_COOKIE_AGE)),
        };
        self.render(shape, text, max_age)
    }

    fn render(&self, shape: &CookieShape, value: &str, max_age: Option<Duration>) -> Result<HeaderValue, Failure> {
        let mut text = format!("{}={value}", shape.name);
        if let Some(domain) = &self.domain {
            text.push_str("; Domain=");
            text.push_str(domain);
        }
        if shape.httponly {
            text.push_str("; HttpOnly");
        }
        if let Some(max_age) = max_age {
            text.push_str("; Max-Age=");
            text.push_str(&max_age.as_secs().to_string());
        }
        text.push_str("; Path=");
        text.push_str(&shape.path);
        text.push_str("; SameSite=");
        text.push_str(self.samesite.as_str(self.profile));
        if self.secure {
            text.push_str("; Secure");
        }
        let mut header = HeaderValue::try_from(text).map_err(|error| Failure::internal("cookie transport", error))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl SameSite {
    /// The value as the profile spells it; browsers compare without case.
    const fn as_str(self, profile: Profile) -> &'static str {
        match (self, profile) {
            (Self::Strict, Profile::Countersign) => "Strict",
            (Self::Lax, Profile::Countersign) => "Lax",
            (Self::None, Profile::Countersign) => "None",
            (Self::Strict, Profile::LitestarAuth) => "strict",
            (Self::Lax, Profile::LitestarAuth) => "lax",
            (Self::None, Profile::LitestarAuth) => "none",
        }
    }
}

impl Transport for CookieTransport {
    fn source(&self) -> CredentialSource {
        CredentialSource::Cookie(Arc::clone(&self.access.name))
    }

    fn refresh_source(&self) -> Option<CredentialSource> {
        Some(CredentialSource::Cookie(Arc::clone(&self.refresh.name)))
    }

    fn offered(&self, headers: &HeaderMap) -> Offered {
        read(headers, &self.access.name)
    }

    fn offered_refresh(&self, headers: &HeaderMap) -> Offered {
        read(headers, &self.refresh.name)
    }

    fn candidates(&self, headers: &HeaderMap) -> Candidates {
        read_all(headers, &self.access.name)
    }

    fn refresh_candidates(&self, headers: &HeaderMap) -> Candidates {
        read_all(headers, &self.refresh.name)
    }

    fn is_https_only(&self) -> bool {
        self.secure
    }

    fn issue(&self, tokens: &TokenPair, headers: &mut HeaderMap) -> Result<Option<TokenBody>, Failure> {
        let access = self.set(&self.access, &tokens.access)?;
        let refresh = match &tokens.refresh {
            Some(refresh) => Some(self.set(&self.refresh, refresh)?),
            None => None,
        };
        headers.append(header::SET_COOKIE, access);
        if let Some(refresh) = refresh {
            headers.append(header::SET_COOKIE, refresh);
        }
        Ok(None)
    }

    fn clear(&self, headers: &mut HeaderMap) {
        for shape in [&self.access, &self.refresh] {
            // Names, paths and domains were checked when built, so this always renders.
            if let Ok(cleared) = self.render(shape, "\"\"", Some(Duration::ZERO)) {
                headers.append(header::SET_COOKIE, cleared);
            }
        }
    }
}

impl fmt::Debug for CookieTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieTransport")
            .field("cookie_name", &self.access.name)
            .field("refresh_cookie_name", &self.refresh.name)
            .field("secure", &self.secure)
            .field("samesite", &self.samesite)
            .finish_non_exhaustive()
    }
}

/// The values of the cookies called `name`, in the order of the request.
///
/// Browsers bind the prefixes `__Host-` and `__Secure-` to the bytes of a name, so nothing but HTTP's own white space
/// (RFC 9110 section 5.6.3) is taken off, and names are compared byte for byte: whatever else were forgiven, another
/// host's page could set.
fn values<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| trimmed(pair).strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The token in a value, if it has the form of one.
fn token(value: &[u8]) -> Option<PlainToken> {
    let text = std::str::from_utf8(value).ok()?;
    (!text.is_empty() && text.bytes().all(is_cookie_octet)).then(|| PlainToken::new(text))
}

fn read(headers: &HeaderMap, name: &str) -> Offered {
    let mut values = values(headers, name);
    match (values.next(), values.next()) {
        (None, _) => Offered::None,
        (Some(value), None) => token(value).map_or(Offered::Malformed, Offered::One),
        (Some(_), Some(_)) => Offered::Ambiguous,
    }
}

fn read_all(headers: &HeaderMap, name: &str) -> Candidates {
    values(headers, name).map(token).collect()
}
