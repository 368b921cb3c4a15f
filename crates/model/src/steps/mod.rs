//! What a call does next. Each function is one atomic step: one statement, transaction or script of the store, or one
//! thing that a server does by itself.

pub mod denylist;
pub mod ending;
pub mod fence;
pub mod login;
pub mod refresh;
mod store;

pub use store::Opening;

use crate::call::Call;

/// What became of a call by a step.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// It goes on.
    Goes(Call),
    /// It is over.
    Over,
}

/// What a guarded write did.
#[derive(Clone, Copy, Debug)]
enum Guarded {
    /// It wrote, and this refresh token is the current one of its session.
    Wrote(u8),
    /// The guard didn't hold, and nothing was written.
    Refused,
}
