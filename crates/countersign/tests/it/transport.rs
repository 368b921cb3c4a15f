//! Headers in, headers out: bearer and cookies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::time::Duration;

use countersign::error::FailureKind;
use countersign::token::IssuedToken;
use countersign::transport::{
    BearerTransport, CookieTransport, CookieTransportBuilder, Offered, SameSite, Transport,
};
use countersign::{PlainToken, Profile, Timestamp, TokenPair};
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

fn headers(name: &HeaderName, values: &[&[u8]]) -> HeaderMap {
    values
        .iter()
        .map(|value| (name.clone(), HeaderValue::from_bytes(value).unwrap()))
        .collect()
}

fn one(text: &str) -> Offered {
    Offered::One(PlainToken::new(text))
}

fn pair(access: &str, refresh: Option<&str>) -> TokenPair {
    let now = Timestamp::from_unix_seconds(1_768_478_400);
    let issued = |text: &str, life| {
        let end = now.saturating_add(Duration::from_secs(life));
        IssuedToken::new(PlainToken::new(text), now, end)
    };
    let refresh = refresh.map(|text| issued(text, 2_592_000));
    TokenPair::new(issued(access, 900), refresh)
}

/// Conformance case 117, and what surrounds it.
#[test]
fn bearer_header_table() {
    let cases: [(&[&[u8]], Offered); 28] = [
        (&[], Offered::None),
        (&[b"bEaReR   tok"], one("tok")),
        (&[b"Bearer tok"], one("tok")),
        (&[b"Bearer a.b-c_d~e+f/g=="], one("a.b-c_d~e+f/g==")),
        (&[b"Basic tok"], Offered::None),
        (&[b"Digest username=\"a\""], Offered::None),
        (&[b"BearerX tok"], Offered::None),
        (&[b"Bearer-ish tok"], Offered::None),
        (&[b"Bear"], Offered::None),
        (&[b""], Offered::None),
        (&[b"Bearer"], Offered::Malformed),
        (&[b"Bearer "], Offered::Malformed),
        (&[b"Bearer    "], Offered::Malformed),
        (&[b"Bearer\ttok"], Offered::Malformed),
        (&[b"Bearer \ttok"], Offered::Malformed),
        (&[b"Bearer a b"], Offered::Malformed),
        (&[b"Bearer tok "], Offered::Malformed),
        (&[b"Bearer \"tok\""], Offered::Malformed),
        (&[b"Bearer tok,tok"], Offered::Malformed),
        (&[b"Bearer/tok"], Offered::Malformed),
        (&[b"Bearer=tok"], Offered::Malformed),
        (&[b"Bearer ="], Offered::Malformed),
        (&[b"Bearer a=b"], Offered::Malformed),
        (&[b"Bearer t\xc3\xb6k"], Offered::Malformed),
        (&[b"Bearer \xff"], Offered::Malformed),
        (&[b"Bearer one", b"Bearer two"], Offered::Ambiguous),
        (&[b"Bearer one", b"Bearer one"], Offered::Ambiguous),
        (&[b"Basic abc", b"Bearer one"], Offered::Ambiguous),
    ];
    for (values, expected) in cases {
        assert_eq!(
            BearerTransport.offered(&headers(&AUTHORIZATION, values)),
            expected,
            "{values:?}"
        );
    }
    assert_eq!(
        BearerTransport.offered_refresh(&headers(&AUTHORIZATION, &[b"Bearer tok"])),
        Offered::None
    );
}

#[test]
fn bearer_tokens_go_out_in_the_body_alone() {
    let mut out = HeaderMap::new();
    let body = BearerTransport
        .issue(&pair("a", Some("r")), &mut out)
        .unwrap()
        .unwrap();
    assert!(!format!("{body:?}").contains("access_token"));
    let expected =
        r#"{"access_token":"a","token_type":"bearer","expires_in":900,"refresh_token":"r"}"#;
    assert_eq!(body.into_bytes(), expected.as_bytes());
    let without = BearerTransport
        .issue(&pair("a", None), &mut out)
        .unwrap()
        .unwrap();
    assert_eq!(
        without.into_bytes(),
        &br#"{"access_token":"a","token_type":"bearer","expires_in":900}"#[..]
    );
    BearerTransport.clear(&mut out);
    assert!(out.is_empty());
}

