//! An instance of every public type that holds something to hide, as its `Debug` shows it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use countersign::auth::LoginError;
use countersign::auth::{SessionWatcher, UseRecorder};
use countersign::axum::{AuthRoutes, CurrentUser, Guarded, LoginVerdict, RecentLogin, StrictJson};
use countersign::clock::{Clock, SystemClock};
use countersign::denylist::{DenylistStore, MemoryDenylist, SqlDenylist};
use countersign::jwt::{Algorithm, KeyRing, SigningKey};
use countersign::store::sql::{
    AccountChange, Database, DatabaseOptions, DatabaseTokenModels, Migrator, Outcome, SetupError,
    SqlStore, SqliteDriver, SqliteTransaction,
};
use countersign::store::{
    AccessRecord, ClearUser, Consumed, ConsumedToken, EndUser, Fence, JoinedUser, MemoryStore,
    NewAccess, NewRefresh, Observed, Page, Reauthentication, RotateRequest, Row, TokenStore, Used,
    Value,
};
use countersign::strategy::{DatabaseTokenStrategy, JwtStrategy, Login, Sessions};
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::testing::{SeededEntropy, TestCookies, TestSession};
use countersign::token::{Refreshed, TokenStatus};
use countersign::tower::{AuthLayer, Guard};
use countersign::transport::{BearerTransport, CookieTransport, TokenBody, Transport};
use countersign::user::UserKeyKind;
use countersign::{
    AuthError, AuthOutcome, AuthenticationBackend, Authenticator, ClientInfo, ConfigError, Failure,
    Lifetimes,
};
use countersign::{PlainToken, Profile, Secret, Timestamp, User, UserId, UserKey};
use http::HeaderMap;
use tower::Layer;

use crate::redaction::needles::{
    EMAIL, HASH, PASSWORD, People, Person, SECRET, ada, digest, found, of_token, ring, secret,
    signing_secret, standing,
};
use crate::redaction::site::{DOORS, Knock};

/// A guard that lets everybody in.
enum Anyone {}

impl Guard<Person> for Anyone {
    fn allows(_: &Person) -> bool {
        true
    }
}

