//! Lua scripts. Redis runs each of them as one atomic step.

use ::redis::Cmd;

/// A Lua script and the SHA-1 hash that Redis knows it by.
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    /// Creates a script from its text. Redis learns it when it is first run.
    pub(crate) fn new(text: &'static str) -> Self {
        Self {
            text,
            hash: ::redis::Script::new(text).get_hash().to_owned(),
        }
    }

    /// Returns the command that runs the script by its hash. It fails with `NOSCRIPT` if Redis
    /// doesn't know the script.
    pub(super) fn by_hash(&self, keys: &[&str], args: &[Vec<u8>]) -> Cmd {
        call("EVALSHA", &self.hash, keys, args)
    }

    /// Returns the command that sends the whole text and runs it. Redis knows the script
    /// afterwards.
    pub(super) fn whole(&self, keys: &[&str], args: &[Vec<u8>]) -> Cmd {
        call("EVAL", self.text, keys, args)
    }
}

fn call(command: &str, script: &str, keys: &[&str], args: &[Vec<u8>]) -> Cmd {
    let mut call = ::redis::cmd(command);
    call.arg(script).arg(keys.len()).arg(keys).arg(args);
    call
}
