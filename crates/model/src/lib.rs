//! The session protocol as a state machine, and an exhaustive search of its states.
//!
//! `docs/SESSIONS.md` describes the protocol. `cargo run -p model` searches every state that it can
//! reach in each of the [`configurations`], and checks that these promises hold in all of them:
//!
//! - Exactly one successor ([`ONE_SUCCESSOR`](properties::ONE_SUCCESSOR)): however many callers
//!   present a refresh token, it is exchanged for one successor.
//! - A retry is safe ([`RETRY_IS_SAFE`](properties::RETRY_IS_SAFE)): a token that was just
//!   exchanged gets the same successor again within the window, and honest holders never end their
//!   own session.
//! - Reuse is theft ([`REUSE_IS_THEFT`](properties::REUSE_IS_THEFT)): a consumed token that is
//!   presented outside its window ends the session.
//! - Logout stays ([`LOGOUT_STAYS`](properties::LOGOUT_STAYS)): nothing of a session is accepted
//!   after its end was acknowledged.
//! - One idea of a session ([`ONE_IDEA`](properties::ONE_IDEA) and
//!   [`ENDINGS_SPARE`](properties::ENDINGS_SPARE)): a session keeps its birth and its absolute end,
//!   no access token outlives it, and an ending refuses nothing of the sessions that go on.
//!
//! It then breaks each guard of the protocol on purpose (a [`Mutant`]), and checks that the search
//! finds a broken promise.
//!
//! # Where to start
//!
//! [`state`] says what there is at a moment, [`call`] what a server is doing, and [`steps`] what a
//! step does: change the protocol there. [`protocol`] lists the steps that can come next and hands
//! them to `stateright`. [`properties`] judges states. [`settings`] and [`configurations`] say what
//! is searched; [`search`] runs it, and [`report`] prints it. A new guard needs a [`Mutant`] that
//! breaks it.
//!
//! # Steps
//!
//! A state consists of the store, the calls under way, what holders have, and what really happened.
//! Any call may take its next step at any time, or be forgotten: a crash before a write and a lost
//! answer are the same to the model. The clock may move between any two steps. One step is what one
//! statement, transaction or script does:
//!
//! - **Login** ([`steps::login`]): read the fence, check the password, insert if the fence is the
//!   same, answer. In the code: `TokenStore::fence` and `TokenStore::insert_refresh`.
//! - **Look** ([`steps::refresh`]): read the record by its family. In the code:
//!   `TokenStore::find_family`.
//! - **Rotation** ([`steps::refresh`]): compare and set, then answer. A caller that loses looks
//!   again. In the code: `TokenStore::rotate`.
//! - **Retry** ([`steps::refresh`]): look, then answer. The successor is derived and nothing is
//!   written.
//! - **Reuse, logout, revocation** ([`steps::ending`]): find, deny (signed tokens only), remove,
//!   answer. In the code: `DenylistStore::deny` and `TokenStore::end_session`. Where statements see
//!   what was there when they began to wait for a row, as on PostgreSQL, waiting is a step of its
//!   own before the removal.
//! - **Mark** ([`steps::fence::mark`]): replace the user's fence, which ends everything recorded
//!   behind the old one, then answer. In the code: `TokenStore::end_user`. For signed tokens, the
//!   steps before the answer are: read which fences are unsettled, deny each entry, settle. In the
//!   code: `unsettled`, `DenylistStore::deny`, `settle`.
//! - **Password change**: write the password, then as a mark that keeps the session.
//! - **End of the account**: write the account and replace the fence in one step, then as a mark.
//! - **Clearing and sweeping** ([`Action::Clear`], [`Action::Forget`], [`Action::SweepFence`]): at
//!   any time, or never. In the code: `TokenStore::clear` and `TokenStore::sweep`.
//! - **Sweep of the denylist** ([`steps::denylist`]): find, then remove. In the code:
//!   `DenylistStore::sweep`.
//! - **Expiry**: each read judges the ends of what it finds. [`Action::Sweep`] removes it later.
//!
//! A token is a number. A successor is the same number if the presented token and the salt are the
//! same, and another number otherwise. A fence is a number as well.
//!
//! # Holders
//!
//! **Tabs** are honest. They share a cookie jar, refresh when their access token has ended, and
//! retry for as long as the window lasts. **The other holder** has every token that it ever got, by
//! a theft or a login, and presents any of them at any time. Safe retry depends on some habits of
//! honest holders and on some settings. [`configurations::assumptions`] lists these and shows, for
//! each, how an honest holder ends its own session without it.
//!
//! # Clocks
//!
//! In some configurations the clock of one server is a tick ahead of the others, or all clocks are
//! ahead of the time until they are set back, once. Endings deny by the slowest clock, and the
//! sweep of the denylist uses the fastest, which is the worst combination. A token counts as
//! accepted if it is good by any clock.
//!
//! # Judgement
//!
//! [`properties`] reads what really happened ([`state::History`], [`state::Token`]), never what a
//! guard of the protocol believes. A promise is broken as soon as a token would be accepted; nobody
//! has to present it. The search also checks that the events it is about did occur, such as a
//! retry, a theft, or a crash between a mark and its denial. A search without these would prove
//! little.
//!
//! # Results
//!
//! The promises hold with each of these rules, and break without it. Each rule has its [`Mutant`]s.
//!
//! - A caller whose look found its token current and that then loses the rotation is never taken
//!   for a thief, unless the window is 0. At worst it is refused.
//! - The rotation's guard judges the ends of the session and its fence as the look does. A rotation
//!   may use the time of its look or read the clock again; a look always reads it again.
//! - A rotation that lies in the future by no more than clocks may differ has just taken place. One
//!   that lies further in the future is outside its window. If a clock is set back, the window is
//!   closed, and opens once more for its usual length when the clock has caught up.
//! - The record forgets consumed tokens outside their window together with all older ones, never
//!   from the middle.
//! - Signed tokens: the record keeps the latest end of a session's signed tokens. The step that
//!   issues one writes it, and it never moves back. A repeated answer has no token that lives
//!   longer. The step that removes a session looks at this end: if a token lives longer than the
//!   denial, the session stays and is denied again first.
//! - Signed tokens: a mark notes in its own step until when tokens behind the old fence live, and
//!   the denials last that long. A rotation does not write if the session's fence is not the one
//!   that its signed token carries.
//! - Signed tokens: the next ending of the same user settles what a crash left unsettled. So does a
//!   logout that does not find its session, or finds it gone when it removes it.
//! - Signed tokens: a session that a mark kept has tokens with the old fence, and an exception on
//!   the denylist that lets them in. If a later mark does not keep it, its id is denied. The note
//!   about it stays for as long as such a token lives.
//! - Signed tokens: the exception for a session is recorded before its fence is denied.
//! - Sessions from before there were fences are listed, denied by id (signed tokens), and removed.
//!   If a mark keeps one of them, it stays behind no fence, so that another ending under way finds
//!   it.
//! - The new password is written before the mark or in the same step.
//! - A sweep removes a fence, and the note that it was replaced, only if nothing is recorded behind
//!   it.
//! - A store that forgets a fence may start again with the same value if the step that inserts a
//!   login judges the login's age, and no signed token carries the value.
//! - The sweep of the denylist repeats its condition when it deletes, and keeps entries longer by
//!   the difference that clocks may have.
//! - On PostgreSQL the statement that removes what the first one did not see is in the same
//!   transaction.
//!
//! # Limits
//!
//! The model leaves out stores that lose acknowledged writes, reads from a lagging replica, clocks
//! that differ by more than is allowed while a sweep runs, a rotation on PostgreSQL that looks at
//! the fence before a mark and commits after it, changes of the secret that successors are derived
//! with, and everything that digests and signatures are for.

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
