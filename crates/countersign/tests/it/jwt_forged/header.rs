//! What a header may bring along: no key, no address, no extension (SECURITY rows T-04 to T-06, C-07).

use countersign::Refusal::{Algorithm, Header, Malformed, Signature, TokenType, UnknownKey};
use countersign::jwt::SigningKey;
use data_encoding::BASE64;

use crate::jwt_forged::forger::{Pair, base64url, mac};
use crate::jwt_forged::site::{Cases, KID, OLD_KID, Site, secrets};

pub fn cases(site: &Site, url: &str) -> Cases {
    let mut cases = Cases::default();
    self_signed(site, url, &mut cases);
    kid(site, url, &mut cases);
    extensions(site, &mut cases);
    typ(site, &mut cases);
    cases
}

/// The attacker's own key, offered in the header; a header that offers one beside a genuine signature is ignored.
fn self_signed(site: &Site, url: &str, cases: &mut Cases) {
    let attacker = Attacker::new(site);
    let jwk = attacker.jwk.as_str();
    let chain = format!("[\"{}\"]", BASE64.encode(jwk.as_bytes()));
    let offers = [
        ("jwk", jwk.to_owned()),
        ("jku", format!("\"{url}\"")),
        ("x5u", format!("\"{url}\"")),
        ("x5c", chain),
        ("x5t", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAA\"".to_owned()),
        ("jwks", format!("{{\"keys\":[{jwk}]}}")),
        ("jwks_uri", format!("\"{url}\"")),
        ("iss", format!("\"{url}\"")),
        ("key", jwk.to_owned()),
    ];
    for (name, json) in &offers {
        let header = site.header.with(name, json.as_str());
        cases.refuse(
            Signature,
            format!("self-signed, with {name}"),
            attacker.sign(site, &header.json()),
        );
        let other = header.with("kid", "\"attacker\"");
        cases.refuse(
            UnknownKey,
            format!("self-signed, with {name} and its kid"),
            attacker.sign(site, &other.json()),
        );
        let none = header.without("kid");
        cases.refuse(
            UnknownKey,
            format!("self-signed, with {name}, without kid"),
            attacker.sign(site, &none.json()),
        );
        cases.accept(format!("genuine, with {name}"), site.header(&header));
        let typ = header.with("typ", format!("\"{url}\""));
        cases.refuse(
            TokenType,
            format!("genuine, with {name} and an address for typ"),
            site.header(&typ),
        );
    }
    let all = offers
        .iter()
        .fold(site.header.clone(), |header, (name, json)| {
            header.with(name, json.as_str())
        });
    cases.refuse(
        Signature,
        "self-signed, with everything",
        attacker.sign(site, &all.json()),
    );
    cases.refuse(
        Signature,
        "self-signed, with nothing",
        attacker.sign(site, &site.header.json()),
    );
    let private = site.header.with("jwk", "{\"kty\":\"oct\",\"k\":\"\"}");
    let message = format!(
        "{}.{}",
        base64url(private.json()),
        base64url(site.claims.json())
    );
    let tag = base64url(mac("HS256", b"", message.as_bytes()));
    cases.refuse(
        Signature,
        "an empty secret as jwk",
        format!("{message}.{tag}"),
    );
}

struct Attacker {
    pair: Pair,
    jwk: String,
}

impl Attacker {
    fn new(site: &Site) -> Self {
        let secret = match &site.pair {
            // All sites share two RSA keys, so the attacker's is made here.
            Pair::Rsa(_) => &attackers_rsa(),
            _ => &secrets(site.algorithm)[0],
        };
        let key = SigningKey::from_secret(site.algorithm, secret)
            .unwrap()
            .with_kid("attacker")
            .unwrap();
        let oct = || {
            format!(
                "{{\"kty\":\"oct\",\"kid\":\"attacker\",\"k\":\"{}\"}}",
                base64url(secret.expose())
            )
        };
        Self {
            pair: Pair::new(site.algorithm, secret),
            jwk: key.verifying_key().to_jwk().unwrap_or_else(oct),
        }
    }

    fn sign(&self, site: &Site, header: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(site.claims.json()));
        format!(
            "{message}.{}",
            base64url(self.pair.sign(site.name(), message.as_bytes()))
        )
    }
}

fn attackers_rsa() -> countersign::Secret {
    use std::sync::LazyLock;

    use countersign::SystemEntropy;
    use countersign::jwt::{Algorithm, generate_secret};
    static KEY: LazyLock<countersign::Secret> =
        LazyLock::new(|| generate_secret(Algorithm::Rs256, &SystemEntropy).unwrap());
    KEY.clone()
}

