//! The servers of the tests, tested.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use testbed::{MariaDb, Postgres, Redis, free_port, wait_until};

#[test]
fn postgres_keeps_what_it_acknowledged_when_killed() {
    let server = Postgres::dedicated();
    let url = server.database();
    Postgres::execute(&url, "CREATE TABLE t (n int); INSERT INTO t VALUES (42)");
    server.kill();
    server.start();
    assert_eq!(Postgres::execute(&url, "SELECT n FROM t"), "42");
    server.restart();
    assert_eq!(Postgres::execute(&url, "SELECT n FROM t"), "42");
}

#[test]
fn mariadb_keeps_what_it_acknowledged_when_killed() {
    let server = MariaDb::dedicated();
    let url = server.database();
    MariaDb::execute(&url, "CREATE TABLE t (n int); INSERT INTO t VALUES (42)");
    server.kill();
    server.start();
    assert_eq!(MariaDb::execute(&url, "SELECT n FROM t"), "42");
    server.restart();
    assert_eq!(MariaDb::execute(&url, "SELECT n FROM t"), "42");
}

#[test]
fn databases_are_apart() {
    let server = Postgres::shared();
    let (one, other) = (server.database(), server.database());
    Postgres::execute(&one, "CREATE TABLE t (n int)");
    Postgres::execute(&other, "CREATE TABLE t (n int)");
    let server = MariaDb::shared();
    let (one, other) = (server.database(), server.database());
    MariaDb::execute(&one, "CREATE TABLE t (n int)");
    MariaDb::execute(&other, "CREATE TABLE t (n int)");
}

#[test]
fn a_frozen_server_accepts_and_never_answers() {
    let server = MariaDb::dedicated();
    let address = server
        .url()
        .split('@')
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    server.freeze();
    let mut connection = TcpStream::connect(&address).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(
        connection.read_exact(&mut [0]).is_err(),
        "a MariaDB server greets at once"
    );
    server.thaw();
    connection.set_read_timeout(None).unwrap();
    connection.read_exact(&mut [0]).unwrap();
}

/// No thread of a frozen server goes on for a moment.
#[test]
fn a_frozen_server_stands_still_at_once() {
    let server = MariaDb::dedicated();
    let data = MariaDb::execute(server.url(), "SELECT @@datadir");
    let folder = Path::new(&data).parent().unwrap().to_owned();
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let stands = |process: &Path| {
        std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&folder))
    };
    let process = processes
        .into_iter()
        .find(|process| stands(process))
        .unwrap();
    for _ in 0..20 {
        server.freeze();
        let threads: Vec<_> = std::fs::read_dir(process.join("task"))
            .unwrap()
            .flatten()
            .collect();
        assert!(threads.len() > 1, "a server of many threads");
        for thread in threads {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap();
            assert!(
                stat.rsplit_once(") ").unwrap().1.starts_with('T'),
                "it moves: {stat}"
            );
        }
        server.thaw();
        MariaDb::execute(server.url(), "SELECT 1");
    }
}

#[test]
fn redis_answers_and_prefixes_are_apart() {
    let server = Redis::shared();
    let (one, other) = (server.prefix() + "k", server.prefix() + "k");
    assert_eq!(server.command(&["SET", &one, "1"]), "OK");
    assert_eq!(server.command(&["GET", &one]), "1");
    assert_eq!(server.command(&["GET", &other]), "");
}

#[test]
#[should_panic(expected = "WRONGTYPE")]
fn redis_error_replies_are_panics() {
    let server = Redis::shared();
    let key = server.prefix() + "k";
    server.command(&["SET", &key, "text"]);
    server.command(&["LPUSH", &key, "item"]);
}

#[test]
fn redis_keeps_what_it_acknowledged_when_killed() {
    let server = Redis::with_settings(&["maxmemory-policy=allkeys-lru"]);
    server.command(&["SET", "k", "42"]);
    server.kill();
    server.start();
    assert_eq!(server.command(&["GET", "k"]), "42");
    server.restart();
    assert_eq!(server.command(&["GET", "k"]), "42");
    assert_eq!(
        server.command(&["CONFIG", "GET", "maxmemory-policy"]),
        "maxmemory-policy\nallkeys-lru"
    );
}

#[test]
fn redis_frozen_accepts_and_never_answers() {
    let server = Redis::dedicated();
    server.freeze();
    let mut connection = TcpStream::connect(server.url().trim_start_matches("redis://")).unwrap();
    connection.write_all(b"PING\r\n").unwrap();
    connection
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(
        connection.read_exact(&mut [0]).is_err(),
        "a Redis server answers at once"
    );
    server.thaw();
    connection
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let mut answer = [0; 7];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn redis_listens_on_a_unix_socket() {
    let server = Redis::dedicated();
    let mut connection =
        UnixStream::connect(server.unix_url().trim_start_matches("unix://")).unwrap();
    connection.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn redis_speaks_tls_with_a_certificate_of_its_authority() {
    let server = Redis::with_tls();
    assert_eq!(server.command(&["PING"]), "PONG");
    let verified = |option: &str, name: &str| {
        let mut openssl = Command::new("openssl");
        openssl
            .args([
                "s_client",
                "-brief",
                "-verify_return_error",
                option,
                name,
                "-CAfile",
            ])
            .arg(server.ca_file());
        openssl.args(["-connect", server.url().trim_start_matches("rediss://")]);
        openssl
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    assert!(verified("-verify_ip", "127.0.0.1"));
    assert!(verified("-verify_hostname", "localhost"));
    assert!(!verified("-verify_hostname", "elsewhere.example"));
}

/// A port belongs to whom it was given, whether a server listens there at the moment or not: no other test gets it, nor another
/// process. This test starts itself as that process.
#[test]
fn ports_are_given_once() {
    const PORTS: usize = 300;
    let take = || (0..PORTS).map(|_| free_port());
    if std::env::var_os("TESTBED_TAKE_PORTS").is_some() {
        let ports: Vec<String> = take().map(|port| port.to_string()).collect();
        println!("\nports {}", ports.join(" "));
        // They are its own until the other one has taken some too.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ports_are_given_once", "--nocapture"])
        .env("TESTBED_TAKE_PORTS", "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines
        .by_ref()
        .map(Result::unwrap)
        .find_map(|line| Some(line.strip_prefix("ports ")?.to_owned()))
        .unwrap();
    let theirs = line.split(' ').map(|port| port.parse::<u16>().unwrap());
    let all: BTreeSet<u16> = theirs.chain(take()).collect();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(all.len(), 2 * PORTS, "a port was given twice");
}

/// The folder of a server and its processes go when the test process is killed with no chance to tidy up. This test
/// starts itself as that process.
#[test]
fn nothing_outlives_a_killed_test_process() {
    if let Ok(report) = std::env::var("TESTBED_REPORT_TO") {
        let server = Postgres::dedicated();
        let folder = Postgres::execute(server.url(), "SHOW data_directory");
        std::fs::write(&report, folder).unwrap();
        std::thread::park();
    }
    let report = tempfile::tempdir().unwrap();
    let report = report.path().join("folder");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_outlives_a_killed_test_process"])
        .env("TESTBED_REPORT_TO", &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut folder = String::new();
    wait_until("the server runs", || {
        folder = std::fs::read_to_string(&report).unwrap_or_default();
        !folder.is_empty()
    });
    assert!(Path::new(&folder).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the folder is gone", || !Path::new(&folder).exists());
}
