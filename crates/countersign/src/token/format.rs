//! The form of an opaque token's text: prefix, locator, random part, checksum.
//!
//! A text that isn't well-formed is refused by parsing alone, before any store is asked. So junk
//! costs no lookup.

use std::borrow::Cow;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::error::{ConfigError, Failure, Refusal};
use crate::profile::Profile;
use crate::token::founder::{FAMILY_BYTES, Founder, checksum as family_checksum};
use crate::token::{Locator, PlainToken, TokenShape};

/// The maximum length of a text that is looked up as an opaque token, in bytes.
const MAX_OPAQUE_LENGTH: usize = 1024;

/// The range of the number of random bytes in a token.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 16..=128;

/// The minimum number of random bytes in a refresh token. The first 16 are its family.
const REFRESH_BYTES: usize = 2 * FAMILY_BYTES;

/// The kind of a token. A token of one kind is never accepted as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two kinds of tokens")]
pub enum TokenKind {
    /// A token that is presented with each request.
    Access,
    /// A token that is exchanged for a new access token and its own successor.
    Refresh,
}

impl TokenKind {
    /// Returns the prefix of tokens of this kind in the `countersign` profile. These never change.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "csa_",
            Self::Refresh => "csr_",
        }
    }
}

/// The form in which opaque tokens are written and checked.
///
/// With [`Profile::Countersign`] a token is
///
/// ```text
/// csa_ [locator .] random checksum
/// ```
///
/// - The prefix is `csa_` for access tokens and `csr_` for refresh tokens.
/// - The [`Locator`] and a full stop are there if the store needs them to find the record.
/// - The random bytes are in unpadded base64url.
/// - The checksum is the CRC-32 of all that precedes it, as 8 lower-case hexadecimal digits.
///
/// With [`Profile::LitestarAuth`] there is neither prefix nor checksum, and any text that isn't
/// empty is looked up. The last 4 of a refresh token's random bytes are the CRC-32 of the others
/// then, so that a damaged token is never taken for one that was used twice.
///
/// The first 16 random bytes of a refresh token are its family, which its successors keep.
///
/// # Examples
///
/// ```
/// use countersign::token::{TokenFormat, TokenKind};
/// use countersign::{PlainToken, Profile, SystemEntropy};
///
/// let format = TokenFormat::new(Profile::Countersign, 32)?;
/// let token = format.generate(TokenKind::Access, None, &SystemEntropy)?;
/// assert!(token.expose().starts_with("csa_") && token.expose().len() == 55);
/// assert!(format.check(TokenKind::Access, &token).is_ok());
/// assert!(format.check(TokenKind::Refresh, &token).is_err());
/// assert!(format.check(TokenKind::Access, &PlainToken::new("csa_junk")).is_err());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokenFormat {
    profile: Profile,
    token_bytes: usize,
}

impl TokenFormat {
    /// Creates a format for tokens of `token_bytes` random bytes.
    ///
    /// 32 bytes, which are 43 characters, are the usual number. Refresh tokens always have at least
    /// 32.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names `token_bytes` if it isn't 16 to 128.
    pub fn new(profile: Profile, token_bytes: usize) -> Result<Self, ConfigError> {
        if !TOKEN_BYTES.contains(&token_bytes) {
            return Err(ConfigError::new(
                "token_bytes",
                "must be 16 to 128 bytes",
                "use the default of 32",
            ));
        }
        Ok(Self {
            profile,
            token_bytes,
        })
    }

    /// Creates a format for a number of bytes that is known to be in range.
    pub(crate) const fn standard(profile: Profile, token_bytes: usize) -> Self {
        Self {
            profile,
            token_bytes,
        }
    }

    /// Generates a new token of `kind`.
    ///
    /// `locator` is what the store's [`TokenStore::locator`](crate::store::TokenStore::locator)
    /// asks for; a store that finds tokens by their digest needs none.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the entropy source can't deliver. No token exists then.
    pub fn generate(
        &self,
        kind: TokenKind,
        locator: Option<Locator>,
        entropy: &dyn Entropy,
    ) -> Result<PlainToken, Failure> {
        let mut bytes = Zeroizing::new(vec![0; self.bytes_of(kind)]);
        entropy.fill(&mut bytes)?;
        Ok(self.spell(kind, locator, Founder::Us, &mut bytes))
    }

