//! The data directory, which holds the SQLite database and generated secrets.
//!
//! It is created on first use with mode 0700, and every secret in it with mode 0600. A secret is
//! written to a temporary file first and then put in place in one step, so that neither a crash nor
//! a second process leaves half a secret behind.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::Error;

/// A handle on a data directory. Nothing is created before something is kept in it.
///
/// # Examples
///
/// ```
/// use countersign_server::data_dir::DataDir;
/// use zeroize::Zeroizing;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let parent = tempfile::tempdir()?;
/// let dir = DataDir::at(&parent.path().join("data"));
///
/// let first = dir.secret("key", || Ok(Zeroizing::new("generated".to_owned())))?;
/// let again = dir.secret("key", || unreachable!("the key is there"))?;
/// assert_eq!(*first, *again);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Creates a handle on the directory at `path`, which doesn't have to exist.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Creates the directory and its parents, with mode 0700, if it doesn't exist.
    ///
    /// # Errors
    /// Returns [`Error::Io`], which names the setting and the directory, if it can't be created.
    pub fn make(&self) -> Result<(), Error> {
        let what = format!("COUNTERSIGN_DATA_DIR: can't create {}", self.0.display());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(Error::io(what))
    }

    /// Returns the secret in the file `name`. If there is none, generates it with `make` and stores
    /// it.
    ///
    /// If two processes generate the same secret at once, both return the same one: the first to
    /// put its file in place wins, and the other reads that file. A new secret is on the disk
    /// before this function returns. A file that others may read is used, with a warning
    /// (`secret_readable_by_others`).
    ///
    /// # Errors
    /// Returns [`Error::Io`], which names the file, if it can't be read or written;
    /// [`Error::Refused`] if the file of another process vanished again; or the error of `make`.
    /// Calling again is safe.
    pub fn secret(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Zeroizing<String>, Error>,
    ) -> Result<Zeroizing<String>, Error> {
        let path = self.0.join(name);
        if let Some(secret) = read(&path)? {
            return Ok(secret);
        }

        let secret = make()?;
        self.make()?;
        if self
            .put(&path, &secret)
            .map_err(Error::io(format!("can't write {}", path.display())))?
        {
            tracing::info!(event = "secret_generated", file = name);
            return Ok(secret);
        }

        read(&path)?.ok_or_else(|| {
            Error::Refused(format!(
                "{} was deleted by another process during the start",
                path.display()
            ))
        })
    }

    /// Puts a complete and synced file in place. Returns `false` if there is one already.
    fn put(&self, path: &Path, secret: &str) -> io::Result<bool> {
        // `tempfile` creates files with mode 0600.
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.0)?;
        file.write_all(secret.as_bytes())?;
        file.as_file().sync_all()?;

        match file.persist_noclobber(path) {
            Ok(_) => {
                // The directory is synced as well: without that, a crash could lose the new name.
                std::fs::File::open(&self.0)?.sync_all()?;
                Ok(true)
            }
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(refused) => Err(refused.error),
        }
    }
}

/// Reads the secret at `path`, if there is one, and warns if others may read it.
fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    let secret = find(path)?;
    if secret.is_some() {
        warn_if_readable(path);
    }
    Ok(secret)
}

/// Returns the secret in the file at `path`, or `None` if there is no such file. Creates nothing.
///
/// # Errors
/// Returns [`Error::Io`], which names the file, if it exists but can't be read as UTF-8.
pub fn find(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("can't read {}", path.display()))(error)),
    }
}

/// Logs a warning if anybody but the owner has a right to the file.
fn warn_if_readable(path: &Path) {
    let open = std::fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & 0o077 != 0);
    if open {
        tracing::warn!(event = "secret_readable_by_others", file = %path.display(), "other users can read this secret; change its mode to 0600");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_write_wins_and_only_we_may_read() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let dir = DataDir::at(&path);
        let make = |text: &str| {
            let text = Zeroizing::new(text.to_owned());
            move || Ok(text)
        };
        assert_eq!(*dir.secret("key", make("one")).unwrap(), "one");
        assert_eq!(*dir.secret("key", make("two")).unwrap(), "one");
        assert!(!dir.put(&path.join("key"), "three").unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("key"))), (0o700, 0o600));
        assert_eq!(
            std::fs::read_dir(&path).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }
}
