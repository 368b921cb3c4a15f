//! Passwords and their argon2id hashes.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use countersign::{Failure, Problem};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::{Error, PASSWORD_INVALID};

/// The hash that the password of an unknown member is checked against. That takes as long as a check
/// of the right member's, so the time of the answer doesn't tell which addresses have an account.
/// Nobody knows a password for it. Its parameters are those of [`Argon2::default`].
pub(crate) const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA\
                                $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The most passwords that are hashed at once. Each takes 19 MiB and a core, so many logins at once
/// can't take all memory.
const AT_ONCE: usize = 4;

/// The time after which a client that was turned away may try again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The work on passwords, a few at a time. Clones share the bound.
#[derive(Clone, Debug)]
pub(crate) struct Passwords(Arc<Semaphore>);

/// The error of work on a password.
pub(crate) enum HashError {
    /// The bound is reached.
    Busy,
    /// The hash could not be computed.
    Failed(Failure),
}

impl Passwords {
    /// Creates the bound.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Returns the hash of a new password, with a random salt.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Error> {
        if password.chars().count() < 12 || password.len() > 256 {
            return Err(PASSWORD_INVALID.into());
        }
        let hash = self
            .work(move || Argon2::default().hash_password(password.as_bytes()))
            .await?
            .map_err(|error| Failure::internal("password hashing", error.to_string()))?;
        Ok(hash.to_string())
    }

    /// Returns `true` if the hash is one of this password.
    pub(crate) async fn is_right(&self, password: &str, hash: &str) -> Result<bool, HashError> {
        let (password, hash) = (password.to_owned(), hash.to_owned());
        let check = move || {
            let is_right = |hash| Argon2::default().verify_password(password.as_bytes(), &hash);
            PasswordHash::new(&hash).is_ok_and(|hash| is_right(hash).is_ok())
        };
        self.work(check).await
    }

    /// Runs `work` on a thread that may be busy for long.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        let permit = permit.map_err(|_| HashError::Busy)?;
        let done = spawn_blocking(move || {
            // Held by the thread, since that goes on if the client hangs up.
            let _permit = permit;
            work()
        });
        let failed = |error| HashError::Failed(Failure::internal("password hashing", error));
        done.await.map_err(failed)
    }
}

impl From<HashError> for Error {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Refused(Problem::overloaded(RETRY_AFTER)),
            HashError::Failed(failure) => Self::Failed(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_decoy_takes_as_long_as_a_real_hash() {
        let passwords = Passwords::new();
        let real = passwords.hash("correct horse".to_owned()).await.unwrap();
        // The algorithm, its version and its parameters.
        let work = |hash: &str| {
            hash.split('$')
                .take(4)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(work(DECOY), work(&real));
        PasswordHash::new(DECOY).unwrap();
        for (password, is_right) in [("correct horse", true), ("wrong", false)] {
            let answer = passwords.is_right(password, &real).await;
            assert_eq!(answer.ok(), Some(is_right));
        }
    }

    #[tokio::test]
    async fn beyond_the_bound_clients_are_told_to_come_back() {
        let passwords = Passwords::new();
        let bound = u32::try_from(AT_ONCE).unwrap();
        let busy = passwords.0.acquire_many(bound).await.unwrap();
        let refused = passwords.is_right("password", DECOY).await;
        assert!(matches!(refused, Err(HashError::Busy)));
        drop(busy);
        assert_eq!(
            passwords.is_right("password", DECOY).await.ok(),
            Some(false)
        );
    }
}
