//! The site on a free port, as programs reach it.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use countersign::{AuthBuilder, Secret};
use example_pages::{Member, Members, app, auth};
use reqwest::{Client, RequestBuilder, StatusCode};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The origin of the site, by which browsers reach it.
pub(crate) const SITE: &str = "https://app.example.test";

pub(crate) const PASSWORD: &str = "correct horse battery";

/// The site, with a database of its own.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    client: Client,
    _folder: TempDir,
}

impl Site {
    pub(crate) async fn start(
        settings: impl FnOnce(AuthBuilder<Member>) -> AuthBuilder<Member>,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("pages.db").display());
        let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
        let members = Members::open(&url).await.unwrap();
        let auth = settings(auth(&members, &secret, SITE).unwrap());
        let auth = auth.build().await.unwrap();
        tokio::spawn(auth.maintain());
        let redirects = reqwest::redirect::Policy::none();
        Self {
            address: serve(app(auth, members).unwrap()).await,
            client: Client::builder().redirect(redirects).build().unwrap(),
            _folder: folder,
        }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.get(url).header("accept", "text/html")
    }

    /// Makes a member of this name, by the form of our own page.
    pub(crate) async fn member(&self, name: &str) {
        let url = format!("http://{}/sign-up", self.address);
        let form = self.client.post(url).header("origin", SITE);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let body = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
        let answer = form.body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{name}");
    }

    /// Waits until the site refuses this access token.
    pub(crate) async fn until_refused(&self, access: &str) {
        let cookie = format!("__Host-countersign_access={access}");
        let mut again = tokio::time::interval(Duration::from_millis(50));
        let refused = async {
            loop {
                let page = self.get("/account").header("cookie", &cookie);
                match page.send().await.unwrap().status() {
                    StatusCode::OK => again.tick().await,
                    status => return status,
                };
            }
        };
        let status = tokio::time::timeout(Duration::from_mins(1), refused).await;
        let status = status.expect("the token is refused in the end");
        assert_eq!(status, StatusCode::SEE_OTHER);
    }
}

/// Serves an application on a free port.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}
