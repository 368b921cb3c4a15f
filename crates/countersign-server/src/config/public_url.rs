//! The URL under which browsers reach the server.

use url::Url;

/// The maximum length of the path, in bytes.
const MAX_PATH: usize = 200;

/// The URL under which browsers reach the server.
///
/// The origin is compared with the `Origin` header of requests with cookies. The routes are served
/// below the path as well as at the root, so a proxy may remove the path or keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// The origin as browsers write it, for example `https://app.example`.
    pub origin: String,
    /// The path below which the routes are, for example `/accounts`. Empty if there is none.
    pub path: String,
}

impl PublicUrl {
    /// Parses an `http` or `https` URL. A slash at its end is ignored.
    ///
    /// # Errors
    /// A phrase that follows the setting's name and says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // The parser would drop tabs and line feeds silently.
        if text.contains(char::is_whitespace) || text.contains(char::is_control) {
            return Err("contains white space".to_owned());
        }

        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let (Some(url), Some((_, rest))) = (url, text.split_once("://")) else {
            return Err("is not a valid http:// or https:// URL".to_owned());
        };
        if text.contains(['?', '#']) {
            return Err("contains `?` or `#`, but must end with the path".to_owned());
        }

        // The path is taken from the text, because the parser resolves `..` and encodes characters.
        let (host, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
        if host.contains('@') {
            return Err("contains a user name".to_owned());
        }

        Ok(Self {
            origin: url.origin().ascii_serialization(),
            path: prefix(path)?,
        })
    }
}

/// Parses the path. Rejects characters that have a meaning in routes or more than one spelling in
/// URLs, because the router must recognise the path exactly as the proxy forwards it.
fn prefix(path: &str) -> Result<String, String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = path.split('/').skip(1).peekable();
    if segments.peek() == Some(&"check") {
        return Err("has a path that begins with /check, which is reserved for proxies".to_owned());
    }

    if path.len() > MAX_PATH
        || !segments.all(is_plain)
        || !(path.is_empty() || path.starts_with('/'))
    {
        return Err(
            "has a path with characters other than letters, digits, `-`, `.`, `_`, `~` and \
             single slashes"
                .to_owned(),
        );
    }

    Ok(path.to_owned())
}

/// Returns `true` if a segment of a path has one spelling only and no meaning in routes.
fn is_plain(segment: &str) -> bool {
    let is_unreserved = segment
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    is_unreserved && !["", ".", ".."].contains(&segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_and_a_path() {
        for (text, origin, path) in [
            ("https://app.example", "https://app.example", ""),
            ("https://app.example/", "https://app.example", ""),
            ("https://app.example:443/a", "https://app.example", "/a"),
            ("http://app.example:80", "http://app.example", ""),
            (
                "HTTPS://App.Example:8443/A/b/",
                "https://app.example:8443",
                "/A/b",
            ),
            (
                "https://bücher.example/x",
                "https://xn--bcher-kva.example",
                "/x",
            ),
            ("http://[::1]:8000/x_y-z.~", "http://[::1]:8000", "/x_y-z.~"),
            (
                "https://app.example/checks",
                "https://app.example",
                "/checks",
            ),
        ] {
            let (origin, path) = (origin.to_owned(), path.to_owned());
            assert_eq!(
                PublicUrl::parse(text),
                Ok(PublicUrl { origin, path }),
                "{text}"
            );
        }
        for text in [
            "",
            "/accounts",
            "app.example",
            "app.example:443/x",
            "https:app.example",
            "https:\\\\app.example",
            "https://app.example\\x",
            "https://app.ex\tample",
            "https://app.example/ü",
            "https://app.example//",
            "https://app.example/a//",
            "https://app.example/.",
            "https://app.example/%61",
            "https://app.example/{*x}",
            "https://app.example/check/x",
            "https://@app.example",
            "https://",
        ] {
            assert!(PublicUrl::parse(text).is_err(), "{text}");
        }
        assert!(PublicUrl::parse(&format!("https://app.example/{}", "x".repeat(200))).is_err());
    }
}
