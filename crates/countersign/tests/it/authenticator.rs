//! Selection before verification: which backend judges, and what is refused unasked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

use std::sync::Arc;
use std::time::Duration;

use crate::fixture::web::{Member, World, opaque};
use countersign::auth::AuthenticatorBuilder;
use countersign::error::FailureKind;
use countersign::store::{MemoryStore, TokenStore};
use countersign::strategy::Login;
use countersign::token::{LoggedOut, TokenShape, TokenStatus};
use countersign::transport::{BearerTransport, CookieTransport};
use countersign::{AuthError, AuthenticationBackend, Authenticator, PlainToken};
use countersign::{Profile, Refusal, TokenPair};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

fn headers(pairs: &[(HeaderName, String)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn bearer(token: &PlainToken) -> (HeaderName, String) {
    (AUTHORIZATION, format!("Bearer {}", token.expose()))
}

fn cookie(token: &PlainToken) -> (HeaderName, String) {
    (
        COOKIE,
        format!("__Host-countersign_access={}", token.expose()),
    )
}

fn cookies() -> CookieTransport {
    CookieTransport::builder(Profile::Countersign)
        .build()
        .unwrap()
}

fn web_and_api(world: &World) -> Authenticator<Member> {
    Authenticator::builder(world.members.clone())
        .backend(AuthenticationBackend::new(
            "api",
            BearerTransport,
            world.strategy.clone(),
        ))
        .backend(AuthenticationBackend::new(
            "web",
            cookies(),
            world.strategy.clone(),
        ))
        .build()
        .unwrap()
}

async fn log_in(world: &World, authenticator: &Authenticator<Member>, id: i64) -> TokenPair {
    authenticator.backends()[0]
        .login(&world.members.find(id).unwrap(), &Login::default())
        .await
        .unwrap()
}

async fn refused(authenticator: &Authenticator<Member>, pairs: &[(HeaderName, String)]) -> Refusal {
    match authenticator.authenticate(&headers(pairs)).await.unwrap() {
        TokenStatus::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_credential_is_judged_and_its_backend_is_named() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    let tokens = log_in(&world, &authenticator, 1).await;
    for (offered, name) in [
        (bearer(&tokens.access.token), "api"),
        (cookie(&tokens.access.token), "web"),
    ] {
        let answer = authenticator
            .authenticate(&headers(&[offered]))
            .await
            .unwrap();
        let accepted = answer.accepted().unwrap();
        assert_eq!(
            (accepted.user.id, accepted.backend.as_deref()),
            (1, Some(name))
        );
        assert_eq!(accepted.session_id, tokens.access.session_id);
    }
}

#[tokio::test]
async fn nothing_offered_and_nothing_readable_touch_no_store() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    assert_eq!(
        authenticator
            .authenticate(&HeaderMap::new())
            .await
            .unwrap()
            .accepted()
            .map(|_| ()),
        None
    );
    let junk = |text: &str| (AUTHORIZATION, text.to_owned());
    assert_eq!(
        refused(&authenticator, &[junk("Bearer")]).await,
        Refusal::MalformedRequest
    );
    assert_eq!(
        refused(&authenticator, &[junk("Bearer nonsense")]).await,
        Refusal::Malformed
    );
    assert_eq!(
        refused(&authenticator, &[junk("Bearer csa_nonsense")]).await,
        Refusal::Malformed
    );
    let long = format!("Bearer csa_{}", "a".repeat(8192));
    assert_eq!(
        refused(&authenticator, &[junk(&long)]).await,
        Refusal::TooLong
    );
    assert!(matches!(
        authenticator
            .authenticate(&headers(&[junk("Basic eA==")]))
            .await,
        Ok(TokenStatus::NotOffered)
    ));
    assert_eq!(world.store.calls(), 0);
}

/// The bound comes before everything, whatever the strategy itself would take.
#[tokio::test]
async fn a_credential_over_the_bound_is_refused_unasked() {
    let world = World::new();
    let tokens = log_in(&world, &web_and_api(&world), 1).await;
    let length = tokens.access.token.expose().len();
    let before = world.store.calls();
    for (bound, refusal) in [(length - 1, true), (length, false)] {
        let authenticator = Authenticator::builder(world.members.clone())
            .backend(AuthenticationBackend::new(
                "api",
                BearerTransport,
                world.strategy.clone(),
            ))
            .max_token_length(bound)
            .build()
            .unwrap();
        let answer = authenticator
            .authenticate(&headers(&[bearer(&tokens.access.token)]))
            .await
            .unwrap();
        assert_eq!(
            matches!(answer, TokenStatus::Refused(Refusal::TooLong)),
            refusal
        );
    }
    assert_eq!(
        world.store.calls(),
        before + 1,
        "the accepted one alone was looked up"
    );
}

/// SECURITY rows B-03: whichever order, equal or not, good or bad.
#[tokio::test]
async fn more_than_one_credential_is_refused() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    let [one, two] = [
        log_in(&world, &authenticator, 1).await,
        log_in(&world, &authenticator, 2).await,
    ];
    let (one, two, bad) = (
        one.access.token,
        two.access.token,
        PlainToken::new("nonsense"),
    );
    let before = world.store.calls();
    for (first, second) in [
        (&one, &two),
        (&two, &one),
        (&one, &one),
        (&one, &bad),
        (&bad, &one),
    ] {
        for pairs in [
            [bearer(first), cookie(second)],
            [cookie(first), bearer(second)],
            [bearer(first), bearer(second)],
            [cookie(first), cookie(second)],
        ] {
            assert_eq!(
                refused(&authenticator, &pairs).await,
                Refusal::Ambiguous,
                "{:?}",
                pairs.map(|pair| pair.0)
            );
        }
    }
    assert_eq!(world.store.calls(), before, "nobody was asked");
}

#[tokio::test]
async fn tokens_of_one_kind_are_never_those_of_the_other() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    let tokens = log_in(&world, &authenticator, 1).await;
    let refresh = tokens.refresh.unwrap().token;
    assert_eq!(
        refused(&authenticator, &[bearer(&refresh)]).await,
        Refusal::Malformed
    );
    assert_eq!(
        refused(&authenticator, &[cookie(&refresh)]).await,
        Refusal::Malformed
    );
    let api = &authenticator.backends()[0];
    let refused = api
        .refresh(&tokens.access.token, authenticator.users())
        .await
        .unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Malformed));
}

