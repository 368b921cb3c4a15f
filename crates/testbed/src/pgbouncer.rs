//! PgBouncer between a test and a PostgreSQL server.

use std::fs;
use std::sync::OnceLock;

use crate::installed::{account, is_root, program};
use crate::ports::free_port;
use crate::postgres::{Postgres, as_owner, is_ready};
use crate::process::{Folder, Process};
use crate::url::{with_database, with_port};

/// A PgBouncer in front of one PostgreSQL server, with all its databases. It ends when it is
/// dropped.
#[derive(Debug)]
pub struct PgBouncer {
    url: String,
    process: Process,
}

impl PgBouncer {
    /// Returns the pooler that all tests of this process share. It is in transaction mode, in front
    /// of [`Postgres::shared`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PgBouncer> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::in_front_of(Postgres::shared().url(), &["pool_mode=transaction"]))
    }

    /// Starts a pooler in front of the server at `url`, with further settings of the form
    /// `name=value`.
    ///
    /// The server must listen on 127.0.0.1 and ask for no password.
    pub fn in_front_of(url: &str, settings: &[&str]) -> Self {
        for _ in 0..5 {
            let port = free_port();
            let through = with_port(url, port);
            let process = prepare(url, port, settings);
            if process.try_start(|| is_ready(&through)) {
                return Self {
                    url: through,
                    process,
                };
            }

            // Another process may have taken the port in the meantime. Every other error is final.
            let log = process.log();
            assert!(
                log.contains("in use") || log.contains("cannot bind"),
                "pgbouncer ended:\n{log}"
            );
        }
        panic!("no port stays free long enough for pgbouncer");
    }

    /// Returns the URL of the database that `url` names, through this pooler.
    pub fn through(&self, url: &str) -> String {
        let database = url
            .rsplit_once('/')
            .map_or("postgres", |(_, database)| database);
        with_database(&self.url, database)
    }

    /// Kills the pooler (SIGKILL). Its connections to clients and to the server break.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts the pooler again after [`kill`](Self::kill), on the same port.
    pub fn start(&self) {
        self.process.start(|| is_ready(&self.url));
    }
}

/// Writes the configuration, and returns the process without starting it.
fn prepare(url: &str, port: u16, settings: &[&str]) -> Process {
    let owner = is_root().then(|| account(&["postgres", "nobody"]));
    let folder = Folder::new(owner.as_ref());
    let server = url
        .rsplit_once(':')
        .and_then(|(_, rest)| rest.split('/').next())
        .expect("the server's URL has a port");

    let mut lines = vec![
        "[databases]".to_owned(),
        format!("* = host=127.0.0.1 port={server}"),
        "[pgbouncer]".to_owned(),
        "listen_addr = 127.0.0.1".to_owned(),
        format!("listen_port = {port}"),
        "unix_socket_dir =".to_owned(),
        "auth_type = trust".to_owned(),
        "auth_file = users.txt".to_owned(),
        "max_client_conn = 400".to_owned(),
        "logfile =".to_owned(),
    ];
    lines.extend(settings.iter().map(|setting| (*setting).to_owned()));

    fs::write(folder.path().join("pgbouncer.ini"), lines.join("\n") + "\n")
        .expect("the folder is ours");
    fs::write(folder.path().join("users.txt"), "\"postgres\" \"\"\n").expect("the folder is ours");

    let mut command = as_owner(owner.as_ref(), program("pgbouncer", "pgbouncer"));
    command.arg("pgbouncer.ini");
    Process::new(command, folder)
}
