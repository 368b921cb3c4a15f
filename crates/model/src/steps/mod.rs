//! What a call does next. Each function is one atomic step: one statement, transaction or script of the store, or one
//! thing that a server does by itself.

pub mod ending;
pub mod login;
pub mod refresh;
mod store;

use crate::call::Call;

/// What became of a call by a step.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// It goes on.
    Goes(Call),
    /// It is over.
    Over,
}
