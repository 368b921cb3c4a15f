//! Slow clients, too many clients, and a stop that cuts nobody off.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::StatusCode;

use crate::harness::{PASSWORD, Place, Server, listens};

fn silent(server: &Server) -> TcpStream {
    let connection = TcpStream::connect(server.address()).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    connection
}

/// A login that the server is at work on, with a body of that length still to come: the server has asked for it.
fn begun(server: &Server, length: usize) -> TcpStream {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut connection = silent(server);
    let head = "POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n";
    write!(connection, "{head}content-length: {length}\r\n\r\n").unwrap();
    let mut answer = [0; GO_ON.len()];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(answer, GO_ON);
    connection
}

fn is_hung_up(mut connection: TcpStream) -> bool {
    let mut answer = Vec::new();
    // What was sent and not read when the server hung up makes a reset of it.
    let end = connection
        .read_to_end(&mut answer)
        .or_else(|error| match error.kind() {
            ErrorKind::ConnectionReset => Ok(0),
            _ => Err(error),
        });
    end.is_ok() && !answer.starts_with(b"HTTP/1.1 200")
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_dripping_clients_are_hung_up_on_while_others_are_served() {
    let server = Place::new(Vec::new())
        .with("HEADER_TIMEOUT", "1s")
        .start()
        .with_new_connections();
    let tokens = server.newcomer("ada@example.org").await;
    let mut slow: Vec<TcpStream> = (0..200).map(|_| silent(&server)).collect();
    for connection in slow.iter_mut().skip(100) {
        connection
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-drip: ")
            .unwrap();
    }
    for _ in 0..20 {
        server.me(&tokens.access).await.expect(StatusCode::OK);
    }
    let all = tokio::task::spawn_blocking(|| slow.into_iter().all(is_hung_up));
    assert!(all.await.unwrap());
    server.me(&tokens.access).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let server = Place::new(Vec::new()).with("IDLE_TIMEOUT", "1s").start();
    let mut connection = silent(&server);
    connection
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "answered, and closed when nothing more came"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_head_has_no_more_time_than_the_first() {
    let server = Place::new(Vec::new())
        .with("HEADER_TIMEOUT", "1s")
        .with("IDLE_TIMEOUT", "1h")
        .start();
    let mut connection = silent(&server);
    connection
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /healthz HTTP/1.1\r\nx-drip: ")
        .unwrap();
    let mut answers = Vec::new();
    connection.read_to_end(&mut answers).unwrap();
    assert!(
        answers.starts_with(b"HTTP/1.1 200"),
        "the first is answered, and the second was never whole"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let server = Place::new(Vec::new())
        .with("MAX_CONNECTIONS", "8")
        .with("HEADER_TIMEOUT", "30s")
        .start();
    let held: Vec<TcpStream> = (0..8).map(|_| silent(&server)).collect();
    // The ninth is closed; with the others gone there is room again.
    assert!(is_hung_up(silent(&server)));
    drop(held);
    loop {
        let mut connection = silent(&server);
        let mut answer = Vec::new();
        let _ =
            connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let _ = connection.read_to_end(&mut answer);
        if answer.starts_with(b"HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_was_begun() {
    let server = Place::new(Vec::new()).with("LOGIN_LIMIT", "off").start();
    server
        .register("ada@example.org")
        .await
        .expect(StatusCode::CREATED);
    let address = server.address();
    // Each of these holds a password thread for a while; the signal arrives in their middle.
    let body = format!(r#"{{"identifier":"ada@example.org","password":"{PASSWORD}"}}"#);
    let mut begun: Vec<TcpStream> = (0..16).map(|_| begun(&server, body.len())).collect();
    for connection in &mut begun {
        connection.write_all(body.as_bytes()).unwrap();
    }
    let mut first = begun.remove(0);
    let mut start = [0; 12];
    first.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!listens(address));
    for mut connection in begun {
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("access_token"),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let server = Place::new(Vec::new())
        .with("DRAIN_LIMIT", "1h")
        .with("BODY_TIMEOUT", "1h")
        .start();
    // A request that never finishes holds the drain up.
    let mut held = begun(&server, 9);
    held.write_all(b"{").unwrap();
    server.signal("-TERM");
    while !server.log().contains("draining") {
        std::thread::yield_now();
    }
    server.signal("-INT");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped_at_once"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drain_limit_holds() {
    let server = Place::new(Vec::new())
        .with("DRAIN_LIMIT", "1s")
        .with("BODY_TIMEOUT", "1h")
        .start();
    let mut held = begun(&server, 9);
    held.write_all(b"{").unwrap();
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("drain_limit_reached"), "{log}");
}
