//! The hash settings of the stored passwords, which determine the work of every check.
//!
//! A login must take the same time for every account, whether the account exists or not, so that
//! its duration tells nobody which accounts exist. Stored hashes may have different settings, for
//! example after litestar-auth's table was adopted. Every check therefore computes one hash with
//! each setting in use. [`InUse`] holds these settings: the survey reads them from the database,
//! and each check adds the setting that it meets.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::accounts::setting::{Argon2Setting, HashSetting};

/// The maximum number of Argon2 settings that every check computes. The most expensive ones are
/// kept. An account with a setting beyond them costs one additional hash.
const MOST_SETTINGS: usize = 4;

/// The hash settings that stored passwords are known to have. Clones share one set.
#[derive(Clone, Debug)]
pub struct InUse {
    renewed_to: Argon2Setting,
    seen: Arc<RwLock<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The settings, each with the number of the last survey that found it.
    settings: BTreeMap<HashSetting, u64>,
    /// The number of the current survey.
    survey: u64,
}

/// The work that every check of a password does, regardless of the account's own hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// The Argon2 settings. One hash is computed with each of them.
    pub(super) argon2: Vec<Argon2Setting>,
    /// The highest bcrypt cost in use. One hash of this cost is computed, or several that take as
    /// long together. `None` if no account has a bcrypt hash.
    pub(super) bcrypt: Option<u32>,
}

impl Seen {
    /// Returns `true` if the current survey has found this setting already.
    fn is_current(&self, setting: &HashSetting) -> bool {
        self.settings.get(setting) == Some(&self.survey)
    }
}

impl InUse {
    /// Creates a set that holds one setting only: `renewed_to`, which all new hashes have.
    pub fn new(renewed_to: Argon2Setting) -> Self {
        Self {
            renewed_to,
            seen: Arc::default(),
        }
    }

    /// Returns the setting of new hashes.
    pub const fn renewed_to(&self) -> Argon2Setting {
        self.renewed_to
    }

    /// Adds a setting that a stored hash was found to have.
    pub fn add(&self, setting: HashSetting) {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let is_known = seen.is_current(&setting);
        drop(seen);
        if is_known {
            return;
        }

        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let survey = seen.survey;
        seen.settings.insert(setting, survey);
    }

    /// Starts a survey of all accounts. Settings added from now on count as found by it.
    pub fn begin_survey(&self) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        seen.survey = seen.survey.wrapping_add(1);
    }

    /// Ends a survey: removes the settings that weren't found since
    /// [`begin_survey`](Self::begin_survey).
    pub fn end_survey(&self) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        let survey = seen.survey;
        seen.settings.retain(|_, met| *met == survey);
    }

    /// Returns the work of a check, computed from the settings known now.
    pub(super) fn work(&self) -> Work {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let bcrypt = seen.settings.keys().filter_map(|setting| match setting {
            HashSetting::Bcrypt(cost) => Some(*cost),
            HashSetting::Argon2(_) => None,
        });
        let argon2 = seen.settings.keys().filter_map(|setting| match setting {
            HashSetting::Argon2(setting) => Some(*setting),
            HashSetting::Bcrypt(_) => None,
        });

        let mut argon2: Vec<Argon2Setting> = argon2
            .filter(|setting| *setting != self.renewed_to)
            .collect();
        argon2.sort_by_key(|setting| std::cmp::Reverse(setting.work()));
        argon2.truncate(MOST_SETTINGS - 1);
        argon2.push(self.renewed_to);
        argon2.sort_unstable();

        Work {
            argon2,
            bcrypt: bcrypt.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Argon2Setting = Argon2Setting::argon2id(19_456, 2, 1);
    const THEIRS: Argon2Setting = Argon2Setting::argon2id(65_536, 3, 4);

    #[test]
    fn work_is_that_of_every_setting_in_use() {
        let in_use = InUse::new(OURS);
        assert_eq!(
            in_use.work(),
            Work {
                argon2: vec![OURS],
                bcrypt: None
            }
        );
        for setting in [
            HashSetting::Argon2(THEIRS),
            HashSetting::Bcrypt(10),
            HashSetting::Bcrypt(12),
        ] {
            in_use.add(setting);
        }
        assert_eq!(
            in_use.work(),
            Work {
                argon2: vec![OURS, THEIRS],
                bcrypt: Some(12)
            }
        );
        for memory in 1..=20 {
            in_use.add(HashSetting::Argon2(Argon2Setting::argon2id(
                memory * 1024,
                1,
                1,
            )));
        }
        let work = in_use.work().argon2;
        assert!(
            work.len() == MOST_SETTINGS && work.contains(&OURS) && work.contains(&THEIRS),
            "{work:?}"
        );
    }

    #[test]
    fn a_survey_forgets_what_is_gone() {
        let in_use = InUse::new(OURS);
        in_use.add(HashSetting::Bcrypt(12));
        in_use.begin_survey();
        assert_eq!(
            in_use.work().bcrypt,
            Some(12),
            "nothing is forgotten before the whole table has been seen"
        );
        in_use.add(HashSetting::Argon2(THEIRS));
        in_use.end_survey();
        assert_eq!(
            in_use.work(),
            Work {
                argon2: vec![OURS, THEIRS],
                bcrypt: None
            }
        );
    }
}
