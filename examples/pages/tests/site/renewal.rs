//! Access tokens that end while members read: the next page load renews them.

use crate::browser::{ACCESS, REFRESH, Visitor};
use crate::world::{STRANGER, World};

/// Logs in, waits until the access token has ended, and returns the browser and both tokens.
async fn with_ended_access(world: &World, is_remembered: bool) -> (Visitor, [String; 2]) {
    let visitor = world.browser().await;
    visitor.log_in("ada", is_remembered).await;
    let cookie = async |name| visitor.cookie(name).await.map(|cookie| cookie.value);
    let (access, refresh) = (cookie(ACCESS).await, cookie(REFRESH).await.unwrap());
    match &access {
        Some(access) => world.site.until_refused(access).await,
        None => assert!(is_remembered),
    }
    if is_remembered {
        // The browser drops the cookie together with the token.
        visitor.until_forgotten(ACCESS).await;
    }
    (visitor, [access.unwrap_or_default(), refresh])
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_page_load_renews_the_cookies_after_the_access_token_has_ended() {
    let world = World::with_short_access().await;
    world.site.member("ada").await;
    for is_remembered in [false, true] {
        let (visitor, [access, refresh]) = with_ended_access(&world, is_remembered).await;
        visitor.open("/sessions").await;
        assert_eq!(
            visitor.place().await,
            "/sessions",
            "remembered: {is_remembered}"
        );
        let renewed = visitor.cookie(REFRESH).await.unwrap();
        assert_ne!(renewed.value, refresh);
        // It stays a cookie of its kind.
        assert_eq!(renewed.expiry.is_some(), is_remembered);
        if let Some(renewed) = visitor.cookie(ACCESS).await {
            assert_ne!(renewed.value, access);
        }

        // On the front page as well, which everybody may see.
        visitor.open("/").await;
        assert!(visitor.has("#logout").await, "{}", visitor.text().await);
        visitor.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_link_from_elsewhere_shows_open_pages_and_one_click_goes_on() {
    let world = World::with_short_access().await;
    world.site.member("ada").await;
    let (visitor, _) = with_ended_access(&world, false).await;

    // The browser still sends the access cookie, which is refused, and nothing is renewed for a stranger's link.
    visitor.0.goto(format!("{STRANGER}/to-home")).await.unwrap();
    visitor.press("#go").await;
    visitor.until_titled("Welcome").await;
    assert!(!visitor.has("#logout").await);

    visitor
        .0
        .goto(format!("{STRANGER}/to-account"))
        .await
        .unwrap();
    visitor.press("#go").await;
    visitor.until_at("/login?next=/account").await;
    visitor.press("#continue").await;
    visitor.until_at("/account").await;
    visitor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_form_that_comes_late_changes_nothing_and_says_what_to_do() {
    let world = World::with_short_access().await;
    world.site.member("ada").await;
    let other = world.browser().await;
    other.log_in("ada", true).await;
    let visitor = world.browser().await;
    visitor.log_in("ada", false).await;
    visitor.open("/sessions").await;
    let access = visitor.cookie(ACCESS).await.unwrap().value;
    world.site.until_refused(&access).await;

    visitor.press("#end-others").await;
    visitor.until_titled("That took too long").await;
    assert_eq!(other.member().await.as_deref(), Some("ada"));
    other.close().await;
    visitor.close().await;
}
