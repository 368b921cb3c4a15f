//! The searches: [`explore`] visits every state of a configuration, and [`hunt`] looks for one
//! broken promise.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::configurations::Break;
use crate::narrate::narrated;
use crate::protocol::Protocol;
use crate::settings::Settings;

/// The result of an exhaustive search of one configuration.
#[derive(Debug)]
pub struct Explored {
    /// The configuration's name.
    pub name: &'static str,
    /// The number of different states.
    pub states: usize,
    /// The number of steps between states.
    pub steps: usize,
    /// The number of steps to the farthest state.
    pub depth: usize,
    /// The broken promises, each with the steps that lead to a state in which it does not hold.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// The events that must occur and never did. With any of these, the search proves less than it
    /// seems to.
    pub unseen: Vec<&'static str>,
    /// The number of events that must occur and did.
    pub seen: usize,
}

impl Explored {
    /// Returns `true` if every promise holds and every event that must occur did.
    pub fn is_sound(&self) -> bool {
        self.broken.is_empty() && self.unseen.is_empty()
    }
}

/// The result of a search for a broken promise.
#[derive(Debug)]
pub struct Caught {
    /// The guard or assumption that was broken.
    pub broken: Break,
    /// The steps of the shortest way to a state in which the promise is broken, or `None` if there
    /// is no such state.
    pub trace: Option<Vec<String>>,
}

/// Searches every state of a configuration, and returns what was found.
pub fn explore(settings: Settings) -> Explored {
    let checker = Protocol::whole(settings).checker().spawn_bfs().join();
    let mut found = checker.discoveries();

    let mut explored = Explored {
        name: settings.name,
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth().saturating_sub(1),
        broken: Vec::new(),
        unseen: Vec::new(),
        seen: 0,
    };

    let model = checker.model();
    for property in model.properties() {
        let path = found.remove(property.name);
        match (property.expectation, path) {
            (Expectation::Sometimes, None) => explored.unseen.push(property.name),
            (Expectation::Sometimes, Some(_)) => explored.seen += 1,
            (_, Some(path)) => explored.broken.push((property.name, narrated(model, path))),
            (_, None) => {}
        }
    }

    explored
}

/// Searches for a state in which the promise of `broken` does not hold, and returns the shortest
/// way to one.
pub fn hunt(broken: Break) -> Caught {
    let Break {
        protocol, promise, ..
    } = broken;
    let mut trace = find(protocol, promise, None);
    // A search may go on a little after its first find, and keep the later one.
    while let Some(shorter) = trace
        .as_ref()
        .and_then(|trace| find(protocol, promise, Some(trace.len() + 1)))
    {
        trace = Some(shorter);
    }
    Caught { broken, trace }
}

/// Returns the steps to a state in which `promise` does not hold, of fewer than `below` states if
/// that is given.
fn find(protocol: Protocol, promise: &'static str, below: Option<usize>) -> Option<Vec<String>> {
    let checker = protocol
        .checker()
        .finish_when(HasDiscoveries::AnyOf(BTreeSet::from([promise])));
    let checker = match below {
        Some(depth) => checker.target_max_depth(depth),
        None => checker,
    };
    checker
        .spawn_bfs()
        .join()
        .discovery(promise)
        .map(|path| narrated(&protocol, path))
}

/// Runs `run` on each item of `work`, as many at once as there are cores, and returns the results
/// in the order of `work`.
pub fn all<T: Copy + Send + Sync, R: Send>(work: &[T], run: impl Fn(T) -> R + Sync) -> Vec<R> {
    let queue = Mutex::new(work.iter().copied().enumerate());
    let done = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, NonZero::get);

    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((place, item)) = queue.lock().ok().and_then(|mut queue| queue.next())
                {
                    let result = run(item);
                    if let Ok(mut done) = done.lock() {
                        done.push((place, result));
                    }
                }
            });
        }
    });

    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}
