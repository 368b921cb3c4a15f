//! Claims under a genuine signature: SECURITY rows C-01 to C-11 and T-10.

use countersign::Refusal::{
    Audience, Claims, Expired, Fingerprint, Issuer, Lifetime, NotYetValid, Subject, UserUnknown,
};

use crate::{Bench, Case, Expected, ID, ISSUER, NOW, Object, good_claims, quoted};

pub(crate) fn cases(bench: &Bench) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, payload: &[u8], expected: Expected| {
        cases.push(Case::new(name, bench.sign(&bench.header().json(), payload), expected));
    };
    for (name, value, expected) in values() {
        add(format!("{name} {value}"), good_claims().with(name, value).json().as_bytes(), expected);
    }
    for (name, refusal) in [
        ("exp", Claims),
        ("iat", Claims),
        ("nbf", Claims),
        ("jti", Claims),
        ("aud", Audience),
        ("iss", Issuer),
        ("sub", Subject),
    ] {
        add(format!("no {name}"), good_claims().without(name).json().as_bytes(), Err(refusal));
        add(format!("{name} null"), good_claims().with(name, "null").json().as_bytes(), Err(refusal));
        let good = good_claims().0.into_iter().find(|(known, _)| *known == name).unwrap().1;
        add(format!("{name} twice"), good_claims().and(name, good).json().as_bytes(), Err(Claims));
    }
    for (name, payload, expected) in documents() {
        add(name.to_owned(), &payload, expected);
    }
    cases
}

