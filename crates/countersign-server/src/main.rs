//! The binary `countersign`: parses the arguments and hands them to [`cli::run`].

use std::process::ExitCode;

use clap::Parser;
use countersign_server::cli;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse_from(cli::arguments(std::env::args_os())))
}
