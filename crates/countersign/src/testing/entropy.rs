//! Randomness that repeats.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::entropy::Entropy;
use crate::error::Failure;

/// The same bytes for the same seed, on every machine: SHA-256 of the seed and a counter. Never for production.
///
/// ```
/// use countersign::testing::SeededEntropy;
/// use countersign::{Entropy, SessionId};
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
    /// The stream of bytes that belongs to `seed`, from its start.
    pub const fn new(seed: u64) -> Self {
        Self { seed, blocks: AtomicU64::new(0) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), Failure> {
        for piece in buffer.chunks_mut(32) {
            let block = self.blocks.fetch_add(1, Ordering::SeqCst);
            let bytes =
                Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(block.to_be_bytes()).finalize();
            for (to, from) in piece.iter_mut().zip(bytes) {
                *to = from;
            }
        }
        Ok(())
    }
}

/// Hides the seed: it foretells every token.
impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededEntropy(..)")
    }
}