fn kid(site: &Site, url: &str, cases: &mut Cases) {
    let texts = [
        "",
        " ",
        "*",
        "0",
        "null",
        "unknown",
        "2026-1",
        "2026-111",
        " 2026-11",
        "2026-11 ",
        "2026-11\\u0000",
        "2026-11\\n",
        "2026-11\\r\\nSet-Cookie: a=b",
        "2026\\u201011",
        "\u{ff12}026-11",
        "%32026-11",
        "2026-11/../2026-11",
        "2026-11?",
        "2026-11,2026-05",
        "../../../../../../dev/null",
        "/dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "file:///dev/null",
        "C:\\\\Windows\\\\win.ini",
        "' OR '1'='1",
        "x' UNION SELECT 'secret' -- ",
        "'; DROP TABLE keys; --",
        "| id",
        "$(id)",
        "`id`",
        "{{7*7}}",
        "${jndi:ldap://127.0.0.1/x}",
        "\\ud83d\\ude00",
    ];
    for text in texts {
        let header = site.header.with("kid", format!("\"{text}\""));
        cases.refuse(UnknownKey, format!("kid \"{text}\""), site.header(&header));
        let message = format!(
            "{}.{}",
            base64url(header.json()),
            base64url(site.claims.json())
        );
        let tag = base64url(mac("HS256", b"", message.as_bytes()));
        cases.refuse(
            UnknownKey,
            format!("kid \"{text}\" and an empty secret"),
            format!("{message}.{tag}"),
        );
    }
    let address = site.header.with("kid", format!("\"{url}\""));
    cases.refuse(UnknownKey, "an address for kid", site.header(&address));
    for json in [
        "null",
        "true",
        "0",
        "202611",
        "[]",
        "[\"2026-11\"]",
        "{}",
        "{\"kid\":\"2026-11\"}",
    ] {
        cases.refuse(
            UnknownKey,
            format!("kid {json}"),
            site.header(&site.header.with("kid", json)),
        );
    }
    cases.refuse(
        UnknownKey,
        "no kid",
        site.header(&site.header.without("kid")),
    );
    for (name, second) in [("the same", KID), ("another", OLD_KID), ("unknown", "x")] {
        let header = site.header.and("kid", format!("\"{second}\""));
        cases.refuse(
            Malformed,
            format!("kid twice, the second {name}"),
            site.header(&header),
        );
        cases.refuse(
            Malformed,
            format!("kid twice, the first {name}"),
            site.header(&header.reversed()),
        );
        let escaped = site.header.and("k\\u0069d", format!("\"{second}\""));
        cases.refuse(
            Malformed,
            format!("kid twice, escaped, {name}"),
            site.header(&escaped),
        );
    }
    let old = site.header.with("kid", format!("\"{OLD_KID}\""));
    cases.refuse(Signature, "the earlier key's kid", site.header(&old));
    cases.refuse(
        Signature,
        "the earlier key under the active kid",
        by_old_key(site, &site.header.json()),
    );
    cases.accept(
        "the kid with an escape",
        site.header(&site.header.with("kid", "\"2026\\u002d11\"")),
    );
    cases.accept("the earlier key's kid, fingerprint and all", {
        let secret_fingerprint = crate::jwt_forged::binding::fingerprint_under_old_key(site);
        let claims = site
            .claims
            .with("sfp", format!("\"{secret_fingerprint}\""))
            .json();
        let message = format!("{}.{}", base64url(old.json()), base64url(claims));
        format!(
            "{message}.{}",
            base64url(site.old_pair.sign(site.name(), message.as_bytes()))
        )
    });
}

fn by_old_key(site: &Site, header: &str) -> String {
    let message = format!("{}.{}", base64url(header), base64url(site.claims.json()));
    format!(
        "{message}.{}",
        base64url(site.old_pair.sign(site.name(), message.as_bytes()))
    )
}

