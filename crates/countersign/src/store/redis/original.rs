//! Tokens on Redis as litestar-auth 1.1.1 keeps them: a key for each token, and a set that lists a user's.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{ConfigError, Failure};
use crate::redis::{Redis, Script, checked_prefix};
use crate::store::redis::unreadable;
use crate::token::Digest;

/// How many of a user's tokens are removed at a time.
const BATCH: usize = 500;

/// The original's own layout, for the time of a migration: `<prefix><digest>` holds a user id as it is, and the set
/// `<prefix>user:<user id>` lists the keys of a user's tokens.
///
/// Where the original needs several commands, each operation here is one atomic script, except for the removal of
/// everything a user has, which goes in batches. The layout can't do better: a token says nothing of its user, so a read
/// can't look at anything of the user's in the same step.
#[derive(Clone)]
pub struct OriginalTokens {
    redis: Redis,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    read: Script,
    write: Script,
    destroy: Script,
}

/// Where a [scan](OriginalTokens::scan) goes on; its text can be kept and read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan(u64);

/// What a step of a [scan](OriginalTokens::scan) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanStep {
    /// Keys that were looked at.
    pub examined: u64,
    /// Tokens of the user that were removed.
    pub removed: u64,
    /// Where to go on; `None` when every key has been looked at.
    pub next: Option<Scan>,
}

impl OriginalTokens {
    /// The original's prefix of keys.
    pub const KEY_PREFIX: &str = "litestar_auth:token:";

    /// The original's tokens on `redis`, whose keys begin with `prefix`.
    ///
    /// # Errors
    /// [`ConfigError`] that names `key_prefix` when it isn't 1 to 128 printable ASCII characters, or when, on a cluster, it
    /// doesn't keep all keys in one slot.
    pub fn new(redis: &Redis, prefix: &str) -> Result<Self, ConfigError> {
        let prefix = checked_prefix(prefix)?;
        if redis.is_cluster() && !has_hash_tag(prefix) {
            let problem = "spreads the original's keys over the cluster, where no step could reach two of them";
            return Err(ConfigError::new("key_prefix", problem, "put a part in braces, as `{litestar_auth}:token:`"));
        }
        let scripts = Scripts {
            read: Script::new(concat!("#!lua flags=no-writes\n", include_str!("original_read.lua"))),
            write: Script::new(concat!("#!lua\n", include_str!("original_write.lua"))),
            destroy: Script::new(concat!("#!lua flags=allow-oom\n", include_str!("original_destroy.lua"))),
        };
        Ok(Self { redis: redis.clone(), prefix: prefix.into(), scripts: Arc::new(scripts) })
    }

    /// Records a token of the user with this id for `lifetime`, rounded up to whole seconds.
    ///
    /// # Errors
    /// [`Failure`] when it could not be stored; no token exists then.
    pub async fn write(&self, digest: &Digest, user: &str, lifetime: Duration) -> Result<(), Failure> {
        let seconds = lifetime.as_secs().saturating_add(u64::from(lifetime.subsec_nanos() > 0)).max(1);
        let keys = [self.token(digest), self.index(user)];
        let args = [user.as_bytes().to_vec(), seconds.to_string().into_bytes()];
        self.redis.eval(&self.scripts.write, &keys.each_ref().map(String::as_str), &args).await
    }

    /// The id of the user whose token it is, and when it ends by Redis's clock; no end when it was stored without one.
    ///
    /// # Errors
    /// [`Failure`] when Redis can't be asked.
    pub async fn read(&self, digest: &Digest) -> Result<Option<(String, Option<Timestamp>)>, Failure> {
        let key = self.token(digest);
        let found: Option<(Vec<u8>, i64)> = self.redis.eval(&self.scripts.read, &[&key], &[]).await?;
        let Some((user, millis)) = found else { return Ok(None) };
        let Ok(user) = String::from_utf8(user) else {
            unreadable();
            return Ok(None);
        };
        let end = (millis >= 0).then(|| Timestamp::from_micros(millis.saturating_mul(1000)));
        Ok(Some((user, end)))
    }

