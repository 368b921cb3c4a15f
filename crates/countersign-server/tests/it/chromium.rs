//! A real browser over TLS, with a sibling subdomain that plants cookies of every name, prefix, path and white space.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::flows::{cookie_post, jar, me_by_cookie};
use crate::harness::{PASSWORD, Place, Reply, Server};

const APP: &str = "https://app.example.test";
const EVIL: &str = "https://evil.example.test";
const VICTIM: &str = "ada@example.org";
const THIEF: &str = "mallory@example.org";

/// What a sibling may put around a name. Browsers take spaces and tabs off; the rest stays in the name.
const BLANKS: [&[u8]; 12] = [
    b"",
    b" ",
    b"\t",
    b"\xc2\xa0",
    b"\xc2\x85",
    b"\xa0",
    b"\x85",
    b"\xe1\x9a\x80",
    b"\xe2\x80\x80",
    b"\xe2\x80\xa8",
    b"\xe3\x80\x80",
    b"\xef\xbb\xbf",
];

/// The sites: the server behind TLS, and a sibling of it that sets whatever cookies it is told to.
struct Sites {
    server: Server,
    browser: testbed::Browser,
    hosts: [(&'static str, u16); 2],
    planted: Arc<Mutex<Vec<Vec<u8>>>>,
    _folder: TempDir,
}

impl Sites {
    async fn open(place: Place) -> Self {
        let server = place.start();
        for email in [VICTIM, THIEF] {
            server.register(email).await.expect(StatusCode::CREATED);
        }
        let folder = TempDir::new().unwrap();
        testbed::certificate(folder.path(), "DNS:app.example.test,DNS:evil.example.test");
        let tls = acceptor(folder.path());
        let planted = Arc::new(Mutex::new(Vec::new()));
        let app = listen(tls.clone(), Answer::Forward(server.address())).await;
        let evil = listen(tls, Answer::Plant(Arc::clone(&planted))).await;
        let hosts = [("app.example.test", app), ("evil.example.test", evil)];
        Self {
            server,
            browser: testbed::Browser::start(),
            hosts,
            planted,
            _folder: folder,
        }
    }

    /// A browser that has been nowhere yet.
    async fn browser(&self) -> WebDriver {
        let mut wanted = DesiredCapabilities::chrome();
        for argument in self.browser.arguments(&self.hosts) {
            wanted.add_arg(&argument).unwrap();
        }
        wanted
            .set_binary(self.browser.program().to_str().unwrap())
            .unwrap();
        wanted.accept_insecure_certs(true).unwrap();
        WebDriver::new(self.browser.url(), wanted).await.unwrap()
    }

    /// Visits the sibling, which sets `cookies`, by its answer and by a script.
    async fn plant(&self, browser: &WebDriver, cookies: &[Vec<u8>]) {
        *self.planted.lock().unwrap() = cookies.to_vec();
        browser.goto(format!("{EVIL}/")).await.unwrap();
        let texts: Vec<Value> = cookies
            .iter()
            .filter_map(|cookie| std::str::from_utf8(cookie).ok())
            .map(Value::from)
            .collect();
        let script = "arguments[0].forEach(cookie => { document.cookie = cookie; });";
        browser
            .execute(script, vec![Value::from(texts)])
            .await
            .unwrap();
    }

    /// The cookies of a new session, as the thief's own browser has them.
    async fn thief(&self) -> Vec<(String, String)> {
        let credentials = json!({ "identifier": THIEF, "password": PASSWORD });
        let login = cookie_post(&self.server, "/auth/cookie/login", "").json(&credentials);
        let jar = jar(&Reply::of(login).await.expect(StatusCode::NO_CONTENT));
        jar.split("; ")
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect()
    }
}

pub(crate) fn acceptor(folder: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[derive(Clone)]
pub(crate) enum Answer {
    /// Hands everything on.
    Forward(SocketAddr),
    /// Sets these cookies, whatever is asked for.
    Plant(Arc<Mutex<Vec<Vec<u8>>>>),
}

pub(crate) async fn listen(tls: TlsAcceptor, answer: Answer) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, answer) = (tls.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = tls.accept(stream).await else {
                    return;
                };
                match answer {
                    Answer::Forward(server) => {
                        let mut server = TcpStream::connect(server).await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut server).await;
                    }
                    Answer::Plant(cookies) => {
                        let mut head = Vec::new();
                        while !head.ends_with(b"\r\n\r\n") {
                            let Ok(byte) = stream.read_u8().await else {
                                return;
                            };
                            head.push(byte);
                        }
                        let mut answer =
                            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\nconnection: close\r\n"
                                .to_vec();
                        for cookie in cookies.lock().unwrap().iter() {
                            answer.extend([b"set-cookie: ", cookie.as_slice(), b"\r\n"].concat());
                        }
                        answer.extend(b"\r\n");
                        let _ = stream.write_all(&answer).await;
                        let _ = stream.shutdown().await;
                    }
                }
            });
        }
    });
    port
}

