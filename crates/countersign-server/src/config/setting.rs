//! The type of a setting. Each setting is a flag, an environment variable, a key of the
//! configuration file, and a line of the help.

use std::fmt;

/// The prefix of every environment variable that the server reads.
pub const ENV_PREFIX: &str = "COUNTERSIGN_";

/// The source of a setting. A later variant wins over an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The record in the deployment's database, for settings that no other source gives.
    Deployment,
    /// The configuration file.
    File,
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployment => "deployment",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// The kind of a setting's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that may be shown.
    Plain,
    /// `true` or `false`. The flag alone means `true`.
    Switch,
    /// A value that is never shown. It can also be read from a file, which is named by the same
    /// setting with `_FILE` at its end.
    Secret,
    /// A secret whose text is kept to the last byte, because litestar-auth makes fingerprints with
    /// the text of its key.
    Key,
}

impl Kind {
    /// Returns `true` if values of this kind are never shown and can be read from a file.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Key)
    }
}

/// A setting of the server.
///
/// Its key names it in all sources: `access_lifetime` in the file is `--access-lifetime` as a flag
/// and `COUNTERSIGN_ACCESS_LIFETIME` as a variable.
///
/// # Examples
///
/// ```
/// use countersign_server::config::LISTEN;
///
/// assert_eq!(LISTEN.env(), "COUNTERSIGN_LISTEN");
/// assert_eq!(LISTEN.flag(), "listen");
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key in the configuration file. The names of the flag and of the variable follow from it.
    pub key: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// The default value as text. Empty if there is none.
    pub default: &'static str,
    /// The form of a value, as the help shows it.
    pub form: &'static str,
    /// A typical value, as errors show it.
    pub example: &'static str,
    /// The sentence that the help and the table in docs/CONFIG.md show.
    pub help: &'static str,
}

impl Setting {
    /// Returns the environment variable, for example `COUNTERSIGN_ACCESS_LIFETIME`.
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.key.to_ascii_uppercase())
    }

    /// Returns the flag without its dashes, for example `access-lifetime`.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Returns the keys under which the configuration file may hold the setting: its own, and the
    /// one with `_file` if it is a secret.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = vec![self.key.to_owned()];
        if self.kind.is_secret() {
            keys.push(format!("{}_file", self.key));
        }
        keys
    }

    /// Returns an example of the setting in the form in which `origin` has it, for an error message.
    pub(super) fn example_of(&self, origin: Origin) -> String {
        let value = self.example;
        match origin {
            Origin::Flag => format!("--{} {value}", self.flag()),
            Origin::Environment => format!("{}={value}", self.env()),
            Origin::File | Origin::Deployment => format!("{} = {}", self.key, in_toml(value)),
        }
    }
}

/// Returns a value as TOML has it: integers and booleans as they are, everything else in quotes.
fn in_toml(value: &str) -> String {
    if value.parse::<i64>().is_ok() || value.parse::<bool>().is_ok() {
        value.to_owned()
    } else {
        format!("\"{value}\"")
    }
}
