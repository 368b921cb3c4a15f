//! Randomness is passed in: everything that needs random bytes asks an [`Entropy`] source, and the operating system's
//! generator is called in this file alone.

use std::fmt;

use crate::error::Failure;

/// A cryptographically secure source of random bytes.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `buffer` with random bytes.
    ///
    /// # Errors
    /// [`Failure`] when the source can't deliver; the buffer is then not to be used.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), Failure>;
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's generator")]
    fn fill(&self, buffer: &mut [u8]) -> Result<(), Failure> {
        getrandom::fill(buffer).map_err(|error| Failure::unavailable("random generator", error))
    }
}
