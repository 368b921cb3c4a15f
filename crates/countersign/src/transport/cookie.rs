//! Tokens in cookies: how they are read, set and cleared.
//!
//! Browsers let other hosts of the same site plant cookies under many names. So this module
//! compares names byte for byte, decodes nothing, and never picks one of two cookies of one name.
//! The settings and their checks are in `cookie_builder`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use crate::error::Failure;
use crate::profile::Profile;
use crate::token::{IssuedToken, PlainToken, TokenPair};
use crate::transport::{Candidates, CredentialSource, Offered, TokenBody, Transport};

/// The most bytes that the name and the value of a cookie may have together (rfc6265bis section
/// 5.5).
const MAX_COOKIE_LENGTH: usize = 4096;

/// The `SameSite` attribute: the requests started by other sites to which browsers attach the
/// cookie.
///
/// It is a second line of defence. The proof that a page of the site sent a request is the
/// [`OriginPolicy`](crate::OriginPolicy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the values of the attribute of cookies"
)]
pub enum SameSite {
    /// No request that another site starts, links included.
    Strict,
    /// Only navigations by GET, such as a link that is followed. The default.
    Lax,
    /// Every request. Needs `Secure`.
    None,
}

/// A transport for tokens in two cookies, for pages in a browser.
///
/// One cookie holds the access token, the other the refresh token, and neither is ever read as the
/// other. Both are `HttpOnly`, `Secure` and `SameSite=Lax` by default, and their names begin with
/// `__Host-`, which no other host can set. Build one with [`CookieTransport::builder`];
/// [`CookieTransportBuilder`](crate::transport::CookieTransportBuilder) lists the settings.
///
/// Names are compared byte for byte. Values are read as they are: nothing is decoded, quotes aren't
/// stripped, and only spaces and tabs around a pair are taken off. An empty value is malformed. A
/// name that occurs twice, in one header or over several, is ambiguous.
///
/// Attributes are written in the order Domain, HttpOnly, Max-Age, Path, SameSite, Secure. Clearing
/// a cookie repeats the attributes of setting it, since browsers would keep the cookie otherwise.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use countersign::transport::CookieTransport;
/// use countersign::{AuthenticationBackend, Profile};
/// # use countersign::strategy::Strategy;
/// # use countersign::User;
/// # fn backend<U: User>(strategy: Arc<dyn Strategy<U>>) -> Result<(), countersign::ConfigError> {
///
/// let cookies = CookieTransport::builder(Profile::Countersign).build()?;
/// let web = AuthenticationBackend::new("web", cookies, strategy);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CookieTransport {
    pub(super) profile: Profile,
    pub(super) access: CookieShape,
    pub(super) refresh: CookieShape,
    pub(super) domain: Option<String>,
    pub(super) secure: bool,
    pub(super) samesite: SameSite,
}

/// The settings in which the two cookies differ.
#[derive(Clone)]
pub(super) struct CookieShape {
    pub(super) name: Arc<str>,
    pub(super) path: String,
    pub(super) httponly: bool,
    pub(super) age: CookieAge,
}

/// The time that a browser keeps a cookie. It is never longer than the token's life, nor than
/// [`MAX_COOKIE_AGE`].
#[derive(Clone, Copy)]
pub(super) enum CookieAge {
    /// Until the browser's session ends: no `Max-Age`.
    Session,
    /// The token's life.
    Token,
    /// At most this time.
    AtMost(Duration),
}

/// The beginning of a refresh cookie that a browser forgets when it is closed.
///
/// A browser doesn't send a cookie's attributes back, so the value has to tell a refresh which kind
/// of cookie it is replacing. No token begins with it: refresh tokens are letters, digits, `-` and
/// `_`.
const UNTIL_CLOSED: &str = "~";

/// The longest `Max-Age` that browsers respect (rfc6265bis section 5.5).
const MAX_COOKIE_AGE: Duration = Duration::from_hours(400 * 24);

impl CookieTransport {
    /// Returns the name of the access cookie.
    pub fn cookie_name(&self) -> &str {
        &self.access.name
    }

    /// Returns the name of the refresh cookie.
    pub fn refresh_cookie_name(&self) -> &str {
        &self.refresh.name
    }

    /// Sets both cookies, so that a browser keeps them for `ages` (access, refresh). The refresh
    /// cookie's value begins with `mark`.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if a token can't travel in a cookie. The headers are then unchanged.
    fn set_both(
        &self,
        tokens: &TokenPair,
        ages: [CookieAge; 2],
        mark: &str,
        headers: &mut HeaderMap,
    ) -> Result<Option<TokenBody>, Failure> {
        let [access_age, refresh_age] = ages;
        // Both are rendered before either is appended.
        let access = self.set(&self.access, &tokens.access, access_age, "")?;
        let refresh = match &tokens.refresh {
            Some(refresh) => Some(self.set(&self.refresh, refresh, refresh_age, mark)?),
            None => None,
        };
        headers.append(header::SET_COOKIE, access);
        if let Some(refresh) = refresh {
            headers.append(header::SET_COOKIE, refresh);
        }
        Ok(None)
    }

    /// Returns `true` if a request presents a refresh cookie that the browser forgets when it is
    /// closed, and none that it keeps.
    fn presents_until_closed(&self, headers: &HeaderMap) -> bool {
        let mut values = values(headers, &self.refresh.name).peekable();
        values.peek().is_some() && values.all(|value| value.starts_with(UNTIL_CLOSED.as_bytes()))
    }

