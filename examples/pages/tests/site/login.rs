//! The login page, and the way back to the page that a visitor wanted.

use crate::browser::{ACCESS, REFRESH};
use crate::site::PASSWORD;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_wrong_password_is_told_and_the_wanted_page_is_kept() {
    let world = World::start().await;
    world.site.member("ada").await;
    let visitor = world.browser().await;
    for (name, password) in [("ada", "wrong password"), ("nobody", PASSWORD)] {
        visitor.open("/sessions?from=mail&x=1").await;
        visitor
            .until_at("/login?next=/sessions%3Ffrom%3Dmail%26x%3D1")
            .await;
        visitor.type_login(name, password).await;
        visitor.press("main button").await;
        let next = "%2Fsessions%3Ffrom%3Dmail%26x%3D1";
        visitor
            .until_at(&format!("/login?error=LOGIN_BAD_CREDENTIALS&next={next}"))
            .await;
        visitor.until_told("Name or password is wrong.").await;
        assert_eq!(
            visitor.cookie(REFRESH).await.map(|cookie| cookie.value),
            None
        );
    }

    visitor.type_login("Ada", PASSWORD).await;
    visitor.press("main button").await;
    visitor.until_at("/sessions?from=mail&x=1").await;
    assert_eq!(visitor.member().await.as_deref(), Some("ada"));
    // A member needs no login page.
    visitor.open("/login?next=/sessions").await;
    visitor.until_at("/sessions").await;
    visitor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_link_to_the_login_page_leads_nowhere_else_and_writes_nothing_into_it() {
    let world = World::start().await;
    world.site.member("ada").await;
    let visitor = world.browser().await;
    // Only the paths on this site are kept.
    for elsewhere in [
        "https://stranger.test/",
        "//stranger.test/",
        "/%5Cstranger.test/",
    ] {
        visitor.open(&format!("/login?next={elsewhere}")).await;
        assert!(!visitor.has("[name=next]").await, "{elsewhere}");
    }
    // A path may hold what HTML gives a meaning.
    visitor
        .open("/login?next=/%22%3E%3Cb%20id=planted%3E&error=%3Cb%20id=planted%3E")
        .await;
    assert!(!visitor.has("#planted").await);
    visitor
        .open("/login?next=/%22%3E%3Cb/id=planted%3E&error=%3Cb/id=planted%3E")
        .await;
    assert!(!visitor.has("#planted").await);
    assert_eq!(visitor.value("next").await, "/\"><b/id=planted>");
    assert!(visitor.text().await.contains("You couldn't be logged in."));

    // A page that was opened before the login, with a field that somebody has changed.
    visitor.open("/login?next=/account").await;
    let change = "document.getElementsByName('next')[0].value = 'https://stranger.test/';";
    visitor.0.execute(change, Vec::new()).await.unwrap();
    visitor.type_login("ada", PASSWORD).await;
    visitor.press("main button").await;
    visitor.until_at("/account").await;
    assert_eq!(
        visitor.0.current_url().await.unwrap().host_str(),
        Some("app.example.test")
    );
    // The login page sends a member on: to this site too.
    visitor.open("/login?next=//stranger.test/").await;
    visitor.until_at("/account").await;
    visitor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_cookies_outlive_the_browser_only_for_those_who_want_to_be_remembered() {
    let world = World::start().await;
    world.site.member("ada").await;
    for is_remembered in [false, true] {
        let visitor = world.browser().await;
        visitor.log_in("ada", is_remembered).await;
        for name in [ACCESS, REFRESH] {
            let cookie = visitor.cookie(name).await.unwrap();
            assert_eq!(cookie.expiry.is_some(), is_remembered, "{name}");
            assert_eq!(cookie.secure, Some(true), "{name}");
        }
        // No script reads them.
        let read = visitor.0.execute("return document.cookie;", Vec::new());
        assert_eq!(read.await.unwrap().json().as_str(), Some(""));
        visitor.close().await;
    }
}

/// As a developer opens it: loopback hosts need no https.
#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_the_cookies_work_on_a_loopback_host_without_https() {
    let world = World::start().await;
    world.site.member("ada").await;
    let visitor = world.browser().await;
    let login = format!("http://{}/login", world.site.address);
    visitor.0.goto(login).await.unwrap();
    visitor.type_login("ada", PASSWORD).await;
    visitor.press("main button").await;
    visitor.until_at("/account").await;
    assert!(visitor.text().await.contains("You are logged in."));
    visitor.close().await;
}
