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

    async fn still_holds(&self, judged: &Account) -> Result<bool, Failure> {
        let now = self.accounts.by_id(judged.id).await?;
        Ok(now.is_some_and(|now| now.is_active && now.hashed_password == judged.hashed_password))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use countersign::store::sql::{Database, DatabaseOptions, Migrator};
    use countersign::{Entropy, Secret, SystemClock, SystemEntropy, UserKeyKind};
    use futures_util::future::join_all;

    use super::*;
    use crate::accounts::Registrar;
    use crate::compose::ACCOUNTS;
    use crate::config::LoginLimit;

    const PASSWORD: &str = "correct horse battery";
    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn password() -> Zeroizing<String> {
        Zeroizing::new(PASSWORD.to_owned())
    }

    async fn logins() -> Logins {
        let database = Database::connect("sqlite::memory:", DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid).add(ACCOUNTS).run().await.unwrap();
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let limit = LoginLimit { failures: 3, window: Duration::from_hours(1) };
        let secret = Secret::generate(&*entropy).unwrap();
        let logins = Logins {
            accounts: Accounts::new(database.driver()),
            hasher: Hasher::start(NonZeroUsize::MIN, 64, &entropy).unwrap(),
            throttle: Throttle::new(database.driver(), &secret, Some(limit)).unwrap(),
            clock: Arc::new(SystemClock),
        };
        let (accounts, hasher) = (logins.accounts.clone(), logins.hasher.clone());
        let registrar = Registrar { accounts, hasher, clock: Arc::clone(&logins.clock), entropy };
        registrar.register(&Email::parse("ada@example.org").unwrap(), password()).await.unwrap().unwrap();
        logins
    }

    /// A guess that was under way while others failed must not show that it is right.
    #[tokio::test]
    async fn a_right_guess_among_too_many_is_not_told() {
        let logins = logins().await;
        let mut right = Box::pin(logins.check("ada@example.org", password(), ADDRESS));
        // Passed the first check, and now waiting for its turn to be verified.
        assert!(futures_util::poll!(&mut right).is_pending());
        let attempt = logins.throttle.attempt("ada@example.org", ADDRESS);
        for _ in 0..3 {
            logins.throttle.failed(&attempt, logins.clock.now()).await.unwrap();
        }
        assert!(matches!(right.await.unwrap(), Login::Throttled(_)));
    }

    #[tokio::test]
    async fn guesses_at_once_are_counted_one_by_one() {
        let logins = logins().await;
        let wrong = || Zeroizing::new("wrong password".to_owned());
        let answers = join_all((0..12).map(|_| logins.check("ada@example.org", wrong(), ADDRESS))).await;
        let refused = answers.iter().filter(|answer| matches!(answer, Ok(Login::Refused))).count();
        assert_eq!((refused, answers.len()), (3, 12));
    }

    #[tokio::test]
    async fn right_ones_at_once_all_pass() {
        let logins = logins().await;
        let answers = join_all((0..12).map(|_| logins.check("Ada@example.org", password(), ADDRESS))).await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Login::Accepted(_)))));
    }
}
