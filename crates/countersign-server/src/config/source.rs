//! The sources of settings: flags, environment variables and the configuration file.
//!
//! [`Sources::gather`] weighs them once, at the start and at each reload. Every error names the
//! setting as it was typed, so a [`Given`] carries its name along with its text.
//!
//! A fourth source comes later: the record of the deployment in the shared database, which adds
//! values for settings that nobody gave ([`Sources::agreed`]). Until then such a setting isn't
//! final ([`Sources::is_final`]), and checks that depend on it are postponed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use countersign::ConfigError;

use crate::config::file::read_file;
use crate::config::given::{Form, Given, strongest};
use crate::config::links::is_link;
use crate::config::setting::{ENV_PREFIX, Kind, Origin, Setting};

/// The settings that the command line gives.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The configuration file, given by `--config`.
    pub config: Option<PathBuf>,
    /// The keys of settings (for example `token_hash_secret` or `token_hash_secret_file`) and their
    /// values.
    pub given: Vec<(String, String)>,
}

/// Every setting that was given, each with the value from its strongest source. The `Debug` output
/// shows no values.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    given: BTreeMap<&'static str, Given>,
    file: Option<PathBuf>,
    settled: bool,
}

impl Sources {
    /// Collects values for `settings`. See [`gather`](Self::gather).
    pub(super) fn gather_for(
        settings: Vec<&'static Setting>,
        flags: Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(settings);
        let mut config = flags.config.map(|path| ("--config".to_owned(), path));
        for (name, value) in environment {
            let Some(name) = name.to_str().and_then(|name| name.strip_prefix(ENV_PREFIX)) else {
                continue;
            };
            let spelled = format!("{ENV_PREFIX}{name}");
            if name == "CONFIG" {
                // The flag wins over the variable.
                config.get_or_insert_with(|| (spelled, PathBuf::from(value)));
                continue;
            }

            // A variable that names a setting is never taken for one that an orchestrator set.
            let key = name.to_ascii_lowercase();
            if layers.find(&key).is_none() && is_link(name, &value.to_string_lossy()) {
                continue;
            }

            let text = value.into_string().map_err(|_| {
                ConfigError::new(
                    spelled.clone(),
                    "is not valid UTF-8",
                    "set it to UTF-8 text",
                )
            })?;

            // The names of variables are case-sensitive, so `COUNTERSIGN_listen` is a typing error.
            if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
                return Err(layers.unknown(&spelled, &key, Origin::Environment));
            }
            layers.add(&key, Given::new(Origin::Environment, spelled, text))?;
        }

        for (key, text) in flags.given {
            let spelled = format!("--{}", key.replace('_', "-"));
            layers.add(&key, Given::new(Origin::Flag, spelled, text))?;
        }

        let file = config.as_ref().map(|(_, path)| path.clone());
        if let Some((spelled, path)) = config {
            for (key, given) in read_file(&spelled, &path)? {
                layers.add(&key, given)?;
            }
        }

