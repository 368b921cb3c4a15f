//! How Redis is reached: one server, a cluster, or the master that Sentinels name.

mod cluster;
mod error;
mod hello;
mod inspect;
mod link;
mod mark;
mod script;
mod sentinel;
mod symptom;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, ErrorKind, FromRedisValue, ServerErrorKind, Value};
use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use self::error::Trouble;
use self::link::{Link, Loss, Place, Target};
use crate::error::{ConfigError, Failure};
use crate::renewing::{Renewing, UrlSource};
use crate::slot::Slot;
use crate::symptom::Symptom;

pub use inspect::{Persistence, RedisNode};
pub use mark::RedisMark;
pub(crate) use script::Script;

/// The part that failures name.
pub(crate) const PART: &str = "redis";

/// Settings of a Redis handle.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// How long one operation may take, waiting for a connection included; then Redis counts as unavailable.
    pub timeout: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(1) }
    }
}

/// A handle on one Redis server (7.0 or newer, or Valkey), one Redis Cluster, or the master that Sentinels watch. Clones share
/// its connections.
///
/// | URL | where |
/// |---|---|
/// | `redis://user:password@host:6379/0` | one server |
/// | `rediss://host:6379` | one server, by TLS: its certificate must be for this host, from an authority of the operating system, or of the PEM file that `?sslrootcert=` names |
/// | `unix:///path/to/socket` | one server on this machine |
/// | several of the first two, separated by commas | nodes of a cluster; the others are found through them. One that turns out to be a node of a cluster is enough |
/// | `redis+sentinel://user:password@host:26379,host:26379/name/0` | the master that these Sentinels call `name`; user and password are for the master, those for the Sentinels follow as `?sentinel_username=` and `&sentinel_password=`. `rediss+sentinel://` speaks TLS to all of them |
///
/// All callers share one connection to each node. It is made when the first command comes, so that a server which is
/// down doesn't stop a start, and it comes back by itself.
///
/// **Outages.** An operation ends within [`RedisOptions::timeout`]. What is sent to Redis is such that sending it twice
/// does it once, so a command whose connection breaks is sent once more on another. A server that is loading its data,
/// out of memory, a replica, or without quorum is unavailable, never an answer (promise P6). On a cluster, commands
/// follow slots that move and masters that are replaced, those that fell silent as well as those that are gone. With
/// Sentinels, whoever is the master is asked for anew whenever a connection is lost or turns out to lead to a replica.
///
/// ```
/// use countersign::redis::{Redis, RedisOptions};
///
/// let one = Redis::connect("redis://app:secret@localhost:6379/0", RedisOptions::default())?;
/// assert!(!one.is_cluster());
/// let many = Redis::connect("redis://node-1:6379,redis://node-2:6379", RedisOptions::default())?;
/// assert!(many.is_cluster());
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    target: Renewing<Target>,
    timeout: Duration,
    slot: Slot<Link>,
    /// Held by the one who makes another connection while there is one.
    renewal: Arc<Mutex<()>>,
}

impl Redis {
    /// Prepares to talk to the server or the cluster at `url`. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ConfigError`] that names `redis_url` when the URL can't work; it never shows the password.
    #[expect(clippy::needless_pass_by_value, reason = "settings are made for one handle, and given away with it")]
    pub fn connect(url: &str, options: RedisOptions) -> Result<Self, ConfigError> {
        Self::over(url, &options, None)
    }

    /// Prepares like [`connect`](Self::connect), and reads the URL again from `source` when Redis refuses user or password: a
    /// password that is replaced while we run is then used without a restart. What is one server stays one server.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    #[expect(clippy::needless_pass_by_value, reason = "settings are made for one handle, and given away with it")]
    pub fn connect_renewing(url: &str, options: RedisOptions, source: UrlSource) -> Result<Self, ConfigError> {
        Self::over(url, &options, Some(source))
    }

    fn over(url: &str, options: &RedisOptions, source: Option<UrlSource>) -> Result<Self, ConfigError> {
        let timeout = options.timeout;
        let make = move |url: &str| Target::new(url::Parsed::parse(url)?, timeout);
        let target = Renewing::new(PART, url, source, make)?;
        let (slot, renewal) = (Slot::default(), Arc::default());
        Ok(Self { inner: Arc::new(Inner { target, timeout: options.timeout, slot, renewal }) })
    }

