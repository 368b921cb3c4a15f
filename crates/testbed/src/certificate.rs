//! Certificates for servers that speak TLS.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::installed::program;
use crate::process::run;

/// Creates a certificate authority and a server certificate for `hosts` in `folder`.
///
/// The files are `ca.pem`, `server.pem` and `server.key`. `hosts` are subject alternative names as
/// OpenSSL spells them, such as `IP:127.0.0.1,DNS:localhost`. The certificates are valid for two
/// days.
pub fn certificate(folder: &Path, hosts: &str) {
    fs::write(folder.join("ext"), format!("subjectAltName={hosts}\n")).expect("the folder is ours");

    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"),
    );
    openssl(
        folder,
        &format!("req {key} -keyout server.key -out server.csr -subj /CN=server"),
    );
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -out server.pem -days 2 -CAcreateserial -extfile ext",
    );
}

/// Runs `openssl` in the folder.
fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new(program("openssl", "openssl"));
    run(command.args(arguments.split(' ')).current_dir(folder), "");
}