#[tokio::test]
async fn an_inactive_user_is_refused_and_may_still_log_out() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    let tokens = log_in(&world, &authenticator, 1).await;
    world.members.put(1, false);
    assert_eq!(
        refused(&authenticator, &[bearer(&tokens.access.token)]).await,
        Refusal::UserInactive
    );
    let api = &authenticator.backends()[0];
    let out = api
        .logout(&tokens.access.token, authenticator.users())
        .await
        .unwrap();
    assert_eq!(out, LoggedOut::Ended(tokens.access.session_id));
    world.members.put(1, true);
    assert_eq!(
        refused(&authenticator, &[bearer(&tokens.access.token)]).await,
        Refusal::Unknown
    );
}

#[tokio::test]
async fn logout_ends_this_session_and_no_other() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    let [here, there] = [
        log_in(&world, &authenticator, 1).await,
        log_in(&world, &authenticator, 1).await,
    ];
    let [api, web] = [&authenticator.backends()[0], &authenticator.backends()[1]];
    let refresh = here.refresh.unwrap().token;
    assert!(matches!(
        web.logout_with_refresh(&refresh).await,
        Ok(LoggedOut::Ended(_))
    ));
    assert!(matches!(
        web.logout_with_refresh(&refresh).await,
        Ok(LoggedOut::AlreadyEnded)
    ));
    assert!(matches!(
        api.logout(&here.access.token, authenticator.users()).await,
        Ok(LoggedOut::AlreadyEnded)
    ));
    assert_eq!(
        refused(&authenticator, &[bearer(&here.access.token)]).await,
        Refusal::Unknown
    );
    let answer = authenticator
        .authenticate(&headers(&[bearer(&there.access.token)]))
        .await
        .unwrap();
    assert!(answer.accepted().is_some());
}