/// Each type's name and an instance as shown.
type Shown = Vec<(&'static str, String)>;

struct Show(Shown);

impl Show {
    fn of(&mut self, name: &'static str, value: &dyn Debug) {
        self.0.push((name, format!("{value:?} {value:#?}")));
    }
}

/// Everything there is to see, and what must not be in it.
pub(crate) async fn everything() -> (Shown, Vec<String>) {
    let mut show = Show(Vec::new());
    let mut needles = standing();
    needles.extend(["ada-agent", "ada-label", "192.0.2.77"].map(str::to_owned));
    needles.extend(["hunter2-hunter2".to_owned(), "jti-of-a-token".to_owned()]);
    values(&mut show);
    let store = MemoryStore::new();
    let tokens = DatabaseTokenStrategy::builder(store.clone()).digest_keys(ring());
    show.of("DatabaseTokenStrategyBuilder", &tokens);
    let tokens = tokens.build().unwrap();
    let pair = tokens.open_session(&ada()).await.unwrap();
    let refresh = pair.refresh.clone().unwrap().token;
    needles.extend(
        [&pair.access.token, &refresh]
            .into_iter()
            .flat_map(of_token),
    );
    show.of("MemoryStore", &store);
    show.of("Observed", &Observed::new(store.clone()));
    show.of("DatabaseTokenStrategy", &tokens);
    show.of("Sessions", tokens.sessions());
    let answer = tokens
        .read_token(Some(&pair.access.token), &People)
        .await
        .unwrap();
    let accepted = answer.clone().accepted().unwrap();
    show.of("TokenStatus", &answer);
    show.of("Authenticated", &accepted);
    let standing_user = accepted.clone();
    let accepted = Arc::new(accepted);
    show.of("AuthOutcome", &AuthOutcome::Accepted(Arc::clone(&accepted)));
    show.of("CurrentUser", &CurrentUser(Arc::clone(&accepted)));
    let recent: RecentLogin<Person, 300> = RecentLogin {
        authenticated: Arc::clone(&accepted),
        authenticated_at: Timestamp::from_unix_seconds(0),
    };
    show.of("RecentLogin", &recent);
    let mut request = http::Request::new(());
    let outcome = AuthOutcome::Accepted(accepted);
    request.extensions_mut().insert(outcome);
    let mut parts = request.into_parts().0;
    let guarded = Guarded::<Anyone, Person>::from_request_parts(&mut parts, &()).await;
    show.of("Guarded", &guarded.unwrap());
    let recorder = UseRecorder::new(Arc::new(store.clone()));
    recorder.note(&standing_user);
    show.of("UseRecorder", &recorder);
    let watcher = SessionWatcher::new(Arc::new(tokens.clone()), Arc::new(People));
    let live = watcher.watch(&standing_user);
    show.of("SessionWatcher", &(watcher, live));
    records(&mut show, &store, &pair.access.token, &refresh).await;
    let stale = tokens
        .log_in(&ada(), &Login::from(client()))
        .await
        .unwrap()
        .refresh
        .unwrap()
        .token;
    let refreshed = tokens.refresh_session(&stale, &People).await.unwrap();
    let issued = [
        &refreshed.issued.access,
        refreshed.issued.refresh.as_ref().unwrap(),
    ];
    needles.extend(
        issued
            .into_iter()
            .map(|issued| &issued.token)
            .chain([&stale])
            .flat_map(of_token),
    );
    show.of("Refreshed", &refreshed);
    show.of("Refreshed", &Refreshed::new(ada(), ()));
    travel(&mut show, &pair, Arc::new(tokens.clone()));
    let strategy: Arc<dyn Strategy<Person>> = Arc::new(tokens.clone());
    let api = AuthenticationBackend::new("api", BearerTransport, strategy);
    let judge = || async { Ok(Some(ada())) };
    let logged_in = api.log_in(Some(&ada().id), client(), judge).await.unwrap();
    needles.extend(of_token(&logged_in.tokens.access.token));
    show.of("LoggedIn", &logged_in);
    let authenticator = Authenticator::builder(Arc::new(People)).backend(api);
    let session = TestSession::open(&authenticator.build().unwrap(), &ada()).await;
    let session = session.unwrap();
    needles.extend(of_token(&session.tokens().access.token));
    show.of("TestSession", &session);
    let mut cookies = TestCookies::new();
    cookies.set("access=hunter2-hunter2; Path=/");
    show.of("TestCookies", &cookies);
    signed(&mut show, &mut needles).await;
    databases(&mut show).await;
    #[cfg(feature = "redis")]
    redis(&mut show);
    show.of("LoginAttempt", &{
        let knocks = Arc::default();
        crate::redaction::site::knock(&knocks).await;
        let knocks: Vec<Knock> = knocks.lock().unwrap().clone();
        assert!(knocks.len() >= DOORS);
        knocks
    });
    (show.0, needles)
}

fn values(show: &mut Show) {
    let token = PlainToken::new(SECRET);
    show.of("PlainToken", &token);
    show.of("Secret", &secret());
    show.of("DigestKeyRing", &ring());
    show.of("Digest", &ring().digest(&token));
    show.of(
        "StoredToken",
        &[
            digest(&token),
            countersign::token::StoredToken::LegacyPlaintext(token),
        ],
    );
    show.of(
        "UserKey",
        &[
            ada().id().to_key(),
            UserKey::Text(EMAIL.to_owned()),
            UserKey::Int(20_261_124_000),
        ],
    );
    let values = vec![
        Value::from(EMAIL),
        Value::Uuid(ada().id),
        Value::Bytes(HASH.into()),
        Value::from(SECRET),
    ];
    show.of("Value", &values);
    show.of("Row", &Row::new(values.clone()));
    show.of("JoinedUser", &JoinedUser::Row(Row::new(values.clone())));
    show.of("Outcome", &Outcome::of_one_step(1, vec![Row::new(values)]));
    show.of("LoginVerdict", &LoginVerdict::Accepted(ada()));
    show.of("StrictJson", &StrictJson::<_>(ada()));
    show.of("SeededEntropy", &SeededEntropy::new(1_234_567_890_123));
    let weak = Secret::new("token_hash_secret", &SECRET[..31]).unwrap_err();
    show.of("ConfigError", &(weak.to_string(), weak));
    show.of("Failure", &Failure::full("token store"));
    show.of(
        "LoginError",
        &LoginError::from(Failure::full("token store")),
    );
    show.of("AuthError", &AuthError::from(Failure::full("token store")));
    show.of(
        "SetupError",
        &SetupError::from(ConfigError::new(
            "database_url",
            "is not a valid URL",
            "mend it",
        )),
    );
}

async fn records(show: &mut Show, store: &MemoryStore, access: &PlainToken, refresh: &PlainToken) {
    let (user, now) = (ada().id().to_key(), SystemClock.now());
    let found = store.find_refresh(&digest(refresh)).await.unwrap().unwrap();
    let session = found.session.unwrap();
    show.of("RefreshRecord", &found);
    let record: AccessRecord = store.find_access(&digest(access)).await.unwrap().unwrap();
    show.of("AccessRecord", &record);
    let new_access = NewAccess::new(ring().digest(access), user.clone(), now);
    show.of("NewAccess", &new_access);
    show.of(
        "NewRefresh",
        &NewRefresh::new(ring().digest(refresh), ring().digest(refresh), user, now)
            .with_session(session)
            .with_access_expires_at(now)
            .with_client(client()),
    );
    let change = AccountChange {
        statement: "UPDATE member SET password = ?2 WHERE id = ?1",
        params: &[Value::Uuid(ada().id), Value::from(HASH)],
        user: &ada().id().to_key(),
        kept: Some(session),
        fence: Fence::default(),
        settled: true,
        now,
    };
    show.of("AccountChange", &change);
    let owner = ada().id().to_key();
    let end = EndUser {
        user: owner.clone(),
        fence: Fence::default(),
        kept: Some(session),
        settled: true,
        now,
    };
    show.of("EndUser", &end);
    show.of(
        "ClearUser",
        &ClearUser {
            user: owner.clone(),
            unfenced: true,
            kept: Some(session),
            rows: 100,
        },
    );
    show.of(
        "SessionPage",
        &store
            .sessions(
                &owner,
                &Page {
                    after: None,
                    limit: 100,
                },
            )
            .await
            .unwrap(),
    );
    let token = ConsumedToken {
        digest: ring().digest(refresh),
        at: now,
        salt: [0; 16],
    };
    show.of("ConsumedToken", &token);
    let consumed = Consumed::default().and(token);
    show.of("Consumed", &consumed);
    show.of("ClientInfo", &client());
    show.of("Login", &Login::from(client()));
    show.of(
        "Used",
        &Used {
            session,
            user: ada().id().to_key(),
            at: now,
        },
    );
    show.of(
        "Reauthentication",
        &Reauthentication::new(session, ada().id().to_key(), now),
    );
    show.of(
        "SessionRecord",
        &store
            .find_session(session, &ada().id().to_key())
            .await
            .unwrap()
            .unwrap(),
    );
    show.of(
        "RotateRequest",
        &RotateRequest::new(
            countersign::token::StoredToken::LegacyPlaintext(access.clone()),
            ring().digest(refresh),
            ring().digest(refresh),
            session,
            now,
        )
        .with_consumed(consumed)
        .with_access_expires_at(now)
        .with_access(new_access),
    );
}

/// What a login may have come from: as private as its user's name.
fn client() -> ClientInfo {
    ClientInfo::new()
        .with_user_agent("ada-agent")
        .with_label("ada-label")
        .with_ip([192, 0, 2, 77].into())
}

fn travel(show: &mut Show, pair: &countersign::TokenPair, strategy: Arc<dyn Strategy<Person>>) {
    show.of("IssuedToken", &pair.access);
    show.of("TokenPair", pair);
    show.of("TokenBody", &TokenBody::new(pair).unwrap());
    let cookies = CookieTransport::builder(Profile::Countersign)
        .build()
        .unwrap();
    let mut headers = HeaderMap::new();
    cookies.issue(pair, &mut headers).unwrap();
    assert_eq!(headers.len(), 2);
    show.of("http::HeaderMap", &headers);
    let mut headers = HeaderMap::new();
    headers.insert(
        "authorization",
        format!("Bearer {}", pair.access.token.expose())
            .parse()
            .unwrap(),
    );
    show.of("Offered", &BearerTransport.offered(&headers));
    show.of("Candidates", &BearerTransport.candidates(&headers));
    let backend = AuthenticationBackend::new("api", BearerTransport, strategy);
    show.of("AuthenticationBackend", &backend);
    let builder = Authenticator::builder(Arc::new(People)).backend(backend);
    show.of("AuthenticatorBuilder", &builder);
    let authenticator = Arc::new(builder.build().unwrap());
    show.of("Authenticator", &authenticator);
    show.of("Selection", &authenticator.select(&headers));
    show.of("AuthRoutes", &AuthRoutes::new(Arc::clone(&authenticator)));
    let layer = AuthLayer::new(authenticator);
    show.of("AuthLayer", &layer);
    show.of("AuthService", &layer.layer(ada()));
    show.of("RequireAuthLayer", &layer.required());
}

async fn signed(show: &mut Show, needles: &mut Vec<String>) {
    let key = SigningKey::from_secret(Algorithm::Hs256, &signing_secret()).unwrap();
    show.of("SigningKey", &key);
    show.of("VerifyingKey", key.verifying_key());
    let keys = KeyRing::new(key);
    show.of("KeyRing", &keys);
    let lifetimes = Lifetimes::new(Duration::from_mins(15), Duration::from_hours(24)).unwrap();
    let denylist = Arc::new(MemoryDenylist::default());
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let builder = JwtStrategy::<Person>::builder()
        .keys(keys)
        .session_fingerprint_secret(&signing_secret())
        .denylist_store(Arc::clone(&denylist) as Arc<dyn DenylistStore>)
        .sessions(Sessions::new(store, ring(), lifetimes));
    show.of("JwtStrategyBuilder", &builder);
    let strategy = builder.build().unwrap();
    let pair = strategy
        .as_refreshable()
        .unwrap()
        .open_session(&ada())
        .await
        .unwrap();
    needles.extend(
        [&pair.access.token, &pair.refresh.clone().unwrap().token]
            .into_iter()
            .flat_map(of_token),
    );
    strategy
        .destroy_token(&pair.access.token, &ada())
        .await
        .unwrap();
    let now = SystemClock.now();
    denylist
        .deny(
            "jti-of-a-token",
            now.saturating_add(Duration::from_mins(1)),
            now,
        )
        .await
        .unwrap();
    show.of("MemoryDenylist", &denylist);
    show.of("JwtStrategy", &strategy);
    let answer: TokenStatus<Person> = strategy
        .read_token(Some(&pair.access.token), &People)
        .await
        .unwrap();
    show.of("TokenStatus", &answer);
}

async fn databases(show: &mut Show) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.sqlite");
    let options = DatabaseOptions::default();
    let database =
        Database::connect(&format!("sqlite://{}", path.display()), options.clone()).unwrap();
    show.of("Database", &database);
    let migrator = Migrator::new(&database, UserKeyKind::Uuid);
    migrator.run().await.unwrap();
    show.of("Migrator", &migrator);
    show.of(
        "SqlStore",
        &SqlStore::new(
            database.driver(),
            DatabaseTokenModels::bundled(UserKeyKind::Uuid),
        ),
    );
    show.of("SqlDenylist", &SqlDenylist::new(&database));
    show.of("SqliteDriver", &SqliteDriver::in_memory(&options).unwrap());
    let mut connection = rusqlite::Connection::open(&path).unwrap();
    show.of(
        "SqliteTransaction",
        &SqliteTransaction::begin(&mut connection).unwrap(),
    );
    #[cfg(all(feature = "postgres", feature = "mysql"))]
    {
        use countersign::store::sql::{MysqlDriver, PostgresDriver};
        for scheme in ["postgres", "mysql"] {
            let url = format!("{scheme}://ada:hunter2-hunter2@127.0.0.1:1/tokens");
            show.of(
                "Database",
                &Database::connect(&url, options.clone()).unwrap(),
            );
        }
        let url = "postgres://ada:hunter2-hunter2@127.0.0.1:1/tokens";
        show.of(
            "PostgresDriver",
            &PostgresDriver::connect(url, &options).unwrap(),
        );
        let url = "mysql://ada:hunter2-hunter2@127.0.0.1:1/tokens";
        show.of("MysqlDriver", &MysqlDriver::connect(url, &options).unwrap());
    }
    #[cfg(feature = "sqlx-postgres")]
    {
        use countersign::store::sql::{SqlxDriver, sqlx::PgPool};
        let url = "postgres://ada:hunter2-hunter2@127.0.0.1:1/tokens";
        let driver = SqlxDriver::new(PgPool::connect_lazy(url).unwrap());
        show.of("SqlxDriver", &driver);
    }
}

