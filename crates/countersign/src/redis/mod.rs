//! Connections to Redis: one server, a cluster, or the master that Sentinels name.
//!
//! [`Redis`] is the handle that an application makes from a URL.
//! [`RedisTokenStore`](crate::store::RedisTokenStore) and
//! [`RedisDenylist`](crate::denylist::RedisDenylist) take it. [`Redis::inspect`] tells whether a
//! server is set up in a way that keeps revocations, and [`Redis::leave_mark`] helps to recognise a
//! Redis that lost its data.

mod cluster;
mod error;
mod hello;
mod inspect;
mod mark;
mod one_connection;
mod script;
mod sentinel;
mod server_connection;
mod symptom;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, FromRedisValue, ServerErrorKind, Value};
use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use self::error::{PART, Trouble};
use self::server_connection::{ConnectionLoss, ServerConnection, Target, TargetNode};
use crate::error::{ConfigError, Failure, Symptom};
use crate::net::{Renewing, SharedConnection, UrlSource};

pub use inspect::{Persistence, RedisNode};
pub use mark::RedisMark;
pub(crate) use script::Script;

/// The settings of a [`Redis`] handle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedisOptions {
    /// The longest time that one operation may take, including the time to connect. Defaults to one
    /// second.
    ///
    /// An operation that takes longer is a [`Failure`] of the kind
    /// [`Unavailable`](crate::error::FailureKind::Unavailable). It isn't known then if Redis
    /// executed the command.
    pub timeout: Duration,
}

impl RedisOptions {
    /// Sets the longest time that one operation may take.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
        }
    }
}

/// A handle on one Redis server (7.0 or newer, or Valkey), one Redis Cluster, or the master that
/// Sentinels watch.
///
/// Handles are cheap to clone, and clones share their connections. All callers share one connection
/// to each node. It is made for the first command, so a server that is down doesn't stop a start,
/// and it is made again after it broke.
///
/// # URLs
///
/// - `redis://user:password@host:6379/0`: one server, and its database.
/// - `rediss://host:6379`: one server over TLS. Its certificate must be for this host. It must come
///   from an authority that the operating system trusts, or from the PEM file that the parameter
///   `?sslrootcert=` names.
/// - `unix:///path/to/socket`: one server on this machine.
/// - `redis://node-1:6379,redis://node-2:6379`, also with `rediss`: nodes of a cluster. The other
///   nodes are found through them. The URL of one node is enough: a server that says it is a node
///   of a cluster is used as one.
/// - `redis+sentinel://user:password@host:26379,host:26379/name/0`: the master that these Sentinels
///   call `name`, and its database. User and password are those of the master. Those of the
///   Sentinels follow as `?sentinel_username=` and `&sentinel_password=`. The scheme
///   `rediss+sentinel` uses TLS to all of them.
///
/// Special characters in a user or a password are percent-encoded.
///
/// # Outages
///
/// An operation ends within [`RedisOptions::timeout`]. Every command that this crate sends has the
/// same effect if it is sent twice, so a command whose connection broke is sent once more on a new
/// connection.
///
/// A server that is loading its data, out of memory, a replica, or without a quorum is
/// [`Unavailable`](crate::error::FailureKind::Unavailable). It is never taken for an answer.
///
/// On a cluster, commands follow slots that move and masters that are replaced, whether the former
/// master is gone or just doesn't answer. With Sentinels, they are asked for the master again
/// whenever a connection is lost or turns out to lead to a replica.
///
/// # Examples
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

/// The state that clones of a handle share.
struct Inner {
    target: Renewing<Target>,
    timeout: Duration,
    slot: SharedConnection<ServerConnection>,
    /// The turn to make another connection while the present one is still in use.
    renewal: Arc<Mutex<()>>,
}

