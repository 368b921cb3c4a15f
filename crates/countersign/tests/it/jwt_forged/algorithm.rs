//! The algorithm is the key's, whatever a header says (SECURITY rows T-01 to T-03).

use countersign::Refusal::{Algorithm, Malformed, Signature, UnknownKey};
use countersign::jwt::{Algorithm as Known, SigningKey};
use data_encoding::{BASE64, HEXLOWER};

use crate::jwt_forged::forger::{base64url, mac, pem};
use crate::jwt_forged::site::{Cases, KID, Site};

pub fn cases(site: &Site) -> Cases {
    let mut cases = Cases::default();
    spellings(site, &mut cases);
    none(site, &mut cases);
    others(site, &mut cases);
    confusion(site, &mut cases);
    cases
}

fn spellings(site: &Site, cases: &mut Cases) {
    let name = site.name();
    let mut chars = name.chars();
    let first = chars.next().unwrap();
    let rest = chars.as_str();
    let lookalike = char::from_u32(u32::from(first) + 0xFEE0).unwrap();
    let swapped: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_uppercase() {
                c.to_ascii_lowercase()
            } else {
                c.to_ascii_uppercase()
            }
        })
        .collect();
    let texts = [
        name.to_lowercase(),
        swapped,
        format!(" {name}"),
        format!("{name} "),
        format!("{name}\\u0000"),
        format!("\\u0000{name}"),
        format!("{name}\\n"),
        format!("{lookalike}{rest}"),
        format!("{name}\\u200b"),
        format!("{name}\\u0301"),
        name.replacen('S', "\u{17f}", 1),
        format!("{name},none"),
        format!("{name}|none"),
        rest.to_owned(),
        format!("{name}0"),
        String::new(),
        "HMAC".to_owned(),
        "*".to_owned(),
        "null".to_owned(),
    ];
    for text in texts {
        let header = site.header.with("alg", format!("\"{text}\""));
        cases.refuse(Algorithm, format!("alg \"{text}\""), site.header(&header));
    }
    let kinds = ["null", "true", "256", "0", "[]", "{}"].map(str::to_owned);
    for json in kinds
        .into_iter()
        .chain([format!("[\"{name}\"]"), format!("{{\"name\":\"{name}\"}}")])
    {
        cases.refuse(
            Algorithm,
            format!("alg {json}"),
            site.header(&site.header.with("alg", json)),
        );
    }
    let without = site.header.without("alg");
    cases.refuse(Algorithm, "no alg", site.header(&without));
    for other in ["Alg", "ALG", "alg ", "algorithm", "\u{ff41}lg"] {
        let header = without.with(other, format!("\"{name}\""));
        cases.refuse(Algorithm, format!("{other} for alg"), site.header(&header));
        cases.accept(
            format!("{other} beside alg"),
            site.header(&site.header.with(other, "\"none\"")),
        );
    }
    let twice = site.header.and("alg", "\"none\"");
    cases.refuse(Malformed, "alg twice", site.header(&twice));
    cases.refuse(
        Malformed,
        "alg twice, none first",
        site.header(&twice.reversed()),
    );
    cases.refuse(
        Malformed,
        "alg twice, escaped",
        site.header(&site.header.and("\\u0061lg", "\"none\"")),
    );
    let escaped = format!("\"\\u00{:02x}{rest}\"", u32::from(first));
    cases.accept(
        "alg with an escape",
        site.header(&site.header.with("alg", escaped)),
    );
}

