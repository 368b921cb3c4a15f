//! litestar-auth 1.1.1 itself, installed from PyPI, beside our server.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

use crate::harness::Place;

/// A Python process with the original's `JWTStrategy`. It reads the accounts of the server that it stands beside.
pub(crate) struct Original {
    process: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Original {
    /// Starts it with the secret and the Redis server that our server at `place` has; that must have been started once.
    pub(crate) fn beside(place: &Place, secret: &str, redis: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/original/original.py");
        let mut process = Command::new(python())
            .arg(script)
            .env("ORIGINAL_SECRET", secret)
            .env("ORIGINAL_REDIS_URL", redis)
            .env(
                "ORIGINAL_ACCOUNTS",
                place.data_dir().join("countersign.sqlite"),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        assert_eq!(answer(&mut stdout), "ready");
        Self {
            process,
            pipes: Mutex::new((stdin, stdout)),
        }
    }

    /// A token that it writes for an account.
    pub(crate) fn write(&self, email: &str) -> String {
        self.ask("write", email).as_str().unwrap().to_owned()
    }

    /// The id of the account that it reads a token as; `None` when it refuses the token.
    pub(crate) fn read(&self, token: &str) -> Option<String> {
        self.ask("read", token).as_str().map(str::to_owned)
    }

    /// Its logout.
    pub(crate) fn destroy(&self, token: &str) {
        assert!(self.ask("destroy", token).is_null());
    }

    fn ask(&self, command: &str, argument: &str) -> Value {
        let (stdin, stdout) = &mut *self.pipes.lock().unwrap();
        writeln!(stdin, "{command} {argument}").unwrap();
        answer(stdout)
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answer(stdout: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    serde_json::from_str(&line)
        .unwrap_or_else(|_| panic!("the original ended; what it said is above"))
}

/// The interpreter that scripts/litestar-auth made.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = target.join("litestar-auth/bin/python");
    assert!(
        python.exists(),
        "litestar-auth isn't installed in {}: run scripts/litestar-auth",
        target.display()
    );
    python
}
