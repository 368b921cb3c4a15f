//! Tokens that an earlier system stored as they are. Their text has the form of no token of ours, so the profile is the
//! original's.

use countersign::strategy::{RefreshableStrategy, SessionControl, Strategy};
use countersign::token::EndOutcome;
use countersign::{PlainToken, Profile, Refusal};

use crate::database_strategy::ground::{
    ACCESS, Ground, Kind, REFRESH, TICK, Tokens, digest, refresh_of,
};
use crate::fixture::log;

fn accepting(ground: &Ground) -> Tokens {
    ground
        .builder(Profile::LitestarAuth)
        .accept_legacy_plaintext_tokens(true)
        .build()
        .unwrap()
}

fn access() -> PlainToken {
    PlainToken::new("access-legacy-valid")
}

fn refresh() -> PlainToken {
    PlainToken::new("refresh-legacy-valid")
}

async fn with_rows(ground: &Ground) {
    ground
        .insert_plaintext("access_token", &access(), &ground.alice)
        .await;
    ground
        .insert_plaintext("refresh_token", &refresh(), &ground.alice)
        .await;
}

/// Conformance case 021.
pub(crate) async fn plaintext_is_off_by_default(ground: &Ground) {
    with_rows(ground).await;
    for (profile, refusal) in [
        (Profile::LitestarAuth, Refusal::Unknown),
        (Profile::Countersign, Refusal::Malformed),
    ] {
        let tokens = ground.tokens(profile);
        assert_eq!(ground.read(&tokens, &access()).await, Err(refusal));
        assert_eq!(
            ground.rotate(&tokens, &refresh()).await.unwrap_err(),
            refusal
        );
        assert_eq!(
            ground.refresh(&tokens, &refresh()).await.unwrap_err(),
            refusal
        );
        assert_eq!(
            tokens
                .destroy_token(&access(), &ground.alice)
                .await
                .unwrap(),
            EndOutcome::AlreadyEnded
        );
    }
    for table in ["access_token", "refresh_token"] {
        assert_eq!(
            ground.column_of_tokens(table).await.len(),
            1,
            "nothing was removed"
        );
    }
}

/// Conformance case 061. Reading leaves the row as it is.
pub(crate) async fn a_plaintext_token_is_read(ground: &Ground) {
    with_rows(ground).await;
    let tokens = accepting(ground);
    assert_eq!(ground.read(&tokens, &access()).await, Ok(ground.alice.id));
    assert_eq!(
        ground.column_of_tokens("access_token").await,
        ["access-legacy-valid"]
    );
    assert_eq!(
        ground
            .read(&tokens, &PlainToken::new("access-legacy-other"))
            .await,
        Err(Refusal::Unknown)
    );
    assert_eq!(
        ground
            .read(&tokens, &PlainToken::new("ACCESS-legacy-valid"))
            .await,
        Err(Refusal::Unknown)
    );
    let ours = tokens.write_token(&ground.bob).await.unwrap().token;
    assert_eq!(
        ground.read(&tokens, &ours).await,
        Ok(ground.bob.id),
        "beside tokens of today"
    );
}

/// Conformance case 062.
pub(crate) async fn a_plaintext_refresh_token_becomes_a_digest(ground: &Ground) {
    with_rows(ground).await;
    let tokens = accepting(ground);
    let next = ground.refresh(&tokens, &refresh()).await.unwrap();
    assert_eq!(
        ground.column_of_tokens("refresh_token").await,
        [digest(refresh_of(&next)).as_str()]
    );
    let again = ground.refresh(&tokens, &refresh()).await.unwrap();
    assert!(
        refresh_of(&again) == refresh_of(&next),
        "a lost answer is told again"
    );
    let switched_off = ground.tokens(Profile::LitestarAuth);
    let third = ground
        .refresh(&switched_off, refresh_of(&next))
        .await
        .unwrap();
    assert!(
        ground.refresh(&tokens, &refresh()).await.is_err(),
        "the old text is spent"
    );
    assert!(
        ground.refresh(&tokens, refresh_of(&third)).await.is_err(),
        "and was reused"
    );
}

