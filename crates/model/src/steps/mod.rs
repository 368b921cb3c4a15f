//! The steps of the calls.
//!
//! Each function does one atomic step: one statement, transaction or script of the store, or one
//! thing that a server does by itself. It changes the state in place and returns the call's next
//! state. Nothing may be split off from a step, or moved from one into another, unless the stores
//! do so as well.

pub mod denylist;
pub mod ending;
pub mod fence;
pub mod login;
pub mod refresh;
mod store;

pub use store::Opening;

use crate::call::Call;

/// The state of a call after a step.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// The call goes on.
    Goes(Call),
    /// The call is over.
    Over,
}

/// The result of a guarded write.
#[derive(Clone, Copy, Debug)]
enum Guarded {
    /// The write took place, and this refresh token is its session's current one.
    Wrote(u8),
    /// The guard did not hold, and nothing was written.
    Refused,
}
