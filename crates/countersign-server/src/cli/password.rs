//! Passwords for commands: from a prompt, a file or standard input. A command has no argument for
//! one, because every user of the machine can see arguments.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::accounts::{MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, is_of_fitting_length};
use crate::error::Error;

/// Where the password comes from.
#[derive(Debug, clap::Args)]
pub(super) struct PasswordSource {
    /// Read the password from this file, or from standard input if `-`; without it, prompt on the terminal
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// Reads the password and checks its length.
    ///
    /// Without a file the password is asked for on a terminal, and read from standard input
    /// otherwise. One line end at the end of the input is removed.
    ///
    /// # Errors
    /// [`Error::Usage`] if the password is too short or too long, or if it is typed differently the
    /// second time. [`Error::Io`] if it can't be read.
    pub(super) fn read(&self) -> Result<Zeroizing<String>, Error> {
        let password = match &self.password_file {
            Some(path) if path == Path::new("-") => from_stdin()?,
            Some(path) => Zeroizing::new(
                std::fs::read_to_string(path)
                    .map_err(Error::io(format!("can't read {}", path.display())))?,
            ),
            None if std::io::stdin().is_terminal() => return checked(ask()?),
            None => from_stdin()?,
        };

        let line = password.strip_suffix('\n').unwrap_or(&password);
        checked(Zeroizing::new(
            line.strip_suffix('\r').unwrap_or(line).to_owned(),
        ))
    }
}

/// Asks for a password twice.
fn ask() -> Result<Zeroizing<String>, Error> {
    let password = prompt("Password: ")?;
    let again = prompt("Repeat the password: ")?;
    if password == again {
        Ok(password)
    } else {
        Err(Error::Usage("the passwords do not match".to_owned()))
    }
}

/// Asks for one line that isn't shown.
fn prompt(text: &str) -> Result<Zeroizing<String>, Error> {
    rpassword::prompt_password(text)
        .map(Zeroizing::new)
        .map_err(Error::io("can't prompt for a password"))
}

/// Reads standard input, up to the longest password and a line end.
fn from_stdin() -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::new());
    let most = u64::try_from(MAX_PASSWORD_BYTES + 2).unwrap_or(u64::MAX);
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_string(&mut text)
        .map_err(Error::io("can't read standard input"))?;
    Ok(text)
}

/// Returns the password, or an error if its length isn't allowed.
fn checked(password: Zeroizing<String>) -> Result<Zeroizing<String>, Error> {
    if is_of_fitting_length(&password) {
        Ok(password)
    } else {
        let bounds =
            format!("the password must be {MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes long");
        Err(Error::Usage(bounds))
    }
}
