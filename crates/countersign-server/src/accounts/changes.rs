//! Changes of an account that end its sessions: disabling, deletion, a new password, a new address.
//!
//! Start at [`Changes::make`]. Sessions end *before* the account changes, so that a crash between
//! the two steps leaves a user who has to log in again, never a session that outlives the change. A
//! login that races with the change is handled by a second ending: in the transaction of the change
//! where the sessions are in the same database, and after it where they are on Redis.

use std::sync::Arc;

use countersign::clock::Clock;
use countersign::entropy::Entropy;
use countersign::store::sql::{AccountChange, Database, Dialect, SqlStore};
use countersign::store::{Fence, Value};
use countersign::strategy::Strategy;
use countersign::token::Invalidated;
use countersign::{Failure, SessionId, UserId};
use uuid::Uuid;

use crate::accounts::account::Account;
use crate::accounts::email::Email;

/// The component that failures name.
const PART: &str = "account store";

/// The service that changes accounts and ends their sessions.
///
/// Ending all sessions of an account is one write, so it takes as long for 100,000 sessions as for
/// one. Where sessions are in the accounts' database, the change and the ending are one transaction
/// ([`SqlStore::change_account`]).
///
/// Changes that end no session are methods of [`Accounts`](crate::accounts::Accounts).
#[derive(Clone)]
pub struct Changes {
    /// The strategy that issues access tokens and ends sessions.
    pub strategy: Arc<dyn Strategy<Account>>,
    /// The token store in the accounts' database.
    pub store: SqlStore<Database>,
    /// `true` if access tokens are signed. They are denied when their sessions end.
    pub signed: bool,
    /// `true` if sessions are in the accounts' database, `false` if they are on Redis.
    pub beside_sessions: bool,
    /// The SQL dialect of the accounts' database.
    pub dialect: Dialect,
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
    /// The source of the random values of new fences.
    pub entropy: Arc<dyn Entropy>,
}

/// A change of an account that ends its sessions.
///
/// Its `Debug` output shows neither the hash nor the address.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// Disables the account.
    Disable,
    /// Deletes the account.
    Delete,
    /// Sets the password to the one with this hash.
    Password(&'a str),
    /// Changes made by the owner of the account. They are made only if the stored password hash and
    /// email address are still those of `account`.
    Own {
        /// The account as it was when its owner's password was checked.
        account: &'a Account,
        /// The hash of the new password, or `None` to keep the password.
        password: Option<&'a str>,
        /// The new email address, or `None` to keep the address. Another address than the current
        /// one makes the account unverified.
        email: Option<&'a Email>,
    },
}

impl Changes {
    /// Makes the change and ends every session of the account except `kept`. Returns the number of
    /// sessions that ended.
    ///
    /// Returns `None` if there is no such account. For [`Change::Own`], also returns `None` if the
    /// password or the address changed since the account was read. The sessions have ended in
    /// either case.
    ///
    /// For accounts with very many sessions the number is a lower bound; see
    /// [`SessionControl::end_sessions`](countersign::strategy::SessionControl::end_sessions).
    ///
    /// # Errors
    /// [`Failure`] if a store can't be reached, or if the new email address belongs to another
    /// account. The sessions may have ended and the account may have changed by then. Calling this
    /// again is safe and completes what is left; a [`Change::Own`] that had been made is answered
    /// with `None` then.
    pub async fn make(
        &self,
        id: Uuid,
        change: Change<'_>,
        kept: Option<SessionId>,
    ) -> Result<Option<u64>, Failure> {
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

        // Sessions opened since the first ending have ended in the transaction above, or end by the
        // second ending below.
        match self.strategy.as_refreshable() {
            Some(strategy) if self.beside_sessions => {
                strategy.complete_ending(&id.to_key(), kept).await?;
                Ok(Some(before))
            }
            _ => Ok(Some(before.saturating_add(self.end(id, kept).await?))),
        }
    }

    /// Ends every session of an account except `kept`. Returns the number of sessions that ended.
    ///
    /// A strategy without sessions ignores `kept` and revokes all tokens of the account.
    ///
    /// # Errors
    /// [`Failure`] if the store of the sessions can't be reached, or if the strategy can't revoke
    /// all tokens of a user. After the former, calling this again is safe.
    pub async fn end(&self, id: Uuid, kept: Option<SessionId>) -> Result<u64, Failure> {
        match (kept, self.strategy.as_refreshable()) {
            (Some(_), Some(strategy)) => strategy.end_sessions(&id.to_key(), kept).await,
            _ => match self.strategy.invalidate_all(&id.to_key()).await? {
                Invalidated::All(sessions) => Ok(sessions),
                Invalidated::Unsupported => Err(Failure::internal(
                    PART,
                    "this strategy can't end all sessions of an account",
                )),
            },
        }
    }

    /// Returns the statement of a change and its parameters. The first parameter is the account's
    /// id.
    fn written(&self, id: Uuid, change: Change<'_>) -> (String, Vec<Value>) {
        let user = self.dialect.quote("user");

        match change {
            Change::Disable => (
                format!("UPDATE {user} SET is_active = ?2 WHERE id = ?1"),
                vec![id.into(), false.into()],
            ),
            Change::Delete => (format!("DELETE FROM {user} WHERE id = ?1"), vec![id.into()]),
            Change::Password(hash) => (
                format!("UPDATE {user} SET hashed_password = ?2 WHERE id = ?1"),
                vec![id.into(), hash.into()],
            ),
            Change::Own {
                account,
                password,
                email,
            } => {
                let same_email = email.is_none_or(|email| email.as_str() == account.email);
                let set = "hashed_password = ?2, email = ?3, is_verified = ?4";
                let statement = format!(
                    "UPDATE {user} SET {set} WHERE id = ?1 AND hashed_password = ?5 AND email = ?6"
                );
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

/// Shows the kind of the change, without the hash and the address.
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
