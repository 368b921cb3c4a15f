//! TLS as far as the URL asks for it, against certificates of the test's own.

use std::fs;
use std::path::Path;
use std::process::Command;

use countersign::error::FailureKind;
use countersign::store::sql::{Dialect, Statement};
use tempfile::TempDir;
use testbed::{MariaDb, Postgres};

use crate::drivers::place::{connect, patient};

/// A certificate authority, and a server certificate for 127.0.0.1 or for another host.
fn certificates(host: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        let output = command
            .args(arguments.split(' '))
            .current_dir(&folder)
            .output();
        let output = output.expect("`openssl` is needed: run `sudo apt-get install -y openssl`");
        assert!(
            output.status.success(),
            "openssl {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    fs::write(
        folder.path().join("ext"),
        format!("subjectAltName={host}\n"),
    )
    .unwrap();
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
    );
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server");
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -out server.pem -days 2 -CAcreateserial -extfile ext",
    );
    folder
}

/// Whether the connection comes about, and whether the server says that it is encrypted.
async fn encrypted(dialect: Dialect, url: &str) -> Result<bool, FailureKind> {
    let driver = connect(dialect, url, &patient());
    let ask = match dialect {
        Dialect::Postgres => {
            "SELECT CASE WHEN ssl THEN 'yes' ELSE '' END FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        }
        _ => {
            "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'"
        }
    };
    let rows = driver
        .fetch(&Statement::new(dialect, ask), &[])
        .await
        .map_err(|failure| failure.kind())?;
    Ok(rows[0].text(0).unwrap() != Some(""))
}

fn files(folder: &Path) -> [String; 3] {
    ["server.pem", "server.key", "ca.pem"].map(|file| folder.join(file).display().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_sslmode() {
    for (host, names_match) in [("IP:127.0.0.1", true), ("DNS:elsewhere.example", false)] {
        let folder = certificates(host);
        let [certificate, key, authority] = files(folder.path());
        let server = Postgres::with_tls(certificate.as_ref(), key.as_ref());
        let try_with = async |query: String| {
            encrypted(Dialect::Postgres, &format!("{}?{query}", server.url())).await
        };
        assert_eq!(try_with("sslmode=disable".into()).await, Ok(false));
        assert_eq!(
            try_with(String::new()).await,
            Ok(true),
            "prefer is what is meant when nothing is said"
        );
        assert_eq!(try_with("sslmode=require".into()).await, Ok(true));
        for mode in ["verify-ca", "verify-full"] {
            let stranger = try_with(format!("sslmode={mode}")).await;
            assert_eq!(
                stranger,
                Err(FailureKind::Unavailable),
                "the system doesn't know the authority"
            );
        }
        assert_eq!(
            try_with(format!("sslmode=verify-ca&sslrootcert={authority}")).await,
            Ok(true)
        );
        let full = try_with(format!("sslmode=verify-full&sslrootcert={authority}")).await;
        assert_eq!(
            full,
            if names_match {
                Ok(true)
            } else {
                Err(FailureKind::Unavailable)
            }
        );
    }
    let plain = format!("{}?sslmode=require", Postgres::shared().url());
    assert_eq!(
        encrypted(Dialect::Postgres, &plain).await,
        Err(FailureKind::Unavailable)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_ssl_mode() {
    for (host, names_match) in [("IP:127.0.0.1", true), ("DNS:elsewhere.example", false)] {
        let folder = certificates(host);
        let [certificate, key, authority] = files(folder.path());
        let settings = [
            format!("ssl-cert={certificate}"),
            format!("ssl-key={key}"),
            format!("ssl-ca={authority}"),
        ];
        let server = MariaDb::with_settings(&settings.each_ref().map(String::as_str));
        let try_with = async |query: String| {
            encrypted(Dialect::Mysql, &format!("{}?{query}", server.url())).await
        };
        assert_eq!(try_with(String::new()).await, Ok(false));
        assert_eq!(try_with("ssl-mode=REQUIRED".into()).await, Ok(true));
        let stranger = try_with("ssl-mode=VERIFY_IDENTITY".into()).await;
        assert_eq!(
            stranger,
            Err(FailureKind::Unavailable),
            "the system doesn't know the authority"
        );
        let identity = try_with(format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={authority}")).await;
        assert_eq!(
            identity,
            if names_match {
                Ok(true)
            } else {
                Err(FailureKind::Unavailable)
            }
        );
    }
}

/// A certificate that signs itself, of version 3 as an authority's own, or of version 1.
fn self_signed(is_version_1: bool) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "openssl {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    if is_version_1 {
        openssl(
            "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1",
        );
        openssl("x509 -req -in server.csr -signkey server.key -out server.pem -days 2");
    } else {
        let names = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:TRUE";
        openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.pem -days 2 -subj /CN=own {names}"
        ));
    }
    fs::copy(
        folder.path().join("server.pem"),
        folder.path().join("ca.pem"),
    )
    .unwrap();
    folder
}

/// Why a connection doesn't come about.
async fn refusal(dialect: Dialect, url: &str) -> String {
    let driver = connect(dialect, url, &patient());
    let failure = driver
        .fetch(&Statement::new(dialect, "SELECT 1"), &[])
        .await
        .unwrap_err();
    std::error::Error::source(&failure).unwrap().to_string()
}

/// As psql does: nothing is asked of a certificate where nothing is to be checked, and one that is named as trusted is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_certificates_of_every_kind() {
    for is_version_1 in [true, false] {
        let folder = self_signed(is_version_1);
        let [certificate, key, named] = files(folder.path());
        let server = Postgres::with_tls(certificate.as_ref(), key.as_ref());
        let url = |query: &str| format!("{}?{query}", server.url());
        for mode in ["prefer", "require"] {
            assert_eq!(
                encrypted(Dialect::Postgres, &url(&format!("sslmode={mode}"))).await,
                Ok(true),
                "{mode}"
            );
        }
        for mode in ["verify-ca", "verify-full"] {
            let url = url(&format!("sslmode={mode}&sslrootcert={named}"));
            if is_version_1 {
                let refusal = refusal(Dialect::Postgres, &url).await;
                assert!(
                    refusal.contains("X.509 version 1") && refusal.contains("sslmode=require"),
                    "{refusal}"
                );
            } else {
                assert_eq!(encrypted(Dialect::Postgres, &url).await, Ok(true), "{mode}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_name_the_fault_and_the_cure_on_postgres_and_mariadb() {
    let folder = certificates("DNS:elsewhere.example");
    let [certificate, key, authority] = files(folder.path());
    let server = Postgres::with_tls(certificate.as_ref(), key.as_ref());
    let unknown = refusal(
        Dialect::Postgres,
        &format!("{}?sslmode=verify-ca", server.url()),
    )
    .await;
    assert!(
        unknown.contains("an unknown authority") && unknown.contains("sslrootcert"),
        "{unknown}"
    );
    let full = format!(
        "{}?sslmode=verify-full&sslrootcert={authority}",
        server.url()
    );
    let other = refusal(Dialect::Postgres, &full).await;
    assert!(
        other.contains("another host") && other.contains("sslmode=verify-ca"),
        "{other}"
    );
    let settings = [format!("ssl-cert={certificate}"), format!("ssl-key={key}")];
    let server = MariaDb::with_settings(&settings.each_ref().map(String::as_str));
    let unknown = refusal(
        Dialect::Mysql,
        &format!("{}?ssl-mode=verify-identity", server.url()),
    )
    .await;
    assert!(
        unknown.contains("an unknown authority") && unknown.contains("ssl-ca"),
        "{unknown}"
    );
}
