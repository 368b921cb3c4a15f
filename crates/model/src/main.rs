//! Searches the whole protocol and every broken one, prints what was found, and fails on a broken promise, on something
//! that has to come about and doesn't, and on a broken guard that isn't caught.
//!
//! With an argument it searches only what has that text in its name, and prints how a guard was caught.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use model::{Mutant, configurations, report, search};

fn main() -> io::Result<ExitCode> {
    let filter = env::args().nth(1);
    let is_meant = |name: &str| filter.as_deref().is_none_or(|filter| name.contains(filter));
    let configurations: Vec<_> = configurations::ALL.into_iter().filter(|it| is_meant(it.name)).collect();
    let mutants: Vec<_> = Mutant::ALL.into_iter().filter(|it| is_meant(&format!("{it:?}"))).collect();

    let mut out = io::stdout().lock();
    let explored = search::all(&configurations, search::explore);
    report::explored(&mut out, &explored)?;
    let caught = search::all(&mutants, search::hunt);
    report::caught(&mut out, &caught, filter.is_some())?;
    out.flush()?;
    let sound = explored.iter().all(search::Explored::is_sound) && caught.iter().all(|it| it.trace.is_some());
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
