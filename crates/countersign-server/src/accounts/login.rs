//! Checks a login: limit, account, password. Unknown, wrong and disabled are one answer, at one price (SECURITY row
//! L-03).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::axum::{CredentialVerifier, LoginAttempt, LoginVerdict};
use countersign::{Clock, Failure, FailureKind};
use zeroize::Zeroizing;

use crate::accounts::account::Account;
use crate::accounts::email::Email;
use crate::accounts::hasher::Hasher;
use crate::accounts::password::MAX_PASSWORD_BYTES;
use crate::accounts::store::Accounts;
use crate::accounts::throttle::{Allowance, Throttle};

/// What a login needs.
#[derive(Clone, Debug)]
pub struct Logins {
    /// Where accounts are.
    pub accounts: Accounts,
    /// What checks passwords.
    pub hasher: Hasher,
    /// What counts failures.
    pub throttle: Throttle,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What came of a login.
#[derive(Debug)]
pub enum Login {
    /// The password is the account's, and the account may be used.
    Accepted(Account),
    /// No.
    Refused,
    /// Too many failures; not before this much time has passed.
    Throttled(Duration),
}

impl Logins {
    /// Checks `password` for the account that `identifier` names, tried from `address`.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked, or when too many passwords are waiting to be checked.
    pub async fn check(
        &self,
        identifier: &str,
        password: Zeroizing<String>,
        address: IpAddr,
    ) -> Result<Login, Failure> {
        let email = Email::parse(identifier).ok();
        let attempt = self.throttle.attempt(email.as_ref().map_or(identifier, Email::as_str), address);
        if let Allowance::Wait(wait) = self.throttle.check(&attempt, self.clock.now()).await? {
            return Ok(Login::Throttled(wait));
        }
        let account = match &email {
            Some(email) => self.accounts.by_email(email).await?,
            None => None,
        };
        let stored = account.as_ref().filter(|_| password.len() <= MAX_PASSWORD_BYTES);
        let stored = stored.map(|account| account.hashed_password.clone());
        let checked = self.hasher.verify(password, stored).await?;
        let Some(account) = account.filter(|account| checked.right && account.is_active) else {
            return Ok(match self.throttle.failed(&attempt, self.clock.now()).await? {
                Allowance::Free { .. } => Login::Refused,
                Allowance::Wait(wait) => Login::Throttled(wait),
            });
        };
        // Asked again, because guesses made at the same time have been counted meanwhile: a right one among them must
        // not show.
        match self.throttle.check(&attempt, self.clock.now()).await? {
            Allowance::Wait(wait) => return Ok(Login::Throttled(wait)),
            Allowance::Free { failed_before: true } => self.throttle.forget(&attempt).await?,
            Allowance::Free { failed_before: false } => {}
        }
        self.renew(account, checked.rehashed).await.map(Login::Accepted)
    }

    async fn renew(&self, mut account: Account, rehashed: Option<String>) -> Result<Account, Failure> {
        if let Some(hash) = rehashed
            && self.accounts.renew_password(account.id, &account.hashed_password, &hash).await?
        {
            account.hashed_password = hash;
        }
        Ok(account)
    }
}

/// What an attempt without an address counts as.
const NOWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// When to come back when too many passwords are waiting.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[async_trait]
impl CredentialVerifier<Account> for Logins {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Account>, Failure> {
        let address = login.client_address().unwrap_or(NOWHERE);
        let password = Zeroizing::new(login.password().to_owned());
        match self.check(login.identifier(), password, address).await {
            Ok(Login::Accepted(account)) => Ok(LoginVerdict::Accepted(account)),
            Ok(Login::Refused) => Ok(LoginVerdict::Rejected),
            Ok(Login::Throttled(retry_after)) => Ok(LoginVerdict::RateLimited { retry_after }),
            Err(failure) if failure.kind() == FailureKind::Full => {
                Ok(LoginVerdict::Overloaded { retry_after: RETRY_AFTER })
            }
            Err(failure) => Err(failure),
        }
    }
}
