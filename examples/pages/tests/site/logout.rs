//! Logout by the form in the head of each page.

use crate::browser::{ACCESS, REFRESH};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_after_a_logout_neither_back_nor_reload_shows_the_page_again() {
    let world = World::start().await;
    world.site.member("ada").await;
    let visitor = world.browser().await;
    visitor.log_in("ada", true).await;
    let access = visitor.cookie(ACCESS).await.unwrap().value;
    let refresh = visitor.cookie(REFRESH).await.unwrap().value;
    visitor.press("#logout").await;
    visitor.until_at("/goodbye").await;
    visitor.until_titled("Goodbye").await;
    for name in [ACCESS, REFRESH] {
        assert!(visitor.cookie(name).await.is_none(), "{name}");
    }

    visitor.0.back().await.unwrap();
    visitor.until_at("/login?next=/account").await;
    assert!(!visitor.text().await.contains("You are logged in."));
    visitor.0.refresh().await.unwrap();
    visitor.until_at("/login?next=/account").await;
    visitor.close().await;

    // A copy of the cookies is good for nothing either.
    let cookies = format!("{ACCESS}={access}; {REFRESH}={refresh}");
    let page = world.site.get("/account").header("cookie", cookies);
    let page = page.header("sec-fetch-mode", "navigate");
    let answer = page.header("sec-fetch-site", "none").send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "/login?next=/account");
}
