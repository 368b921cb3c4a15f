//! The list of sessions, in several browsers of one member.

use thirtyfour::By;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_member_ends_the_session_of_another_browser() {
    let world = World::start().await;
    world.site.member("ada").await;
    let laptop = world.browser_named("laptop").await;
    let phone = world.browser_named("phone").await;
    laptop.log_in("ada", false).await;
    phone.log_in("ada", true).await;

    laptop.open("/sessions").await;
    let text = laptop.text().await;
    assert!(text.contains("laptop") && text.contains("phone"), "{text}");
    laptop.press("li button.end").await;
    laptop.until_gone("phone").await;
    assert_eq!(laptop.place().await, "/sessions");

    assert_eq!(phone.member().await, None);
    assert_eq!(laptop.member().await.as_deref(), Some("ada"));
    phone.close().await;
    laptop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_member_ends_all_sessions_but_their_own() {
    let world = World::start().await;
    world.site.member("ada").await;
    world.site.member("mallory").await;
    let laptop = world.browser_named("laptop").await;
    let phone = world.browser_named("phone").await;
    let stranger = world.browser_named("stranger").await;
    for (browser, name) in [(&laptop, "ada"), (&phone, "ada"), (&stranger, "mallory")] {
        browser.log_in(name, false).await;
    }

    laptop.open("/sessions").await;
    assert!(!laptop.text().await.contains("stranger"));
    laptop.press("#end-others").await;
    laptop.until_gone("phone").await;

    assert_eq!(phone.member().await, None);
    assert_eq!(laptop.member().await.as_deref(), Some("ada"));
    assert_eq!(stranger.member().await.as_deref(), Some("mallory"));
    for browser in [laptop, phone, stranger] {
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_nobody_ends_the_session_of_another_member() {
    let world = World::start().await;
    world.site.member("ada").await;
    world.site.member("mallory").await;
    let (ada, mallory) = (world.browser_named("phone").await, world.browser().await);
    for (browser, name) in [(&ada, "ada"), (&mallory, "mallory")] {
        browser.log_in(name, false).await;
    }
    // The id of Ada's session, as she would give it away by a picture of her screen.
    let helper = world.browser().await;
    helper.log_in("ada", false).await;
    helper.open("/sessions").await;
    // The session of the sign-up is in the list as well.
    let form = By::XPath("//li[contains(., 'phone')]//form");
    let form = helper.0.find(form).await.unwrap();
    let action = form.attr("action").await.unwrap().unwrap();

    mallory.open("/sessions").await;
    let send = "const form = document.createElement('form'); form.method = 'post';
        form.id = 'forged'; form.action = arguments[0]; document.body.append(form);
        form.submit();";
    let arguments = vec![action.as_str().into()];
    mallory.0.execute(send, arguments).await.unwrap();
    mallory.until_without("#forged").await;
    assert_eq!(mallory.place().await, "/sessions");
    assert_eq!(ada.member().await.as_deref(), Some("ada"));
    // The same form ends the session if its owner sends it.
    let form = format!("form[action='{action}']");
    helper.press(&format!("{form} button")).await;
    helper.until_without(&form).await;
    assert_eq!(ada.member().await, None);
    for browser in [ada, mallory, helper] {
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_what_a_browser_calls_itself_is_text() {
    let world = World::start().await;
    world.site.member("ada").await;
    let visitor = world.browser_named("<b id=planted>phone</b>").await;
    visitor.log_in("ada", false).await;
    visitor.open("/sessions").await;
    assert!(visitor.text().await.contains("<b id=planted>phone</b>"));
    assert!(!visitor.has("#planted").await);
    visitor.close().await;
}
