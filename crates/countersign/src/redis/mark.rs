//! Marks that an application leaves on a Redis, to know it again.

use crate::error::Failure;
use crate::redis::Redis;

/// What the key of a mark begins with.
const KEY_PREFIX: &str = "countersign:deployment:";

/// What stands in it: the version of its form.
const VERSION: &str = "v1";

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

    /// Returns whether this Redis has the mark of this name.
    ///
    /// # Errors
    /// [`Failure`] when Redis can't be asked.
    pub async fn has_mark(&self, name: &str) -> Result<bool, Failure> {
        let found: u64 = self.run(::redis::cmd("EXISTS").arg(key(name))).await?;
        Ok(found > 0)
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
