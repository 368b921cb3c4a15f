//! Visitors become members.

use crate::browser::REFRESH;
use crate::site::PASSWORD;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_visitor_signs_up_and_is_led_to_the_page_they_wanted() {
    let world = World::start().await;
    let visitor = world.browser().await;
    visitor.open("/sessions").await;
    visitor.until_at("/login?next=/sessions").await;
    visitor.press("main a").await;
    visitor.until_at("/sign-up?next=%2Fsessions").await;

    // A name that nobody can have: the page says so, and keeps what was typed, except for the password.
    visitor.fill("name", "ada king").await;
    visitor.fill("password", PASSWORD).await;
    visitor.press("main button").await;
    visitor.until_at("/sign-up").await;
    visitor.until_told("A name has 2 to 32 letters").await;
    assert_eq!(visitor.value("name").await, "ada king");
    assert_eq!(visitor.value("password").await, "");

    visitor.fill("name", "Ada").await;
    visitor.fill("password", PASSWORD).await;
    visitor.press("main button").await;
    visitor.until_at("/sessions").await;
    assert_eq!(visitor.member().await.as_deref(), Some("ada"));
    let refresh = visitor.cookie(REFRESH).await.unwrap();
    assert_eq!(refresh.expiry, None, "a new member isn't remembered");
    visitor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_name_is_given_once() {
    let world = World::start().await;
    world.site.member("ada").await;
    let visitor = world.browser().await;
    visitor.open("/sign-up").await;
    visitor.fill("name", "ADA").await;
    visitor.fill("password", "another password").await;
    visitor.press("main button").await;
    visitor.until_told("Somebody else has this name.").await;
    assert_eq!(visitor.member().await, None);
    // The password is still that of the first.
    visitor.log_in("ada", false).await;
    visitor.close().await;
}