fn set_cookies(out: &HeaderMap) -> Vec<&str> {
    let values = out.get_all(SET_COOKIE).iter();
    values
        .inspect(|value| assert!(value.is_sensitive()))
        .map(|value| value.to_str().unwrap())
        .collect()
}

fn original() -> CookieTransportBuilder {
    CookieTransport::builder(Profile::LitestarAuth)
}

fn ours() -> CookieTransportBuilder {
    CookieTransport::builder(Profile::Countersign)
}

/// Conformance case 118: each option, on login (and refresh, which sets the same) and when cleared.
#[test]
fn cookie_attributes_and_their_order() {
    let minute = Duration::from_mins(1);
    let insecure = || original().secure(false).allow_insecure_cookie_auth(true);
    let cases = [
        (
            original(),
            "; HttpOnly",
            "",
            "; Path=/; SameSite=lax; Secure",
            ["litestar_auth", "litestar_auth_refresh"],
        ),
        (
            original().cookie_name("sid"),
            "; HttpOnly",
            "",
            "; Path=/; SameSite=lax; Secure",
            ["sid", "sid_refresh"],
        ),
        (
            original().max_age(minute),
            "; HttpOnly",
            "; Max-Age=60",
            "; Path=/; SameSite=lax; Secure",
            ["litestar_auth", "litestar_auth_refresh"],
        ),
        (
            original().path("/app"),
            "; HttpOnly",
            "",
            "; Path=/app; SameSite=lax; Secure",
            ["litestar_auth", "litestar_auth_refresh"],
        ),
        (
            original().domain("example.com"),
            "; Domain=example.com; HttpOnly",
            "",
            "; Path=/; SameSite=lax; Secure",
            ["litestar_auth", "litestar_auth_refresh"],
        ),
        (
            insecure(),
            "; HttpOnly",
            "",
            "; Path=/; SameSite=lax",
            ["litestar_auth", "litestar_auth_refresh"],
        ),
        (
            original().samesite(SameSite::Strict),
            "; HttpOnly",
            "",
            "; Path=/; SameSite=strict; Secure",
            ["litestar_auth", "litestar_auth_refresh"],
        ),
        (
            original().samesite(SameSite::None),
            "; HttpOnly",
            "",
            "; Path=/; SameSite=none; Secure",
            ["litestar_auth", "litestar_auth_refresh"],
        ),
    ];
    for (builder, before, age, after, [access, refresh]) in cases {
        let transport = builder.build().unwrap();
        let mut out = HeaderMap::new();
        assert_eq!(
            transport.issue(&pair("A", Some("R")), &mut out).unwrap(),
            None
        );
        let expected = [
            format!("{access}=A{before}{age}{after}"),
            format!("{refresh}=R{before}{age}{after}"),
        ];
        assert_eq!(set_cookies(&out), expected);

        let mut out = HeaderMap::new();
        transport.clear(&mut out);
        let cleared = |name: &str| format!("{name}=\"\"{before}; Max-Age=0{after}");
        assert_eq!(set_cookies(&out), [cleared(access), cleared(refresh)]);
    }
}

#[test]
fn a_script_may_read_the_access_cookie_alone() {
    let transport = original()
        .httponly(false)
        .refresh_max_age(Duration::from_secs(7))
        .build()
        .unwrap();
    let mut out = HeaderMap::new();
    transport.issue(&pair("A", Some("R")), &mut out).unwrap();
    let expected = [
        "litestar_auth=A; Path=/; SameSite=lax; Secure",
        "litestar_auth_refresh=R; HttpOnly; Max-Age=7; Path=/; SameSite=lax; Secure",
    ];
    assert_eq!(set_cookies(&out), expected);
}

#[test]
fn our_cookies_have_prefixes_and_the_life_of_their_tokens() {
    let transport = ours().build().unwrap();
    let mut out = HeaderMap::new();
    transport.issue(&pair("A", Some("R")), &mut out).unwrap();
    let expected = [
        "__Host-countersign_access=A; HttpOnly; Max-Age=900; Path=/; SameSite=Lax; Secure",
        "__Host-countersign_refresh=R; HttpOnly; Max-Age=2592000; Path=/; SameSite=Lax; Secure",
    ];
    assert_eq!(set_cookies(&out), expected);

    let mut out = HeaderMap::new();
    transport.issue(&pair("A", None), &mut out).unwrap();
    assert_eq!(set_cookies(&out).len(), 1);
}

