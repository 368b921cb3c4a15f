//! The founder of a session, which the checksum in its refresh tokens shows.

/// The length of a family in bytes. See [`Family`](super::Family).
pub(super) const FAMILY_BYTES: usize = 16;

/// The origin of a session's first refresh token. It decides if the session's tokens must have a
/// checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Founder {
    /// A login of this library. Each token has a checksum, and a text without a good one belongs to
    /// no session.
    Us,
    /// A login of an earlier system, whose text has no checksum: a damaged copy of its token can't
    /// be told from the token.
    Another,
}

impl Founder {
    /// Returns the bytes that precede the family's in its digest.
    pub(super) const fn label(self) -> &'static [u8] {
        match self {
            Self::Us => b"",
            Self::Another => b"founded elsewhere: ",
        }
    }
}

/// The checksum in the last bytes of a refresh token's random part, for texts that have no room for
/// another one.
pub(super) mod checksum {
    use super::Founder;

    /// The length of the checksum, in bytes.
    const LENGTH: usize = 4;

    /// Returns the CRC-32 of the bytes, inverted for another system's session: so a successor shows
    /// its founder.
    fn of(founder: Founder, bytes: &[u8]) -> [u8; LENGTH] {
        let sum = crc32fast::hash(bytes);
        match founder {
            Founder::Us => sum,
            Founder::Another => !sum,
        }
        .to_be_bytes()
    }

    /// Replaces the last bytes by the checksum of the bytes before them.
    pub(in crate::token) fn write(founder: Founder, bytes: &mut [u8]) {
        if let Some((random, sum)) = bytes.split_last_chunk_mut::<LENGTH>() {
            *sum = of(founder, random);
        }
    }

    /// Returns the founder whose checksum the bytes end with, if there is one.
    pub(in crate::token) fn founder(bytes: &[u8]) -> Option<Founder> {
        let (random, sum) = bytes.split_last_chunk::<LENGTH>()?;
        [Founder::Us, Founder::Another]
            .into_iter()
            .find(|founder| of(*founder, random) == *sum)
    }
}
