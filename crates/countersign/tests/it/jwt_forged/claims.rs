//! Claims: types, times, audience, issuer, subject and id (SECURITY rows C-01 to C-09).

use countersign::Refusal::{
    Audience, Claims, Expired, Issuer, Lifetime, NotYetValid, Subject, UserUnknown,
};

use crate::jwt_forged::site::{Cases, ISSUER, LEEWAY, LIFETIME, LONGEST, NOW, SESSION, Site, USER};

pub fn cases(site: &Site) -> Cases {
    let mut cases = Cases::default();
    types_of_times(site, &mut cases);
    times(site, &mut cases);
    audience(site, &mut cases);
    issuer(site, &mut cases);
    subject(site, &mut cases);
    token_id(site, &mut cases);
    ignored(site, &mut cases);
    cases
}

fn types_of_times(site: &Site, cases: &mut Cases) {
    let later = NOW + 60;
    for name in ["exp", "iat", "nbf"] {
        cases.refuse(
            Claims,
            format!("no {name}"),
            site.claims(&site.claims.without(name)),
        );
        let capital = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        let renamed = site
            .claims
            .without(name)
            .with(&capital, site.claims.raw(name));
        cases.refuse(
            Claims,
            format!("{capital} for {name}"),
            site.claims(&renamed),
        );
        let values = [
            "null",
            "true",
            "false",
            "\"\"",
            "[]",
            "{}",
            "-1",
            "-1e300",
            "1e300",
            "1e18",
            "253402300800",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "18446744073709551615",
            "100000000000000000000000000000",
            "1e999",
            "-1e999",
            "NaN",
            "Infinity",
            "-Infinity",
            "nan",
            "0x6968d480",
            "\"NaN\"",
            "\"never\"",
            "\"2026-01-15T12:00:00Z\"",
            "\"9999999999\"",
        ];
        let of_now = [
            format!("\"{later}\""),
            format!("[{later}]"),
            format!("{{\"value\":{later}}}"),
            format!("0{later}"),
            format!("+{later}"),
            format!("{later}."),
            format!("{NOW}000"),
            format!("{NOW}000.0"),
            format!("{NOW}000000"),
            format!("{later}n"),
            format!("{later}_"),
        ];
        for value in values.map(str::to_owned).into_iter().chain(of_now) {
            cases.refuse(
                Claims,
                format!("{name} {value}"),
                site.claims(&site.claims.with(name, value)),
            );
        }
        let twice = site.claims.and(name, format!("{later}"));
        cases.refuse(Claims, format!("{name} twice"), site.claims(&twice));
        cases.refuse(
            Claims,
            format!("{name} twice, turned"),
            site.claims(&twice.reversed()),
        );
        let escaped = site.claims.and(
            &format!("\\u00{:02x}{}", name.as_bytes()[0], &name[1..]),
            format!("{later}"),
        );
        cases.refuse(
            Claims,
            format!("{name} twice, escaped"),
            site.claims(&escaped),
        );
    }
}

/// Claims of a token that lives from `issued` to `expires`, seen from now.
fn lives(site: &Site, issued: i64, expires: i64) -> String {
    let (iat, exp) = ((NOW + issued).to_string(), (NOW + expires).to_string());
    site.claims(
        &site
            .claims
            .with("iat", iat.as_str())
            .with("nbf", iat)
            .with("exp", exp),
    )
}

