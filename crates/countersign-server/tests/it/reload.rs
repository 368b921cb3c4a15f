//! SIGHUP reads settings again, and a rotated password is read again when the store refuses the old one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use testbed::{MariaDb, Postgres, Redis};

use crate::harness::{PASSWORD, Place, Reply, SECRET, Server, write};

const CALLERS: usize = 64;

fn reload(server: &Server, times: usize) {
    server.signal("-HUP");
    server.says("event=\"reloaded\"", times);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_kills_nobody_and_changes_the_log_level() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("countersign.toml");
    write(&file, "log = \"info\"\n");
    let server = Place::new(Vec::new())
        .with("CONFIG", file.to_str().unwrap())
        .start();
    let tokens = server.newcomer("ada@example.org").await;
    assert!(!server.log().contains("event=\"request\""));
    write(&file, "log = \"debug\"\n");
    reload(&server, 1);
    server.me(&tokens.access).await.expect(StatusCode::OK);
    server.says("event=\"request\"", 1);
    server.says("changed=\"COUNTERSIGN_LOG\"", 1);
    // What can't work changes nothing, and is named.
    write(&file, "log = \"loud\"\n");
    server.signal("-HUP");
    server.says("event=\"reload_failed\"", 1);
    assert!(server.log().contains("log in"), "{}", server.log());
    server.me(&tokens.access).await.expect(StatusCode::OK);
    // What needs a start is named as well.
    write(&file, "log = \"debug\"\nmax_connections = 17\n");
    server.signal("-HUP");
    server.says("event=\"reload_needs_restart\"", 1);
    assert!(
        server.log().contains("COUNTERSIGN_MAX_CONNECTIONS"),
        "{}",
        server.log()
    );
    server.me(&tokens.access).await.expect(StatusCode::OK);
    assert_eq!(server.stop().0.code(), Some(0));
}

/// A signing key in a file: the new one signs from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_is_read_again() {
    let dir = TempDir::new().unwrap();
    let key = |name: &str| {
        let place = Place::new(Vec::new()).with("STRATEGY", "jwt");
        drop(place.start());
        let text = std::fs::read_to_string(place.data_dir().join("jwt_private_key.pem")).unwrap();
        (write(&dir.path().join(name), &text), text)
    };
    let ((file, _), (_, other)) = (key("one"), key("other"));
    let place = Place::new(Vec::new())
        .with("STRATEGY", "jwt")
        .with("JWT_PRIVATE_KEY_FILE", &file);
    let server = place.start();
    let tokens = server.newcomer("ada@example.org").await;
    server.me(&tokens.access).await.expect(StatusCode::OK);
    write(
        &PathBuf::from(&file),
        "rubbish that is long enough to be a key",
    );
    server.signal("-HUP");
    server.says("event=\"reload_failed\"", 1);
    server.me(&tokens.access).await.expect(StatusCode::OK);
    write(&PathBuf::from(&file), &other);
    // Another key than the deployment's is refused until the deployment has it.
    server.signal("-HUP");
    server.says("event=\"reload_failed\"", 2);
    server.me(&tokens.access).await.expect(StatusCode::OK);
    place.json(&["deployment", "change", "--yes"]);
    reload(&server, 1);
    let after = server.login("ada@example.org").await;
    server.me(&after.access).await.expect(StatusCode::OK);
    // The old key's are refused; their sessions go on.
    server
        .me(&tokens.access)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    server.refresh(&tokens.refresh).await.expect(StatusCode::OK);
    let log = server.stop().1;
    assert!(
        log.contains("COUNTERSIGN_JWT_PRIVATE_KEY") && !log.contains("PRIVATE KEY-----"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_fail_nobody() {
    let server = Arc::new(Place::new(Vec::new()).start());
    let tokens = server.newcomer("ada@example.org").await;
    let load = Load::start(&server, &tokens.access);
    for round in 1..=5 {
        let before = load.answered();
        reload(&server, round);
        while load.answered() < before + 2 * CALLERS {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(load.stop().await, Vec::<StatusCode>::new());
}

/// Callers who ask all the time.
struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: tokio::task::JoinSet<Vec<StatusCode>>,
}

impl Load {
    fn start(server: &Arc<Server>, token: &str) -> Self {
        let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            let (server, over, answered) =
                (Arc::clone(server), Arc::clone(&over), Arc::clone(&answered));
            let token = token.to_owned();
            callers.spawn(async move {
                let mut failed = Vec::new();
                while !over.load(SeqCst) {
                    let status = server.me(&token).await.status;
                    if status != StatusCode::OK {
                        failed.push(status);
                    }
                    answered.fetch_add(1, SeqCst);
                }
                failed
            });
        }
        Self {
            over,
            answered,
            callers,
        }
    }

    fn answered(&self) -> usize {
        self.answered.load(SeqCst)
    }

    async fn stop(self) -> Vec<StatusCode> {
        self.over.store(true, SeqCst);
        self.callers.join_all().await.concat()
    }
}

/// A store whose application's password can be changed.
struct Rotated<'a> {
    name: &'a str,
    setting: &'a str,
    url: Box<dyn Fn(&str) -> String + 'a>,
    rotate: Box<dyn Fn(&str) + 'a>,
    strategies: &'a [&'a str],
}

