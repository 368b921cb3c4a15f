//! The duration of endings, and their effect on other users.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::account::{Account, prepare};
use crate::arguments::Arguments;
use crate::bystanders::{Bystanders, Seen, What, pass};
use crate::ending::{Asked, Ender, Ending};
use crate::ground::Ground;
use crate::harness::Server;
use crate::report::{Row, print};

/// The number of sampled sessions of each account, whose tokens are presented after the ending.
const SAMPLE: usize = 10;
/// The time for which the other users are watched before an ending.
const BEFORE: Duration = Duration::from_secs(5);
/// The time for which they are watched after the acknowledgement.
///
/// Work that an ending leaves behind counts as well.
const AFTER: Duration = Duration::from_secs(2);

/// Measures every ending on one store.
///
/// Returns the figures and the number of tokens that were accepted after their ending.
pub(crate) async fn run(ground: &Ground, arguments: &Arguments) -> (Value, usize) {
    eprintln!(
        "{}: {} sessions for each ending",
        ground.name(),
        arguments.sessions
    );
    let endings = arguments.endings();
    let emails: Vec<String> = endings
        .iter()
        .map(|ending| format!("{}@example.org", ending.name()))
        .collect();
    let (accounts, rate) = prepare(ground, &emails, arguments.sessions, SAMPLE).await;
    let server = ground.place.start();
    let bystanders = Bystanders::start(&server).await;
    let mut rows = vec![list(&server, &bystanders, &accounts[accounts.len() - 1]).await];
    let mut faults = 0;
    for (ending, account) in endings.into_iter().zip(&accounts) {
        let (row, fault) = end(
            ending,
            &(ground, &server, &bystanders),
            account,
            arguments.patience(),
        )
        .await;
        rows.push(row);
        faults += fault;
    }
    print(&ground.name(), arguments.sessions, &rows);
    let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
    let figures = json!({
        "backend": ground.name(),
        "sessions": arguments.sessions,
        "opened_per_second": rate.round(),
        "rows": rows,
    });
    (figures, faults)
}

/// Measures one page of the list of sessions.
async fn list(server: &Server, bystanders: &Bystanders, account: &Account) -> Row {
    let watch = Watch::start(bystanders).await;
    let asked = Instant::now();
    let reply = server
        .get("/auth/sessions?limit=100", &account.asker.access)
        .await;
    let took = asked.elapsed();
    let text = if reply.status.is_success() {
        let listed = reply.json()["sessions"].as_array().unwrap().len();
        format!("{listed} sessions, {} KiB", reply.text.len() / 1024)
    } else {
        reply.status.as_u16().to_string()
    };
    let acknowledged = reply.status.is_success().then_some(took);
    watch
        .stop(
            "list".to_owned(),
            Asked {
                acknowledged,
                answers: vec![(text.clone(), took)],
            },
            text,
        )
        .await
}

/// Measures one ending. Returns its row and the number of faults.
async fn end(
    ending: Ending,
    (ground, server, bystanders): &(&Ground, &Server, &Bystanders),
    account: &Account,
    patience: Duration,
) -> (Row, usize) {
    eprintln!("  {} …", ending.name());
    let watch = Watch::start(bystanders).await;
    let mut ender = Ender::new(ending, ground, account);
    let asked = ender.insist(server, patience).await;
    let (alive, presented) = account.alive(server).await;
    let mut faults = alive;
    let mut after = format!("{alive} of {presented} alive");
    if ending.keeps_asker() && !ender.goes_on(server).await {
        after.push_str(", the kept session is gone");
        faults += 1;
    }
    // An ending that isn't acknowledged promises nothing, so its tokens are no fault.
    let faults = if asked.acknowledged.is_some() {
        faults
    } else {
        0
    };
    (watch.stop(ending.name(), asked, after).await, faults)
}

/// The other users, watched before and during something.
struct Watch<'a> {
    bystanders: &'a Bystanders,
    before: [Seen; 2],
    start: Instant,
}

/// The two kinds of requests of the other users.
const BOTH: [What; 2] = [What::Read, What::Refresh];

impl<'a> Watch<'a> {
    /// Watches the other users for [`BEFORE`].
    async fn start(bystanders: &'a Bystanders) -> Self {
        let start = Instant::now();
        pass(BEFORE).await;
        let before = BOTH.map(|what| bystanders.since(what, start));
        Self {
            bystanders,
            before,
            start: Instant::now(),
        }
    }

    /// Watches the other users for [`AFTER`], and returns the row of everything since the start.
    async fn stop(self, name: String, asked: Asked, after: String) -> Row {
        pass(AFTER).await;
        let during = BOTH.map(|what| self.bystanders.since(what, self.start));
        Row {
            name,
            asked,
            after,
            before: self.before,
            during,
        }
    }
}
