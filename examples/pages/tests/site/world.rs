//! The site behind TLS, beside two sites of somebody else, and browsers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign::{AuthBuilder, Lifetimes};
use example_pages::Member;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::browser::Visitor;
use crate::elsewhere;
use crate::site::{Site, serve};

/// A site of somebody else on the same domain: browsers send it our `SameSite` cookies.
pub(crate) const SIBLING: &str = "https://other.example.test";
/// A site of somebody else.
pub(crate) const STRANGER: &str = "https://stranger.test";

/// The site, the sites of somebody else, and the server that starts browsers.
pub(crate) struct World {
    pub(crate) site: Site,
    browsers: testbed::Browser,
    hosts: [(&'static str, u16); 3],
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|auth| auth).await
    }

    /// A world whose access tokens end after a second.
    pub(crate) async fn with_short_access() -> Self {
        let (access, idle) = (Duration::from_secs(1), Duration::from_hours(24));
        let lifetimes = Lifetimes::new(access, idle).unwrap();
        Self::with(|auth| auth.lifetimes(lifetimes)).await
    }

    async fn with(settings: impl FnOnce(AuthBuilder<Member>) -> AuthBuilder<Member>) -> Self {
        let site = Site::start(settings).await;
        let others = serve(elsewhere::app()).await;
        let folder = TempDir::new().unwrap();
        let names = "DNS:app.example.test,DNS:other.example.test,DNS:stranger.test";
        testbed::certificate(folder.path(), names);
        let ours = behind_tls(folder.path(), site.address).await;
        let theirs = behind_tls(folder.path(), others).await;
        Self {
            site,
            browsers: testbed::Browser::start(),
            hosts: [
                ("app.example.test", ours),
                ("other.example.test", theirs),
                ("stranger.test", theirs),
            ],
        }
    }

    /// A browser that has been nowhere yet.
    pub(crate) async fn browser(&self) -> Visitor {
        Visitor::start(&self.browsers, &self.hosts, None).await
    }

    /// A browser that calls itself `name`.
    pub(crate) async fn browser_named(&self, name: &str) -> Visitor {
        Visitor::start(&self.browsers, &self.hosts, Some(name)).await
    }
}

/// Ends TLS in front of `server`, and returns the port.
async fn behind_tls(folder: &Path, server: SocketAddr) -> u16 {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = tls.accept(stream).await else {
                    return;
                };
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    port
}
