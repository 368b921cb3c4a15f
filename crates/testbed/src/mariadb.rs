//! MariaDB servers.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use crate::installed::{is_root, program};
use crate::ports::free_port;
use crate::process::{Folder, Process, run, try_run};
use crate::url::{Address, with_database};
use crate::wait::random;

const PACKAGE: &str = "mariadb-server";

/// A MariaDB server. It ends when it is dropped, unless an environment variable named it.
#[derive(Debug)]
pub struct MariaDb {
    url: String,
    process: Option<Process>,
}

impl MariaDb {
    /// Returns the server that all tests of this process share.
    ///
    /// It is the one that `COUNTERSIGN_TEST_MYSQL_URL` names, or a started one that doesn't wait
    /// for the disk.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("COUNTERSIGN_TEST_MYSQL_URL") {
            Ok(url) => Self { url, process: None },
            Err(_) => Self::launch(&["innodb-flush-log-at-trx-commit=0", "innodb-doublewrite=0"]),
        })
    }

    /// Starts a server that no other test uses, with MariaDB's durable settings.
    pub fn dedicated() -> Self {
        Self::launch(&[])
    }

    /// Starts a server that no other test uses, with further settings of the form `name=value`.
    pub fn with_settings(settings: &[&str]) -> Self {
        Self::launch(settings)
    }

    /// Creates an empty database and returns its URL.
    pub fn database(&self) -> String {
        let name = format!("test_{:016x}", random());
        Self::execute(
            &self.url,
            &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"),
        );
        with_database(&self.url, &name)
    }

    /// Returns the URL of the server, with a user who may create databases.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements with `mariadb` on the database at `url`, and returns their output without
    /// headings.
    pub fn execute(url: &str, sql: &str) -> String {
        run(&mut client(url), sql)
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
            "a server named by COUNTERSIGN_TEST_MYSQL_URL isn't ours to stop; use `dedicated`",
        )
    }

    /// Starts a server with further settings.
    fn launch(settings: &[&str]) -> Self {
        for _ in 0..5 {
            let port = free_port();
            let url = format!("mysql://test:test@127.0.0.1:{port}/mysql");
            let process = prepare(port, settings);
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
                "mariadbd ended:\n{log}"
            );
        }
        panic!("no port stays free long enough for mariadbd");
    }
}

/// The statements that create the account of the tests. The server runs them at each start, and
/// they change nothing after the first.
const ACCOUNT: &str = "CREATE USER IF NOT EXISTS test@'%' IDENTIFIED BY 'test';
GRANT ALL ON *.* TO test@'%' WITH GRANT OPTION;
";

/// Creates the data folder, and returns the process without starting it.
fn prepare(port: u16, settings: &[&str]) -> Process {
    let folder = Folder::new(None);
    let path = folder.path().to_owned();
    let data = path.join("data");

    let mut install = Command::new(program("mariadb-install-db", PACKAGE));
    install.args([
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]);
    install
        .arg("--innodb-log-file-size=16M")
        .arg(format!("--datadir={}", data.display()));

    let account = path.join("account.sql");
    fs::write(&account, ACCOUNT).expect("the folder is ours");
    let mut server = Command::new(program("mariadbd", PACKAGE));
    server.args([
        "--no-defaults",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--max-connections=400",
    ]);
    server.args([
        "--innodb-log-file-size=16M",
        "--innodb-buffer-pool-size=64M",
    ]);
    for (setting, path) in [
        ("datadir", data),
        ("init-file", account),
        ("socket", path.join("s")),
    ] {
        server.arg(format!("--{setting}={}", path.display()));
    }
    server
        .arg(format!("--port={port}"))
        .args(settings.iter().map(|setting| format!("--{setting}")));

    // Two installations at once would overwrite each other's files in /tmp.
    install.env("TMPDIR", &path);
    server.env("TMPDIR", &path);
    if is_root() {
        install.arg("--user=root");
        server.arg("--user=root");
    }

    run(install.current_dir(&path), "");
    Process::new(server, folder)
}

fn client(url: &str) -> Command {
    let Address {
        user,
        password,
        host,
        port,
        database,
    } = Address::parse(url);

    let mut command = Command::new(program("mariadb", "mariadb-client"));
    command.args([
        "--no-defaults",
        "--protocol=tcp",
        "--batch",
        "--skip-column-names",
        "--connect-timeout=5",
    ]);
    command.args(
        [("host", host), ("port", port), ("user", user)]
            .map(|(name, value)| format!("--{name}={value}")),
    );
    command.env("MYSQL_PWD", password).arg(database);

    command
}

/// Returns `true` if the server answers a query.
fn is_ready(url: &str) -> bool {
    try_run(&mut client(url), "SELECT 1").status.success()
}
