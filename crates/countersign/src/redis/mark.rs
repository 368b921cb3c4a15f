//! Marks: keys that an application leaves on a Redis to recognise it later.
//!
//! A Redis that lost its data, or a URL that leads to another Redis, has no mark. An application
//! that finds its mark missing knows that revocations may be missing too.

use crate::error::Failure;
use crate::redis::Redis;

/// The prefix of a mark's key.
const KEY_PREFIX: &str = "countersign:deployment:";

/// The value of a mark: the version of its format.
const VERSION: &str = "v1";

/// The state of a mark on a Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisMark {
    /// No key with this name exists.
    Missing,
    /// The mark exists.
    Present,
    /// A mark of a newer format exists, which a newer version of this crate left.
    Newer,
    /// The key holds something that isn't a mark.
    Unreadable,
}

impl Redis {
    /// Creates the mark `countersign:deployment:<name>` if it doesn't exist yet.
    ///
    /// It is the one key of this crate without an expiry. It stays until
    /// [`remove_mark`](Self::remove_mark) deletes it or Redis loses its data. Calling this again
    /// changes nothing, so it can be repeated after an error.
    ///
    /// # Errors
    /// [`Failure`] if Redis doesn't confirm the write. The mark may exist nevertheless.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use countersign::redis::{Redis, RedisMark, RedisOptions};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let redis = Redis::connect("redis://localhost", RedisOptions::default())?;
    /// redis.leave_mark("shop").await?;
    ///
    /// // Later, for example at the next start:
    /// if redis.mark("shop").await? == RedisMark::Missing {
    ///     eprintln!("this Redis has lost its data, or is another one");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn leave_mark(&self, name: &str) -> Result<(), Failure> {
        let mut command = ::redis::cmd("SET");
        self.run::<Option<String>>(command.arg(key(name)).arg(VERSION).arg("NX"))
            .await
            .map(drop)
    }

    /// Returns the state of the mark with this name.
    ///
    /// # Errors
    /// [`Failure`] if Redis can't be asked.
    pub async fn mark(&self, name: &str) -> Result<RedisMark, Failure> {
        let found: Option<Option<Vec<u8>>> =
            self.run_typed(::redis::cmd("GET").arg(key(name))).await?;
        Ok(match found {
            Some(None) => RedisMark::Missing,
            Some(Some(text)) if text == VERSION.as_bytes() => RedisMark::Present,
            Some(Some(text)) if is_version(&text) => RedisMark::Newer,
            Some(Some(_)) | None => RedisMark::Unreadable,
        })
    }

    /// Deletes the mark with this name, if it exists. Calling this again changes nothing.
    ///
    /// # Errors
    /// [`Failure`] if Redis doesn't confirm the deletion.
    pub async fn remove_mark(&self, name: &str) -> Result<(), Failure> {
        self.run::<u64>(::redis::cmd("DEL").arg(key(name)))
            .await
            .map(drop)
    }
}

/// Returns the key of a mark.
fn key(name: &str) -> String {
    format!("{KEY_PREFIX}{name}")
}

/// Returns `true` for the version of any format: `v` and a number.
fn is_version(text: &[u8]) -> bool {
    text.strip_prefix(b"v")
        .is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}
