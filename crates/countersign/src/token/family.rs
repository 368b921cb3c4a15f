//! Families and successors of refresh tokens.
//!
//! All refresh tokens of a session begin with the same 16 random bytes, their *family*. A session's
//! record holds the digest of the family, so any refresh token that was ever issued in the session
//! leads to it, however often it was rotated since. That is the base of reuse detection.
//!
//! A *successor* isn't stored. It is derived from the text of the presented token and a random
//! salt, so that a retry gets the same successor again, and a store that is read yields no token.
//! `docs/SESSIONS.md` describes the protocol.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::token::digest::DigestKey;
use crate::token::founder::{FAMILY_BYTES, Founder, checksum};
use crate::token::{Digest, DigestKeyRing, Locator, PlainToken, TokenFormat, TokenKind};

/// The bytes with which every refresh token of a session begins, and the founder of the session's
/// first token.
///
/// A text with these bytes shows that its holder once held a token of that session, and not a
/// damaged copy of one.
#[derive(Clone)]
pub(crate) struct Family {
    bytes: Zeroizing<[u8; Self::BYTES]>,
    founder: Founder,
}

impl Family {
    /// The length of a family, in bytes.
    pub(crate) const BYTES: usize = FAMILY_BYTES;

    /// Returns the family of any text.
    ///
    /// A text without the form of this library's refresh tokens, as an earlier system's may be, has
    /// a family of its own: the start of its SHA-256.
    pub(crate) fn of(token: &PlainToken) -> Self {
        let (random, is_checked) = TokenFormat::random_part(TokenKind::Refresh, token.expose());
        let decoded = Zeroizing::new(
            BASE64URL_NOPAD
                .decode(random.as_bytes())
                .unwrap_or_default(),
        );
        let of_our_form = decoded.len() >= 2 * Self::BYTES;

        match decoded.first_chunk() {
            Some(bytes) if of_our_form => {
                // In the `countersign` profile the text itself has a checksum, outside of the
                // random bytes.
                let own = if is_checked {
                    Some(Founder::Us)
                } else {
                    checksum::founder(&decoded)
                };
                Self {
                    bytes: Zeroizing::new(*bytes),
                    founder: own.unwrap_or(Founder::Another),
                }
            }
            _ => {
                let hash: [u8; 32] = Sha256::digest(token.expose()).into();
                let bytes = Zeroizing::new(hash.first_chunk().copied().unwrap_or_default());
                Self {
                    bytes,
                    founder: Founder::Another,
                }
            }
        }
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Family(..)")
    }
}

impl DigestKeyRing {
    /// Returns every digest under which a family may be stored, the active key's first, for a text
    /// that names this place.
    pub(crate) fn families<'a>(
        &'a self,
        family: &'a Family,
        locator: Option<Locator>,
    ) -> impl Iterator<Item = Digest> + Send + 'a {
        self.keys().map(move |key| {
            let labelled = key.families.clone().chain_update(family.founder.label());
            let bytes = labelled.chain_update(*family.bytes).finalize().into_bytes();
            Digest::of(&bytes.into(), locator)
        })
    }

    /// Returns a possible successor of `presented` for each key, the active key's first.
    ///
    /// Which of them was issued shows by comparing its digest with the session's record.
    pub(crate) fn successors<'a>(
        &'a self,
        salt: &'a [u8; 16],
        presented: &'a PlainToken,
    ) -> impl Iterator<Item = Successor> + Send + 'a {
        self.keys().map(move |key: &DigestKey| {
            let text = key
                .successors
                .clone()
                .chain_update(salt)
                .chain_update(presented.expose());
            Successor {
                family: Family::of(presented),
                mac: text,
            }
        })
    }
}

/// The successor of a refresh token, and of the access token that comes with it.
///
/// The same token, salt and key always give the same successor. It can't be computed without the
/// token's text.
pub(crate) struct Successor {
    family: Family,
    mac: Hmac<Sha256>,
}

