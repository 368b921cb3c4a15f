//! Tokens on Redis in the layout of litestar-auth 1.1.1: a key for each token, and a set that lists
//! a user's tokens.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{ConfigError, Failure};
use crate::event;
use crate::redis::{Redis, Script, checked_prefix};
use crate::token::Digest;

/// The number of a user's tokens that are removed at a time.
const BATCH: usize = 500;

/// Tokens in the layout of litestar-auth 1.1.1, for the time of a migration.
///
/// The key `<prefix><digest>` holds a user id as it is, and the set `<prefix>user:<user id>` lists
/// the keys of a user's tokens. Both systems can read and write the same tokens.
///
/// Use [`RedisTokenStore`](crate::store::RedisTokenStore) in all other cases. This layout has no
/// sessions, no refresh tokens and no fence: a token says nothing of its user, so a read can't look
/// at anything of the user's in the same step. Each operation is one atomic script, except for
/// [`invalidate`](Self::invalidate), which removes tokens in batches.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use countersign::redis::{Redis, RedisOptions};
/// use countersign::store::OriginalTokens;
/// use countersign::token::DigestKeyRing;
/// use countersign::{PlainToken, Secret};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect("redis://localhost", RedisOptions::default())?;
/// let tokens = OriginalTokens::new(&redis, OriginalTokens::KEY_PREFIX)?;
///
/// let secret = Secret::new("TOKEN_HASH_SECRET", std::env::var("TOKEN_HASH_SECRET")?)?;
/// let digest = DigestKeyRing::new("2026-11", &secret)?.digest(&PlainToken::new("wZ5…"));
/// tokens.write(&digest, "7", Duration::from_secs(3600)).await?;
/// let found = tokens.read(&digest).await?;
/// assert_eq!(found.map(|(user, _)| user).as_deref(), Some("7"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OriginalTokens {
    redis: Redis,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

/// The Lua scripts of this layout.
struct Scripts {
    read: Script,
    write: Script,
    destroy: Script,
}

/// The position of a [scan](OriginalTokens::scan).
///
/// [`Scan::default`] is the beginning. Its text is a decimal number, which can be kept and parsed
/// again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan(u64);

/// The outcome of one step of a [scan](OriginalTokens::scan).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanStep {
    /// The number of keys that were looked at.
    pub examined: u64,
    /// The number of the user's tokens that were removed.
    pub removed: u64,
    /// The position of the next step, or `None` if every key has been looked at.
    pub next: Option<Scan>,
}

impl OriginalTokens {
    /// The prefix of keys that litestar-auth uses by default.
    pub const KEY_PREFIX: &str = "litestar_auth:token:";

    /// Creates a handle on the tokens in `redis` whose keys begin with `prefix`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names `key_prefix` if `prefix` isn't 1 to 128 printable ASCII
    /// characters, or if, on a cluster, it has no part in braces: all keys must be in one slot.
    pub fn new(redis: &Redis, prefix: &str) -> Result<Self, ConfigError> {
        let prefix = checked_prefix(prefix)?;
        if redis.is_cluster() && !has_hash_tag(prefix) {
            let problem = "has no hash tag, so a cluster would store the keys on different nodes";
            return Err(ConfigError::new(
                "key_prefix",
                problem,
                "put a part in braces, for example `{litestar_auth}:token:`",
            ));
        }

        let scripts = Scripts {
            read: Script::new(concat!(
                "#!lua flags=no-writes\n",
                include_str!("original_read.lua")
            )),
            write: Script::new(concat!("#!lua\n", include_str!("original_write.lua"))),
            destroy: Script::new(concat!(
                "#!lua flags=allow-oom\n",
                include_str!("original_destroy.lua")
            )),
        };

        Ok(Self {
            redis: redis.clone(),
            prefix: prefix.into(),
            scripts: Arc::new(scripts),
        })
    }

    /// Records a token of the user with this id for `lifetime`, rounded up to whole seconds and to
    /// 1 second at least.
    ///
    /// The token is listed in the user's set in the same step. A digest that is recorded already is
    /// overwritten.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the token could not be stored, or if that isn't known. Don't hand it out
    /// then.
    pub async fn write(
        &self,
        digest: &Digest,
        user: &str,
        lifetime: Duration,
    ) -> Result<(), Failure> {
        // A fraction of a second is rounded up: a token must not end earlier than its holder was
        // told.
        let seconds = lifetime
            .as_secs()
            .saturating_add(u64::from(lifetime.subsec_nanos() > 0))
            .max(1);

        let keys = [self.token(digest), self.index(user)];
        let args = [user.as_bytes().to_vec(), seconds.to_string().into_bytes()];
        self.redis
            .eval(
                &self.scripts.write,
                &keys.each_ref().map(String::as_str),
                &args,
            )
            .await
    }

    /// Returns the id of the user that a token belongs to, and the end of the token's life.
    ///
    /// The end is by Redis's clock; it is `None` for a token that was stored without one. Returns
    /// `None` if the token is unknown or has expired.
    ///
    /// # Errors
    ///
    /// [`Failure`] if Redis can't be asked. The token is then neither valid nor invalid.
    pub async fn read(
        &self,
        digest: &Digest,
    ) -> Result<Option<(String, Option<Timestamp>)>, Failure> {
        let key = self.token(digest);
        let found: Option<(Vec<u8>, i64)> =
            self.redis.eval(&self.scripts.read, &[&key], &[]).await?;
        let Some((user, millis)) = found else {
            return Ok(None);
        };
        let Ok(user) = String::from_utf8(user) else {
            event::token_row_unreadable();
            return Ok(None);
        };
        let end = (millis >= 0).then(|| Timestamp::from_micros(millis.saturating_mul(1000)));
        Ok(Some((user, end)))
    }

