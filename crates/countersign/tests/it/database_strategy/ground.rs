//! What a case stands on: an empty store, a clock that stands still, and two members.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use countersign::clock::Clock;
use countersign::session::NotASessionId;
use countersign::store::sql::{Database, DatabaseTokenModels, Driver, Script, SqlStore, Statement};
use countersign::store::{ClearUser, EndUser, Fence, MemoryStore, Page, TokenStore, Value};
use countersign::strategy::{DatabaseTokenStrategy, DatabaseTokenStrategyBuilder};
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::testing::ManualClock;
use countersign::token::{DigestKeyRing, IssuedToken, StoredToken, TokenStatus};
use countersign::user::UserKeyKind;
use countersign::{AuthError, Authenticated, Failure, PlainToken, Profile, Refusal};
use countersign::{Secret, SessionId, SystemEntropy, TokenPair, UserManager};
use uuid::Uuid;

use crate::fixture::databases::{self, Place};
use crate::fixture::stores::Watched;
use crate::fixture::users::Account;

pub(crate) const SECRET: &str = "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc";
pub(crate) const OTHER_SECRET: &str = "Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA";
pub(crate) const PROFILES: [Profile; 2] = [Profile::Countersign, Profile::LitestarAuth];

/// The lives of tokens here: access 15 minutes, idle 1 day, sessions 7 days.
pub(crate) const ACCESS: Duration = Duration::from_mins(15);
pub(crate) const REFRESH: Duration = Duration::from_hours(24);
pub(crate) const SESSION: Duration = Duration::from_hours(7 * 24);

/// How long an exchanged token yields its successor again.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// The least that time moves by.
pub(crate) const TICK: Duration = Duration::from_micros(1);

pub(crate) type Tokens = DatabaseTokenStrategy<Arc<Watched>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "servers are left out where they aren't built in")]
pub(crate) enum Kind {
    Memory,
    Sqlite,
    Postgres,
    MariaDb,
    Redis,
    RedisCluster,
}

pub(crate) type Member = Account;

/// Everybody exists and is active, until said otherwise.
#[derive(Default)]
pub(crate) struct Members {
    pub(crate) inactive: Mutex<HashSet<Uuid>>,
    pub(crate) gone: Mutex<HashSet<Uuid>>,
    pub(crate) asked: AtomicUsize,
}

#[async_trait]
impl UserManager<Member> for Members {
    async fn get(&self, id: &Uuid) -> Result<Option<Member>, Failure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let member = Member {
            active: !self.inactive.lock().unwrap().contains(id),
            ..Member::of(*id)
        };
        Ok((!self.gone.lock().unwrap().contains(id)).then_some(member))
    }
}

pub(crate) struct Ground {
    pub(crate) store: Arc<Watched>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) members: Members,
    pub(crate) alice: Member,
    pub(crate) bob: Member,
    database: Option<(Database, Place)>,
    pub(crate) on_redis: bool,
}

impl Ground {
    pub(crate) async fn new(kind: Kind) -> Self {
        let sql = match kind {
            Kind::Memory | Kind::Redis | Kind::RedisCluster => None,
            Kind::Sqlite => Some(databases::Kind::Sqlite),
            Kind::Postgres => Some(databases::Kind::Postgres),
            Kind::MariaDb => Some(databases::Kind::MariaDb),
        };
        let mut store: Arc<dyn TokenStore> = match kind {
            #[cfg(feature = "redis")]
            Kind::Redis => Arc::new(on_redis(testbed::Redis::shared().url())),
            #[cfg(feature = "redis")]
            Kind::RedisCluster => Arc::new(on_redis(&testbed::RedisCluster::shared().url())),
            _ => Arc::new(MemoryStore::new()),
        };
        let mut database = None;
        if let Some(kind) = sql {
            let place = Place::new(kind);
            let handle = place.migrated().await;
            store = Arc::new(SqlStore::new(
                handle.driver(),
                DatabaseTokenModels::bundled(UserKeyKind::Uuid),
            ));
            database = Some((handle, place));
        }
        Self {
            store: Arc::new(Watched::over(store)),
            clock: Arc::default(),
            members: Members::default(),
            alice: Member::new(0xa11ce),
            bob: Member::new(0xb0b),
            database,
            on_redis: matches!(kind, Kind::Redis | Kind::RedisCluster),
        }
    }

    pub(crate) fn builder(&self, profile: Profile) -> DatabaseTokenStrategyBuilder<Arc<Watched>> {
        DatabaseTokenStrategy::builder(Arc::clone(&self.store))
            .token_hash_secret(&secret(SECRET))
            .max_age(ACCESS)
            .refresh_max_age(REFRESH)
            .session_lifetime((profile == Profile::Countersign).then_some(SESSION))
            .profile(profile)
            .clock(self.clock.clone())
    }

    pub(crate) fn tokens(&self, profile: Profile) -> Tokens {
        self.builder(profile).build().unwrap()
    }

    pub(crate) async fn authenticate(
        &self,
        tokens: &Tokens,
        token: &PlainToken,
    ) -> Result<Authenticated<Member>, Refusal> {
        match tokens.read_token(Some(token), &self.members).await.unwrap() {
            TokenStatus::Accepted(accepted) => Ok(accepted),
            TokenStatus::Refused(refusal) => Err(refusal),
            TokenStatus::NotOffered => panic!("it was offered"),
        }
    }

