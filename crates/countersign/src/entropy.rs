//! Randomness as a parameter: an [`Entropy`] source fills a buffer with random bytes.
//!
//! Everything that needs random bytes asks a source that was passed in, so that tests can repeat
//! them. The generator of the operating system is called in this file alone, and `clippy.toml`
//! refuses it elsewhere.

use std::fmt;

use crate::error::Failure;

/// A cryptographically secure source of random bytes.
///
/// Tokens, session ids, salts and keys are made of it. Builders use [`SystemEntropy`] by default,
/// and there is no reason to replace it outside of tests. `testing::SeededEntropy` (feature
/// `testing`) gives the same bytes in each run.
///
/// # Implementing
///
/// Every byte of the buffer must be unpredictable: whoever can guess the bytes can guess tokens. A
/// source that can't deliver must return an error and never fill the buffer with something else. It
/// may be called from several threads at once.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `buffer` with random bytes.
    ///
    /// # Errors
    /// [`Failure`] if the source can't deliver. The content of the buffer must not be used then.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), Failure>;
}

/// The random generator of the operating system.
///
/// An error of the generator is a [`Failure`] of the kind
/// [`Unavailable`](crate::error::FailureKind::Unavailable).
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to configure")]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's generator"
    )]
    fn fill(&self, buffer: &mut [u8]) -> Result<(), Failure> {
        getrandom::fill(buffer).map_err(|error| Failure::unavailable("random generator", error))
    }
}
