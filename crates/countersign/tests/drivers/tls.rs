//! TLS as far as the URL asks for it, against certificates of the test's own.

use std::fs;
use std::path::Path;
use std::process::Command;

use countersign::FailureKind;
use countersign::store::sql::{DatabaseOptions, Dialect, Statement};
use tempfile::TempDir;
use testbed::{MariaDb, Postgres};

use crate::place::connect;

/// A certificate authority, and a server certificate for 127.0.0.1 or for another host.
fn certificates(host: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split(' ')).current_dir(&folder).output();
        let output = output.expect("`openssl` is needed: run `sudo apt-get install -y openssl`");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    fs::write(folder.path().join("ext"), format!("subjectAltName={host}\n")).unwrap();
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority");
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server");
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -out server.pem -days 2 -CAcreateserial -extfile ext");
    folder
}

/// Whether the connection comes about, and whether the server says that it is encrypted.
async fn encrypted(dialect: Dialect, url: &str) -> Result<bool, FailureKind> {
    let driver = connect(dialect, url, &DatabaseOptions::default());
    let ask = match dialect {
        Dialect::Postgres => {
            "SELECT CASE WHEN ssl THEN 'yes' ELSE '' END FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        }
        _ => "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'",
    };
    let rows = driver.fetch(&Statement::new(dialect, ask), &[]).await.map_err(|failure| failure.kind())?;
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
        let try_with = async |query: String| encrypted(Dialect::Postgres, &format!("{}?{query}", server.url())).await;
        assert_eq!(try_with("sslmode=disable".into()).await, Ok(false));
        assert_eq!(try_with(String::new()).await, Ok(true), "prefer is what is meant when nothing is said");
        assert_eq!(try_with("sslmode=require".into()).await, Ok(true));
        for mode in ["verify-ca", "verify-full"] {
            let stranger = try_with(format!("sslmode={mode}")).await;
            assert_eq!(stranger, Err(FailureKind::Unavailable), "the system doesn't know the authority");
        }
        assert_eq!(try_with(format!("sslmode=verify-ca&sslrootcert={authority}")).await, Ok(true));
        let full = try_with(format!("sslmode=verify-full&sslrootcert={authority}")).await;
        assert_eq!(full, if names_match { Ok(true) } else { Err(FailureKind::Unavailable) });
    }
    let plain = format!("{}?sslmode=require", Postgres::shared().url());
    assert_eq!(encrypted(Dialect::Postgres, &plain).await, Err(FailureKind::Unavailable));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_ssl_mode() {
    for (host, names_match) in [("IP:127.0.0.1", true), ("DNS:elsewhere.example", false)] {
        let folder = certificates(host);
        let [certificate, key, authority] = files(folder.path());
        let settings = [format!("ssl-cert={certificate}"), format!("ssl-key={key}"), format!("ssl-ca={authority}")];
        let server = MariaDb::with_settings(&settings.each_ref().map(String::as_str));
        let try_with = async |query: String| encrypted(Dialect::Mysql, &format!("{}?{query}", server.url())).await;
        assert_eq!(try_with(String::new()).await, Ok(false));
        assert_eq!(try_with("ssl-mode=REQUIRED".into()).await, Ok(true));
        let stranger = try_with("ssl-mode=VERIFY_IDENTITY".into()).await;
        assert_eq!(stranger, Err(FailureKind::Unavailable), "the system doesn't know the authority");
        let identity = try_with(format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={authority}")).await;
        assert_eq!(identity, if names_match { Ok(true) } else { Err(FailureKind::Unavailable) });
    }
}
