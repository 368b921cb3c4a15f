//! Starts the binary on a free port, with data of its own, and speaks to it.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const SECRET: &str = "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc";
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a server keeps its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
    MariaDb,
}

pub(crate) const DATABASES: [Database; 3] =
    [Database::Sqlite, Database::Postgres, Database::MariaDb];

impl Database {
    /// Settings for a fresh database of this kind.
    pub(crate) fn fresh(self) -> Vec<(String, String)> {
        let url = match self {
            Self::Sqlite => return Vec::new(),
            Self::Postgres => testbed::Postgres::shared().database(),
            Self::MariaDb => testbed::MariaDb::shared().database(),
        };
        shared(&url)
    }
}

/// Every strategy on every database, and what may be on Redis on one server and on a cluster.
pub(crate) fn everywhere() -> impl Iterator<Item = (String, Place)> {
    let in_sql = DATABASES.into_iter().flat_map(|database| {
        ["database", "jwt"].map(|strategy| {
            (
                strategy,
                format!("{strategy} on {database:?}"),
                database.fresh(),
            )
        })
    });
    let redis = [
        ("Redis", testbed::Redis::shared().url().to_owned()),
        ("a cluster", testbed::RedisCluster::shared().url()),
    ];
    let on_redis = redis.into_iter().flat_map(|(name, url)| {
        ["redis", "jwt"].map(|strategy| (strategy, format!("{strategy} on {name}"), on_redis(&url)))
    });
    in_sql
        .chain(on_redis)
        .map(|(strategy, name, settings)| (name, Place::new(settings).with("STRATEGY", strategy)))
}

/// Settings for accounts on SQLite and whatever can be on Redis there.
pub(crate) fn on_redis(url: &str) -> Vec<(String, String)> {
    vec![env("REDIS_URL", url), env("TOKEN_HASH_SECRET", SECRET)]
}

pub(crate) fn shared(url: &str) -> Vec<(String, String)> {
    vec![env("DATABASE_URL", url), env("TOKEN_HASH_SECRET", SECRET)]
}

pub(crate) fn env(name: &str, value: &str) -> (String, String) {
    (format!("COUNTERSIGN_{name}"), value.to_owned())
}

/// How to start a server; the same place may be started again.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    data: Arc<TempDir>,
    pub(crate) settings: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new(settings: Vec<(String, String)>) -> Self {
        Self {
            data: Arc::new(TempDir::new().unwrap()),
            settings,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push(env(name, value));
        self
    }

    /// The same database, another data directory: a second server.
    pub(crate) fn sibling(&self) -> Self {
        Self::new(self.settings.clone())
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data.path().join("data")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        // The machine may be busy with other tests; those about outages set a shorter time.
        command.env("COUNTERSIGN_STORE_TIMEOUT", "20s");
        // Nothing balances load here that would have to hear of a stop.
        command.env("COUNTERSIGN_DRAIN_DELAY", "0s");
        command
            .env("COUNTERSIGN_DATA_DIR", self.data_dir())
            .envs(self.settings.iter().cloned())
            .args(arguments);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command that answers in JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts a server and waits until it says that it listens.
    pub(crate) fn start(&self) -> Server {
        let process = self.command(&["--listen", "127.0.0.1:0", "--json"]);
        Server::start(process, self.clone())
    }

    /// The same from a shell that has done something first, as `ulimit -n 100`.
    pub(crate) fn start_under(&self, first: &str) -> Server {
        let inner = self.command(&[]);
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                &format!("{first}; exec \"$0\" --listen 127.0.0.1:0 --json"),
            ])
            .arg(inner.get_program());
        shell.envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        Server::start(shell, self.clone())
    }
}

/// The binary, with an environment free of our settings.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("COUNTERSIGN_") {
            command.env_remove(name);
        }
    }
    command
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().timeout(PATIENCE)
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    pub(crate) ready: Value,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    client: reqwest::Client,
    /// Keeps the data in place.
    _place: Place,
}

