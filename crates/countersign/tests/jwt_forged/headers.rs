//! Headers under a genuine signature: SECURITY rows T-01, T-02, T-04 to T-06, T-10, C-07, C-11.

use countersign::Refusal::{self, Algorithm, Header, Malformed, TokenType, UnknownKey};

use crate::{Bench, Case, KID, good_claims, quoted};

pub(crate) fn cases(bench: &Bench) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, header: String, expected| {
        cases.push(Case::new(name, bench.sign(&header, good_claims().json().as_bytes()), expected));
    };
    for (name, header) in good(bench) {
        add(format!("good header, {name}"), header, Ok(()));
    }
    for (name, header, refusal) in bad(bench) {
        add(format!("bad header, {name}"), header, Err(refusal));
    }
    for value in algorithms(bench) {
        add(format!("alg {value}"), bench.header().with("alg", value).json(), Err(Algorithm));
    }
    for value in key_ids() {
        add(format!("kid {value}"), bench.header().with("kid", value).json(), Err(UnknownKey));
    }
    for value in types() {
        add(format!("typ {value}"), bench.header().with("typ", value).json(), Err(TokenType));
    }
    cases
}

fn good(bench: &Bench) -> Vec<(&'static str, String)> {
    let header = bench.header();
    let algorithm = quoted(bench.algorithm.as_str());
    vec![
        ("long type", header.clone().with("typ", quoted("application/at+jwt")).json()),
        ("type in capitals", header.clone().with("typ", quoted("AT+JWT")).json()),
        ("long type in capitals", header.clone().with("typ", quoted("Application/At+Jwt")).json()),
        ("another order", format!(r#"{{"kid":"{KID}","typ":"at+jwt","alg":{algorithm}}}"#)),
        ("white space", format!(" {{ \"kid\" :\t\"{KID}\" ,\n\"typ\":\"at+jwt\",\r\n\"alg\" : {algorithm} }} ")),
        ("escapes", format!(r#"{{"\u006bid":"{KID}","typ":"at\u002bjwt","alg":{algorithm}}}"#)),
        ("an unknown member", header.clone().with("x", r#"{"y":[1,null]}"#).json()),
        ("an ignored key", header.clone().with("jwk", r#"{"kty":"oct","k":"AAAA"}"#).json()),
        ("an ignored address of keys", header.clone().with("jku", quoted("http://127.0.0.1:9/jwks.json")).json()),
        (
            "an ignored chain",
            header.clone().with("x5c", r#"["AAAA"]"#).with("x5u", quoted("http://127.0.0.1:9/")).json(),
        ),
        ("another content type", header.with("cty", quoted("json")).json()),
    ]
}

fn bad(bench: &Bench) -> Vec<(&'static str, String, Refusal)> {
    let header = bench.header();
    let plain = header.json();
    let algorithm = quoted(bench.algorithm.as_str());
    vec![
        ("no alg", header.clone().without("alg").json(), Algorithm),
        ("no kid", header.clone().without("kid").json(), UnknownKey),
        ("no typ", header.clone().without("typ").json(), TokenType),
        ("empty", "{}".to_owned(), Algorithm),
        ("crit with a known name", header.clone().with("crit", r#"["exp"]"#).with("exp", "1").json(), Header),
        ("crit empty", header.clone().with("crit", "[]").json(), Header),
        ("crit null", header.clone().with("crit", "null").json(), Header),
        ("crit b64", header.clone().with("b64", "false").with("crit", r#"["b64"]"#).json(), Header),
        ("b64 false", header.clone().with("b64", "false").json(), Header),
        ("b64 true", header.clone().with("b64", "true").json(), Header),
        ("zip", header.clone().with("zip", quoted("DEF")).json(), Header),
        ("enc", header.clone().with("enc", quoted("A256GCM")).json(), Header),
        ("nested", header.clone().with("cty", quoted("JWT")).json(), Header),
        ("nested, long", header.clone().with("cty", quoted("application/jwt")).json(), Header),
        ("no content type", header.clone().with("cty", "false").json(), Header),
        ("alg twice", header.clone().and("alg", algorithm.clone()).json(), Malformed),
        ("alg twice, first none", format!(r#"{{"alg":"none",{}"#, &plain[1..]), Malformed),
        ("alg twice, once escaped", header.clone().and("\\u0061lg", algorithm).json(), Malformed),
        ("kid twice", header.clone().and("kid", quoted(KID)).json(), Malformed),
        ("an unknown member twice", header.clone().and("x", "1").and("x", "1").json(), Malformed),
        ("a deep member twice", header.clone().with("x", r#"[{"y":1,"y":1}]"#).json(), Malformed),
        ("deep", header.with("x", format!("{}{}", "[".repeat(40), "]".repeat(40))).json(), Malformed),
        ("a list", format!("[{plain}]"), Malformed),
        ("a text", quoted(&plain), Malformed),
        ("a byte order mark", format!("\u{feff}{plain}"), Malformed),
        ("something behind it", format!("{plain}x"), Malformed),
        ("another behind it", format!("{plain}{plain}"), Malformed),
        ("cut", plain[..plain.len() - 1].to_owned(), Malformed),
        ("single quotes", plain.replace('"', "'"), Malformed),
        ("a trailing comma", plain.replace('}', ",}"), Malformed),
        ("a comment", plain.replace('}', "/**/}"), Malformed),
        ("a control character", plain.replace("alg\":", "alg\":\u{1}"), Malformed),
    ]
}

/// Whatever isn't byte for byte the key's algorithm.
fn algorithms(bench: &Bench) -> Vec<String> {
    let ours = bench.algorithm.as_str();
    let mut texts = vec![
        "none".to_owned(),
        "None".to_owned(),
        "NONE".to_owned(),
        "nOnE".to_owned(),
        String::new(),
        ours.to_lowercase(),
        format!("{ours} "),
        format!(" {ours}"),
        format!("{ours}\0"),
        format!("{ours}\n"),
        ours.replace('S', "\u{17f}").replace('E', "\u{395}"),
        "HS1".to_owned(),
        "ES256K".to_owned(),
        "Ed25519".to_owned(),
        "A256KW".to_owned(),
        "PBES2-HS256+A128KW".to_owned(),
    ];
    texts.retain(|text| text != ours);
    let others = countersign::jwt::Algorithm::ALL.into_iter().filter(|other| *other != bench.algorithm);
    texts.extend(others.map(|other| other.as_str().to_owned()));
    let mut values: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    values.extend(["null", "256", "true", "[]", "{}"].map(str::to_owned));
    values.push(format!("[{}]", quoted(ours)));
    values
}

fn key_ids() -> Vec<String> {
    let strange = [
        "",
        "2026-12",
        "2026-11 ",
        " 2026-11",
        "2026-1",
        "2026-110",
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "2026-11'; DROP TABLE access_token; --",
        "2026-11\0",
        "2026-11\r\nX-Injected: 1",
        "\u{1b}[31m",
        "$(id)",
        "http://127.0.0.1:9/key",
    ];
    let mut values: Vec<String> = strange.iter().map(|text| quoted(text)).collect();
    values.extend(["null", "202611", "true", "[\"2026-11\"]", "{}"].map(str::to_owned));
    values
}

fn types() -> Vec<String> {
    let others =
        ["JWT", "", "jwt", "at", "at+jwt ", "at+jwt+x", "refresh+jwt", "logout+jwt", "text/at+jwt", "application/"];
    let mut values: Vec<String> = others.iter().map(|text| quoted(text)).collect();
    values.extend(["null", "1", "[\"at+jwt\"]"].map(str::to_owned));
    values
}