    /// Whose access token it is.
    pub(crate) async fn read(&self, tokens: &Tokens, token: &PlainToken) -> Result<Uuid, Refusal> {
        self.authenticate(tokens, token)
            .await
            .map(|accepted| accepted.user.id)
    }

    pub(crate) async fn refresh(
        &self,
        tokens: &Tokens,
        token: &PlainToken,
    ) -> Result<TokenPair, Refusal> {
        tokens
            .refresh_session(token, &self.members)
            .await
            .map(|refreshed| refreshed.issued)
            .map_err(refusal)
    }

    /// The user and the successor.
    pub(crate) async fn rotate(
        &self,
        tokens: &Tokens,
        token: &PlainToken,
    ) -> Result<(Uuid, IssuedToken), Refusal> {
        let rotated = tokens
            .rotate_refresh_token(token, &self.members)
            .await
            .map_err(refusal)?;
        Ok((rotated.user.id, rotated.issued))
    }

    /// The database, where there is one.
    pub(crate) fn database(&self) -> Option<&Database> {
        self.database.as_ref().map(|(database, _)| database)
    }

    /// The sessions that have a refresh token.
    pub(crate) async fn sessions(&self, member: &Member) -> Vec<SessionId> {
        let found = self
            .store
            .sessions(
                &member.key(),
                &Page {
                    after: None,
                    limit: 100,
                },
            )
            .await
            .unwrap();
        assert!(found.next.is_none(), "more than a page");
        found.sessions.into_iter().map(|found| found.id).collect()
    }

    /// Removes everything of a member. Returns how many tokens were found before.
    pub(crate) async fn clear(&self, member: &Member) -> u64 {
        let held = self.store.held(&member.key()).await;
        let fence = Fence::generate(&SystemEntropy).unwrap();
        let end = EndUser {
            user: member.key(),
            fence,
            kept: None,
            settled: true,
            now: self.clock.now(),
        };
        self.store.end_user(&end).await.unwrap();
        for unfenced in [true, false] {
            let clear = ClearUser {
                user: member.key(),
                unfenced,
                kept: None,
                rows: 100,
            };
            while self.store.clear(&clear).await.unwrap().more {}
        }
        assert_eq!(
            self.store.held(&member.key()).await,
            0,
            "nothing is found afterwards"
        );
        held
    }

    /// A row of a token as an earlier system stored it: the text itself, and nothing of ours.
    pub(crate) async fn insert_plaintext(&self, table: &str, token: &PlainToken, member: &Member) {
        let (database, _) = self.database.as_ref().expect("a database");
        let insert =
            format!("INSERT INTO {table} (token, created_at, user_id) VALUES (?1, ?2, ?3)");
        let params = [
            Value::from(token.expose()),
            Value::Time(self.clock.now()),
            Value::Uuid(member.id),
        ];
        database
            .run(&Script::new(database.dialect(), &[&insert]), &params)
            .await
            .unwrap();
    }

    /// What a table holds in its column of tokens.
    pub(crate) async fn column_of_tokens(&self, table: &str) -> Vec<String> {
        let (database, _) = self.database.as_ref().expect("a database");
        let all = Statement::new(
            database.dialect(),
            &format!("SELECT token FROM {table} ORDER BY token"),
        );
        let rows = database.fetch(&all, &[]).await.unwrap();
        rows.iter()
            .map(|row| row.text(0).unwrap().unwrap().to_owned())
            .collect()
    }
}

/// Why it was refused.
pub(crate) fn refusal(error: AuthError) -> Refusal {
    match error {
        AuthError::Refused(refusal) => refusal,
        AuthError::Failed(failure) => {
            panic!("{failure}: {:?}", std::error::Error::source(&failure))
        }
    }
}

#[cfg(feature = "redis")]
fn on_redis(url: &str) -> countersign::store::RedisTokenStore {
    use countersign::redis::{Redis, RedisOptions};
    let redis = Redis::connect(
        url,
        RedisOptions::default().with_timeout(Duration::from_secs(30)),
    )
    .unwrap();
    let digests = DigestKeyRing::new("default", &secret(SECRET)).unwrap();
    let store = countersign::store::RedisTokenStore::new(&redis, &digests);
    store
        .with_key_prefix(&testbed::Redis::shared().prefix())
        .unwrap()
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new("token_hash_secret", text).unwrap()
}

pub(crate) fn digest(token: &PlainToken) -> StoredToken {
    DigestKeyRing::new("default", &secret(SECRET))
        .unwrap()
        .digest(token)
        .into()
}

/// The text itself as what a store is asked for.
pub(crate) fn text(token: &PlainToken) -> StoredToken {
    StoredToken::LegacyPlaintext(token.clone())
}

/// The refresh token of a pair.
pub(crate) fn refresh_of(pair: &TokenPair) -> &PlainToken {
    &pair.refresh.as_ref().expect("a refresh token").token
}

pub(crate) fn some_session() -> Result<SessionId, NotASessionId> {
    "11111111-2222-4333-8444-555555555555".parse()
}
