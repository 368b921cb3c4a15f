//! What a database does to us, and what we do to our clients meanwhile.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{PASSWORD, Place, Reply, Server, Tokens, patiently, shared};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_postgres_is_an_honest_503() {
    let database = testbed::Postgres::dedicated();
    let outage = Outage {
        stop: &|| database.kill(),
        start: &|| database.start(),
    };
    outage
        .happens_to(&Place::new(shared(&database.database())))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_mariadb_is_an_honest_503() {
    let database = testbed::MariaDb::dedicated();
    let outage = Outage {
        stop: &|| database.kill(),
        start: &|| database.start(),
    };
    outage
        .happens_to(&Place::new(shared(&database.database())))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_postgres_is_an_honest_503() {
    let database = testbed::Postgres::dedicated();
    let outage = Outage {
        stop: &|| database.freeze(),
        start: &|| database.thaw(),
    };
    outage
        .happens_to(&Place::new(shared(&database.database())))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_tokens_are_not_good_while_nobody_can_tell_whether_they_were_revoked() {
    let database = testbed::MariaDb::dedicated();
    let outage = Outage {
        stop: &|| database.kill(),
        start: &|| database.start(),
    };
    outage
        .happens_to(&Place::new(shared(&database.database())).with("STRATEGY", "jwt"))
        .await;
}

#[test]
fn a_database_that_is_down_stops_the_start_and_is_named() {
    for scheme in ["postgres", "mysql"] {
        let url = format!(
            "{scheme}://ada:hunter2@127.0.0.1:{}/app",
            testbed::free_port()
        );
        let place = Place::new(shared(&url))
            .with("WAIT_FOR_STORES", "0s")
            .with("LISTEN", "127.0.0.1:0");
        let output = place.run(&["serve"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("COUNTERSIGN_DATABASE_URL") && !said.contains("hunter2"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_deleted_sqlite_file_is_an_honest_503_and_never_a_new_database() {
    let place = Place::new(Vec::new());
    let server = place.start();
    let tokens = server.newcomer("ada@example.org").await;
    let file = place.data_dir().join("countersign.sqlite");
    std::fs::remove_file(&file).unwrap();
    for reply in everything(&server, &tokens)
        .await
        .into_iter()
        .chain([unready(&server).await])
    {
        reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE");
    }
    assert!(!file.exists());
}

struct Outage<'a> {
    stop: &'a dyn Fn(),
    start: &'a dyn Fn(),
}

impl Outage<'_> {
    async fn happens_to(&self, place: &Place) {
        // What has to be there before is done by a server that a busy machine keeps from nothing.
        let patient = place.start();
        let tokens = patient.newcomer("ada@example.org").await;
        let ended = patient.login("ada@example.org").await;
        crate::flows::logout(&patient, &ended.access)
            .await
            .expect(StatusCode::NO_CONTENT);
        let server = place.clone().with("STORE_TIMEOUT", "2s").start();
        patiently(|| server.me(&tokens.access))
            .await
            .expect(StatusCode::OK);
        patiently(|| ready(&server)).await.expect(StatusCode::OK);

        (self.stop)();
        let unready = unready(&server).await;
        for reply in everything(&server, &tokens)
            .await
            .into_iter()
            .chain([unready])
        {
            let reply = reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE");
            assert!(reply.header("retry-after").parse::<u32>().unwrap() >= 1);
        }
        server.get("/healthz", "").await.expect(StatusCode::OK);

        (self.start)();
        loop {
            if ready(&server).await.status == StatusCode::OK {
                break;
            }
        }
        patiently(|| server.me(&tokens.access))
            .await
            .expect(StatusCode::OK);
        let next = Tokens::of(&patiently(|| server.refresh(&tokens.refresh)).await);
        patiently(|| server.me(&next.access))
            .await
            .expect(StatusCode::OK);
        patiently(|| server.me(&ended.access))
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
}

async fn everything(server: &Server, tokens: &Tokens) -> Vec<Reply> {
    let login = json!({ "identifier": "ada@example.org", "password": PASSWORD });
    vec![
        server.me(&tokens.access).await,
        server.refresh(&tokens.refresh).await,
        server.post("/auth/login", login).await,
        server.register("bob@example.org").await,
        crate::flows::logout(server, &tokens.access).await,
    ]
}

/// A good answer may be a second old.
async fn unready(server: &Server) -> Reply {
    loop {
        let reply = ready(server).await;
        if reply.status != StatusCode::OK {
            return reply;
        }
    }
}

async fn ready(server: &Server) -> Reply {
    Reply::of(server.request(Method::GET, "/readyz")).await
}
