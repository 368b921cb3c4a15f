//! Changes of an account that end its sessions (SECURITY row R-08).

use std::sync::Arc;

use countersign::store::sql::{AccountChange, Database, Dialect, SqlStore};
use countersign::store::{Fence, Value};
use countersign::{Clock, Entropy, Failure, Invalidated, SessionId, Strategy, UserId};
use uuid::Uuid;

use crate::accounts::account::Account;
use crate::accounts::email::Email;

/// The part that failures name.
const PART: &str = "account store";

/// Changes accounts, and ends their sessions with it: in one transaction where the sessions are in the accounts' database;
/// and before it in any case, so that whatever a crash leaves behind is nobody's session. Each is one mark, so it takes as long
/// for 100,000 sessions as for one.
#[derive(Clone)]
pub struct Changes {
    /// What access tokens are worth.
    pub strategy: Arc<dyn Strategy<Account>>,
    /// The tokens in the accounts' database.
    pub store: SqlStore<Database>,
    /// `true` if access tokens are signed. They are denied when their sessions end.
    pub signed: bool,
    /// `true` if sessions are in the accounts' database.
    pub beside_sessions: bool,
    /// What that database speaks.
    pub dialect: Dialect,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
    /// What gives fences.
    pub entropy: Arc<dyn Entropy>,
}

/// What is changed.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// The account may not be used any more.
    Disable,
    /// The account is removed.
    Delete,
    /// The password has this hash.
    Password(&'a str),
    /// What its owner changes, if the account is still what they were recognised by.
    Own {
        /// The account as its owner was recognised by.
        account: &'a Account,
        /// The new password's hash.
        password: Option<&'a str>,
        /// The new address.
        email: Option<&'a Email>,
    },
}

impl Changes {
    /// Makes the change and ends every session but `kept`. Returns how many sessions ended, and `None` when there is no
    /// such account, or when it has changed since it was read.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded. It may be called again.
    pub async fn make(&self, id: Uuid, change: Change<'_>, kept: Option<SessionId>) -> Result<Option<u64>, Failure> {
        let before = self.end(id, kept).await?;
        let (statement, params) = self.written(id, change);
        let change = AccountChange {
            statement: &statement,
            params: &params,
            user: &id.to_key(),
            kept,
            fence: Fence::generate(&*self.entropy)?,
            settled: !self.signed,
            now: self.clock.now(),
        };
        if !self.store.change_account(change).await? {
            return Ok(None);
        }
        // What was opened since the first ending ends with the change, or after it.
        match self.strategy.as_refreshable() {
            Some(strategy) if self.beside_sessions => {
                strategy.complete_ending(&id.to_key(), kept).await?;
                Ok(Some(before))
            }
            _ => Ok(Some(before.saturating_add(self.end(id, kept).await?))),
        }
    }

    /// Ends every session of an account but `kept`. Returns how many that were.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end(&self, id: Uuid, kept: Option<SessionId>) -> Result<u64, Failure> {
        match (kept, self.strategy.as_refreshable()) {
            (Some(_), Some(strategy)) => strategy.end_sessions(&id.to_key(), kept).await,
            _ => match self.strategy.invalidate_all(&id.to_key()).await? {
                Invalidated::All(sessions) => Ok(sessions),
                Invalidated::Unsupported => Err(Failure::internal(PART, "this strategy can't end every session")),
            },
        }
    }

    /// The statement and its parameters; the first is the account's id.
    fn written(&self, id: Uuid, change: Change<'_>) -> (String, Vec<Value>) {
        let user = self.dialect.quote("user");
        match change {
            Change::Disable => {
                (format!("UPDATE {user} SET is_active = ?2 WHERE id = ?1"), vec![id.into(), false.into()])
            }
            Change::Delete => (format!("DELETE FROM {user} WHERE id = ?1"), vec![id.into()]),
            Change::Password(hash) => {
                (format!("UPDATE {user} SET hashed_password = ?2 WHERE id = ?1"), vec![id.into(), hash.into()])
            }
            Change::Own { account, password, email } => {
                let same_email = email.is_none_or(|email| email.as_str() == account.email);
                let set = "hashed_password = ?2, email = ?3, is_verified = ?4";
                let statement =
                    format!("UPDATE {user} SET {set} WHERE id = ?1 AND hashed_password = ?5 AND email = ?6");
                let params = vec![
                    id.into(),
                    password.unwrap_or(&account.hashed_password).into(),
                    email.map_or(account.email.as_str(), Email::as_str).into(),
                    (account.is_verified && same_email).into(),
                    account.hashed_password.as_str().into(),
                    account.email.as_str().into(),
                ];
                (statement, params)
            }
        }
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

/// Hides the hash and the address.
impl std::fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Disable => "Disable",
            Self::Delete => "Delete",
            Self::Password(_) => "Password(..)",
            Self::Own { .. } => "Own(..)",
        })
    }
}