/// Conformance case 063.
pub(crate) async fn destroying_removes_both_forms(ground: &Ground) {
    let tokens = accepting(ground);
    let token = tokens.write_token(&ground.alice).await.unwrap().token;
    ground
        .insert_plaintext("access_token", &token, &ground.alice)
        .await;
    assert_eq!(ground.column_of_tokens("access_token").await.len(), 2);
    assert_eq!(
        tokens.destroy_token(&token, &ground.bob).await.unwrap(),
        EndOutcome::AlreadyEnded
    );
    assert_eq!(
        ground.column_of_tokens("access_token").await.len(),
        2,
        "Bob removed neither"
    );
    assert_eq!(
        tokens.destroy_token(&token, &ground.alice).await.unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(ground.column_of_tokens("access_token").await.len(), 0);

    ground
        .insert_plaintext("refresh_token", &refresh(), &ground.alice)
        .await;
    assert_eq!(
        tokens.end_session_of(&refresh()).await.unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(ground.column_of_tokens("refresh_token").await.len(), 0);
}

/// Beyond the cases (the original accepts it): a leaked table is no set of keys.
pub(crate) async fn a_stored_digest_is_no_token(ground: &Ground) {
    let tokens = accepting(ground);
    let pair = tokens.open_session(&ground.alice).await.unwrap();
    let stored = (digest(&pair.access.token), digest(refresh_of(&pair)));
    for to_case in [str::to_lowercase, str::to_uppercase] {
        let (access, refresh) = (to_case(stored.0.as_str()), to_case(stored.1.as_str()));
        let (access, refresh) = (PlainToken::new(access), PlainToken::new(refresh));
        assert_eq!(ground.read(&tokens, &access).await, Err(Refusal::Unknown));
        assert_eq!(
            ground.rotate(&tokens, &refresh).await.unwrap_err(),
            Refusal::Unknown
        );
        assert_eq!(
            ground.refresh(&tokens, &refresh).await.unwrap_err(),
            Refusal::Unknown
        );
        assert_eq!(
            tokens.destroy_token(&access, &ground.alice).await.unwrap(),
            EndOutcome::AlreadyEnded
        );
        let ended = tokens.end_session_of(&refresh).await.unwrap();
        assert_eq!(ended, EndOutcome::AlreadyEnded);
    }
    assert_eq!(
        ground.read(&tokens, &pair.access.token).await,
        Ok(ground.alice.id)
    );
    assert!(ground.refresh(&tokens, refresh_of(&pair)).await.is_ok());
}

pub(crate) async fn plaintext_ages_like_any_row(ground: &Ground) {
    with_rows(ground).await;
    let tokens = accepting(ground);
    ground.clock.advance(ACCESS - TICK);
    assert_eq!(ground.read(&tokens, &access()).await, Ok(ground.alice.id));
    ground.clock.advance(TICK);
    assert_eq!(ground.read(&tokens, &access()).await, Err(Refusal::Expired));
    ground.clock.advance(REFRESH - ACCESS);
    assert_eq!(
        ground.refresh(&tokens, &refresh()).await.unwrap_err(),
        Refusal::Expired
    );
    assert_eq!(tokens.cleanup_expired(10, &mut |_| ()).await.unwrap(), 2);
}

/// Conformance case 068: one warning when the switch is thrown, none for each request.
#[tokio::test]
async fn one_warning_and_no_more() {
    log::listen();
    let ground = Ground::new(Kind::Sqlite).await;
    with_rows(&ground).await;
    let warnings = || {
        log::of_this_thread()
            .iter()
            .filter(|line| line.contains("WARN"))
            .count()
    };
    ground.tokens(Profile::LitestarAuth);
    assert_eq!(warnings(), 0, "the switch is off");
    let tokens = accepting(&ground);
    for _ in 0..3 {
        assert_eq!(
            ground.read(&tokens.clone(), &access()).await,
            Ok(ground.alice.id)
        );
    }
    ground.refresh(&tokens, &refresh()).await.unwrap();
    assert_eq!(warnings(), 1);
    let lines = log::of_this_thread();
    assert!(lines.iter().any(|line| line.contains("WARN") && line.contains("db_tokens_accept_legacy_plaintext")));
}
