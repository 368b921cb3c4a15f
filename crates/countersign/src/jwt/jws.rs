//! Compact JSON Web Signatures (RFC 7515): splitting, verifying and signing.
//!
//! A token is three base64url segments with dots between them: header, payload, signature. The JSON
//! serializations of RFC 7515 section 7.2 are not supported. This module checks the signature and
//! returns the payload as bytes. [`header`] decides which keys may have signed, and
//! [`claims`](crate::jwt::claims) reads the payload afterwards.

use data_encoding::BASE64URL_NOPAD;

use crate::error::{Failure, Refusal};
use crate::jwt::header::{self, Candidates, HeaderRules, KidRule};
use crate::jwt::key::{KeyRing, SigningKey, VerifyingKey};
use crate::profile::Profile;

/// The default limit of a token's length, in bytes.
pub(crate) const DEFAULT_MAX_LENGTH: usize = 8 * 1024;

/// The payload of a token whose signature is good, and the key that verified it.
#[derive(Debug)]
pub(crate) struct Verified<'k> {
    pub(crate) payload: Vec<u8>,
    pub(crate) key: &'k VerifyingKey,
}

/// The three segments of a token, still encoded.
struct Segments<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    /// The input of the signature: header and payload with the dot between them.
    signed: &'t str,
}

/// Verifies the signature of a token of `profile` and returns its payload.
///
/// Returns [`Refusal::TooLong`] for a token of more than `max_length` bytes. The payload isn't
/// judged: its claims may be expired, or may not even be JSON.
pub(crate) fn verify<'k>(
    ring: &'k KeyRing,
    profile: Profile,
    token: &str,
    max_length: usize,
) -> Result<Verified<'k>, Refusal> {
    let segments = split(token, max_length)?;

    // Nearly every token that arrives has a header that a key of the ring writes, byte for byte.
    // Comparing the segments spares decoding and parsing it. A header of litestar-auth has no
    // `kid`, so it selects an algorithm and not a key.
    let ours = ring
        .keys()
        .find(|key| key.header_segment(profile) == segments.header);
    let candidates = match (profile, ours) {
        (Profile::Countersign, Some(key)) => Candidates::One(key),
        (Profile::LitestarAuth, Some(key)) => Candidates::Every(key.algorithm()),
        (_, None) => header::candidates(ring, rules(profile), &decode(segments.header)?)?,
    };
    check(ring, &candidates, &segments)
}

/// Verifies the signature of a token whose header satisfies `rules`, and returns its payload.
#[cfg_attr(
    not(feature = "testing"),
    expect(dead_code, reason = "public vectors need it")
)]
pub(crate) fn verify_by<'k>(
    ring: &'k KeyRing,
    rules: HeaderRules,
    token: &str,
    max_length: usize,
) -> Result<Verified<'k>, Refusal> {
    let segments = split(token, max_length)?;
    check(
        ring,
        &header::candidates(ring, rules, &decode(segments.header)?)?,
        &segments,
    )
}

/// Returns the header rules of a profile.
const fn rules(profile: Profile) -> HeaderRules {
    match profile {
        Profile::Countersign => HeaderRules {
            typ: Some("at+jwt"),
            kid: KidRule::Required,
        },
        Profile::LitestarAuth => HeaderRules {
            typ: None,
            kid: KidRule::Ignored,
        },
    }
}

/// Returns the payload if one of the candidate keys verifies the signature.
fn check<'k>(
    ring: &'k KeyRing,
    candidates: &Candidates<'k>,
    segments: &Segments<'_>,
) -> Result<Verified<'k>, Refusal> {
    let signature = decode(segments.signature)?;
    let signed = segments.signed.as_bytes();
    let key = match *candidates {
        Candidates::One(key) => key.verifies(signed, &signature).then_some(key),
        Candidates::Every(algorithm) => ring
            .keys()
            .find(|key| key.algorithm() == algorithm && key.verifies(signed, &signature)),
    };
    let key = key.ok_or(Refusal::Signature)?;

    // The payload is decoded last, so that no unverified bytes leave this function.
    Ok(Verified {
        payload: decode(segments.payload)?,
        key,
    })
}

/// Splits a token at its two dots.
///
/// The payload segment may be empty. Only a raw JWS has an empty payload: the claims of a token are
/// refused later, since an empty text isn't JSON.
fn split(token: &str, max_length: usize) -> Result<Segments<'_>, Refusal> {
    if token.len() > max_length {
        return Err(Refusal::TooLong);
    }
    let (header, rest) = token.split_once('.').ok_or(Refusal::Malformed)?;
    let (payload, signature) = rest.split_once('.').ok_or(Refusal::Malformed)?;
    if header.is_empty() || signature.is_empty() || signature.contains('.') {
        return Err(Refusal::Malformed);
    }

    let signed = token
        .get(..header.len() + 1 + payload.len())
        .ok_or(Refusal::Malformed)?;
    Ok(Segments {
        header,
        payload,
        signature,
        signed,
    })
}

/// Decodes a base64url segment and refuses every spelling but the canonical one.
///
/// The alphabet is the URL-safe one. Padding, white space and unused bits that aren't zero are
/// refused, so that no other text stands for the same signature.
fn decode(segment: &str) -> Result<Vec<u8>, Refusal> {
    BASE64URL_NOPAD
        .decode(segment.as_bytes())
        .map_err(|_| Refusal::Malformed)
}

/// Signs `payload` and returns the token, with the header that `profile` writes.
///
/// # Errors
/// [`Failure`] if the cryptographic backend can't sign.
pub(crate) fn sign(key: &SigningKey, profile: Profile, payload: &[u8]) -> Result<String, Failure> {
    sign_segment(key, key.verifying_key().header_segment(profile), payload)
}

/// Signs `payload` and returns the token, with a header segment that is encoded already.
pub(crate) fn sign_segment(
    key: &SigningKey,
    header_segment: &str,
    payload: &[u8],
) -> Result<String, Failure> {
    let mut token = String::with_capacity(header_segment.len() + payload.len() * 4 / 3 + 200);
    token.push_str(header_segment);
    token.push('.');
    BASE64URL_NOPAD.encode_append(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut token);
    Ok(token)
}
