//! Password hashing on threads of its own, few and with a short queue, so that a flood of logins slows no token check
//! and takes no more memory than threads × 19 MiB (SECURITY row L-02).

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use countersign::{Entropy, Failure};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::accounts::password::{self, Verdict};

const PART: &str = "password hashing";

/// A handle to the hashing threads; they end with its last clone.
#[derive(Clone, Debug)]
pub struct Hasher {
    queue: SyncSender<Job>,
}

/// What came of checking a password.
#[derive(Debug)]
pub struct Checked {
    /// Whether it is the one.
    pub right: bool,
    /// Its hash in today's parameters, when the stored one was of older ones.
    pub rehashed: Option<String>,
}

#[derive(Debug)]
enum Job {
    Hash { password: Zeroizing<String>, reply: oneshot::Sender<Result<String, Failure>> },
    Verify { password: Zeroizing<String>, stored: Option<String>, reply: oneshot::Sender<Result<Checked, Failure>> },
}

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Failure`] when the system grants no thread.
    pub fn start(threads: NonZeroUsize, queue: usize, entropy: Arc<dyn Entropy>) -> Result<Self, Failure> {
        let (sender, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 1..=threads.get() {
            let (receiver, entropy) = (Arc::clone(&receiver), Arc::clone(&entropy));
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&receiver, &*entropy))
                .map_err(|error| Failure::unavailable(PART, error))?;
        }
        Ok(Self { queue: sender })
    }

    /// The hash of a password, to be stored.
    ///
    /// # Errors
    /// [`Failure`] of kind `Full` when too many are waiting.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, Failure> {
        self.ask(|reply| Job::Hash { password, reply }).await
    }

    /// Checks a password against the stored hash; without one it takes as long, and is wrong.
    ///
    /// # Errors
    /// As for [`hash`](Self::hash).
    pub async fn verify(&self, password: Zeroizing<String>, stored: Option<String>) -> Result<Checked, Failure> {
        self.ask(|reply| Job::Verify { password, stored, reply }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> Job) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(job(reply)).map_err(|error| match error {
            TrySendError::Full(_) => Failure::full(PART),
            TrySendError::Disconnected(_) => Failure::internal(PART, "its threads are gone"),
        })?;
        answer.await.map_err(|_| Failure::internal(PART, "a thread ended in the middle"))?
    }
}

fn work(queue: &Mutex<Receiver<Job>>, entropy: &dyn Entropy) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(Job::Hash { password, reply }) if !reply.is_closed() => {
                // Nobody may be waiting any more; then there is nobody to tell.
                let _ = reply.send(password::hash(&password, entropy));
            }
            Ok(Job::Verify { password, stored, reply }) if !reply.is_closed() => {
                let _ = reply.send(check(&password, stored.as_deref(), entropy));
            }
            Ok(_abandoned) => {}
            Err(_) => return,
        }
    }
}

fn check(password: &str, stored: Option<&str>, entropy: &dyn Entropy) -> Result<Checked, Failure> {
    let verdict = password::verify(password, stored)?;
    let rehashed = match verdict {
        Verdict::RightButOld => Some(password::hash(password, entropy)?),
        Verdict::Right | Verdict::Wrong => None,
    };
    Ok(Checked { right: verdict != Verdict::Wrong, rehashed })
}

#[cfg(test)]
mod tests {
    use countersign::{FailureKind, SystemEntropy};

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let hasher = Hasher::start(NonZeroUsize::MIN, 1, Arc::new(SystemEntropy)).unwrap();
        let attempts = (0..8).map(|_| hasher.hash(Zeroizing::new("correct horse".to_owned())));
        let answers = futures_util::future::join_all(attempts).await;
        let refused =
            answers.iter().filter(|answer| matches!(answer, Err(failure) if failure.kind() == FailureKind::Full));
        assert!(refused.count() >= 6, "one thread and one place in the queue");
        assert!(answers.iter().any(Result::is_ok));
    }

    #[tokio::test]
    async fn verifies_and_renews() {
        let hasher = Hasher::start(NonZeroUsize::MIN, 8, Arc::new(SystemEntropy)).unwrap();
        let password = || Zeroizing::new("correct horse".to_owned());
        let stored = hasher.hash(password()).await.unwrap();
        let checked = hasher.verify(password(), Some(stored)).await.unwrap();
        assert!(checked.right && checked.rehashed.is_none());
        assert!(!hasher.verify(password(), None).await.unwrap().right);
    }
}
