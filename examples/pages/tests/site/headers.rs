//! What a browser is told by all answers: pages, errors and redirects.

use crate::site::Site;

#[tokio::test]
async fn every_answer_protects_its_visitor() {
    let site = Site::start(|auth| auth).await;
    let places = [
        ("/", 200),
        ("/login", 200),
        ("/style.css", 200),
        ("/account", 303),
        ("/no-such-page", 404),
        ("/auth/cookie/form/login", 405),
        ("/login?next=/a&next=/b", 400),
    ];
    for (path, status) in places {
        let answer = site.get(path);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        for rule in [
            "default-src 'none'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("script-src"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("strict-transport-security", "max-age=63072000"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(headers[name], value, "{path}: {name}");
        }
        let is_style = path == "/style.css";
        assert_eq!(headers["cache-control"] == "no-store", !is_style, "{path}");
        // Errors are pages too.
        if status >= 400 {
            let kind = headers["content-type"].to_str().unwrap();
            assert_eq!(kind, "text/html; charset=utf-8", "{path}");
            let text = answer.text().await.unwrap();
            assert!(text.contains("To the front page"), "{path}: {text}");
        }
    }
}
