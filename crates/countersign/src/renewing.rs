//! What is made of a URL whose password may be another one tomorrow.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::error::ConfigError;

/// Reads a URL again, from where it came from.
///
/// It is asked when a store refuses the password that it was given; a URL that is another one then is used from there on.
///
/// ```
/// use countersign::UrlSource;
/// use zeroize::Zeroizing;
///
/// let source = UrlSource::new(|| std::fs::read_to_string("/run/secrets/database_url").ok().map(Zeroizing::new));
/// # drop(source);
/// ```
#[derive(Clone)]
pub struct UrlSource(Arc<Read>);

type Read = dyn Fn() -> Option<Zeroizing<String>> + Send + Sync;

impl UrlSource {
    /// A source that `read` reads; `None` when there is nothing to be had now.
    pub fn new(read: impl Fn() -> Option<Zeroizing<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl fmt::Debug for UrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlSource(..)")
    }
}

/// What was made of the URL that is good now.
pub(crate) struct Renewing<T> {
    current: RwLock<Arc<T>>,
    /// How often it has been replaced.
    generation: AtomicU64,
    source: Option<Source<T>>,
}

struct Source<T> {
    part: &'static str,
    url: Mutex<Zeroizing<String>>,
    read: UrlSource,
    make: Make<T>,
}

type Make<T> = Box<dyn Fn(&str) -> Result<T, ConfigError> + Send + Sync>;

impl<T> Renewing<T> {
    /// What `make` makes of `url`, and of what `source` says later, if there is one.
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
        Ok(Self { current, generation: AtomicU64::new(0), source })
    }

    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often it has been replaced.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Reads the URL again, after what was there at `generation` was refused. Returns whether there is another one.
    pub(crate) fn renew(&self, generation: u64) -> bool {
        let Some(source) = &self.source else { return false };
        let mut url = source.url.lock().unwrap_or_else(PoisonError::into_inner);
        if self.generation() != generation {
            // Somebody else was first.
            return true;
        }
        let Some(read) = (source.read.0)().filter(|read| *read != *url) else { return false };
        let part = source.part;
        let made = match (source.make)(&read) {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!(event = "credentials_unusable", part, %error, "what was read again can't be used");
                return false;
            }
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
        *url = read;
        self.generation.fetch_add(1, Ordering::Release);
        tracing::info!(event = "credentials_read_again", part, "user or password were refused, and are others now");
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
        let source = UrlSource::new(move || says.lock().unwrap().map(|url| Zeroizing::new(url.to_owned())));
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
        assert!(!Renewing::new("database", "first", None, |url| Ok(url.to_owned())).unwrap().renew(0));
    }
}
