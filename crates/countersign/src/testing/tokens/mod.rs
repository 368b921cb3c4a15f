//! The conformance suite of [`TokenStore`]: one function for each clause of its contract.
//!
//! The clauses are grouped by what they check:
//!
//! - [`access`], [`refresh`]: tokens of one kind, from insertion to removal.
//! - [`rotation`], [`family`]: the exchange of a refresh token, and what is remembered of it.
//! - [`fence`], [`endings`], [`clear`], [`settling`]: "log out everywhere", from the fence that a
//!   login reads to the removal of what has ended.
//! - [`sessions`], [`pages`], [`survey`]: one session, lists of sessions, and counts of them.
//! - [`authentication`]: the time at which a session's user last proved who they are.
//! - [`sweep`]: the removal of expired records.
//! - [`race`], [`crowd`], [`cancel`]: concurrent calls, very many sessions, and calls that are
//!   dropped.
//! - [`users`]: user ids, once for each kind that the backend can hold.
//!
//! [`fixture`] has the ground of the cases and [`ids`] the user ids. [`located`] wraps the store
//! under test.
//!
//! To add a clause, write its function, add it to one of the lists below, and add a broken store to
//! `tests/it/suite_catches` which shows that the clause can fail.

mod access;
mod authentication;
mod cancel;
mod clear;
mod crowd;
mod endings;
mod family;
mod fence;
mod fixture;
mod ids;
mod located;
mod pages;
mod race;
mod refresh;
mod rotation;
mod sessions;
mod settling;
mod survey;
mod sweep;
mod users;

use std::fmt;
use std::sync::Arc;

use crate::error::Cause;
use crate::store::TokenStore;
use crate::testing::case::{Case, cases, judge};
use crate::testing::report::SuiteReport;
use crate::user::UserKeyKind;

use fixture::Fixture;
pub use ids::user_ids;
use located::Located;

/// The cases for every store. They run once, with user ids of the first kind that the backend can
/// hold.
const CASES: &[Case<Fixture>] = cases![
    access::is_found_as_recorded,
    access::unknown_is_a_value,
    access::expired_is_returned_as_it_is,
    access::is_removed_once,
    access::removal_asks_for_the_owner,
    access::taken_digest_is_refused,
    access::other_spellings_are_unknown,
    refresh::is_found_as_recorded,
    refresh::unknown_is_a_value,
    refresh::expired_is_returned_as_it_is,
    refresh::comes_with_its_access,
    refresh::taken_digest_is_refused,
    refresh::taken_access_digest_records_nothing,
    refresh::kinds_do_not_mix,
    refresh::removal_without_session,
    refresh::removal_leaves_sessions_alone,
    rotation::puts_the_successor_in_place,
    rotation::works_once,
    rotation::of_an_unknown_token_writes_nothing,
    rotation::keeps_the_session,
    rotation::gives_a_session_to_a_token_without,
    rotation::never_moves_a_recorded_end,
    rotation::records_a_missing_end,
    rotation::never_moves_the_signed_end_back,
    rotation::does_not_judge,
    rotation::without_access,
    rotation::taken_successor_changes_nothing,
    rotation::taken_access_digest_changes_nothing,
    family::leads_to_the_current_token,
    family::survives_no_ending,
    family::of_a_row_without_comes_with_the_successor,
    fence::stands_until_it_is_replaced,
    fence::lets_nobody_in_who_came_before_it,
    fence::keeps_out_access_tokens_too,
    fence::must_have_stood,
    fence::of_a_session_is_that_of_its_login,
    endings::take_everything_behind_the_fence,
    endings::keep_the_session_that_they_name,
    endings::never_revive,
    endings::reach_tokens_behind_no_fence,
    endings::save_nothing_from_another,
    endings::change_nothing_when_repeated,
    clear::is_bounded_and_resumable,
    clear::leaves_what_lives,
    clear::may_be_left_to_sweeps,
    settling::lists_what_nobody_settled,
    settling::outlasts_clearing_and_sweeping,
    survey::counts_what_can_be_refreshed,
    survey::tells_the_latest_signed_end,
    race::has_one_winner,
    race::logout_beside_a_rotation_leaves_nothing,
    race::end_of_the_user_beside_a_rotation_leaves_nothing,
    race::clearing_beside_a_rotation_leaves_nothing,
    race::kept_session_rotates_beside_the_end,
    race::login_beside_a_logout_everywhere_leaves_nothing,
    race::endings_replace_one_fence_each,
    crowd::ends_beside_writers,
    sessions::end_takes_every_token,
    sessions::end_asks_for_the_owner,
    sessions::unknown_session_is_a_value,
    sessions::list_those_with_a_refresh_token,
    sessions::tell_of_their_login,
    sessions::use_is_noted,
    authentication::begins_with_the_login,
    authentication::is_recorded_and_kept,
    authentication::never_moves_back,
    authentication::asks_for_the_owner,
    authentication::never_revives,
    authentication::asks_for_the_fence,
    authentication::stands_beside_a_rotation,
    authentication::revives_nothing_beside_an_ending,
    pages::show_each_session_once,
    pages::go_on_beside_changes,
    pages::take_any_cursor,
    pages::show_those_behind_no_fence,
    sweep::nothing_to_do_is_a_value,
    cancel::dropped_insert_is_whole_or_nothing,
    cancel::dropped_rotation_is_whole_or_nothing,
    access::ping_answers,
];

