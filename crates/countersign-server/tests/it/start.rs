//! What a start waits for, what it needs, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use testbed::{MariaDb, Postgres, Redis, free_port};

use crate::harness::{Place, listens, on_redis, shared};

/// A server that is starting, and may not get far.
struct Starting {
    process: Child,
    log: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Starting {
    fn of(mut command: Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (mut from, to) = (process.stderr.take().unwrap(), Arc::clone(&log));
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                to.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self {
            process,
            log,
            reader: Some(reader),
        }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn says(&mut self, what: &str) {
        self.until(&format!("it says {what}"), |this| this.log().contains(what));
    }

    fn until(&mut self, what: &str, mut is: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !is(self) {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}: {}",
                self.log()
            );
            assert!(
                self.process.try_wait().unwrap().is_none(),
                "it ended before {what}: {}",
                self.log()
            );
            thread::yield_now();
        }
    }

    fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([name, &self.process.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Its exit status, what it said on standard output, and its log.
    fn ends(mut self) -> (ExitStatus, String, String) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it doesn't end: {}", self.log());
            thread::yield_now();
        };
        let mut said = String::new();
        self.process
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        self.reader.take().unwrap().join().unwrap();
        let log = self.log();
        (status, said, log)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Takes connections, and says nothing on them. The receiver hears of each.
fn silence() -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut held: Vec<TcpStream> = Vec::new();
        for connection in listener.incoming() {
            held.push(connection.unwrap());
            if tell.send(()).is_err() {
                return;
            }
        }
    });
    (address, told)
}

/// Every kind of store, at `address`, and the strategy that needs it.
fn stores_at(address: SocketAddr) -> [Place; 3] {
    [
        Place::new(shared(&format!("postgres://ada:hunter2@{address}/app"))),
        Place::new(shared(&format!("mysql://ada:hunter2@{address}/app"))),
        Place::new(on_redis(&format!("redis://ada:hunter2@{address}"))).with("STRATEGY", "redis"),
    ]
}

#[test]
fn a_signal_ends_a_start_whose_store_is_silent() {
    let (address, asked) = silence();
    for place in stores_at(address) {
        for signal in ["-TERM", "-INT"] {
            let listen = format!("127.0.0.1:{}", free_port());
            let place = place
                .clone()
                .with("WAIT_FOR_STORES", "1h")
                .with("STORE_TIMEOUT", "1h");
            let mut starting = Starting::of(place.command(&["--listen", &listen]));
            asked.recv_timeout(Duration::from_mins(1)).unwrap();
            starting.says("event=\"waiting_for_store\"");
            assert!(
                !listens(listen.parse().unwrap()),
                "a port is open behind which nobody answers"
            );
            // A hangup ends nothing, at no time.
            starting.signal("-HUP");
            starting.signal(signal);
            let (status, said, log) = starting.ends();
            assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{log}");
            assert!(!log.contains("hunter2"), "{log}");
        }
    }
}

#[test]
fn the_wait_for_a_silent_store_has_an_end() {
    let (address, _asked) = silence();
    for place in stores_at(address) {
        let place = place
            .with("WAIT_FOR_STORES", "2s")
            .with("STORE_TIMEOUT", "1h");
        let (status, said, log) = Starting::of(place.command(&["--listen", "127.0.0.1:0"])).ends();
        assert_eq!((status.code(), said.as_str()), (Some(1), ""), "{log}");
        assert!(
            log.contains("event=\"waiting_for_store\"") && log.contains("doesn't answer"),
            "{log}"
        );
        assert!(
            log.contains("COUNTERSIGN_WAIT_FOR_STORES"),
            "the cure is named: {log}"
        );
    }
}