    /// Returns the number of random bytes in a token of `kind`.
    pub(crate) fn bytes_of(&self, kind: TokenKind) -> usize {
        match kind {
            TokenKind::Access => self.token_bytes,
            TokenKind::Refresh => self.token_bytes.max(REFRESH_BYTES),
        }
    }

    /// Writes these bytes as a token. The last of them may become a checksum.
    pub(super) fn spell(
        &self,
        kind: TokenKind,
        locator: Option<Locator>,
        founder: Founder,
        bytes: &mut [u8],
    ) -> PlainToken {
        // Only the other profile has room for a checksum in the text.
        if self.profile == Profile::LitestarAuth && kind == TokenKind::Refresh {
            family_checksum::write(founder, bytes);
        }

        let place = locator
            .map(|locator| format!("{}.", locator.to_text()))
            .unwrap_or_default();
        let body = Zeroizing::new(place + &Zeroizing::new(BASE64URL_NOPAD.encode(bytes)));
        match self.profile {
            Profile::LitestarAuth => PlainToken::new(body.as_str()),
            Profile::Countersign => PlainToken::new(with_checksum(&format!(
                "{}{}",
                kind.prefix(),
                body.as_str()
            ))),
        }
    }

    /// Returns the random part of a token's text in either profile, and `true` if a good checksum
    /// follows it.
    pub(super) fn random_part(kind: TokenKind, text: &str) -> (&str, bool) {
        let split = text
            .len()
            .checked_sub(CHECKSUM_LENGTH)
            .and_then(|at| text.split_at_checked(at));
        let bare = split.and_then(|(body, sum)| {
            Some((
                body.strip_prefix(kind.prefix())?,
                sum.as_bytes() == checksum(body),
            ))
        });

        let (body, is_checked) = bare.unwrap_or((text, false));
        (
            body.split_once('.').map_or(body, |(_, random)| random),
            is_checked,
        )
    }

    /// Checks that `token` can be a token of `kind`, by its text alone.
    ///
    /// Passing the check doesn't make a token valid: a store must know it.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLong`] if the text is longer than 1024 bytes, and [`Refusal::Malformed`] if it
    /// has another form, another kind or a bad checksum. Don't ask a store then.
    pub fn check(&self, kind: TokenKind, token: &PlainToken) -> Result<(), Refusal> {
        let text = token.expose();
        if text.len() > MAX_OPAQUE_LENGTH {
            return Err(Refusal::TooLong);
        }

        let well_formed = match self.profile {
            Profile::LitestarAuth => !text.is_empty(),
            Profile::Countersign => self.is_well_formed(kind, text),
        };
        if well_formed {
            Ok(())
        } else {
            Err(Refusal::Malformed)
        }
    }

    /// Returns the shape of access tokens in this format, by which an authenticator selects a
    /// backend.
    pub const fn access_shape(&self) -> TokenShape {
        match self.profile {
            Profile::Countersign => TokenShape::Prefix(Cow::Borrowed(TokenKind::Access.prefix())),
            Profile::LitestarAuth => TokenShape::Any,
        }
    }

    fn is_well_formed(&self, kind: TokenKind, text: &str) -> bool {
        let Some((body, sum)) = text.split_at_checked(text.len().saturating_sub(CHECKSUM_LENGTH))
        else {
            return false;
        };
        let Some(rest) = body.strip_prefix(kind.prefix()) else {
            return false;
        };
        let random = match rest.split_once('.') {
            None => rest,
            Some((locator, random)) if Locator::parse(locator).is_some() => random,
            Some(_) => return false,
        };

        // This runs for every request, so it uses the stack and allocates nothing.
        let mut buffer = Zeroizing::new([0; *TOKEN_BYTES.end()]);
        let length = BASE64URL_NOPAD
            .decode_len(random.len())
            .ok()
            .filter(|length| *length == self.bytes_of(kind));
        let Some(bytes) = length.and_then(|length| buffer.get_mut(..length)) else {
            return false;
        };
        BASE64URL_NOPAD.decode_mut(random.as_bytes(), bytes).is_ok()
            && sum.as_bytes() == checksum(body)
    }
}

