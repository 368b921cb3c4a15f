//! Changes of an account that end its sessions, in one transaction.
//!
//! The change is the guard of a script, and the ending of
//! [`TokenStore::end_user`](crate::store::TokenStore::end_user) follows as further steps. The
//! account's statement has parameters of its own in front, so the numbers in the templates of the
//! ending are moved up behind them.

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::session::SessionId;
use crate::store::sql::rows::kept;
use crate::store::sql::{Driver, Script, SqlStore};
use crate::store::{EndUser, Fence};
use crate::user::UserKey;
use crate::value::Value;

/// A change of a user's row that must not take effect without ending the user's sessions.
///
/// Examples are a new password, a new email address and the deletion of the account.
/// [`SqlStore::change_account`] applies it.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the caller has to decide on every field"
)]
pub struct AccountChange<'a> {
    /// The statement that changes the row, in the template form of
    /// [`Statement`](crate::store::sql::Statement). If it changes no row, nothing happens. Put what
    /// the change relies on into its condition, for example the old password hash.
    pub statement: &'a str,
    /// The parameters of `statement`: `?1` is the first.
    pub params: &'a [Value],
    /// The user whose row changes and whose sessions end.
    pub user: &'a UserKey,
    /// The session that continues, usually the one of the request. `None` ends all. Tokens without
    /// a session end in either case.
    pub kept: Option<SessionId>,
    /// The user's new fence, from [`Fence::generate`]. A login that was judged by the old row has
    /// read the old fence, so the store refuses to record it.
    pub fence: Fence,
    /// `true` if there are no signed access tokens to deny. With `false`, the strategy that issued
    /// them has to [end the user's sessions](crate::strategy::SessionControl::end_sessions)
    /// afterwards.
    pub settled: bool,
    /// The current time.
    pub now: Timestamp,
}

impl<D: Driver> SqlStore<D> {
    /// Changes an account in this store's database and ends its sessions in the same transaction.
    /// Returns `true` if there was such a row to change.
    ///
    /// The cost doesn't depend on the number of sessions. Their rows are removed later, by
    /// [`clear`](crate::store::TokenStore::clear) and [`sweep`](crate::store::TokenStore::sweep).
    /// Signed access tokens stay valid until they expire, unless the strategy that issued them ends
    /// the user's sessions afterwards.
    ///
    /// Use this where users and tokens share a database. Otherwise change the account first, and
    /// then call [`SessionControl::end_sessions`](crate::strategy::SessionControl::end_sessions).
    ///
    /// # Examples
    ///
    /// ```
    /// use countersign::store::sql::{
    ///     AccountChange, Database, DatabaseOptions, DatabaseTokenModels, Migrator, Script,
    ///     SqlStore,
    /// };
    /// use countersign::store::{Fence, Value};
    /// use countersign::clock::{Clock, SystemClock};
    /// use countersign::user::UserKeyKind;
    /// use countersign::{SystemEntropy, UserKey};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use countersign::store::sql::Driver;
    /// # let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
    /// # Migrator::new(&database, UserKeyKind::Int).run().await?;
    /// # let rows = ["CREATE TABLE member (id BIGINT PRIMARY KEY, password TEXT)",
    /// #     "INSERT INTO member VALUES (7, 'old')"];
    /// # let member = Script::new(database.dialect(), &["SELECT 1", rows[0], rows[1]]);
    /// # database.run(&member, &[]).await?;
    /// let models = DatabaseTokenModels::bundled(UserKeyKind::Int);
    /// let store = SqlStore::new(database.driver(), models);
    /// let change = AccountChange {
    ///     statement: "UPDATE member SET password = ?2 WHERE id = ?1",
    ///     params: &[Value::Int(7), Value::from("the hash of another")],
    ///     user: &UserKey::Int(7),
    ///     kept: None,
    ///     fence: Fence::generate(&SystemEntropy)?,
    ///     settled: true,
    ///     now: SystemClock.now(),
    /// };
    /// assert!(store.change_account(change).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the database can't be asked, or refuses the statement. After the
    /// kind [`Unavailable`](crate::error::FailureKind::Unavailable) the change may have taken
    /// effect, and then the sessions have ended with it. Calling again is safe if `statement` is
    /// safe to repeat.
    pub async fn change_account(&self, change: AccountChange<'_>) -> Result<bool, Failure> {
        let end = EndUser {
            user: change.user.clone(),
            fence: change.fence,
            kept: change.kept,
            settled: change.settled,
            now: change.now,
        };

        let mut params = change.params.to_vec();
        let after = &self.statements.endings.after_change;
        let user = params.len().saturating_add(1);
        let after: Vec<_> = after
            .iter()
            .map(|step| shifted(step, params.len()))
            .collect();
        params.extend(self.ending_params(&end)?);

        let steps: Vec<&str> = std::iter::once(change.statement)
            .chain(after.iter().map(String::as_str))
            .collect();
        let script = Script::new(self.dialect, &steps)
            .seeing_all()
            .one_at_a_time(user);
        let outcome = self.driver.run(&script, &params).await?;
        Ok(outcome.took_effect())
    }

    /// Returns the parameters of the scripts that end a user's sessions.
    pub(super) fn ending_params(&self, end: &EndUser) -> Result<[Value; 5], Failure> {
        Ok([
            self.key(&end.user)?,
            end.fence.to_text().into(),
            end.now.as_micros().into(),
            kept(end.kept),
            end.settled.then(|| end.now.as_micros()).into(),
        ])
    }
}

/// Returns `template` with the number of each parameter raised by `by`.
fn shifted(template: &str, by: usize) -> String {
    let mut pieces = template.split('?');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = piece.split_at(digits);
        let number = number
            .parse::<usize>()
            .map_or(0, |number| number.saturating_add(by));
        text.extend(["?", &number.to_string(), rest]);
    }

    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_move_up() {
        assert_eq!(shifted("a = ?1 AND b = ?12", 2), "a = ?3 AND b = ?14");
        assert_eq!(shifted("none", 2), "none");
    }
}
