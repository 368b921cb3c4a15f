//! Connections whose URL can change while the process runs, because passwords are rotated.
//!
//! A store keeps what it made of its URL in a [`Renewing`]. When the server refuses the password,
//! the store calls [`renew`](Renewing::renew), which reads the URL again from its [`UrlSource`].

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::error::ConfigError;

/// A function that reads a store's URL again, from the place where it came from.
///
/// `Database::connect_renewing` and `Redis::connect_renewing` take one. It is called when the store
/// refuses the user or the password. If it returns another URL, the store uses that one from then
/// on, so a password can be replaced without a restart.
///
/// # Examples
///
/// ```
/// use countersign::UrlSource;
/// use zeroize::Zeroizing;
///
/// let source = UrlSource::new(|| {
///     let text = std::fs::read_to_string("/run/secrets/database_url").ok().map(Zeroizing::new)?;
///     Some(Zeroizing::new(text.trim().to_owned()))
/// });
/// # drop(source);
/// ```
#[derive(Clone)]
pub struct UrlSource(Arc<Read>);

/// The function of a [`UrlSource`].
type Read = dyn Fn() -> Option<Zeroizing<String>> + Send + Sync;

impl UrlSource {
    /// Creates a source from a function that returns the URL, or `None` if it can't be read now.
    ///
    /// The function is called on a thread of the async runtime, so it must not block for longer
    /// than reading a small file takes. It is called for every request that is refused while no
    /// other URL is there. It should return the URL alone, without the line end of a file.
    pub fn new(read: impl Fn() -> Option<Zeroizing<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl fmt::Debug for UrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlSource(..)")
    }
}

/// The value that was made of the current URL, such as a client or a pool.
pub(crate) struct Renewing<T> {
    current: RwLock<Arc<T>>,
    /// The number of times that the value was replaced.
    generation: AtomicU64,
    source: Option<Source<T>>,
}

/// The URL in use, and the way to another one.
struct Source<T> {
    part: &'static str,
    url: Mutex<Zeroizing<String>>,
    read: UrlSource,
    make: Make<T>,
}

/// The function that makes a value of a URL.
type Make<T> = Box<dyn Fn(&str) -> Result<T, ConfigError> + Send + Sync>;

impl<T> Renewing<T> {
    /// Makes the first value of `url`, and later ones of the URLs that `source` reads.
    ///
    /// `part` names the store in logs. Without a source the value is never replaced.
    pub(crate) fn new(
        part: &'static str,
        url: &str,
        source: Option<UrlSource>,
        make: impl Fn(&str) -> Result<T, ConfigError> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let current = RwLock::new(Arc::new(make(url)?));
        let source = source.map(|read| Source {
            part,
            url: Mutex::new(Zeroizing::new(url.to_owned())),
            read,
            make: Box::new(make),
        });

        Ok(Self {
            current,
            generation: AtomicU64::new(0),
            source,
        })
    }

    /// Returns the current value.
    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the number of times that the value was replaced.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Reads the URL again after the value of `generation` was refused, and returns `true` if there
    /// is another value now.
    ///
    /// A URL that is the same as before, can't be read or can't be used changes nothing.
    pub(crate) fn renew(&self, generation: u64) -> bool {
        let Some(source) = &self.source else {
            return false;
        };
        let mut url = source.url.lock().unwrap_or_else(PoisonError::into_inner);
        if self.generation() != generation {
            // Another caller was refused earlier and has replaced the value meanwhile.
            return true;
        }

        let Some(read) = (source.read.0)().filter(|read| *read != *url) else {
            return false;
        };
        let part = source.part;
        let made = match (source.make)(&read) {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!(
                    event = "credentials_unusable",
                    part,
                    %error,
                    "the new URL can't be used"
                );
                return false;
            }
        };

        // The value goes first: a caller that sees the new generation must get the new value.
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
        *url = read;
        self.generation.fetch_add(1, Ordering::Release);
        tracing::info!(
            event = "credentials_read_again",
            part,
            "the credentials were rejected and have been replaced by new ones"
        );
        true
    }
}

impl<T> fmt::Debug for Renewing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewing").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewing(says: &Arc<Mutex<Option<&'static str>>>) -> Renewing<String> {
        let says = Arc::clone(says);
        let source = UrlSource::new(move || {
            says.lock()
                .unwrap()
                .map(|url| Zeroizing::new(url.to_owned()))
        });
        let make = |url: &str| match url {
            "bad" => Err(ConfigError::new("database_url", "is bad", "correct it")),
            _ => Ok(url.to_owned()),
        };
        Renewing::new("database", "first", Some(source), make).unwrap()
    }

    #[test]
    fn only_another_url_that_can_be_used_takes_the_place() {
        let says = Arc::new(Mutex::new(None));
        let renewing = renewing(&says);
        for (told, renewed, current) in [
            (None, false, "first"),
            (Some("first"), false, "first"),
            (Some("bad"), false, "first"),
            (Some("second"), true, "second"),
            (Some("second"), false, "second"),
        ] {
            *says.lock().unwrap() = told;
            assert_eq!(renewing.renew(renewing.generation()), renewed, "{told:?}");
            assert_eq!(*renewing.current(), current);
        }
    }

    #[test]
    fn whoever_was_refused_with_the_old_one_takes_what_another_has_read() {
        let says = Arc::new(Mutex::new(Some("second")));
        let renewing = renewing(&says);
        let before = renewing.generation();
        assert!(renewing.renew(before) && renewing.renew(before));
        assert!(!renewing.renew(renewing.generation()));
        assert!(
            !Renewing::new("database", "first", None, |url| Ok(url.to_owned()))
                .unwrap()
                .renew(0)
        );
    }
}
