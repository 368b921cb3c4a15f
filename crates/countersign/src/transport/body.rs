//! The JSON body that hands tokens to their holder.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::error::Failure;
use crate::token::TokenPair;

/// The JSON body of an answer that issues tokens (RFC 6749 section 5.1).
///
/// Its members are `access_token`, `token_type` (always `bearer`), `expires_in` (the life of the
/// access token in whole seconds) and, if the strategy has sessions, `refresh_token`. Its `Debug`
/// output shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenBody(Bytes);

/// The members, in the order in which they are written.
#[derive(Serialize)]
struct Fields<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl TokenBody {
    /// Creates the body for `tokens`.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the tokens can't be written as JSON.
    pub fn new(tokens: &TokenPair) -> Result<Self, Failure> {
        let fields = Fields {
            access_token: tokens.access.token.expose(),
            token_type: "bearer",
            expires_in: tokens.access.life().as_secs(),
            refresh_token: tokens
                .refresh
                .as_ref()
                .map(|refresh| refresh.token.expose()),
        };
        let json = serde_json::to_vec(&fields)
            .map_err(|error| Failure::internal("token answer", error))?;
        Ok(Self(json.into()))
    }

    /// Returns the bytes of the body, whose content type is `application/json`.
    ///
    /// They hold the tokens: keep them out of logs.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for TokenBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenBody(..)")
    }
}
