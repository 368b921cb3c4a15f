//! Searches the whole protocol and every broken one, and prints the results.
//!
//! The exit status is a failure if a promise is broken, if an event that must occur never does, or
//! if a broken guard is not caught. With an argument, searches only the names that contain it, and
//! prints the steps by which each broken guard was caught.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use model::configurations::{self, Break};
use model::{report, search};

fn main() -> io::Result<ExitCode> {
    let filter = env::args().nth(1);
    let filter = filter.as_deref();
    let configurations: Vec<_> = configurations::ALL
        .into_iter()
        .filter(|it| is_meant(it.name, filter))
        .collect();

    let mut out = io::stdout().lock();
    let explored = search::all(&configurations, search::explore);
    report::explored(&mut out, &explored)?;
    let guards = search::all(&meant(configurations::guards(), filter), search::hunt);
    report::caught(&mut out, "broken guard", &guards, filter.is_some())?;
    let assumptions = search::all(&meant(configurations::assumptions(), filter), search::hunt);
    report::caught(
        &mut out,
        "dropped assumption",
        &assumptions,
        filter.is_some(),
    )?;
    out.flush()?;

    let holds = explored.iter().all(search::Explored::is_sound);
    let is_caught = guards
        .iter()
        .chain(&assumptions)
        .all(|it| it.trace.is_some());
    Ok(if holds && is_caught {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the breaks that the filter means.
fn meant(breaks: Vec<Break>, filter: Option<&str>) -> Vec<Break> {
    breaks
        .into_iter()
        .filter(|it| is_meant(it.name, filter))
        .collect()
}

/// Returns `true` if the filter is a part of the name, or if there is no filter.
fn is_meant(name: &str, filter: Option<&str>) -> bool {
    filter.is_none_or(|filter| name.contains(filter))
}