/// The cases for stores that keep expired records until a sweep removes them.
const CASES_WHEN_SWEPT: &[Case<Fixture>] = cases![
    sweep::ends_at_the_exact_moment,
    sweep::ages_rows_without_an_end,
    sweep::is_bounded_and_resumable,
    fence::goes_when_nobody_uses_it,
    fence::stays_while_tokens_are_behind_it,
    race::sweeps_count_each_row_once,
];

/// The cases for stores whose records expire by themselves.
const CASES_WHEN_SELF_EXPIRING: &[Case<Fixture>] = cases![sweep::is_left_to_the_store];

/// The cases that run once for each kind of user id that the backend can hold.
const CASES_PER_KIND: &[Case<Fixture>] = cases![
    users::ids_come_back_as_they_went_in,
    users::endings_touch_one_user_alone,
    users::kept_sessions_are_the_users_own,
    users::owners_are_told_apart,
    users::sessions_are_the_users_own,
    fence::is_the_users_own,
    settling::is_the_users_own,
];

/// A conformance suite for implementations of [`TokenStore`].
///
/// Run it in the tests of your store. Each case gets a store of its own, which must be empty, and
/// checks one clause of the contract. A case's name, such as `rotation::works_once`, begins with
/// its group:
///
/// - `access`, `refresh`: tokens are found as they were recorded, unknown tokens are an answer and
///   not an error, and a taken digest is refused.
/// - `rotation`, `family`: a refresh token has one successor, and reuse of an earlier token is
///   recognised.
/// - `fence`, `endings`, `clear`, `settling`: "log out everywhere" ends every token, also of logins
///   under way, and its remains are removed in bounded batches.
/// - `sessions`, `pages`, `survey`: a session ends as a whole, lists show each session once, and
///   counts are right.
/// - `authentication`: a re-authentication is recorded in a live session of its user, and revives
///   none.
/// - `sweep`: expired records leave in bounded batches, and live ones stay.
/// - `race`, `crowd`, `cancel`: the same holds for concurrent calls, for a user with thousands of
///   sessions, and for calls that are dropped half-way.
/// - `users`: no user id is taken for another. These run once per kind of user id, and the kind is
///   part of the name, as in `users::owners_are_told_apart (text)`.
///
/// The times of the records lie around January 2026. A store that compares them with a clock of its
/// own, instead of with the times that are passed in, fails.
///
/// # Examples
///
/// ```
/// use countersign::store::MemoryStore;
/// use countersign::testing::{TokenStoreSuite, user_ids};
/// use countersign::user::UserKeyKind;
/// use countersign::{Failure, UserKey};
///
/// # async fn insert_user(_: &UserKey) {}
/// # #[tokio::main]
/// # async fn main() -> Result<(), countersign::testing::SuiteFailed> {
/// let suite = TokenStoreSuite::new("mine", |kind| async move {
///     let store = MemoryStore::new();
///     // Only for tables with a foreign key to users.
///     for user in user_ids(kind) {
///         insert_user(&user).await;
///     }
///     Ok::<_, Failure>(store)
/// });
/// let kinds = [UserKeyKind::Uuid, UserKeyKind::Text];
/// let report = suite.user_id_kinds(kinds).only("rotation::").run().await;
/// report.into_result()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct TokenStoreSuite<F> {
    backend: String,
    kinds: Vec<UserKeyKind>,
    self_expiring: bool,
    crowd: u32,
    only: Option<String>,
    fresh: F,
}

