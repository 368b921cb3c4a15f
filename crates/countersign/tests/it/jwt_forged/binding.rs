//! What binds a token to an account and a deployment: the fingerprint, the session, and one secret for one purpose
//! (SECURITY rows C-10, K-02).

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use countersign::Refusal::{Audience, Claims, Fingerprint, Malformed, Signature};
use countersign::token::DigestKeyRing;
use countersign::{PlainToken, Secret, SystemEntropy};
use data_encoding::{BASE64, HEXLOWER};

use crate::jwt_forged::forger::{base64url, mac};
use crate::jwt_forged::site::{Cases, KID, SESSION, Site, USER};

pub fn cases(site: &Site) -> Cases {
    let mut cases = Cases::default();
    fingerprint(site, &mut cases);
    session(site, &mut cases);
    fence(site, &mut cases);
    other_secrets(site, &mut cases);
    other_kinds(site, &mut cases);
    cases
}

fn fingerprint(site: &Site, cases: &mut Cases) {
    let good = site.claims.text("sfp");
    assert_eq!(
        good,
        fingerprint_of(&fingerprint_key(&site.secret), USER, "ada@example.com"),
        "how it is made"
    );
    let with = |text: &str| site.claims(&site.claims.with("sfp", format!("\"{text}\"")));
    cases.refuse(
        Fingerprint,
        "fingerprint dropped",
        site.claims(&site.claims.without("sfp")),
    );
    let other_digit = if good.starts_with('0') { "1" } else { "0" };
    let texts = [
        ("empty", String::new()),
        ("in capitals", good.to_uppercase()),
        ("cut short", good[..63].to_owned()),
        ("cut by half", good[..32].to_owned()),
        ("longer", format!("{good}0")),
        ("twice", good.repeat(2)),
        ("padded", format!("{good} ")),
        ("behind a NUL", format!("\\u0000{good}")),
        ("before a NUL", format!("{good}\\u0000")),
        (
            "first digit altered",
            format!("{other_digit}{}", &good[1..]),
        ),
        (
            "last digit altered",
            format!(
                "{}{}",
                &good[..63],
                if good.ends_with('0') { '1' } else { '0' }
            ),
        ),
        ("not ASCII", "\u{e9}".repeat(32)),
        ("not ASCII, as many characters", "\u{e9}".repeat(64)),
        ("a surrogate pair", "\\ud83d\\ude00".to_owned()),
        ("in wide digits", good.chars().map(wide).collect()),
        ("zeros", "0".repeat(64)),
        (
            "under the signing secret",
            fingerprint_of(site.secret.expose().as_bytes(), USER, "ada@example.com"),
        ),
        ("under the earlier key", fingerprint_under_old_key(site)),
        (
            "of another email",
            fingerprint_of(&fingerprint_key(&site.secret), USER, "eve@example.com"),
        ),
        (
            "of an unfolded email",
            fingerprint_of(&fingerprint_key(&site.secret), USER, "Ada@example.com"),
        ),
        (
            "of another user",
            fingerprint_of(&fingerprint_key(&site.secret), SESSION, "ada@example.com"),
        ),
        (
            "as the original makes it",
            HEXLOWER.encode(&mac(
                "HS256",
                site.secret.expose().as_bytes(),
                format!("{USER}\u{1f}ada@example.com\u{1f}{HASH}").as_bytes(),
            )),
        ),
    ];
    for (name, text) in texts {
        cases.refuse(Fingerprint, format!("fingerprint {name}"), with(&text));
    }
    for json in ["null", "true", "0", "[]", "{}"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("[\"{good}\"]")])
    {
        cases.refuse(
            Fingerprint,
            format!("fingerprint {json}"),
            site.claims(&site.claims.with("sfp", json)),
        );
    }
    cases.refuse(Fingerprint, "fingerprint under another name", {
        site.claims(
            &site
                .claims
                .without("sfp")
                .with("SFP", format!("\"{good}\"")),
        )
    });
    cases.refuse(
        Claims,
        "fingerprint twice",
        site.claims(&site.claims.and("sfp", format!("\"{good}\""))),
    );
    cases.accept(
        "fingerprint with an escape",
        with(&format!("\\u00{:02x}{}", good.as_bytes()[0], &good[1..])),
    );
}

