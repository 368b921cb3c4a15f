//! Real proxies with the configurations that docs/PROXIES.md prints, an application that tells what reaches it, and a client that
//! speaks TLS and says whatever it likes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::any;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Place, Server, write};

pub(crate) const HOST: &str = "app.example.com";

/// The configuration of that name in docs/PROXIES.md.
pub(crate) fn printed(name: &str) -> String {
    let page = include_str!("../../../../docs/PROXIES.md");
    let (_, block) = page
        .split_once(&format!("<!-- tested: {name} -->\n```"))
        .unwrap_or_else(|| panic!("no {name}"));
    let (_, block) = block.split_once('\n').unwrap();
    block.split_once("\n```\n").unwrap().0.to_owned()
}

/// Puts `new` in place of `old`, which must be there.
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old:?} isn't in\n{text}");
    text.replace(old, new)
}

/// What the proxy said, for whoever reads why a test failed.
impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = match &self.proxy {
                Proxy::Nginx(nginx) => nginx.log(),
                Proxy::Caddy(caddy) => caddy.log(),
            };
            eprintln!("the proxy said:\n{log}");
        }
    }
}

/// Which proxy stands in front.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Nginx,
    Caddy,
}

enum Proxy {
    Nginx(testbed::Nginx),
    Caddy(testbed::Caddy),
}

/// countersign and an application behind a proxy.
pub(crate) struct Gateway {
    pub(crate) server: Server,
    pub(crate) place: Place,
    pub(crate) asked: Arc<AtomicUsize>,
    proxy: Proxy,
    ca: PathBuf,
    _folder: TempDir,
}

impl Gateway {
    pub(crate) async fn open(kind: Kind, place: Place) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = write(
            &folder.path().join("countersign.toml"),
            &printed("countersign"),
        );
        let place = place.with("CONFIG", &settings);
        let server = place.start();
        let asked = Arc::new(AtomicUsize::new(0));
        let app = application(Arc::clone(&asked)).await;
        let (ours, apps) = (server.address().to_string(), app.to_string());
        let addressed = |text: &str| {
            let text = replaced(text, "127.0.0.1:8000", &ours);
            replaced(&text, "127.0.0.1:3000", &apps)
        };
        let (proxy, ca) = match kind {
            Kind::Nginx => {
                testbed::certificate(folder.path(), &format!("DNS:{HOST}"));
                let site = addressed(&printed("nginx"));
                let nginx = testbed::Nginx::start(|port, _| nginx_site(&site, port, folder.path()));
                (Proxy::Nginx(nginx), folder.path().join("ca.pem"))
            }
            Kind::Caddy => {
                let caddy = testbed::Caddy::start(&addressed(&printed("caddy")), HOST);
                let ca = caddy.ca_file();
                (Proxy::Caddy(caddy), ca)
            }
        };
        Self {
            server,
            place,
            asked,
            proxy,
            ca,
            _folder: folder,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match &self.proxy {
            Proxy::Nginx(nginx) => nginx.port(),
            Proxy::Caddy(caddy) => caddy.port(),
        }
    }

    /// How many requests have reached the application.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A connection of a client at `address`, over TLS with a checked certificate.
    pub(crate) async fn connect_from(&self, address: &str) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&self.ca).unwrap())
            .unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind(format!("{address}:0").parse().unwrap())
            .unwrap();
        let stream = socket
            .connect(SocketAddr::from(([127, 0, 0, 1], self.port())))
            .await
            .unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        self.ask_from(
            "127.0.0.1",
            method,
            path,
            &headers,
            Bytes::from(body.to_owned()),
        )
        .await
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask_from(
        &self,
        address: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &[u8])],
        body: Bytes,
    ) -> Answer {
        let stream = TokioIo::new(self.connect_from(address).await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST);
        for (name, value) in headers {
            request = request.header(*name, http::HeaderValue::from_bytes(value).unwrap());
        }
        let response = sender
            .send_request(request.body(Full::new(body)).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&body).into(),
        }
    }
}

fn nginx_site(site: &str, port: u16, folder: &Path) -> String {
    let site = replaced(
        site,
        "listen 443 ssl;",
        &format!("listen 127.0.0.1:{port} ssl;"),
    );
    let site = replaced(
        &site,
        "/etc/ssl/app.example.com.pem",
        &folder.join("server.pem").display().to_string(),
    );
    replaced(
        &site,
        "/etc/ssl/app.example.com.key",
        &folder.join("server.key").display().to_string(),
    )
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The cookies that it sets, as a browser sends them.
    pub(crate) fn jar(&self) -> String {
        let cookies = self
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|cookie| cookie.to_str().unwrap());
        cookies
            .map(|cookie| cookie.split(';').next().unwrap())
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// The values under `name` that reached the application, `-` and `_` being one as in CGI.
    #[track_caller]
    pub(crate) fn reached(&self, name: &str) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text);
        let seen = self.json();
        let headers = seen["headers"].as_object().unwrap();
        let values = headers
            .iter()
            .filter(|(key, _)| key.replace('_', "-") == name);
        values
            .flat_map(|(_, values)| values.as_array().unwrap().clone())
            .map(|v| v.as_str().unwrap().to_owned())
            .collect()
    }
}

/// Tells each request what reached it; `/ws` says it over a WebSocket.
async fn application(asked: Arc<AtomicUsize>) -> SocketAddr {
    let count = move || asked.fetch_add(1, Ordering::SeqCst);
    let counted = count.clone();
    let router = Router::new()
        .route(
            "/ws",
            any(async move |request: Request| {
                counted();
                socket(request).await
            }),
        )
        .fallback(async move |request: Request| {
            count();
            show(request).await
        })
        .layer(DefaultBodyLimit::disable());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn seen(request: &http::request::Parts, length: usize) -> Value {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &request.headers {
        headers
            .entry(name.to_string())
            .or_default()
            .push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    json!({ "method": request.method.as_str(), "path": request.uri.path(), "headers": headers, "length": length })
}

async fn show(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return Body::empty().into_response();
    };
    Json(seen(&parts, body.len())).into_response()
}

async fn socket(request: Request) -> Response {
    use axum::extract::FromRequestParts;
    use axum::extract::ws::{Message, WebSocketUpgrade};
    let (mut parts, _) = request.into_parts();
    let seen = seen(&parts, 0).to_string();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.on_upgrade(async move |mut socket| {
            let _ = socket.send(Message::Text(seen.into())).await;
            while let Some(Ok(message)) = socket.recv().await {
                let _ = socket.send(message).await;
            }
        }),
        Err(refused) => refused.into_response(),
    }
}