#[test]
fn a_cookie_outlives_neither_its_token_nor_400_days() {
    let year = Duration::from_hours(365 * 24);
    let mut tokens = pair("A", Some("R"));
    tokens.refresh.as_mut().unwrap().expires_at = Timestamp::MAX;
    let mut out = HeaderMap::new();
    let transport = ours()
        .max_age(year)
        .refresh_max_age(10 * year)
        .build()
        .unwrap();
    transport.issue(&tokens, &mut out).unwrap();
    assert!(set_cookies(&out)[0].contains("; Max-Age=900;"));
    assert!(set_cookies(&out)[1].contains("; Max-Age=34560000;"));
}

#[test]
fn names_follow_from_one_option() {
    for (name, refresh) in [
        ("__Host-app", "__Host-app_refresh"),
        ("__Secure-app", "__Secure-app_refresh"),
        ("app", "app_refresh"),
    ] {
        let transport = ours().cookie_name(name).build().unwrap();
        assert_eq!(
            (transport.cookie_name(), transport.refresh_cookie_name()),
            (name, refresh)
        );
    }
    let plain = ours()
        .secure(false)
        .allow_insecure_cookie_auth(true)
        .build()
        .unwrap();
    assert_eq!(
        (plain.cookie_name(), plain.refresh_cookie_name()),
        ("countersign_access", "countersign_refresh")
    );
}

#[test]
fn what_a_browser_would_drop_does_not_build() {
    let insecure = || ours().secure(false).allow_insecure_cookie_auth(true);
    let cases = [
        (
            original()
                .samesite(SameSite::None)
                .secure(false)
                .allow_insecure_cookie_auth(true),
            "samesite",
        ),
        (insecure().samesite(SameSite::None), "samesite"),
        (original().secure(false), "secure"),
        (ours().secure(false), "secure"),
        (insecure().cookie_name("__Host-app"), "secure"),
        (insecure().cookie_name("__secure-app"), "secure"),
        (ours().domain("example.com"), "domain"),
        (ours().path("/app"), "path"),
        (ours().cookie_name("__host-app").path("/app"), "path"),
        (original().cookie_name(""), "cookie_name"),
        (original().cookie_name("a b"), "cookie_name"),
        (original().cookie_name("a=b"), "cookie_name"),
        (original().cookie_name("a;b"), "cookie_name"),
        (original().cookie_name("ä"), "cookie_name"),
        (original().cookie_name("a\r\nb"), "cookie_name"),
        (original().path("app"), "path"),
        (original().path("/a;b"), "path"),
        (original().path("/a\r\nSet-Cookie: x"), "path"),
        (ours().refresh_path(""), "refresh_path"),
        (ours().refresh_path("/auth/cookie"), "refresh_path"),
        (
            ours().cookie_name("__HOST-app").refresh_path("/auth"),
            "refresh_path",
        ),
        (original().domain(".example.com"), "domain"),
        (original().domain("a;b"), "domain"),
        (original().domain(""), "domain"),
        (original().domain("-a.example"), "domain"),
    ];
    for (builder, setting) in cases {
        let shown = format!("{builder:?}");
        assert_eq!(builder.build().unwrap_err().setting(), setting, "{shown}");
    }
}

/// A narrow path is for names that browsers don't bind to the host.
#[test]
fn a_refresh_path_of_its_own_needs_a_name_without_the_host_prefix() {
    let error = ours()
        .refresh_path("/auth/cookie")
        .build()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("refresh_path") && error.contains("use a cookie_name without the prefix"),
        "{error}"
    );
    for name in ["app", "__Secure-app"] {
        let transport = ours()
            .cookie_name(name)
            .refresh_path("/auth/cookie")
            .build()
            .unwrap();
        let mut out = HeaderMap::new();
        transport.issue(&pair("A", Some("R")), &mut out).unwrap();
        assert!(
            set_cookies(&out)[0].contains("; Path=/;")
                && set_cookies(&out)[1].contains("; Path=/auth/cookie;")
        );
    }
    let below = ours().cookie_name("app").path("/app").build().unwrap();
    let mut out = HeaderMap::new();
    below.issue(&pair("A", Some("R")), &mut out).unwrap();
    assert!(
        set_cookies(&out)
            .iter()
            .all(|cookie| cookie.contains("; Path=/app;")),
        "one path unless told otherwise"
    );
}

