//! Other spellings of a good token: SECURITY rows T-07, T-08 and T-11.

use countersign::Refusal::{Malformed, Signature, TooLong};
use countersign::jwt::Algorithm;
use data_encoding::BASE64URL_NOPAD;

use crate::{Bench, Case, good_claims};

pub(crate) fn cases(bench: &Bench) -> Vec<Case> {
    let good = bench.good();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three segments") };
    let token = |segments: &[&str]| segments.join(".");
    let mut cases = vec![
        Case::new("as we write it", good.clone(), Ok(())),
        Case::new("no text", String::new(), Err(Malformed)),
        Case::new("one segment", header.to_owned(), Err(Malformed)),
        Case::new("two segments", token(&[header, payload]), Err(Malformed)),
        Case::new("no signature", token(&[header, payload, ""]), Err(Malformed)),
        Case::new("no header", token(&["", payload, signature]), Err(Malformed)),
        Case::new("no payload", token(&[header, "", signature]), Err(Signature)),
        Case::new("four segments", token(&[header, payload, signature, ""]), Err(Malformed)),
        Case::new("four full segments", token(&[header, payload, signature, signature]), Err(Malformed)),
        Case::new("five segments, as encrypted tokens have", [header; 5].join("."), Err(Malformed)),
        Case::new("dots alone", "..".to_owned(), Err(Malformed)),
        Case::new("many dots", ".".repeat(8000), Err(Malformed)),
        Case::new("space before", format!(" {good}"), Err(Malformed)),
        Case::new("space behind", format!("{good} "), Err(Malformed)),
        Case::new("line break behind", format!("{good}\n"), Err(Malformed)),
        Case::new("line break inside", format!("{header}.{payload}.\n{signature}"), Err(Malformed)),
        Case::new("NUL behind", format!("{good}\0"), Err(Malformed)),
        Case::new("with a scheme", format!("Bearer {good}"), Err(Malformed)),
        Case::new("quoted", format!("\"{good}\""), Err(Malformed)),
        Case::new("padded header", token(&[&format!("{header}="), payload, signature]), Err(Malformed)),
        Case::new("padded payload", token(&[header, &format!("{payload}="), signature]), Err(Signature)),
        Case::new("padded signature", format!("{good}="), Err(Malformed)),
        Case::new("doubly padded signature", format!("{good}=="), Err(Malformed)),
        Case::new("junk in the header", token(&[&format!("!{header}"), payload, signature]), Err(Malformed)),
        Case::new("letters beyond ASCII", format!("{good}é"), Err(Malformed)),
        Case::new("percent-encoded", good.replace('.', "%2e"), Err(Malformed)),
        Case::new("payload of another", token(&[header, "e30", signature]), Err(Signature)),
        Case::new(
            "JSON form",
            format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
            Err(Malformed),
        ),
        Case::new("too long", format!("{good}{}", "A".repeat(8192)), Err(TooLong)),
        Case::new("one byte too long", too_long(bench), Err(TooLong)),
    ];
    cases.extend(altered_signatures(bench, header, payload, signature));
    cases
}

/// A genuine token of 8,193 bytes or a little more.
fn too_long(bench: &Bench) -> String {
    let mut filler = 5000;
    loop {
        let claims = good_claims().with("x", format!("\"{}\"", "x".repeat(filler)));
        let token = bench.sign(&bench.header().json(), claims.json().as_bytes());
        if token.len() > 8192 {
            return token;
        }
        filler += 1;
    }
}

fn altered_signatures(bench: &Bench, header: &str, payload: &str, signature: &str) -> Vec<Case> {
    let bytes = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let with = |name: &str, bytes: &[u8]| {
        let token = format!("{header}.{payload}.{}", BASE64URL_NOPAD.encode(bytes));
        Case::new(name, token, Err(Signature))
    };
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    let half = bytes.len() / 2;
    let mut cases = vec![
        with("first bit flipped", &flipped(0)),
        with("middle bit flipped", &flipped(half)),
        with("last bit flipped", &flipped(bytes.len() - 1)),
        with("cut by one byte", &bytes[1..]),
        with("cut at the end", &bytes[..bytes.len() - 1]),
        with("one byte", &bytes[..1]),
        with("a zero before", &[&[0], bytes.as_slice()].concat()),
        with("a zero behind", &[bytes.as_slice(), &[0]].concat()),
        with("twice", &bytes.repeat(2)),
        with("zeros", &vec![0; bytes.len()]),
        with("ones", &vec![0xFF; bytes.len()]),
        with("halves swapped", &[&bytes[half..], &bytes[..half]].concat()),
    ];
    if let Some(respelled) = with_spare_bits(signature, bytes.len()) {
        cases.push(Case::new("spare bits set", format!("{header}.{payload}.{respelled}"), Err(Malformed)));
    }
    if signature.contains(['-', '_']) {
        let standard = signature.replace('-', "+").replace('_', "/");
        cases.push(Case::new("standard alphabet", format!("{header}.{payload}.{standard}"), Err(Malformed)));
    }
    if matches!(bench.algorithm, Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512) {
        cases.push(with("in DER", &der(&bytes[..half], &bytes[half..])));
        cases.push(with("r is zero", &[&vec![0; half], &bytes[half..]].concat()));
        cases.push(with("s is zero", &[&bytes[..half], &vec![0; half]].concat()));
    }
    cases
}

/// The same bytes in another spelling, where the last letter has bits to spare.
fn with_spare_bits(signature: &str, length: usize) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = signature.chars().next_back()?;
    let value = ALPHABET.find(last)?;
    let respelled = ALPHABET.chars().nth(value | 1)?;
    (!length.is_multiple_of(3)).then(|| format!("{}{respelled}", &signature[..signature.len() - 1]))
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let number = |digits: &[u8]| {
        let digits = [&[0], digits].concat();
        [&[2, u8::try_from(digits.len()).unwrap()], digits.as_slice()].concat()
    };
    let body = [number(r), number(s)].concat();
    let length = u8::try_from(body.len()).unwrap();
    let head: &[u8] = if length < 0x80 { &[0x30, length] } else { &[0x30, 0x81, length] };
    [head, &body].concat()
}
