//! The exchanged refresh tokens that a session's record remembers: enough to answer a retry, and
//! never a token.
//!
//! A strategy builds the list with [`Consumed::since`] and [`Consumed::and`] before each rotation.
//! A store keeps it as text and doesn't look into it.

use data_encoding::HEXLOWER;

use crate::clock::Timestamp;
use crate::token::Digest;

/// The random bytes that a successor is derived from, together with the text of the token that it
/// replaces.
pub type Salt = [u8; 16];

/// A refresh token that was exchanged for its successor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the form that is stored")]
pub struct ConsumedToken {
    /// The digest of the token.
    pub digest: Digest,
    /// The time of the exchange.
    pub at: Timestamp,
    /// The salt that the successor was derived with. It isn't a secret: without the token's text it
    /// yields nothing.
    pub salt: Salt,
}

/// The tokens of a session that were exchanged last, the latest at the end.
///
/// There are at most [`MOST`](Self::MOST). When a client retries a refresh within the window (see
/// [`ReusePolicy`](crate::ReusePolicy)), the entry of its token yields the same successor again.
///
/// # Examples
///
/// ```
/// use countersign::store::{Consumed, ConsumedToken};
/// use countersign::token::DigestKeyRing;
/// use countersign::{PlainToken, Secret, SystemEntropy, Timestamp};
///
/// let digests = DigestKeyRing::new("2026-11", &Secret::generate(&SystemEntropy)?)?;
/// let digest = digests.digest(&PlainToken::new("csr_wZ5…"));
/// let at = Timestamp::from_micros(7);
/// let consumed = Consumed::default().and(ConsumedToken { digest, at, salt: [0; 16] });
/// assert_eq!(Consumed::parse(&consumed.to_text()), Some(consumed));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumed(Vec<ConsumedToken>);

impl Consumed {
    /// The maximum number of tokens that are kept.
    pub const MOST: usize = 8;

    /// The maximum length of [`to_text`](Self::to_text), in bytes.
    pub const MAX_LENGTH: usize = Self::MOST * 120;

    /// Returns the tokens, the latest at the end.
    pub fn tokens(&self) -> &[ConsumedToken] {
        &self.0
    }

    /// Drops the tokens at the front that were exchanged at or before `moment`.
    ///
    /// Returns the first token that was exchanged later and all that follow it, even those with an
    /// earlier time: a clock may have been set back between two exchanges, and each token must stay
    /// next to its successor.
    #[must_use]
    pub fn since(mut self, moment: Timestamp) -> Self {
        // Only a prefix is dropped: a later entry with an earlier time is some token's successor.
        let over = self.0.iter().take_while(|token| token.at <= moment).count();
        self.0.drain(..over);
        self
    }

    /// Appends `token`, and drops the first tokens if there are more than [`MOST`](Self::MOST).
    #[must_use]
    pub fn and(mut self, token: ConsumedToken) -> Self {
        if self.0.len() >= Self::MOST {
            self.0.drain(..=self.0.len() - Self::MOST);
        }
        self.0.push(token);
        self
    }

    /// Returns the form that stores keep: `microseconds:salt:digest` for each token, separated by
    /// commas.
    ///
    /// The salt has 32 hexadecimal digits and the digest 64. No tokens give the empty text.
    pub fn to_text(&self) -> String {
        self.0.iter().map(token_text).collect::<Vec<_>>().join(",")
    }

    /// Parses the text of [`to_text`](Self::to_text). Returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let tokens: Option<Vec<_>> = text.split(',').map(parse_token).collect();
        tokens.filter(|tokens| tokens.len() <= Self::MOST).map(Self)
    }
}

/// Returns the form that stores keep of one token.
fn token_text(token: &ConsumedToken) -> String {
    format!(
        "{}:{}:{}",
        token.at.as_micros(),
        HEXLOWER.encode(&token.salt),
        token.digest.as_str()
    )
}

/// Parses the text of one token.
fn parse_token(text: &str) -> Option<ConsumedToken> {
    let mut parts = text.split(':');
    let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
    let salt = HEXLOWER
        .decode(parts.next()?.as_bytes())
        .ok()?
        .try_into()
        .ok()?;
    let digest = Digest::parse(parts.next()?)?;
    parts
        .next()
        .is_none()
        .then_some(ConsumedToken { digest, at, salt })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(at: i64) -> ConsumedToken {
        ConsumedToken {
            digest: Digest::parse(&"0f".repeat(32)).unwrap(),
            at: Timestamp::from_micros(at),
            salt: [u8::try_from(at.rem_euclid(256)).unwrap(); 16],
        }
    }

    #[test]
    fn keeps_the_last() {
        let all = (0..20).fold(Consumed::default(), |consumed, at| consumed.and(token(at)));
        let kept: Vec<_> = all
            .tokens()
            .iter()
            .map(|token| token.at.as_micros())
            .collect();
        assert_eq!(kept, (12..20).collect::<Vec<_>>());
        assert_eq!(
            all.since(Timestamp::from_micros(17)).tokens(),
            [token(18), token(19)]
        );
        let set_back = [20, 5, 21]
            .into_iter()
            .fold(Consumed::default(), |consumed, at| consumed.and(token(at)));
        assert_eq!(
            set_back.since(Timestamp::from_micros(17)).tokens(),
            [token(20), token(5), token(21)]
        );
        let longest = (0..8).fold(Consumed::default(), |consumed, at| {
            consumed.and(token(i64::MIN + at))
        });
        assert!(longest.to_text().len() <= Consumed::MAX_LENGTH);
        assert_eq!(Consumed::parse(&longest.to_text()), Some(longest));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[0-9a-f:,-]{0,200}") {
            if let Some(consumed) = Consumed::parse(&text) {
                prop_assert_eq!(Consumed::parse(&consumed.to_text()), Some(consumed));
            }
        }
    }
}