    /// Deletes a token of the user with this id and returns `true` if there was one to delete.
    ///
    /// Returns `false` if the token is unknown or belongs to another user.
    ///
    /// # Errors
    ///
    /// [`Failure`] if Redis can't be asked. The token may still be valid; repeat the call.
    pub async fn destroy(&self, digest: &Digest, user: &str) -> Result<bool, Failure> {
        Ok(self.remove(vec![self.token(digest)], user).await? > 0)
    }

    /// Deletes every token that the user's set lists, batch by batch, and returns the number of
    /// them.
    ///
    /// Tokens that are written meanwhile are deleted or not. Tokens that the set has lost are found
    /// by [`scan`](Self::scan) alone.
    ///
    /// # Errors
    ///
    /// [`Failure`] if Redis can't be asked. Tokens that weren't reached stay in the set, so another
    /// call goes on.
    pub async fn invalidate(&self, user: &str) -> Result<u64, Failure> {
        let index = self.index(user);
        let mut removed: u64 = 0;

        loop {
            let mut some = ::redis::cmd("SRANDMEMBER");
            let Some(listed) = self
                .redis
                .run_typed::<Vec<Vec<u8>>>(some.arg(&index).arg(BATCH))
                .await?
            else {
                event::token_row_unreadable();
                return Ok(removed);
            };
            if listed.is_empty() {
                return Ok(removed);
            }

            let (tokens, strange): (Vec<_>, Vec<_>) =
                listed.into_iter().partition(|member| self.is_token(member));
            if !strange.is_empty() {
                // A member of another form names no token, so it only leaves the set.
                let mut away = ::redis::cmd("SREM");
                self.redis.run::<u64>(away.arg(&index).arg(strange)).await?;
            }

            // Each listed member leaves the set here or above, so the loop comes to an end.
            let tokens = tokens
                .into_iter()
                .filter_map(|token| String::from_utf8(token).ok())
                .collect();
            removed = removed.saturating_add(self.remove(tokens, user).await?);
        }
    }

    /// Looks through about `keys` keys of the whole Redis and deletes those that are tokens of the
    /// user with this id.
    ///
    /// This is a maintenance operation for tokens that the user's set has lost. A whole scan costs
    /// as much as Redis has keys, and may miss tokens that are written meanwhile. Begin with
    /// [`Scan::default`], and continue with [`next`](ScanStep::next) of each step until that is
    /// `None`.
    ///
    /// # Examples
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
    ///
    /// [`Failure`] if Redis can't be asked. What was deleted before stays deleted; repeat the step.
    pub async fn scan(&self, user: &str, from: Scan, keys: u32) -> Result<ScanStep, Failure> {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(from.0)
            .arg("MATCH")
            .arg(format!("{}*", escaped(&self.prefix)))
            .arg("COUNT")
            .arg(keys.max(1))
            .arg("TYPE")
            .arg("string");

        let (next, found): (u64, Vec<Vec<u8>>) = self.redis.run_beside(&self.prefix, &scan).await?;
        let mut step = ScanStep {
            examined: 0,
            removed: 0,
            next: (next != 0).then_some(Scan(next)),
        };
        let tokens = found
            .into_iter()
            .inspect(|_| step.examined += 1)
            .filter(|key| self.is_token(key));
        let tokens: Vec<_> = tokens
            .filter_map(|key| String::from_utf8(key).ok())
            .collect();

        for batch in tokens.chunks(BATCH) {
            step.removed += self.remove(batch.to_vec(), user).await?;
        }
        Ok(step)
    }

    /// Deletes those of `tokens` that belong to the user, and takes all of them out of the user's
    /// set.
    async fn remove(&self, tokens: Vec<String>, user: &str) -> Result<u64, Failure> {
        if tokens.is_empty() {
            return Ok(0);
        }
        let index = self.index(user);
        let keys: Vec<&str> = std::iter::once(index.as_str())
            .chain(tokens.iter().map(String::as_str))
            .collect();
        self.redis
            .eval(&self.scripts.destroy, &keys, &[user.as_bytes().to_vec()])
            .await
    }

    /// Returns the key of a token.
    fn token(&self, digest: &Digest) -> String {
        format!("{}{}", self.prefix, digest.as_str())
    }

    /// Returns the key of the set that lists a user's tokens.
    fn index(&self, user: &str) -> String {
        format!("{}user:{user}", self.prefix)
    }

    /// Returns `true` if `key` has the form of a token's key.
    fn is_token(&self, key: &[u8]) -> bool {
        let digest = key.strip_prefix(self.prefix.as_bytes());
        digest.is_some_and(|digits| digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit))
    }
}

/// Returns `true` if a cluster computes the slot of such keys from a part of the prefix alone.
fn has_hash_tag(prefix: &str) -> bool {
    let tag = prefix
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    tag.is_some_and(|(tag, _)| !tag.is_empty())
}

/// Escapes `text` for a `MATCH` pattern, so that it matches nothing but itself.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-')
                .then_some('\\')
                .into_iter()
                .chain([c])
        })
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
