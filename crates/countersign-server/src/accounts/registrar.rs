//! Makes accounts.

use std::sync::Arc;

use countersign::{Clock, Entropy, Failure};
use zeroize::Zeroizing;

use crate::accounts::account::Account;
use crate::accounts::email::Email;
use crate::accounts::hasher::Hasher;
use crate::accounts::store::Accounts;

/// What making an account needs.
#[derive(Clone, Debug)]
pub struct Registrar {
    /// Where accounts are.
    pub accounts: Accounts,
    /// What hashes passwords.
    pub hasher: Hasher,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
    /// What gives ids.
    pub entropy: Arc<dyn Entropy>,
}

impl Registrar {
    /// Adds an account, active and not verified; `None` when the email address is taken.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked, or when too many passwords are waiting to be hashed.
    pub async fn register(&self, email: &Email, password: Zeroizing<String>) -> Result<Option<Account>, Failure> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes)?;
        let account = Account {
            id: uuid::Builder::from_random_bytes(bytes).into_uuid(),
            email: email.as_str().to_owned(),
            hashed_password: self.hasher.hash(password).await?,
            is_active: true,
            is_verified: false,
            created_at: Some(self.clock.now()),
        };
        Ok(self.accounts.insert(&account).await?.then_some(account))
    }
}
