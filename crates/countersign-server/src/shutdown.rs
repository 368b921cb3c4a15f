//! The signals that stop or reload the server.
//!
//! | signal | effect |
//! |---|---|
//! | first `SIGTERM` | [`Phase::Leave`]: the stop is announced first, for load balancers |
//! | first `SIGINT` | [`Phase::Drain`]: no announcement, as somebody at a terminal expects |
//! | second of either | [`Phase::Now`]: open connections are cut off |
//! | `SIGHUP` | the settings are read again ([`Hangups`]) |
//!
//! A [`Stop`] is handed to every part that must know when to end. Each waits for the phase that
//! concerns it with [`Stop::reached`].

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The progress of a stop, as far as signals ask for it.
///
/// Phases follow each other in the order of this list and never go back. A phase may be skipped, so
/// compare with `>=` and not with `==`. A server that was told to [leave](Self::Leave) begins to
/// drain by itself after the setting `drain_delay`; the phase stays `Leave` then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No stop was asked for.
    Run,
    /// A stop was asked for that is announced: `/readyz` answers 503 while requests are still
    /// accepted.
    Leave,
    /// A stop was asked for without an announcement: no new connection is accepted, and requests in
    /// progress are finished.
    Drain,
    /// The server is to end without waiting for anything.
    Now,
}

/// A handle that tells how far the stop of the server has got.
///
/// Clones follow the same stop.
///
/// # Examples
///
/// ```
/// use countersign_server::shutdown::{Phase, Stop};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, stop) = Stop::by_hand();
/// assert_eq!(stop.phase(), Phase::Run);
///
/// sender.send_replace(Phase::Drain);
/// stop.reached(Phase::Leave).await;
/// assert_eq!(stop.phase(), Phase::Drain);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Phase>);

impl Stop {
    /// Creates a stop that follows `SIGTERM` and `SIGINT`.
    ///
    /// From this call on, neither signal ends the process by itself. Call it within a Tokio
    /// runtime, and once per process.
    ///
    /// # Errors
    /// Returns an [`io::Error`] if the operating system refuses to register the signal handlers.
    pub fn on_signals() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let (tell, told) = watch::channel(Phase::Run);
        tokio::spawn(follow(terminate, interrupt, tell));
        Ok(Self(told))
    }

    /// Returns the current phase.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Creates a stop that follows the returned sender instead of signals.
    ///
    /// Send phases with [`send_replace`](watch::Sender::send_replace), in ascending order. If the
    /// sender is dropped, the phase stays as it is.
    pub fn by_hand() -> (watch::Sender<Phase>, Self) {
        let (tell, told) = watch::channel(Phase::Run);
        (tell, Self(told))
    }

    /// Waits until `phase` or a later one is reached. Returns at once if it is.
    ///
    /// Never returns if the sender is dropped before that.
    pub async fn reached(&self, phase: Phase) {
        let mut told = self.0.clone();
        if told.wait_for(|now| *now >= phase).await.is_err() {
            // The sender is gone, so the phase can't change any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Translates signals into phases.
async fn follow(mut terminate: Signal, mut interrupt: Signal, tell: watch::Sender<Phase>) {
    let first = tokio::select! {
        _ = terminate.recv() => Phase::Leave,
        // Ctrl-C comes from a terminal. No load balancer has to be told before such a stop.
        _ = interrupt.recv() => Phase::Drain,
    };
    tell.send_replace(first);

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tell.send_replace(Phase::Now);

    // Keeps the sender alive, because `reached` never returns without one.
    std::future::pending::<()>().await;
}

/// The stream of `SIGHUP`s.
///
/// From its creation on, `SIGHUP` no longer ends the process.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Starts to listen for `SIGHUP`. Call it within a Tokio runtime.
    ///
    /// # Errors
    /// Returns an [`io::Error`] if the operating system refuses to register the signal handler.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next `SIGHUP`. Signals that arrive close together count as one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
