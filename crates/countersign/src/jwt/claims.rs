//! Claims of a signed token: reading, checking and writing.
//!
//! [`Claims`] reads the payload of a token whose signature was verified before, and checks it
//! against [`ClaimRules`]. [`NewClaims`] writes the claims of a new token. The subject and the
//! session fingerprint are only read here. The strategy judges them, because that needs the user's
//! account.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::error::{Failure, Refusal};
use crate::jwt::json::{Object, Value};
use crate::session::{Fence, SessionId};

/// The latest second that a time claim may name: the end of the year 9999.
///
/// A later time is a mistake of units, such as milliseconds in place of seconds.
const LAST_SECOND: i64 = 253_402_300_799;

/// The longest `jti`, in bytes.
const MAX_TOKEN_ID: usize = 128;

/// The values that claims have to match.
#[derive(Clone, Debug)]
pub(crate) struct ClaimRules {
    /// The audience that `aud` has to hold.
    pub(crate) audience: Arc<str>,
    /// The issuer that `iss` has to be. `None` accepts every issuer.
    pub(crate) issuer: Option<Arc<str>>,
    /// The difference between clocks that is tolerated, in every comparison of times.
    pub(crate) leeway: Duration,
    /// The longest time between `iat` and `exp` that is accepted, without the leeway.
    pub(crate) max_lifetime: Duration,
    /// The name of the claim that holds the session fingerprint.
    pub(crate) fingerprint_claim: Arc<str>,
}

/// Claims that satisfy the rules.
///
/// The subject and the fingerprint aren't checked yet: see [`subject`](Self::subject) and
/// [`fingerprint`](Self::fingerprint).
#[derive(Debug)]
pub(crate) struct Claims<'t> {
    object: Object<'t>,
    fingerprint_claim: Arc<str>,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) session: Option<SessionId>,
    pub(crate) fence: Option<Fence>,
}

impl<'t> Claims<'t> {
    /// Reads the payload of a token whose signature is good, and checks every claim at `now`.
    pub(crate) fn read(
        payload: &'t [u8],
        rules: &ClaimRules,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let claims = Self::read_for_revocation(payload, rules)?;
        if claims.is_over(rules, now) {
            return Err(Refusal::Expired);
        }
        let latest = now.saturating_add(rules.leeway);
        let not_before = time(claims.object.member("nbf"))?;
        if not_before > latest || claims.issued_at > latest {
            return Err(Refusal::NotYetValid);
        }

        let longest = rules.max_lifetime.saturating_add(rules.leeway);
        if claims.expires_at.since(claims.issued_at) > longest {
            return Err(Refusal::Lifetime);
        }
        Ok(claims)
    }

    /// Reads the payload and checks the claims that don't depend on the time.
    ///
    /// A token that is refused here will never be accepted, so it doesn't need a revocation. An
    /// expired token, and one that isn't valid yet, pass.
    pub(crate) fn read_for_revocation(
        payload: &'t [u8],
        rules: &ClaimRules,
    ) -> Result<Self, Refusal> {
        let object = Object::parse(payload).ok_or(Refusal::Claims)?;
        let expires_at = time(object.member("exp"))?;
        let issued_at = time(object.member("iat"))?;
        time(object.member("nbf"))?;
        if !is_meant_for(object.member("aud"), &rules.audience) {
            return Err(Refusal::Audience);
        }
        if let Some(issuer) = &rules.issuer
            && !matches!(object.member("iss"), Some(Value::Text(text)) if **text == **issuer)
        {
            return Err(Refusal::Issuer);
        }
        if !object.text("jti").ok().flatten().is_some_and(is_token_id) {
            return Err(Refusal::Claims);
        }

        let session = match object.text("sid").map_err(|_| Refusal::Claims)? {
            None => None,
            Some(text) => Some(SessionId::canonical(text).ok_or(Refusal::Claims)?),
        };
        let fence = match object.text("fence").map_err(|_| Refusal::Claims)? {
            None => None,
            Some(text) => Some(Fence::parse(text).ok_or(Refusal::Claims)?),
        };

        let fingerprint_claim = Arc::clone(&rules.fingerprint_claim);
        Ok(Self {
            object,
            fingerprint_claim,
            issued_at,
            expires_at,
            session,
            fence,
        })
    }

    /// Returns `true` if the token has expired at `now`, with the leeway added to its life.
    pub(crate) fn is_over(&self, rules: &ClaimRules, now: Timestamp) -> bool {
        self.expires_at <= now.saturating_sub(rules.leeway)
    }

