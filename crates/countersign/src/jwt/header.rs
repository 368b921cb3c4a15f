//! The header of a signed token: the checks it has to pass, and the key it selects.
//!
//! A header can only select among the keys of the [`KeyRing`]. Parameters that bring a key along
//! (`jwk`, `jku`, `x5u`, `x5c`) are never read.

use crate::error::Refusal;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::json::{Object, Value};
use crate::jwt::key::{KeyRing, VerifyingKey};

/// The values that a header has to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderRules {
    /// The required type, without the prefix `application/`. `None` accepts every type.
    pub(crate) typ: Option<&'static str>,
    /// The meaning of the `kid` parameter.
    pub(crate) kid: KidRule,
}

/// The meaning of the `kid` parameter. A `kid` that isn't a string is always refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KidRule {
    /// `kid` is required and names a key of the ring.
    Required,
    /// `kid` is optional. If present, it names a key of the ring.
    #[cfg_attr(
        not(feature = "testing"),
        expect(dead_code, reason = "public vectors need it")
    )]
    IfPresent,
    /// `kid` is ignored, as litestar-auth ignores it. Every key of the named algorithm is tried.
    Ignored,
}

/// The keys that may have signed a token.
#[derive(Debug)]
pub(crate) enum Candidates<'k> {
    /// The one key that the header names.
    One(&'k VerifyingKey),
    /// Every key of the ring that is bound to this algorithm.
    Every(Algorithm),
}

/// The parameters that change the meaning of a token (RFC 7515 section 4.1.11, RFC 7797, RFC 7516
/// section 4.1.3).
///
/// No extension is supported, so a token is refused if one of them is present, with any value.
const UNSUPPORTED: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// Checks a decoded header and returns the keys that may have signed the token.
///
/// The algorithm of the header has to be that of the key. Otherwise a token could choose how its
/// own signature is checked.
pub(crate) fn candidates<'k>(
    ring: &'k KeyRing,
    rules: HeaderRules,
    header: &[u8],
) -> Result<Candidates<'k>, Refusal> {
    let header = Object::parse(header).ok_or(Refusal::Malformed)?;
    let algorithm = header
        .text("alg")
        .ok()
        .flatten()
        .ok_or(Refusal::Algorithm)?;
    if UNSUPPORTED
        .into_iter()
        .any(|name| header.member(name).is_some())
        || is_nested(&header)
    {
        return Err(Refusal::Header);
    }

    let kid = header.text("kid").map_err(|_| Refusal::UnknownKey)?;
    let candidates = match (rules.kid, kid) {
        (KidRule::Required | KidRule::IfPresent, Some(kid)) => {
            let key = ring.by_kid(kid).ok_or(Refusal::UnknownKey)?;
            // The header must not choose another algorithm for a known key: a public key would then
            // be used as the secret of an HMAC.
            if key.algorithm().as_str() != algorithm {
                return Err(Refusal::Algorithm);
            }
            Candidates::One(key)
        }
        (KidRule::Required, None) => return Err(Refusal::UnknownKey),
        (KidRule::Ignored, _) | (KidRule::IfPresent, None) => {
            let mut known = ring.keys().map(VerifyingKey::algorithm);
            Candidates::Every(
                known
                    .find(|known| known.as_str() == algorithm)
                    .ok_or(Refusal::Algorithm)?,
            )
        }
    };

    match rules.typ {
        Some(wanted) if !is_of_type(&header, wanted) => Err(Refusal::TokenType),
        _ => Ok(candidates),
    }
}

/// Returns `true` if `cty` says that the payload is a token itself, or isn't a string.
fn is_nested(header: &Object<'_>) -> bool {
    match header.member("cty") {
        None => false,
        Some(Value::Text(cty)) => names_type(cty, "jwt"),
        Some(_) => true,
    }
}

/// Returns `true` if `typ` names the wanted media type.
fn is_of_type(header: &Object<'_>, wanted: &str) -> bool {
    matches!(header.member("typ"), Some(Value::Text(typ)) if names_type(typ, wanted))
}

/// Returns `true` if a text names a media type.
///
/// Media types are compared without regard to case, and `application/` may be left out (RFC 7515
/// section 4.1.9).
fn names_type(text: &str, wanted: &str) -> bool {
    const PREFIX: &str = "application/";
    let subtype = match text.split_at_checked(PREFIX.len()) {
        Some((prefix, subtype)) if prefix.eq_ignore_ascii_case(PREFIX) => subtype,
        _ => text,
    };
    subtype.eq_ignore_ascii_case(wanted)
}
