//! What a header may say, and which key it selects.

use crate::error::Refusal;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::json::{Object, Value};
use crate::jwt::key::{KeyRing, VerifyingKey};

/// What is expected of a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderRules {
    /// The type a token must be of, without `application/`; `None` takes any.
    pub(crate) typ: Option<&'static str>,
    /// What `kid` is for.
    pub(crate) kid: KidRule,
}

/// What `kid` is for. It must be a text in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KidRule {
    /// It is there and names a key of the ring.
    Required,
    /// It names a key of the ring if it is there.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "public vectors need it"))]
    IfPresent,
    /// It is ignored, as the original ignores it: every key of the right algorithm is tried.
    Ignored,
}

/// The keys that may have signed a token.
#[derive(Debug)]
pub(crate) enum Candidates<'k> {
    One(&'k VerifyingKey),
    Every(Algorithm),
}

/// Members that change what the rest means (RFC 7515 section 4.1.11, RFC 7797, RFC 7516 section 4.1.3). No extension
/// is supported, so their presence alone refuses a token (SECURITY row T-06).
const UNSUPPORTED: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// Reads a decoded header.
pub(crate) fn candidates<'k>(ring: &'k KeyRing, rules: HeaderRules, header: &[u8]) -> Result<Candidates<'k>, Refusal> {
    let header = Object::parse(header).ok_or(Refusal::Malformed)?;
    let algorithm = header.text("alg").ok().flatten().ok_or(Refusal::Algorithm)?;
    if UNSUPPORTED.into_iter().any(|name| header.member(name).is_some()) || is_nested(&header) {
        return Err(Refusal::Header);
    }
    let kid = header.text("kid").map_err(|_| Refusal::UnknownKey)?;
    let candidates = match (rules.kid, kid) {
        (KidRule::Required | KidRule::IfPresent, Some(kid)) => {
            let key = ring.by_kid(kid).ok_or(Refusal::UnknownKey)?;
            if key.algorithm().as_str() != algorithm {
                return Err(Refusal::Algorithm);
            }
            Candidates::One(key)
        }
        (KidRule::Required, None) => return Err(Refusal::UnknownKey),
        (KidRule::Ignored, _) | (KidRule::IfPresent, None) => {
            let mut known = ring.keys().map(VerifyingKey::algorithm);
            Candidates::Every(known.find(|known| known.as_str() == algorithm).ok_or(Refusal::Algorithm)?)
        }
    };
    match rules.typ {
        Some(wanted) if !is_of_type(&header, wanted) => Err(Refusal::TokenType),
        _ => Ok(candidates),
    }
}

/// Whether the payload is said to be a token itself, or something that can't be told.
fn is_nested(header: &Object<'_>) -> bool {
    match header.member("cty") {
        None => false,
        Some(Value::Text(cty)) => names_type(cty, "jwt"),
        Some(_) => true,
    }
}

fn is_of_type(header: &Object<'_>, wanted: &str) -> bool {
    matches!(header.member("typ"), Some(Value::Text(typ)) if names_type(typ, wanted))
}

/// Media types compare without case, and `application/` may be left out (RFC 7515 section 4.1.9).
fn names_type(text: &str, wanted: &str) -> bool {
    const PREFIX: &str = "application/";
    let subtype = match text.split_at_checked(PREFIX.len()) {
        Some((prefix, subtype)) if prefix.eq_ignore_ascii_case(PREFIX) => subtype,
        _ => text,
    };
    subtype.eq_ignore_ascii_case(wanted)
}
