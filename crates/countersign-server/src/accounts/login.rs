//! Login checks: the limit of failed logins, the account, and the password.
//!
//! An unknown account, a wrong password and a disabled account get the same answer after the same
//! work, so that nobody can find out which accounts exist. The steps of [`Logins::check`] are:
//!
//! 1. Ask the [`Throttle`] whether another attempt is allowed.
//! 2. Load the account from [`Accounts`].
//! 3. Check the password on the [`Hasher`]'s threads. Without an account, the same work is done on
//!    decoys.
//! 4. Count a failure, or check the limit again and forget earlier failures.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::Failure;
use countersign::axum::{CredentialVerifier, LoginAttempt, LoginVerdict};
use countersign::clock::Clock;
use countersign::error::FailureKind;
use tracing::Instrument;
use zeroize::Zeroizing;

use crate::accounts::account::Account;
use crate::accounts::email::Lookup;
use crate::accounts::hasher::{Checked, Hasher};
use crate::accounts::password::MAX_PASSWORD_BYTES;
use crate::accounts::store::Accounts;
use crate::accounts::throttle::{Allowance, Attempt, Throttle};
use crate::address::{NOWHERE, Proxies};
use crate::config::{SECOND_FACTOR, SecondFactor};

/// The service that checks logins and passwords.
///
/// It is the [`CredentialVerifier`] of the library's login routes.
#[derive(Clone, Debug)]
pub struct Logins {
    /// The account table.
    pub accounts: Accounts,
    /// The threads that check passwords.
    pub hasher: Hasher,
    /// The counts of failed logins.
    pub throttle: Throttle,
    /// The known proxies, which tell whether an address is that of a single client.
    pub proxies: Arc<Proxies>,
    /// The treatment of accounts that have a second factor.
    pub second_factor: SecondFactor,
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
}

/// The result of a login attempt.
#[derive(Debug)]
pub enum Login {
    /// The password is right, and the account is active.
    Accepted(Account),
    /// The login is refused. The account is unknown or disabled, the password is wrong, or a second
    /// factor would be needed.
    Refused,
    /// There were too many failures. The next attempt is allowed after this time.
    Throttled(Duration),
}

/// The result of checking the password of a user who is logged in.
#[derive(Debug)]
pub enum Recognised {
    /// The current password is right. Contains the account as it is stored now.
    ByPassword(Account),
    /// The current password is wrong, but the new password is already the account's. A request that
    /// is repeated after its answer was lost has this result. Contains the account as it is stored
    /// now.
    ByNewPassword(Account),
    /// Neither password is right, or the account was disabled or deleted.
    No,
    /// There were too many failures. The next attempt is allowed after this time.
    Throttled(Duration),
}

impl Logins {
    /// Checks `password` for the account with the email address `identifier`, for a client at
    /// `address`.
    ///
    /// The check runs to its end even if the caller stops waiting, so that a client can't avoid
    /// being counted by hanging up.
    ///
    /// # Errors
    /// [`Failure`] of kind [`Full`](FailureKind::Full) if too many passwords are waiting to be
    /// checked. Another [`Failure`] if the database can't be reached. The client may try again in
    /// both cases.
    pub async fn check(
        &self,
        identifier: &str,
        password: Zeroizing<String>,
        address: IpAddr,
    ) -> Result<Login, Failure> {
        let (logins, identifier) = (self.clone(), identifier.to_owned());
        to_the_end(async move { logins.judge(&identifier, password, address).await }).await
    }

