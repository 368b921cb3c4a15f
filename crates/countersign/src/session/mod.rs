//! Sessions as every layer names them: their ids, their clients and their settings.
//!
//! - A [`SessionId`] identifies a session, from its login to its end.
//! - [`ClientInfo`] describes the device of a login, for the list of sessions.
//! - [`Lifetimes`], [`ReusePolicy`] and [`SessionLimit`] are the settings of sessions.
//!
//! Nothing here reads or writes. [`SessionControl`](crate::strategy::SessionControl) shows and ends
//! sessions, and [`SessionRecord`](crate::store::SessionRecord) is what a store keeps of one.

mod client;
pub(crate) mod fence;
mod id;
mod policy;

pub use client::ClientInfo;
pub(crate) use fence::Fence;
pub use id::{NotASessionId, SessionId};
pub(crate) use policy::checked;
pub use policy::{Lifetimes, MAX_LIFETIME, ReusePolicy, SessionLimit, WhenFull};
