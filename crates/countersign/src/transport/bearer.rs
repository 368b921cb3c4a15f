//! Tokens in the `Authorization` header (RFC 6750).

use http::{HeaderMap, header};

use crate::error::Failure;
use crate::token::{PlainToken, TokenPair};
use crate::transport::{Candidates, CredentialSource, Offered, TokenBody, Transport};

/// A transport for tokens in the `Authorization` header, for programs, mobile apps and API clients.
///
/// Answers hand tokens out in a [JSON body](TokenBody). Refresh tokens travel in request bodies,
/// which the [routes](crate::axum::AuthRoutes) read.
///
/// | header | read as |
/// |---|---|
/// | none, or another scheme (`Basic …`) | nothing offered |
/// | `Bearer TOKEN`, the scheme in any case, one or more spaces | `TOKEN` |
/// | `Bearer` alone, a tab after it, a second word, a character outside `b64token` | malformed |
/// | several `Authorization` headers, whatever they hold | ambiguous |
///
/// Query, form and body are never read for an access token.
///
/// For pages in a browser use [`CookieTransport`](crate::transport::CookieTransport): a script
/// can't read its cookies, so an injected script can't steal a token.
///
/// # Examples
///
/// ```
/// use countersign::transport::{BearerTransport, Offered, Transport};
/// use countersign::PlainToken;
/// use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(AUTHORIZATION, HeaderValue::from_static("bEaReR   tok"));
/// assert_eq!(BearerTransport.offered(&headers), Offered::One(PlainToken::new("tok")));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to configure")]
pub struct BearerTransport;

impl Transport for BearerTransport {
    fn source(&self) -> CredentialSource {
        CredentialSource::Header(header::AUTHORIZATION)
    }

    fn offered(&self, headers: &HeaderMap) -> Offered {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Offered::None,
            (Some(value), None) => parse(value.as_bytes()),
            (Some(_), Some(_)) => Offered::Ambiguous,
        }
    }

    fn candidates(&self, headers: &HeaderMap) -> Candidates {
        let values = headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .map(|value| parse(value.as_bytes()));
        let offered = values.filter(|offered| *offered != Offered::None);
        offered.map(Offered::one).collect()
    }

    fn issue(&self, tokens: &TokenPair, _: &mut HeaderMap) -> Result<Option<TokenBody>, Failure> {
        TokenBody::new(tokens).map(Some)
    }
}

/// Returns the token in the value of one `Authorization` header.
fn parse(value: &[u8]) -> Offered {
    const SCHEME: &[u8] = b"bearer";
    let Some((scheme, rest)) = value.split_at_checked(SCHEME.len()) else {
        return Offered::None;
    };
    // `Basic`, or a word that only begins like `Bearer`, is another scheme and no malformed token.
    if !scheme.eq_ignore_ascii_case(SCHEME)
        || rest.first().is_some_and(|byte| is_scheme_byte(*byte))
    {
        return Offered::None;
    }
    let Ok(rest) = std::str::from_utf8(rest) else {
        return Offered::Malformed;
    };

    let token = rest.trim_start_matches(' ');
    if token.len() < rest.len() && is_b64token(token.as_bytes()) {
        Offered::One(PlainToken::new(token))
    } else {
        Offered::Malformed
    }
}

/// Returns `true` if `byte` would make the scheme a longer word, as in `BearerX` (`tchar`, RFC 9110
/// section 5.6.2).
const fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// Returns `true` for a text of the grammar `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/"
/// ) *"="` (RFC 6750 section 2.1).
fn is_b64token(bytes: &[u8]) -> bool {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = bytes.len().saturating_sub(padding);
    body > 0
        && bytes.iter().take(body).all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
        })
}
