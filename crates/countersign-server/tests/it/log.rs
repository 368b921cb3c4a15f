//! A log that nobody reads, or that somebody tries to flood.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::harness::{Place, Server};

/// How many tokens are sent that aren't any; `COUNTERSIGN_TEST_JUNK=100000` sends as many as an attack would.
fn junk() -> usize {
    std::env::var("COUNTERSIGN_TEST_JUNK").map_or(3000, |count| count.parse().unwrap())
}

/// A server whose standard error is a pipe that nobody reads.
struct Unread {
    process: Child,
    address: SocketAddr,
    log: ChildStderr,
}

impl Unread {
    fn start(place: &Place) -> Self {
        let mut command = place.command(&["--listen", "127.0.0.1:0", "--json"]);
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut greeting)
            .unwrap();
        let greeting: Value = serde_json::from_str(&greeting).unwrap();
        let address = greeting["listening"]
            .as_str()
            .unwrap()
            .trim_start_matches("http://")
            .parse()
            .unwrap();
        let log = process.stderr.take().unwrap();
        Self {
            process,
            address,
            log,
        }
    }

    fn terminate(&self) {
        let pid = self.process.id().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the server doesn't end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Presents what is no token, over and over.
async fn send_junk(address: SocketAddr, count: usize) {
    let client = Client::builder()
        .timeout(Duration::from_mins(1))
        .build()
        .unwrap();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..8 {
        let (client, url) = (client.clone(), format!("http://{address}/users/me"));
        senders.spawn(async move {
            for number in (sender..count).step_by(8) {
                let answer = client
                    .get(&url)
                    .bearer_auth(format!("junk-{number}"))
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            }
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    let health = client
        .get(format!("http://{address}/healthz"))
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), StatusCode::OK);
}

fn of<'a>(log: &'a str, event: &str) -> Vec<&'a str> {
    let event = format!("event=\"{event}\"");
    log.lines().filter(|line| line.contains(&event)).collect()
}

fn total(lines: &[&str]) -> usize {
    let number = |line: &str| {
        let digits = line.split(" lines=").nth(1).unwrap();
        digits
            .split(|end: char| !end.is_ascii_digit())
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    lines.iter().map(|line| number(line)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing() {
    // A line for each request, which nothing sums up, fills any pipe.
    let mut server = Unread::start(&Place::new(Vec::new()).with("LOG", "debug"));
    send_junk(server.address, junk()).await;
    server.terminate();
    assert_eq!(server.wait(), Some(0));
}

/// Two people on one pipe: what was said on standard output before is in the way of nobody either.
#[test]
fn a_start_that_nobody_listens_to_serves_and_ends() {
    let place = Place::new(Vec::new());
    let port = testbed::free_port();
    let (listen, command) = (format!("127.0.0.1:{port}"), place.command(&[]));
    let mut shell = std::process::Command::new("sh");
    // The pipe is full before the server starts, of what another program wrote into it.
    let script = r#"yes | head -c 65536 | { dd bs=65536 iflag=fullblock status=none; } 2>&1; exec "$0" --listen "$1" 2>&1"#;
    shell
        .args(["-c", script])
        .arg(command.get_program())
        .arg(&listen);
    shell.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let mut process = shell.stdout(Stdio::piped()).spawn().unwrap();
    let pipe = process.stdout.take().unwrap();
    let address: SocketAddr = listen.parse().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !crate::harness::listens(address) {
        assert!(
            Instant::now() < deadline && process.try_wait().unwrap().is_none(),
            "it doesn't listen"
        );
        std::thread::yield_now();
    }
    let mut server = Unread {
        process,
        address,
        log: spare_log(),
    };
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    drop(pipe);
}

/// Standard error of a program that says nothing.
fn spare_log() -> ChildStderr {
    let mut silent = std::process::Command::new("true")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    silent.wait().unwrap();
    silent.stderr.take().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_unread_log_lost_is_counted_when_the_reader_is_back() {
    let mut server = Unread::start(&Place::new(Vec::new()).with("LOG", "debug"));
    // More than the queue and the pipe have room for.
    let count = junk().max(12_000);
    send_junk(server.address, count).await;
    let (mut log, mut buffer) = (String::new(), [0; 4096]);
    while !log.contains("event=\"log_lines_dropped\"") {
        let length = server.log.read(&mut buffer).unwrap();
        assert!(length > 0, "the log ended");
        log.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    server.terminate();
    server.log.read_to_string(&mut log).unwrap();
    assert_eq!(server.wait(), Some(0));
    let lost = total(&of(&log, "log_lines_dropped"));
    assert!(lost > 0, "{log}");
    assert!(
        of(&log, "request").len() + lost > count,
        "{} lines and {lost} lost",
        of(&log, "request").len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_kind_is_summed_up_and_hides_no_other() {
    let server = Place::new(Vec::new()).start();
    let count = junk();
    let address = server.address();
    send_junk(address, count).await;
    let tokens = server.newcomer("ada@example.org").await;
    server
        .get("/users/me", &format!("{}x", tokens.access))
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let (_, log) = Server::stop(server);
    let (written, summed) = (of(&log, "refused"), total(&of(&log, "log_lines_summed")));
    assert_eq!(written.len() + summed, count + 1, "{log}");
    assert!(
        written.len() < count / 2,
        "{} of {count} lines were written",
        written.len()
    );
    assert_eq!(
        (of(&log, "registered").len(), of(&log, "login").len()),
        (1, 1)
    );
}