#[tokio::test]
async fn an_expired_token_ends_its_session() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    let [here, there] = [
        log_in(&world, &authenticator, 1).await,
        log_in(&world, &authenticator, 1).await,
    ];
    world.clock.advance(Duration::from_mins(15));
    let api = &authenticator.backends()[0];
    let out = api
        .logout(&here.access.token, authenticator.users())
        .await
        .unwrap();
    assert_eq!(out, LoggedOut::Ended(here.access.session_id));
    assert_eq!(
        api.logout(&here.access.token, authenticator.users())
            .await
            .unwrap(),
        LoggedOut::AlreadyEnded
    );
    let refreshed = async |tokens: TokenPair| {
        let refreshed = api
            .refresh(&tokens.refresh.unwrap().token, authenticator.users())
            .await;
        refreshed.map(drop).map_err(|error| error.refusal())
    };
    assert_eq!(refreshed(here).await, Err(Some(Refusal::Unknown)));
    assert_eq!(refreshed(there).await, Ok(()));
}

/// A token that has no session has none to end, and is dead already.
#[tokio::test]
async fn an_expired_token_without_session_is_out_already() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    let alone = world
        .strategy
        .write_token(&world.members.find(1).unwrap())
        .await
        .unwrap()
        .token;
    world.clock.advance(Duration::from_mins(15));
    let out = authenticator.backends()[0]
        .logout(&alone, authenticator.users())
        .await
        .unwrap();
    assert_eq!(out, LoggedOut::AlreadyEnded);
}

/// What is no token of ours ends nothing, and logging out with it is refused; one that a store could know of, and doesn't,
/// is what logging out leaves behind.
#[tokio::test]
async fn a_bad_credential_logs_nobody_out() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    let tokens = log_in(&world, &authenticator, 1).await;
    let api = &authenticator.backends()[0];
    let calls = world.store.calls();
    for (text, refusal) in [
        ("nonsense", Refusal::Malformed),
        (&"x".repeat(2000), Refusal::TooLong),
    ] {
        let refused = api
            .logout(&PlainToken::new(text), authenticator.users())
            .await
            .unwrap_err();
        assert_eq!(refused.refusal(), Some(refusal));
    }
    assert_eq!(world.store.calls(), calls, "nobody was asked");
    assert!(
        authenticator
            .authenticate(&headers(&[bearer(&tokens.access.token)]))
            .await
            .unwrap()
            .accepted()
            .is_some()
    );
}

#[tokio::test]
async fn a_failure_stays_a_failure() {
    let world = World::new();
    let authenticator = web_and_api(&world);
    let tokens = log_in(&world, &authenticator, 1).await;
    world.store.switch(false);
    let offered = headers(&[bearer(&tokens.access.token)]);
    assert_eq!(
        authenticator
            .authenticate(&offered)
            .await
            .unwrap_err()
            .kind(),
        FailureKind::Unavailable
    );
    assert!(matches!(
        authenticator.authenticate(&HeaderMap::new()).await,
        Ok(TokenStatus::NotOffered)
    ));
    let api = &authenticator.backends()[0];
    let refresh = tokens.refresh.unwrap().token;
    for failed in [
        api.logout(&tokens.access.token, authenticator.users())
            .await
            .map(drop),
        api.refresh(&refresh, authenticator.users()).await.map(drop),
        api.login(&world.members.find(1).unwrap(), &Login::default())
            .await
            .map(drop),
    ] {
        assert!(
            matches!(failed, Err(AuthError::Failed(failure)) if failure.kind() == FailureKind::Unavailable)
        );
    }
    world.store.switch(true);
    assert!(
        authenticator
            .authenticate(&offered)
            .await
            .unwrap()
            .accepted()
            .is_some()
    );
}

