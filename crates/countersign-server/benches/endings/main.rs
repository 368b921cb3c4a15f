//! What it costs to end many sessions at once, and what others notice of it, on every store.
//!
//! ```sh
//! cargo bench -p countersign-server --all-features --bench endings -- sqlite --sessions 100000
//! cargo bench -p countersign-server --all-features --bench endings -- postgres redis --kill --rounds 20
//! ```
//!
//! For each ending an account has that many sessions. They are opened with the server's own strategy, in this process and on
//! the same store, before the server is started as a process of its own. Then each ending is asked for until it is
//! acknowledged, while others read and refresh at a steady pace. Of every account that was ended, some tokens are presented
//! afterwards.
//!
//! With `--kill` the process that ends sessions is killed at a random moment. The server is started again and the ending is
//! asked for once more; after that nothing of the account may answer. What answers all the same is printed and makes the
//! benchmark fail, in either mode.
//!
//! Server, stores and load share the machine: compare growth and ratios.

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
    // `cargo test --benches` builds and starts benches too; measuring is asked for by `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let mut results = Vec::new();
    let mut faults = 0;
    for backend in arguments.backends() {
        let ground = Ground::start(backend);
        let (result, alive): (Value, usize) =
            if arguments.kill { kill::run(&ground, &arguments).await } else { measure::run(&ground, &arguments).await };
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
