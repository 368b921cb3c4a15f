//! The check that a redirect stays on this site.
//!
//! A page to return to after login travels through the browser, so anybody can make a link with one
//! of their own. The rule here is stricter than what browsers need, since they repair what they
//! read: they take `\` for `/`, drop tabs and line breaks, and resolve `..`.

/// The longest path with its query that is taken, in bytes.
const MAX_LENGTH: usize = 2048;

/// Returns `path` if a redirect to it stays on this site, or else `None`. For the target that a
/// login page is told, such as its query parameter `next`.
///
/// A path is accepted if it begins with one `/`, has at most 2048 printable ASCII characters with
/// its query, and holds no backslash, no fragment and no segment `.` or `..`. So there is no
/// scheme, no host, and nothing that a browser would read as one: browsers skip tabs and line
/// breaks, take `\` for `/`, and resolve dots.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use countersign::axum::local_path;
///
/// assert_eq!(local_path("/inbox?page=2"), Some("/inbox?page=2"));
/// for elsewhere in ["//evil.example", "/\\evil.example", "https://evil.example", "inbox"] {
///     assert_eq!(local_path(elsewhere), None);
/// }
/// # }
/// ```
#[cfg(feature = "axum")]
pub fn local_path(path: &str) -> Option<&str> {
    is_local_path(path).then_some(path)
}

/// Returns `true` if `target` is a path on this site, with or without a query: a browser that is
/// redirected to it stays on the origin that it is on.
///
/// It begins with one `/`, holds printable ASCII alone without spaces, `\` and `#`, has no segment
/// that is `.` or `..` in any spelling, and is at most 2048 bytes long.
pub(crate) fn is_local_path(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    target.len() <= MAX_LENGTH
        && target
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
        && path.starts_with('/')
        && !path.starts_with("//")
        && !path.split('/').any(is_dots)
}

/// Returns `true` for a segment that browsers resolve away, such as `..` or `.%2e`.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    /// Returns the origin that a browser goes to by `Location: target` on a page of this site.
    fn leads_to(target: &str) -> Option<String> {
        let base = Url::parse("https://app.example/login").ok()?;
        Some(base.join(target).ok()?.origin().ascii_serialization())
    }

    #[test]
    fn paths_of_this_site_pass() {
        let longest = format!("/{}", "a".repeat(MAX_LENGTH - 1));
        for target in [
            "/",
            "/account",
            "/account/orders?page=2&sort=-date",
            "/?next=https://evil.example",
            "/@evil.example",
            "/a//b",
            "/...",
            "/.well-known/change-password",
            "/caf%C3%A9",
            "/a:b",
            &longest,
        ] {
            assert!(is_local_path(target), "{target}");
            assert_eq!(leads_to(target).as_deref(), Some("https://app.example"));
        }
    }

    #[test]
    fn attacks_are_refused() {
        let too_long = format!("/{}", "a".repeat(MAX_LENGTH));
        for target in [
            "",
            "account",
            "?next=/",
            "#top",
            "https://evil.example",
            "https:evil.example",
            "https:/evil.example",
            "HTTPS://evil.example/account",
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "//evil.example@app.example",
            "/\\evil.example",
            "\\/evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            " /account",
            "/account ",
            "/\u{b}/evil.example",
            "/\0/evil.example",
            "/account\r\nSet-Cookie: a=b",
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/%2e%2E//evil.example",
            "/.%2e//evil.example",
            "/a/../b",
            "/account#@evil.example",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)//",
            "data:text/html,x",
            "blob:https://app.example/1",
            "file:///etc/passwd",
            "evil.example/account",
            "@evil.example",
            ".evil.example",
            ":443/account",
            "/\u{2f}/evil.example",
            "\u{ff0f}/evil.example",
            "/\u{ff0f}evil.example",
            "/caf\u{e9}",
            "/\u{7f}",
            " ",
            "inbox",
            "/\\/evil.example",
            "/ /evil.example",
            "/\u{7f}/evil.example",
            "/\u{85}/evil.example",
            "/\u{a0}/evil.example",
            "/\u{2028}/evil.example",
            "/\u{2215}evil.example",
            "\u{feff}//evil.example",
            "https:\\evil.example",
            "HTTPS://evil.example",
            "java\tscript:alert(1)",
            "?next=//evil.example",
            "#//evil.example",
            "/inbox\r\nSet-Cookie: a=b",
            "/a/../..//evil.example",
            ":80/evil.example",
            &too_long,
        ] {
            assert!(!is_local_path(target), "{target:?}");
        }
    }

    /// A browser's own reading of every short text over the characters that attacks are made of.
    #[test]
    fn whatever_passes_stays_on_the_site() {
        let letters = [
            "/", "\\", ".", "%2e", ":", "@", "?", "#", "\t", "e", "https:",
        ];
        let mut passed = 0;
        for first in letters {
            for second in letters {
                for third in letters {
                    for fourth in letters {
                        let target = format!("/{first}{second}{third}{fourth}evil.example");
                        if is_local_path(&target) {
                            passed += 1;
                            let origin = leads_to(&target);
                            assert_eq!(
                                origin.as_deref(),
                                Some("https://app.example"),
                                "{target:?}"
                            );
                        }
                    }
                }
            }
        }
        assert!(passed > 1000, "only {passed} texts passed");
    }
}
