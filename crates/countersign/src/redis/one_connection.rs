//! A connection to one server, on which the commands of many callers travel at once.

use std::io;
use std::pin::pin;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, RedisError, Value};
use futures_util::future::{Either, select};
use tokio::sync::watch;

use crate::redis::error::is_broken;

/// A connection to one server. Callers that wait for an answer learn from each other when it broke.
///
/// The client alone doesn't tell everybody: a command that is handed over at the moment at which
/// the connection closes can stay behind in the client's queue, and its caller would wait until the
/// timeout. So each caller that gets such an error tells the others. A caller that is alone on the
/// connection learns it from the next caller, or by its timeout.
pub(super) struct OneConnection {
    client: MultiplexedConnection,
    /// `true` once the connection broke.
    broken: watch::Sender<bool>,
}

impl OneConnection {
    /// Wraps a connection that nobody uses yet.
    pub(super) fn new(client: MultiplexedConnection) -> Self {
        Self {
            client,
            broken: watch::Sender::new(false),
        }
    }

    /// Sends a command and returns its answer, in which errors of Redis are values.
    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let (mut client, mut broken) = (self.client.clone(), self.broken.subscribe());
        let asked = pin!(client.send_packed_command(command));
        // The lock that the wait returns is given back at once.
        let told = pin!(async { drop(broken.wait_for(|broken| *broken).await) });

        let answer = match select(asked, told).await {
            Either::Left((answer, _)) => answer,
            // The error by which the client itself reports a closed connection.
            Either::Right(_) => Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
        };
        if answer.as_ref().is_err_and(is_broken) {
            self.broken
                .send_if_modified(|broken| !std::mem::replace(broken, true));
        }

        answer
    }
}
