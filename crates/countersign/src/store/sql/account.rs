//! A change of an account that ends its sessions, as one transaction.

use crate::answer::SessionId;
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::store::sql::{Driver, Script, SqlStore};
use crate::store::{EndUser, Fence};
use crate::user::UserKey;
use crate::value::Value;

/// A change of a user's row, which may not take effect without the end of the user's sessions: another password, another
/// email address, the end of the account.
#[derive(Clone, Copy, Debug)]
pub struct AccountChange<'a> {
    /// The statement that changes the row, in the template form of [`Statement`](crate::store::sql::Statement). When it
    /// touches no row, nothing happens.
    pub statement: &'a str,
    /// Its parameters.
    pub params: &'a [Value],
    /// Whose row it is.
    pub user: &'a UserKey,
    /// The session that goes on; `None` ends them all. Tokens that belong to no session end in either case.
    pub kept: Option<SessionId>,
    /// The user's new fence, so that no login is recorded that was judged by the row as it was.
    pub fence: Fence,
    /// Whether nothing is left to be done for signed access tokens: there are none. Else the strategy that issued them
    /// has to [end the user's sessions](crate::SessionControl::end_sessions) afterwards.
    pub settled: bool,
    /// The present moment.
    pub now: Timestamp,
}

impl<D: Driver> SqlStore<D> {
    /// Changes an account in this store's database and ends its sessions in the same transaction. Returns whether there
    /// was such a row to change. It takes as long for 100,000 sessions as for one.
    ///
    /// Signed access tokens live on for as long as they may, unless the strategy that issued them ends the user's sessions
    /// afterwards.
    ///
    /// ```
    /// use countersign::store::sql::{
    ///     AccountChange, Database, DatabaseOptions, DatabaseTokenModels, Migrator, Script, SqlStore,
    /// };
    /// use countersign::store::{Fence, Value};
    /// use countersign::{Clock, SystemClock, SystemEntropy, UserKey, UserKeyKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use countersign::store::sql::Driver;
    /// # let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
    /// # Migrator::new(&database, UserKeyKind::Int).run().await?;
    /// # let member = "CREATE TABLE member (id BIGINT PRIMARY KEY, password TEXT)";
    /// # database.run(&Script::new(database.dialect(), &["SELECT 1", member]), &[]).await?;
    /// # database.run(&Script::new(database.dialect(), &["INSERT INTO member VALUES (7, 'old')"]), &[]).await?;
    /// let store = SqlStore::new(database.driver(), DatabaseTokenModels::bundled(UserKeyKind::Int));
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
    /// [`Failure`] when the database can't be asked. The change may have taken place then, and the sessions with it.
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
        let after: Vec<_> = after.iter().map(|step| shifted(step, params.len())).collect();
        params.extend(self.ending_params(&end)?);
        let steps: Vec<&str> = std::iter::once(change.statement).chain(after.iter().map(String::as_str)).collect();
        let script = Script::new(self.dialect, &steps).seeing_all().one_at_a_time(user);
        let outcome = self.driver.run(&script, &params).await?;
        Ok(outcome.took_effect())
    }
}

/// The template with the numbers of its parameters moved up.
fn shifted(template: &str, by: usize) -> String {
    let mut pieces = template.split('?');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = piece.split_at(digits);
        let number = number.parse::<usize>().map_or(0, |number| number.saturating_add(by));
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
