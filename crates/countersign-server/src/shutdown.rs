//! When to stop: the first signal asks for a graceful end, the second ends at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far a stop has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    Run,
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
    for phase in [Phase::Drain, Phase::Now] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tell.send_replace(phase);
    }
    // Keeps the channel open until the process ends.
    std::future::pending::<()>().await;
}