impl Rotated<'_> {
    async fn happens(&self) {
        for strategy in self.strategies {
            eprintln!("{strategy} on {}", self.name);
            (self.rotate)("first");
            let dir = TempDir::new().unwrap();
            let file = dir.path().join("url");
            write(&file, &(self.url)("first"));
            let place = Place::new(vec![(
                format!("COUNTERSIGN_{}_FILE", self.setting),
                file.display().to_string(),
            )]);
            let place = place
                .with("STRATEGY", strategy)
                .with("TOKEN_HASH_SECRET", SECRET);
            let server = Arc::new(place.start());
            let tokens = server.newcomer("ada@example.org").await;
            let load = Load::start(&server, &tokens.access);
            let before = load.answered();
            // The new one is in its place first, as it's done everywhere; then the old one isn't good any more.
            write(&file, &(self.url)("second"));
            (self.rotate)("second");
            while load.answered() < before + 4 * CALLERS {
                tokio::task::yield_now().await;
            }
            Self::everything(&server).await;
            let failed = load.stop().await;
            assert_eq!(failed, Vec::<StatusCode>::new());
            let log = server.log();
            assert!(log.contains("event=\"credentials_read_again\""), "{log}");
            assert!(!log.contains("first@") && !log.contains("second@"), "{log}");
        }
    }

    async fn everything(server: &Server) {
        let login = json!({ "identifier": "ada@example.org", "password": PASSWORD });
        let reply = server
            .post("/auth/login", login)
            .await
            .expect(StatusCode::OK);
        let refresh = reply.json()["refresh_token"].as_str().unwrap().to_owned();
        server.refresh(&refresh).await.expect(StatusCode::OK);
        Reply::of(server.request(Method::GET, "/readyz"))
            .await
            .expect(StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_of_postgres_is_read_again() {
    let postgres = Postgres::dedicated();
    let database = postgres.database();
    let name = database.rsplit('/').next().unwrap().to_owned();
    let hba = Postgres::execute(postgres.url(), "SHOW hba_file");
    let rules = format!(
        "COPY (VALUES ('host all app all scram-sha-256'), ('host all all all trust')) TO '{}'",
        hba.trim()
    );
    let role = format!("CREATE ROLE app LOGIN; ALTER DATABASE {name} OWNER TO app");
    Postgres::execute(
        postgres.url(),
        &format!("{role}; {rules}; SELECT pg_reload_conf()"),
    );
    let rotate = |password: &str| {
        Postgres::execute(
            postgres.url(),
            &format!("ALTER ROLE app PASSWORD '{password}'"),
        );
        let all =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'";
        Postgres::execute(postgres.url(), all);
    };
    let rotated = Rotated {
        name: "PostgreSQL",
        setting: "DATABASE_URL",
        url: Box::new(|password| database.replace("postgres@", &format!("app:{password}@"))),
        rotate: Box::new(rotate),
        strategies: &["database"],
    };
    rotated.happens().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_of_mariadb_is_read_again() {
    let mariadb = MariaDb::dedicated();
    let database = mariadb.database();
    MariaDb::execute(
        mariadb.url(),
        "CREATE USER app@'%'; GRANT ALL ON *.* TO app@'%'",
    );
    let rotate = |password: &str| {
        MariaDb::execute(
            mariadb.url(),
            &format!("SET PASSWORD FOR app@'%' = PASSWORD('{password}')"),
        );
        let _ = std::panic::catch_unwind(|| {
            MariaDb::execute(mariadb.url(), "KILL CONNECTION USER app@'%'")
        });
    };
    let rotated = Rotated {
        name: "MariaDB",
        setting: "DATABASE_URL",
        url: Box::new(|password| database.replace("test:test@", &format!("app:{password}@"))),
        rotate: Box::new(rotate),
        strategies: &["database"],
    };
    rotated.happens().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_of_redis_is_read_again() {
    let redis = Redis::dedicated();
    let rotate = |password: &str| {
        let password = format!(">{password}");
        redis.command(&[
            "ACL",
            "SETUSER",
            "app",
            "on",
            "resetpass",
            &password,
            "~*",
            "&*",
            "+@all",
        ]);
        redis.command(&["CLIENT", "KILL", "USER", "app"]);
    };
    let rotated = Rotated {
        name: "Redis",
        setting: "REDIS_URL",
        url: Box::new(|password| redis.url().replace("//", &format!("//app:{password}@"))),
        rotate: Box::new(rotate),
        strategies: &["redis", "jwt"],
    };
    rotated.happens().await;
}