fn values() -> Vec<(&'static str, String, Expected)> {
    let mut values = times();
    let mut add = |name, value: String, expected| values.push((name, value, expected));
    let ours = quoted("countersign:access");
    add("aud", format!("[{ours}]"), Ok(()));
    add("aud", format!("[\"x\",{ours}]"), Ok(()));
    for other in [
        "litestar-auth:access",
        "countersign:refresh",
        "countersign:verify",
        "Countersign:access",
        "countersign:accessx",
        "",
    ] {
        add("aud", quoted(other), Err(Audience));
    }
    for other in ["[]", "[\"x\"]", "[5]", "5", "true", "{}", "[[\"countersign:access\"]]"] {
        add("aud", other.to_owned(), Err(Audience));
    }
    add("aud", format!("[{ours},5]"), Err(Audience));
    for other in [
        "https://issuer.example/",
        "https://issuer",
        "HTTPS://issuer.example",
        "http://issuer.example",
        " https://issuer.example",
        "",
    ] {
        add("iss", quoted(other), Err(Issuer));
    }
    add("iss", format!("[{}]", quoted(ISSUER)), Err(Issuer));
    add("iss", "1".to_owned(), Err(Issuer));
    for other in [
        ID.to_uppercase(),
        ID.replace('-', ""),
        format!("{{{ID}}}"),
        format!("urn:uuid:{ID}"),
        format!("{ID} "),
        format!(" {ID}"),
        format!("{ID}\0"),
        String::new(),
        "1".to_owned(),
        "' OR 1=1 --".to_owned(),
    ] {
        add("sub", quoted(&other), Err(Subject));
    }
    for other in ["7", "true", "{}", "[\"1b4e28ba-2fa1-41d2-883f-0016d3cca427\"]"] {
        add("sub", other.to_owned(), Err(Subject));
    }
    add("sub", quoted("6fa459ea-ee8a-4ca4-894e-db77e160355e"), Err(UserUnknown));
    for other in ["", " ", "a b", "a\nb", "\u{e9}", &"x".repeat(129)] {
        add("jti", quoted(other), Err(Claims));
    }
    for other in ["7", "[]", "{}", "true"] {
        add("jti", other.to_owned(), Err(Claims));
    }
    add("jti", quoted(&"x".repeat(128)), Ok(()));
    add("sid", quoted(ID), Ok(()));
    for other in [quoted(""), quoted("x"), quoted(&ID.to_uppercase()), "7".to_owned(), "null".to_owned()] {
        add("sid", other, Err(Claims));
    }
    for other in [quoted(""), quoted("x"), quoted("\u{e9}"), "7".to_owned(), "null".to_owned(), "[]".to_owned()] {
        add("sfp", other, Err(Fingerprint));
    }
    add("x", r#"{"y":["z",{"y":1.5e3}]}"#.to_owned(), Ok(()));
    values
}

/// The clock stands at `NOW`, the leeway is 5 seconds, the lifetime 900.
fn times() -> Vec<(&'static str, String, Expected)> {
    let mut values = vec![
        ("exp", (NOW - 4).to_string(), Ok(())),
        ("exp", format!("{}.5", NOW + 900), Ok(())),
        ("exp", format!("{}e0", NOW + 900), Ok(())),
        ("exp", (NOW + 905).to_string(), Ok(())),
        ("exp", (NOW - 5).to_string(), Err(Expired)),
        ("exp", (NOW - 900).to_string(), Err(Expired)),
        ("exp", "0".to_owned(), Err(Expired)),
        ("exp", (NOW + 906).to_string(), Err(Lifetime)),
        ("exp", "9999999999".to_owned(), Err(Lifetime)),
        ("exp", ((NOW + 900) * 1000).to_string(), Err(Claims)),
        ("nbf", (NOW + 5).to_string(), Ok(())),
        ("nbf", (NOW + 6).to_string(), Err(NotYetValid)),
        ("nbf", "0".to_owned(), Ok(())),
        ("iat", (NOW + 5).to_string(), Ok(())),
        ("iat", (NOW + 6).to_string(), Err(NotYetValid)),
        ("iat", "0".to_owned(), Err(Lifetime)),
    ];
    let no_time = [
        "-1",
        "1e300",
        "1e18",
        "9223372036854775807",
        "18446744073709551616",
        "253402300800",
        "\"1768479300\"",
        "\"9_999_999_999\"",
        "\"soon\"",
        "\"\"",
        "true",
        "[1768479300]",
        "{}",
    ];
    for name in ["exp", "nbf", "iat"] {
        values.extend(no_time.map(|value| (name, value.to_owned(), Err(Claims))));
        // These are no JSON, so nothing else of the claims counts.
        values.extend(
            ["NaN", "Infinity", "1e999", "01768479300", "0x10", "1768479300."]
                .map(|value| (name, value.to_owned(), Err(Claims))),
        );
    }
    values
}

fn documents() -> Vec<(&'static str, Vec<u8>, Expected)> {
    let good = good_claims();
    let json = good.json();
    let mut reversed = good.0.clone();
    reversed.reverse();
    let text = |text: String| text.into_bytes();
    vec![
        ("claims in another order", text(Object(reversed).json()), Ok(())),
        ("white space in claims", text(format!(" {}\n", json.replace(',', " ,\t"))), Ok(())),
        ("escapes in claims", text(json.replace("sub", "s\\u0075b")), Ok(())),
        ("an escaped name twice", text(good.clone().and("s\\u0075b", quoted(ID)).json()), Err(Claims)),
        ("a deep name twice", text(good.clone().with("x", r#"{"y":1,"y":1}"#).json()), Err(Claims)),
        ("deep claims", text(good.with("x", format!("{}{}", "[".repeat(40), "]".repeat(40))).json()), Err(Claims)),
        ("a byte order mark before claims", text(format!("\u{feff}{json}")), Err(Claims)),
        ("no UTF-8 in claims", [&json.as_bytes()[..json.len() - 1], b",\"x\":\"\xff\"}"].concat(), Err(Claims)),
        ("half a surrogate pair", text(json.replace('}', ",\"x\":\"\\ud800\"}")), Err(Claims)),
        ("a list of claims", text(format!("[{json}]")), Err(Claims)),
        ("claims in a text", text(quoted(&json)), Err(Claims)),
        ("claims twice", text(json.repeat(2)), Err(Claims)),
        ("claims cut", text(json[..json.len() - 1].to_owned()), Err(Claims)),
        ("empty claims", text("{}".to_owned()), Err(Claims)),
        ("no claims", Vec::new(), Err(Claims)),
        ("null", text("null".to_owned()), Err(Claims)),
    ]
}
