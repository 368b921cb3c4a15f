//! Caddy as a proxy in front of a test's server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::installed::program;
use crate::ports::free_port;
use crate::process::{Folder, Process, try_run};

/// A Caddy process with a certificate authority of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Caddy {
    port: u16,
    process: Process,
}

impl Caddy {
    /// Starts Caddy with these site blocks of a Caddyfile, and waits until it has a certificate for
    /// `host`, which is one of the sites.
    ///
    /// Sites with TLS listen on a free loopback port in place of 443.
    pub fn start(sites: &str, host: &str) -> Self {
        for _ in 0..5 {
            let port = free_port();
            let folder = Folder::new(None);
            let text = format!("{}{sites}\n", options(port));
            fs::write(folder.path().join("Caddyfile"), text).expect("the folder is ours");

            let mut command = Command::new(program("caddy", "caddy"));
            command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
            for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
                command.env(name, folder.path());
            }

            let process = Process::new(command, folder);
            if process.try_start(|| has_certificate(port, host)) {
                return Self { port, process };
            }

            let log = process.log();
            assert!(
                log.contains("address already in use"),
                "Caddy ended:\n{log}"
            );
        }
        panic!("no port stays free long enough for Caddy");
    }

    /// Returns the loopback port of the sites with TLS.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the path of the certificate of its authority.
    pub fn ca_file(&self) -> PathBuf {
        authority(&self.process)
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Returns the global options: a local authority, and no port but the given one.
fn options(port: u16) -> String {
    format!(
        "{{\n\tadmin off\n\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n\
         \thttps_port {port}\n}}\n\n"
    )
}

/// Returns `true` if a TLS handshake for `host` succeeds.
fn has_certificate(port: u16, host: &str) -> bool {
    let mut command = Command::new(program("openssl", "openssl"));
    command.args([
        "s_client",
        "-connect",
        &format!("127.0.0.1:{port}"),
        "-servername",
        host,
    ]);
    try_run(&mut command, "").status.success()
}

fn authority(process: &Process) -> PathBuf {
    process
        .folder()
        .join("caddy/pki/authorities/local/root.crt")
}
