//! What the tests stand on: accounts, a strategy over a server, and questions to it.

use std::sync::Arc;
use std::time::Duration;

use crate::fixture::users::{Account, users};
use countersign::error::FailureKind;
use countersign::redis::{Redis, RedisOptions};
use countersign::store::TokenStore;
use countersign::strategy::RedisTokenStrategy;
use countersign::strategy::{RefreshableStrategy, Strategy, TokenControl};
use countersign::token::{DigestKeyRing, TokenStatus};
use countersign::{AuthError, Failure, PlainToken, Refusal, ReusePolicy, Secret, TokenPair};

/// A timeout that ends an operation soon, for servers that never answer. A busy machine may keep one that does from
/// answering in it: see [`patiently`].
pub(crate) const SHORT: Duration = Duration::from_millis(400);
/// A timeout that no operation reaches on a server that answers.
pub(crate) const LONG: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) fn connect(url: &str, timeout: Duration) -> Redis {
    Redis::connect(url, RedisOptions::default().with_timeout(timeout)).unwrap()
}

/// All strategies made by the tests share one secret.
pub(crate) fn digests() -> DigestKeyRing {
    DigestKeyRing::new(
        "faults",
        &Secret::new("token_hash_secret", "Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA").unwrap(),
    )
    .unwrap()
}

/// A strategy whose keys begin with `prefix`.
#[derive(Clone)]
pub(crate) struct Ground(Arc<RedisTokenStrategy<Account>>);

impl Ground {
    pub(crate) fn new(redis: &Redis, prefix: &str) -> Self {
        let strategy = RedisTokenStrategy::builder(redis)
            .digest_keys(digests())
            .key_prefix(prefix);
        // A consumed token is known by being refused.
        Self(Arc::new(
            strategy.reuse(ReusePolicy::strict()).build().unwrap(),
        ))
    }

    pub(crate) fn strategy(&self) -> &RedisTokenStrategy<Account> {
        &self.0
    }

    pub(crate) fn refreshable(&self) -> &dyn RefreshableStrategy<Account> {
        self.0.as_refreshable().unwrap()
    }

    pub(crate) async fn open(&self, account: &Account) -> Result<Pair, Failure> {
        self.refreshable()
            .open_session(account)
            .await
            .map(Pair::from)
    }

    /// Whether the access token is good; what can't be asked is a failure.
    pub(crate) async fn accepts(&self, access: &PlainToken) -> Result<bool, Failure> {
        Ok(self
            .0
            .read_token(Some(access), &users)
            .await?
            .accepted()
            .is_some())
    }

    /// Whether the refresh token is good, without exchanging it.
    pub(crate) async fn would_refresh(&self, refresh: &PlainToken) -> Result<bool, Failure> {
        let stored = digests().digest(refresh).into();
        Ok(self
            .0
            .sessions()
            .unwrap()
            .store()
            .find_refresh(&stored)
            .await?
            .is_some())
    }

    /// What an unusable access token is refused as.
    pub(crate) async fn refusal(&self, access: &PlainToken) -> Result<Option<Refusal>, Failure> {
        Ok(match self.0.read_token(Some(access), &users).await? {
            TokenStatus::Refused(refusal) => Some(refusal),
            _ => None,
        })
    }

    /// Every operation on a live pair fails as unavailable: none gives an answer.
    pub(crate) async fn is_unavailable(&self, account: &Account, pair: &Pair) {
        self.reads_are_unavailable(pair).await;
        self.writes_are_unavailable(account, pair).await;
        self.removals_are_unavailable(account, pair).await;
    }

    pub(crate) async fn reads_are_unavailable(&self, pair: &Pair) {
        unavailable("read_token", self.accepts(&pair.access).await);
        unavailable(
            "finding a refresh token",
            self.would_refresh(&pair.refresh).await,
        );
    }

    pub(crate) async fn writes_are_unavailable(&self, account: &Account, pair: &Pair) {
        unavailable("write_token", self.0.write_token(account).await);
        unavailable(
            "open_session",
            self.refreshable().open_session(account).await,
        );
        unavailable(
            "write_refresh_token",
            self.refreshable().write_refresh_token(account).await,
        );
        unavailable(
            "refresh_session",
            answered(
                self.refreshable()
                    .refresh_session(&pair.refresh, &users)
                    .await,
            ),
        );
        let rotated = self
            .refreshable()
            .rotate_refresh_token(&pair.refresh, &users)
            .await;
        unavailable("rotate_refresh_token", answered(rotated));
    }