impl Server {
    fn start(mut command: Command, place: Place) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut readers = vec![follow_log(process.stderr.take().unwrap(), Arc::clone(&log))];
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the server didn't start: {line}{}", log.lock().unwrap()));
        readers.push(follow_out(out, Arc::clone(&log)));
        let address = ready["listening"]
            .as_str()
            .unwrap()
            .trim_start_matches("http://")
            .parse()
            .unwrap();
        let client = client().build().unwrap();
        Self {
            process,
            address,
            ready,
            log,
            readers,
            client,
            _place: place,
        }
    }

    /// With a connection for each request, where the server closes idle ones so soon that a request may cross the closing.
    pub(crate) fn with_new_connections(mut self) -> Self {
        self.client = client().pool_max_idle_per_host(0).build().unwrap();
        self
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        Reply::of(self.request(Method::GET, path).bearer_auth(token)).await
    }

    pub(crate) async fn me(&self, token: &str) -> Reply {
        self.get("/users/me", token).await
    }

    pub(crate) async fn register(&self, email: &str) -> Reply {
        self.post(
            "/auth/register",
            json!({ "email": email, "password": PASSWORD }),
        )
        .await
    }

    pub(crate) async fn login(&self, email: &str) -> Tokens {
        let reply = self
            .post(
                "/auth/login",
                json!({ "identifier": email, "password": PASSWORD }),
            )
            .await;
        Tokens::of(&reply)
    }

    pub(crate) async fn refresh(&self, token: &str) -> Reply {
        self.post("/auth/refresh", json!({ "refresh_token": token }))
            .await
    }

    /// Registers and logs in.
    pub(crate) async fn newcomer(&self, email: &str) -> Tokens {
        self.register(email).await.expect(StatusCode::CREATED);
        self.login(email).await
    }

    /// What the server has written so far, standard output and error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has written `what` as often as `times`: lines come a moment after what they tell of.
    #[track_caller]
    pub(crate) fn says(&self, what: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.log().matches(what).count() < times {
            assert!(
                Instant::now() < deadline,
                "it doesn't say {what}: {}",
                self.log()
            );
            std::thread::yield_now();
        }
    }

    pub(crate) fn pid(&self) -> String {
        self.process.id().to_string()
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([name, &self.pid()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Ends the process in its tracks.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks the process to stop, and waits until it has; everything that it wrote.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal("-TERM");
        self.wait()
    }

    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "the server doesn't end: {}",
                self.log()
            );
            std::thread::yield_now();
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status, self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.log());
        }
    }
}

fn follow_log(mut stderr: ChildStderr, log: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || collect(&mut stderr, &log))
}

fn follow_out(mut stdout: BufReader<ChildStdout>, log: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || collect(&mut stdout, &log))
}

fn collect(from: &mut dyn Read, log: &Mutex<String>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        log.lock()
            .unwrap()
            .push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        Self::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A failure of the stated code, in the form that every failure has.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: StatusCode, code: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.json()["code"], code, "{}", self.text);
        assert_eq!(self.json()["status"], status.as_u16());
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// How often a client asks again that is told to come later.
const TRIES: usize = 100;

/// Asks until the answer is another than "later".
pub(crate) async fn patiently<F: Future<Output = Reply>>(ask: impl Fn() -> F) -> Reply {
    let mut reply = ask().await;
    for _ in 0..TRIES {
        if reply.status != StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        reply = ask().await;
    }
    reply
}

/// What a login answers with.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    #[track_caller]
    pub(crate) fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        let body = reply.json();
        let text = |name: &str| {
            body[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name}: {body}"))
                .to_owned()
        };
        Self {
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

/// Whether anybody listens at `address`.
pub(crate) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// Writes a file, where there may be no folder yet: the server makes its own when it needs it.
pub(crate) fn write(path: &Path, text: &str) -> String {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
