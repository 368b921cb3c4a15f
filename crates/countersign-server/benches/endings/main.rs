//! The cost of ending many sessions at once, and its effect on other users, on every store.
//!
//! ```sh
//! cargo bench -p countersign-server --all-features --bench endings -- sqlite --sessions 100000
//! cargo bench -p countersign-server --all-features --bench endings -- \
//!     postgres redis --kill --rounds 20
//! ```
//!
//! For each kind of ending there is an account with many sessions. They are opened in this process,
//! with the server's own strategy and on the same store, before the server starts as a process of
//! its own. Then each ending is asked for until it is acknowledged, while other users read and
//! refresh at a steady pace. Afterwards some tokens of the account are presented, and none may be
//! accepted.
//!
//! With `--kill` the process that ends sessions is killed at a random moment. The server starts
//! again and the ending is asked for once more. After that, no token of the account may be
//! accepted.
//!
//! In either mode, tokens that are still accepted are printed and make the benchmark fail. Server,
//! stores and load share the machine, so compare growth and ratios.
//!
//! The modules: `measure` and `kill` are the two modes, `ending` asks for an ending, `account`
//! opens the sessions, `bystanders` are the other users, `ground` starts the stores, and `report`
//! prints.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark: it stops loudly"
)]

mod account;
mod arguments;
mod bystanders;
mod ending;
mod ground;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/harness.rs"]
mod harness;
mod kill;
mod measure;
mod report;

use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;

use arguments::Arguments;
use ground::Ground;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    // `cargo test --benches` starts benchmarks too. Only `cargo bench` passes `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let mut results = Vec::new();
    let mut faults = 0;
    for backend in arguments.backends() {
        let ground = Ground::start(backend);
        let (result, alive): (Value, usize) = if arguments.kill {
            kill::run(&ground, &arguments).await
        } else {
            measure::run(&ground, &arguments).await
        };
        results.push(result);
        faults += alive;
    }
    if arguments.json {
        println!("{:#}", Value::Array(results));
    }
    if faults > 0 {
        eprintln!("{faults} faults: see above");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
