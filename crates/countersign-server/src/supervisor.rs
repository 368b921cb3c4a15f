//! Notifications to the service manager, as systemd expects them (`sd_notify(3)`).
//!
//! A unit of `Type=notify-reload` learns from these calls when the server is ready, when it reloads
//! its settings, and when it begins to stop. The messages go to the socket that `NOTIFY_SOCKET`
//! names. Without that variable every function here does nothing. A notification that can't be
//! delivered is logged at `debug` (`supervisor_not_told`) and never keeps the server from serving.

use sd_notify::NotifyState;

/// Notifies the service manager that requests are answered (`READY=1`).
///
/// Also ends a reload that [`reloading`] announced, whether the reload succeeded or not.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Notifies the service manager that settings are being read again (`RELOADING=1`).
///
/// The message carries the monotonic time, by which systemd matches it with the [`ready`] that
/// follows. If that clock can't be read, nothing is sent.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(event = "supervisor_not_told", %error),
    }
}

/// Notifies the service manager that the server begins to stop (`STOPPING=1`).
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Sends the states and logs an error, if there is one.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(event = "supervisor_not_told", %error);
    }
}
