//! SQLite has no wire to cut: the server dies at many moments of a refresh, a login, a logout and a change of the password,
//! and at each write to the log of the database.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::aftermath::{Harm, STEPS, Step, World};
use crate::harness::{Place, Reply};

/// Moments between the sending of a request and some time after its answer.
const MOMENTS: u32 = 24;
/// The moment at which the answer is there as a rule.
const USUAL: u32 = 16;
/// Writes beyond which no step goes.
const MOST: usize = 10;

#[derive(Clone, Copy, Debug)]
enum Moment {
    After(Duration),
    Write(usize),
}

#[tokio::test(flavor = "multi_thread")]
async fn no_moment_to_die_loses_or_forks_a_session() {
    let place = Place::new(Vec::new());
    let log = place.data_dir().join("countersign.sqlite-wal");
    let mut world = World::new(place).await;
    let mut table = format!(
        "{:<10} {:<16} {:<32} {:>6} lost forks resurrections\n",
        "store", "step", "failure", "points"
    );
    for step in STEPS {
        for write in [false, true] {
            world.harm = Harm::default();
            let points = if write {
                each_write(&mut world, &log, step).await
            } else {
                spread(&mut world, &log, step).await
            };
            let what = if write {
                "server killed at the n-th write"
            } else {
                "server killed at a moment"
            };
            let step = format!("{step:?}");
            writeln!(
                table,
                "SQLite     {step:<16} {what:<32} {points:>6} {}",
                world.harm
            )
            .unwrap();
            assert_eq!(world.harm, Harm::default(), "\n{table}");
        }
    }
    eprintln!("{table}");
    assert_eq!(world.finish().await, Harm::default());
}

async fn spread(world: &mut World, log: &Path, step: Step) -> usize {
    let request = world.request(step).await;
    let sent = Instant::now();
    let answer = Reply::of(request).await;
    let usual = sent.elapsed();
    world.settle(step, Some(answer)).await;
    let mut unanswered = 0;
    for moment in 0..MOMENTS {
        let answered = die(world, log, step, Moment::After(usual * moment / USUAL)).await;
        unanswered += usize::from(!answered);
    }
    assert!(unanswered > 0, "it died in the middle of some");
    MOMENTS.try_into().unwrap()
}

async fn each_write(world: &mut World, log: &Path, step: Step) -> usize {
    for write in 1..MOST {
        if die(world, log, step, Moment::Write(write)).await {
            return write;
        }
    }
    MOST
}

/// Kills the server at `moment` of a step; whether the answer was there by then.
async fn die(world: &mut World, log: &Path, step: Step, moment: Moment) -> bool {
    let request = world.request(step).await;
    let (sent, mut state, mut writes) = (Instant::now(), state(log), 0);
    let sending = tokio::spawn(async { Some(Reply::read(request.send().await.ok()?).await) });
    let reached = |writes| match moment {
        Moment::After(time) => sent.elapsed() >= time,
        Moment::Write(write) => writes >= write,
    };
    while !sending.is_finished() && !reached(writes) {
        let now = self::state(log);
        writes += usize::from(now != state);
        state = now;
        tokio::task::yield_now().await;
    }
    let answered = sending.is_finished();
    world.kill_and_start();
    let answer = sending.await.unwrap();
    world.settle(step, answer).await;
    answered
}

fn state(log: &Path) -> Option<(u64, SystemTime)> {
    let about = log.metadata().ok()?;
    Some((about.len(), about.modified().ok()?))
}
