//! Sessions as every layer names them: their ids, their clients, their lifetimes and their fences.
//!
//! Nothing here reads or writes. The steps of a session (opening, rotation, endings) are in
//! `strategy::sessions`, and its records are in `store::record`.
//!
//! - `id.rs` is the identifier of a session.
//! - `client.rs` is what a login tells of its device.
//! - `policy.rs` holds lifetimes, the reuse policy, and the limit on sessions of one user.
//! - `fence.rs` is the value that ends everything of a user when it is replaced.

mod client;
mod fence;
mod id;
mod policy;

pub use client::Client;
pub use fence::Fence;
pub use id::{NotASessionId, SessionId};
#[cfg(any(feature = "jwt", feature = "redis"))]
pub(crate) use policy::checked;
pub use policy::{Lifetimes, MAX_LIFETIME, ReusePolicy, SessionCap, WhenFull};
