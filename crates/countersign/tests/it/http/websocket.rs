//! Real WebSocket handshakes, over HTTP/1.1 and over HTTP/2 (RFC 8441), as pages of this site and of another make browsers
//! send them.

use std::net::SocketAddr;

use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use countersign::axum::CurrentUser;
use futures_util::StreamExt;
use h2::ext::Protocol;
use http::{Method, Request, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::fixture::web::Member;
use crate::http::App;

async fn socket(member: CurrentUser<Member>, upgrade: WebSocketUpgrade) -> Response {
    let greeting = format!("hello, member {}", member.user.id);
    upgrade.on_upgrade(async move |mut socket| {
        let _ = socket.send(Message::text(greeting)).await;
    })
}

/// The application on a real port, and the cookies of somebody who is logged in.
async fn serve() -> (SocketAddr, String) {
    let app = App::new();
    let cookies = app.tokens(1).await.cookies();
    let authenticator = app.authenticator.clone();
    let sockets = axum::Router::new()
        .route("/socket", any(socket))
        .layer(countersign::tower::AuthLayer::new(authenticator));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, sockets.merge(app.router)).await });
    (address, cookies)
}

/// Origins, `Sec-Fetch-Site` where the browser sends it, and whether the door opens.
fn pages(address: SocketAddr) -> [(String, Option<&'static str>, bool); 6] {
    let own = format!("http://{address}");
    [
        (own.clone(), None, true),
        (own.clone(), Some("same-origin"), true),
        ("https://front.example".to_owned(), Some("cross-site"), true),
        ("https://evil.example".to_owned(), None, false),
        ("https://evil.example".to_owned(), Some("cross-site"), false),
        (format!("http://evil.{address}"), Some("same-site"), false),
    ]
}

#[tokio::test]
async fn a_page_of_another_site_opens_no_socket() {
    let (address, cookies) = serve().await;
    for (origin, site, opens) in pages(address) {
        let mut request = format!("ws://{address}/socket")
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        request
            .headers_mut()
            .insert("cookie", cookies.parse().unwrap());
        if let Some(site) = site {
            request
                .headers_mut()
                .insert("sec-fetch-site", site.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((mut socket, response)) => {
                assert!(opens, "{origin} {site:?}");
                assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
                let message = socket.next().await.unwrap().unwrap();
                assert_eq!(message.into_text().unwrap(), "hello, member 1");
                let _ = socket.close(None).await;
            }
            Err(tungstenite::Error::Http(response)) => {
                assert!(!opens, "{origin} {site:?}: {}", response.status());
                assert_eq!(response.status(), StatusCode::FORBIDDEN);
            }
            Err(error) => panic!("{origin} {site:?}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_page_of_another_site_opens_no_socket_over_http2() {
    let (address, cookies) = serve().await;
    for (origin, site, opens) in pages(address) {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        while !client.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://{address}/socket"))
            .header("sec-websocket-version", "13")
            .header("origin", &origin)
            .header("cookie", &cookies);
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        let request = request
            .extension(Protocol::from_static("websocket"))
            .body(())
            .unwrap();
        let (response, sender) = client.send_request(request, false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(
            response.status().as_u16(),
            if opens { 200 } else { 403 },
            "{origin} {site:?}"
        );
        if opens {
            // A text frame without mask: two bytes, then the text.
            let frame = response.into_body().data().await.unwrap().unwrap();
            assert_eq!(&frame[2..], b"hello, member 1");
        }
        drop((client, sender));
        connection.abort();
    }
}
