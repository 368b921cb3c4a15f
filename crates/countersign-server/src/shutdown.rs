//! What signals say: the first SIGTERM asks for an end that is announced, the first SIGINT for one that isn't, the second of
//! either ends at once, and SIGHUP asks for settings to be read again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far a stop has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    Run,
    /// Serve on, and say that the end is near.
    Leave,
    /// Take nothing new, finish what was begun.
    Drain,
    /// End at once.
    Now,
}

/// Told to everyone who must know when to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Phase>);

impl Stop {
    /// A stop that follows SIGTERM and SIGINT.
    ///
    /// # Errors
    /// When the system doesn't let us listen to signals.
    pub fn on_signals() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let (tell, told) = watch::channel(Phase::Run);
        tokio::spawn(follow(terminate, interrupt, tell));
        Ok(Self(told))
    }

    /// How far it has got.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// A stop that the returned sender gives.
    pub fn by_hand() -> (watch::Sender<Phase>, Self) {
        let (tell, told) = watch::channel(Phase::Run);
        (tell, Self(told))
    }

    /// Waits until `phase` has been reached.
    pub async fn reached(&self, phase: Phase) {
        let mut told = self.0.clone();
        if told.wait_for(|now| *now >= phase).await.is_err() {
            // Nobody is left who could tell: run on.
            std::future::pending::<()>().await;
        }
    }
}

async fn follow(mut terminate: Signal, mut interrupt: Signal, tell: watch::Sender<Phase>) {
    let first = tokio::select! {
        _ = terminate.recv() => Phase::Leave,
        // Who sits at a terminal waits for no load balancer.
        _ = interrupt.recv() => Phase::Drain,
    };
    tell.send_replace(first);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tell.send_replace(Phase::Now);
    // Keeps the channel open until the process ends.
    std::future::pending::<()>().await;
}

/// Hears SIGHUP, which no longer ends the process from then on.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system doesn't let us listen to signals.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one; several that come close together are one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
