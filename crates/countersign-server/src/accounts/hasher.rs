//! Password hashing on dedicated threads, with a bounded queue in front of them.
//!
//! Hashing a password is slow and takes a lot of memory on purpose. The threads keep a flood of
//! logins from slowing down token checks, and each thread reuses one buffer, so memory is bounded
//! by the number of threads. A request puts a job into the [`Queue`] and awaits the answer; a
//! thread takes the job and does the work on its [`Workbench`].

use std::num::NonZeroUsize;
use std::sync::Arc;

use countersign::Failure;
use countersign::entropy::Entropy;
use tokio::sync::oneshot;
use tracing::Span;
use zeroize::Zeroizing;

use crate::accounts::hashing::PART;
use crate::accounts::in_use::InUse;
use crate::accounts::password::{Verdict, Workbench};
use crate::accounts::queue::{Line, Next, Queue};

/// A handle to the hashing threads. Clones share the threads and the queue.
///
/// The threads end after the last clone is dropped, once the queue is empty.
#[derive(Clone, Debug)]
pub struct Hasher {
    queue: Arc<Closing>,
    in_use: InUse,
}

/// The result of checking a password.
#[derive(Debug)]
pub struct Checked {
    /// `true` if the password is right.
    pub right: bool,
    /// The new hash of a password that is right, if the stored hash has another setting than new
    /// hashes have. The caller should store it in place of the old one.
    pub rehashed: Option<String>,
}

#[derive(Debug)]
enum Job {
    Hash {
        password: Zeroizing<String>,
        reply: oneshot::Sender<Result<String, Failure>>,
    },
    Verify {
        password: Zeroizing<String>,
        stored: Option<String>,
        /// The span of the request, so that lines of this thread belong to it.
        span: Span,
        reply: oneshot::Sender<Result<Checked, Failure>>,
    },
}

impl Hasher {
    /// Starts `threads` hashing threads. Up to `places` logins may wait, and a quarter as many
    /// registrations, but at least one.
    ///
    /// # Errors
    /// [`Failure`] if the operating system can't start a thread.
    pub fn start(
        threads: NonZeroUsize,
        places: usize,
        in_use: InUse,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, Failure> {
        let queue = Arc::new(Queue::new(places));
        let closing = Arc::new(Closing(Arc::clone(&queue)));

        for number in 1..=threads.get() {
            let (queue, in_use, entropy) =
                (Arc::clone(&queue), in_use.clone(), Arc::clone(entropy));
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&queue, &in_use, &*entropy))
                .map_err(|error| Failure::unavailable(PART, error))?;
        }

        Ok(Self {
            queue: closing,
            in_use,
        })
    }

    /// Returns the hash settings in use, which determine the work of every check.
    pub const fn in_use(&self) -> &InUse {
        &self.in_use
    }

    /// Hashes a new password and returns the hash to store.
    ///
    /// The job is skipped if the caller has stopped waiting by the time a thread takes it.
    ///
    /// # Errors
    /// [`Failure`] of kind [`Full`](countersign::error::FailureKind::Full) if `line` is full: the
    /// client should try again in a moment. Another [`Failure`] if there is no memory or no
    /// randomness.
    pub async fn hash(&self, line: Line, password: Zeroizing<String>) -> Result<String, Failure> {
        self.ask(line, |reply| Job::Hash { password, reply }).await
    }

    /// Checks a password against a stored hash. Without a hash, does the same work and answers that
    /// the password is wrong.
    ///
    /// The job is done even if the caller has stopped waiting.
    ///
    /// # Errors
    /// [`Failure`] of kind [`Full`](countersign::error::FailureKind::Full) if too many logins are
    /// waiting: the client should try again in a moment. Another [`Failure`] if there is no memory
    /// or no randomness.
    pub async fn verify(
        &self,
        password: Zeroizing<String>,
        stored: Option<String>,
    ) -> Result<Checked, Failure> {
        self.ask(Line::Login, |reply| Job::Verify {
            password,
            stored,
            span: Span::current(),
            reply,
        })
        .await
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
        answer
            .await
            .map_err(|_| Failure::internal(PART, "a hashing thread ended unexpectedly"))?
    }
}

/// The guard that closes the queue when the last [`Hasher`] is dropped.
#[derive(Debug)]
struct Closing(Arc<Queue<Job>>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Runs a hashing thread until the queue is closed and empty.
fn work(queue: &Queue<Job>, in_use: &InUse, entropy: &dyn Entropy) {
    let mut workbench = Workbench::default();
    let renewed_to = in_use.renewed_to();
    let mut is_resting = true;

    loop {
        let next = queue.next(is_resting);
        is_resting = matches!(next, Next::Nothing);
        match next {
            Next::Job(Job::Hash { password, reply }) if !reply.is_closed() => {
                // The caller may have stopped waiting; then the answer goes nowhere.
                let _ = reply.send(workbench.hash(&password, renewed_to, entropy));
            }
            Next::Job(Job::Hash { .. }) => {}
            Next::Job(Job::Verify {
                password,
                stored,
                span,
                reply,
            }) => {
                let stored = stored.as_deref();
                let checked =
                    span.in_scope(|| check(&mut workbench, &password, stored, in_use, entropy));
                let _ = reply.send(checked);
            }
            Next::Nothing => workbench.rest(),
            Next::End => return,
        }
    }
}

/// Checks a password, and hashes it anew if the stored hash is outdated.
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
    Ok(Checked {
        right: verdict != Verdict::Wrong,
        rehashed,
    })
}

#[cfg(test)]
mod tests {
    use countersign::SystemEntropy;
    use countersign::error::FailureKind;

    use super::*;
    use crate::accounts::password::OURS;

    fn hasher(places: usize) -> Hasher {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        Hasher::start(NonZeroUsize::MIN, places, InUse::new(OURS), &entropy).unwrap()
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let hasher = hasher(1);
        let attempts =
            (0..8).map(|_| hasher.hash(Line::Login, Zeroizing::new("correct horse".to_owned())));
        let answers = futures_util::future::join_all(attempts).await;
        let refused = answers
            .iter()
            .filter(|answer| matches!(answer, Err(failure) if failure.kind() == FailureKind::Full));
        assert!(
            refused.count() >= 6,
            "one thread and one place in the queue"
        );
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
