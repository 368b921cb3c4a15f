//! How long endings take, and what they cost others.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::account::{Account, prepare};
use crate::arguments::Arguments;
use crate::bystanders::{Bystanders, Seen, What, pass};
use crate::ending::{Asked, Ender, Ending};
use crate::ground::Ground;
use crate::harness::Server;
use crate::report::{Row, print};

/// How many tokens of an account are presented after its ending, access and refresh tokens together.
const SAMPLE: usize = 10;
/// How long others are watched before an ending, and after its acknowledgement: work that it leaves behind counts as well.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(2);

/// The figures of one backend, and the number of tokens that answered though they were ended.
pub(crate) async fn run(ground: &Ground, arguments: &Arguments) -> (Value, usize) {
    eprintln!("{}: {} sessions for each ending", ground.name(), arguments.sessions);
    let endings = arguments.endings();
    let emails: Vec<String> = endings.iter().map(|ending| format!("{}@example.org", ending.name())).collect();
    let (accounts, rate) = prepare(ground, &emails, arguments.sessions, SAMPLE).await;
    let server = ground.place.start();
    let bystanders = Bystanders::start(&server).await;
    let mut rows = vec![list(&server, &bystanders, &accounts[accounts.len() - 1]).await];
    let mut faults = 0;
    for (ending, account) in endings.into_iter().zip(&accounts) {
        let (row, fault) = end(ending, &(ground, &server, &bystanders), account, arguments.patience()).await;
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

/// One page of the list.
async fn list(server: &Server, bystanders: &Bystanders, account: &Account) -> Row {
    let watch = Watch::start(bystanders).await;
    let asked = Instant::now();
    let reply = server.get("/auth/sessions?limit=100", &account.asker.access).await;
    let took = asked.elapsed();
    let text = if reply.status.is_success() {
        let listed = reply.json()["sessions"].as_array().unwrap().len();
        format!("{listed} sessions, {} KiB", reply.text.len() / 1024)
    } else {
        reply.status.as_u16().to_string()
    };
    let acknowledged = reply.status.is_success().then_some(took);
    watch.stop("list".to_owned(), Asked { acknowledged, answers: vec![(text.clone(), took)] }, text).await
}

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
    // What isn't acknowledged promises nothing.
    let faults = if asked.acknowledged.is_some() { faults } else { 0 };
    (watch.stop(ending.name(), asked, after).await, faults)
}

/// Others, watched before and during something.
struct Watch<'a> {
    bystanders: &'a Bystanders,
    before: [Seen; 2],
    start: Instant,
}

const BOTH: [What; 2] = [What::Read, What::Refresh];

impl<'a> Watch<'a> {
    async fn start(bystanders: &'a Bystanders) -> Self {
        let start = Instant::now();
        pass(BEFORE).await;
        let before = BOTH.map(|what| bystanders.since(what, start));
        Self { bystanders, before, start: Instant::now() }
    }

    async fn stop(self, name: String, asked: Asked, after: String) -> Row {
        pass(AFTER).await;
        let during = BOTH.map(|what| self.bystanders.since(what, self.start));
        Row { name, asked, after, before: self.before, during }
    }
}
