//! PostgreSQL servers.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::installed::{Account, account, is_root, program};
use crate::ports::free_port;
use crate::process::{Folder, Process, run, try_run};
use crate::url::with_database;
use crate::wait::random;

const PACKAGE: &str = "postgresql";

/// A PostgreSQL server. It ends when it is dropped, unless an environment variable named it.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    process: Option<Process>,
}

impl Postgres {
    /// Returns the server that all tests of this process share.
    ///
    /// It is the one that `COUNTERSIGN_TEST_POSTGRES_URL` names, or a started one that doesn't wait
    /// for the disk.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("COUNTERSIGN_TEST_POSTGRES_URL") {
            Ok(url) => Self { url, process: None },
            Err(_) => Self::launch(
                &[
                    "fsync=off",
                    "synchronous_commit=off",
                    "full_page_writes=off",
                ],
                &[],
            ),
        })
    }

    /// Starts a server that no other test uses, with PostgreSQL's durable settings.
    pub fn dedicated() -> Self {
        Self::launch(&[], &[])
    }

    /// Starts a server that no other test uses and that offers TLS with this certificate and key.
    pub fn with_tls(certificate: &Path, key: &Path) -> Self {
        Self::launch(
            &["ssl=on"],
            &[("server.crt", certificate), ("server.key", key)],
        )
    }

    /// Starts a server that no other test uses and that also listens on a socket in `directory`.
    ///
    /// The account that the server runs under must be allowed to write there.
    pub fn with_socket(directory: &Path) -> Self {
        Self::launch(
            &[&format!("unix_socket_directories={}", directory.display())],
            &[],
        )
    }

    /// Starts a server that no other test uses, with one more account that needs this password
    /// (SCRAM).
    pub fn asking_for_passwords(account: &str, password: &str) -> Self {
        let server = Self::dedicated();
        Self::execute(
            &server.url,
            &format!("CREATE ROLE {account} LOGIN PASSWORD '{password}'"),
        );

        let file = Self::execute(&server.url, "SHOW hba_file");
        let rules = fs::read_to_string(&file).expect("the server's rules");
        fs::write(
            &file,
            format!("host all {account} 127.0.0.1/32 scram-sha-256\n{rules}"),
        )
        .expect("the rules are ours");

        Self::execute(&server.url, "SELECT pg_reload_conf()");
        server
    }

    /// Creates an empty database and returns its URL.
    pub fn database(&self) -> String {
        let name = format!("test_{:016x}", random());
        Self::execute(&self.url, &format!("CREATE DATABASE {name}"));
        with_database(&self.url, &name)
    }

    /// Returns the URL of the database to connect to for creating others.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements with `psql` on the database at `url`, and returns their output without
    /// alignment and headings.
    pub fn execute(url: &str, sql: &str) -> String {
        run(&mut psql(url), sql)
    }

    /// Kills the server and its children (SIGKILL).
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Stops the server in the ordinary way (SIGINT, a "fast" shutdown).
    pub fn stop(&self) {
        self.process().stop("INT");
    }

    /// Starts the server again after [`kill`](Self::kill) or [`stop`](Self::stop), on the same port
    /// and data.
    pub fn start(&self) {
        self.process().start(|| is_ready(&self.url));
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

    fn process(&self) -> &Process {
        self.process.as_ref().expect(
            "a server named by COUNTERSIGN_TEST_POSTGRES_URL isn't ours to stop; use `dedicated`",
        )
    }

    /// Starts a server with further settings and with files in its data folder.
    fn launch(settings: &[&str], files: &[(&str, &Path)]) -> Self {
        for _ in 0..5 {
            let port = free_port();
            let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
            let process = prepare(port, settings, files);
            if process.try_start(|| is_ready(&url)) {
                return Self {
                    url,
                    process: Some(process),
                };
            }

            // Another process may have taken the port in the meantime. Every other error is final.
            let log = process.log();
            assert!(
                log.contains("Address already in use"),
                "postgres ended:\n{log}"
            );
        }
        panic!("no port stays free long enough for postgres");
    }
}

/// Creates the data folder, and returns the process without starting it.
fn prepare(port: u16, settings: &[&str], files: &[(&str, &Path)]) -> Process {
    let owner = is_root().then(|| account(&["postgres", "nobody"]));
    let folder = Folder::new(owner.as_ref());
    let data = folder.path().join("data");

    let mut initdb = as_owner(owner.as_ref(), program("initdb", PACKAGE));
    initdb
        .args([
            "--no-sync",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ])
        .arg(&data);
    run(initdb.current_dir(folder.path()), "");

    for (name, source) in files {
        let target = data.join(name);
        fs::copy(source, &target).expect("a file for the server");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        if let Some(owner) = &owner {
            chown(&target, Some(owner.uid), Some(owner.gid)).expect("root may give a file away");
        }
    }

    let mut postgres = as_owner(owner.as_ref(), program("postgres", PACKAGE));
    postgres.arg("-D").arg(&data);
    let port = format!("port={port}");
    let fixed = [
        &*port,
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=400",
    ];
    for setting in fixed.iter().chain(settings) {
        postgres.args(["-c", setting]);
    }
    Process::new(postgres, folder)
}

/// Returns the command for a program, run under another account if tests run as root, which
/// PostgreSQL refuses.
pub(crate) fn as_owner(owner: Option<&Account>, program: PathBuf) -> Command {
    let Some(owner) = owner else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command.args([
        format!("--reuid={}", owner.name),
        format!("--regid={}", owner.gid),
    ]);
    command.args(["--clear-groups", "--"]).arg(program);
    command
}

fn psql(url: &str) -> Command {
    let mut command = Command::new(program("psql", "postgresql-client"));
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set=ON_ERROR_STOP=1",
        "--dbname",
        url,
    ]);
    command.env("PGCONNECT_TIMEOUT", "5");
    command
}

/// Returns `true` if the server answers a query.
pub(crate) fn is_ready(url: &str) -> bool {
    try_run(&mut psql(url), "SELECT 1").status.success()
}
