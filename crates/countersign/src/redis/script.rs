//! Scripts that run inside Redis, each one atomic step.

use ::redis::Cmd;

/// A script, known to Redis by the hash of its text.
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, hash: ::redis::Script::new(text).get_hash().to_owned() }
    }

    pub(super) fn by_hash(&self, keys: &[&str], args: &[Vec<u8>]) -> Cmd {
        call("EVALSHA", &self.hash, keys, args)
    }

    pub(super) fn whole(&self, keys: &[&str], args: &[Vec<u8>]) -> Cmd {
        call("EVAL", self.text, keys, args)
    }
}

fn call(command: &str, script: &str, keys: &[&str], args: &[Vec<u8>]) -> Cmd {
    let mut call = ::redis::cmd(command);
    call.arg(script).arg(keys.len()).arg(keys).arg(args);
    call
}