/// Every cookie that the sibling tries for one kind of white space: each name under each prefix in each case, and none at
/// all; white space in front and behind; on every path that the server has.
fn cookies(thief: &[(String, String)], blank: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (name, value) in thief {
        let bare = name.trim_start_matches("__Host-");
        for prefix in [
            "__Host-",
            "__Secure-",
            "__host-",
            "__HOST-",
            "=__Host-",
            "=__host-",
            "=",
            "",
        ] {
            for path in ["/", "/auth", "/auth/cookie", "/users"] {
                let named = format!("{prefix}{bare}");
                let rest = format!("; Domain=example.test; Path={path}; Secure");
                all.push(
                    [
                        blank,
                        named.as_bytes(),
                        b"=",
                        value.as_bytes(),
                        rest.as_bytes(),
                    ]
                    .concat(),
                );
                all.push(
                    [
                        named.as_bytes(),
                        blank,
                        b"=",
                        value.as_bytes(),
                        rest.as_bytes(),
                    ]
                    .concat(),
                );
            }
        }
    }
    all
}

/// Calls a route as a script of the open page does: status and body.
pub(crate) async fn call(
    browser: &WebDriver,
    method: &str,
    url: &str,
    body: Option<Value>,
) -> (u64, String) {
    let script = "const [method, url, body, done] = arguments;
        const headers = body === null ? {} : {'content-type': 'application/json'};
        fetch(url, {method, headers, body: body === null ? undefined : JSON.stringify(body), credentials: 'include'})
            .then(async answer => done([answer.status, await answer.text()]), error => done([0, String(error)]));";
    let arguments = vec![json!(method), json!(url), body.unwrap_or(Value::Null)];
    let answer = browser
        .execute_async(script, arguments)
        .await
        .unwrap()
        .json()
        .clone();
    (
        answer[0].as_u64().unwrap(),
        answer[1].as_str().unwrap().to_owned(),
    )
}

/// Whom the server takes the browser for; a status where it takes it for nobody.
async fn me(browser: &WebDriver) -> Result<String, u64> {
    let (status, text) = call(browser, "GET", "/users/me", None).await;
    if status != 200 {
        return Err(status);
    }
    let me: Value = serde_json::from_str(&text).unwrap();
    Ok(me["email"].as_str().unwrap().to_owned())
}

async fn log_in(browser: &WebDriver) -> u64 {
    let credentials = json!({ "identifier": VICTIM, "password": PASSWORD });
    call(browser, "POST", "/auth/cookie/login", Some(credentials))
        .await
        .0
}

/// The victim's own cookies, as the browser holds them.
async fn own(browser: &WebDriver, thief: &[(String, String)]) -> String {
    let all = browser.get_all_cookies().await.unwrap();
    let is_own = |name: &str, value: &str| {
        thief
            .iter()
            .any(|(known, stolen)| known == name && stolen != value)
    };
    let own: Vec<String> = all
        .iter()
        .filter(|cookie| is_own(&cookie.name, &cookie.value))
        .map(|cookie| format!("{}={}", cookie.name, cookie.value))
        .collect();
    assert_eq!(
        own.len(),
        2,
        "the victim's cookies are there, whatever is planted: {all:?}"
    );
    own.join("; ")
}

