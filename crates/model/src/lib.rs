//! The session protocol of `docs/SESSIONS.md` as a state machine, and an exhaustive search of its states for the
//! promises P1 to P5. `cargo run -p model` searches all of it, and every protocol with one guard broken.
//!
//! # What is a step
//!
//! A state is the store, the calls under way, what holders hold, and what really happened. Any call may take its next
//! step at any time, or be forgotten: a crash before a write and a lost answer are the same to it. The clock may move
//! between any two steps. One step is what one statement, transaction or script does:
//!
//! | `docs/SESSIONS.md` | here | in the code |
//! |---|---|---|
//! | fence read, login | [`steps::login`]: begin, password, guarded insert, answer | `TokenStore::fence`; the store's guarded insert |
//! | look | [`steps::refresh`]: one read of the record, by the family | `TokenStore::find_family` |
//! | rotate | the compare-and-set, then the answer; who loses looks again | `TokenStore::rotate` |
//! | retry | the look, then the answer: the successor is derived, nothing is written | the same read |
//! | reuse, logout, revoke | [`steps::ending`]: find, (deny,) remove, answer | `DenylistStore::deny`, `TokenStore::end_session` |
//! | the same where statements see what was there when they began to wait | find, wait, remove, answer | the transaction of two statements on PostgreSQL |
//! | mark | [`steps::fence::mark`], then the answer | `TokenStore::end_user` |
//! | the same, signed | mark, read what is unsettled, deny each entry, settle, answer | `end_user`, `unsettled`, `DenylistStore::deny`, `settle` |
//! | password change | password, then as a mark that keeps the session | the same, after or with the account's write |
//! | end of the account | account and mark in one step, then as a mark | the same, in one transaction |
//! | clear, sweep | [`Action::Clear`], [`Action::Forget`], [`Action::SweepFence`]: at any time, or never | `TokenStore::clear`, `TokenStore::sweep` |
//! | sweep of the denylist | [`steps::denylist`]: find, then remove | `DenylistStore::sweep` |
//! | expiry | every read judges the ends; [`Action::Sweep`] | `TokenStore::sweep` |
//!
//! Steps in brackets are those of signed access tokens. A token is a number; a successor is the same number whenever
//! presented token and salt are the same, and another whenever one of them differs. So is a fence.
//!
//! # Who calls
//!
//! **Tabs** are honest: they share a jar, refresh when their access token has ended, and wait and try again for as long
//! as the window. **The other holder** has every token that it once got, by a theft or a login, and presents any of
//! them at any time. What P2 asks of tabs and settings is listed in [`configurations::assumptions`], with the way in
//! which an honest holder ends its own session where it isn't so.
//!
//! # What time it is
//!
//! Where a configuration says so, a server's clock is a tick ahead of another's, or all clocks are ahead of the time by
//! several ticks until they are set back, once. Whoever denies has the slowest clock and the sweep of the denylist the
//! fastest, since that is the worst that they may have. A token is judged by every clock that there is.
//!
//! # What is judged
//!
//! [`properties`] reads what really happened ([`state::History`], [`state::Token`]), never a guard's own opinion. "Would
//! be accepted" is enough to break a promise; nobody has to present it. What a search has to have seen to mean
//! something (a retry, a theft, a crash between a mark and its denial) is judged with it.
//!
//! # What the model settles
//!
//! The searches hold with these, and break without (each has its [`Mutant`]):
//!
//! - Who finds its token current and loses the rotation is never reuse, unless strict: at worst it is refused.
//! - The rotation's guard judges the session's ends and its fence as well as the look does. Whether a rotation bears the
//!   time of its look or reads the clock anew is free; a look reads it anew.
//! - An exchange that lies in the future by no more than clocks may differ has just taken place. One that lies further in
//!   the future is out of its window. Where a clock is set back, the window so comes once more when the clock has caught
//!   up, as long as it ever is, and isn't open until then.
//! - What is out of its window is forgotten with all that was exchanged before it, never from the middle.
//! - Signed: until when a session's tokens live is recorded in the step that hands one out, and never moves back. A
//!   repeated answer bears none that lives longer. A session is removed by a step that looks at it: when a token lives
//!   longer than the denial, the session is denied once more, and stays until then.
//! - Signed: a mark notes in its own step until when the tokens behind the fence live, and denials last so long. No rotation
//!   writes a session whose fence isn't the one that its token carries.
//! - Signed: the next ending of that user settles what a crash left unsettled, and so does a logout that doesn't find its
//!   session, or finds it gone when it removes it.
//! - Signed: a session that a mark kept has tokens that carry the fence of before, and an exception that lets them in. When
//!   it isn't kept by a later mark, it is denied by its id. What it was is remembered as long as such a token lives.
//! - Signed: a session is excepted before the fence is denied.
//! - Sessions that were recorded before there were fences are listed, (denied by their ids,) and removed. One of them that
//!   a mark keeps stays behind no fence, so that another ending under way finds it.
//! - The new password is written before the mark or with it.
//! - A fence is swept only when nothing is recorded behind it, and the note that it was replaced as well.
//! - A store that forgets a fence may begin with the same one again where it judges the age of a login in the step that
//!   inserts, and nothing signed carries it.
//! - The sweep of the denylist repeats its condition where it deletes, and leaves entries as much longer as clocks may differ.
//! - On PostgreSQL the statement that removes what the first didn't see is in its transaction.
//!
//! # What it leaves out
//!
//! Stores that lose acknowledged writes, reads from a replica that lags, clocks that differ by more than is allowed while a
//! sweep runs, a rotation on PostgreSQL whose statement has looked at the fence before a mark and commits after it, changes
//! of the secret that successors are derived with, and everything that digests and signatures are there for.

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
