//! Forms that the pages of other sites send.

use crate::browser::Visitor;
use crate::site::PASSWORD;
use crate::world::{SIBLING, STRANGER, World};

/// Sends a form from a page of another site, and waits until ours refuses it.
async fn assert_refused(visitor: &Visitor, site: &str, form: &str) {
    visitor.0.goto(format!("{site}/{form}")).await.unwrap();
    visitor.press("#go").await;
    visitor.until_titled("This form isn't ours").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_login_form_of_another_site_logs_nobody_in() {
    let world = World::start().await;
    world.site.member("ada").await;
    world.site.member("mallory").await;
    for site in [SIBLING, STRANGER] {
        let visitor = world.browser().await;
        assert_refused(&visitor, site, "login").await;
        assert_eq!(visitor.member().await, None, "{site}");
        // The same for somebody who is logged in.
        visitor.log_in("ada", true).await;
        assert_refused(&visitor, site, "login").await;
        assert_eq!(visitor.member().await.as_deref(), Some("ada"), "{site}");
        visitor.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_logout_form_of_another_site_logs_nobody_out() {
    let world = World::start().await;
    world.site.member("ada").await;
    let visitor = world.browser().await;
    visitor.log_in("ada", true).await;
    for site in [SIBLING, STRANGER] {
        assert_refused(&visitor, site, "logout").await;
        assert_eq!(visitor.member().await.as_deref(), Some("ada"), "{site}");
    }
    visitor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_form_of_a_sibling_ends_no_session() {
    let world = World::start().await;
    world.site.member("ada").await;
    let (visitor, other) = (world.browser().await, world.browser().await);
    visitor.log_in("ada", true).await;
    other.log_in("ada", true).await;
    assert_refused(&visitor, SIBLING, "end-others").await;
    assert_eq!(other.member().await.as_deref(), Some("ada"));
    // From a stranger's page the browser sends no cookie with a form, so the answer is that to a visitor.
    visitor
        .0
        .goto(format!("{STRANGER}/end-others"))
        .await
        .unwrap();
    visitor.press("#go").await;
    visitor.until_titled("That took too long").await;
    assert_eq!(other.member().await.as_deref(), Some("ada"));
    for browser in [visitor, other] {
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_sign_up_form_of_another_site_makes_no_member() {
    let world = World::start().await;
    for site in [SIBLING, STRANGER] {
        let visitor = world.browser().await;
        assert_refused(&visitor, site, "sign-up").await;
        assert_eq!(visitor.member().await, None, "{site}");
        visitor.type_login("eve", PASSWORD).await;
        visitor.press("main button").await;
        let refused = "/login?error=LOGIN_BAD_CREDENTIALS&next=%2Faccount";
        visitor.until_at(refused).await;
        visitor.close().await;
    }
}