/// Nothing is connected: the handles hide what they were given.
#[cfg(feature = "redis")]
fn redis(show: &mut Show) {
    use countersign::denylist::RedisDenylist;
    use countersign::redis::{Redis, RedisOptions};
    use countersign::store::{OriginalTokens, RedisTokenStore};
    use countersign::strategy::RedisTokenStrategy;
    use countersign::token::Locator;
    let connect = |url: &str| Redis::connect(url, RedisOptions::default()).unwrap();
    let one = connect("redis://ada:hunter2-hunter2@127.0.0.1:1");
    let source =
        countersign::UrlSource::new(|| Some("redis://ada:hunter2-hunter2@a:1".to_owned().into()));
    show.of("UrlSource", &source);
    show.of(
        "Redis",
        &[
            one.clone(),
            connect("redis://ada:hunter2-hunter2@a:1,redis://ada:hunter2-hunter2@b:2"),
        ],
    );
    let store = RedisTokenStore::new(&one, &ring());
    let locator: Locator = store.locator(&ada().id().to_key(), None).unwrap();
    let text = format!("{locator:?}");
    assert!(!text.contains(&locator.to_text()), "{text}");
    show.of("Locator", &locator);
    show.of("RedisTokenStore", &store);
    show.of("RedisDenylist", &RedisDenylist::new(&one));
    show.of(
        "OriginalTokens",
        &OriginalTokens::new(&one, OriginalTokens::KEY_PREFIX).unwrap(),
    );
    for profile in [Profile::Countersign, Profile::LitestarAuth] {
        let builder = RedisTokenStrategy::<Person>::builder(&one)
            .token_hash_secret(&secret())
            .profile(profile);
        show.of("RedisTokenStrategyBuilder", &builder);
        show.of("RedisTokenStrategy", &builder.build().unwrap());
    }
}

#[tokio::test]
async fn no_debug_shows_a_needle() {
    let (shown, needles) = everything().await;
    assert!(needles.iter().any(|needle| needle == PASSWORD));
    for (name, text) in shown {
        let seen = found(&needles, &text);
        assert!(seen.is_empty(), "{name} shows {seen:?}: {text}");
        assert!(
            !text.contains("1234567890123"),
            "{name} shows the seed of all tokens"
        );
        assert!(
            !text.contains("20261124000"),
            "{name} shows a user's number"
        );
    }
}
