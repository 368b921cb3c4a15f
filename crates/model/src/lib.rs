//! The session protocol of `docs/SESSIONS.md` as a state machine.

pub mod call;
pub mod configurations;
pub mod mutant;
pub mod properties;
pub mod protocol;
pub mod report;
pub mod search;
pub mod settings;
pub mod slots;
pub mod state;
pub mod steps;

pub use mutant::Mutant;
pub use protocol::{Action, Protocol};
pub use settings::Settings;