#[test]
fn what_no_cookie_can_carry_is_not_issued() {
    let transport = original().build().unwrap();
    let longest = "a".repeat(4096 - "litestar_auth".len());
    let too_long = format!("{longest}a");
    let mut out = HeaderMap::new();
    assert!(transport.issue(&pair(&longest, None), &mut out).is_ok());
    out.clear();
    for (access, refresh) in [
        (too_long.as_str(), None),
        ("", None),
        ("a;b", None),
        ("a\"b", None),
        ("a b", None),
        ("ä", None),
        ("a", Some("a,b")),
    ] {
        let failure = transport
            .issue(&pair(access, refresh), &mut out)
            .unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Internal);
        assert!(
            out.is_empty(),
            "nothing is set when one of the two can't be"
        );
    }
}

#[test]
fn cookie_header_table() {
    let transport = original().build().unwrap();
    let cases: [(&[&[u8]], Offered, Offered); 21] = [
        (&[], Offered::None, Offered::None),
        (&[b"other=1"], Offered::None, Offered::None),
        (&[b"litestar_auth=tok"], one("tok"), Offered::None),
        (&[b"a=1; litestar_auth=tok; b=2"], one("tok"), Offered::None),
        (&[b"a=1", b"litestar_auth=tok"], one("tok"), Offered::None),
        (
            &[b"litestar_auth=A; litestar_auth_refresh=R"],
            one("A"),
            one("R"),
        ),
        (&[b"litestar_auth_refresh=R"], Offered::None, one("R")),
        (&[b"LITESTAR_AUTH=tok"], Offered::None, Offered::None),
        (&[b"litestar_auth="], Offered::Malformed, Offered::None),
        (
            &[b"litestar_auth=\"tok\""],
            Offered::Malformed,
            Offered::None,
        ),
        (
            &[b"litestar_auth=t\xc3\xb6k"],
            Offered::Malformed,
            Offered::None,
        ),
        (
            &[b"litestar_auth=one; litestar_auth=two"],
            Offered::Ambiguous,
            Offered::None,
        ),
        (
            &[b"litestar_auth=one; litestar_auth=one"],
            Offered::Ambiguous,
            Offered::None,
        ),
        (
            &[b"litestar_auth=one", b"litestar_auth="],
            Offered::Ambiguous,
            Offered::None,
        ),
        (
            &[b"x=\xff\xfe; litestar_auth=t%20k"],
            one("t%20k"),
            Offered::None,
        ),
        (&[b"a=1;litestar_auth=tok;b"], one("tok"), Offered::None),
        (&[b" \t litestar_auth=tok \t ;"], one("tok"), Offered::None),
        (&[b"litestar_auth= tok"], Offered::Malformed, Offered::None),
        (&[b"litestar_auth=a=b=="], one("a=b=="), Offered::None),
        (
            &[b"x=\"; litestar_auth=tok; y=\""],
            one("tok"),
            Offered::None,
        ),
        (
            &[b"litestar_auth=\xc2\xa0tok"],
            Offered::Malformed,
            Offered::None,
        ),
    ];
    for (values, access, refresh) in cases {
        let headers = headers(&COOKIE, values);
        assert_eq!(transport.offered(&headers), access, "{values:?}");
        assert_eq!(transport.offered_refresh(&headers), refresh, "{values:?}");
    }
}

