//! The command `HELLO`, which every user may send, whatever rights the user has.

use std::pin::pin;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, RedisError, RedisResult, Value, from_redis_value};
use futures_util::future::{Either, select};
use tokio::time::Instant;

use crate::redis::error::is_broken;

/// The time without an answer after which the connection is asked whether it is still open.
const SILENCE: Duration = Duration::from_millis(50);

/// The answer to `HELLO`. A field is empty if the server didn't answer it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    /// The version of the server, such as `7.0.15`.
    pub(super) version: String,
    /// The mode of the server: `standalone`, `cluster` or `sentinel`.
    pub(super) mode: String,
    /// The role of the server: `master` or `replica`.
    pub(super) role: String,
}

impl Hello {
    /// Returns the command, which keeps the protocol of the connection.
    pub(super) fn command() -> Cmd {
        ::redis::cmd("HELLO")
    }

    /// Sends `HELLO` and returns the answer. A proxy that doesn't know the command gives an empty
    /// one.
    pub(super) async fn ask(connection: &MultiplexedConnection) -> RedisResult<Self> {
        let (mut asking, mut beside) = (connection.clone(), connection.clone());
        let command = Self::command();
        let asked = pin!(asking.send_packed_command(&command));
        let broken = pin!(broken(&mut beside));

        let answer = match select(asked, broken).await {
            Either::Left((answer, _)) => answer?,
            Either::Right((error, _)) => return Err(error),
        };
        match answer.extract_error() {
            Ok(answer) => Ok(Self::read(answer)),
            Err(error) if is_broken(&error) => Err(error),
            Err(_) => Ok(Self::default()),
        }
    }

    /// Reads an answer of either protocol version: a map, or a list of names and values in turn.
    pub(super) fn read(answer: Value) -> Self {
        let pairs: Vec<(Value, Value)> = match answer {
            Value::Map(pairs) => pairs,
            other => from_redis_value(other).unwrap_or_default(),
        };
        Self {
            version: field(&pairs, "version"),
            mode: field(&pairs, "mode"),
            role: field(&pairs, "role"),
        }
    }
}

/// Waits until a connection that nobody else uses yet is closed, and returns the error.
///
/// A command that is handed to the client as the connection closes can stay in its queue, without an
/// error. The next one gets the error, so one follows while there is no answer.
async fn broken(connection: &mut MultiplexedConnection) -> RedisError {
    let mut silence = tokio::time::interval_at(Instant::now() + SILENCE, SILENCE);
    loop {
        silence.tick().await;
        if let Err(error) = connection.send_packed_command(&::redis::cmd("PING")).await {
            return error;
        }
    }
}

/// Returns the value with this name, or an empty text without one.
fn field(pairs: &[(Value, Value)], name: &str) -> String {
    pairs
        .iter()
        .find(|(known, _)| text(known) == name)
        .map(|(_, value)| text(value))
        .unwrap_or_default()
}

/// Returns the text of a value, which is empty if the value isn't one.
fn text(value: &Value) -> String {
    from_redis_value(value.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_say_the_same() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let pairs = [
            ("server", bulk("redis")),
            ("version", bulk("7.0.15")),
            ("proto", Value::Int(2)),
            ("mode", bulk("cluster")),
            ("role", bulk("master")),
            ("modules", Value::Array(Vec::new())),
        ];
        let flat = pairs
            .iter()
            .flat_map(|(name, value)| [bulk(name), value.clone()])
            .collect();
        let map = pairs
            .iter()
            .map(|(name, value)| (bulk(name), value.clone()))
            .collect();
        let said = Hello {
            version: "7.0.15".into(),
            mode: "cluster".into(),
            role: "master".into(),
        };
        assert_eq!(
            [
                Hello::read(Value::Array(flat)),
                Hello::read(Value::Map(map))
            ],
            [said.clone(), said]
        );
        assert_eq!(Hello::read(Value::Nil), Hello::default());
    }
}
