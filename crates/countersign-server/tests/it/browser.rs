//! A browser on a bad network: twenty tabs share one jar of cookies and wake at once whenever the access token is due.
//! Nobody has to log in again (promise P2).

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::flows::{cookie_post, jar, me_by_cookie};
use crate::harness::{PASSWORD, Place, Reply, Server};

const TABS: usize = 20;
const WAKES: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_tabs_on_a_bad_network_never_have_to_log_in_again() {
    let server = Place::new(Vec::new()).start();
    let seen = Browser::run(&server, WAKES).await;
    eprintln!("default window: {seen:?}");
    assert!(seen.presentations >= WAKES * TABS);
    assert!(
        seen.lost > 0 && seen.late > 0 && seen.twice > 0 && seen.unsent > 0,
        "the network is bad: {seen:?}"
    );
    assert_eq!((seen.refused, seen.forced_logins), (0, 0), "{seen:?}");
    let (_, log) = server.stop();
    assert!(
        !log.contains("session_ended"),
        "nobody is taken for a thief"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_window_the_same_tabs_are_logged_out() {
    let server = Place::new(Vec::new()).with("REUSE_GRACE", "0s").start();
    let seen = Browser::run(&server, 25).await;
    eprintln!("no window: {seen:?}");
    assert!(seen.refused > 0 && seen.forced_logins > 0, "{seen:?}");
}

/// What happened in all wakes.
#[derive(Debug, Default)]
struct Seen {
    /// Times that a refresh token was sent to the server.
    presentations: usize,
    /// Requests that never arrived.
    unsent: usize,
    /// Answers that never arrived.
    lost: usize,
    /// Answers that arrived when the tab had given them up.
    late: usize,
    /// Requests that arrived twice.
    twice: usize,
    refused: usize,
    forced_logins: usize,
}

/// What the network does to one request.
#[derive(Clone, Copy)]
enum Fate {
    Fine,
    Unsent,
    Lost,
    Late,
    Twice,
}

struct Browser<'a> {
    server: &'a Server,
    jar: Mutex<Cookies>,
    seen: Mutex<Seen>,
}

impl<'a> Browser<'a> {
    async fn run(server: &'a Server, wakes: usize) -> Seen {
        server
            .register("ada@example.org")
            .await
            .expect(StatusCode::CREATED);
        let browser = Self {
            server,
            jar: Mutex::default(),
            seen: Mutex::default(),
        };
        browser.log_in().await;
        for wake in 0..wakes {
            // All tabs find the access token due. Who comes later in a wake finds it renewed, and asks for nothing.
            let due = browser.jar.lock().unwrap().clone();
            let late =
                join_all((0..TABS).map(|tab| browser.wake(&due, Network::new(wake * TABS + tab))))
                    .await;
            for answer in late.into_iter().flatten() {
                browser.adopt(&answer);
            }
            let cookies = browser.jar.lock().unwrap().header();
            if me_by_cookie(server, &cookies).await.status != StatusCode::OK {
                browser.seen.lock().unwrap().forced_logins += 1;
                browser.log_in().await;
            }
        }
        browser.seen.into_inner().unwrap()
    }

    /// One tab, from finding that the token is due to having a new one. Answers that come too late for it.
    async fn wake(&self, due: &Cookies, mut network: Network) -> Vec<Reply> {
        let mut late = Vec::new();
        for _ in 0..network.below(8) {
            tokio::task::yield_now().await;
        }
        loop {
            let fate = network.fate();
            let answer = self.send(due, fate).await;
            match (fate, answer) {
                (Fate::Fine | Fate::Twice, Some(answer)) => {
                    self.adopt(&answer);
                    return late;
                }
                (Fate::Late, Some(answer)) => late.push(answer),
                _ => {}
            }
            // Whatever another tab got meanwhile is good for this one as well, but not every tab looks.
            if network.below(2) == 0 && *self.jar.lock().unwrap() != *due {
                return late;
            }
        }
    }

    async fn send(&self, due: &Cookies, fate: Fate) -> Option<Reply> {
        let request = || self.refresh(due);
        self.note(fate);
        match fate {
            Fate::Unsent => None,
            Fate::Twice => Some(futures_util::future::join(request(), request()).await.1),
            Fate::Fine | Fate::Lost | Fate::Late => Some(request().await),
        }
    }

    async fn refresh(&self, due: &Cookies) -> Reply {
        let answer = Reply::of(cookie_post(
            self.server,
            "/auth/cookie/refresh",
            &due.header(),
        ))
        .await;
        match answer.status {
            StatusCode::NO_CONTENT => {}
            StatusCode::UNAUTHORIZED => self.seen.lock().unwrap().refused += 1,
            status => panic!("{status}: {}", answer.text),
        }
        answer
    }

    fn note(&self, fate: Fate) {
        let mut seen = self.seen.lock().unwrap();
        let (sent, count) = match fate {
            Fate::Fine => (1, None),
            Fate::Unsent => (0, Some(&mut seen.unsent)),
            Fate::Lost => (1, Some(&mut seen.lost)),
            Fate::Late => (1, Some(&mut seen.late)),
            Fate::Twice => (2, Some(&mut seen.twice)),
        };
        if let Some(count) = count {
            *count += 1;
        }
        seen.presentations += sent;
    }

    fn adopt(&self, answer: &Reply) {
        if answer.status == StatusCode::NO_CONTENT {
            self.jar.lock().unwrap().set(answer);
        }
    }

    async fn log_in(&self) {
        let credentials = json!({ "identifier": "ada@example.org", "password": PASSWORD });
        let login = self
            .server
            .request(Method::POST, "/auth/cookie/login")
            .header("sec-fetch-site", "same-origin");
        let login = Reply::of(login.json(&credentials))
            .await
            .expect(StatusCode::NO_CONTENT);
        self.jar.lock().unwrap().set(&login);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cookies(BTreeMap<String, String>);

impl Cookies {
    fn set(&mut self, answer: &Reply) {
        let cookies = jar(answer);
        self.0.extend(cookies.split("; ").map(|cookie| {
            let (name, value) = cookie.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        }));
    }

    fn header(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// `SplitMix64`: the same network on every run.
struct Network(u64);

impl Network {
    fn new(seed: usize) -> Self {
        Self(
            u64::try_from(seed)
                .unwrap()
                .wrapping_mul(0x2545_F491_4F6C_DD1D),
        )
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn fate(&mut self) -> Fate {
        match self.below(20) {
            0..2 => Fate::Unsent,
            2..5 => Fate::Lost,
            5..7 => Fate::Late,
            7..10 => Fate::Twice,
            _ => Fate::Fine,
        }
    }
}
