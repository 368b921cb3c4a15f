//! The ring of keys that digest tokens: one is active, others are still accepted.

use countersign::store::TokenStore;
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::token::{DigestKeyRing, EndOutcome};
use countersign::{Profile, Refusal};

use crate::database_strategy::ground::{
    Ground, OTHER_SECRET, PROFILES, SECRET, Tokens, refresh_of, secret,
};

fn ring(active: &str, accepted: &[&str]) -> DigestKeyRing {
    let ring = DigestKeyRing::new("active", &secret(active)).unwrap();
    let ids = ["first", "second"].into_iter().zip(accepted);
    ids.fold(ring, |ring, (id, text)| {
        ring.accept(id, &secret(text)).unwrap()
    })
}

fn under(ground: &Ground, profile: Profile, ring: DigestKeyRing) -> Tokens {
    ground.builder(profile).digest_keys(ring).build().unwrap()
}

pub(crate) async fn an_earlier_key_still_reads(ground: &Ground) {
    for profile in PROFILES {
        let old = under(ground, profile, ring(SECRET, &[]));
        let both = under(ground, profile, ring(OTHER_SECRET, &[SECRET]));
        let pair = old.open_session(&ground.alice).await.unwrap();
        assert_eq!(
            ground.read(&both, &pair.access.token).await,
            Ok(ground.alice.id)
        );
        let next = ground.refresh(&both, refresh_of(&pair)).await.unwrap();

        // What is issued now is stored under the active key alone.
        let new = ring(OTHER_SECRET, &[]);
        let find = |token| new.digest(token).into();
        assert!(
            ground
                .store
                .find_access(&find(&next.access.token))
                .await
                .unwrap()
                .is_some()
        );
        assert!(
            ground
                .store
                .find_refresh(&find(refresh_of(&next)))
                .await
                .unwrap()
                .is_some()
        );
        assert_eq!(
            ground.read(&old, &next.access.token).await,
            Err(Refusal::Unknown)
        );

        assert_eq!(
            both.destroy_token(&pair.access.token, &ground.alice)
                .await
                .unwrap(),
            EndOutcome::Ended
        );
        assert_eq!(
            ground.read(&old, &pair.access.token).await,
            Err(Refusal::Unknown)
        );
        assert_eq!(ground.clear(&ground.alice).await, 2);
    }
}

pub(crate) async fn a_retired_key_refuses(ground: &Ground) {
    for profile in PROFILES {
        let pair = under(ground, profile, ring(SECRET, &[]))
            .open_session(&ground.alice)
            .await
            .unwrap();
        let after = under(ground, profile, ring(OTHER_SECRET, &[]));
        assert_eq!(
            ground.read(&after, &pair.access.token).await,
            Err(Refusal::Unknown)
        );
        assert_eq!(
            ground.refresh(&after, refresh_of(&pair)).await.unwrap_err(),
            Refusal::Unknown
        );
        assert_eq!(
            ground.rotate(&after, refresh_of(&pair)).await.unwrap_err(),
            Refusal::Unknown
        );
        let back = under(ground, profile, ring(OTHER_SECRET, &[SECRET]));
        assert!(ground.refresh(&back, refresh_of(&pair)).await.is_ok());
    }
}