    /// Only where they are sure not to be done later, since a frozen server does what it finds when it wakes up.
    pub(crate) async fn removals_are_unavailable(&self, account: &Account, pair: &Pair) {
        unavailable(
            "destroy_token",
            self.0.destroy_token(&pair.access, account).await,
        );
        unavailable(
            "end_session_of",
            self.refreshable().end_session_of(&pair.refresh).await,
        );
        unavailable(
            "end_session",
            self.refreshable()
                .end_session(pair.session, &account.key())
                .await,
        );
        unavailable(
            "invalidate_all",
            self.0.invalidate_all(&account.key()).await,
        );
    }

    /// The pair is as good as when it was issued, and everything can be done with it.
    pub(crate) async fn goes_on(&self, account: &Account, pair: &Pair) {
        eventually("reads are answered", || async {
            self.accepts(&pair.access).await.is_ok()
        })
        .await;
        assert!(
            patiently(|| self.accepts(&pair.access)).await,
            "a live access token is refused"
        );
        assert!(
            patiently(|| self.would_refresh(&pair.refresh)).await,
            "a live refresh token is refused"
        );
        eventually("writes are taken", || async {
            self.0.write_token(account).await.is_ok()
        })
        .await;
        let mine = patiently(|| self.open_and_refresh(account)).await;
        assert!(
            !patiently(|| self.would_refresh(&mine.refresh)).await,
            "a consumed refresh token is good"
        );
        let key = account.key();
        patiently(|| self.refreshable().end_session(mine.session, &key)).await;
        assert!(
            !patiently(|| self.accepts(&mine.access)).await,
            "a token outlives its session"
        );
    }

    /// A session of its own, with a refresh token that has been exchanged.
    async fn open_and_refresh(&self, account: &Account) -> Result<Pair, Failure> {
        let mine = self.open(account).await?;
        let refreshed = answered(
            self.refreshable()
                .refresh_session(&mine.refresh, &users)
                .await,
        )?;
        assert!(refreshed.is_some(), "a fresh refresh token is refused");
        Ok(mine)
    }
}

/// An access token and a refresh token of one session.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) access: PlainToken,
    pub(crate) refresh: PlainToken,
    pub(crate) session: countersign::SessionId,
}

impl From<TokenPair> for Pair {
    fn from(pair: TokenPair) -> Self {
        let session = pair.access.session_id.unwrap();
        Self {
            access: pair.access.token,
            refresh: pair.refresh.unwrap().token,
            session,
        }
    }
}

/// The failure, which must be one of Redis and say that the question stays open.
pub(crate) fn unavailable<T>(what: &str, result: Result<T, Failure>) -> Failure {
    let failure = result
        .err()
        .unwrap_or_else(|| panic!("{what} gave an answer"));
    assert_eq!(
        failure.kind(),
        FailureKind::Unavailable,
        "{what}: {}",
        story(&failure)
    );
    failure
}

/// The answer, unless it is a failure; a refusal is an answer as well.
pub(crate) fn answered<T>(result: Result<T, AuthError>) -> Result<Option<T>, Failure> {
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(AuthError::Refused(_)) => Ok(None),
        Err(AuthError::Failed(failure)) => Err(failure),
    }
}

/// All that a failure tells.
pub(crate) fn story(failure: &Failure) -> String {
    let mut story = format!("{failure} {failure:?}");
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        story = format!("{story} {error} {error:?}");
        cause = error.source();
    }
    story
}

/// Those of the keys that fit a pattern that are more than a user's fence.
const LEFT: &str = "local left = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local only_a_fence = redis.call('TYPE', key).ok == 'hash' and redis.call('HLEN', key) == 1 and redis.call('HEXISTS', key, 'e') == 1
  if not only_a_fence then
    left[#left + 1] = key
  end
end
return left";

/// The keys on a server that fit the pattern, without those of users of whom nothing is left but their fence.
pub(crate) fn left(server: &testbed::Redis, pattern: &str) -> Vec<String> {
    let keys = server.command(&["EVAL", LEFT, "0", pattern]);
    keys.lines()
        .filter(|key| !key.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let mut interval = tokio::time::interval(Duration::from_millis(20));
    let waiting = async {
        while !condition().await {
            interval.tick().await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "waited {PATIENCE:?} in vain until {what}"
    );
}

/// The answer to what is asked until it comes: whoever gives up after [`SHORT`] asks again. Any other failure is one.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, Failure>>>(
    mut ask: impl FnMut() -> F,
) -> T {
    let asking = async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(failure) => {
                    let story = story(&failure);
                    assert!(
                        story.contains(&format!("no answer within {SHORT:?}")),
                        "{story}"
                    );
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("an answer comes in time")
}
