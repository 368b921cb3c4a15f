//! Registration of new accounts, for the route `POST /auth/register` and the command `user add`.

use std::net::IpAddr;
use std::sync::Arc;

use countersign::Failure;
use countersign::entropy::Entropy;
use zeroize::Zeroizing;

use crate::accounts::account::Account;
use crate::accounts::email::Email;
use crate::accounts::login::Logins;
use crate::accounts::queue::Line;
use crate::accounts::throttle::Allowance;
use crate::config::Registration;

/// The service that creates accounts.
#[derive(Clone, Debug)]
pub struct Registrar {
    /// The account table, the hashing threads and the counts of attempts.
    pub logins: Logins,
    /// The permission to register, and its limit.
    pub registration: Registration,
    /// The source of the random ids of new accounts.
    pub entropy: Arc<dyn Entropy>,
}

impl Registrar {
    /// Counts a registration attempt from `address`, and returns whether it is allowed.
    ///
    /// Attempts beyond the limit aren't counted. Always allows the attempt if there is no limit.
    /// Whether registration is open at all is decided by the router.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached.
    pub async fn admit(&self, address: IpAddr) -> Result<Allowance, Failure> {
        let Registration::Open(Some(limit)) = self.registration else {
            return Ok(Allowance::Free {
                failed_before: false,
            });
        };
        let source = self.logins.proxies.source(address);
        self.logins
            .throttle
            .registers(source, limit, self.logins.clock.now())
            .await
    }

    /// Creates an account, active and not verified. Returns `None` if the email address is taken.
    ///
    /// The caller has checked the length of the password with
    /// [`is_of_fitting_length`](crate::accounts::is_of_fitting_length).
    ///
    /// # Errors
    /// [`Failure`] of kind [`Full`](countersign::error::FailureKind::Full) if too many passwords
    /// are waiting to be hashed. Another [`Failure`] if the database can't be reached; the account
    /// may have been created, and then a second call returns `None`.
    pub async fn register(
        &self,
        email: &Email,
        password: Zeroizing<String>,
    ) -> Result<Option<Account>, Failure> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes)?;
        let hashed_password = self
            .logins
            .hasher
            .hash(Line::Registration, password)
            .await?;

        // The unique index covers only the canonical form. An older account may have the address in
        // another.
        if self
            .logins
            .accounts
            .by_address(email.lookup())
            .await?
            .is_some()
        {
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
        Ok(self
            .logins
            .accounts
            .insert(&account)
            .await?
            .then_some(account))
    }
}
