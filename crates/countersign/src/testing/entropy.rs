//! The source of randomness for tests, which repeats its bytes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::entropy::Entropy;
use crate::error::Failure;

/// A source of randomness that yields the same bytes for the same seed, on every machine.
///
/// The bytes are SHA-256 digests of the seed and a counter. Every call takes the next ones, so the
/// order of calls matters. Use it in tests whose tokens, ids and salts must be known beforehand.
///
/// **Never use it in production**: whoever knows the seed knows every token. Use
/// [`SystemEntropy`](crate::SystemEntropy) there.
///
/// # Examples
///
/// ```
/// use countersign::testing::SeededEntropy;
/// use countersign::entropy::Entropy;
/// use countersign::SessionId;
///
/// let first = SessionId::generate(&SeededEntropy::new(7))?;
/// assert_eq!(SessionId::generate(&SeededEntropy::new(7))?, first);
/// assert_ne!(SessionId::generate(&SeededEntropy::new(8))?, first);
/// # Ok::<_, countersign::Failure>(())
/// ```
pub struct SeededEntropy {
    seed: u64,
    blocks: AtomicU64,
}

impl SeededEntropy {
    /// Creates a source that starts at the beginning of the bytes of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            blocks: AtomicU64::new(0),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), Failure> {
        // A call always starts with a new block: the rest of the last block is dropped.
        for piece in buffer.chunks_mut(32) {
            let block = self.blocks.fetch_add(1, Ordering::SeqCst);
            let bytes = Sha256::new()
                .chain_update(self.seed.to_be_bytes())
                .chain_update(block.to_be_bytes())
                .finalize();
            for (to, from) in piece.iter_mut().zip(bytes) {
                *to = from;
            }
        }
        Ok(())
    }
}

/// Hides the seed, because the seed yields every token.
impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededEntropy(..)")
    }
}
