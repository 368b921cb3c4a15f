//! A visitor with a browser, who looks, types and clicks.

use std::time::Duration;

use thirtyfour::prelude::*;
use tokio::time::{interval, timeout};

use crate::site::{PASSWORD, SITE};

/// The time after which a page that doesn't come fails the test.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const ACCESS: &str = "__Host-countersign_access";
pub(crate) const REFRESH: &str = "__Host-countersign_refresh";

/// A browser with cookies of its own.
pub(crate) struct Visitor(pub(crate) WebDriver);

impl Visitor {
    pub(crate) async fn start(
        browsers: &testbed::Browser,
        hosts: &[(&str, u16)],
        name: Option<&str>,
    ) -> Self {
        let mut wanted = DesiredCapabilities::chrome();
        for argument in browsers.arguments(hosts) {
            wanted.add_arg(&argument).unwrap();
        }
        if let Some(name) = name {
            wanted.add_arg(&format!("--user-agent={name}")).unwrap();
        }
        let program = browsers.program().to_str().unwrap();
        wanted.set_binary(program).unwrap();
        wanted.accept_insecure_certs(true).unwrap();
        Self(WebDriver::new(browsers.url(), wanted).await.unwrap())
    }

    /// Opens a page of the site.
    pub(crate) async fn open(&self, path: &str) {
        self.0.goto(format!("{SITE}{path}")).await.unwrap();
    }

    /// Opens the login page, and logs in.
    pub(crate) async fn log_in(&self, name: &str, is_remembered: bool) {
        self.open("/login").await;
        self.type_login(name, PASSWORD).await;
        if is_remembered {
            self.press("[name=remember]").await;
        }
        self.press("main button").await;
        self.until_at("/account").await;
    }

    pub(crate) async fn type_login(&self, name: &str, password: &str) {
        self.fill("identifier", name).await;
        self.fill("password", password).await;
    }

    pub(crate) async fn fill(&self, field: &str, text: &str) {
        let field = self.0.find(By::Name(field)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(crate) async fn press(&self, css: &str) {
        self.0
            .find(By::Css(css))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    /// Returns the path and the query of the page.
    pub(crate) async fn place(&self) -> String {
        let url = self.0.current_url().await.unwrap();
        let query = url.query().map(|query| format!("?{query}"));
        format!("{}{}", url.path(), query.unwrap_or_default())
    }

    /// Waits until the browser shows this page.
    pub(crate) async fn until_at(&self, place: &str) {
        let is_there = async || self.place().await == place;
        self.until(place, is_there).await;
    }

    /// Waits until the page has this heading.
    pub(crate) async fn until_titled(&self, heading: &str) {
        let has_it = async || self.heading().await.as_deref() == Some(heading);
        self.until(heading, has_it).await;
    }

    /// Waits until the page holds this text.
    pub(crate) async fn until_told(&self, text: &str) {
        let is_told = async || self.text().await.contains(text);
        self.until(text, is_told).await;
    }

    /// Waits until a page is loaded that doesn't have this element.
    pub(crate) async fn until_without(&self, css: &str) {
        let is_gone = async || {
            // In this order, the text is that of the page without the element.
            let found = self.0.find_all(By::Css(css)).await;
            found.is_ok_and(|found| found.is_empty()) && !self.text().await.is_empty()
        };
        self.until(css, is_gone).await;
    }

    /// Waits until a page is loaded that doesn't hold this text.
    pub(crate) async fn until_gone(&self, text: &str) {
        let is_gone = async || {
            let shown = self.text().await;
            !shown.is_empty() && !shown.contains(text)
        };
        self.until(text, is_gone).await;
    }

    /// Waits until the browser has forgotten a cookie.
    pub(crate) async fn until_forgotten(&self, name: &str) {
        let is_forgotten = async || self.cookie(name).await.is_none();
        self.until(name, is_forgotten).await;
    }

    /// Waits for a condition. One that never comes true fails the test.
    async fn until(&self, wanted: &str, is_true: impl AsyncFn() -> bool) {
        let mut again = interval(Duration::from_millis(20));
        let wait = async {
            while !is_true().await {
                again.tick().await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            let (place, text) = (self.place().await, self.text().await);
            panic!("waited for {wanted}, and saw {place}: {text}");
        }
    }

    /// Returns the heading, or `None` while the next page is being loaded.
    async fn heading(&self) -> Option<String> {
        self.0.find(By::Css("h1")).await.ok()?.text().await.ok()
    }

    /// Returns the text of the page, which is empty while it is being loaded.
    pub(crate) async fn text(&self) -> String {
        match self.0.find(By::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    pub(crate) async fn has(&self, css: &str) -> bool {
        !self.0.find_all(By::Css(css)).await.unwrap().is_empty()
    }

    /// Returns the value of a field.
    pub(crate) async fn value(&self, field: &str) -> String {
        let field = self.0.find(By::Name(field)).await.unwrap();
        field.prop("value").await.unwrap().unwrap()
    }

    /// Opens the account, and returns the name in its head, or `None` at the login page.
    pub(crate) async fn member(&self) -> Option<String> {
        self.open("/account").await;
        if self.place().await.starts_with("/login") {
            return None;
        }
        assert_eq!(self.place().await, "/account", "{}", self.text().await);
        let name = self.0.find(By::Css("nav a")).await.unwrap();
        Some(name.text().await.unwrap())
    }

    /// Returns a cookie of the open page.
    pub(crate) async fn cookie(&self, name: &str) -> Option<Cookie> {
        let cookies = self.0.get_all_cookies().await.unwrap();
        cookies.into_iter().find(|cookie| cookie.name == name)
    }

    pub(crate) async fn close(self) {
        self.0.quit().await.unwrap();
    }
}