    /// Returns the `Set-Cookie` value for a token.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the token has characters that a cookie can't carry, or is too long
    /// for one.
    fn set(
        &self,
        shape: &CookieShape,
        token: &IssuedToken,
        age: CookieAge,
        mark: &str,
    ) -> Result<HeaderValue, Failure> {
        let text = token.token.expose();
        if text.is_empty() || !text.bytes().all(is_cookie_octet) {
            return Err(Failure::internal(
                "cookie transport",
                "the token contains characters that are not allowed in a cookie",
            ));
        }
        let length = shape.name.len().saturating_add(mark.len());
        if length.saturating_add(text.len()) > MAX_COOKIE_LENGTH {
            return Err(Failure::internal(
                "cookie transport",
                "the token is too long for a cookie",
            ));
        }

        let life = token.life();
        let max_age = match age {
            CookieAge::Session => None,
            CookieAge::Token => Some(life.min(MAX_COOKIE_AGE)),
            CookieAge::AtMost(age) => Some(age.min(life).min(MAX_COOKIE_AGE)),
        };
        self.render(shape, &format!("{mark}{text}"), max_age)
    }

    /// Returns a `Set-Cookie` value. `None` leaves `Max-Age` out.
    fn render(
        &self,
        shape: &CookieShape,
        value: &str,
        max_age: Option<Duration>,
    ) -> Result<HeaderValue, Failure> {
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

        let mut header = HeaderValue::try_from(text)
            .map_err(|error| Failure::internal("cookie transport", error))?;
        // Keeps the value out of `Debug` output, and out of HTTP/2 header compression tables.
        header.set_sensitive(true);
        Ok(header)
    }
}

impl SameSite {
    /// Returns the value as the profile spells it. Browsers compare it without case.
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
        read(headers, &self.access.name, "")
    }

    fn offered_refresh(&self, headers: &HeaderMap) -> Offered {
        read(headers, &self.refresh.name, UNTIL_CLOSED)
    }

    fn candidates(&self, headers: &HeaderMap) -> Candidates {
        read_all(headers, &self.access.name, "")
    }

    fn refresh_candidates(&self, headers: &HeaderMap) -> Candidates {
        read_all(headers, &self.refresh.name, UNTIL_CLOSED)
    }

    fn is_https_only(&self) -> bool {
        self.secure
    }

    fn carries_both(&self) -> bool {
        let (access, refresh) = (&self.access.path, &self.refresh.path);
        // A cookie's path matches whole segments (RFC 6265 section 5.1.4).
        access
            .strip_prefix(refresh.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || refresh.ends_with('/'))
    }

    fn issue(
        &self,
        tokens: &TokenPair,
        headers: &mut HeaderMap,
    ) -> Result<Option<TokenBody>, Failure> {
        self.set_both(tokens, [self.access.age, self.refresh.age], "", headers)
    }

    fn issue_until_closed(
        &self,
        tokens: &TokenPair,
        headers: &mut HeaderMap,
    ) -> Result<Option<TokenBody>, Failure> {
        // Where every cookie is of this kind, none needs the mark.
        let mark = match self.refresh.age {
            CookieAge::Session => "",
            CookieAge::Token | CookieAge::AtMost(_) => UNTIL_CLOSED,
        };
        self.set_both(tokens, [CookieAge::Session; 2], mark, headers)
    }

    fn reissue(
        &self,
        tokens: &TokenPair,
        presented: &HeaderMap,
        headers: &mut HeaderMap,
    ) -> Result<Option<TokenBody>, Failure> {
        if self.presents_until_closed(presented) {
            self.issue_until_closed(tokens, headers)
        } else {
            self.issue(tokens, headers)
        }
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

/// Returns the values of the cookies called `name`, in the order of the request.
///
/// Browsers bind the prefixes `__Host-` and `__Secure-` to the bytes of a name. So only HTTP's own
/// white space (RFC 9110 section 5.6.3) is taken off, and names are compared byte for byte: any
/// other leniency would accept a name that another host's page can set.
fn values<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        trimmed(pair)
            .strip_prefix(name.as_bytes())?
            .strip_prefix(b"=")
    })
}

/// Returns the text without spaces and tabs at its ends.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Returns the token in a value if it has the form of one. A `mark` at its beginning is left out.
fn token(value: &[u8], mark: &str) -> Option<PlainToken> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text.strip_prefix(mark).unwrap_or(text);
    (!text.is_empty() && text.bytes().all(is_cookie_octet)).then(|| PlainToken::new(text))
}

/// Returns what the one cookie of this name offers.
fn read(headers: &HeaderMap, name: &str, mark: &str) -> Offered {
    let mut values = values(headers, name);
    match (values.next(), values.next()) {
        (None, _) => Offered::None,
        (Some(value), None) => token(value, mark).map_or(Offered::Malformed, Offered::One),
        (Some(_), Some(_)) => Offered::Ambiguous,
    }
}

/// Returns every text in cookies of this name, for logout.
fn read_all(headers: &HeaderMap, name: &str, mark: &str) -> Candidates {
    values(headers, name)
        .map(|value| token(value, mark))
        .collect()
}

/// Returns `true` for a `cookie-octet` (RFC 6265 section 4.1.1).
const fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E)
}