impl Redis {
    /// Creates a handle for the server or the cluster at `url`, without connecting.
    ///
    /// Call [`ping`](Self::ping) afterwards to learn at the start whether Redis answers.
    ///
    /// # Errors
    /// [`ConfigError`] that names `redis_url` if the URL can't work, or if its certificate file
    /// can't be read. The error never shows the password.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "settings are made for one handle, and given away with it"
    )]
    pub fn connect(url: &str, options: RedisOptions) -> Result<Self, ConfigError> {
        Self::over(url, &options, None)
    }

    /// Creates a handle like [`connect`](Self::connect), and reads the URL again from `source` when
    /// Redis refuses the user or the password.
    ///
    /// A password that is replaced while the process runs is then used without a restart. The
    /// refused operation is repeated with it.
    ///
    /// # Errors
    /// [`ConfigError`] as for [`connect`](Self::connect). A later URL that can't work is logged,
    /// and the present one stays in use.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "settings are made for one handle, and given away with it"
    )]
    pub fn connect_renewing(
        url: &str,
        options: RedisOptions,
        source: UrlSource,
    ) -> Result<Self, ConfigError> {
        Self::over(url, &options, Some(source))
    }

    /// Creates the handle. The URL is parsed now, and again for each URL that the source reads.
    fn over(
        url: &str,
        options: &RedisOptions,
        source: Option<UrlSource>,
    ) -> Result<Self, ConfigError> {
        let timeout = options.timeout;
        let target = Renewing::new(PART, url, source, move |url: &str| {
            Target::new(url::Parsed::parse(url)?, timeout)
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                target,
                timeout,
                slot: SharedConnection::default(),
                renewal: Arc::default(),
            }),
        })
    }

    /// Returns `true` if this is a cluster.
    ///
    /// If the URL names one server, that is known only after the first connection. Until then the
    /// answer is `false`.
    pub fn is_cluster(&self) -> bool {
        self.inner.target.current().is_cluster()
    }

    /// Checks that Redis answers: the server, or on a cluster one master for each slot.
    ///
    /// On a cluster this takes up to three steps one after another (the slots, then a key and
    /// `PING` at each master), and each may take the [timeout](RedisOptions::timeout). A user whose
    /// rights don't cover arbitrary keys doesn't notice a master that is missing.
    ///
    /// # Errors
    /// [`Failure`] if the server or one of the masters doesn't answer, or if a slot has no master.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.on_masters(&::redis::cmd("PING")).await.map(|_| ())
    }

    /// Runs a command and converts its answer. The command must have the same effect if it is run
    /// twice.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        self.answer(command).await?.map_err(Trouble::into_failure)
    }

    /// Runs a command like [`run`](Self::run), and returns `None` if the key holds another type of
    /// value.
    pub(crate) async fn run_typed<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<Option<T>, Failure> {
        match self.answer(command).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(trouble) if trouble.is_wrong_type() => Ok(None),
            Err(trouble) => Err(trouble.into_failure()),
        }
    }

    /// Runs a script and converts its answer. The script must have the same effect if it is run
    /// twice.
    ///
    /// The script is called by its hash. If Redis doesn't know it, because it was restarted or is
    /// another node, the whole text is sent.
    pub(crate) async fn eval<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[Vec<u8>],
    ) -> Result<T, Failure> {
        match self.answer(&script.by_hash(keys, args)).await? {
            Err(trouble) if trouble.is(ServerErrorKind::NoScript) => {
                self.run(&script.whole(keys, args)).await
            }
            outcome => outcome.map_err(Trouble::into_failure),
        }
    }

    /// Returns the values of string keys, in their order. A key that is missing or holds another
    /// type has `None`.
    pub(crate) async fn get_each(
        &self,
        keys: impl Iterator<Item = String>,
    ) -> Result<Vec<Option<Vec<u8>>>, Failure> {
        if !self.is_cluster() {
            return self
                .run(::redis::cmd("MGET").arg(keys.collect::<Vec<_>>()))
                .await;
        }
        // On a cluster each key is a command of its own. The client follows moved slots for a
        // command with one key only: one with several keys fails as a whole after nodes have
        // changed.
        Ok(try_join_all(keys.map(|key| self.get_one(key)))
            .await?
            .concat())
    }

    /// Returns the value of one string key, in a list of its own.
    async fn get_one(&self, key: String) -> Result<Vec<Option<Vec<u8>>>, Failure> {
        self.run(::redis::cmd("MGET").arg(key)).await
    }

    /// Runs a command on the server, or on every master of the cluster, and returns each answer
    /// with the node's address.
    ///
    /// The address of a single server is empty.
    pub(crate) async fn on_masters(&self, command: &Cmd) -> Result<Vec<(String, Value)>, Failure> {
        // A URL with one server may lead to a cluster, which is known once there is a connection.
        if self.inner.slot.live(|_| true).is_none() {
            let deadline = Instant::now() + self.inner.timeout;
            Box::pin(self.open(deadline))
                .await
                .map_err(Trouble::into_failure)?;
        }

        if !self.is_cluster() {
            return Ok(vec![(String::new(), self.run(command).await?)]);
        }
        let slots = self.run(::redis::cmd("CLUSTER").arg("SLOTS")).await?;
        let masters = cluster::masters(&slots)
            .ok_or_else(|| Failure::unavailable(PART, "the cluster has slots without a master"))?;
        let answers = masters
            .into_iter()
            .map(|master| self.on_master(master, command));
        try_join_all(answers).await
    }

    /// Runs a command on one master of the cluster, and returns the answer with the node's address.
    async fn on_master(
        &self,
        master: cluster::Master,
        command: &Cmd,
    ) -> Result<(String, Value), Failure> {
        let answer = self.run_beside(&master.key, command).await?;
        Ok((master.address, answer))
    }

    /// Runs a command without keys on the node that has `key`, and converts its answer.
    pub(crate) async fn run_beside<T: FromRedisValue>(
        &self,
        key: &str,
        command: &Cmd,
    ) -> Result<T, Failure> {
        if self.is_cluster() {
            // The client sends a command without keys to any node if it can't reach the right one.
            // For a command with a key it waits and learns the way, so such a command goes first.
            let there = self
                .answer::<Value>(::redis::cmd("EXISTS").arg(key))
                .await?;
            there
                .or_else(Trouble::unless_forbidden)
                .map_err(Trouble::into_failure)?;
        }

        read(
            self.attempts(command, TargetNode::Beside(key))
                .await
                .map_err(Trouble::into_failure)?,
        )
    }

    /// Runs a command. The outer error is an answer of the wrong type, the inner one everything
    /// else.
    async fn answer<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<Result<T, Trouble>, Failure> {
        match self.attempts(command, TargetNode::OfKey).await {
            Ok(value) => read(value).map(Ok),
            Err(trouble) => Ok(Err(trouble)),
        }
    }

    /// Runs a command, and once more if another connection or another password may help.
    async fn attempts(&self, command: &Cmd, place: TargetNode<'_>) -> Result<Value, Trouble> {
        let deadline = Instant::now() + self.inner.timeout;
        let generation = self.inner.target.generation();
        // The rare paths are boxed, so that the future of the common one stays small.
        let outcome = match self.attempt(deadline, command, place).await {
            Err(Trouble::Reported(error))
                if self.inner.target.current().is_worth_another(&error) =>
            {
                Box::pin(self.attempt(deadline, command, place)).await
            }
            outcome => outcome,
        };

        match outcome {
            Err(trouble)
                if trouble.symptom() == Some(Symptom::Credentials) && self.renewed(generation) =>
            {
                Box::pin(self.attempt(deadline, command, place)).await
            }
            outcome => outcome,
        }
    }

    /// Returns `true` if the URL was replaced since `generation`. The connection of the former user
    /// is discarded then.
    fn renewed(&self, generation: u64) -> bool {
        let inner = &*self.inner;
        let renewed = inner.target.renew(generation);
        if let Some(link) = inner.slot.live(|_| renewed) {
            inner.slot.discard(&link);
        }
        renewed
    }

    /// Runs a command once, and discards or replaces the connection if it is lost.
    async fn attempt(
        &self,
        deadline: Instant,
        command: &Cmd,
        place: TargetNode<'_>,
    ) -> Result<Value, Trouble> {
        let inner = &*self.inner;
        let link = match inner.slot.live(|_| true) {
            Some(link) => link,
            None => Box::pin(self.open(deadline)).await?,
        };
        let before = link.answered();
        let result = self
            .in_time(deadline, Box::pin(link.send(command, place)))
            .await;

        if let Err(trouble) = &result {
            match inner
                .target
                .current()
                .loss(trouble, link.answered() != before)
            {
                ConnectionLoss::Nothing => {}
                ConnectionLoss::Part => self.renew(link, place.key(command)),
                ConnectionLoss::Whole => inner.slot.discard(&link),
            }
        }
        result
    }

    /// Tries a new connection in the background, and swaps it in if the node that owns `key`
    /// answers there.
    ///
    /// All other callers go on with the old connection until then. One such attempt runs at a time.
    fn renew(&self, link: Arc<ServerConnection>, key: Vec<u8>) {
        let inner = Arc::clone(&self.inner);
        let Ok(turn) = Arc::clone(&inner.renewal).try_lock_owned() else {
            return;
        };
        // Two steps, connecting and asking, each with the time of one command.
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

    /// Returns the connection, and connects if there is none.
    async fn open(&self, deadline: Instant) -> Result<Arc<ServerConnection>, Trouble> {
        let target = self.inner.target.current();
        let connecting = self.inner.slot.connect(|_| true, target.connect());
        self.in_time(deadline, connecting)
            .await
            .map_err(Trouble::while_connecting)
    }

    /// Waits for `work` until the deadline.
    async fn in_time<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, ::redis::RedisError>>,
    ) -> Result<T, Trouble> {
        match timeout_at(deadline, work).await {
            Ok(result) => result.map_err(Trouble::Reported),
            Err(_) => Err(Trouble::Silence(self.inner.timeout)),
        }
    }
}

/// Converts an answer. An answer of another type is a failure of the kind `Internal`.
fn read<T: FromRedisValue>(value: Value) -> Result<T, Failure> {
    T::from_redis_value(value)
        .map_err(|_| Failure::internal(PART, "a reply has an unexpected type"))
}

/// Checks that a key prefix is 1 to 128 printable ASCII characters without spaces, so that it can
/// be in a log as it is.
pub(crate) fn checked_prefix(prefix: &str) -> Result<&str, ConfigError> {
    let fits =
        (1..=128).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(prefix);
    }
    Err(ConfigError::new(
        "key_prefix",
        "must be 1 to 128 printable ASCII characters, without spaces",
        "use for example `myapp:token:`",
    ))
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("cluster", &self.is_cluster())
            .field("timeout", &self.inner.timeout)
            .finish_non_exhaustive()
    }
}
