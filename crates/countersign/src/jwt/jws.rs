//! Compact JSON Web Signatures: three segments, a signature, and no other form (SECURITY row T-07).

use data_encoding::BASE64URL_NOPAD;

use crate::error::{Failure, Refusal};
use crate::jwt::header::{self, Candidates, HeaderRules, KidRule};
use crate::jwt::key::{KeyRing, SigningKey, VerifyingKey};
use crate::profile::Profile;

/// A token's longest text by default, in bytes (SECURITY row T-11).
pub(crate) const DEFAULT_MAX_LENGTH: usize = 8 * 1024;

/// A payload whose signature is good, and the key that it is good under.
#[derive(Debug)]
pub(crate) struct Verified<'k> {
    pub(crate) payload: Vec<u8>,
    pub(crate) key: &'k VerifyingKey,
}

struct Segments<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    /// Header and payload with the dot between them: what the signature is over.
    signed: &'t str,
}

/// Verifies a token of `profile`.
pub(crate) fn verify<'k>(
    ring: &'k KeyRing,
    profile: Profile,
    token: &str,
    max_length: usize,
) -> Result<Verified<'k>, Refusal> {
    let segments = split(token, max_length)?;
    // A header that is byte for byte what we write needs no reading.
    let ours = ring.keys().find(|key| key.header_segment(profile) == segments.header);
    let candidates = match (profile, ours) {
        (Profile::Countersign, Some(key)) => Candidates::One(key),
        (Profile::LitestarAuth, Some(key)) => Candidates::Every(key.algorithm()),
        (_, None) => header::candidates(ring, rules(profile), &decode(segments.header)?)?,
    };
    check(ring, &candidates, &segments)
}

/// Verifies a token by rules of one's own.
#[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "public vectors need it"))]
pub(crate) fn verify_by<'k>(
    ring: &'k KeyRing,
    rules: HeaderRules,
    token: &str,
    max_length: usize,
) -> Result<Verified<'k>, Refusal> {
    let segments = split(token, max_length)?;
    check(ring, &header::candidates(ring, rules, &decode(segments.header)?)?, &segments)
}

const fn rules(profile: Profile) -> HeaderRules {
    match profile {
        Profile::Countersign => HeaderRules { typ: Some("at+jwt"), kid: KidRule::Required },
        Profile::LitestarAuth => HeaderRules { typ: None, kid: KidRule::Ignored },
    }
}

fn check<'k>(ring: &'k KeyRing, candidates: &Candidates<'k>, segments: &Segments<'_>) -> Result<Verified<'k>, Refusal> {
    let signature = decode(segments.signature)?;
    let signed = segments.signed.as_bytes();
    let key = match *candidates {
        Candidates::One(key) => key.verifies(signed, &signature).then_some(key),
        Candidates::Every(algorithm) => {
            ring.keys().find(|key| key.algorithm() == algorithm && key.verifies(signed, &signature))
        }
    };
    let key = key.ok_or(Refusal::Signature)?;
    Ok(Verified { payload: decode(segments.payload)?, key })
}

/// Takes a token apart. A payload may be empty here: only a raw JWS has one, as no JSON is empty.
fn split(token: &str, max_length: usize) -> Result<Segments<'_>, Refusal> {
    if token.len() > max_length {
        return Err(Refusal::TooLong);
    }
    let (header, rest) = token.split_once('.').ok_or(Refusal::Malformed)?;
    let (payload, signature) = rest.split_once('.').ok_or(Refusal::Malformed)?;
    if header.is_empty() || signature.is_empty() || signature.contains('.') {
        return Err(Refusal::Malformed);
    }
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or(Refusal::Malformed)?;
    Ok(Segments { header, payload, signature, signed })
}

/// One spelling only: the URL-safe alphabet, no padding, no white space, spare bits zero.
fn decode(segment: &str) -> Result<Vec<u8>, Refusal> {
    BASE64URL_NOPAD.decode(segment.as_bytes()).map_err(|_| Refusal::Malformed)
}

/// Signs `payload` under the header that `profile` writes.
///
/// # Errors
/// [`Failure`] when the backend can't sign.
pub(crate) fn sign(key: &SigningKey, profile: Profile, payload: &[u8]) -> Result<String, Failure> {
    sign_segment(key, key.verifying_key().header_segment(profile), payload)
}

pub(crate) fn sign_segment(key: &SigningKey, header_segment: &str, payload: &[u8]) -> Result<String, Failure> {
    let mut token = String::with_capacity(header_segment.len() + payload.len() * 4 / 3 + 200);
    token.push_str(header_segment);
    token.push('.');
    BASE64URL_NOPAD.encode_append(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut token);
    Ok(token)
}
