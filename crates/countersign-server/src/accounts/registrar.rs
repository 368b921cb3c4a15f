//! Makes accounts.

use std::net::IpAddr;
use std::sync::Arc;

use countersign::{Entropy, Failure};
use zeroize::Zeroizing;

use crate::accounts::account::Account;
use crate::accounts::email::Email;
use crate::accounts::login::Logins;
use crate::accounts::queue::Line;
use crate::accounts::throttle::Allowance;
use crate::config::Registration;

/// What making an account needs.
#[derive(Clone, Debug)]
pub struct Registrar {
    /// Where accounts are, and what logs in to them.
    pub logins: Logins,
    /// Who may make one.
    pub registration: Registration,
    /// What gives ids.
    pub entropy: Arc<dyn Entropy>,
}

impl Registrar {
    /// Whether somebody may register from `address` now; that is counted.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked.
    pub async fn admit(&self, address: IpAddr) -> Result<Allowance, Failure> {
        let Registration::Open(Some(limit)) = self.registration else {
            return Ok(Allowance::Free { failed_before: false });
        };
        let source = self.logins.proxies.source(address);
        self.logins.throttle.registers(source, limit, self.logins.clock.now()).await
    }

    /// Adds an account, active and not verified; `None` when the email address is taken.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked, or when too many passwords are waiting to be hashed.
    pub async fn register(&self, email: &Email, password: Zeroizing<String>) -> Result<Option<Account>, Failure> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes)?;
        let hashed_password = self.logins.hasher.hash(Line::Registration, password).await?;
        // The index sees to the canonical form; an account from before may have the address in another one.
        if self.logins.accounts.by_address(email.lookup()).await?.is_some() {
            return Ok(None);
        }
        let account = Account {
            id: uuid::Builder::from_random_bytes(bytes).into_uuid(),
            email: email.as_str().to_owned(),
            hashed_password,
            is_active: true,
            is_verified: false,
            created_at: Some(self.logins.clock.now()),
        };
        Ok(self.logins.accounts.insert(&account).await?.then_some(account))
    }
}
