//! What the server tells the supervisor that started it, as systemd does.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use reqwest::StatusCode;
use tempfile::TempDir;

use crate::harness::Place;

struct Supervisor {
    socket: UnixDatagram,
    dir: TempDir,
}

impl Supervisor {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        Self { socket, dir }
    }

    fn hears(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_hears_of_readiness_reloads_and_the_stop() {
    let supervisor = Supervisor::new();
    let mut place = Place::new(Vec::new());
    place.settings.push((
        "NOTIFY_SOCKET".to_owned(),
        supervisor.dir.path().join("notify").display().to_string(),
    ));
    let server = place.start();
    assert!(supervisor.hears().contains("READY=1"));
    server.get("/healthz", "").await.expect(StatusCode::OK);
    server.signal("-HUP");
    let reloading = supervisor.hears();
    assert!(
        reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(supervisor.hears().contains("READY=1"));
    server.signal("-TERM");
    assert!(supervisor.hears().contains("STOPPING=1"));
    assert_eq!(server.wait().0.code(), Some(0));
}

/// A socket that nobody reads, or that isn't there, is no reason not to serve.
#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_is_gone_stops_nothing() {
    let mut place = Place::new(Vec::new());
    place
        .settings
        .push(("NOTIFY_SOCKET".to_owned(), "/nowhere/notify".to_owned()));
    let server = place.start();
    server.get("/healthz", "").await.expect(StatusCode::OK);
    assert_eq!(server.stop().0.code(), Some(0));
}
