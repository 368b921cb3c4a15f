//! Property tests of every parser that reads a request or a configuration.
//!
//! No input makes a parser panic, and a parser accepts only what an independent reader understands
//! in the same way.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value as Json;

use crate::clock::Timestamp;
use crate::entropy::SystemEntropy;
use crate::error::Refusal;
use crate::jwt::claims::{ClaimRules, Claims};
use crate::jwt::header::{self, Candidates, HeaderRules, KidRule};
use crate::jwt::json::{Object, Value};
use crate::jwt::key::pem;
use crate::jwt::{Algorithm, KeyRing, SigningKey, VerifyingKey, generate_secret, jws};
use crate::profile::Profile;

const NOW: i64 = 1_768_478_400;
const LEEWAY: i64 = 5;
const LONGEST: i64 = 900;
const ED25519: &str = "MCowBQYDK2VwAyEAfU0Of2FTpptiQrUiq77mhf2kQg+INLEIw72uNp71Sfo=";

static KEYS: LazyLock<KeyRing> = LazyLock::new(|| {
    let secret = generate_secret(Algorithm::EdDsa, &SystemEntropy).unwrap();
    KeyRing::new(
        SigningKey::from_secret(Algorithm::EdDsa, &secret)
            .unwrap()
            .with_kid("k1")
            .unwrap(),
    )
});

/// Fragments of JSON, good and bad, that random documents are built from.
const PARTS: [&str; 50] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "\t",
    "0",
    "-",
    "1",
    "9",
    ".",
    "e",
    "E",
    "+",
    "true",
    "false",
    "null",
    "\"a\"",
    "\"b\"",
    "\"\\u0061\"",
    "\"a\":1",
    "\"a\":",
    "{\"a\":1}",
    "[1]",
    "[]",
    "{}",
    "\\ud83d",
    "\\ude00",
    "\\u00e9",
    "\\n",
    "\u{feff}",
    "\u{e9}",
    "\u{0}",
    "\u{7f}",
    "\u{2028}",
    "NaN",
    "1e999",
    "1e-999",
    "1e308",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "0.1",
    "//",
    "/**/",
];

fn any_document() -> impl Strategy<Value = String> {
    let part =
        prop_oneof![8 => proptest::sample::select(&PARTS[..]).prop_map(str::to_owned), 1 => "\\PC"];
    (proptest::collection::vec(part, 0..14), 0..4_u8).prop_map(|(parts, around)| {
        let parts = parts.concat();
        match around {
            0 => parts,
            1 => format!("{{{parts}}}"),
            2 => format!("{{\"v\":{parts}}}"),
            _ => format!("{{\"v\":\"{parts}\"}}"),
        }
    })
}

/// Returns copies of a good text with one to four bytes replaced, inserted or removed.
fn altered(good: String) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => proptest::sample::select(&b"{}[]\",:\\0159eE.-+ \n=tfn"[..]), 1 => any::<u8>()];
    let edits = proptest::collection::vec((any::<Index>(), byte, 0..3_u8), 1..5);
    edits.prop_map(move |edits| {
        let mut bytes = good.clone().into_bytes();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

/// Returns `true` if both values are the same. `serde_json` rounds some numbers to a neighbour of
/// the nearest.
fn agree(ours: &Value<'_>, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Value::Null, Json::Null) => true,
        (Value::Bool(a), Json::Bool(b)) => a == b,
        (Value::Int(a), Json::Number(b)) if b.is_i64() => b.as_i64() == Some(*a),
        // Minus zero is an integer to us.
        (Value::Int(a), Json::Number(b)) => *a == 0 && b.as_f64() == Some(0.0),
        (Value::Float(a), Json::Number(b)) => b
            .as_f64()
            .is_some_and(|b| (a - b).abs() <= a.abs() * 4.0 * f64::EPSILON + f64::MIN_POSITIVE),
        (Value::Text(a), Json::String(b)) => a == b,
        (Value::List(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b))
        }
        (Value::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && b.iter()
                    .all(|(name, b)| a.member(name).is_some_and(|a| agree(a, b)))
        }
        _ => false,
    }
}

fn agrees_with_serde_json(document: &[u8]) -> Result<(), TestCaseError> {
    if let Some(object) = Object::parse(document) {
        let theirs = serde_json::from_slice::<Json>(document);
        prop_assert!(
            theirs
                .as_ref()
                .is_ok_and(|theirs| agree(&Value::Object(object), theirs)),
            "{theirs:?}"
        );
    }
    Ok(())
}