/// Browsers bind a prefix to the bytes of a name. A sibling subdomain may set any name that differs in one, so white space
/// beyond HTTP's own, case and controls never make another name ours.
#[test]
fn names_are_compared_byte_for_byte() {
    let transport = ours().build().unwrap();
    let names = ["__Host-countersign_access", "__Host-countersign_refresh"];
    let planted: Vec<Vec<u8>> = ('\u{80}'..='\u{3000}')
        .filter(|character| {
            character.is_whitespace() || *character == '\u{feff}' || *character == '\u{200b}'
        })
        .chain([
            '\u{feff}', '\u{1}', '\u{b}', '\u{c}', '\u{7f}', '"', '\'', '%', '+', '=', '$', '.',
            ',',
        ])
        .flat_map(|character| {
            names.into_iter().flat_map(move |name| {
                [
                    format!("{character}{name}=TOKEN"),
                    format!("{name}{character}=TOKEN"),
                    format!("a=1; {character}{name}=TOKEN"),
                ]
            })
        })
        .map(String::into_bytes)
        .chain(names.into_iter().flat_map(|name| {
            let cases = [
                name.to_lowercase(),
                name.to_uppercase(),
                name.replace("__Host-", "__host-"),
            ];
            let pairs = cases.map(|name| format!("{name}=TOKEN"));
            let bare = [
                format!("{name} =TOKEN"),
                format!("{name}\t=TOKEN"),
                name.to_owned(),
                format!("=;{name}"),
            ];
            pairs.into_iter().chain(bare).map(String::into_bytes)
        }))
        .chain([
            b"\xa0__Host-countersign_access=TOKEN".to_vec(),
            b"\x85__Host-countersign_access=TOKEN".to_vec(),
        ])
        .collect();
    for cookie in planted {
        let Ok(value) = HeaderValue::from_bytes(&cookie) else {
            continue;
        };
        let shown = String::from_utf8_lossy(&cookie).into_owned();
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, value);
        // `NAME==TOKEN` is the name, with a value that begins with an equals sign.
        if shown.contains("==") {
            assert_ne!(transport.offered(&headers), one("TOKEN"), "{shown:?}");
            continue;
        }
        assert_eq!(transport.offered(&headers), Offered::None, "{shown:?}");
        assert_eq!(
            transport.offered_refresh(&headers),
            Offered::None,
            "{shown:?}"
        );
        headers.append(
            COOKIE,
            HeaderValue::from_static(
                "__Host-countersign_access=own; \t__Host-countersign_refresh=own2 ",
            ),
        );
        assert_eq!(transport.offered(&headers), one("own"), "beside {shown:?}");
        assert_eq!(
            transport.offered_refresh(&headers),
            one("own2"),
            "beside {shown:?}"
        );
    }
}

proptest! {
    /// Whatever comes in is read without a panic, and what is read as a token is in the header as it is.
    #[test]
    fn no_header_breaks_the_parsers(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.clone());
        headers.insert(COOKIE, value);
        let cookies = original().cookie_name("a").build().unwrap();
        for offered in [BearerTransport.offered(&headers), cookies.offered(&headers)] {
            if let Offered::One(token) = offered {
                let text = token.expose().as_bytes();
                prop_assert!(!text.is_empty() && bytes.windows(text.len()).any(|window| window == text));
            }
        }
    }

    #[test]
    fn every_b64token_is_read_back(token in "[A-Za-z0-9._~+/-]{1,80}={0,2}", spaces in 1_usize..5, scheme in "(?i)bearer") {
        let value = format!("{scheme}{}{token}", " ".repeat(spaces));
        prop_assert_eq!(BearerTransport.offered(&headers(&AUTHORIZATION, &[value.as_bytes()])), one(&token));
    }

    #[test]
    fn near_misses_of_a_bearer_header_are_never_another_token(
        lead in "[ \t]{0,2}", gap in "[ \t,;]{0,3}", token in "[A-Za-z0-9 ,;\"=]{0,20}"
    ) {
        let value = format!("{lead}Bearer{gap}{token}");
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value);
        if let Offered::One(read) = BearerTransport.offered(&headers) {
            prop_assert_eq!(lead.as_str(), "");
            let rest = format!("{gap}{token}");
            prop_assert_eq!(rest.trim_start_matches(' '), read.expose());
        }
    }

    #[test]
    fn what_is_set_is_read_back(access in "[!#-+--:<-\\[\\]-~]{1,200}", refresh in "[A-Za-z0-9_-]{1,60}") {
        let transport = ours().build().unwrap();
        let mut out = HeaderMap::new();
        transport.issue(&pair(&access, Some(&refresh)), &mut out).unwrap();
        let sent: Vec<&str> = set_cookies(&out).into_iter().map(|cookie| cookie.split(';').next().unwrap()).collect();
        let sent = sent.join("; ");
        let back = headers(&COOKIE, &[sent.as_bytes()]);
        prop_assert_eq!(transport.offered(&back), one(&access));
        prop_assert_eq!(transport.offered_refresh(&back), one(&refresh));
    }
}
