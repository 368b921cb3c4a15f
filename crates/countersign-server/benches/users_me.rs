//! The cost of authentication: `GET /users/me` of the real server, compared with the bare
//! framework.
//!
//! `cargo bench -p countersign-server --bench users_me` prints requests per second for bare axum,
//! which answers with the same body, and for the server with opaque and with signed tokens on
//! SQLite. Each figure is the median of alternating rounds, with its ratio to the bare framework.
//! Server and load generator share the machine, so compare the ratios and not the rates.

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
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The number of connections, each with one request at a time.
const CONNECTIONS: usize = 64;
/// The number of rounds of each target.
const ROUNDS: usize = 5;
/// The duration of a round.
const ROUND: Duration = Duration::from_secs(3);
/// The variable that makes this program serve bare axum at the port that it names.
const BARE: &str = "COUNTERSIGN_BENCH_BARE_PORT";

fn main() {
    if let Ok(port) = std::env::var(BARE) {
        serve_bare(port.parse().unwrap());
        return;
    }
    // `cargo test --benches` starts benchmarks too. Only `cargo bench` passes `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let bare = Target::bare();
    let targets = [
        ("opaque, SQLite", Target::server("database")),
        ("JWT, SQLite", Target::server("jwt")),
    ];
    let mut rates = vec![Vec::new(); targets.len() + 1];
    for _ in 0..ROUNDS {
        rates[0].push(load(&bare));
        for (at, (_, target)) in targets.iter().enumerate() {
            rates[at + 1].push(load(target));
        }
    }
    let floor = median(&mut rates[0]);
    println!("GET /users/me, {CONNECTIONS} connections, median of {ROUNDS} rounds of {ROUND:?}");
    println!("{:<20} {floor:>10.0} requests/s", "bare axum");
    for (at, (name, _)) in targets.iter().enumerate() {
        let rate = median(&mut rates[at + 1]);
        println!(
            "{name:<20} {rate:>10.0} requests/s   {:.2} of the bare framework",
            rate / floor
        );
    }
}

/// A running process, and the request that it is asked.
struct Target {
    address: SocketAddr,
    request: Vec<u8>,
    process: Child,
    _data: Option<tempfile::TempDir>,
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Target {
    /// Starts this program again, as bare axum.
    fn bare() -> Self {
        let address = free_address();
        let process = Command::new(std::env::current_exe().unwrap())
            .env(BARE, address.port().to_string())
            .spawn()
            .expect("the benchmark starts itself");
        wait_for(address);
        Self {
            address,
            request: get_me("none"),
            process,
            _data: None,
        }
    }

    /// Starts the server with this strategy, and logs a new account in.
    fn server(strategy: &str) -> Self {
        let address = free_address();
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args([
                "--listen",
                &address.to_string(),
                "--strategy",
                strategy,
                "--access-lifetime",
                "1h",
            ])
            .args(["--log", "warn", "--data-dir"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let _ = BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut String::new());
        wait_for(address);
        let account = json!({"email": "ada@example.com", "password": "a long enough password"});
        post(address, "/auth/register", &account);
        let login = json!({"identifier": "ada@example.com", "password": "a long enough password"});
        let pair = post(address, "/auth/login", &login);
        let request = get_me(
            pair["access_token"]
                .as_str()
                .expect("a login answers with a token"),
        );
        Self {
            address,
            request,
            process,
            _data: Some(data),
        }
    }
}

/// Serves a fixed answer at `/users/me`, without authentication.
#[tokio::main(worker_threads = 2)]
async fn serve_bare(port: u16) {
    let body = json!({
        "id": "1b4e28ba-2fa1-41d2-883f-0016d3cca427", "email": "ada@example.com", "is_active": true,
        "is_verified": false, "created_at": "2026-01-15T12:00:00Z",
    });
    let me = axum::routing::get(move || std::future::ready(axum::Json(body.clone())));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    axum::serve(listener, axum::Router::new().route("/users/me", me))
        .await
        .unwrap();
}

/// Returns the bytes of a request for `/users/me` with this token.
fn get_me(token: &str) -> Vec<u8> {
    format!("GET /users/me HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}

/// Returns the rate of answers with status 200, per second, during one round.
fn load(target: &Target) -> f64 {
    let answered = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let started = Instant::now();
    runtime.block_on(async {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                tokio::spawn(client(
                    target.address,
                    target.request.clone(),
                    answered.clone(),
                    stop.clone(),
                ))
            })
            .collect();
        let _ = tokio::time::timeout(ROUND, std::future::pending::<()>()).await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
    });
    answered.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

/// Asks again and again on one connection until told to stop.
async fn client(
    address: SocketAddr,
    request: Vec<u8>,
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 16 * 1024];
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(&request).await.unwrap();
        let mut filled = 0;
        while !is_whole(&buffer[..filled]) {
            let read = stream.read(&mut buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
        }
        assert!(
            buffer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&buffer[..filled])
        );
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns `true` if the answer is complete, by its `Content-Length`.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let head = std::str::from_utf8(&answer[..end])
        .unwrap()
        .to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .expect("a length");
    answer.len() >= end + 4 + length.trim().parse::<usize>().unwrap()
}

/// Sends one JSON request on a connection of its own, and returns the JSON answer.
fn post(address: SocketAddr, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
    );
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
    serde_json::from_str(body).expect("a JSON body")
}

/// Returns an address that nothing listens on.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Waits until the address accepts connections, at most 30 seconds.
fn wait_for(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "{address} doesn't answer");
        std::thread::yield_now();
    }
}

/// Returns the median. Sorts the slice.
fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
