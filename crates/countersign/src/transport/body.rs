//! The body that hands tokens to their holder.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::answer::TokenPair;
use crate::error::Failure;

/// The JSON of a token answer: `access_token`, `token_type` (`bearer`), `expires_in` (seconds) and, when the strategy
/// has sessions, `refresh_token` (RFC 6749 section 5.1).
///
/// Its `Debug` shows nothing (promise P7).
#[derive(Clone, PartialEq, Eq)]
pub struct TokenBody(Bytes);

#[derive(Serialize)]
struct Fields<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl TokenBody {
    /// The body for `tokens`.
    ///
    /// # Errors
    /// [`Failure`] when the tokens can't be written as JSON.
    pub fn new(tokens: &TokenPair) -> Result<Self, Failure> {
        let fields = Fields {
            access_token: tokens.access.token.expose(),
            token_type: "bearer",
            expires_in: tokens.access.expires_at.since(tokens.issued_at).as_secs(),
            refresh_token: tokens.refresh.as_ref().map(|refresh| refresh.token.expose()),
        };
        let json = serde_json::to_vec(&fields).map_err(|error| Failure::internal("token answer", error))?;
        Ok(Self(json.into()))
    }

    /// The body's bytes, `application/json`. Whoever asks for them must not let them reach a log.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for TokenBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenBody(..)")
    }
}
