//! The data directory: made on first run, readable by us alone, its secrets written whole or not at all.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::Error;

/// A directory that holds the database and generated secrets.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The directory at `path`, which is made when something is to be kept in it.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes the directory if it is missing.
    ///
    /// # Errors
    /// [`Error::Io`] that names the directory and the setting.
    pub fn make(&self) -> Result<(), Error> {
        let what = format!("COUNTERSIGN_DATA_DIR: can't make {}", self.0.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(Error::io(what))
    }

    /// The secret kept under `name`; `make` makes it on first run.
    ///
    /// Two processes that start at once agree: the first to put its file in place wins, and the other reads it.
    ///
    /// # Errors
    /// [`Error::Io`] that names the file.
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
        if self.put(&path, &secret).map_err(Error::io(format!("can't write {}", path.display())))? {
            tracing::info!(event = "secret_generated", file = name);
            return Ok(secret);
        }
        read(&path)?.ok_or_else(|| Error::Refused(format!("{} came and went", path.display())))
    }

    /// Puts the file in place, complete and synced, unless somebody was first.
    fn put(&self, path: &Path, secret: &str) -> io::Result<bool> {
        // Temporary files have mode 0600 from the start.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.0)?;
        file.write_all(secret.as_bytes())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => {
                std::fs::File::open(&self.0)?.sync_all()?;
                Ok(true)
            }
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(refused) => Err(refused.error),
        }
    }
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    let secret = find(path)?;
    if secret.is_some() {
        warn_if_readable(path);
    }
    Ok(secret)
}

/// Returns the secret in the file at `path`, if there is one. Nothing is made.
///
/// # Errors
/// [`Error::Io`] that names the file.
pub fn find(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("can't read {}", path.display()))(error)),
    }
}

fn warn_if_readable(path: &Path) {
    let open = std::fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & 0o077 != 0);
    if open {
        tracing::warn!(event = "secret_readable_by_others", file = %path.display(), "give it mode 0600");
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
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1, "no temporary file is left");
    }
}
