//! The compact form: one spelling of three segments, and nothing else (SECURITY rows T-07, T-11).

use countersign::Refusal::{Claims, Malformed, Signature, TooLong};

use crate::jwt_forged::forger::{base64url, from_base64url};
use crate::jwt_forged::site::{Cases, Site};

const LIMIT: usize = 8192;

pub fn cases(site: &Site) -> Cases {
    let mut cases = Cases::default();
    cases.accept("as issued", site.genuine.as_str());
    cases.accept("signed by the forger's hand", site.fresh(1));
    segments(site, &mut cases);
    spellings(site, &mut cases);
    serialisations(site, &mut cases);
    sizes(site, &mut cases);
    cases
}

fn segments(site: &Site, cases: &mut Cases) {
    let token = site.genuine.as_str();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three segments")
    };
    let malformed = [
        ("nothing", String::new()),
        ("one segment", header.to_owned()),
        ("two segments", format!("{header}.{payload}")),
        ("no signature", format!("{header}.{payload}.")),
        ("no header", format!(".{payload}.{signature}")),
        ("dots alone", "..".to_owned()),
        ("one dot", ".".to_owned()),
        ("four segments", format!("{token}.{signature}")),
        ("a dot behind", format!("{token}.")),
        ("a dot in front", format!(".{token}")),
        (
            "an empty segment inside",
            format!("{header}..{payload}.{signature}"),
        ),
        (
            "five segments",
            format!("{header}.{payload}.{signature}.{payload}.{signature}"),
        ),
        (
            "a JWE",
            format!(
                "{}..{}.{payload}.{signature}",
                base64url(r#"{"alg":"dir","enc":"A256GCM"}"#),
                "AAAA"
            ),
        ),
        (
            "a JWE with a key",
            format!("{header}.{payload}.{}.{payload}.{signature}", "AAAA"),
        ),
        ("twice", format!("{token}{token}")),
        ("twice with a dot", format!("{token}.{token}")),
        (
            "a detached payload in two segments",
            format!("{header}.{signature}"),
        ),
    ];
    for (name, token) in malformed {
        cases.refuse(Malformed, name, token);
    }
    cases.refuse(Signature, "no payload", format!("{header}..{signature}"));
    cases.refuse(
        Claims,
        "no payload, signed so",
        site.sign_segments(header, ""),
    );
    cases.refuse(Signature, "another token's payload", {
        let other = site.fresh(2);
        format!("{header}.{}.{signature}", other.split('.').nth(1).unwrap())
    });
    cases.refuse(Signature, "a claim raised", {
        let raised = site
            .claims
            .with("sub", "\"00000000-0000-0000-0000-000000000000\"")
            .json();
        format!("{header}.{}.{signature}", base64url(raised))
    });
    cases.refuse(Signature, "header written otherwise", {
        format!(
            "{}.{payload}.{signature}",
            base64url(site.header.spaced(" "))
        )
    });
}

/// Each spelling decodes to the genuine bytes in a lenient reader. Those of header and payload are signed as they are
/// spelled.
fn spellings(site: &Site, cases: &mut Cases) {
    let header = base64url(site.header.with("note", "\"???>>>~~~\"").json());
    let payload = base64url(site.claims.with("note", "\"???>>>~~~\"").json());
    cases.accept("spelled well", site.sign_segments(&header, &payload));
    let token = (0..1000).map(|number| site.fresh(number)).find(|token| {
        let signature = token.rsplit('.').next().unwrap();
        signature.contains('-') && signature.contains('_')
    });
    let token = token.unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for (name, change) in CHANGES {
        let changes = |segment: &str| Some(change(segment)).filter(|changed| changed != segment);
        if let Some(header) = changes(&header) {
            cases.refuse(
                Malformed,
                format!("header {name}"),
                site.sign_segments(&header, &payload),
            );
        }
        if let Some(payload) = changes(&payload) {
            cases.refuse(
                Malformed,
                format!("payload {name}"),
                site.sign_segments(&header, &payload),
            );
        }
        if let Some(signature) = changes(signature) {
            cases.refuse(
                Malformed,
                format!("signature {name}"),
                format!("{signed}.{signature}"),
            );
        }
    }
    spare_bits(site, cases);
    for (name, space) in [
        ("space", " "),
        ("tab", "\t"),
        ("newline", "\n"),
        ("CRLF", "\r\n"),
        ("NUL", "\0"),
    ] {
        cases.refuse(
            Malformed,
            format!("{name} in front"),
            format!("{space}{token}"),
        );
        cases.refuse(
            Malformed,
            format!("{name} behind"),
            format!("{token}{space}"),
        );
    }
    for (name, text) in [
        ("scheme in front", format!("Bearer {token}")),
        ("quoted", format!("\"{token}\"")),
        ("percent-encoded dots", token.replace('.', "%2E")),
        ("ideographic dots", token.replace('.', "\u{3002}")),
        ("a BOM in front", format!("\u{feff}{token}")),
        ("a comma list", format!("{token},{token}")),
    ] {
        cases.refuse(Malformed, name, text);
    }
}

