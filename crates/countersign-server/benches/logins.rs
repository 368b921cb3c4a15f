//! The time of failed logins for different kinds of accounts, and the memory that logins need.
//!
//! `cargo bench -p countersign-server --bench logins` starts the real server twice for the times:
//! once with accounts of its own alone, and once with accounts of litestar-auth among them. For
//! each kind of failed login it prints the median time, and how far its times are from those of an
//! unknown account, as |z| of the rank-sum test. Below 3, the times don't tell the two kinds apart.
//! Then it prints the server's resident memory before, during and after two hundred logins on two
//! hashing threads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark: it stops loudly"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign::store::sql::{Database, DatabaseOptions, Script};
use serde_json::{Value, json};

/// The password of every account.
const PASSWORD: &str = "correct horse battery staple";
/// The number of failed logins of each kind.
const SAMPLES: usize = 200;
/// The number of successful logins in the measurement of memory.
const LOGINS: usize = 200;
/// The number of connections that these logins come from.
const CLIENTS: usize = 4;

/// A hash of [`PASSWORD`] as litestar-auth makes it with argon2-cffi and its defaults.
const ARGON2_CFFI: &str = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$opK/12lewr2z5YpUKucJCUXASikIGYN+qjR3vL2e8go";
/// A hash of [`PASSWORD`] as litestar-auth makes it with bcrypt and its defaults.
const BCRYPT: &str = "$2b$12$abcdefghijklmnopqrstuu0sDWleciW5uGBGYwxpcgAsh9WK4bWNy";

fn main() {
    // `cargo test --benches` starts benchmarks too. Only `cargo bench` passes `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    timing("accounts of this server alone", &[]);
    timing(
        "accounts of litestar-auth among them",
        &[("argon2-cffi", ARGON2_CFFI), ("bcrypt", BCRYPT)],
    );
    memory();
}

/// Measures failed logins of all kinds in turn, and prints a line for each kind.
///
/// `migrated` adds accounts of litestar-auth, each with a name and a hash.
fn timing(title: &str, migrated: &[(&'static str, &'static str)]) {
    let data = tempfile::tempdir().unwrap();
    assert!(
        command(data.path())
            .arg("migrate")
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    for (name, hash) in migrated {
        insert(data.path(), &format!("{name}@example.org"), hash);
    }
    let server = Server::start(
        data.path(),
        &["--login-limit", "off", "--registration", "open"],
    );
    for email in ["wrong@example.org", "disabled@example.org"] {
        server.post(
            "/auth/register",
            &json!({ "email": email, "password": PASSWORD }),
        );
    }
    let disable = command(data.path())
        .args(["user", "disable", "disabled@example.org"])
        .stdout(Stdio::null())
        .status();
    assert!(disable.unwrap().success());
    let mut kinds = vec![
        ("unknown", "unknown@example.org".to_owned(), PASSWORD),
        (
            "wrong password",
            "wrong@example.org".to_owned(),
            "another password",
        ),
        ("disabled", "disabled@example.org".to_owned(), PASSWORD),
    ];
    kinds.extend(
        migrated
            .iter()
            .map(|(name, _)| (*name, format!("{name}@example.org"), "another password")),
    );
    let bodies: Vec<Value> = kinds
        .iter()
        .map(|(_, email, password)| json!({ "identifier": email, "password": password }))
        .collect();
    let mut times = vec![Vec::with_capacity(SAMPLES); kinds.len()];
    let mut connection = server.connect();
    for round in 0..=SAMPLES {
        for turn in 0..kinds.len() {
            // The order changes from round to round, so that each kind follows each other kind
            // equally often.
            let kind = (turn * (1 + round % (kinds.len() - 1)) + round) % kinds.len();
            let started = Instant::now();
            let status = post(&mut connection, "/auth/login", &bodies[kind]).0;
            let took = started.elapsed();
            assert_eq!(status, 401);
            if round > 0 {
                times[kind].push(took);
            }
        }
    }
    println!("failed logins, {SAMPLES} of each kind in turn: {title}");
    for (kind, (name, _, _)) in kinds.iter().enumerate() {
        let z = rank_sum(&times[0], &times[kind]).abs();
        println!(
            "{name:<16} median {:>8.2} ms   |z| {z:>5.2}",
            median(&times[kind]).as_secs_f64() * 1000.0
        );
    }
}

/// Measures the server's resident memory around many logins, and prints it.
fn memory() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &["--password-threads", "2"]);
    let before = server.memory("VmRSS");
    server.post(
        "/auth/register",
        &json!({ "email": "ada@example.org", "password": PASSWORD }),
    );
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = server.connect();
                for _ in 0..LOGINS / CLIENTS {
                    let login = json!({ "identifier": "ada@example.org", "password": PASSWORD });
                    assert_eq!(post(&mut connection, "/auth/login", &login).0, 200);
                }
            });
        }
    });
    let just_after = server.memory("VmRSS");
    std::thread::sleep(Duration::from_secs(2));
    let (peak, resting) = (server.memory("VmHWM"), server.memory("VmRSS"));
    println!("resident memory, {LOGINS} logins over {CLIENTS} connections, 2 hashing threads");
    println!(
        "at the start {before:.1} MiB, at most {peak:.1}, right after {just_after:.1}, at rest {resting:.1}"
    );
    println!("at rest above the start: {:.1} MiB", resting - before);
}