fn times(site: &Site, cases: &mut Cases) {
    for (offset, good) in [
        (1, true),
        (0, true),
        (1 - LEEWAY, true),
        (-LEEWAY, false),
        (-LEEWAY - 1, false),
    ] {
        let (name, token) = (format!("exp now {offset:+}"), lives(site, -100, offset));
        if good {
            cases.accept(name, token);
        } else {
            cases.refuse(Expired, name, token);
        }
    }
    for offset in [-100, -86_400, -NOW + LIFETIME] {
        cases.refuse(
            Expired,
            format!("exp now {offset:+}"),
            lives(site, offset - LIFETIME, offset),
        );
    }
    for name in ["iat", "nbf"] {
        for (offset, good) in [
            (-1, true),
            (0, true),
            (LEEWAY, true),
            (LEEWAY + 1, false),
            (3600, false),
        ] {
            let claims = site.claims.with(name, (NOW + offset).to_string());
            let (case, token) = (format!("{name} now {offset:+}"), site.claims(&claims));
            if good {
                cases.accept(case, token);
            } else {
                cases.refuse(NotYetValid, case, token);
            }
        }
    }
    cases.accept("the longest life", lives(site, 0, LONGEST));
    cases.accept(
        "the longest life and the leeway",
        lives(site, 0, LONGEST + LEEWAY),
    );
    for (name, exp) in [
        (
            "a second too long a life",
            (NOW + LONGEST + LEEWAY + 1).to_string(),
        ),
        ("a life of two days", (NOW + 2 * 86_400).to_string()),
        ("a life of a century", (NOW + 3_155_760_000).to_string()),
        ("exp 9999999999", "9999999999".to_owned()),
        ("exp 1e11", "1e11".to_owned()),
        ("the last exp there is", "253402300799".to_owned()),
    ] {
        cases.refuse(Lifetime, name, site.claims(&site.claims.with("exp", exp)));
    }
    for iat in ["0", "-0", "0.5", "-0.5", "1e-300", "1", "1000000000"] {
        let claims = site.claims.with("iat", iat);
        cases.refuse(Lifetime, format!("iat {iat}"), site.claims(&claims));
        let nbf = site.claims.with("nbf", iat);
        cases.accept(format!("nbf {iat}"), site.claims(&nbf));
        let exp = site.claims.with("exp", iat);
        cases.refuse(Expired, format!("exp {iat}"), site.claims(&exp));
    }
    let later = NOW + 60;
    for exp in [
        format!("{later}.0"),
        format!("{later}.9"),
        format!("{later}e0"),
        format!("{later}0E-1"),
    ] {
        cases.accept(
            format!("exp {exp}"),
            site.claims(&site.claims.with("exp", exp)),
        );
    }
    cases.refuse(Expired, "a fraction short of the leeway", {
        site.claims(
            &site
                .claims
                .with("exp", format!("{}.999", NOW - LEEWAY))
                .with("iat", (NOW - 100).to_string()),
        )
    });
}

/// No leeway, and no token may live longer than ours.
pub fn strict(site: &Site) -> Cases {
    let mut cases = Cases::default();
    cases.refuse(Expired, "exp now", lives(site, -100, 0));
    cases.refuse(Expired, "exp a fraction ahead", {
        site.claims(
            &site
                .claims
                .with("exp", format!("{NOW}.9"))
                .with("iat", (NOW - 100).to_string()),
        )
    });
    cases.accept("exp a second ahead", lives(site, -100, 1));
    for name in ["iat", "nbf"] {
        let token = |offset: i64| site.claims(&site.claims.with(name, (NOW + offset).to_string()));
        cases.accept(format!("{name} now"), token(0));
        cases.refuse(NotYetValid, format!("{name} a second ahead"), token(1));
    }
    cases.accept("the longest life", lives(site, 0, LIFETIME));
    cases.refuse(
        Lifetime,
        "a second too long a life",
        lives(site, 0, LIFETIME + 1),
    );
    cases
}

fn audience(site: &Site, cases: &mut Cases) {
    let ours = "\"countersign:access\"";
    let good = [
        format!("[{ours}]"),
        format!("[\"https://api.example\",{ours}]"),
        format!("[{ours},\"\"]"),
        format!("[{ours},{ours}]"),
        "\"countersign\\u003aaccess\"".to_owned(),
    ];
    for json in good {
        cases.accept(
            format!("aud {json}"),
            site.claims(&site.claims.with("aud", json)),
        );
    }
    let bad = [
        "null",
        "true",
        "0",
        "{}",
        "[]",
        "\"\"",
        "\"countersign:acces\"",
        "\"countersign:access2\"",
        "\"countersign:access \"",
        "\" countersign:access\"",
        "\"Countersign:Access\"",
        "\"COUNTERSIGN:ACCESS\"",
        "\"countersign:access\\u0000\"",
        "\"countersign:access,other\"",
        "\"countersign:access other\"",
        "\"*\"",
        "\"countersign\u{ff1a}access\"",
        "\"countersign:access/\"",
        "[\"countersign:acces\"]",
        "[\"other\"]",
        "[null]",
        "[[\"countersign:access\"]]",
        "[\"other\",null]",
        "[\"countersign:access\",null]",
        "[\"countersign:access\",1]",
        "[\"countersign:access\",[\"countersign:access\"]]",
        "{\"countersign:access\":true}",
        "[{}]",
    ];
    for json in bad {
        cases.refuse(
            Audience,
            format!("aud {json}"),
            site.claims(&site.claims.with("aud", json)),
        );
    }
    cases.refuse(Audience, "no aud", site.claims(&site.claims.without("aud")));
    cases.refuse(
        Claims,
        "aud twice",
        site.claims(&site.claims.and("aud", ours)),
    );
    cases.refuse(
        Claims,
        "aud twice, another",
        site.claims(&site.claims.and("aud", "\"other\"").reversed()),
    );
}

