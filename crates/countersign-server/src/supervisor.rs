//! What whoever supervises us hears, if it listens as systemd does (`NOTIFY_SOCKET`). A supervisor that can't be reached is
//! no reason not to serve.

use sd_notify::NotifyState;

/// Requests are answered from now on.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Settings are read again; [`ready`] says when that is over.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(event = "supervisor_not_told", %error),
    }
}

/// The end has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(event = "supervisor_not_told", %error);
    }
}
