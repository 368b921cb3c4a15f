//! Redis servers and Sentinels.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::certificate::certificate;
use crate::installed::program;
use crate::ports::free_port;
use crate::process::{Folder, Process, run, try_run};
use crate::wait::random;

/// A Redis server. It ends when it is dropped, unless an environment variable named it.
#[derive(Debug)]
pub struct Redis {
    url: String,
    process: Option<Process>,
}

/// The settings of a server that confirms a write only once it is on disk.
const DURABLE: [&str; 2] = ["appendonly=yes", "appendfsync=always"];

impl Redis {
    /// Returns the server that all tests of this process share.
    ///
    /// It is the one that `COUNTERSIGN_TEST_REDIS_URL` names, or a started one that keeps nothing
    /// on disk.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("COUNTERSIGN_TEST_REDIS_URL") {
            Ok(url) => Self::named(url),
            Err(_) => Self::launch("redis", |port, _| vec![format!("port={port}")]),
        })
    }

    /// Starts a server that no other test uses. It confirms a write only once it is on disk.
    pub fn dedicated() -> Self {
        Self::with_settings(&[])
    }

    /// Starts a dedicated server with further settings of the form `name=value`.
    pub fn with_settings(settings: &[&str]) -> Self {
        Self::launch("redis", |port, _| {
            let port = format!("port={port}");
            DURABLE
                .iter()
                .chain(settings)
                .copied()
                .chain([&*port])
                .map(str::to_owned)
                .collect()
        })
    }

    /// Starts a server that no other test uses and that speaks TLS only.
    ///
    /// Its certificate is for 127.0.0.1 and `localhost`, from the authority of
    /// [`ca_file`](Self::ca_file).
    pub fn with_tls() -> Self {
        Self::launch("rediss", |port, folder| {
            certificate(folder, "IP:127.0.0.1,DNS:localhost");
            let files = "tls-cert-file=server.pem tls-key-file=server.key tls-ca-cert-file=ca.pem";
            let settings = format!("port=0 tls-port={port} tls-auth-clients=no {files}");
            settings.split(' ').map(str::to_owned).collect()
        })
    }

    /// Starts a server that no other test uses and that speaks TLS only, with this certificate and
    /// key.
    pub fn with_certificate(certificate: &Path, key: &Path) -> Self {
        Self::launch("rediss", |port, _| {
            let files = [
                ("tls-cert-file", certificate),
                ("tls-key-file", key),
                ("tls-ca-cert-file", certificate),
            ];
            let files = files.map(|(setting, file)| format!("{setting}={}", file.display()));
            let settings = [
                "port=0".to_owned(),
                format!("tls-port={port}"),
                "tls-auth-clients=no".to_owned(),
            ];

            settings.into_iter().chain(files).collect()
        })
    }

    /// Returns a random prefix for the keys of one test, so that tests on one server don't meet.
    pub fn prefix(&self) -> String {
        format!("test_{:016x}:", random())
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the URL of the server's Unix socket, which never uses TLS.
    pub fn unix_url(&self) -> String {
        format!("unix://{}", socket(self.process().folder()).display())
    }

    /// Returns the path of the certificate of the authority behind [`with_tls`](Self::with_tls).
    pub fn ca_file(&self) -> PathBuf {
        self.process().folder().join("ca.pem")
    }

    /// Runs a command with `redis-cli` and returns its output. Panics on an error reply.
    pub fn command(&self, arguments: &[&str]) -> String {
        run(self.client().args(arguments), "")
    }

    /// Kills the server (SIGKILL).
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Stops the server in the ordinary way (SIGTERM).
    pub fn stop(&self) {
        self.process().stop("TERM");
    }

    /// Starts the server again after [`kill`](Self::kill) or [`stop`](Self::stop), on the same port
    /// and data.
    pub fn start(&self) {
        self.process().start(|| is_ready(self.process()));
    }

    /// Stops the server in the ordinary way and starts it again.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// Suspends the server: the kernel accepts connections for it, and it never answers.
    pub fn freeze(&self) {
        self.process().freeze();
    }

    /// Resumes the server after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.process().thaw();
    }

    /// Starts a server for a group that Sentinels watch. It can become the replica of another.
    pub(crate) fn watched() -> Self {
        Self::launch("redis", |port, _| {
            let settings =
                format!("port={port} appendonly=yes appendfsync=always repl-diskless-sync-delay=0");
            settings.split(' ').map(str::to_owned).collect()
        })
    }

    /// Starts a Sentinel that watches the master at `port` under a name.
    ///
    /// `quorum` Sentinels have to agree that the master is gone.
    pub(crate) fn sentinel(name: &str, port: &str, quorum: usize) -> Self {
        Self::launch_sentinel(&format!(
            "sentinel monitor {name} 127.0.0.1 {port} {quorum}\n\
             sentinel down-after-milliseconds {name} 1000\n\
             sentinel failover-timeout {name} 5000\n\
             sentinel parallel-syncs {name} 5\n"
        ))
    }

    /// Starts a Sentinel with these lines of configuration.
    fn launch_sentinel(watch: &str) -> Self {
        for _ in 0..5 {
            let (port, folder) = (free_port(), Folder::new(None));
            // A Sentinel writes what it has learned into its configuration.
            let file = folder.path().join("sentinel.conf");
            let socket = socket(folder.path());
            let text = format!(
                "port {port}\nbind 127.0.0.1\nunixsocket {}\nunixsocketperm 700\n{watch}",
                socket.display()
            );
            std::fs::write(&file, text).expect("the folder is ours");

            let mut server = Command::new(program("redis-server", "redis-server"));
            server.arg(&file).arg("--sentinel");
            let process = Process::new(server, folder);
            if process.try_start(|| is_ready(&process)) {
                return Self {
                    url: format!("redis://127.0.0.1:{port}"),
                    process: Some(process),
                };
            }

            let log = process.log();
            assert!(
                log.contains("Address already in use"),
                "the Sentinel ended:\n{log}"
            );
        }
        panic!("no port stays free long enough for a Sentinel");
    }

    /// Returns a handle on a server that an environment variable names.
    pub(crate) fn named(url: String) -> Self {
        Self { url, process: None }
    }

    /// Starts a server. `settings` gets a port and the server's folder, and returns the settings.
    pub(crate) fn launch(scheme: &str, settings: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        for _ in 0..5 {
            let port = free_port();
            let folder = Folder::new(None);
            let settings = settings(port, folder.path());
            let process = prepare(folder, &settings);
            if process.try_start(|| is_ready(&process)) {
                return Self {
                    url: format!("{scheme}://127.0.0.1:{port}"),
                    process: Some(process),
                };
            }

            // Another process may have taken a port in the meantime. Every other error is final.
            let log = process.log();
            assert!(
                log.contains("Address already in use"),
                "redis-server ended:\n{log}"
            );
        }
        panic!("no port stays free long enough for redis-server");
    }

    /// Returns the command `redis-cli` for this server, without arguments yet.
    pub(crate) fn client(&self) -> Command {
        let mut command = client();
        command.args(["-u", &self.url]);
        if self.process.is_some() && self.url.starts_with("rediss:") {
            command.arg("--cacert").arg(self.ca_file());
        }
        command
    }

    /// Returns `true` if the server can answer. A server that an environment variable names always
    /// counts as able.
    pub(crate) fn is_awake(&self) -> bool {
        self.process.as_ref().is_none_or(Process::is_awake)
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect(
            "a server named by an environment variable isn't ours to touch; use `dedicated`",
        )
    }
}

/// Builds the command line, and returns the process without starting it.
fn prepare(folder: Folder, settings: &[String]) -> Process {
    let mut server = Command::new(program("redis-server", "redis-server"));
    server.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--unixsocketperm",
        "700",
        "--unixsocket",
    ]);
    server.arg(socket(folder.path()));

    for setting in settings {
        let (name, value) = setting.split_once('=').expect("a setting is `name=value`");
        server.args([&*format!("--{name}"), value]);
    }
    Process::new(server, folder)
}

/// Returns the path of a server's Unix socket.
fn socket(folder: &Path) -> PathBuf {
    folder.join("s")
}

fn client() -> Command {
    // `redis-cli` alone would wait for a frozen server for ever.
    let mut command = Command::new("timeout");
    command
        .arg("30")
        .arg(program("redis-cli", "redis-tools"))
        .args(["-e", "--no-auth-warning"]);
    command
}

/// Returns `true` if the server answers on its Unix socket.
///
/// At the port another server may answer, which took the port before this one could.
fn is_ready(process: &Process) -> bool {
    let ping = try_run(
        client().arg("-s").arg(socket(process.folder())).arg("PING"),
        "",
    );
    ping.stdout.trim_ascii() == b"PONG"
}
