//! nginx as a proxy in front of a test's server.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::installed::{is_root, program};
use crate::ports::free_port;
use crate::process::{Folder, Process};

/// An nginx process. It ends when it is dropped.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    process: Process,
}

impl Nginx {
    /// Starts nginx on a free loopback port.
    ///
    /// `site` gets the port and a folder for files, and returns the directives inside of `http { …
    /// }`.
    pub fn start(site: impl Fn(u16, &Path) -> String) -> Self {
        for _ in 0..5 {
            let port = free_port();
            let folder = Folder::new(None);
            let text = configuration(&site(port, folder.path()));
            fs::write(folder.path().join("nginx.conf"), text).expect("the folder is ours");

            let mut command = Command::new(program("nginx", "nginx-light"));
            command
                .arg("-p")
                .arg(folder.path())
                .args(["-c", "nginx.conf", "-e", "stderr"]);

            let process = Process::new(command, folder);
            if process.try_start(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()) {
                return Self { port, process };
            }

            let log = process.log();
            assert!(
                log.contains("Address already in use"),
                "nginx ended:\n{log}"
            );
        }
        panic!("no port stays free long enough for nginx");
    }

    /// Returns the loopback port that nginx listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Returns the complete configuration: one worker process, which keeps its files in its own folder.
fn configuration(site: &str) -> String {
    let user = if is_root() { "user root;\n" } else { "" };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary
        .map(|kind| format!("    {kind}_temp_path {kind};\n"))
        .concat();
    format!(
        "daemon off;\n{user}worker_processes 1;\npid nginx.pid;\nerror_log stderr warn;\n\
         events {{ worker_connections 256; }}\nhttp {{\n    access_log off;\n{temporary}{site}\n}}\n"
    )
}
