//! Signatures: exact length, exact range, and nothing that merely resembles one (SECURITY row T-08).

use countersign::Refusal::Signature;
use data_encoding::HEXUPPER;

use crate::jwt_forged::forger::{Pair, base64url, from_base64url, mac};
use crate::jwt_forged::site::{Cases, Site};

pub fn cases(site: &Site) -> Cases {
    let mut cases = Cases::default();
    altered(site, &mut cases);
    misplaced(site, &mut cases);
    match &site.pair {
        Pair::Secret(secret) => hmac(site, secret, &mut cases),
        Pair::Rsa(_) => rsa(site, &mut cases),
        Pair::Ec { .. } => ecdsa(site, &mut cases),
        Pair::Ed25519(_) => ed25519(site, &mut cases),
    }
    cases
}

struct Signed<'t> {
    text: &'t str,
    signature: Vec<u8>,
}

impl<'t> Signed<'t> {
    fn new(token: &'t str) -> Self {
        let (text, signature) = token.rsplit_once('.').unwrap();
        Self {
            text,
            signature: from_base64url(signature),
        }
    }

    fn by(&self, signature: impl AsRef<[u8]>) -> String {
        format!("{}.{}", self.text, base64url(signature))
    }
}

fn altered(site: &Site, cases: &mut Cases) {
    let genuine = Signed::new(&site.genuine);
    let good = &genuine.signature;
    let length = good.len();
    cases.accept("the signature itself", genuine.by(good));
    for at in 0..16 {
        let (byte, bit) = (at * (length - 1) / 15, at % 8);
        let mut flipped = good.clone();
        flipped[byte] ^= 1 << bit;
        cases.refuse(
            Signature,
            format!("bit {bit} of byte {byte} flipped"),
            genuine.by(flipped),
        );
    }
    let mut reversed = good.clone();
    reversed.reverse();
    let halves = [&good[length / 2..], &good[..length / 2]].concat();
    let resized: [(&str, Vec<u8>); 18] = [
        ("a byte short at the end", good[..length - 1].to_vec()),
        ("a byte short at the start", good[1..].to_vec()),
        ("half", good[..length / 2].to_vec()),
        ("one byte", good[..1].to_vec()),
        ("a zero byte behind", [good.as_slice(), &[0]].concat()),
        ("a zero byte in front", [&[0], good.as_slice()].concat()),
        (
            "a zero byte inside",
            [&good[..length / 2], &[0], &good[length / 2..]].concat(),
        ),
        ("a newline behind", [good.as_slice(), b"\n"].concat()),
        ("twice", good.repeat(2)),
        (
            "a hundred times",
            good.repeat(if length < 100 { 50 } else { 10 }),
        ),
        ("zeros", vec![0; length]),
        ("ones", vec![1; length]),
        ("all bits", vec![0xFF; length]),
        ("one zero byte", vec![0]),
        ("backwards", reversed),
        ("halves exchanged", halves),
        ("its text", base64url(good).into_bytes()),
        (
            "the message",
            genuine.text.as_bytes()[..length.min(genuine.text.len())].to_vec(),
        ),
    ];
    for (name, signature) in resized {
        cases.refuse(Signature, name, genuine.by(signature));
    }
    let (header, payload) = genuine.text.split_once('.').unwrap();
    for at in [0, payload.len() / 3, payload.len() / 2, payload.len() - 2] {
        let mut letters = payload.to_owned().into_bytes();
        letters[at] = if letters[at] == b'A' { b'B' } else { b'A' };
        let payload = String::from_utf8(letters).unwrap();
        cases.refuse(Signature, format!("payload letter {at} altered"), {
            format!("{header}.{payload}.{}", base64url(good))
        });
    }
}

/// Genuine signatures over something else.
fn misplaced(site: &Site, cases: &mut Cases) {
    let genuine = Signed::new(&site.genuine);
    let (header, payload) = genuine.text.split_once('.').unwrap();
    let decoded = || [from_base64url(header), from_base64url(payload)].concat();
    let messages = [
        ("the header", header.as_bytes().to_vec()),
        ("the payload", payload.as_bytes().to_vec()),
        ("nothing", Vec::new()),
        ("both without the dot", format!("{header}{payload}").into()),
        ("both and a dot", format!("{header}.{payload}.").into()),
        ("both turned", format!("{payload}.{header}").into()),
        ("the decoded bytes", decoded()),
        ("the decoded payload", from_base64url(payload)),
        ("padded segments", format!("{header}=.{payload}=").into()),
        (
            "another header",
            format!("{}.{payload}", base64url("{}")).into(),
        ),
    ];
    for (name, message) in messages {
        cases.refuse(
            Signature,
            format!("over {name}"),
            genuine.by(site.pair.sign(site.name(), &message)),
        );
    }
    let other = site.fresh(77);
    cases.refuse(
        Signature,
        "another token's",
        genuine.by(Signed::new(&other).signature),
    );
    let old = site.old_pair.sign(site.name(), genuine.text.as_bytes());
    cases.refuse(Signature, "the earlier key's", genuine.by(old));
}