    /// Checks whether `password` is the current password of `account`, or whether `new` already is.
    ///
    /// If neither is right, each of them counts as a failed login. Like [`check`](Self::check),
    /// this runs to its end even if the caller stops waiting.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub async fn recognise(
        &self,
        account: &Account,
        password: Zeroizing<String>,
        new: Option<Zeroizing<String>>,
        address: IpAddr,
    ) -> Result<Recognised, Failure> {
        let (logins, account) = (self.clone(), account.clone());
        to_the_end(async move { logins.judge_owner(&account, password, new, address).await }).await
    }

    /// Does the work of [`check`](Self::check).
    async fn judge(
        &self,
        identifier: &str,
        password: Zeroizing<String>,
        address: IpAddr,
    ) -> Result<Login, Failure> {
        let lookup = Lookup::of(identifier);
        let attempt = self.attempt(lookup.as_ref().map_or(identifier, Lookup::counted), address);
        if let Allowance::Wait(wait) = self.throttle.check(&attempt, self.clock.now()).await? {
            return Ok(Login::Throttled(wait));
        }

        let found = match &lookup {
            Some(lookup) => self.accounts.for_login(lookup).await?,
            None => None,
        };
        let checked = self
            .verify(found.as_ref().map(|(account, _)| account), password)
            .await?;

        let Some((account, _)) = found.filter(|(account, has_second_factor)| {
            checked.right && account.is_active && !self.misses_second_factor(*has_second_factor)
        }) else {
            return Ok(self
                .failed(&attempt)
                .await?
                .map_or(Login::Refused, Login::Throttled));
        };

        Ok(match self.succeeded(&attempt).await? {
            Some(wait) => Login::Throttled(wait),
            None => Login::Accepted(self.renew(account, checked.rehashed).await?),
        })
    }

    /// Does the work of [`recognise`](Self::recognise).
    async fn judge_owner(
        &self,
        account: &Account,
        password: Zeroizing<String>,
        new: Option<Zeroizing<String>>,
        address: IpAddr,
    ) -> Result<Recognised, Failure> {
        let counted = Lookup::of(&account.email);
        let attempt = self.attempt(
            counted.as_ref().map_or(&account.email, Lookup::counted),
            address,
        );
        if let Allowance::Wait(wait) = self.throttle.check(&attempt, self.clock.now()).await? {
            return Ok(Recognised::Throttled(wait));
        }

        let now = self
            .accounts
            .by_id(account.id)
            .await?
            .filter(|account| account.is_active);
        let by_password = self.verify(now.as_ref(), password).await?;
        let by_new = match new {
            Some(new) if !by_password.right => Some(self.verify(now.as_ref(), new).await?),
            _ => None,
        };

        let is_right = by_password.right || by_new.as_ref().is_some_and(|checked| checked.right);
        let Some(now) = now.filter(|_| is_right) else {
            let mut wait = self.failed(&attempt).await?;
            if by_new.is_some() {
                wait = self.failed(&attempt).await?.or(wait);
            }
            return Ok(wait.map_or(Recognised::No, Recognised::Throttled));
        };

        if let Some(wait) = self.succeeded(&attempt).await? {
            return Ok(Recognised::Throttled(wait));
        }

        Ok(match by_new {
            None => Recognised::ByPassword(self.renew(now, by_password.rehashed).await?),
            Some(by_new) => Recognised::ByNewPassword(self.renew(now, by_new.rehashed).await?),
        })
    }

    fn attempt(&self, counted: &str, address: IpAddr) -> Attempt {
        self.throttle.attempt(counted, self.proxies.source(address))
    }

    /// Checks the password of an account. Without an account, or with an overlong password, does
    /// the same work and answers that the password is wrong.
    async fn verify(
        &self,
        account: Option<&Account>,
        password: Zeroizing<String>,
    ) -> Result<Checked, Failure> {
        let stored = account.filter(|_| password.len() <= MAX_PASSWORD_BYTES);
        self.hasher
            .verify(
                password,
                stored.map(|account| account.hashed_password.clone()),
            )
            .await
    }

    /// Returns `true` if the account needs a second factor, for which this server can't ask.
    ///
    /// The client gets the same answer as for a wrong password. The log names the reason.
    fn misses_second_factor(&self, has_second_factor: bool) -> bool {
        let is_missing = has_second_factor && self.second_factor == SecondFactor::Refuse;
        if is_missing {
            tracing::warn!(
                event = "second_factor_not_asked",
                setting = SECOND_FACTOR.env(),
                "login refused although the password is correct: the account has a second \
                 factor in litestar-auth, which this server does not support; set this to \
                 `ignore` to let such accounts log in with their password alone"
            );
        }
        is_missing
    }

    /// Counts a failure. Returns the time to wait if the limit is exceeded by it.
    async fn failed(&self, attempt: &Attempt) -> Result<Option<Duration>, Failure> {
        Ok(
            match self.throttle.failed(attempt, self.clock.now()).await? {
                Allowance::Free { .. } => None,
                Allowance::Wait(wait) => Some(wait),
            },
        )
    }

    /// Forgets earlier failures before a success, or returns the time to wait.
    ///
    /// The limit is checked again, because parallel guesses may have been counted while this
    /// password was hashed. Among too many parallel guesses, the right one must get the same answer
    /// as the wrong ones.
    async fn succeeded(&self, attempt: &Attempt) -> Result<Option<Duration>, Failure> {
        match self.throttle.check(attempt, self.clock.now()).await? {
            Allowance::Wait(wait) => return Ok(Some(wait)),
            Allowance::Free {
                failed_before: true,
            } => self.throttle.forget(attempt).await?,
            Allowance::Free {
                failed_before: false,
            } => {}
        }
        Ok(None)
    }

    /// Stores the renewed hash, unless the password was changed since. Returns the account as it is
    /// stored.
    async fn renew(
        &self,
        mut account: Account,
        rehashed: Option<String>,
    ) -> Result<Account, Failure> {
        if let Some(hash) = rehashed
            && self
                .accounts
                .renew_password(account.id, &account.hashed_password, &hash)
                .await?
        {
            account.hashed_password = hash;
        }
        Ok(account)
    }
}