type Change = (&'static str, fn(&str) -> String);

const CHANGES: [Change; 14] = [
    ("padded", |text| {
        format!("{text}{}", &"===="[..(4 - text.len() % 4) % 4])
    }),
    ("padded without need", |text| format!("{text}=")),
    ("padded by two", |text| format!("{text}==")),
    ("percent-padded", |text| format!("{text}%3D")),
    ("in the standard alphabet", |text| {
        text.replace('-', "+").replace('_', "/")
    }),
    ("half in the standard alphabet", |text| {
        text.replacen('-', "+", 1)
    }),
    ("with a space", |text| {
        format!("{} {}", &text[..4], &text[4..])
    }),
    ("with a newline", |text| {
        format!("{}\n{}", &text[..4], &text[4..])
    }),
    ("with CRLF behind", |text| format!("{text}\r\n")),
    ("with a NUL behind", |text| format!("{text}\0")),
    ("with a wide letter", |text| {
        format!("\u{ff21}{}", &text[1..])
    }),
    ("with a zero-width space", |text| {
        format!("{}\u{200b}{}", &text[..4], &text[4..])
    }),
    ("with an asterisk", |text| format!("{text}*")),
    ("of an impossible length", |text| {
        let rest = text.len() % 4;
        format!("{text}{}", &"AAAA"[..(5 - rest) % 4])
    }),
];

/// A last character whose unused bits are set decodes to the same bytes.
fn spare_bits(site: &Site, cases: &mut Cases) {
    let shifted = |json: String, space: usize| base64url(format!("{json}{}", " ".repeat(space)));
    let padded = |json: &str, remainder: usize| {
        (0..3)
            .map(|space| shifted(json.to_owned(), space))
            .find(|text| text.len() % 4 == remainder)
            .unwrap()
    };
    let (header, payload) = (site.header.json(), site.claims.json());
    for (remainder, bits) in [(2, 16), (3, 4)] {
        let (h, p) = (padded(&header, remainder), padded(&payload, remainder));
        cases.accept(
            format!("spare bits clear, {bits}"),
            site.sign_segments(&h, &p),
        );
        for bit in 1..bits {
            cases.refuse(
                Malformed,
                format!("header spare bits {bit}"),
                site.sign_segments(&raised(&h, bit), &p),
            );
            cases.refuse(
                Malformed,
                format!("payload spare bits {bit}"),
                site.sign_segments(&h, &raised(&p, bit)),
            );
        }
    }
    let (signed, signature) = site.genuine.rsplit_once('.').unwrap();
    let bits = [1, 1, 16, 4][signature.len() % 4];
    for bit in 1..bits {
        cases.refuse(
            Malformed,
            format!("signature spare bits {bit}"),
            format!("{signed}.{}", raised(signature, bit)),
        );
    }
}

/// The last character's value raised by `bits`.
fn raised(segment: &str, bits: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = segment.split_at(segment.len() - 1);
    let value = ALPHABET
        .iter()
        .position(|letter| *letter == last.as_bytes()[0])
        .unwrap();
    format!("{rest}{}", char::from(ALPHABET[value | bits]))
}

fn serialisations(site: &Site, cases: &mut Cases) {
    let [header, payload, signature] = site.genuine.split('.').collect::<Vec<_>>()[..] else {
        panic!("three segments")
    };
    let flat =
        format!(r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#);
    let general = format!(
        r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
    );
    let unprotected = format!(
        r#"{{"payload":"{payload}","header":{},"signature":"{signature}"}}"#,
        site.header.json()
    );
    for (name, json) in [
        ("flattened JSON", &flat),
        ("general JSON", &general),
        ("unprotected header", &unprotected),
    ] {
        cases.refuse(Malformed, name, json.as_str());
        cases.refuse(Malformed, format!("{name} in base64url"), base64url(json));
        cases.refuse(
            Malformed,
            format!("{name} with dots behind"),
            format!("{json}.{payload}.{signature}"),
        );
    }
    cases.refuse(Malformed, "decoded segments", {
        let (header, payload) = (site.header.json(), site.claims.json());
        format!("{header}.{payload}.{signature}")
    });
    let plain = String::from_utf8(from_base64url(payload)).unwrap();
    cases.refuse(Malformed, "the payload alone, in clear", plain);
    for opaque in [
        "csa_",
        "csr_",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ] {
        cases.refuse(
            Malformed,
            format!("an opaque token, {opaque}"),
            format!("{opaque}{signature}"),
        );
    }
}

fn sizes(site: &Site, cases: &mut Cases) {
    cases.accept("just under the limit", of_size(site, LIMIT));
    cases.refuse(TooLong, "just over the limit", of_size(site, LIMIT + 1));
    cases.refuse(TooLong, "twice the limit", of_size(site, 2 * LIMIT));
    cases.refuse(TooLong, "a million dots", ".".repeat(1_000_000));
    cases.refuse(TooLong, "a million letters", "A".repeat(1_000_000));
    cases.refuse(Malformed, "as many dots as fit", ".".repeat(LIMIT));
    cases.refuse(Malformed, "as many letters as fit", "A".repeat(LIMIT));
    cases.refuse(
        Malformed,
        "a header that fills it",
        format!("{}.A.A", "A".repeat(LIMIT - 4)),
    );
}

/// A good token of exactly this many bytes.
fn of_size(site: &Site, bytes: usize) -> String {
    let length = |decoded: usize| (decoded * 4).div_ceil(3);
    let signature = site.genuine.rsplit('.').next().unwrap().len();
    let (header, claims) = (site.header.json(), site.claims.and("filler", "\"\"").json());
    let fits = |&(spaces, filler): &(usize, usize)| {
        length(header.len() + spaces) + length(claims.len() + filler) + signature + 2 == bytes
    };
    let (spaces, filler) = (0..3)
        .flat_map(|s| (0..bytes).map(move |f| (s, f)))
        .find(fits)
        .unwrap();
    let claims = site
        .claims
        .and("filler", format!("\"{}\"", "x".repeat(filler)));
    let token = site.sign(format!("{header}{}", " ".repeat(spaces)), claims.json());
    assert_eq!(token.len(), bytes);
    token
}
