//! The command `HELLO`, which every user may send, whatever rights the user has.

use ::redis::aio::ConnectionLike;
use ::redis::{Cmd, RedisResult, Value, from_redis_value};

use crate::redis::error::is_broken;

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
    pub(super) async fn ask(connection: &mut impl ConnectionLike) -> RedisResult<Self> {
        match connection
            .req_packed_command(&Self::command())
            .await?
            .extract_error()
        {
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