fn none(site: &Site, cases: &mut Cases) {
    let payload = base64url(site.claims.json());
    // Without a kid no key is selected, and the algorithm is never asked for.
    let headers = [
        ("", site.header.clone(), Algorithm),
        (" and no kid", site.header.without("kid"), UnknownKey),
    ];
    for name in ["none", "None", "NONE", "nOnE", "none ", "n\\u006fne"] {
        for (kind, header, refusal) in &headers {
            let header = header.with("alg", format!("\"{name}\""));
            let segment = base64url(header.json());
            cases.refuse(
                Malformed,
                format!("{name}, unsigned{kind}"),
                format!("{segment}.{payload}."),
            );
            cases.refuse(
                *refusal,
                format!("{name}, signed{kind}"),
                site.header(&header),
            );
            cases.refuse(
                *refusal,
                format!("{name}, a letter{kind}"),
                format!("{segment}.{payload}.AA"),
            );
        }
    }
    let bare = base64url(r#"{"alg":"none"}"#);
    cases.refuse(
        UnknownKey,
        "RFC 7519's unsecured token, with a letter",
        format!("{bare}.{payload}.AA"),
    );
    cases.refuse(
        Malformed,
        "RFC 7519's unsecured token",
        format!("{bare}.{payload}."),
    );
}

/// Every other algorithm in the header: with the genuine signature, and with what the genuine key makes of it.
fn others(site: &Site, cases: &mut Cases) {
    for other in Known::ALL
        .into_iter()
        .filter(|other| *other != site.algorithm)
    {
        let name = other.as_str();
        let header = site.header.with("alg", format!("\"{name}\""));
        cases.refuse(Algorithm, format!("says {name}, keeps to it"), {
            let signed = format!(
                "{}.{}",
                base64url(header.json()),
                base64url(site.claims.json())
            );
            let signature = site.pair.sign(name, signed.as_bytes());
            format!("{signed}.{}", base64url(signature))
        });
        cases.refuse(
            Algorithm,
            format!("says {name}, signed genuinely"),
            site.header(&header),
        );
        if is_sibling(site.name(), name) {
            let (signed, _) = Site::<uuid::Uuid>::parts(&site.genuine);
            let signature = site.pair.sign(name, signed.as_bytes());
            let long = format!("{signed}.{}", base64url(&signature));
            cases.refuse(Signature, format!("says its own, signed by {name}"), long);
        }
    }
    for name in [
        "PBES2-HS256+A128KW",
        "ECDH-ES",
        "dir",
        "RSA1_5",
        "A256KW",
        "ES256K",
        "Ed25519",
        "HS1",
        "RS1",
        "HS224",
    ] {
        let header = site
            .header
            .with("alg", format!("\"{name}\""))
            .with("p2c", "2147483647")
            .with("p2s", "\"AAAA\"");
        cases.refuse(Algorithm, format!("says {name}"), site.header(&header));
    }
}

/// Whether one key can make both signatures and they differ.
fn is_sibling(one: &str, other: &str) -> bool {
    let family = |name: &str| match &name[..1] {
        "R" | "P" => 'R',
        _ => name.chars().next().unwrap(),
    };
    family(one) == family(other) && family(one) != 'E'
}

/// The public key as HMAC secret, in every spelling that an attacker finds it in.
fn confusion(site: &Site, cases: &mut Cases) {
    let Some([spki, bare]) = site.pair.public() else {
        return;
    };
    let key = SigningKey::from_secret(site.algorithm, &site.secret)
        .unwrap()
        .with_kid(KID)
        .unwrap();
    let jwk = key.verifying_key().to_jwk().unwrap();
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&jwk).unwrap();
    let text = pem("PUBLIC KEY", &spki);
    let mut encodings: Vec<(String, Vec<u8>)> = vec![
        ("PEM".into(), text.clone().into()),
        (
            "PEM without the last newline".into(),
            text.trim_end().into(),
        ),
        ("PEM with CRLF".into(), text.replace('\n', "\r\n").into()),
        ("PEM in one line".into(), text.replace('\n', "").into()),
        (
            "PEM of the bare key".into(),
            pem("RSA PUBLIC KEY", &bare).into(),
        ),
        ("SPKI".into(), spki.clone()),
        ("bare key".into(), bare.clone()),
        ("SPKI in base64".into(), BASE64.encode(&spki).into()),
        ("SPKI in hex".into(), HEXLOWER.encode(&spki).into()),
        ("JWK".into(), jwk.clone().into()),
        ("JWK set".into(), format!("{{\"keys\":[{jwk}]}}").into()),
        ("kid".into(), KID.into()),
        ("nothing".into(), Vec::new()),
        ("zeros".into(), vec![0; 64]),
    ];
    for name in ["n", "e", "x", "y"] {
        if let Some(text) = members.get(name).and_then(serde_json::Value::as_str) {
            let raw = crate::jwt_forged::forger::from_base64url(text);
            encodings.push((
                format!("{name} with a leading zero"),
                [vec![0], raw.clone()].concat(),
            ));
            encodings.push((format!("{name} in hex"), HEXLOWER.encode(&raw).into()));
            encodings.push((name.to_owned(), raw));
            encodings.push((format!("{name} as text"), text.into()));
        }
    }
    let (signed, genuine) = Site::<uuid::Uuid>::parts(&site.genuine);
    for (encoding, secret) in &encodings {
        for name in ["HS256", "HS384", "HS512"] {
            let header = site.header.with("alg", format!("\"{name}\"")).json();
            let message = format!("{}.{}", base64url(header), base64url(site.claims.json()));
            let tag = base64url(mac(name, secret, message.as_bytes()));
            cases.refuse(
                Algorithm,
                format!("{name} under the public key's {encoding}"),
                format!("{message}.{tag}"),
            );
        }
        // Under the genuine header, and as long as a genuine signature.
        let mut tag = mac("HS512", secret, signed.as_bytes());
        tag.resize(genuine.len(), 0);
        let name = format!("a tag as signature, under the public key's {encoding}");
        cases.refuse(Signature, name, format!("{signed}.{}", base64url(tag)));
    }
}
