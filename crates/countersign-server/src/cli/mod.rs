//! The command line: the arguments, and a module for each command.
//!
//! [`run`] is the entry point. It reads the settings, starts the log, and calls the command's
//! module. Answers go to standard output through `Output`, as text or as one JSON document; errors
//! go to standard error. `serve` has a flow of its own, because it has to react to signals from the
//! start.
//!
//! To add a command, write a module with its arguments and a function `run`, and name both in
//! `Command` and in `execute`. The documentation comments of the arguments are the help texts that
//! users read.

mod arguments;
mod cleanup;
mod config_check;
mod deployment;
mod flags;
mod migrate;
mod output;
mod password;
mod serve;
mod session;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::{Config, Flags, Sources};
use crate::error::Error;
use crate::telemetry;
pub use arguments::arguments;
use flags::SettingFlags;
use output::Output;

/// The time that the end of the process waits for threads that are still running.
const LINGER: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  countersign                                          serve on 127.0.0.1:8000 and store everything in ./countersign-data
  countersign --listen 0.0.0.0:8000 --strategy jwt     serve on all addresses, with signed access tokens
  countersign --database-url postgres://auth@db/auth --token-hash-secret-file /run/secrets/token_hash
  countersign --strategy redis --redis-url redis://cache --token-hash-secret-file /run/secrets/token_hash
  countersign --strategy jwt --redis-url redis://cache-1,redis://cache-2 --token-hash-secret-file /run/secrets/token_hash
  countersign migrate --dry-run                        print the statements that a migration would run
  countersign user add ada@example.org                 add an account and prompt for its password
  countersign user disable ada@example.org             disable an account and end all its sessions
  countersign session list ada@example.org             list the sessions of an account
  countersign deployment change --strategy jwt         change the strategy of every server
  countersign config check                             print the effective settings

Every setting can be given as a flag (--access-lifetime), an environment variable (COUNTERSIGN_ACCESS_LIFETIME) or a key
of the TOML file (access_lifetime). Flags override environment variables, which override the file.
Exit codes: 0 success, 1 failure, 2 invalid arguments or settings.";

/// A server that issues, validates, rotates and revokes login tokens
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    /// Read settings from this TOML file [env: COUNTERSIGN_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the output as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve HTTP (the default without a command)
    Serve,
    /// Migrate the tables of the database to this version
    Migrate(migrate::Migrate),
    /// Manage accounts: add, list, disable, enable, delete, set-password
    #[command(subcommand)]
    User(user::UserCommand),
    /// Manage the sessions of an account: list, revoke
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Delete expired tokens now
    Cleanup(cleanup::Cleanup),
    /// Manage the settings that all servers of a deployment share: show, change
    #[command(subcommand)]
    Deployment(deployment::DeploymentCommand),
    /// Inspect the settings: check
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the settings and print their effective values, without secrets
    Check,
}

/// Runs the command of `cli` and returns the exit code of the process: 0 if it succeeded, 1 if it
/// failed, and 2 for a mistake in arguments or settings.
///
/// An error is printed on standard error.
pub fn run(cli: Cli) -> ExitCode {
    let output = Output::new(cli.json);
    match dispatch(cli, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    }
}

/// Starts the runtime and runs the command, or `serve` if none was given.
fn dispatch(cli: Cli, output: Output) -> Result<(), Error> {
    let flags = Flags {
        config: cli.config,
        given: cli.settings.given,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::io("can't start the runtime"))?;

    let command = cli.command.unwrap_or(Command::Serve);
    let done = if matches!(command, Command::Serve) {
        runtime.block_on(serve::run(flags, output))
    } else {
        runtime.block_on(execute(command, flags, output))
    };

    // A blocking call that hangs, such as the lookup of a name, must not keep the process alive.
    runtime.shutdown_timeout(LINGER);
    done
}

/// Runs a command other than `serve`.
async fn execute(command: Command, flags: Flags, output: Output) -> Result<(), Error> {
    let sources = Sources::gather(flags, std::env::vars_os())?;

    // The record can be shown even if the other settings contradict it or can't work.
    if let Command::Deployment(deployment::DeploymentCommand::Show) = command {
        return deployment::show(&sources, output).await;
    }

    let config = Config::read(&sources)?;
    let _logging = telemetry::start(config.log).map_err(Error::io("can't start logging"))?;

    match command {
        // `dispatch` runs this command itself.
        Command::Serve => Ok(()),
        Command::Migrate(command) => migrate::run(&config, &command, output).await,
        Command::User(command) => user::run(&config, command, output).await,
        Command::Session(command) => session::run(&config, command, output).await,
        Command::Cleanup(command) => cleanup::run(&config, command, output).await,
        Command::Deployment(command) => deployment::run(&config, command, output).await,
        Command::Config(ConfigCommand::Check) => config_check::run(&sources, output),
    }
}