/// The length of the checksum in characters.
const CHECKSUM_LENGTH: usize = 8;

fn with_checksum(body: &str) -> String {
    body.chars().chain(checksum(body).map(char::from)).collect()
}

fn checksum(body: &str) -> [u8; CHECKSUM_LENGTH] {
    let mut digits = [0; CHECKSUM_LENGTH];
    HEXLOWER.encode_mut(&crc32fast::hash(body.as_bytes()).to_be_bytes(), &mut digits);
    digits
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::session::SessionId;

    fn format(profile: Profile, bytes: usize) -> TokenFormat {
        TokenFormat::new(profile, bytes).unwrap()
    }

    /// Conformance cases 003 and 009.
    #[test]
    fn original_text_is_bare_base64url() {
        let original = format(Profile::LitestarAuth, 32);
        let tokens: HashSet<String> = (0..10_000)
            .map(|_| {
                original
                    .generate(TokenKind::Access, None, &SystemEntropy)
                    .unwrap()
                    .expose()
                    .to_owned()
            })
            .collect();
        assert_eq!(tokens.len(), 10_000);
        let url_safe = |token: &String| {
            token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        assert!(
            tokens
                .iter()
                .all(|token| token.len() == 43 && url_safe(token))
        );
        assert!(TokenFormat::new(Profile::LitestarAuth, 15).is_err());
        assert!(TokenFormat::new(Profile::LitestarAuth, 0).is_err());
    }

    #[test]
    fn a_text_names_its_place() {
        let place = Locator::new([255; 12], None);
        let session = SessionId::generate(&SystemEntropy).unwrap();
        for (locator, length) in [(place, 72), (place.with_session(Some(session)), 94)] {
            for profile in [Profile::Countersign, Profile::LitestarAuth] {
                let format = format(profile, 32);
                let token = format
                    .generate(TokenKind::Refresh, Some(locator), &SystemEntropy)
                    .unwrap();
                assert_eq!(format.check(TokenKind::Refresh, &token), Ok(()));
                assert_eq!(Locator::of(token.expose()), Some(locator));
                let decoration = if profile == Profile::Countersign {
                    0
                } else {
                    12
                };
                assert_eq!(token.expose().len() + decoration, length);
            }
        }
        for text in [
            "",
            ".",
            "a.b",
            "csa_.x",
            "csa_AAAA.x",
            "AAAAAAAAAAAAAAA=.x",
            "AAAAAAAAAAAAAAAAA.x",
        ] {
            assert_eq!(Locator::of(text), None, "{text}");
        }
    }

    #[test]
    fn kinds_do_not_mix_and_every_altered_character_shows() {
        let ours = format(Profile::Countersign, 32);
        let token = ours
            .generate(TokenKind::Access, None, &SystemEntropy)
            .unwrap();
        assert_eq!(token.expose().len(), 55);
        assert_eq!(ours.check(TokenKind::Access, &token), Ok(()));
        assert_eq!(
            ours.check(TokenKind::Refresh, &token),
            Err(Refusal::Malformed)
        );
        for at in 0..token.expose().len() {
            let mut bytes = token.expose().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let altered = PlainToken::new(String::from_utf8(bytes).unwrap());
            assert_eq!(
                ours.check(TokenKind::Access, &altered),
                Err(Refusal::Malformed),
                "at {at}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in ".{0,80}") {
            let token = PlainToken::new(text);
            for kind in [TokenKind::Access, TokenKind::Refresh] {
                prop_assert!(format(Profile::Countersign, 32).check(kind, &token).is_err());
            }
        }
    }
}
