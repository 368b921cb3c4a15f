//! The command line of the benchmark.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::ending::Ending;
use crate::ground::Backend;

/// Measures endings of many sessions.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// The stores; all of them unless some are named
    backends: Vec<Backend>,
    /// Sessions of each account
    #[arg(long, default_value_t = 10_000)]
    pub(crate) sessions: usize,
    /// The endings; all of them unless some are named
    #[arg(long = "ending", value_name = "ENDING")]
    endings: Vec<Ending>,
    /// Kills the process that ends sessions, and asks again
    #[arg(long)]
    pub(crate) kill: bool,
    /// How many endings are interrupted
    #[arg(long, default_value_t = 10)]
    pub(crate) rounds: usize,
    /// Seconds after which an ending that isn't acknowledged is given up
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// Prints the figures as JSON on standard output, and everything else on standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Returns the named stores, or all of them.
    pub(crate) fn backends(&self) -> Vec<Backend> {
        some_or_all(&self.backends)
    }

    /// Returns the named endings, or all of them.
    pub(crate) fn endings(&self) -> Vec<Ending> {
        some_or_all(&self.endings)
    }

    /// Returns the time after which an ending that isn't acknowledged is given up.
    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}

/// Returns the named values, or all values if none is named.
fn some_or_all<T: ValueEnum>(some: &[T]) -> Vec<T> {
    if some.is_empty() {
        T::value_variants().to_vec()
    } else {
        some.to_vec()
    }
}