#[test]
fn the_wait_for_a_store_that_is_not_there_has_an_end() {
    let gone = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for (wait, lines) in [("0s", 0), ("1s", 1)] {
        for place in stores_at(gone) {
            let place = place.with("WAIT_FOR_STORES", wait);
            let (status, said, log) =
                Starting::of(place.command(&["--listen", "127.0.0.1:0"])).ends();
            assert_eq!((status.code(), said.as_str()), (Some(1), ""), "{log}");
            let waits = log
                .lines()
                .filter(|line| line.contains("event=\"waiting_for_store\""))
                .count();
            assert!(waits >= lines && (lines > 0 || waits == 0), "{log}");
            assert!(
                log.contains("nothing is listening") && !log.contains("doesn't answer"),
                "{log}"
            );
        }
    }
}

#[test]
fn a_store_whose_name_is_not_known_yet_is_waited_for() {
    let place =
        Place::new(shared("postgres://ada@no-such-host.invalid/app")).with("WAIT_FOR_STORES", "1s");
    let (status, _, log) = Starting::of(place.command(&["--listen", "127.0.0.1:0"])).ends();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("event=\"waiting_for_store\"") && log.contains("host name is unknown"),
        "{log}"
    );
}

/// Starts a server while its store is down, and then the store.
fn comes_later(place: &Place, stop: impl Fn(), start: impl Fn()) {
    stop();
    let port = free_port();
    let place = place.clone().with("WAIT_FOR_STORES", "1h");
    let mut starting = Starting::of(place.command(&["--listen", &format!("127.0.0.1:{port}")]));
    starting.says("event=\"waiting_for_store\"");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert!(
        !listens(address),
        "a port is open behind which nobody answers"
    );
    start();
    let mut out = BufReader::new(starting.process.stdout.take().unwrap());
    let mut greeting = String::new();
    out.read_line(&mut greeting).unwrap();
    assert!(
        greeting.contains("countersign is listening on"),
        "{greeting}{}",
        starting.log()
    );
    let mut probe = TcpStream::connect(address).unwrap();
    std::io::Write::write_all(
        &mut probe,
        b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .unwrap();
    let mut answer = String::new();
    probe.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_postgres_that_comes_later_is_waited_for() {
    let database = Postgres::dedicated();
    comes_later(
        &Place::new(shared(&database.database())),
        || database.kill(),
        || database.start(),
    );
}

#[test]
fn a_mariadb_that_comes_later_is_waited_for() {
    let database = MariaDb::dedicated();
    comes_later(
        &Place::new(shared(&database.database())),
        || database.kill(),
        || database.start(),
    );
}

#[test]
fn a_redis_that_comes_later_is_waited_for() {
    for strategy in ["redis", "jwt"] {
        let redis = Redis::dedicated();
        let place = Place::new(on_redis(redis.url())).with("STRATEGY", strategy);
        comes_later(&place, || redis.kill(), || redis.start());
    }
}

/// What waiting can't cure: where, what is said, and the cure.
#[test]
fn what_waiting_does_not_cure_ends_the_start_at_once() {
    let postgres = Postgres::shared();
    let none = format!(
        "{}no_such_database",
        postgres.url().trim_end_matches("postgres")
    );
    let stranger = postgres.database().replace("postgres@", "no_such_role@");
    let mariadb = MariaDb::shared();
    let wrong = mariadb.database().replace("test:test@", "test:wrong@");
    let missing = mariadb.url().replace("/mysql", "/no_such_database");
    let redis = Redis::dedicated();
    redis.command(&["CONFIG", "SET", "requirepass", "hunter2"]);
    let password = redis.url().replace("redis://", "redis://:wrong@");
    let cases = [
        (Place::new(shared(&none)), "has no database with that name"),
        (
            Place::new(shared(&stranger)),
            "rejects the user name or password",
        ),
        (
            Place::new(shared(&wrong)),
            "rejects the user name or password",
        ),
        (
            Place::new(shared(&missing)),
            "has no database with that name",
        ),
        (
            Place::new(on_redis(&password)).with("STRATEGY", "redis"),
            "rejects the user name or password",
        ),
        (
            Place::new(on_redis(redis.url())).with("STRATEGY", "jwt"),
            "rejects the user name or password",
        ),
    ];
    for (place, what) in cases {
        let place = place.with("WAIT_FOR_STORES", "1h");
        let (status, _, log) = Starting::of(place.command(&["--listen", "127.0.0.1:0"])).ends();
        assert_eq!(status.code(), Some(1), "{log}");
        let setting = if what.contains("database") || log.contains("the database at") {
            "DATABASE_URL"
        } else {
            "REDIS_URL"
        };
        assert!(
            log.contains(what) && log.contains(&format!("COUNTERSIGN_{setting}: ")),
            "{what}: {log}"
        );
        assert!(
            !log.contains("doesn't answer") && !log.contains("waiting_for_store"),
            "{log}"
        );
        assert!(!log.contains("wrong@") && !log.contains("hunter2"), "{log}");
    }
}

/// A role that may not make tables is told so, and not that the database doesn't answer.
#[test]
fn a_user_without_rights_is_told_so() {
    let postgres = Postgres::shared();
    let url = postgres.database();
    let name = url.rsplit('/').next().unwrap().to_owned();
    Postgres::execute(
        &url,
        &format!("CREATE ROLE {name} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
    );
    let place = Place::new(shared(&url.replace("postgres@", &format!("{name}@"))));
    let (status, _, log) = Starting::of(place.command(&["--listen", "127.0.0.1:0"])).ends();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("migration countersign/1 tokens") && log.contains("schema public"),
        "{log}"
    );
    assert!(
        log.contains("lacks a privilege")
            && log.contains("42501")
            && !log.contains("doesn't answer"),
        "{log}"
    );
}

/// A Service named `countersign`, or one whose name begins so, and a container that is linked.
#[tokio::test]
async fn what_orchestrators_put_into_the_environment_is_no_setting() {
    let links = [
        ("SERVICE_HOST", "10.96.0.10"),
        ("SERVICE_PORT", "8000"),
        ("SERVICE_PORT_HTTP_ADMIN", "8001"),
        ("PORT", "tcp://10.96.0.10:8000"),
        ("PORT_8000_TCP", "tcp://10.96.0.10:8000"),
        ("PORT_8000_TCP_PROTO", "tcp"),
        ("PORT_8000_TCP_PORT", "8000"),
        ("PORT_8000_TCP_ADDR", "10.96.0.10"),
        ("PORT_53_UDP", "udp://10.96.0.10:53"),
        ("REDIS_SERVICE_HOST", "fd00::10"),
        ("REDIS_SERVICE_PORT", "6379"),
        ("REDIS_SERVICE_PORT_REDIS", "6379"),
        ("REDIS_PORT", "tcp://[fd00::10]:6379"),
        ("REDIS_PORT_6379_TCP", "tcp://[fd00::10]:6379"),
        ("REDIS_PORT_6379_TCP_ADDR", "fd00::10"),
        ("NAME", "/app/countersign"),
        ("DB_NAME", "/app/countersign-db"),
        ("DB_ENV_POSTGRES_PASSWORD", "hunter2"),
        ("ENV_PATH", "/usr/bin"),
        ("DB_PORT_5432_TCP_START", "tcp://10.0.0.2:5432"),
    ];
    let place = links
        .iter()
        .fold(Place::new(Vec::new()), |place, (name, value)| {
            place.with(name, value)
        });
    place
        .start()
        .get("/healthz", "")
        .await
        .expect(StatusCode::OK);
    place.json(&["config", "check"]);
    // The check for slips of the pen stays.
    for (name, value) in [
        ("LISEN", "127.0.0.1:0"),
        ("PORT", "8000"),
        ("NAME", "auth"),
        ("DATABASE_PORT", "5432"),
        ("PORT_TCP", "tcp://a:1"),
        ("SERVICES_HOST", "10.0.0.1"),
        ("LOG_LEVEL", "debug"),
    ] {
        let output = Place::new(Vec::new())
            .with(name, value)
            .run(&["config", "check"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(
            said.contains(&format!("COUNTERSIGN_{name}: unknown setting")),
            "{said}"
        );
    }
}

/// With everything given and a shared database there is nothing to keep on the disk.
#[tokio::test]
async fn no_directory_is_made_that_nothing_needs() {
    // Nobody can make a directory there, root included.
    let place = Place::new(shared(&Postgres::shared().database()))
        .with("DATA_DIR", "/proc/countersign/data");
    let server = place.start();
    server.newcomer("ada@example.org").await;
    place.json(&["user", "list"]);
    drop(server);
    let place = Place::new(shared(&MariaDb::shared().database()));
    place.json(&["migrate"]);
    drop(place.start());
    assert!(!place.data_dir().exists());
    let elsewhere = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}/own.sqlite", elsewhere.path().display());
    let place = Place::new(shared(&url));
    drop(place.start());
    assert!(!place.data_dir().exists());
}

/// Runs the server within limits on open files, as `ulimit` sets them.
fn limited(place: &Place, limits: &str) -> Command {
    let inner = place.command(&[]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{limits}; exec \"$0\" --listen 127.0.0.1:0")])
        .arg(inner.get_program());
    shell.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    shell
}

/// Waits for the greeting, and returns where it says that the server listens.
fn greeted(starting: &mut Starting) -> SocketAddr {
    let mut greeting = String::new();
    BufReader::new(starting.process.stdout.as_mut().unwrap())
        .read_line(&mut greeting)
        .unwrap();
    let address = greeting
        .split_once("countersign is listening on http://")
        .map(|(_, rest)| rest.trim());
    address
        .and_then(|address| address.parse().ok())
        .unwrap_or_else(|| panic!("{greeting}{}", starting.log()))
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_to_the_hard_one() {
    let mut starting = Starting::of(limited(&Place::new(Vec::new()), "ulimit -Sn 256"));
    greeted(&mut starting);
    let limits =
        std::fs::read_to_string(format!("/proc/{}/limits", starting.process.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let columns: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(columns[3], columns[4], "{line}");
    starting.signal("-TERM");
    assert_eq!(starting.ends().0.code(), Some(0));
}

#[test]
fn too_few_descriptors_for_the_connections_are_told_once() {
    let mut starting = Starting::of(limited(&Place::new(Vec::new()), "ulimit -n 300"));
    greeted(&mut starting);
    starting.signal("-TERM");
    let (_, _, log) = starting.ends();
    assert_eq!(
        log.matches("event=\"descriptors_too_few\"").count(),
        1,
        "{log}"
    );
    assert!(log.contains("COUNTERSIGN_MAX_CONNECTIONS"), "{log}");
}

/// Without a free descriptor the port is asked again and again, and a stop that comes in one of the pauses is a stop.
#[test]
fn a_stop_while_no_connection_can_be_accepted() {
    let place = Place::new(Vec::new()).with("MAX_CONNECTIONS", "1000");
    let mut starting = Starting::of(limited(&place, "ulimit -n 60"));
    let address = greeted(&mut starting);
    let held: Vec<_> = (0..100).map(|_| TcpStream::connect(address)).collect();
    starting.says("event=\"accept_failed\"");
    starting.signal("-TERM");
    starting.says("event=\"draining\"");
    drop(held);
    let (status, _, log) = starting.ends();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_switch_takes_its_value_in_either_way() {
    let place = Place::new(Vec::new());
    for (arguments, value) in [
        (
            &["config", "check", "--insecure-cookies", "true"][..],
            "true",
        ),
        (&["--insecure-cookies", "false", "config", "check"], "false"),
        (&["--insecure-cookies=true", "config", "check"], "true"),
        (&["--insecure-cookies", "config", "check"], "true"),
    ] {
        let report = place.json(arguments);
        let rows = report["settings"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row["setting"] == "COUNTERSIGN_INSECURE_COOKIES")
            .unwrap();
        assert_eq!(row["value"], value, "{arguments:?}");
    }
}
