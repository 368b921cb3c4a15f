//! The answer to a refresh is lost between the server and its client. Asking again with the same token yields it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{Database, Place, Server, Tokens, on_redis};

const ROUNDS: usize = 25;

/// When the client hangs up.
#[derive(Clone, Copy, Debug)]
enum HangUp {
    /// As soon as the request is sent.
    AtOnce,
    /// The same, with the reading half alone left to the server's answer.
    Halfway,
    /// When the answer begins.
    AtTheFirstByte,
    /// When the answer has come, to somebody in between who keeps it.
    AtTheEnd,
}

const ALL: [HangUp; 4] = [
    HangUp::AtOnce,
    HangUp::Halfway,
    HangUp::AtTheFirstByte,
    HangUp::AtTheEnd,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_comes_again() {
    hang_up("SQLite", Place::new(Database::Sqlite.fresh())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_comes_again_on_postgres() {
    hang_up("PostgreSQL", Place::new(Database::Postgres.fresh())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_comes_again_on_mariadb() {
    hang_up("MariaDB", Place::new(Database::MariaDb.fresh())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_comes_again_on_redis() {
    hang_up(
        "Redis",
        Place::new(on_redis(testbed::Redis::shared().url())).with("STRATEGY", "redis"),
    )
    .await;
}

async fn hang_up(name: &str, place: Place) {
    let server = place.with("REUSE_GRACE", "5m").start();
    let mut tokens = server.newcomer("ada@example.org").await;
    for round in 0..ROUNDS {
        for when in ALL {
            let lost = present(&server, &tokens.refresh, when);
            let (one, other) = futures_util::future::join(
                server.refresh(&tokens.refresh),
                server.refresh(&tokens.refresh),
            )
            .await;
            let (one, other) = (one.expect(StatusCode::OK), other.expect(StatusCode::OK));
            let next = Tokens::of(&one);
            assert_eq!(
                next.refresh,
                Tokens::of(&other).refresh,
                "{name} {when:?} round {round}"
            );
            if let Some(lost) = lost.successor {
                assert_eq!(next.refresh, lost, "{name} {when:?} round {round}");
            }
            // A request that is still on its way would come after the next token has been used, and be a theft then.
            testbed::wait_until("the lost request is over", || {
                !is_held(server.address(), lost.client)
            });
            server.me(&next.access).await.expect(StatusCode::OK);
            tokens = next;
        }
    }
    let (_, log) = server.stop();
    assert!(
        !log.contains("session_ended"),
        "{name}: a retry is no theft"
    );
    eprintln!(
        "{name}: {} answers lost, {} retries answered alike",
        ROUNDS * ALL.len(),
        2 * ROUNDS * ALL.len()
    );
}

/// A request whose answer didn't get to its client.
struct Lost {
    client: SocketAddr,
    /// The successor, where somebody in between saw it.
    successor: Option<String>,
}

/// Presents a token and hangs up.
fn present(server: &Server, token: &str, when: HangUp) -> Lost {
    let body = format!(r#"{{"refresh_token":"{token}"}}"#);
    let mut connection = TcpStream::connect(server.address()).unwrap();
    let client = connection.local_addr().unwrap();
    let head = "POST /auth/refresh HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
    write!(
        connection,
        "{head}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut successor = None;
    match when {
        HangUp::AtOnce => {}
        HangUp::Halfway => connection.shutdown(Shutdown::Read).unwrap(),
        HangUp::AtTheFirstByte => connection.read_exact(&mut [0]).unwrap(),
        HangUp::AtTheEnd => {
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            let body: Value =
                serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
            successor = Some(body["refresh_token"].as_str().unwrap().to_owned());
        }
    }
    Lost { client, successor }
}

/// Whether the server has yet to accept the connection that came from `client`, or has it open, by the kernel's list.
fn is_held(server: SocketAddr, client: SocketAddr) -> bool {
    const ESTABLISHED: &str = "01";
    const CLOSE_WAIT: &str = "08";
    let ends_with = |address: &str, port: u16| address.ends_with(&format!(":{port:04X}"));
    let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
    connections.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let [Some(near), Some(far), Some(state)] = [columns.next(), columns.next(), columns.next()]
        else {
            return false;
        };
        ends_with(near, server.port())
            && ends_with(far, client.port())
            && [ESTABLISHED, CLOSE_WAIT].contains(&state)
    })
}