impl Successor {
    /// Returns the token of `kind` for this place.
    ///
    /// An access token consists of derived bytes. A refresh token starts with the family and goes
    /// on with derived bytes.
    pub(crate) fn token(
        &self,
        format: &TokenFormat,
        kind: TokenKind,
        locator: Option<Locator>,
    ) -> PlainToken {
        let mut bytes = Zeroizing::new(vec![0; format.bytes_of(kind)]);
        let own = match kind {
            TokenKind::Access => &mut bytes[..],
            TokenKind::Refresh => match bytes.split_first_chunk_mut() {
                None => &mut [],
                Some((family, own)) => {
                    *family = *self.family.bytes;
                    own
                }
            },
        };

        // One HMAC gives 32 bytes. Longer tokens take more of them, each with its number.
        for (number, block) in (0_u8..).zip(own.chunks_mut(32)) {
            let kind = if kind == TokenKind::Access {
                b'a'
            } else {
                b'r'
            };

            let derived: [u8; 32] = self
                .mac
                .clone()
                .chain_update([kind, number])
                .finalize()
                .into_bytes()
                .into();
            for (to, from) in block.iter_mut().zip(derived) {
                *to = from;
            }
        }
        format.spell(kind, locator, self.family.founder, &mut bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::profile::Profile;
    use crate::secret::Secret;

    fn ring(secret: &str) -> DigestKeyRing {
        DigestKeyRing::new("k", &Secret::new("token_hash_secret", secret).unwrap()).unwrap()
    }

    fn only<T>(mut all: impl Iterator<Item = T>) -> T {
        all.next().unwrap()
    }

    #[test]
    fn a_successor_is_of_the_same_family_and_of_the_text_alone() {
        let ours = ring("pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc");
        for (profile, bytes) in [
            (Profile::Countersign, 32),
            (Profile::LitestarAuth, 16),
            (Profile::Countersign, 128),
        ] {
            let format = TokenFormat::new(profile, bytes).unwrap();
            let first = format
                .generate(TokenKind::Refresh, None, &SystemEntropy)
                .unwrap();
            let next = |ring: &DigestKeyRing, salt, token: &PlainToken, kind| {
                only(ring.successors(&salt, token)).token(&format, kind, None)
            };
            let second = next(&ours, [1; 16], &first, TokenKind::Refresh);
            assert_eq!(format.check(TokenKind::Refresh, &second), Ok(()));
            assert_eq!(second.expose().len(), first.expose().len());
            assert_eq!(*Family::of(&second).bytes, *Family::of(&first).bytes);
            assert_eq!(Family::of(&second).founder, Founder::Us);
            assert_eq!(next(&ours, [1; 16], &first, TokenKind::Refresh), second);
            let access = next(&ours, [1; 16], &first, TokenKind::Access);
            assert_eq!(format.check(TokenKind::Access, &access), Ok(()));
            let other_salt = next(&ours, [2; 16], &first, TokenKind::Refresh);
            let other_secret = next(
                &ring("another-secret-of-thirty-two-or-more"),
                [1; 16],
                &first,
                TokenKind::Refresh,
            );
            let other_token = next(&ours, [1; 16], &second, TokenKind::Refresh);
            let all = [first, second, other_salt, other_secret, other_token];
            let different: std::collections::HashSet<_> =
                all.iter().map(PlainToken::expose).collect();
            assert_eq!(different.len(), all.len());
        }
    }

    /// Whichever character is damaged, the text belongs to no family of ours.
    #[test]
    fn a_damaged_token_is_of_no_family() {
        let ours = ring("pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc");
        for bytes in [16, 32, 48, 128] {
            let format = TokenFormat::new(Profile::LitestarAuth, bytes).unwrap();
            let first = format
                .generate(TokenKind::Refresh, None, &SystemEntropy)
                .unwrap();
            let second =
                only(ours.successors(&[7; 16], &first)).token(&format, TokenKind::Refresh, None);
            let family = |token: &PlainToken| only(ours.families(&Family::of(token), None));
            assert_eq!(family(&first), family(&second));
            for token in [&first, &second] {
                for at in 0..token.expose().len() {
                    for other in ['A', 'B', '_', '-', '0', 'z'] {
                        let mut text: Vec<char> = token.expose().chars().collect();
                        text[at] = other;
                        let damaged = PlainToken::new(text.into_iter().collect::<String>());
                        assert_eq!(
                            family(&damaged) == family(&first),
                            damaged == *token,
                            "{at} {other}"
                        );
                    }
                }
            }
        }
    }

    /// An earlier system's token has no checksum; what follows on it says so, and is of its family.
    #[test]
    fn what_follows_on_another_systems_token_has_a_checksum() {
        let ours = ring("pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc");
        let format = TokenFormat::new(Profile::LitestarAuth, 32).unwrap();
        let family = |token: &PlainToken| only(ours.families(&Family::of(token), None));
        for text in [BASE64URL_NOPAD.encode(&[9; 32]), "legacy-token".to_owned()] {
            let first = PlainToken::new(text);
            let second =
                only(ours.successors(&[7; 16], &first)).token(&format, TokenKind::Refresh, None);
            let third =
                only(ours.successors(&[8; 16], &second)).token(&format, TokenKind::Refresh, None);
            assert!(
                [&second, &third]
                    .into_iter()
                    .all(|token| family(token) == family(&first))
            );
            assert_eq!(Family::of(&third).founder, Founder::Another);
        }
    }

    #[test]
    fn long_tokens_do_not_repeat_themselves() {
        let format = TokenFormat::new(Profile::LitestarAuth, 128).unwrap();
        let first = format
            .generate(TokenKind::Refresh, None, &SystemEntropy)
            .unwrap();
        let second = only(ring("pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").successors(&[0; 16], &first));
        let bytes = BASE64URL_NOPAD
            .decode(
                second
                    .token(&format, TokenKind::Refresh, None)
                    .expose()
                    .as_bytes(),
            )
            .unwrap();
        let blocks: std::collections::HashSet<_> = bytes.chunks(16).collect();
        assert_eq!(blocks.len(), 8);
    }

    #[test]
    fn families_are_told_apart() {
        let ours = ring("pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc");
        let digest = |text: &str| only(ours.families(&Family::of(&PlainToken::new(text)), None));
        let texts = [
            "",
            "a",
            "legacy-token",
            &"A".repeat(42),
            &"A".repeat(43),
            &"B".repeat(43),
            "csr_",
            "csr_é",
            ".",
        ];
        for (at, text) in texts.iter().enumerate() {
            assert!(
                texts
                    .iter()
                    .skip(at + 1)
                    .all(|other| digest(text) != digest(other)),
                "{text}"
            );
        }
        assert!(digest("a") != ours.digest(&PlainToken::new("a")));
    }
}