    /// Returns whether this is a cluster. Where the URL names one server, that is known after the first connection.
    pub fn is_cluster(&self) -> bool {
        self.inner.target.current().is_cluster()
    }

    /// Asks whether every part of it answers: the server, or on a cluster a master for every slot. There it's three
    /// questions after each other, each within the timeout, and a user who may not read just any key isn't told of a
    /// master that is missing.
    ///
    /// # Errors
    /// [`Failure`] when one doesn't.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.on_masters(&::redis::cmd("PING")).await.map(|_| ())
    }

    /// Runs a command that may be run twice, and reads its answer.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        self.answer(command).await?.map_err(Trouble::into_failure)
    }

    /// Like [`run`](Self::run), with Redis's complaint that the key holds another type of value as `None`.
    pub(crate) async fn run_typed<T: FromRedisValue>(&self, command: &Cmd) -> Result<Option<T>, Failure> {
        match self.answer(command).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(trouble) if trouble.is_wrong_type() => Ok(None),
            Err(trouble) => Err(trouble.into_failure()),
        }
    }

    /// Runs a script that may be run twice. One that Redis has forgotten is sent whole.
    pub(crate) async fn eval<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[Vec<u8>],
    ) -> Result<T, Failure> {
        match self.answer(&script.by_hash(keys, args)).await? {
            Err(trouble) if trouble.is(ServerErrorKind::NoScript) => self.run(&script.whole(keys, args)).await,
            outcome => outcome.map_err(Trouble::into_failure),
        }
    }

    /// The values of string keys; a key that is missing or holds another type has none. On a cluster each key is asked for
    /// by itself: then each finds its way where nodes have changed, which the client doesn't see to for several at once.
    pub(crate) async fn get_each(&self, keys: impl Iterator<Item = String>) -> Result<Vec<Option<Vec<u8>>>, Failure> {
        if !self.is_cluster() {
            return self.run(::redis::cmd("MGET").arg(keys.collect::<Vec<_>>())).await;
        }
        let get = async |key: String| self.run::<Vec<Option<Vec<u8>>>>(::redis::cmd("MGET").arg(key)).await;
        Ok(try_join_all(keys.map(get)).await?.concat())
    }

    /// Runs a command on the server, or on every master of the cluster; the answers with the nodes they come from.
    pub(crate) async fn on_masters(&self, command: &Cmd) -> Result<Vec<(String, Value)>, Failure> {
        if self.inner.slot.live(|_| true).is_none() {
            let deadline = Instant::now() + self.inner.timeout;
            Box::pin(self.open(deadline)).await.map_err(Trouble::into_failure)?;
        }
        if !self.is_cluster() {
            return Ok(vec![(String::new(), self.run(command).await?)]);
        }
        let slots = self.run(::redis::cmd("CLUSTER").arg("SLOTS")).await?;
        let masters = cluster::masters(&slots)
            .ok_or_else(|| Failure::unavailable(PART, "there are slots of the cluster that no master has"))?;
        let ask = async |master: cluster::Master| Ok((master.address, self.run_beside(&master.key, command).await?));
        try_join_all(masters.into_iter().map(ask)).await
    }

    /// Runs a command that names no key where `key` is, and reads its answer.
    pub(crate) async fn run_beside<T: FromRedisValue>(&self, key: &str, command: &Cmd) -> Result<T, Failure> {
        if self.is_cluster() {
            // The client sends what has no key to any node where it can't reach the right one; with a key it waits, and
            // gets to know the way.
            let there = self.answer::<Value>(::redis::cmd("EXISTS").arg(key)).await?;
            there.or_else(Trouble::unless_forbidden).map_err(Trouble::into_failure)?;
        }
        read(self.attempts(command, Place::Beside(key)).await.map_err(Trouble::into_failure)?)
    }

    async fn answer<T: FromRedisValue>(&self, command: &Cmd) -> Result<Result<T, Trouble>, Failure> {
        match self.attempts(command, Place::OfKey).await {
            Ok(value) => read(value).map(Ok),
            Err(trouble) => Ok(Err(trouble)),
        }
    }

    async fn attempts(&self, command: &Cmd, place: Place<'_>) -> Result<Value, Trouble> {
        let deadline = Instant::now() + self.inner.timeout;
        let generation = self.inner.target.generation();
        // Boxed, as all that is rare here, so that what is common stays small.
        let outcome = match self.attempt(deadline, command, place).await {
            Err(Trouble::Said(error)) if self.inner.target.current().is_worth_another(&error) => {
                Box::pin(self.attempt(deadline, command, place)).await
            }
            outcome => outcome,
        };
        match outcome {
            Err(trouble) if trouble.symptom() == Some(Symptom::Credentials) && self.renewed(generation) => {
                Box::pin(self.attempt(deadline, command, place)).await
            }
            outcome => outcome,
        }
    }

    /// Whether there are another user and password than at `generation`; then the connection of the old ones is forgotten.
    fn renewed(&self, generation: u64) -> bool {
        let inner = &*self.inner;
        let renewed = inner.target.renew(generation);
        if let Some(link) = inner.slot.live(|_| renewed) {
            inner.slot.discard(&link);
        }
        renewed
    }

    async fn attempt(&self, deadline: Instant, command: &Cmd, place: Place<'_>) -> Result<Value, Trouble> {
        let inner = &*self.inner;
        let link = match inner.slot.live(|_| true) {
            Some(link) => link,
            None => Box::pin(self.open(deadline)).await?,
        };
        let before = link.answered();
        let result = self.in_time(deadline, Box::pin(link.send(command, place))).await;
        if let Err(trouble) = &result {
            match inner.target.current().loss(trouble, link.answered() != before) {
                Loss::Nothing => {}
                Loss::Part => self.renew(link, place.key(command)),
                Loss::Whole => inner.slot.discard(&link),
            }
        }
        result
    }

    /// Has the connection replaced in the background if on a new one somebody answers for this key, where nobody did.
    /// Until then all others go on with the old one. One attempt is under way at a time.
    fn renew(&self, link: Arc<Link>, key: Vec<u8>) {
        let inner = Arc::clone(&self.inner);
        let Ok(turn) = Arc::clone(&inner.renewal).try_lock_owned() else { return };
        // Twice the time of a command, since it's two steps.
        let deadline = Instant::now() + inner.timeout.saturating_mul(2);
        tokio::spawn(async move {
            let _turn = turn;
            let renewed = async {
                let new = inner.target.current().connect().await.ok()?;
                new.is_served(&key).await.then_some(new)
            };
            if let Ok(Some(new)) = timeout_at(deadline, renewed).await {
                inner.slot.replace(&link, new);
            }
        });
    }

    async fn open(&self, deadline: Instant) -> Result<Arc<Link>, Trouble> {
        let target = self.inner.target.current();
        let connecting = self.inner.slot.connect(|_| true, target.connect());
        self.in_time(deadline, connecting).await.map_err(Trouble::while_connecting)
    }

    async fn in_time<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, ::redis::RedisError>>,
    ) -> Result<T, Trouble> {
        match timeout_at(deadline, work).await {
            Ok(result) => result.map_err(Trouble::Said),
            Err(_) => Err(Trouble::Silence(self.inner.timeout)),
        }
    }
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, Failure> {
    let unexpected = |_| Failure::internal(PART, "an answer has another type than its command gives");
    T::from_redis_value(value).map_err(unexpected)
}

/// A prefix of keys that can be told apart from what follows it, in logs as well.
pub(crate) fn checked_prefix(prefix: &str) -> Result<&str, ConfigError> {
    let fits = (1..=128).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_graphic());
    let problem = "must be 1 to 128 printable ASCII characters, without spaces";
    if fits { Ok(prefix) } else { Err(ConfigError::new("key_prefix", problem, "use one like `myapp:token:`")) }
}

/// Whether what the server says is about a connection that is of no use any more.
fn is_broken(error: &::redis::RedisError) -> bool {
    error.is_unrecoverable_error() || error.is_io_error() || error.kind() == ErrorKind::ClusterConnectionNotFound
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("cluster", &self.is_cluster())
            .field("timeout", &self.inner.timeout)
            .finish_non_exhaustive()
    }
}
