//! Tokens and sessions that end before their time.

use countersign::denylist::{DenylistStore, MemoryDenylist, SqlDenylist};
use countersign::strategy::{RefreshableStrategy, SessionControl, Strategy, TokenControl};
use countersign::token::{EndOutcome, Invalidated};
use countersign::{PlainToken, Profile, Refusal};

use crate::database_strategy::ground::{
    Ground, Member, PROFILES, Tokens, refresh_of, some_session,
};

async fn invalidate(tokens: &Tokens, member: &Member) -> Invalidated {
    tokens.invalidate_all(&member.key()).await.unwrap()
}

async fn end_of(tokens: &Tokens, refresh: &PlainToken) -> EndOutcome {
    tokens.end_session_of(refresh).await.unwrap()
}

/// Conformance cases 032 and 033.
pub(crate) async fn destroying_one_leaves_the_others(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let [one, other] = [
            tokens.write_token(&ground.alice).await,
            tokens.write_token(&ground.alice).await,
        ];
        let (one, other) = (one.unwrap().token, other.unwrap().token);
        assert_eq!(
            tokens.destroy_token(&one, &ground.alice).await.unwrap(),
            EndOutcome::Ended
        );
        assert_eq!(ground.read(&tokens, &one).await, Err(Refusal::Unknown));
        assert_eq!(ground.read(&tokens, &other).await, Ok(ground.alice.id));
        let unknown = [one, PlainToken::new("access-unknown"), PlainToken::new("")];
        for token in unknown {
            assert_eq!(
                tokens.destroy_token(&token, &ground.alice).await.unwrap(),
                EndOutcome::AlreadyEnded
            );
        }
        assert_eq!(
            end_of(&tokens, &PlainToken::new("refresh-unknown")).await,
            EndOutcome::AlreadyEnded
        );
        assert_eq!(ground.clear(&ground.alice).await, 1);
    }
}

/// Conformance case 034.
pub(crate) async fn destroying_an_access_token_leaves_the_session(ground: &Ground) {
    let tokens = ground.tokens(Profile::Countersign);
    let pair = tokens.open_session(&ground.alice).await.unwrap();
    tokens
        .destroy_token(&pair.access.token, &ground.alice)
        .await
        .unwrap();
    assert_eq!(
        ground.read(&tokens, &pair.access.token).await,
        Err(Refusal::Unknown)
    );
    let next = ground.refresh(&tokens, refresh_of(&pair)).await.unwrap();
    assert_eq!(
        ground.read(&tokens, &next.access.token).await,
        Ok(ground.alice.id)
    );
}

/// Conformance cases 035 and 036.
pub(crate) async fn ending_everything_spares_the_others(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let hers = [
            tokens.open_session(&ground.alice).await.unwrap(),
            tokens.open_session(&ground.alice).await.unwrap(),
        ];
        let alone = tokens.write_token(&ground.alice).await.unwrap().token;
        let his = tokens.open_session(&ground.bob).await.unwrap();
        assert_eq!(ground.store.held(&ground.alice.key()).await, 5);
        assert_eq!(
            invalidate(&tokens, &ground.alice).await,
            Invalidated::All(2),
            "sessions that ended"
        );
        assert_eq!(ground.store.held(&ground.alice.key()).await, 0);
        for pair in &hers {
            assert_eq!(
                ground.read(&tokens, &pair.access.token).await,
                Err(Refusal::Unknown)
            );
            assert_eq!(
                ground.rotate(&tokens, refresh_of(pair)).await.unwrap_err(),
                Refusal::Unknown
            );
        }
        assert_eq!(ground.read(&tokens, &alone).await, Err(Refusal::Unknown));
        assert_eq!(
            ground.read(&tokens, &his.access.token).await,
            Ok(ground.bob.id)
        );
        assert!(ground.rotate(&tokens, refresh_of(&his)).await.is_ok());
        assert_eq!(
            invalidate(&tokens, &ground.alice).await,
            Invalidated::All(0),
            "case 036"
        );
        assert_eq!(ground.clear(&ground.bob).await, 2);
    }
}

/// Beyond the cases (the original lets Bob end Alice's token): a token and a session are ended by their owner.
pub(crate) async fn nobody_ends_what_is_anothers(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let pair = tokens.open_session(&ground.alice).await.unwrap();
        let session = pair.access.session_id.unwrap();
        let nothing = EndOutcome::AlreadyEnded;
        assert_eq!(
            tokens
                .destroy_token(&pair.access.token, &ground.bob)
                .await
                .unwrap(),
            nothing
        );
        let end = async |member: &Member| tokens.end_session(session, &member.key()).await.unwrap();
        assert_eq!(end(&ground.bob).await, nothing);
        assert_eq!(
            ground.read(&tokens, &pair.access.token).await,
            Ok(ground.alice.id)
        );
        let next = ground.refresh(&tokens, refresh_of(&pair)).await.unwrap();

        let unknown = some_session().unwrap();
        let ended = tokens
            .end_session(unknown, &ground.alice.key())
            .await
            .unwrap();
        assert_eq!(ended, nothing);
        assert_eq!(end(&ground.alice).await, EndOutcome::Ended);
        assert_eq!(
            ground.read(&tokens, &next.access.token).await,
            Err(Refusal::Unknown)
        );
        assert_eq!(
            ground.rotate(&tokens, refresh_of(&next)).await.unwrap_err(),
            Refusal::Unknown
        );
        assert_eq!(ground.clear(&ground.alice).await, 0);
    }
}

/// Conformance case 109, for opaque tokens and for the denylist of signed ones in the same database.
pub(crate) async fn revocation_is_as_durable_as_its_store(ground: &Ground) {
    let tokens = ground.tokens(Profile::Countersign);
    let database = ground.database();
    assert_eq!(
        tokens.revocation_is_durable(),
        database.is_some() || ground.on_redis
    );
    match database {
        Some(database) => assert!(SqlDenylist::new(database).is_durable()),
        None => assert!(!MemoryDenylist::default().is_durable()),
    }
}