        Ok(Self {
            given: layers.weigh()?,
            file,
            settled: false,
        })
    }

    /// Returns the value of a setting, if it was given.
    pub fn get(&self, setting: &'static Setting) -> Option<&Given> {
        self.given.get(setting.key)
    }

    /// Returns these settings completed by the deployment's record. A recorded value is used only
    /// for a setting that no other source gives. The result is [final](Self::is_final) for every
    /// setting.
    #[must_use]
    pub fn agreed<'a>(
        &self,
        recorded: impl IntoIterator<Item = (&'static Setting, &'a str)>,
    ) -> Self {
        let mut agreed = self.settled();
        for (setting, text) in recorded {
            agreed.given.entry(setting.key).or_insert_with(|| {
                let spelled = format!("{} of the deployment", setting.key);
                Given::new(Origin::Deployment, spelled, text)
            });
        }
        agreed
    }

    /// Returns these settings marked as complete: no deployment's record is to be added.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self {
            settled: true,
            ..self.clone()
        }
    }

    /// Returns `true` if the value of a setting can't change any more: the setting was given, or
    /// the deployment's record has been read.
    pub fn is_final(&self, setting: &'static Setting) -> bool {
        self.settled || self.get(setting).is_some()
    }

    /// Returns `true` if the setting was given by flag, environment or file.
    pub fn is_told(&self, setting: &'static Setting) -> bool {
        self.get(setting)
            .is_some_and(|given| given.origin != Origin::Deployment)
    }

    /// Returns the path of the configuration file, if one was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the parsed value of a setting. If it wasn't given, its default is parsed in the same
    /// way.
    ///
    /// # Errors
    /// [`ConfigError`] if `parse` rejects the value. It names the setting and contains the text of
    /// `parse`.
    pub fn parse<T>(
        &self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        match self.get(setting) {
            Some(given) => {
                parse(given.text()).map_err(|problem| given.error(problem, given.example(setting)))
            }
            None => parse(setting.default).map_err(|problem| {
                let cure = format!("for example `{}`", setting.example_of(Origin::Environment));
                ConfigError::new(setting.env(), problem, cure)
            }),
        }
    }

    /// Returns the parsed value of a setting, or `None` if it wasn't given. The default isn't used.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn parse_optional<T>(
        &self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        self.get(setting)
            .map(|_| self.parse(setting, parse))
            .transpose()
    }
}

/// The values that were given for one setting.
type Values = Vec<(Form, Given)>;

/// The values that were given for each setting, from all sources.
struct Layers {
    /// The settings that there are.
    settings: Vec<&'static Setting>,
    given: BTreeMap<&'static str, (Kind, Values)>,
}

impl Layers {
    const fn new(settings: Vec<&'static Setting>) -> Self {
        Self {
            settings,
            given: BTreeMap::new(),
        }
    }

    /// Adds a value under the key that names its setting.
    fn add(&mut self, key: &str, given: Given) -> Result<(), ConfigError> {
        let Some((setting, form)) = self.find(key) else {
            return Err(self.unknown(&given.spelled, key, given.origin));
        };
        if given.text().is_empty() {
            return Err(given.error("is empty", "set a value, or remove the setting"));
        }
        let (_, values) = self
            .given
            .entry(setting.key)
            .or_insert_with(|| (setting.kind, Vec::new()));
        values.push((form, given));
        Ok(())
    }

    /// Returns the strongest value of each setting.
    fn weigh(self) -> Result<BTreeMap<&'static str, Given>, ConfigError> {
        self.given
            .into_iter()
            .map(|(key, (kind, values))| Ok((key, strongest(kind, values)?)))
            .collect()
    }

    /// Returns the setting that `key` names, and whether the key is the one for a file.
    fn find(&self, key: &str) -> Option<(&'static Setting, Form)> {
        if let Some(setting) = self.of_key(key) {
            return Some((setting, Form::Value));
        }
        let setting = self.of_key(key.strip_suffix("_file")?)?;
        setting.kind.is_secret().then_some((setting, Form::File))
    }

    /// Returns the setting with this key.
    fn of_key(&self, key: &str) -> Option<&'static Setting> {
        self.settings
            .iter()
            .copied()
            .find(|setting| setting.key == key)
    }

    /// Returns the error for an unknown name, with the most similar known name as the cure.
    fn unknown(&self, spelled: &str, key: &str, origin: Origin) -> ConfigError {
        let mut known: Vec<String> = self
            .settings
            .iter()
            .flat_map(|known| known.keys())
            .collect();
        known.push("config".to_owned());

        let near = known
            .into_iter()
            .map(|name| (strsim::jaro_winkler(&name, key), name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let cure = near.map_or_else(
            || "run `countersign --help` to list all settings".to_owned(),
            |(_, name)| format!("did you mean {}?", spelled_in(origin, name)),
        );
        ConfigError::new(spelled.to_owned(), "unknown setting", cure)
    }
}

/// Returns a key as it is spelled in a source.
fn spelled_in(origin: Origin, key: String) -> String {
    match origin {
        Origin::Environment => format!("{ENV_PREFIX}{}", key.to_ascii_uppercase()),
        Origin::Flag => format!("--{}", key.replace('_', "-")),
        Origin::File | Origin::Deployment => key,
    }
}
