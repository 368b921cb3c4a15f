//! The original's tables with rows in them, and `countersign migrate` while it runs.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::{MariaDb, Postgres, tokio_postgres};

use crate::harness::{Place, shared};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many migrations there are: those of the library and those of the server.
pub(super) const MIGRATIONS: usize = 7;

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
    told: Arc<Mutex<String>>,
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
        let told = Arc::new(Mutex::new(String::new()));
        let (mut stderr, into) = (process.stderr.take().unwrap(), Arc::clone(&told));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                into.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { process, told }
    }

    /// What it has told so far, one JSON document a line.
    pub(super) fn told(&self) -> Vec<Value> {
        let told = self.told.lock().unwrap();
        let lines = told
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .map(|line| line["progress"].clone())
            .filter(Value::is_object)
            .collect()
    }

    /// Waits until it has told something like that, and returns it.
    #[track_caller]
    pub(super) fn tells(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.told().into_iter().find(|told| is_it(told)) {
                return found;
            }
            let ended = self.process.try_wait().unwrap();
            let all = self.told.lock().unwrap().clone();
            assert!(
                ended.is_none(),
                "it ended ({ended:?}) and never told {what}: {all}"
            );
            assert!(Instant::now() < deadline, "it doesn't tell {what}: {all}");
            std::thread::sleep(Duration::from_millis(20));
        }
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
            self.told.lock().unwrap()
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
        let deadline = Instant::now() + 5 * PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "it doesn't end: {}",
                self.told.lock().unwrap()
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut out = String::new();
        self.process
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        assert!(status.success(), "{out}{}", self.told.lock().unwrap());
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
