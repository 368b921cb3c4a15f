//! Paths on this site that a redirect may lead to.

/// The longest path that a redirect leads to, in bytes.
const MAX_PATH: usize = 2048;

/// Returns `path` if a redirect to it stays on this site, or else `None`. For the target that a
/// login page is told, such as its query parameter `next`.
///
/// A path is accepted if it begins with one `/`, has at most 2048 printable ASCII characters, and
/// has neither `//` nor a backslash before its query. So there is no scheme, no host, and nothing
/// that a browser would read as one: browsers skip tabs and line breaks, and take `\` for `/`.
///
/// # Examples
///
/// ```
/// use countersign::axum::local_path;
///
/// assert_eq!(local_path("/inbox?page=2"), Some("/inbox?page=2"));
/// for elsewhere in ["//evil.example", "/\\evil.example", "https://evil.example", "inbox"] {
///     assert_eq!(local_path(elsewhere), None);
/// }
/// ```
pub fn local_path(path: &str) -> Option<&str> {
    let way = path.split(['?', '#']).next()?;
    let is_local = path.len() <= MAX_PATH
        && path.bytes().all(|byte| byte.is_ascii_graphic())
        && way.starts_with('/')
        && !way.contains("//")
        && !path.contains('\\');
    is_local.then_some(path)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    /// Spellings of other sites, and of nothing that a browser should be sent to.
    const ATTACKS: [&str; 40] = [
        "",
        " ",
        "inbox",
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "/\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/ /evil.example",
        "/\0/evil.example",
        "/\u{7f}/evil.example",
        "/\u{85}/evil.example",
        "/\u{a0}/evil.example",
        "/\u{2028}/evil.example",
        "/\u{ff0f}evil.example",
        "/\u{2215}evil.example",
        "\u{feff}//evil.example",
        "https://evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https:\\evil.example",
        "HTTPS://evil.example",
        "javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "?next=//evil.example",
        "#//evil.example",
        "/inbox\r\nSet-Cookie: a=b",
        "/..//evil.example",
        "/.//evil.example",
        "/a/../..//evil.example",
        "@evil.example",
        ":80/evil.example",
    ];

    #[test]
    fn other_sites_are_no_paths() {
        for attack in ATTACKS {
            assert_eq!(local_path(attack), None, "{attack:?}");
        }
        let long = format!("/{}", "a".repeat(MAX_PATH));
        assert_eq!(local_path(&long), None);
        assert_eq!(local_path(&long[..MAX_PATH]), Some(&long[..MAX_PATH]));
    }

    /// Whatever is accepted stays on the site by the rules of browsers.
    #[test]
    fn accepted_paths_stay() {
        let site = Url::parse("https://app.example/auth/cookie/form/login").unwrap();
        for path in [
            "/",
            "/inbox",
            "/inbox?from=https://other.example//x",
            "/inbox#//other.example",
            "/%2Fevil.example",
            "/%5Cevil.example",
            "/%09/evil.example",
            "/.",
            "/../..",
            "/@evil.example",
            "/:80",
            "/https:%2F%2Fevil.example",
            "/https:evil.example",
            "/;@evil.example",
        ] {
            let kept = local_path(path).unwrap();
            let target = site.join(kept).unwrap();
            assert_eq!(target.origin(), site.origin(), "{path}");
        }
    }
}
