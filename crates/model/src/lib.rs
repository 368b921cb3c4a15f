//! The session protocol of `docs/SESSIONS.md` as a state machine, and an exhaustive search of its states for the
//! promises P1 to P5. `cargo run -p model --release` searches all of it, and every protocol with one guard broken.
//!
//! # What is a step
//!
//! A state is the store, the calls under way, what holders hold, and what really happened. Any call may take its next
//! step at any time, or be forgotten: a crash before a write and a lost answer are the same to it. The clock may move
//! between any two steps. One step is what one statement, transaction or script does:
//!
//! | `docs/SESSIONS.md` | here | in the code |
//! |---|---|---|
//! | fence read, login | [`steps::login`]: begin, password, guarded insert, answer | a read; the store's guarded insert |
//! | look | [`steps::refresh`]: one read of the record, by the family | `TokenStore::find_refresh` |
//! | rotate | the compare-and-set, then the answer; who loses looks again | `TokenStore::rotate` |
//! | retry | the look, then the answer: the successor is derived, nothing is written | the same read |
//! | reuse, logout, revoke | [`steps::ending`]: find, (deny,) remove, answer | `DenylistStore::deny`, `TokenStore::end_session` |
//! | log out everywhere | fence, remove, answer | the fence's write, `TokenStore::remove_user` |
//! | the same, signed | fence, list, deny each, remove those, answer | `TokenStore::sessions`, and each as by a logout |
//! | password change | password, fence, (list, deny each,) remove the others, answer | the same, after the account's write |
//! | expiry | every read judges the ends; [`Action::Sweep`] | `TokenStore::sweep` |
//!
//! Steps in brackets are those of signed access tokens. A token is a number; a successor is the same number whenever
//! presented token and salt are the same, and another whenever one of them differs.
//!
//! # Who calls
//!
//! **Tabs** are honest: they share a jar, refresh when their access token has ended, and wait and try again for as long
//! as the window. **The other holder** has every token that it once got, by a theft or a login, and presents any of
//! them at any time. What P2 asks of tabs and settings is listed in [`configurations::assumptions`], with the way in
//! which an honest holder ends its own session where it isn't so.
//!
//! # What is judged
//!
//! [`properties`] reads what really happened ([`state::History`], [`state::Token`]), never a guard's own opinion. "Would
//! be accepted" is enough to break a promise; nobody has to present it. What a search has to have seen to mean
//! something (a retry, a theft, a crash in the middle of log out everywhere) is judged with it.
//!
//! # What the model settles
//!
//! The searches hold with these, and break without (each has its [`Mutant`]):
//!
//! - Who finds its token current and loses the rotation is never reuse, unless strict: at worst it is refused.
//! - The rotation's guard judges the session's ends as well as the look does. Whether a call reads the clock once or in
//!   each step is free.
//! - A session's id is denied for as long as an access token can live that is signed before the session is removed, and no
//!   access token lives beyond its session's ends. (The code can't look at the clock in the step that removes: it looks
//!   afterwards, and denies once more when the removal came late.)
//! - Signed: log out everywhere removes the sessions that it listed after raising the fence, and has denied; no others.
//! - The new password is written before the fence is raised, the fence before sessions are removed.
//! - The age of a login is judged in the step that inserts, where a store forgets its fence.
//!
//! # What it leaves out
//!
//! Stores that lose acknowledged writes, reads from a replica that lags, clocks that differ between servers, changes of
//! the secret that successors are derived with, and everything that digests and signatures are there for.

pub mod call;
pub mod configurations;
pub mod mutant;
mod narrate;
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