/// Runs `judgement` as a task of its own, which continues if the caller stops waiting.
async fn to_the_end<T: Send + 'static>(
    judgement: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let judged = tokio::spawn(judgement.in_current_span()).await;
    judged.map_err(|error| Failure::internal("login", error))?
}

/// The time after which a client should try again when too many passwords are waiting.
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
            Err(failure) if failure.kind() == FailureKind::Full => Ok(LoginVerdict::Overloaded {
                retry_after: RETRY_AFTER,
            }),
            Err(failure) => Err(failure),
        }
    }

    async fn still_holds(&self, _: &LoginAttempt, judged: &Account) -> Result<bool, Failure> {
        let now = self.accounts.by_id(judged.id).await?;
        Ok(now.is_some_and(|now| {
            now.is_active
                && now.hashed_password == judged.hashed_password
                && now.email == judged.email
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use countersign::clock::SystemClock;
    use countersign::entropy::Entropy;
    use countersign::store::sql::{Database, DatabaseOptions, Migrator};
    use countersign::user::UserKeyKind;
    use countersign::{Secret, SystemEntropy};
    use futures_util::future::join_all;

    use super::*;
    use crate::accounts::{Email, InUse, OURS, Registrar};
    use crate::config::{RateLimit, Registration};
    use crate::foundation::ACCOUNTS;

    const PASSWORD: &str = "correct horse battery";
    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn password() -> Zeroizing<String> {
        Zeroizing::new(PASSWORD.to_owned())
    }

    async fn logins() -> Logins {
        let database = Database::connect("sqlite::memory:", DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid)
            .add(ACCOUNTS)
            .run()
            .await
            .unwrap();
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let limit = RateLimit {
            most: 3,
            window: Duration::from_hours(1),
        };
        let secret = Secret::generate(&*entropy).unwrap();
        let logins = Logins {
            accounts: Accounts::new(database.driver()),
            hasher: Hasher::start(NonZeroUsize::MIN, 64, InUse::new(OURS), &entropy).unwrap(),
            throttle: Throttle::new(database.driver(), &secret, Some(limit)).unwrap(),
            proxies: Arc::default(),
            second_factor: SecondFactor::Refuse,
            clock: Arc::new(SystemClock),
        };
        let registrar = Registrar {
            logins: logins.clone(),
            registration: Registration::Open(None),
            entropy,
        };
        registrar
            .register(&Email::parse("ada@example.org").unwrap(), password())
            .await
            .unwrap()
            .unwrap();
        logins
    }

    /// A guess that was under way while others failed must not show that it is right.
    #[tokio::test]
    async fn a_right_guess_among_too_many_is_not_told() {
        let logins = logins().await;
        let mut right = Box::pin(logins.judge("ada@example.org", password(), ADDRESS));
        // Passed the first check, and now waiting for its turn to be verified.
        assert!(futures_util::poll!(&mut right).is_pending());
        let attempt = logins.attempt("ada@example.org", ADDRESS);
        for _ in 0..3 {
            logins
                .throttle
                .failed(&attempt, logins.clock.now())
                .await
                .unwrap();
        }
        assert!(matches!(right.await.unwrap(), Login::Throttled(_)));
    }

    #[tokio::test]
    async fn guesses_at_once_are_counted_one_by_one() {
        let logins = logins().await;
        let wrong = || Zeroizing::new("wrong password".to_owned());
        let answers =
            join_all((0..12).map(|_| logins.check("ada@example.org", wrong(), ADDRESS))).await;
        let refused = answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Login::Refused)))
            .count();
        assert_eq!((refused, answers.len()), (3, 12));
    }

    /// What was judged under an address that isn't the account's any more lets nobody in.
    #[tokio::test]
    async fn a_login_under_an_address_that_changed_meanwhile_does_not_hold() {
        let logins = logins().await;
        let Ok(Login::Accepted(judged)) =
            logins.check("ada@example.org", password(), ADDRESS).await
        else {
            panic!()
        };
        let attempt = LoginAttempt::new("ada@example.org", PASSWORD);
        assert!(logins.still_holds(&attempt, &judged).await.unwrap());
        let before = Account {
            email: "countess@example.org".to_owned(),
            ..judged
        };
        assert!(!logins.still_holds(&attempt, &before).await.unwrap());
    }

    #[tokio::test]
    async fn right_ones_at_once_all_pass() {
        let logins = logins().await;
        let answers =
            join_all((0..12).map(|_| logins.check("Ada@example.org", password(), ADDRESS))).await;
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Ok(Login::Accepted(_))))
        );
    }
}
