//! Hashes of passwords, by Argon2id with the parameters that OWASP recommends.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use countersign::entropy::Entropy;
use countersign::{Failure, Secret, SystemEntropy};
use tokio::sync::Semaphore;

/// The number of passwords that are hashed at once. Each takes 19 MiB and a core.
const AT_ONCE: usize = 4;

/// The hashing of passwords, a few at a time. Clones share the places.
#[derive(Clone)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    /// The hash of a password that nobody knows.
    decoy: Arc<str>,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, Failure> {
        let unknown = Secret::generate(&SystemEntropy)?;
        Ok(Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            decoy: hash(unknown.expose())?.into(),
        })
    }

    /// Returns the hash of a password, or `None` if all places are taken.
    pub(crate) async fn hash(&self, password: &str) -> Result<Option<String>, Failure> {
        let password = password.to_owned();
        let hash = self.in_turn(move || hash(&password)).await?;
        hash.transpose()
    }

    /// Returns `true` if the password is that of `stored`, or `None` if all places are taken.
    /// Without a stored hash it is wrong, and that takes as long.
    pub(crate) async fn is_right(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<Option<bool>, Failure> {
        let (is_stored, password) = (stored.is_some(), password.to_owned());
        let stored = stored.unwrap_or(&self.decoy).to_owned();
        let matches = self.in_turn(move || matches(&password, &stored)).await?;
        Ok(matches.map(|matches| matches && is_stored))
    }

    /// Runs `step` on a thread where it may take its time, if there is a place.
    async fn in_turn<T: Send + 'static>(
        &self,
        step: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, Failure> {
        // Whoever finds no place is told to come back. A queue would fill the memory.
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Ok(None);
        };
        let done = tokio::task::spawn_blocking(move || {
            // The place is taken until the hash is done, also if the visitor hangs up before.
            let _place = place;
            step()
        });
        let done = done.await;
        done.map(Some)
            .map_err(|error| Failure::internal("password hashing", error))
    }
}

fn hash(password: &str) -> Result<String, Failure> {
    let mut salt = [0; 16];
    SystemEntropy.fill(&mut salt)?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    let hash = hash.map_err(|error| Failure::internal("password hashing", error))?;
    Ok(hash.to_string())
}

fn matches(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|stored| {
        let verified = Argon2::default().verify_password(password.as_bytes(), &stored);
        verified.is_ok()
    })
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}