fn wide(digit: char) -> char {
    char::from_u32(u32::from(digit) + 0xFEE0).unwrap()
}

fn session(site: &Site, cases: &mut Cases) {
    cases.accept("a session", site.claims(&site.claims));
    cases.accept("no session", site.claims(&site.claims.without("sid")));
    let texts = [
        String::new(),
        "7".to_owned(),
        SESSION.to_uppercase(),
        SESSION.replace('-', ""),
        format!("{{{SESSION}}}"),
        format!("urn:uuid:{SESSION}"),
        format!(" {SESSION}"),
        format!("{SESSION} "),
        format!("{SESSION}\\u0000"),
        SESSION[..35].to_owned(),
        format!("{SESSION}0"),
        SESSION.replace('8', "\u{ff18}"),
        "../../x".to_owned(),
        "*".to_owned(),
    ];
    for text in texts {
        cases.refuse(
            Claims,
            format!("sid \"{text}\""),
            site.claims(&site.claims.with("sid", format!("\"{text}\""))),
        );
    }
    for json in ["null", "true", "0", "[]", "{}"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("[\"{SESSION}\"]")])
    {
        cases.refuse(
            Claims,
            format!("sid {json}"),
            site.claims(&site.claims.with("sid", json)),
        );
    }
}

/// The mark that everything of a user ends by.
fn fence(site: &Site, cases: &mut Cases) {
    let good = "0123456789abcdef0123456789abcdef";
    let with = |json: String| site.claims(&site.claims.with("fence", json));
    cases.accept("a fence", with(format!("\"{good}\"")));
    let texts = [
        String::new(),
        "0".to_owned(),
        good.to_uppercase(),
        format!("0x{}", &good[2..]),
        format!("+{}", &good[1..]),
        format!(" {}", &good[1..]),
        format!("{good} "),
        format!("{good}\\u0000"),
        good[..31].to_owned(),
        format!("{good}0"),
        good.replace('8', "\u{ff18}"),
        "*".repeat(32),
        SESSION.to_owned(),
    ];
    for text in texts {
        cases.refuse(
            Claims,
            format!("fence \"{text}\""),
            with(format!("\"{text}\"")),
        );
    }
    for json in ["null", "true", "0", "[]", "{}"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("[\"{good}\"]")])
    {
        cases.refuse(Claims, format!("fence {json}"), with(json));
    }
    let twice = site
        .claims
        .with("fence", format!("\"{good}\""))
        .and("fence", format!("\"{good}\""));
    cases.refuse(Claims, "fence twice", site.claims(&twice));
}

/// Tags under everything else that the deployment knows: each has a purpose of its own.
fn other_secrets(site: &Site, cases: &mut Cases) {
    let secret = site.secret.expose();
    let digest_secret = Secret::generate(&SystemEntropy).unwrap();
    let ring = DigestKeyRing::new("2026-11", &digest_secret).unwrap();
    let stored = ring.digest(&PlainToken::new(site.genuine.as_str()));
    let mut secrets = vec![
        (
            "the fingerprint key",
            fingerprint_key(&site.secret).to_vec(),
        ),
        (
            "the key that ids are made with",
            derived(&material(&site.secret), b"key id v1").to_vec(),
        ),
        (
            "the earlier fingerprint key",
            fingerprint_key(&site.old_secret).to_vec(),
        ),
        ("the digest secret", digest_secret.expose().into()),
        ("the token's digest", stored.as_str().into()),
        ("the fingerprint", site.claims.text("sfp").into()),
        ("the token's id", site.claims.text("jti").into()),
        ("the kid", KID.into()),
        ("nothing", Vec::new()),
        ("one zero byte", vec![0]),
        ("64 zero bytes", vec![0; 64]),
        ("a guess", b"secret".to_vec()),
        ("a placeholder", b"your-256-bit-secret".to_vec()),
        ("the secret with a newline", format!("{secret}\n").into()),
        (
            "the secret in base64",
            BASE64.encode(secret.as_bytes()).into(),
        ),
        (
            "the secret cut short",
            secret.as_bytes()[..secret.len() - 1].to_vec(),
        ),
        ("the private key's text", secret.to_lowercase().into()),
    ];
    if let Ok(decoded) = data_encoding::BASE64URL_NOPAD.decode(secret.as_bytes()) {
        secrets.push(("the secret, decoded", decoded));
    }
    let (signed, signature) = Site::<uuid::Uuid>::parts(&site.genuine);
    for (name, secret) in secrets {
        let algorithm = if site.name().starts_with('H') {
            site.name()
        } else {
            "HS512"
        };
        let mut tag = mac(algorithm, &secret, signed.as_bytes());
        tag.resize(signature.len(), 0);
        cases.refuse(
            Signature,
            format!("a tag under {name}"),
            format!("{signed}.{}", base64url(tag)),
        );
    }
    let signature = site.old_pair.sign(site.name(), signed.as_bytes());
    cases.refuse(
        Signature,
        "the earlier key's signature",
        format!("{signed}.{}", base64url(signature)),
    );
}