fn extensions(site: &Site, cases: &mut Cases) {
    let crits = [
        "[]",
        "null",
        "{}",
        "\"exp\"",
        "true",
        "0",
        "[\"exp\"]",
        "[\"alg\"]",
        "[\"kid\"]",
        "[\"b64\"]",
        "[\"unknown\"]",
        "[\"\"]",
        "[0]",
        "[\"exp\",\"exp\"]",
        "[\"http://example.com/UNDEFINED\"]",
    ];
    for json in crits {
        cases.refuse(
            Header,
            format!("crit {json}"),
            site.header(&site.header.with("crit", json)),
        );
        let named = site
            .header
            .with("crit", json)
            .with("exp", "1")
            .with("http://example.com/UNDEFINED", "true");
        cases.refuse(
            Header,
            format!("crit {json} and what it names"),
            site.header(&named),
        );
    }
    let others = [
        ("b64", "false"),
        ("b64", "true"),
        ("b64", "null"),
        ("b64", "\"false\""),
        ("zip", "\"DEF\""),
        ("zip", "null"),
        ("zip", "\"GZIP\""),
        ("enc", "\"A256GCM\""),
        ("enc", "null"),
        ("cty", "\"JWT\""),
        ("cty", "\"jwt\""),
        ("cty", "\"application/jwt\""),
        ("cty", "\"APPLICATION/JWT\""),
    ];
    for (name, json) in others {
        cases.refuse(
            Header,
            format!("{name} {json}"),
            site.header(&site.header.with(name, json)),
        );
    }
    let unencoded = site
        .header
        .with("b64", "false")
        .with("crit", "[\"b64\"]")
        .json();
    cases.refuse(
        Header,
        "an unencoded payload",
        site.sign_segments(&base64url(&unencoded), "payload"),
    );
    cases.refuse(Malformed, "an unencoded payload, undeclared", {
        site.sign_segments(&base64url(site.header.json()), "not base64!")
    });
    let nested = site.header.with("cty", "\"JWT\"").json();
    cases.refuse(
        Header,
        "a token in a token",
        site.sign(nested, &site.genuine),
    );
    cases.refuse(
        countersign::Refusal::Claims,
        "a token in a token, undeclared",
        site.sign(site.header.json(), &site.genuine),
    );
    for (name, json) in [
        ("cty", "\"json\""),
        ("CRIT", "[\"exp\"]"),
        ("p2c", "2147483647"),
        ("epk", "{}"),
        ("url", "1"),
    ] {
        cases.accept(
            format!("{name} {json} means nothing"),
            site.header(&site.header.with(name, json)),
        );
    }
}

fn typ(site: &Site, cases: &mut Cases) {
    for typ in [
        "at+jwt",
        "AT+JWT",
        "aT+JwT",
        "application/at+jwt",
        "APPLICATION/AT+JWT",
        "at\\u002bjwt",
    ] {
        cases.accept(
            format!("typ \"{typ}\""),
            site.header(&site.header.with("typ", format!("\"{typ}\""))),
        );
    }
    let texts = [
        "JWT",
        "jwt",
        "JWS",
        "JOSE",
        "",
        "at",
        "at+jwt ",
        " at+jwt",
        "at+jwt\\u0000",
        "at+jwt;v=1",
        "at+jwtx",
        "xat+jwt",
        "at jwt",
        "at-jwt",
        "at+jws",
        "rt+jwt",
        "refresh+jwt",
        "reset+jwt",
        "verify+jwt",
        "id+jwt",
        "logout+jwt",
        "secevent+jwt",
        "dpop+jwt",
        "token-introspection+jwt",
        "application/",
        "application/jwt",
        "text/at+jwt",
        "application/application/at+jwt",
        "application /at+jwt",
        "application/at+jwt/x",
        "\u{ff41}t+jwt",
        "at+jwt,JWT",
    ];
    for text in texts {
        let header = site.header.with("typ", format!("\"{text}\""));
        cases.refuse(TokenType, format!("typ \"{text}\""), site.header(&header));
    }
    for json in ["null", "true", "0", "[]", "{}", "[\"at+jwt\"]"] {
        cases.refuse(
            TokenType,
            format!("typ {json}"),
            site.header(&site.header.with("typ", json)),
        );
    }
    cases.refuse(
        TokenType,
        "no typ",
        site.header(&site.header.without("typ")),
    );
    cases.refuse(
        TokenType,
        "Typ for typ",
        site.header(&site.header.without("typ").with("Typ", "\"at+jwt\"")),
    );
    cases.refuse(
        Malformed,
        "typ twice",
        site.header(&site.header.and("typ", "\"JWT\"")),
    );
}

/// The original's profile is open where the original is, and closed all the same where it matters.
pub fn litestar_cases(site: &Site) -> Cases {
    let mut cases = Cases::default();
    cases.accept("as issued", site.genuine.as_str());
    for json in ["\"JWT\"", "\"at+jwt\"", "\"anything\"", "null", "7"] {
        cases.accept(
            format!("typ {json}"),
            site.header(&site.header.with("typ", json)),
        );
    }
    cases.accept("no typ", site.header(&site.header.without("typ")));
    cases.accept(
        "an unknown kid",
        site.header(&site.header.with("kid", "\"unknown\"")),
    );
    cases.refuse(
        UnknownKey,
        "a kid that is a number",
        site.header(&site.header.with("kid", "7")),
    );
    cases.refuse(Header, "crit", site.header(&site.header.with("crit", "[]")));
    for name in ["none", "HS384", "HS512", "hs256", "RS256", ""] {
        cases.refuse(
            Algorithm,
            format!("alg \"{name}\""),
            site.header(&site.header.with("alg", format!("\"{name}\""))),
        );
    }
    let stranger = Attacker::new(site);
    cases.refuse(
        Signature,
        "a stranger's",
        stranger.sign(site, &site.header.json()),
    );
    let ours = site.claims.with("aud", "\"countersign:access\"");
    cases.refuse(
        countersign::Refusal::Audience,
        "our own audience",
        site.claims(&ours),
    );
    cases
}