fn issuer(site: &Site, cases: &mut Cases) {
    let texts = [
        String::new(),
        ISSUER[..ISSUER.len() - 1].to_owned(),
        format!("{ISSUER}/"),
        format!("{ISSUER}.evil.example"),
        format!("{ISSUER}\\u0000"),
        format!(" {ISSUER}"),
        format!("{ISSUER} "),
        ISSUER.to_uppercase(),
        ISSUER.replace("login", "Login"),
        ISSUER.replace("https", "http"),
        ISSUER.replace("https://", ""),
        format!("{ISSUER}:443"),
        ISSUER.replace("login", "l\u{43e}gin"),
        "login".to_owned(),
        "*".to_owned(),
    ];
    for text in texts {
        cases.refuse(
            Issuer,
            format!("iss \"{text}\""),
            site.claims(&site.claims.with("iss", format!("\"{text}\""))),
        );
    }
    let kinds = ["null", "true", "0", "[]", "{}"].map(str::to_owned);
    for json in kinds.into_iter().chain([
        format!("[\"{ISSUER}\"]"),
        format!("[\"other\",\"{ISSUER}\"]"),
    ]) {
        cases.refuse(
            Issuer,
            format!("iss {json}"),
            site.claims(&site.claims.with("iss", json)),
        );
    }
    cases.refuse(Issuer, "no iss", site.claims(&site.claims.without("iss")));
    cases.refuse(
        Claims,
        "iss twice",
        site.claims(&site.claims.and("iss", "\"other\"")),
    );
    let escaped = ISSUER.replace('/', "\\/");
    cases.accept(
        "iss with escapes",
        site.claims(&site.claims.with("iss", format!("\"{escaped}\""))),
    );
}

/// Without a configured issuer any is taken, as on the page.
pub fn without_issuer(site: &Site) -> Cases {
    let mut cases = Cases::default();
    for json in ["\"https://login.example\"", "\"\"", "null", "[]"] {
        cases.accept(
            format!("iss {json}"),
            site.claims(&site.claims.with("iss", json)),
        );
    }
    cases.accept("no iss", site.claims(&site.claims.without("iss")));
    cases
}

fn subject(site: &Site, cases: &mut Cases) {
    let texts = [
        String::new(),
        " ".to_owned(),
        "7".to_owned(),
        "admin".to_owned(),
        USER.to_uppercase(),
        USER.replace('-', ""),
        format!("{{{USER}}}"),
        format!("urn:uuid:{USER}"),
        format!(" {USER}"),
        format!("{USER} "),
        format!("{USER}\\n"),
        format!("{USER}\\u0000"),
        USER[..35].to_owned(),
        format!("{USER}0"),
        USER.replace('1', "\u{661}"),
        USER.replace('1', "\u{ff11}"),
        USER.replace('-', "\u{2010}"),
        format!("{USER},{USER}"),
        "00000000-0000-0000-0000-00000000000g".to_owned(),
        "' OR 1=1 --".to_owned(),
    ];
    for text in texts {
        cases.refuse(
            Subject,
            format!("sub \"{text}\""),
            site.claims(&site.claims.with("sub", format!("\"{text}\""))),
        );
    }
    let kinds = ["null", "true", "0", "7", "[]", "{}"].map(str::to_owned);
    for json in kinds
        .into_iter()
        .chain([format!("[\"{USER}\"]"), format!("{{\"id\":\"{USER}\"}}")])
    {
        cases.refuse(
            Subject,
            format!("sub {json}"),
            site.claims(&site.claims.with("sub", json)),
        );
    }
    cases.refuse(Subject, "no sub", site.claims(&site.claims.without("sub")));
    cases.refuse(
        Claims,
        "sub twice",
        site.claims(&site.claims.and("sub", format!("\"{USER}\""))),
    );
    for stranger in [
        SESSION,
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ] {
        let claims = site.claims.with("sub", format!("\"{stranger}\""));
        cases.refuse(UserUnknown, format!("sub {stranger}"), site.claims(&claims));
    }
}