    /// Removes a token of the user with this id; `false` when that user has no such token.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn destroy(&self, digest: &Digest, user: &str) -> Result<bool, Failure> {
        Ok(self.remove(vec![self.token(digest)], user).await? > 0)
    }

    /// Removes every token that the user's set lists, batch by batch; how many there were. A failure leaves those that
    /// weren't reached in the set, so that another call goes on.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn invalidate(&self, user: &str) -> Result<u64, Failure> {
        let index = self.index(user);
        let mut removed: u64 = 0;
        loop {
            let mut some = ::redis::cmd("SRANDMEMBER");
            let Some(listed) = self.redis.run_typed::<Vec<Vec<u8>>>(some.arg(&index).arg(BATCH)).await? else {
                unreadable();
                return Ok(removed);
            };
            if listed.is_empty() {
                return Ok(removed);
            }
            let (tokens, strange): (Vec<_>, Vec<_>) = listed.into_iter().partition(|member| self.is_token(member));
            if !strange.is_empty() {
                // Whatever it names, it is no token of ours to remove.
                let mut away = ::redis::cmd("SREM");
                self.redis.run::<u64>(away.arg(&index).arg(strange)).await?;
            }
            let tokens = tokens.into_iter().filter_map(|token| String::from_utf8(token).ok()).collect();
            removed = removed.saturating_add(self.remove(tokens, user).await?);
        }
    }

    /// Looks through about `keys` keys of the whole Redis for tokens of the user with this id, and removes them: for
    /// tokens that the user's set has lost. A maintenance operation: it costs as much as Redis has keys, and what is
    /// written meanwhile may be missed. Begin with [`Scan::default`] and go on with what each step returns.
    ///
    /// ```no_run
    /// # use countersign::store::{OriginalTokens, Scan};
    /// # async fn example(tokens: OriginalTokens) -> Result<(), countersign::Failure> {
    /// let mut next = Some(Scan::default());
    /// while let Some(from) = next {
    ///     let step = tokens.scan("7", from, 1000).await?;
    ///     println!("{} keys, {} tokens removed", step.examined, step.removed);
    ///     next = step.next;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Failure`] when Redis can't be asked. What was removed before stays removed.
    pub async fn scan(&self, user: &str, from: Scan, keys: u32) -> Result<ScanStep, Failure> {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(from.0).arg("MATCH").arg(format!("{}*", escaped(&self.prefix))).arg("COUNT").arg(keys.max(1));
        scan.arg("TYPE").arg("string");
        let (next, found): (u64, Vec<Vec<u8>>) = self.redis.run_beside(&self.prefix, &scan).await?;
        let mut step = ScanStep { examined: 0, removed: 0, next: (next != 0).then_some(Scan(next)) };
        let tokens = found.into_iter().inspect(|_| step.examined += 1).filter(|key| self.is_token(key));
        let tokens: Vec<_> = tokens.filter_map(|key| String::from_utf8(key).ok()).collect();
        for batch in tokens.chunks(BATCH) {
            step.removed += self.remove(batch.to_vec(), user).await?;
        }
        Ok(step)
    }

    /// Removes those of `tokens` that are the user's, and takes all of them from the user's set.
    async fn remove(&self, tokens: Vec<String>, user: &str) -> Result<u64, Failure> {
        if tokens.is_empty() {
            return Ok(0);
        }
        let index = self.index(user);
        let keys: Vec<&str> = std::iter::once(index.as_str()).chain(tokens.iter().map(String::as_str)).collect();
        self.redis.eval(&self.scripts.destroy, &keys, &[user.as_bytes().to_vec()]).await
    }

    fn token(&self, digest: &Digest) -> String {
        format!("{}{}", self.prefix, digest.as_str())
    }

    fn index(&self, user: &str) -> String {
        format!("{}user:{user}", self.prefix)
    }

    /// Whether it is the key of a token, by its form.
    fn is_token(&self, key: &[u8]) -> bool {
        let digest = key.strip_prefix(self.prefix.as_bytes());
        digest.is_some_and(|digits| digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit))
    }
}

/// Whether a cluster finds the slot of such keys by a part of the prefix alone.
fn has_hash_tag(prefix: &str) -> bool {
    let tag = prefix.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    tag.is_some_and(|(tag, _)| !tag.is_empty())
}

/// `text` as a pattern that matches nothing else.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-').then_some('\\').into_iter().chain([c]))
        .collect()
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Scan {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Debug for OriginalTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginalTokens")
            .field("redis", &self.redis)
            .field("key_prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_their_prefix_alone() {
        assert_eq!(escaped("litestar_auth:token:"), "litestar_auth:token:");
        assert_eq!(escaped("a*b?[c]\\"), "a\\*b\\?\\[c\\]\\\\");
    }

    #[test]
    fn hash_tags_are_what_a_cluster_takes_for_one() {
        assert!(has_hash_tag("{a}:") && has_hash_tag("x{a}"));
        assert!(!has_hash_tag("a:") && !has_hash_tag("{}a") && !has_hash_tag("a}{"));
    }
}
