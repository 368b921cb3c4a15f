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
  countersign                                          serve on 127.0.0.1:8000, everything in ./countersign-data
  countersign --listen 0.0.0.0:8000 --strategy jwt     signed access tokens
  countersign --database-url postgres://auth@db/auth --token-hash-secret-file /run/secrets/token_hash
  countersign --strategy redis --redis-url redis://cache --token-hash-secret-file /run/secrets/token_hash
  countersign --strategy jwt --redis-url redis://cache-1,redis://cache-2 --token-hash-secret-file /run/secrets/token_hash
  countersign migrate --dry-run                        shows what would be changed in the database's tables
  countersign user add ada@example.org                 asks for the password
  countersign user disable ada@example.org             ends all sessions of the account at once
  countersign session list ada@example.org             what the account is logged in with
  countersign deployment change --strategy jwt         changes how every server makes tokens
  countersign config check                             shows what the settings come to

Every setting is a flag, an environment variable (--access-lifetime is COUNTERSIGN_ACCESS_LIFETIME) and a key of the TOML
file (access_lifetime). Flags win over environment, environment over file.
Exit codes: 0 done, 1 failed, 2 a mistake in arguments or settings.";

/// Issues, validates, rotates and revokes login tokens.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, about, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    /// A TOML file of settings [env: COUNTERSIGN_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answers in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves HTTP (what happens without a command)
    Serve,
    /// Brings the database's tables up to date
    Migrate(migrate::Migrate),
    /// Accounts: add, list, disable, enable, delete, set-password
    #[command(subcommand)]
    User(user::UserCommand),
    /// Sessions of an account: list, revoke
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Removes expired tokens now
    Cleanup(cleanup::Cleanup),
    /// The deployment, on which all of its servers agree: show, change
    #[command(subcommand)]
    Deployment(deployment::DeploymentCommand),
    /// Settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Checks the settings and shows what they come to, without secrets
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
    let _logging = telemetry::start(config.log).map_err(Error::io("can't start the log"))?;
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