fn hmac(site: &Site, secret: &[u8], cases: &mut Cases) {
    let genuine = Signed::new(&site.genuine);
    for name in ["HS256", "HS384", "HS512"]
        .into_iter()
        .filter(|name| *name != site.name())
    {
        let tag = mac(name, secret, genuine.text.as_bytes());
        let mut fitted = tag.clone();
        fitted.resize(genuine.signature.len(), 0);
        cases.refuse(Signature, format!("a tag by {name}"), genuine.by(tag));
        cases.refuse(
            Signature,
            format!("a tag by {name}, fitted"),
            genuine.by(fitted),
        );
    }
    // An HMAC pads its secret with zeros up to the block, so these are the same secret.
    let padded = mac(
        site.name(),
        &[secret, &[0]].concat(),
        genuine.text.as_bytes(),
    );
    cases.accept(
        "under the secret with a zero behind, which HMAC can't tell",
        genuine.by(padded),
    );
    let plain = mac(site.name(), genuine.text.as_bytes(), secret);
    cases.refuse(Signature, "secret and message exchanged", genuine.by(plain));
}

fn rsa(site: &Site, cases: &mut Cases) {
    let genuine = Signed::new(&site.genuine);
    let length = genuine.signature.len();
    let modulus = modulus(site, length);
    let number = |low: u8| [vec![0; length - 1], vec![low]].concat();
    let less_one = minus(&modulus, &number(1));
    for (name, signature) in [
        ("0", number(0)),
        ("1", number(1)),
        ("2", number(2)),
        ("n", modulus.clone()),
        ("n - 1", less_one),
        ("n + 1", plus(&modulus, &number(1)).unwrap()),
        ("n - s", minus(&modulus, &genuine.signature)),
        (
            "the padded hash itself",
            pkcs1(genuine.text.as_bytes(), length),
        ),
    ] {
        cases.refuse(Signature, format!("s = {name}"), genuine.by(signature));
    }
    // s + n says the same to arithmetic without a bound. It fits for the smaller half of signatures.
    let fits = (0..200).map(|number| site.fresh(number)).find_map(|token| {
        let signed = Signed::new(&token);
        plus(&signed.signature, &modulus).map(|sum| signed.by(sum))
    });
    cases.refuse(
        Signature,
        "s + n",
        fits.expect("one of 200 signatures is small enough"),
    );
    let wide = [vec![0], genuine.signature.clone()].concat();
    let sum = plus(&wide, &[vec![0], modulus.clone()].concat()).unwrap();
    cases.refuse(Signature, "s + n, a byte longer", genuine.by(sum));
}

/// Signatures with a leading zero byte are rare, so this is tried for one algorithm only.
pub fn short_rsa(site: &Site, cases: &mut Cases) {
    let token = (0..20_000)
        .map(|number| site.fresh(number))
        .find(|token| Signed::new(token).signature[0] == 0);
    let token = token.unwrap();
    let signed = Signed::new(&token);
    cases.accept("a leading zero byte", token.as_str());
    cases.refuse(
        Signature,
        "a leading zero byte left out",
        signed.by(&signed.signature[1..]),
    );
}

fn modulus(site: &Site, length: usize) -> Vec<u8> {
    let [_, pkcs1] = site.pair.public().unwrap();
    let exponent = 5; // 02 03 01 00 01
    let end = pkcs1.len() - exponent;
    pkcs1[end - length..end].to_vec()
}

/// What an RSA signature by PKCS#1 v1.5 encloses, unsigned.
fn pkcs1(message: &[u8], length: usize) -> Vec<u8> {
    const SHA256: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0D, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20,
    ];
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
    let tail = [&SHA256, hash.as_ref()].concat();
    [
        vec![0, 1],
        vec![0xFF; length - 3 - tail.len()],
        vec![0],
        tail,
    ]
    .concat()
}

fn ecdsa(site: &Site, cases: &mut Cases) {
    let genuine = Signed::new(&site.genuine);
    let (r, s) = genuine.signature.split_at(genuine.signature.len() / 2);
    let n = order(site.name());
    let (zero, one) = (vec![0; n.len()], [vec![0; n.len() - 1], vec![1]].concat());
    let less_one = minus(&n, &one);
    let numbers: [(&str, &[u8]); 7] = [
        ("0", &zero),
        ("1", &one),
        ("n", &n),
        ("n - 1", &less_one),
        ("r", r),
        ("s", s),
        ("2^k - 1", &vec![0xFF; n.len()]),
    ];
    for (r_name, r) in numbers {
        for (s_name, s) in numbers
            .into_iter()
            .filter(|(s_name, _)| (r_name, *s_name) != ("r", "s"))
        {
            cases.refuse(
                Signature,
                format!("r = {r_name}, s = {s_name}"),
                genuine.by([r, s].concat()),
            );
        }
    }
    for (name, r, s) in [
        ("r + n", plus(r, &n), Some(s.to_vec())),
        ("s + n", Some(r.to_vec()), plus(s, &n)),
    ] {
        if let (Some(r), Some(s)) = (r, s) {
            cases.refuse(Signature, name, genuine.by([r, s].concat()));
        }
    }
    // RFC 7518 doesn't ask for the lower of the two, and a revocation holds for both.
    cases.accept("n - s", with_high_s(&site.genuine, site.name()));
    cases.refuse(
        Signature,
        "n - r",
        genuine.by([minus(&n, r).as_slice(), s].concat()),
    );
    let wide = |number: &[u8]| [&[0], number].concat();
    cases.refuse(
        Signature,
        "coordinates a byte wider",
        genuine.by([wide(r), wide(s)].concat()),
    );
    let der = site.pair.sign_as_der(genuine.text.as_bytes()).unwrap();
    let mut fitted = der.clone();
    fitted.resize(genuine.signature.len(), 0);
    cases.refuse(Signature, "in DER", genuine.by(der));
    cases.refuse(Signature, "in DER, fitted", genuine.by(fitted));
    cases.refuse(
        Signature,
        "zeros in DER",
        genuine.by([0x30, 6, 2, 1, 0, 2, 1, 0]),
    );
    cases.refuse(
        Signature,
        "the same in DER by hand",
        genuine.by(der_of(r, s)),
    );
}

