//! Redis.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::certificate::certificate;
use crate::installed::program;
use crate::ports::free_port;
use crate::process::{Folder, Process, run, try_run};
use crate::wait::random;

/// A Redis server.
#[derive(Debug)]
pub struct Redis {
    url: String,
    process: Option<Process>,
}

const DURABLE: [&str; 2] = ["appendonly=yes", "appendfsync=always"];

impl Redis {
    /// The server that all tests of this process share: the one `COUNTERSIGN_TEST_REDIS_URL` names, or one of our own that
    /// keeps nothing on the disk.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("COUNTERSIGN_TEST_REDIS_URL") {
            Ok(url) => Self::named(url),
            Err(_) => Self::launch("redis", |port, _| vec![format!("port={port}")]),
        })
    }

    /// A server that no other test uses. It answers a write once that is on the disk.
    pub fn dedicated() -> Self {
        Self::with_settings(&[])
    }

    /// A dedicated server with more settings, each as `name=value`.
    pub fn with_settings(settings: &[&str]) -> Self {
        Self::launch("redis", |port, _| {
            let port = format!("port={port}");
            DURABLE.iter().chain(settings).copied().chain([&*port]).map(str::to_owned).collect()
        })
    }

    /// A server that no other test uses and that speaks TLS only, with a certificate for 127.0.0.1 and `localhost` by
    /// the authority of [`ca_file`](Self::ca_file).
    pub fn with_tls() -> Self {
        Self::launch("rediss", |port, folder| {
            certificate(folder, "IP:127.0.0.1,DNS:localhost");
            let files = "tls-cert-file=server.pem tls-key-file=server.key tls-ca-cert-file=ca.pem";
            let settings = format!("port=0 tls-port={port} tls-auth-clients=no {files}");
            settings.split(' ').map(str::to_owned).collect()
        })
    }

    /// A server that no other test uses and that speaks TLS only, with this certificate and this key.
    pub fn with_certificate(certificate: &Path, key: &Path) -> Self {
        Self::launch("rediss", |port, _| {
            let files = [("tls-cert-file", certificate), ("tls-key-file", key), ("tls-ca-cert-file", certificate)];
            let files = files.map(|(setting, file)| format!("{setting}={}", file.display()));
            let settings = ["port=0".to_owned(), format!("tls-port={port}"), "tls-auth-clients=no".to_owned()];
            settings.into_iter().chain(files).collect()
        })
    }

    /// What a test's keys begin with, so that tests on one server don't meet.
    pub fn prefix(&self) -> String {
        format!("test_{:016x}:", random())
    }

    /// The URL of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the server's Unix socket, which never speaks TLS.
    pub fn unix_url(&self) -> String {
        format!("unix://{}", socket(self.process().folder()).display())
    }

    /// The certificate of the authority behind [`with_tls`](Self::with_tls).
    pub fn ca_file(&self) -> PathBuf {
        self.process().folder().join("ca.pem")
    }

    /// Runs a command with `redis-cli`; what it prints. An error reply is a panic.
    pub fn command(&self, arguments: &[&str]) -> String {
        run(self.client().args(arguments), "")
    }

    /// SIGKILL to the server.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Stops the server in the ordinary way (SIGTERM).
    pub fn stop(&self) {
        self.process().stop("TERM");
    }

    /// Starts the server again after [`kill`](Self::kill) or [`stop`](Self::stop), on the same port and data.
    pub fn start(&self) {
        self.process().start(|| is_ready(self.process()));
    }

    /// Stops the server in the ordinary way and starts it again.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// Makes the server a black hole: the kernel accepts connections for it, and it never answers.
    pub fn freeze(&self) {
        self.process().freeze();
    }

    /// Ends a [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.process().thaw();
    }

    /// A server of a group that Sentinels watch: it can be made the replica of another.
    pub(crate) fn watched() -> Self {
        Self::launch("redis", |port, _| {
            let settings = format!("port={port} appendonly=yes appendfsync=always repl-diskless-sync-delay=0");
            settings.split(' ').map(str::to_owned).collect()
        })
    }

    /// A Sentinel that watches the master at `port` under that name, and agrees with `quorum` others that it is gone.
    pub(crate) fn sentinel(name: &str, port: &str, quorum: usize) -> Self {
        Self::launch_sentinel(&format!(
            "sentinel monitor {name} 127.0.0.1 {port} {quorum}\n\
             sentinel down-after-milliseconds {name} 1000\n\
             sentinel failover-timeout {name} 5000\n\
             sentinel parallel-syncs {name} 5\n"
        ))
    }

    fn launch_sentinel(watch: &str) -> Self {
        for _ in 0..5 {
            let (port, folder) = (free_port(), Folder::new(None));
            // A Sentinel writes what it has learned into its configuration.
            let file = folder.path().join("sentinel.conf");
            let socket = socket(folder.path());
            let text =
                format!("port {port}\nbind 127.0.0.1\nunixsocket {}\nunixsocketperm 700\n{watch}", socket.display());
            std::fs::write(&file, text).expect("the folder is ours");
            let mut server = Command::new(program("redis-server", "redis-server"));
            server.arg(&file).arg("--sentinel");
            let process = Process::new(server, folder);
            if process.try_start(|| is_ready(&process)) {
                return Self { url: format!("redis://127.0.0.1:{port}"), process: Some(process) };
            }
            let log = process.log();
            assert!(log.contains("Address already in use"), "the Sentinel ended:\n{log}");
        }
        panic!("no port stays free long enough for a Sentinel");
    }

    /// A server that isn't ours.
    pub(crate) fn named(url: String) -> Self {
        Self { url, process: None }
    }

    /// Starts a server with the settings that `settings` makes of a port and the server's folder.
    pub(crate) fn launch(scheme: &str, settings: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        for _ in 0..5 {
            let port = free_port();
            let folder = Folder::new(None);
            let settings = settings(port, folder.path());
            let process = prepare(folder, &settings);
            if process.try_start(|| is_ready(&process)) {
                return Self { url: format!("{scheme}://127.0.0.1:{port}"), process: Some(process) };
            }
            // Another process may have taken a port in the meantime; anything else is final.
            let log = process.log();
            assert!(log.contains("Address already in use"), "redis-server ended:\n{log}");
        }
        panic!("no port stays free long enough for redis-server");
    }

    /// `redis-cli`, ready for a command or for `-c`.
    pub(crate) fn client(&self) -> Command {
        let mut command = client();
        command.args(["-u", &self.url]);
        if self.process.is_some() && self.url.starts_with("rediss:") {
            command.arg("--cacert").arg(self.ca_file());
        }
        command
    }

    /// Whether the server would answer; one that isn't ours counts as if it did.
    pub(crate) fn is_awake(&self) -> bool {
        self.process.as_ref().is_none_or(Process::is_awake)
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("a server named by an environment variable isn't ours to touch; use `dedicated`")
    }
}

/// A server's command line.
fn prepare(folder: Folder, settings: &[String]) -> Process {
    let mut server = Command::new(program("redis-server", "redis-server"));
    server.args(["--bind", "127.0.0.1", "--save", "", "--unixsocketperm", "700", "--unixsocket"]);
    server.arg(socket(folder.path()));
    for setting in settings {
        let (name, value) = setting.split_once('=').expect("a setting is `name=value`");
        server.args([&*format!("--{name}"), value]);
    }
    Process::new(server, folder)
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("s")
}

fn client() -> Command {
    // `redis-cli` would wait for a frozen server for ever.
    let mut command = Command::new("timeout");
    command.arg("30").arg(program("redis-cli", "redis-tools")).args(["-e", "--no-auth-warning"]);
    command
}

/// Asks at the socket: at the port, another server may answer that took it before ours could.
fn is_ready(process: &Process) -> bool {
    let ping = try_run(client().arg("-s").arg(socket(process.folder())).arg("PING"), "");
    ping.stdout.trim_ascii() == b"PONG"
}
