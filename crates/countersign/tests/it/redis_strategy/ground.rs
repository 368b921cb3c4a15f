//! What the cases stand on.

use std::sync::Arc;
use std::time::Duration;

use crate::fixture::users::{Account, numbered_users};
use countersign::redis::{Redis, RedisOptions};
use countersign::strategy::Strategy;
use countersign::strategy::{RedisTokenStrategy, RedisTokenStrategyBuilder};
use countersign::testing::ManualClock;
use countersign::token::TokenStatus;
use countersign::{PlainToken, Refusal, Secret};

pub(crate) const SECRET: &str = "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc";
pub(crate) const OTHER_SECRET: &str = "Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA";

pub(crate) type Member = Account<i64>;

pub(crate) const ALICE: Member = Member::of(7);
pub(crate) const BOB: Member = Member::of(8);

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new("token_hash_secret", text).unwrap()
}

pub(crate) fn connect(url: &str) -> Redis {
    Redis::connect(
        url,
        RedisOptions::default().with_timeout(Duration::from_secs(30)),
    )
    .unwrap()
}

/// Strategies under one prefix of the shared server, by a clock that stands still.
pub(crate) struct Ground {
    pub(crate) server: &'static testbed::Redis,
    pub(crate) redis: Redis,
    pub(crate) prefix: String,
    pub(crate) clock: Arc<ManualClock>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let server = testbed::Redis::shared();
        Self {
            server,
            redis: connect(server.url()),
            prefix: server.prefix(),
            clock: Arc::default(),
        }
    }

    pub(crate) fn builder(&self) -> RedisTokenStrategyBuilder<Member> {
        RedisTokenStrategy::builder(&self.redis)
            .token_hash_secret(&secret(SECRET))
            .key_prefix(&self.prefix)
            .clock(self.clock.clone())
    }

    pub(crate) fn strategy(&self) -> RedisTokenStrategy<Member> {
        self.builder().build().unwrap()
    }

    /// The keys under the prefix, without those of users of whom nothing is left but their fence.
    pub(crate) fn keys(&self) -> Vec<String> {
        let listed = self
            .server
            .command(&["--scan", "--pattern", &format!("{}*", self.prefix)]);
        let is_hash = |key: &&str| self.server.command(&["TYPE", key]).trim() == "hash";
        let only_a_fence =
            |key: &&str| is_hash(key) && self.server.command(&["HKEYS", key]).trim() == "e";
        listed
            .lines()
            .filter(|key| !only_a_fence(key))
            .map(str::to_owned)
            .collect()
    }
}

/// Whose token it is.
pub(crate) async fn read(
    strategy: &RedisTokenStrategy<Member>,
    token: &PlainToken,
) -> Result<i64, Refusal> {
    match strategy
        .read_token(Some(token), &numbered_users)
        .await
        .unwrap()
    {
        TokenStatus::Accepted(accepted) => Ok(accepted.user.id),
        TokenStatus::Refused(refusal) => Err(refusal),
        TokenStatus::NotOffered => panic!("it was offered"),
    }
}
