//! Tables of the results, as `cargo run -p model` prints them.

use std::io::{self, Write};

use crate::configurations::Break;
use crate::search::{Caught, Explored};

/// Writes a table of explored configurations, and below it the steps to each broken promise and the
/// events that never occurred.
///
/// # Errors
///
/// Returns the error of `out` if it cannot be written to.
pub fn explored(out: &mut impl Write, searches: &[Explored]) -> io::Result<()> {
    writeln!(
        out,
        "{:<34} {:>10} {:>11} {:>6}  seen  promises",
        "configuration", "states", "steps", "depth"
    )?;

    for search in searches {
        let promises = if search.broken.is_empty() {
            "hold"
        } else {
            "BROKEN"
        };
        let Explored {
            name,
            states,
            steps,
            depth,
            seen,
            ..
        } = search;
        writeln!(
            out,
            "{name:<34} {states:>10} {steps:>11} {depth:>6} {seen:>5}  {promises}"
        )?;
    }

    let states: usize = searches.iter().map(|search| search.states).sum();
    let steps: usize = searches.iter().map(|search| search.steps).sum();
    writeln!(out, "{:<34} {states:>10} {steps:>11}", "total")?;

    for search in searches {
        for (promise, trace) in &search.broken {
            writeln!(out, "\n{}: {promise} is broken by", search.name)?;
            for step in trace {
                writeln!(out, "  {step}")?;
            }
        }
        for unseen in &search.unseen {
            writeln!(out, "\n{}: never came about: {unseen}", search.name)?;
        }
    }
    Ok(())
}

/// Writes a table of broken guards or dropped assumptions and the promises that caught them.
///
/// With `traces`, also writes the steps to each.
///
/// # Errors
///
/// Returns the error of `out` if it cannot be written to.
pub fn caught(
    out: &mut impl Write,
    title: &str,
    searches: &[Caught],
    traces: bool,
) -> io::Result<()> {
    writeln!(
        out,
        "\n{title:<38} {:<34} {:<26} steps",
        "configuration", "caught by"
    )?;

    for Caught { broken, trace } in searches {
        let Break {
            name,
            protocol,
            promise,
        } = broken;
        let configuration = protocol.settings.name;
        match trace {
            Some(trace) => writeln!(
                out,
                "{name:<38} {configuration:<34} {promise:<26} {:>5}",
                trace.len()
            )?,
            None => writeln!(
                out,
                "{name:<38} {configuration:<34} NOT CAUGHT by {promise}"
            )?,
        }

        for step in trace.iter().flatten().filter(|_| traces) {
            writeln!(out, "  {step}")?;
        }
    }
    Ok(())
}