/// Two stores behind one header: the text alone decides, and the other store is never asked.
#[tokio::test]
async fn the_shape_of_a_token_selects_between_backends_of_one_header() {
    let (ours, theirs) = (World::new(), World::new());
    let original = opaque(
        Profile::LitestarAuth,
        theirs.store.clone() as Arc<dyn TokenStore>,
        theirs.clock.clone(),
    );
    let authenticator = Authenticator::builder(ours.members.clone())
        .backend(
            AuthenticationBackend::new("signed", BearerTransport, original.clone())
                .with_token_shape(TokenShape::Signed),
        )
        .backend(AuthenticationBackend::new(
            "opaque",
            BearerTransport,
            ours.strategy.clone(),
        ))
        .build()
        .unwrap();
    let tokens = authenticator.backends()[1]
        .login(&ours.members.find(1).unwrap(), &Login::default())
        .await
        .unwrap();
    let answer = authenticator
        .authenticate(&headers(&[bearer(&tokens.access.token)]))
        .await
        .unwrap();
    assert_eq!(
        answer.accepted().unwrap().backend.as_deref(),
        Some("opaque")
    );
    assert_eq!(theirs.store.calls(), 0);
    let before = ours.store.calls();
    assert_eq!(
        refused(
            &authenticator,
            &[(AUTHORIZATION, "Bearer a.b.c".to_owned())]
        )
        .await,
        Refusal::Unknown
    );
    assert_eq!(ours.store.calls(), before);
    assert_eq!(
        refused(&authenticator, &[(AUTHORIZATION, "Bearer a.b".to_owned())]).await,
        Refusal::Malformed
    );
}

#[test]
fn what_could_not_tell_tokens_apart_does_not_build() {
    let world = World::new();
    let any = opaque(
        Profile::LitestarAuth,
        Arc::new(MemoryStore::new()),
        world.clock.clone(),
    );
    let backend =
        |name: &str| AuthenticationBackend::new(name, BearerTransport, world.strategy.clone());
    let web = |name: &str, cookie: &str| {
        let transport = CookieTransport::builder(Profile::LitestarAuth)
            .cookie_name(cookie)
            .build()
            .unwrap();
        AuthenticationBackend::new(name, transport, world.strategy.clone())
    };
    let cases = [
        (vec![], "backends"),
        (vec![backend("")], "backend name"),
        (vec![backend("a b")], "backend name"),
        (vec![backend("a"), web("a", "x")], "backend name"),
        (vec![backend("a"), backend("b")], "backends"),
        (
            vec![
                backend("a"),
                AuthenticationBackend::new("b", BearerTransport, any),
            ],
            "backends",
        ),
        (vec![web("a", "x"), web("b", "x")], "backends"),
        (vec![web("a", "x"), web("b", "x_refresh")], "backends"),
        (vec![web("a", "x_refresh"), web("b", "x")], "backends"),
        (
            vec![
                web("a", "x"),
                web("b", "x").with_token_shape(TokenShape::Signed),
            ],
            "backends",
        ),
    ];
    for (index, (backends, setting)) in cases.into_iter().enumerate() {
        let builder = Authenticator::builder(world.members.clone());
        let built = backends
            .into_iter()
            .fold(builder, AuthenticatorBuilder::backend)
            .build();
        assert_eq!(built.unwrap_err().setting(), setting, "case {index}");
    }
}

#[test]
fn shapes_overlap_as_they_claim() {
    let prefix = |text: &'static str| TokenShape::Prefix(text.into());
    let shapes = [
        TokenShape::Any,
        TokenShape::Signed,
        prefix("csa_"),
        prefix("cs"),
        prefix("x_"),
    ];
    let texts = ["csa_1", "cs1", "x_1", "a.b.c", "csa_.b.c", "a.b", ""].map(PlainToken::new);
    for (one, other) in shapes
        .iter()
        .flat_map(|one| shapes.iter().map(move |other| (one, other)))
    {
        let both = texts
            .iter()
            .any(|text| one.claims(text) && other.claims(text));
        assert_eq!(one.overlaps(other), both, "{one:?} {other:?}");
    }
}