pub fn number_subjects(site: &Site<i64>) -> Cases {
    let mut cases = Cases::default();
    cases.accept("sub \"7\"", site.claims(&site.claims));
    let bad = [
        "\"07\"",
        "\"+7\"",
        "\" 7\"",
        "\"7 \"",
        "\"7\\n\"",
        "\"7\\u0000\"",
        "\"7.0\"",
        "\"7e0\"",
        "\"0x7\"",
        "\"\"",
        "\"-0\"",
        "\"\u{667}\"",
        "\"\u{ff17}\"",
        "\"7_\"",
        "\"9223372036854775808\"",
        "\"seven\"",
        "7",
        "7.0",
        "[7]",
        "[\"7\"]",
        "null",
        "true",
    ];
    for json in bad {
        cases.refuse(
            Subject,
            format!("sub {json}"),
            site.claims(&site.claims.with("sub", json)),
        );
    }
    for json in [
        "\"8\"",
        "\"-7\"",
        "\"0\"",
        "\"9223372036854775807\"",
        "\"-9223372036854775808\"",
    ] {
        cases.refuse(
            UserUnknown,
            format!("sub {json}"),
            site.claims(&site.claims.with("sub", json)),
        );
    }
    cases
}

pub fn name_subjects(site: &Site<String>) -> Cases {
    let mut cases = Cases::default();
    cases.accept("sub \"ada\"", site.claims(&site.claims));
    cases.accept(
        "sub with an escape",
        site.claims(&site.claims.with("sub", "\"\\u0061da\"")),
    );
    for json in ["\"\"", "null", "7", "true", "[\"ada\"]", "{}"] {
        cases.refuse(
            Subject,
            format!("sub {json}"),
            site.claims(&site.claims.with("sub", json)),
        );
    }
    for json in [
        "\"Ada\"",
        "\"ada \"",
        "\" ada\"",
        "\"ada\\u0000\"",
        "\"\u{430}da\"",
        "\"a\\u0301da\"",
        "\"ad\"",
    ] {
        cases.refuse(
            UserUnknown,
            format!("sub {json}"),
            site.claims(&site.claims.with("sub", json)),
        );
    }
    cases
}

fn token_id(site: &Site, cases: &mut Cases) {
    let bad = [
        "null",
        "true",
        "0",
        "[]",
        "{}",
        "[\"a\"]",
        "\"\"",
        "\" \"",
        "\"a b\"",
        "\"a\\n\"",
        "\"a\\u0000\"",
        "\"\\u007f\"",
        "\"\u{e9}\"",
        "\"\u{200b}\"",
        "\"\u{ff21}\"",
    ];
    for json in bad
        .map(str::to_owned)
        .into_iter()
        .chain([format!("\"{}\"", "a".repeat(129))])
    {
        cases.refuse(
            Claims,
            format!("jti {json}"),
            site.claims(&site.claims.with("jti", json)),
        );
    }
    cases.refuse(Claims, "no jti", site.claims(&site.claims.without("jti")));
    cases.refuse(
        Claims,
        "jti twice",
        site.claims(&site.claims.and("jti", "\"other\"")),
    );
    for json in [
        "\"a\"".to_owned(),
        "\"\\u0061\"".to_owned(),
        format!("\"{}\"", "a".repeat(128)),
    ] {
        cases.accept(
            format!("jti {json}"),
            site.claims(&site.claims.with("jti", json)),
        );
    }
}

/// What nobody asks for (SECURITY row C-11).
fn ignored(site: &Site, cases: &mut Cases) {
    cases.accept(
        "claims in another order",
        site.claims(&site.claims.reversed()),
    );
    cases.accept(
        "header in another order",
        site.header(&site.header.reversed()),
    );
    for space in [" ", "\n", "\t", "\r\n  "] {
        cases.accept(
            format!("white space {space:?}"),
            site.sign(site.header.spaced(space), site.claims.spaced(space)),
        );
    }
    for (name, json) in [
        ("scope", "\"openid profile\""),
        ("roles", "[\"admin\",{\"of\":null}]"),
        ("", "0"),
        ("sub2", "null"),
        ("Exp", "1"),
        ("EXP", "\"never\""),
        ("cnf", "{\"jkt\":\"AAAA\"}"),
        ("\\u00e9", "1.5e3"),
        ("alg", "\"none\""),
        ("kid", "7"),
        ("crit", "[\"exp\"]"),
    ] {
        cases.accept(
            format!("a claim {name:?}"),
            site.claims(&site.claims.with(name, json)),
        );
    }
    for (name, json) in [
        ("x", "1"),
        ("", "null"),
        ("exp", "1"),
        ("aud", "\"other\""),
        ("iss", "[]"),
        ("use", "\"enc\""),
    ] {
        cases.accept(
            format!("a header member {name:?}"),
            site.header(&site.header.with(name, json)),
        );
    }
}