impl<F> TokenStoreSuite<F> {
    /// Creates a suite for the backend that reports call `backend`.
    ///
    /// The suite calls `fresh` before each case, with the kind of user id that the case uses. It
    /// must return an empty store that shares nothing with the one before. Tables with a foreign
    /// key to users must contain [`user_ids`] of that kind. An error from `fresh` fails that case.
    pub fn new(backend: impl Into<String>, fresh: F) -> Self {
        let kinds = vec![UserKeyKind::Uuid, UserKeyKind::Int, UserKeyKind::Text];
        Self {
            backend: backend.into(),
            kinds,
            self_expiring: false,
            crowd: 10_000,
            only: None,
            fresh,
        }
    }

    /// Sets the kinds of user id that the backend can hold. Defaults to all three.
    ///
    /// Most cases run once, with the first of these kinds. The cases about user ids run for each of
    /// them. Without a kind no case runs.
    pub fn user_id_kinds(mut self, kinds: impl Into<Vec<UserKeyKind>>) -> Self {
        self.kinds = kinds.into();
        self
    }

    /// Declares that records expire by themselves, so that a sweep has nothing to remove.
    ///
    /// Leaves out the cases that count what a sweep removes, and checks instead that a sweep
    /// returns [`Swept::default`](crate::store::Swept). Use it for stores on a database with
    /// expiring keys, such as Redis. Defaults to `false`.
    pub const fn self_expiring(mut self) -> Self {
        self.self_expiring = true;
        self
    }

    /// Sets the number of sessions of the user in `crowd::ends_beside_writers`. Defaults to 10,000.
    ///
    /// That case ends all sessions of this user while other users log in and refresh. One in 16 of
    /// the sessions is an access token without a session instead. Choose a lower number if the
    /// store takes longer than two minutes, the most that a case may take.
    pub const fn crowd(mut self, sessions: u32) -> Self {
        self.crowd = sessions;
        self
    }

    /// Runs only the cases whose names begin with `prefix`, such as `rotation::`.
    pub fn only(mut self, prefix: impl Into<String>) -> Self {
        self.only = Some(prefix.into());
        self
    }

    /// Runs the cases one after the other and returns their results.
    ///
    /// A case also fails if the store panics or does not answer within two minutes. The cases about
    /// concurrent calls fail on a runtime with a single thread.
    ///
    /// # Panics
    /// Panics if it is not called within a Tokio runtime with timers.
    pub async fn run<S, E, Fresh>(self) -> SuiteReport
    where
        F: Fn(UserKeyKind) -> Fresh,
        Fresh: Future<Output = Result<S, E>>,
        S: TokenStore + 'static,
        E: Into<Cause>,
    {
        let first = self.kinds.first().copied();
        let of_expiry = if self.self_expiring {
            CASES_WHEN_SELF_EXPIRING
        } else {
            CASES_WHEN_SWEPT
        };

        let once = CASES
            .iter()
            .chain(of_expiry)
            .filter_map(|case| first.map(|kind| (case, kind, case.name.to_owned())));
        let per_kind = self.kinds.iter().flat_map(|kind| {
            CASES_PER_KIND
                .iter()
                .map(|case| (case, *kind, format!("{} ({})", case.name, ids::name(*kind))))
        });
        let mut cases = Vec::new();
        for (case, kind, name) in once.chain(per_kind) {
            if self
                .only
                .as_ref()
                .is_some_and(|prefix| !name.starts_with(prefix.as_str()))
            {
                continue;
            }
            let store = (self.fresh)(kind).await.map_err(Into::into);
            let fixture = store.and_then(|store| {
                Ok(Fixture::new(
                    Arc::new(Located::over(store)),
                    kind,
                    self.crowd,
                )?)
            });
            cases.push(judge(name, case, fixture).await);
        }

        SuiteReport {
            backend: self.backend,
            cases,
        }
    }
}

impl<F> fmt::Debug for TokenStoreSuite<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenStoreSuite")
            .field("backend", &self.backend)
            .field("kinds", &self.kinds)
            .field("self_expiring", &self.self_expiring)
            .field("crowd", &self.crowd)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}