const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k1","x":[1,{"y":null}]}"#;

fn claims_text() -> String {
    let (issued, end) = (NOW - 10, NOW + 100);
    format!(
        r#"{{"sub":"7","aud":["x","ours"],"iat":{issued},"nbf":{issued},"exp":{end},"jti":"t1","iss":"us","sid":"8f14e45f-ceea-467f-9e6b-7a1d3c5b2f10","x":1.5}}"#
    )
}

fn claim_rules() -> ClaimRules {
    ClaimRules {
        audience: "ours".into(),
        issuer: Some("us".into()),
        leeway: Duration::from_secs(LEEWAY.unsigned_abs()),
        max_lifetime: Duration::from_secs(LONGEST.unsigned_abs()),
        fingerprint_claim: Arc::from("sfp"),
    }
}

/// Checks the rules of the claims a second time, on the output of another JSON reader.
fn are_good(claims: &Json) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "fractions are dropped")]
    let time = |name: &str| {
        claims[name]
            .as_f64()
            .filter(|time| (0.0..1e12).contains(time))
            .map(|time| time as i64)
    };
    let (Some(iat), Some(nbf), Some(exp)) = (time("iat"), time("nbf"), time("exp")) else {
        return false;
    };
    let audience = match &claims["aud"] {
        Json::String(text) => text == "ours",
        Json::Array(texts) => {
            texts.iter().all(Json::is_string) && texts.iter().any(|text| text == "ours")
        }
        _ => false,
    };
    let sid = &claims["sid"];
    exp > NOW - LEEWAY
        && nbf <= NOW + LEEWAY
        && iat <= NOW + LEEWAY
        && exp - iat <= LONGEST + LEEWAY
        && audience
        && claims["iss"] == "us"
        && claims["jti"]
            .as_str()
            .is_some_and(|jti| !jti.is_empty() && jti.is_ascii())
        && (sid.as_str().is_some_and(|sid| sid.len() == 36) || claims.get("sid").is_none())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn documents_mean_what_serde_json_reads(document in any_document()) {
        agrees_with_serde_json(document.as_bytes())?;
    }

    #[test]
    fn altered_headers_mean_what_serde_json_reads(document in altered(HEADER.to_owned())) {
        agrees_with_serde_json(&document)?;
    }

    #[test]
    fn altered_claims_mean_what_serde_json_reads(document in altered(claims_text())) {
        agrees_with_serde_json(&document)?;
    }

    #[test]
    fn a_header_selects_the_key_that_it_names(document in altered(HEADER.to_owned())) {
        let rules = HeaderRules { typ: Some("at+jwt"), kid: KidRule::Required };
        if let Ok(candidates) = header::candidates(&KEYS, rules, &document) {
            let read: Json = serde_json::from_slice(&document).unwrap();
            prop_assert!(matches!(candidates, Candidates::One(key) if key.kid() == "k1"));
            prop_assert!(read["kid"] == "k1" && read["alg"] == "EdDSA");
            prop_assert!(read["typ"].as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt")));
        }
    }

    #[test]
    fn claims_are_good_when_another_reader_says_so(document in altered(claims_text())) {
        let accepted = Claims::read(&document, &claim_rules(), Timestamp::from_unix_seconds(NOW)).is_ok();
        let read = serde_json::from_slice::<Json>(&document);
        prop_assert!(!accepted || read.is_ok_and(|claims| are_good(&claims)));
    }

    #[test]
    fn times_are_good_when_arithmetic_says_so(
        exp in -2000_i64..2000, iat in -2000_i64..2000, nbf in -2000_i64..2000, float in any::<bool>(),
    ) {
        let point = if float { ".0" } else { "" };
        let [exp, iat, nbf] = [exp, iat, nbf].map(|offset| NOW + offset);
        let text = format!(
            r#"{{"aud":"ours","iss":"us","jti":"t","exp":{exp}{point},"iat":{iat}{point},"nbf":{nbf}{point}}}"#
        );
        let accepted = Claims::read(text.as_bytes(), &claim_rules(), Timestamp::from_unix_seconds(NOW)).is_ok();
        prop_assert_eq!(accepted, are_good(&serde_json::from_str(&text).unwrap()));
    }

    #[test]
    fn no_number_breaks_the_times(exp in any::<f64>(), iat in any::<i64>(), now in any::<i64>()) {
        let text = format!(r#"{{"aud":"ours","iss":"us","jti":"t","exp":{exp:e},"iat":{iat},"nbf":{iat}}}"#);
        let _ = Claims::read(text.as_bytes(), &claim_rules(), Timestamp::from_micros(now));
    }

    #[test]
    fn only_three_good_segments_get_to_a_signature(
        segments in proptest::collection::vec("[A-Za-z0-9_-]{0,9}|[ -~]{0,6}|\\PC{0,3}", 0..6),
    ) {
        let text = segments.join(".");
        let refusal = jws::verify(&KEYS, Profile::Countersign, &text, 40).map(|_| ()).unwrap_err();
        prop_assert_eq!(refusal == Refusal::TooLong, text.len() > 40);
        // No such header names a key.
        prop_assert!(matches!(refusal, Refusal::TooLong | Refusal::Malformed | Refusal::Algorithm | Refusal::UnknownKey));
    }

    #[test]
    fn a_token_is_good_in_one_spelling(
        payload in proptest::collection::vec(any::<u8>(), 0..40), at in any::<Index>(), byte in 0..128_u8,
    ) {
        let token = jws::sign(KEYS.active().unwrap(), Profile::Countersign, &payload).unwrap();
        let verified = jws::verify(&KEYS, Profile::Countersign, &token, 1000);
        prop_assert_eq!(verified.map(|verified| verified.payload), Ok(payload));
        let mut other = token.clone().into_bytes();
        let at = at.index(other.len());
        other[at] = byte;
        let other = String::from_utf8(other).unwrap();
        prop_assert!(other == token || jws::verify(&KEYS, Profile::Countersign, &other, 1000).is_err());
    }

    #[test]
    fn a_pem_text_holds_what_lies_between_its_lines(
        der in proptest::collection::vec(any::<u8>(), 1..100), width in 1..80_usize, end in "\r?\n", space in "[ \t]{0,2}",
    ) {
        let body: Vec<String> =
            BASE64.encode(&der).as_bytes().chunks(width).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
        let text = ["-----BEGIN PUBLIC KEY-----", &body.join(&format!("{space}{end}")), "-----END PUBLIC KEY-----"].join(&end);
        let read = pem::read("verify_key", &text).unwrap();
        prop_assert_eq!(read.der.as_slice(), der.as_slice());
    }

    #[test]
    fn an_altered_pem_is_another_key_or_none(
        text in altered(format!("-----BEGIN PUBLIC KEY-----\n{ED25519}\n-----END PUBLIC KEY-----\n")),
    ) {
        let Ok(text) = String::from_utf8(text) else { return Ok(()) };
        if let Ok(key) = VerifyingKey::from_pem(Algorithm::EdDsa, &text) {
            let der = pem::read("verify_key", &text).unwrap().der;
            let jwk: Json = serde_json::from_str(&key.to_jwk().unwrap()).unwrap();
            let point = BASE64URL_NOPAD.decode(jwk["x"].as_str().unwrap().as_bytes()).unwrap();
            prop_assert!(der.ends_with(&point) && matches!(der.len(), 32 | 44), "{} bytes", der.len());
        }
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::EdDsa) {
            prop_assert!(VerifyingKey::from_pem(algorithm, &text).is_err());
        }
    }

    #[test]
    fn an_altered_jwk_is_what_it_says_or_no_key(
        text in altered(r#"{"kty":"OKP","crv":"Ed25519","x":"fU0Of2FTpptiQrUiq77mhf2kQg-INLEIw72uNp71Sfo","use":"sig","alg":"EdDSA","kid":"k1"}"#.to_owned()),
    ) {
        let Ok(text) = String::from_utf8(text) else { return Ok(()) };
        if let Ok(key) = VerifyingKey::from_jwk(Algorithm::EdDsa, &text) {
            let given: Json = serde_json::from_str(&text).unwrap();
            let read: Json = serde_json::from_str(&key.to_jwk().unwrap()).unwrap();
            for name in ["kty", "crv", "x"] {
                prop_assert_eq!(&given[name], &read[name]);
            }
            for (name, only) in [("use", "sig"), ("alg", "EdDSA")] {
                prop_assert!(given.get(name).is_none_or(|said| said == only));
            }
            prop_assert!(given.get("kid").is_none_or(|kid| kid == key.kid()));
            prop_assert!(given.get("d").is_none());
        }
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::EdDsa) {
            prop_assert!(VerifyingKey::from_jwk(algorithm, &text).is_err());
        }
    }
}
