//! What a setting is: one row here is a flag, an environment variable, a key of the file, and a line of the help.

use crate::config::source::ENV_PREFIX;
use crate::config::{http, keys, log, redis, store, tokens};

/// How a setting's value is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// May be shown.
    Plain,
    /// True or false; the flag alone means true.
    Switch,
    /// Never shown; may be given as a file's name too, under the same name with `_FILE`.
    Secret,
    /// As a secret. Its text is kept to the last byte: litestar-auth makes fingerprints with the text of its key.
    Key,
}

impl Kind {
    /// Whether its value is never shown, and may stand in a file.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Key)
    }
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the file, as `access_lifetime`. Flag and variable follow from it.
    pub key: &'static str,
    /// How its value is treated.
    pub kind: Kind,
    /// What it stands at when nobody gives it; may be empty.
    pub default: &'static str,
    /// What a value looks like.
    pub form: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
}

impl Setting {
    /// The environment variable, as `COUNTERSIGN_ACCESS_LIFETIME`.
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.key.to_ascii_uppercase())
    }

    /// The flag without its dashes, as `access-lifetime`.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Every key that the file may hold for it.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = vec![self.key.to_owned()];
        if self.kind.is_secret() {
            keys.push(format!("{}_file", self.key));
        }
        keys
    }

    /// A value to show in an error.
    pub fn example(&self) -> String {
        let value = if self.default.is_empty() { self.form } else { self.default };
        format!("{}={value}", self.env())
    }
}

/// Every setting, in the order of the help.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    http::SETTINGS
        .iter()
        .chain(store::SETTINGS)
        .chain(tokens::SETTINGS)
        .chain(redis::SETTINGS)
        .chain(keys::SETTINGS)
        .chain(log::SETTINGS)
        .copied()
}
