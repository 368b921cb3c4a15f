//! The original's tables with rows in them, and `countersign migrate` while it runs.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::{MariaDb, Postgres, tokio_postgres};

use crate::harness::{Place, shared};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many migrations there are: those of the library and those of the server.
pub(super) const MIGRATIONS: usize = 8;

/// litestar-auth's own tables on PostgreSQL, with so many rows in each of the tables of tokens.
pub(super) fn adopted_postgres(rows: u64) -> (Place, String) {
    let url = Postgres::shared().database();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../countersign/tests/vectors/peer.pg.schema.sql");
    Postgres::execute(&url, &std::fs::read_to_string(vectors).unwrap());
    let id = |n: &str| format!("lpad(to_hex({n} % 1000), 32, '0')::uuid");
    let users = format!(
        "INSERT INTO \"user\" (id, email, hashed_password, is_active, is_verified, is_superuser) \
         SELECT {}, n || '@example.org', 'x', true, true, false FROM generate_series(0, 999) n",
        id("n")
    );
    let tokens = |table: &str| {
        format!(
            "INSERT INTO {table} (token, created_at, user_id) \
             SELECT md5(n::text) || md5('{table}' || n), now() - interval '1 minute', {} FROM generate_series(1, {rows}) n",
            id("n")
        )
    };
    // Foreign keys of millions of rows aren't what is looked at.
    let fill = format!(
        "SET session_replication_role = replica; {users}; {}; {}; ANALYZE",
        tokens("access_token"),
        tokens("refresh_token")
    );
    Postgres::execute(&url, &fill);
    (Place::new(shared(&url)), url)
}

/// The same on MariaDB, as SQLAlchemy makes them there, with the server's ordinary collation.
pub(super) fn adopted_mariadb() -> (Place, String) {
    let url = MariaDb::shared().database();
    let tokens = |table: &str| {
        format!(
            "CREATE TABLE {table} (token VARCHAR(255) NOT NULL PRIMARY KEY, created_at DATETIME NOT NULL DEFAULT now(), \
             user_id BINARY(16) NOT NULL) ENGINE=InnoDB; \
             INSERT INTO {table} (token, user_id) SELECT concat(md5(seq), md5(-seq)), unhex(md5(seq)) FROM seq_1_to_2000"
        )
    };
    MariaDb::execute(
        &url,
        &format!("{}; {}", tokens("access_token"), tokens("refresh_token")),
    );
    (Place::new(shared(&url)), url)
}

/// `countersign migrate --json` while it runs. Dropping it kills it.
pub(super) struct Migrate {
    process: Child,
    told: Arc<Told>,
}

/// What a process has told on standard error, and whether it may tell more.
#[derive(Default)]
struct Told {
    text: Mutex<(String, bool)>,
    more: Condvar,
}

impl Told {
    fn all(&self) -> String {
        self.text.lock().unwrap().0.clone()
    }

    /// Reads all that a process tells, and wakes those who wait for it.
    fn read(&self, mut from: impl Read) {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let piece = String::from_utf8_lossy(&buffer[..length]);
            self.text.lock().unwrap().0.push_str(&piece);
            self.more.notify_all();
        }
        self.text.lock().unwrap().1 = true;
        self.more.notify_all();
    }

    /// Waits until `found` has something in the text so far, or until nothing more will come. Panics when neither is so
    /// within `patience`.
    #[track_caller]
    fn wait<T>(&self, patience: Duration, found: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut text = self.text.lock().unwrap();
        loop {
            if let Some(found) = found(&text.0) {
                return Some(found);
            }
            if text.1 {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain: {}", text.0);
            text = self.more.wait_timeout(text, left).unwrap().0;
        }
    }
}

/// The progress in a text of one JSON document a line.
fn progress(text: &str) -> Vec<Value> {
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .map(|line| line["progress"].clone())
        .filter(Value::is_object)
        .collect()
}

impl Migrate {
    pub(super) fn start(place: &Place) -> Self {
        let mut command = place.command(&["migrate", "--json"]);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = Arc::new(Told::default());
        let (stderr, into) = (process.stderr.take().unwrap(), Arc::clone(&told));
        std::thread::spawn(move || into.read(stderr));
        Self { process, told }
    }

    /// What it has told so far.
    pub(super) fn told(&self) -> Vec<Value> {
        progress(&self.told.all())
    }

    /// Waits until it has told something like that, and returns it.
    #[track_caller]
    pub(super) fn tells(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let found = self.told.wait(PATIENCE, |text| {
            progress(text).into_iter().find(|told| is_it(told))
        });
        found.unwrap_or_else(|| panic!("it ended and never told {what}: {}", self.told.all()))
    }

    #[track_caller]
    pub(super) fn waits_for_lock(&mut self, table: &str) -> Value {
        self.tells(table, |told| {
            told["event"] == "waits_for_lock" && told["table"] == table
        })
    }

    #[track_caller]
    pub(super) fn is_still_at_work(&mut self) {
        assert_eq!(
            self.process.try_wait().unwrap(),
            None,
            "{}",
            self.told.all()
        );
    }

    /// SIGKILL.
    pub(super) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for its end. Returns the names of what it applied.
    #[track_caller]
    pub(super) fn applied(mut self) -> Vec<String> {
        self.told.wait(5 * PATIENCE, |_| None::<()>);
        let status = self.process.wait().unwrap();
        let mut out = String::new();
        self.process
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        assert!(status.success(), "{out}{}", self.told.all());
        let answer: Value = serde_json::from_str(&out).unwrap();
        answer["applied"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Migrate {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A session with PostgreSQL that can keep a transaction open.
pub(super) async fn client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}