/// What else a deployment signs or hands out.
fn other_kinds(site: &Site, cases: &mut Cases) {
    let audiences = [
        "countersign:refresh",
        "countersign:verify",
        "countersign:reset",
        "countersign:reset-password",
        "countersign:invite",
        "countersign:csrf",
        "countersign",
        "countersign:",
        "access",
        "litestar-auth:access",
        "litestar-auth:verify",
        "litestar-auth:reset-password",
        "fastapi-users:auth",
        "https://api.example",
    ];
    for audience in audiences {
        let claims = site.claims.with("aud", format!("\"{audience}\""));
        cases.refuse(
            Audience,
            format!("a token for {audience}"),
            site.claims(&claims),
        );
        let id_token = claims
            .with("nonce", "\"n-0S6_WzA2Mj\"")
            .with("auth_time", "1768478400");
        cases.refuse(
            Audience,
            format!("an ID token for {audience}"),
            site.claims(&id_token),
        );
    }
    for opaque in [
        "csa_wZ5k2f0Qx1",
        "csr_wZ5k2f0Qx1",
        "8f14e45fceea467f9e6b7a1d3c5b2f10",
        USER,
        SESSION,
        KID,
    ] {
        cases.refuse(Malformed, format!("{opaque} for a token"), opaque);
    }
}

/// An account without email has no fingerprint, so a token must have none either.
pub fn without_fingerprint(site: &Site) -> Cases {
    let mut cases = Cases::default();
    let none = site.claims.without("sfp");
    cases.accept("none on both sides", site.claims(&none));
    cases.refuse(
        Fingerprint,
        "one where the account has none",
        site.claims(&site.claims),
    );
    for json in ["null", "\"\"", "0", "false", "[]"] {
        cases.refuse(
            Fingerprint,
            format!("fingerprint {json}"),
            site.claims(&none.with("sfp", json)),
        );
    }
    cases
}

pub const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";

pub fn fingerprint_under_old_key(site: &Site) -> String {
    fingerprint_of(&fingerprint_key(&site.old_secret), USER, "ada@example.com")
}

fn fingerprint_of(key: &[u8], user: &str, email: &str) -> String {
    let mut message = Vec::new();
    for part in [user, email, HASH] {
        message.extend(u64::try_from(part.len()).unwrap().to_be_bytes());
        message.extend(part.as_bytes());
    }
    HEXLOWER.encode(&mac("HS256", key, &message))
}

fn fingerprint_key(secret: &Secret) -> [u8; 32] {
    derived(&material(secret), b"session fingerprint v1")
}

/// The secret itself, or the private key in DER.
fn material(secret: &Secret) -> Vec<u8> {
    let text = secret.expose();
    if !text.starts_with("-----BEGIN") {
        return text.into();
    }
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64.decode(body.as_bytes()).unwrap()
}

fn derived(secret: &[u8], label: &[u8]) -> [u8; 32] {
    let mut okm = [0; 32];
    let extracted = Salt::new(HKDF_SHA256, b"countersign").extract(secret);
    extracted
        .expand(&[label], HKDF_SHA256)
        .unwrap()
        .fill(&mut okm)
        .unwrap();
    okm
}
