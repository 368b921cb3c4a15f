//! Where a race takes place: a store, as two processes see it.

use std::sync::Arc;

use countersign::denylist::SqlDenylist;
use countersign::store::sql::{Database, DatabaseTokenModels, SqlStore};
use countersign::store::{MemoryStore, TokenStore};
use countersign::strategy::{DatabaseTokenStrategy, JwtStrategy, Sessions};
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::token::DigestKeyRing;
use countersign::user::UserKeyKind;
use countersign::{Lifetimes, Secret};

use crate::fixture::databases::{Kind, Place};
use crate::fixture::users::Account;

/// What one process has: a strategy over a handle of its own.
#[derive(Clone)]
pub(crate) struct Process(Arc<dyn Strategy<Account>>);

impl Process {
    pub(crate) fn sessions(&self) -> &dyn RefreshableStrategy<Account> {
        self.0.as_refreshable().expect("a strategy with sessions")
    }
}

pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) processes: Arc<[Process]>,
    _place: Option<Place>,
}

impl Site {
    pub(crate) async fn memory() -> Self {
        let store = MemoryStore::new();
        let processes: [Process; 2] = std::array::from_fn(|_| opaque(store.clone()));
        std::future::ready(Self {
            name: "memory",
            processes: processes.into(),
            _place: None,
        })
        .await
    }

    pub(crate) async fn sql(name: &'static str, kind: Kind) -> Self {
        Self::of(name, kind, |database| opaque(store(database))).await
    }

    /// Signed access tokens, with a denylist in the same database.
    pub(crate) async fn signed(name: &'static str, kind: Kind) -> Self {
        Self::of(name, kind, |database| {
            let lifetimes = Lifetimes::new(MINUTE * 15, MINUTE * 60 * 24).unwrap();
            let store: Arc<dyn TokenStore> = Arc::new(store(database));
            let strategy = JwtStrategy::builder()
                .secret(&Secret::new("secret", "Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA").unwrap())
                .denylist_store(Arc::new(SqlDenylist::new(database)))
                .sessions(Sessions::new(store, digests(), lifetimes));
            Process(Arc::new(strategy.build().unwrap()))
        })
        .await
    }

    async fn of(name: &'static str, kind: Kind, process: impl Fn(&Database) -> Process) -> Self {
        let place = Place::new(kind);
        let processes = [process(&place.migrated().await), process(&place.database())];
        Self {
            name,
            processes: processes.into(),
            _place: Some(place),
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) async fn redis(name: &'static str, url: &str) -> Self {
        let prefix = testbed::Redis::shared().prefix();
        let processes: [Process; 2] = std::array::from_fn(|_| opaque(on_redis(url, &prefix)));
        std::future::ready(Self {
            name,
            processes: processes.into(),
            _place: None,
        })
        .await
    }
}

const MINUTE: std::time::Duration = std::time::Duration::from_mins(1);

pub(crate) fn store(database: &Database) -> SqlStore {
    SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(UserKeyKind::Uuid),
    )
}

#[cfg(feature = "redis")]
pub(crate) fn on_redis(url: &str, prefix: &str) -> countersign::store::RedisTokenStore {
    use countersign::redis::{Redis, RedisOptions};
    let redis = Redis::connect(url, RedisOptions::default().with_timeout(MINUTE / 2)).unwrap();
    countersign::store::RedisTokenStore::new(&redis, &digests())
        .with_key_prefix(prefix)
        .unwrap()
}

fn opaque(store: impl TokenStore + 'static) -> Process {
    Process(Arc::new(
        DatabaseTokenStrategy::builder(store)
            .digest_keys(digests())
            .build()
            .unwrap(),
    ))
}

pub(crate) fn digests() -> DigestKeyRing {
    DigestKeyRing::new("default", &secret()).unwrap()
}

fn secret() -> Secret {
    Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap()
}