async fn in_the_browser(place: Place, is_bound_to_the_host: bool) {
    let sites = Sites::open(place).await;
    let mut sent = 0;
    for blank in BLANKS {
        let shown = String::from_utf8_lossy(blank).escape_unicode().to_string();
        let thief = sites.thief().await;
        let planted = cookies(&thief, blank);
        let browser = sites.browser().await;

        // Planted before the login, at the login, and after it.
        sites.plant(&browser, &planted).await;
        browser.goto(format!("{APP}/healthz")).await.unwrap();
        let before = me(&browser).await;
        if is_bound_to_the_host {
            assert_eq!(before, Err(401), "{shown}: a planted cookie is nobody's");
        }
        sent += usize::from(before != Err(401));
        assert_eq!(log_in(&browser).await, 204, "{shown}");
        sites.plant(&browser, &planted).await;
        browser.goto(format!("{APP}/healthz")).await.unwrap();
        for round in 0..2 {
            let victim = me(&browser).await;
            let refreshed = call(&browser, "POST", "/auth/cookie/refresh", None).await.0;
            if is_bound_to_the_host {
                assert_eq!(
                    (victim, refreshed),
                    (Ok(VICTIM.to_owned()), 204),
                    "{shown} {round}"
                );
            } else {
                assert!(
                    matches!(&victim, Err(400)) || victim == Ok(VICTIM.to_owned()),
                    "{shown} {round}: {victim:?}"
                );
                assert!(
                    matches!(refreshed, 204 | 400),
                    "{shown} {round}: {refreshed}"
                );
            }
        }
        let victims = own(&browser, &thief).await;
        me_by_cookie(&sites.server, &victims)
            .await
            .expect(StatusCode::OK);

        // The sibling's page can't log the victim out, nor read anything.
        browser.goto(format!("{EVIL}/")).await.unwrap();
        for path in [
            "/auth/cookie/logout",
            "/auth/logout",
            "/auth/logout/all",
            "/auth/cookie/refresh",
        ] {
            call(&browser, "POST", &format!("{APP}{path}"), None).await;
        }
        me_by_cookie(&sites.server, &victims)
            .await
            .expect(StatusCode::OK);

        browser.goto(format!("{APP}/healthz")).await.unwrap();
        let (status, text) = call(&browser, "POST", "/auth/cookie/logout", None).await;
        assert_eq!(status, 204, "{shown}: {text}");
        me_by_cookie(&sites.server, &victims)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        let refresh = Reply::of(cookie_post(&sites.server, "/auth/cookie/refresh", &victims)).await;
        refresh.expect(StatusCode::UNAUTHORIZED);
        assert!(me(&browser).await.is_err(), "{shown}: nobody is logged in");
        let left = browser.get_all_cookies().await.unwrap();
        let is_left = |name: &str| {
            left.iter()
                .any(|cookie| cookie.name == name && victims.contains(&cookie.value))
        };
        assert!(
            !thief.iter().any(|(name, _)| is_left(name)),
            "{shown}: the browser has forgotten them: {left:?}"
        );
        browser.quit().await.unwrap();
    }
    assert_eq!(
        sent > 0,
        !is_bound_to_the_host,
        "names without the prefix can be planted, or nothing was tried"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_sibling_plants_no_session() {
    in_the_browser(Place::new(Vec::new()), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_sibling_plants_no_session_of_signed_tokens() {
    in_the_browser(Place::new(Vec::new()).with("STRATEGY", "jwt"), true).await;
}

/// The original's names have no prefix, so the sibling's cookies are sent beside ours; they never keep anybody from logging
/// out.
#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_logout_works_beside_planted_cookies_of_the_originals_names() {
    in_the_browser(
        Place::new(Vec::new()).with("PROFILE", "litestar-auth"),
        false,
    )
    .await;
}