/// Returns the server's command for this data directory.
fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["--log", "error", "--data-dir"]).arg(data);
    command
}

/// Inserts an account with this hash into the database, as a migration from litestar-auth leaves
/// it.
#[tokio::main(flavor = "current_thread")]
async fn insert(data: &Path, email: &str, hash: &str) {
    let url = format!("sqlite://{}", data.join("countersign.sqlite").display());
    let driver = Database::connect(&url, DatabaseOptions::default())
        .unwrap()
        .driver();
    let values = "(?1, ?2, ?3, ?4, ?4, ?5)";
    let text = "INSERT INTO \"user\" (id, email, hashed_password, is_active, is_verified, is_superuser) VALUES";
    let script = Script::new(driver.dialect(), &[&format!("{text} {values}")]);
    let id = uuid::Uuid::from_u128(
        email
            .bytes()
            .fold(1, |sum, byte| sum * 31 + u128::from(byte)),
    );
    driver
        .run(
            &script,
            &[
                id.into(),
                email.into(),
                hash.into(),
                true.into(),
                false.into(),
            ],
        )
        .await
        .unwrap();
}

/// A running server, which is killed when this is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts the server and waits until it says where it listens.
    fn start(data: &Path, settings: &[&str]) -> Self {
        let mut command = command(data);
        command
            .args(["--listen", "127.0.0.1:0", "--json"])
            .args(settings)
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the server says where it listens");
        let address = ready["listening"]
            .as_str()
            .unwrap()
            .trim_start_matches("http://")
            .to_owned();
        Self { process, address }
    }

    /// Opens a connection to the server.
    fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(&self.address).unwrap();
        connection.set_nodelay(true).unwrap();
        connection
    }

    /// Sends one request, and stops the benchmark unless it succeeds.
    fn post(&self, path: &str, body: &Value) {
        let (status, answer) = post(&mut self.connect(), path, body);
        assert!(status < 300, "{status} {answer}");
    }

    /// Returns a field of the process's status in MiB, as `VmRSS`.
    fn memory(&self, field: &str) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a JSON request on an open connection. Returns the status and the body of the answer.
fn post(connection: &mut TcpStream, path: &str, body: &Value) -> (u16, String) {
    let body = body.to_string();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
    write!(
        connection,
        "{head}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let (mut buffer, mut answer) = ([0; 4096], String::new());
    loop {
        let read = connection.read(&mut buffer).unwrap();
        assert!(read > 0, "the server closed the connection");
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        if let Some((head, body)) = answer.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .expect("a length");
            if body.len() >= length.trim().parse().unwrap() {
                return (
                    head.split_whitespace().nth(1).unwrap().parse().unwrap(),
                    body.to_owned(),
                );
            }
        }
    }
}

/// Returns the median.
fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// Returns the z value of the rank-sum test of `b` against `a`.
///
/// It is the distance of the ranks of `b` from their expectation if both samples have the same
/// distribution, in standard deviations.
fn rank_sum(a: &[Duration], b: &[Duration]) -> f64 {
    let mut all: Vec<(Duration, bool)> = a.iter().map(|time| (*time, false)).collect();
    all.extend(b.iter().map(|time| (*time, true)));
    all.sort();
    let ranks = all
        .iter()
        .enumerate()
        .filter(|(_, (_, is_b))| *is_b)
        .map(|(at, _)| at as f64 + 1.0);
    let (n, m) = (a.len() as f64, b.len() as f64);
    let expected = m * (n + m + 1.0) / 2.0;
    (ranks.sum::<f64>() - expected) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}
