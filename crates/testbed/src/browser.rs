//! Chromium, driven over WebDriver.

use std::path::PathBuf;
use std::process::Command;

use crate::installed::program;
use crate::ports::free_port;
use crate::process::{Folder, Process};
use crate::wait::random;

/// A WebDriver server for headless Chromium. It and the browsers that it started end when it is
/// dropped.
#[derive(Debug)]
pub struct Browser {
    url: String,
    program: PathBuf,
    process: Process,
}

impl Browser {
    /// Starts ChromeDriver on a free port.
    pub fn start() -> Self {
        let browser = program("chromium", "chromium");
        let port = free_port();
        let folder = Folder::new(None);

        let mut command = Command::new(program("chromedriver", "chromium-driver"));
        command
            .arg(format!("--port={port}"))
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path());

        let process = Process::new(command, folder);
        process.start(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self {
            url: format!("http://127.0.0.1:{port}"),
            program: browser,
            process,
        }
    }

    /// Returns the URL of the WebDriver server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the path of the browser.
    pub fn program(&self) -> &std::path::Path {
        &self.program
    }

    /// Returns the arguments for a browser with a profile of its own that reaches only the hosts in
    /// `hosts`.
    ///
    /// Each pair is a host name and a loopback port. The port answers in place of port 443 of that
    /// host.
    pub fn arguments(&self, hosts: &[(&str, u16)]) -> Vec<String> {
        let rules: Vec<String> = hosts
            .iter()
            .map(|(host, port)| format!("MAP {host}:443 127.0.0.1:{port}"))
            .collect();

        let profile = self
            .process
            .folder()
            .join(format!("profile-{:016x}", random()));

        let fixed = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let own = [
            format!("--user-data-dir={}", profile.display()),
            format!(
                "--host-resolver-rules={}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                rules.join(", ")
            ),
        ];

        fixed.map(str::to_owned).into_iter().chain(own).collect()
    }
}
