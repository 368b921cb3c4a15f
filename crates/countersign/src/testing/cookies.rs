//! The cookies of a test that plays a browser.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The cookies that a client would hold after the responses that it was given.
///
/// It is a small cookie jar for tests. Unlike the jars of HTTP clients it sends `Secure` cookies
/// over plain http too, so that a test can talk to a server on a port of this machine. It ignores
/// `Domain`, `Path` and every lifetime but one: a cookie with `Max-Age=0` is removed.
///
/// Use the names of the [`CookieTransport`](crate::transport::CookieTransport) to look values up.
///
/// # Examples
///
/// ```
/// use countersign::testing::TestCookies;
/// use http::{HeaderMap, HeaderValue, header};
///
/// let mut response = HeaderMap::new();
/// response.append(header::SET_COOKIE, HeaderValue::from_static("theme=dark; Path=/; Secure"));
///
/// let mut cookies = TestCookies::new();
/// cookies.update(&response);
/// assert_eq!(cookies.get("theme"), Some("dark"));
/// assert_eq!(cookies.to_headers()[header::COOKIE], "theme=dark");
///
/// response.clear();
/// response.append(header::SET_COOKIE, HeaderValue::from_static("theme=; Max-Age=0; Path=/"));
/// cookies.update(&response);
/// assert!(cookies.is_empty());
/// ```
#[derive(Clone, Default)]
pub struct TestCookies(Vec<(String, String)>);

impl TestCookies {
    /// Creates an empty jar.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes over the `Set-Cookie` headers of a response: new values replace old ones, and cleared
    /// cookies are removed.
    ///
    /// A header that isn't `name=value` in visible ASCII characters is ignored.
    pub fn update(&mut self, response: &HeaderMap) {
        for line in response.get_all(header::SET_COOKIE) {
            if let Ok(line) = line.to_str() {
                self.set(line);
            }
        }
    }

    /// Takes over one `Set-Cookie` value.
    ///
    /// For clients whose header types aren't those of the `http` crate in version 1. Otherwise use
    /// [`update`](Self::update).
    pub fn set(&mut self, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        self.0.retain(|(known, _)| known != name);
        let is_cleared = parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0"));
        if !is_cleared {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Returns the value of a cookie, or `None` if there is none of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns `true` if the jar holds no cookie.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the headers that a page of the same site sends: `Cookie`, and `Sec-Fetch-Site:
    /// same-origin` as the proof of origin that an [`OriginPolicy`](crate::OriginPolicy) asks for.
    ///
    /// To play a page of another site, change `Sec-Fetch-Site` to `cross-site`. An empty jar gives
    /// no `Cookie` header.
    pub fn to_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_FETCH_SITE, HeaderValue::from_static("same-origin"));
        let pairs: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();

        // What came out of a header's text fits into one again.
        if let Ok(mut value) = HeaderValue::try_from(pairs.join("; "))
            && !self.is_empty()
        {
            value.set_sensitive(true);
            headers.insert(header::COOKIE, value);
        }
        headers
    }
}

/// Shows the names only: the values are tokens.
impl fmt::Debug for TestCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_the_last_answer_says() {
        let mut cookies = TestCookies::new();
        cookies.set("a=1; Path=/; Secure");
        cookies.set("b=2==; HttpOnly");
        cookies.set("a=3");
        assert_eq!(
            (cookies.get("a"), cookies.get("b")),
            (Some("3"), Some("2=="))
        );
        assert_eq!(cookies.to_headers()[header::COOKIE], "b=2==; a=3");

        cookies.set("b=\"\"; Max-Age=0; Path=/");
        assert_eq!(cookies.get("b"), None);
        cookies.set("a=4; Max-Age=05; Path=/");
        assert_eq!(cookies.get("a"), Some("4"));
    }

    #[test]
    fn what_is_no_cookie_changes_nothing() {
        let mut cookies = TestCookies::new();
        for line in ["", "no pair", "; Max-Age=0"] {
            cookies.set(line);
        }
        assert!(cookies.is_empty());
        assert!(!cookies.to_headers().contains_key(header::COOKIE));
    }

    #[test]
    fn values_stay_out_of_debug_output() {
        let mut cookies = TestCookies::new();
        cookies.set("name=value");
        assert_eq!(format!("{cookies:?}"), "[\"name\"]");
        assert!(!format!("{:?}", cookies.to_headers()).contains("value\""));
    }
}