fn der_of(r: &[u8], s: &[u8]) -> Vec<u8> {
    let number = |digits: &[u8]| {
        let digits: Vec<u8> = digits
            .iter()
            .copied()
            .skip_while(|digit| *digit == 0)
            .collect();
        let digits = if digits[0] > 0x7F {
            [vec![0], digits].concat()
        } else {
            digits
        };
        [vec![2, u8::try_from(digits.len()).unwrap()], digits].concat()
    };
    let body = [number(r), number(s)].concat();
    let length = u8::try_from(body.len()).unwrap();
    if length < 0x80 {
        [vec![0x30, length], body].concat()
    } else {
        [vec![0x30, 0x81, length], body].concat()
    }
}

/// The other signature that ECDSA has for the same message.
pub fn with_high_s(token: &str, algorithm: &str) -> String {
    let signed = Signed::new(token);
    let (r, s) = signed.signature.split_at(signed.signature.len() / 2);
    signed.by([r, minus(&order(algorithm), s).as_slice()].concat())
}

fn order(algorithm: &str) -> Vec<u8> {
    let (head, fill, tail) = match algorithm {
        "ES256" => ("FFFFFFFF00000000", 8, "BCE6FAADA7179E84F3B9CAC2FC632551"),
        "ES384" => ("", 24, "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973"),
        _ => (
            "01",
            32,
            "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        ),
    };
    HEXUPPER
        .decode(format!("{head}{}{tail}", "FF".repeat(fill)).as_bytes())
        .unwrap()
}

fn ed25519(site: &Site, cases: &mut Cases) {
    let genuine = Signed::new(&site.genuine);
    let (point, scalar) = genuine.signature.split_at(32);
    let mut order = HEXUPPER
        .decode(b"EDD3F55C1A631258D69CF7A2DEF9DE14")
        .unwrap();
    order.resize(31, 0);
    order.push(0x10);
    let turned = |number: &[u8]| number.iter().rev().copied().collect::<Vec<u8>>();
    let mut sum = turned(scalar);
    for times in 1..=6 {
        sum = plus(&sum, &turned(&order)).unwrap();
        cases.refuse(
            Signature,
            format!("S + {times} L"),
            genuine.by([point, &turned(&sum)].concat()),
        );
    }
    let (zero, mut identity) = ([0; 32], [0; 32]);
    identity[0] = 1;
    let mut negative = point.to_vec();
    negative[31] ^= 0x80;
    let mut high = scalar.to_vec();
    high[31] |= 0xE0;
    let mut past = [0xFF; 32];
    (past[0], past[31]) = (0xEE, 0x7F);
    for (name, point, scalar) in [
        ("R the identity, S 0", &identity[..], &zero[..]),
        ("R 0, S 0", &zero, &zero),
        ("R the identity", &identity, scalar),
        ("R past the field, S 0", &past, &zero),
        ("S 0", point, &zero),
        ("S L", point, &order),
        ("R negative", &negative, scalar),
        ("S with high bits", point, &high),
        ("R and S exchanged", scalar, point),
        ("R twice", point, point),
    ] {
        cases.refuse(Signature, name, genuine.by([point, scalar].concat()));
    }
}

/// Big-endian numbers of one length; `None` when the sum doesn't fit.
fn plus(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut sum = vec![0; a.len()];
    let mut carry = 0;
    for at in (0..a.len()).rev() {
        let digit = u16::from(a[at]) + u16::from(b[at]) + carry;
        [_, sum[at]] = digit.to_be_bytes();
        carry = digit >> 8;
    }
    (carry == 0).then_some(sum)
}

/// `a` is the larger one.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut difference = vec![0; a.len()];
    let mut borrow = 0;
    for at in (0..a.len()).rev() {
        let digit = 256 + u16::from(a[at]) - u16::from(b[at]) - borrow;
        [_, difference[at]] = digit.to_be_bytes();
        borrow = u16::from(digit < 256);
    }
    difference
}