    /// Returns the token's id, the `jti` claim. Its form was checked when the claims were read.
    pub(crate) fn token_id(&self) -> &str {
        self.object.text("jti").ok().flatten().unwrap_or_default()
    }

    /// Returns the subject, or `None` if `sub` is missing, empty or not a string.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.object
            .text("sub")
            .ok()
            .flatten()
            .filter(|subject| !subject.is_empty())
    }

    /// Returns the session fingerprint, or `None` if the token has none. A fingerprint that isn't a
    /// string is refused with [`Refusal::Fingerprint`].
    pub(crate) fn fingerprint(&self) -> Result<Option<&str>, Refusal> {
        self.object
            .text(&self.fingerprint_claim)
            .map_err(|_| Refusal::Fingerprint)
    }
}

/// Reads a time claim in seconds since the Unix epoch. Fractions are dropped, as litestar-auth
/// drops them.
fn time(value: Option<&Value<'_>>) -> Result<Timestamp, Refusal> {
    let seconds = match value {
        Some(Value::Int(seconds)) => *seconds,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "dropping fractions is meant, and the cast saturates"
        )]
        Some(Value::Float(seconds)) => *seconds as i64,
        _ => return Err(Refusal::Claims),
    };

    if (0..=LAST_SECOND).contains(&seconds) {
        Ok(Timestamp::from_unix_seconds(seconds))
    } else {
        Err(Refusal::Claims)
    }
}

/// Returns `true` if `aud` is `ours`, or a list of strings that contains `ours`.
fn is_meant_for(audience: Option<&Value<'_>>, ours: &str) -> bool {
    match audience {
        Some(Value::Text(audience)) => audience == ours,
        Some(Value::List(audiences)) => {
            audiences
                .iter()
                .all(|audience| matches!(audience, Value::Text(_)))
                && audiences
                    .iter()
                    .any(|audience| matches!(audience, Value::Text(text) if text == ours))
        }
        _ => false,
    }
}

/// Returns `true` if a text can be a `jti`: 1 to 128 printable ASCII characters without spaces.
fn is_token_id(text: &str) -> bool {
    (1..=MAX_TOKEN_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The claims of a new token, in the order in which they are written.
///
/// The order is that of litestar-auth. `sid` is added if the token belongs to a session, and
/// `fence` if "log out everywhere" is to end the token together with the others of its user.
#[derive(Debug, Serialize)]
pub(crate) struct NewClaims<'a> {
    pub(crate) sub: &'a str,
    pub(crate) aud: &'a str,
    pub(crate) iat: i64,
    pub(crate) nbf: i64,
    pub(crate) exp: i64,
    pub(crate) jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<SessionText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fence: Option<FenceText>,
}

/// A fence in the form of a claim: 32 hexadecimal digits.
#[derive(Debug)]
pub(crate) struct FenceText(pub(crate) Fence);

impl Serialize for FenceText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_text())
    }
}

/// A session id in the form of a claim.
#[derive(Debug)]
pub(crate) struct SessionText(pub(crate) SessionId);

impl Serialize for SessionText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl NewClaims<'_> {
    /// Writes the claims as compact JSON in ASCII.
    ///
    /// `fingerprint` is the name and the value of the fingerprint claim, which comes last: its name
    /// is configured, so that it can't be a field of this type.
    pub(crate) fn to_json(&self, fingerprint: Option<(&str, &str)>) -> Result<Vec<u8>, Failure> {
        let mut json = serde_json::to_vec(self).map_err(unwritten)?;
        if let Some((name, value)) = fingerprint {
            json.pop();
            json.push(b',');
            serde_json::to_writer(&mut json, name).map_err(unwritten)?;
            json.push(b':');
            serde_json::to_writer(&mut json, value).map_err(unwritten)?;
            json.push(b'}');
        }

        Ok(if json.is_ascii() {
            json
        } else {
            escape_beyond_ascii(&json)
        })
    }
}

/// Returns the failure of a token whose claims can't be written.
fn unwritten(error: serde_json::Error) -> Failure {
    Failure::internal("token writer", error)
}

/// Writes every character beyond ASCII as a `\u` escape, as litestar-auth does.
///
/// Such characters can only be inside strings, so the document keeps its meaning.
fn escape_beyond_ascii(json: &[u8]) -> Vec<u8> {
    let mut escaped = String::with_capacity(json.len() * 2);
    for unit in String::from_utf8_lossy(json).encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => escaped.push(char::from(byte)),
            _ => {
                // Writing into a string can't fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped.into_bytes()
}
