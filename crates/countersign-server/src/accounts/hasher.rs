//! Password hashing on threads of its own, few and with a short queue, so that a flood of logins slows no token check, and
//! takes no more memory than one buffer a thread (SECURITY row L-02).

use std::num::NonZeroUsize;
use std::sync::Arc;

use countersign::{Entropy, Failure};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::accounts::in_use::InUse;
use crate::accounts::password::{PART, Verdict, Workbench};
use crate::accounts::queue::{Line, Next, Queue};

/// A handle to the hashing threads; they end with its last clone.
#[derive(Clone, Debug)]
pub struct Hasher {
    queue: Arc<Closing>,
    in_use: InUse,
}

/// What came of checking a password.
#[derive(Debug)]
pub struct Checked {
    /// Whether it is the one.
    pub right: bool,
    /// Its hash as hashes are made now, when the stored one was made otherwise.
    pub rehashed: Option<String>,
}

#[derive(Debug)]
enum Job {
    Hash { password: Zeroizing<String>, reply: oneshot::Sender<Result<String, Failure>> },
    Verify { password: Zeroizing<String>, stored: Option<String>, reply: oneshot::Sender<Result<Checked, Failure>> },
}

impl Hasher {
    /// Starts the threads. `places` passwords of those who log in may wait, and fewer of those who register.
    ///
    /// # Errors
    /// [`Failure`] when the system grants no thread.
    pub fn start(
        threads: NonZeroUsize,
        places: usize,
        in_use: InUse,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, Failure> {
        let queue = Arc::new(Queue::new(places));
        let closing = Arc::new(Closing(Arc::clone(&queue)));
        for number in 1..=threads.get() {
            let (queue, in_use, entropy) = (Arc::clone(&queue), in_use.clone(), Arc::clone(entropy));
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&queue, &in_use, &*entropy))
                .map_err(|error| Failure::unavailable(PART, error))?;
        }
        Ok(Self { queue: closing, in_use })
    }

    /// The settings that checks are made to cost as much as.
    pub const fn in_use(&self) -> &InUse {
        &self.in_use
    }

    /// The hash of a password, to be stored.
    ///
    /// # Errors
    /// [`Failure`] of kind `Full` when too many are waiting in this line.
    pub async fn hash(&self, line: Line, password: Zeroizing<String>) -> Result<String, Failure> {
        self.ask(line, |reply| Job::Hash { password, reply }).await
    }

    /// Checks a password against the stored hash; without one it takes as long, and is wrong.
    ///
    /// # Errors
    /// [`Failure`] of kind `Full` when too many are waiting.
    pub async fn verify(&self, password: Zeroizing<String>, stored: Option<String>) -> Result<Checked, Failure> {
        self.ask(Line::Login, |reply| Job::Verify { password, stored, reply }).await
    }

    async fn ask<T>(
        &self,
        line: Line,
        job: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> Job,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        if !self.queue.0.push(line, job(reply)) {
            return Err(Failure::full(PART));
        }
        answer.await.map_err(|_| Failure::internal(PART, "a thread ended in the middle"))?
    }
}

/// Ends the threads when it is dropped.
#[derive(Debug)]
struct Closing(Arc<Queue<Job>>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn work(queue: &Queue<Job>, in_use: &InUse, entropy: &dyn Entropy) {
    let mut workbench = Workbench::default();
    let renewed_to = in_use.renewed_to();
    let mut is_resting = true;
    loop {
        let next = queue.next(is_resting);
        is_resting = matches!(next, Next::Nothing);
        match next {
            Next::Job(Job::Hash { password, reply }) if !reply.is_closed() => {
                // Nobody may be waiting any more; then there is nobody to tell.
                let _ = reply.send(workbench.hash(&password, renewed_to, entropy));
            }
            Next::Job(Job::Hash { .. }) => {}
            Next::Job(Job::Verify { password, stored, reply }) => {
                let _ = reply.send(check(&mut workbench, &password, stored.as_deref(), in_use, entropy));
            }
            Next::Nothing => workbench.rest(),
            Next::End => return,
        }
    }
}

fn check(
    workbench: &mut Workbench,
    password: &str,
    stored: Option<&str>,
    in_use: &InUse,
    entropy: &dyn Entropy,
) -> Result<Checked, Failure> {
    let verdict = workbench.verify(password, stored, in_use)?;
    let rehashed = match verdict {
        Verdict::RightButOld => Some(workbench.hash(password, in_use.renewed_to(), entropy)?),
        Verdict::Right | Verdict::Wrong => None,
    };
    Ok(Checked { right: verdict != Verdict::Wrong, rehashed })
}

#[cfg(test)]
mod tests {
    use countersign::{FailureKind, SystemEntropy};

    use super::*;
    use crate::accounts::password::OURS;

    fn hasher(places: usize) -> Hasher {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        Hasher::start(NonZeroUsize::MIN, places, InUse::new(OURS), &entropy).unwrap()
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let hasher = hasher(1);
        let attempts = (0..8).map(|_| hasher.hash(Line::Login, Zeroizing::new("correct horse".to_owned())));
        let answers = futures_util::future::join_all(attempts).await;
        let refused =
            answers.iter().filter(|answer| matches!(answer, Err(failure) if failure.kind() == FailureKind::Full));
        assert!(refused.count() >= 6, "one thread and one place in the queue");
        assert!(answers.iter().any(Result::is_ok));
    }

    #[tokio::test]
    async fn verifies_and_renews() {
        let hasher = hasher(8);
        let password = || Zeroizing::new("correct horse".to_owned());
        let stored = hasher.hash(Line::Registration, password()).await.unwrap();
        let checked = hasher.verify(password(), Some(stored)).await.unwrap();
        assert!(checked.right && checked.rehashed.is_none());
        assert!(!hasher.verify(password(), None).await.unwrap().right);
    }
}
