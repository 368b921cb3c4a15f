//! The few DER structures that the checks look into: the numbers of an RSA key, and the raw point
//! of an elliptic curve key.
//!
//! The cryptographic backend parses keys. The functions here read what it doesn't tell, and the
//! form of a text that may be a key. They are no validating parser.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// Returns the key bits of a SubjectPublicKeyInfo (RFC 5280 section 4.1).
pub(crate) fn public_key_bits(spki: &[u8]) -> Option<&[u8]> {
    let mut outer = spki;
    let mut info = take(&mut outer, SEQUENCE)?;
    take(&mut info, SEQUENCE)?;
    let bits = take(&mut info, BIT_STRING)?;
    bits.strip_prefix(&[0])
}

/// Returns `true` if bytes follow a structure. The backend ignores such bytes.
///
/// A raw point isn't a structure, so the answer for one is `false` unless its bytes happen to look
/// like a structure.
pub(crate) fn has_trailing_bytes(key: &[u8]) -> bool {
    let mut rest = key;
    take(&mut rest, SEQUENCE).is_some() && !rest.is_empty()
}

/// Returns the modulus and the public exponent of an RSAPublicKey (RFC 8017 appendix A.1.1),
/// big-endian and without leading zeros.
pub(crate) fn rsa_numbers(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = key;
    let mut numbers = take(&mut outer, SEQUENCE)?;
    Some((number(&mut numbers)?, number(&mut numbers)?))
}

/// Returns `true` if `bytes` are exactly one structure that begins like a key or a certificate.
///
/// Keys and certificates begin with a structure (SubjectPublicKeyInfo, X.509) or a number (PKCS#1,
/// PKCS#8, SEC 1), and another element follows it.
pub(crate) fn is_key(bytes: &[u8]) -> bool {
    let mut outer = bytes;
    let Some(inside) = take(&mut outer, SEQUENCE) else {
        return false;
    };
    outer.is_empty() && (begins_with(inside, SEQUENCE) || begins_with(inside, INTEGER))
}

/// Returns `true` if an element with the tag comes first, and another one follows it.
fn begins_with(mut bytes: &[u8], tag: u8) -> bool {
    take(&mut bytes, tag).is_some() && element(&mut bytes).is_some()
}

/// Reads an integer, without its leading zero.
fn number<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let digits = take(input, INTEGER)?;
    Some(digits.strip_prefix(&[0]).unwrap_or(digits))
}

/// Reads the next element and returns its content if it has the tag.
fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let mut rest = *input;
    let (first, content) = element(&mut rest)?;
    *input = rest;
    (first == tag).then_some(content)
}

/// Reads the next element and returns its tag and its content.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&first, rest) = input.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7F))?;
        if digits.len() > 4 {
            return None;
        }
        (
            digits
                .iter()
                .fold(0, |length, digit| (length << 8) | usize::from(*digit)),
            rest,
        )
    };

    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((first, content))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (public_key_bits(&bytes), rsa_numbers(&bytes));
        }
    }
}
