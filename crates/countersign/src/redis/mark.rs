//! Marks that an application leaves on a Redis, to know it again.

use crate::error::Failure;
use crate::redis::Redis;

/// What the key of a mark begins with.
const KEY_PREFIX: &str = "countersign:deployment:";

/// What stands in it: the version of its form.
const VERSION: &str = "v1";

/// What a Redis has under the name of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisMark {
    /// Nothing.
    Missing,
    /// The mark.
    Present,
    /// A mark of a form that only a newer version knows.
    Newer,
    /// Something that is no mark.
    Unreadable,
}

impl Redis {
    /// Leaves a mark of this name, `countersign:deployment:<name>`, unless there is one. It is the one key of ours that has
    /// no end: it stays until it is removed, or this Redis loses what it holds.
    ///
    /// # Errors
    /// [`Failure`] when Redis doesn't take it.
    pub async fn leave_mark(&self, name: &str) -> Result<(), Failure> {
        let mut command = ::redis::cmd("SET");
        self.run::<Option<String>>(command.arg(key(name)).arg(VERSION).arg("NX")).await.map(drop)
    }

    /// Returns what this Redis has under this name.
    ///
    /// # Errors
    /// [`Failure`] when Redis can't be asked.
    pub async fn mark(&self, name: &str) -> Result<RedisMark, Failure> {
        let found: Option<Option<Vec<u8>>> = self.run_typed(::redis::cmd("GET").arg(key(name))).await?;
        Ok(match found {
            Some(None) => RedisMark::Missing,
            Some(Some(text)) if text == VERSION.as_bytes() => RedisMark::Present,
            Some(Some(text)) if is_version(&text) => RedisMark::Newer,
            Some(Some(_)) | None => RedisMark::Unreadable,
        })
    }

    /// Removes the mark of this name, if there is one.
    ///
    /// # Errors
    /// [`Failure`] when Redis doesn't do it.
    pub async fn remove_mark(&self, name: &str) -> Result<(), Failure> {
        self.run::<u64>(::redis::cmd("DEL").arg(key(name))).await.map(drop)
    }
}

fn key(name: &str) -> String {
    format!("{KEY_PREFIX}{name}")
}

/// Whether it is the version of some form: `v` and a number.
fn is_version(text: &[u8]) -> bool {
    text.strip_prefix(b"v").is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}
