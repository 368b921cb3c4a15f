//! What one HTTP/2 connection may make the server hold, before anybody knows who is at its other end.

use std::io::{Read, Write};
use std::net::TcpStream as Blocking;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::harness::{Place, Server};

const STREAMS: usize = 64;
const BODY: usize = 64 * 1024;
/// Two of the longest bodies.
const ROOM: usize = 2 * BODY;
const STREAM_WINDOW: u32 = 16 * 1024;

/// Sends as much as the server lets a client send, and doesn't say that it is all.
async fn send(sender: &mut h2::SendStream<Bytes>, mut rest: usize) -> Result<(), h2::Error> {
    while rest > 0 {
        sender.reserve_capacity(rest);
        let Some(granted) = std::future::poll_fn(|context| sender.poll_capacity(context)).await
        else {
            return Ok(());
        };
        let length = granted?.min(rest);
        sender.send_data(vec![b' '; length].into(), false)?;
        rest -= length;
    }
    Ok(())
}

fn post(server: &Server) -> Request<()> {
    let url = server.url("/auth/login");
    Request::post(url)
        .header("content-type", "application/json")
        .body(())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_one_connection_are_bounded_together() {
    let server = Place::new(Vec::new())
        .with("BODY_TIMEOUT", "10m")
        .with("REQUEST_TIMEOUT", "10m")
        .start();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    // Each sends a body but for its last byte, so that none is complete.
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut requests = JoinSet::new();
    for _ in 0..STREAMS {
        let (client, request, tell) = (client.clone(), post(&server), tell.clone());
        requests.spawn(async move {
            let (response, mut sender) = client
                .ready()
                .await
                .unwrap()
                .send_request(request, false)
                .unwrap();
            let sending = async {
                let _ = send(&mut sender, BODY - 1).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                answer = response => tell.send(answer.unwrap().status()).unwrap(),
                () = sending => {}
            }
        });
    }
    for _ in 0..STREAMS - ROOM / BODY {
        assert_eq!(
            told.recv().await.unwrap(),
            503,
            "there is room for so many bodies and no more"
        );
    }
    assert!(
        told.try_recv().is_err(),
        "those that found room wait for their last byte"
    );
    requests.shutdown().await;

    // Their place is free again, on this very connection.
    loop {
        let (response, mut sender) = client
            .clone()
            .ready()
            .await
            .unwrap()
            .send_request(post(&server), false)
            .unwrap();
        sender.send_data(vec![b' '; BODY - 1].into(), true).unwrap();
        match response.await.unwrap().status().as_u16() {
            503 => tokio::task::yield_now().await,
            status => break assert_eq!(status, 413, "more than the route takes, and it was read"),
        }
    }
    connection.abort();
}

/// What a client may send unread, as the server announces it: (RFC 9113 section 6.5.2).
#[test]
fn windows_and_streams_are_announced() {
    let server = Place::new(Vec::new()).start();
    let mut connection = Blocking::connect(server.address()).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    connection
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut settings = None;
    let mut raised = 0;
    // The server acknowledges our settings after it has said all of its own.
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).unwrap();
        let mut payload = vec![0; usize::from(head[1]) * 256 + usize::from(head[2])];
        connection.read_exact(&mut payload).unwrap();
        match (head[3], head[4] & 1) {
            (4, 1) => break,
            (4, _) => settings = Some(payload),
            (8, _) => raised += u32::from_be_bytes(payload[..4].try_into().unwrap()),
            _ => {}
        }
    }
    let settings = settings.unwrap();
    let of = |id: u8| {
        let mut pairs = settings.chunks(6).filter(|pair| pair[..2] == [0, id]);
        pairs
            .next()
            .map(|pair| u32::from_be_bytes(pair[2..].try_into().unwrap()))
    };
    assert_eq!(of(3), Some(u32::try_from(STREAMS).unwrap()));
    assert_eq!(of(4), Some(STREAM_WINDOW));
    assert_eq!(
        raised, 0,
        "all bodies of a connection together have the least window that there is"
    );
}
