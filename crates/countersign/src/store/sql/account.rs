//! A change of an account that ends its sessions, as one transaction.

use crate::answer::SessionId;
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::store::Fence;
use crate::store::sql::{Driver, Script, SqlStore};
use crate::user::UserKey;
use crate::value::Value;

/// Stands for the session that is kept when none is: no row has it, nor do those without a session, which hold nothing.
const NO_SESSION: &str = "-";

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
    /// The present moment.
    pub now: Timestamp,
}

impl<D: Driver> SqlStore<D> {
    /// Changes an account in this store's database and ends its sessions in the same transaction; how many tokens ended,
    /// and `None` when there was no such row to change.
    ///
    /// Signed access tokens live on for as long as they may, unless their sessions are denied as well.
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
    ///     now: SystemClock.now(),
    /// };
    /// assert_eq!(store.change_account(change).await?, Some(0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked. The change may have taken place then, and the sessions with it.
    pub async fn change_account(&self, change: AccountChange<'_>) -> Result<Option<u64>, Failure> {
        let mut params = change.params.to_vec();
        let after: Vec<_> = self.statements.after_change.iter().map(|step| shifted(step, params.len())).collect();
        params.extend([
            self.key(change.user)?,
            change.fence.to_text().into(),
            change.now.as_micros().into(),
            change.kept.map_or_else(|| NO_SESSION.to_owned(), |session| session.to_string()).into(),
        ]);
        let steps: Vec<&str> = std::iter::once(change.statement).chain(after.iter().map(String::as_str)).collect();
        let outcome = self.driver.run(&Script::new(self.dialect, &steps).seeing_all(), &params).await?;
        Ok(outcome.took_effect().then(|| outcome.affected.iter().skip(2).sum()))
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
