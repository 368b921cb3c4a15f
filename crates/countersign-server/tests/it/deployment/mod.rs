//! One truth per deployment: what must agree stands in the shared store, and whoever contradicts it is refused before the
//! first write.

mod agree;
mod change;
mod clock;
mod rights;
mod secrets;
mod start;
mod unreadable;

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::harness::{Place, SECRET, env, on_redis, shared};

pub(crate) const JWT_SECRET: &str = "Vb3-xn81Qzr7_tYw62kcLma5PjHdU0sF";
pub(crate) const OTHER_SECRET: &str = "Zq8-mm42Kdp5_rVx17jbWny9TgEcL3oA";

/// Signed tokens in a shared database, as two servers and an administrator's machine would share it.
fn signed(url: &str) -> Place {
    Place::new(shared(url))
        .with("STRATEGY", "jwt")
        .with("JWT_ALGORITHM", "HS256")
        .with("JWT_SECRET", JWT_SECRET)
}

/// Signed tokens whose denied ids go to this Redis.
fn on_redis_signed(redis: &testbed::Redis) -> Place {
    Place::new(on_redis(redis.url())).with("STRATEGY", "jwt")
}

/// Another machine with these settings but `left_out`, and a data directory of its own.
fn elsewhere(place: &Place, left_out: &[&str]) -> Place {
    let mut there = place.sibling();
    let names: Vec<String> = left_out.iter().map(|name| env(name, "").0).collect();
    there.settings.retain(|(name, _)| !names.contains(name));
    there
}

/// What a run that must be refused says, with the code that it must have.
#[track_caller]
fn mismatch(place: &Place, arguments: &[&str]) -> String {
    refused(place, arguments, "DEPLOYMENT_MISMATCH")
}

#[track_caller]
fn refused(place: &Place, arguments: &[&str], code: &str) -> String {
    let output = run(place, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    let line = said
        .lines()
        .rev()
        .find(|line| line.starts_with("{\"error\""));
    let error: Value =
        serde_json::from_str(line.unwrap_or_else(|| panic!("no error: {said}"))).unwrap();
    assert_eq!(error["error"]["code"], code, "{said}");
    for secret in [SECRET, OTHER_SECRET, JWT_SECRET] {
        assert!(!said.contains(secret), "{said}");
    }
    error["error"]["message"].as_str().unwrap().to_owned()
}

/// Runs a command to its end, or a server until it says that it listens.
fn run(place: &Place, arguments: &[&str]) -> Output {
    let mut command = place.command(&[arguments, &["--listen", "127.0.0.1:0", "--json"]].concat());
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    if first.contains("\"listening\"") {
        process.kill().unwrap();
    }
    let mut output = process.wait_with_output().unwrap();
    output.stdout = first.into_bytes();
    output
}

/// Makes the database what an earlier version left: without the table that says what the deployment is.
async fn forget(place: &Place) {
    let rows = crate::rows::Rows::of(place);
    rows.run("DROP TABLE countersign_deployment", &[]).await;
    let migration =
        "DELETE FROM countersign_migration WHERE set_name = 'countersign-server' AND version = 3";
    rows.run(migration, &[]).await;
}
