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
use std::fmt;
use std::path::{Path, PathBuf};

use countersign::{ConfigError, UrlSource};
use zeroize::Zeroizing;

use crate::config::file::read_file;
use crate::config::links::is_link;
use crate::config::secret_text;
use crate::config::setting::{self, Kind, Setting};

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

/// The value of a setting as it was given. The `Debug` output leaves the value out: it may be a
/// secret.
#[derive(Clone)]
pub struct Given {
    text: Zeroizing<String>,
    /// The source of the value.
    pub origin: Origin,
    /// The name of the setting as it was typed.
    pub spelled: String,
    /// The file from which the value was read, if the setting named a file.
    file: Option<String>,
}

impl Given {
    /// Creates a value from its source, the name that was typed, and the text.
    pub fn new(origin: Origin, spelled: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            text: Zeroizing::new(text.into()),
            origin,
            spelled: spelled.into(),
            file: None,
        }
    }

    /// Returns a reader that reads the value again from its file, or `None` if it doesn't come from
    /// one.
    ///
    /// The stores use it to reconnect after a password in the file has changed.
    pub fn source(&self) -> Option<UrlSource> {
        let named = Self::new(self.origin, self.spelled.clone(), self.file.clone()?);
        Some(UrlSource::new(move || {
            strongest(Kind::Secret, vec![(Form::File, named.clone())])
                .ok()
                .map(|again| again.text)
        }))
    }

    /// Returns the text of the value.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns an example of `setting` in the form in which this value was given, as the cure of an
    /// error.
    fn example(&self, setting: &Setting) -> String {
        if self.file.is_some() {
            return format!("write a value such as `{}` to the file", setting.example);
        }
        format!("for example `{}`", setting.example_of(self.origin))
    }

    /// Returns an error about this value, which names the setting as it was typed.
    ///
    /// `problem` is a phrase that follows the name, such as `is empty`. `cure` says what to do.
    pub fn error(&self, problem: impl Into<String>, cure: impl Into<String>) -> ConfigError {
        ConfigError::new(self.spelled.clone(), problem.into(), cure.into())
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({}, {})", self.spelled, self.origin)
    }
}

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
    /// Collects the settings from flags, environment and configuration file.
    ///
    /// Reads only variables that begin with [`ENV_PREFIX`]. Ignores those that orchestrators set
    /// for services and containers of our name. The files of secrets are read here as well.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown name, an empty value, a value and a file given for the same
    /// secret by the same source, a secret that has invisible additions, or a file that can't be
    /// read.
    ///
    /// # Examples
    ///
    /// ```
    /// use countersign_server::config::{Flags, LISTEN, Sources};
    ///
    /// let mut flags = Flags::default();
    /// flags.given.push(("listen".to_owned(), "127.0.0.1:9000".to_owned()));
    /// let environment = [("COUNTERSIGN_LISTEN".into(), "0.0.0.0:8000".into())];
    /// let sources = Sources::gather(flags, environment)?;
    /// assert_eq!(sources.get(&LISTEN).map(|given| given.text()), Some("127.0.0.1:9000"));
    /// # Ok::<(), countersign::ConfigError>(())
    /// ```
    pub fn gather(
        flags: Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
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
            if find(&key).is_none() && is_link(name, &value.to_string_lossy()) {
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
                return Err(unknown(&spelled, &key, Origin::Environment));
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
            let given = || {
                Given::new(
                    Origin::Deployment,
                    format!("{} of the deployment", setting.key),
                    text,
                )
            };
            agreed.given.entry(setting.key).or_insert_with(given);
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

    /// Returns the settings whose values differ in `later`.
    pub fn changed(&self, later: &Self) -> Vec<&'static Setting> {
        let text = |sources: &Self, setting: &'static Setting| {
            sources.get(setting).map(|given| given.text.clone())
        };
        setting::all()
            .filter(|setting| text(self, setting) != text(later, setting))
            .collect()
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

/// The values that were given for each setting, from all sources.
#[derive(Default)]
struct Layers(BTreeMap<&'static str, Vec<(Form, Given)>>);

/// The form in which a value was given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Value,
    File,
}

impl Layers {
    /// Adds a value under the key that names its setting.
    fn add(&mut self, key: &str, given: Given) -> Result<(), ConfigError> {
        let Some((setting, form)) = find(key) else {
            return Err(unknown(&given.spelled, key, given.origin));
        };
        if given.text().is_empty() {
            return Err(given.error("is empty", "set a value, or remove the setting"));
        }
        self.0.entry(setting.key).or_default().push((form, given));
        Ok(())
    }

    /// Returns the strongest value of each setting.
    fn weigh(self) -> Result<BTreeMap<&'static str, Given>, ConfigError> {
        let kind = |key| {
            setting::all()
                .find(|setting| setting.key == key)
                .map_or(Kind::Plain, |setting| setting.kind)
        };
        self.0
            .into_iter()
            .map(|(key, given)| Ok((key, strongest(kind(key), given)?)))
            .collect()
    }
}

/// Returns the value from the strongest source. A value and a file from the same source contradict
/// each other.
fn strongest(kind: Kind, mut given: Vec<(Form, Given)>) -> Result<Given, ConfigError> {
    // The strongest value is the last one then, and a twin from the same source is next to it.
    given.sort_by_key(|(_, given)| given.origin);
    let Some((form, last)) = given.pop() else {
        return Err(ConfigError::new(
            "settings",
            "could not be read",
            "this is a bug, please report it",
        ));
    };
    if let Some((_, twin)) = given
        .last()
        .filter(|(other, twin)| *other != form && twin.origin == last.origin)
    {
        let problem = format!("conflicts with {}", twin.spelled);
        return Err(last.error(problem, "set either the value or the file"));
    }
    let value = match form {
        Form::Value => last,
        Form::File => content(kind, &last)?,
    };
    let fault = match kind {
        Kind::Plain | Kind::Switch => None,
        Kind::Secret => secret_text::fault(value.text()),
        Kind::Key => secret_text::fault_of_key(value.text()),
    };
    match fault {
        Some(fault) => Err(value.error(
            fault,
            "set the text alone; a file may end with one line break",
        )),
        None => Ok(value),
    }
}

/// Returns the text in the file that `given` names. A key is kept whole, a secret loses the line
/// end that editors add.
fn content(kind: Kind, given: &Given) -> Result<Given, ConfigError> {
    let text = std::fs::read_to_string(given.text())
        .map(Zeroizing::new)
        .map_err(|error| {
            given.error(
                format!("names a file that can't be read: {error}"),
                "set the path of a file that this process can read",
            )
        })?;
    let text = if kind == Kind::Key {
        &text
    } else {
        secret_text::without_line_end(&text)
    };
    if text.trim().is_empty() {
        return Err(given.error("names an empty file", "write the secret to that file"));
    }
    let file = Some(given.text().to_owned());
    Ok(Given {
        file,
        ..Given::new(given.origin, given.spelled.clone(), text)
    })
}

/// Returns the setting that `key` names, and whether the key is the one for a file.
fn find(key: &str) -> Option<(&'static Setting, Form)> {
    let by_key = |key: &str| setting::all().find(|setting| setting.key == key);
    if let Some(setting) = by_key(key) {
        return Some((setting, Form::Value));
    }
    let setting = by_key(key.strip_suffix("_file")?)?;
    setting.kind.is_secret().then_some((setting, Form::File))
}

/// Returns the error for an unknown name, with the most similar known name as the cure.
fn unknown(spelled: &str, key: &str, origin: Origin) -> ConfigError {
    let mut known: Vec<String> = setting::all().flat_map(Setting::keys).collect();
    known.push("config".to_owned());
    let near = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&name, key), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let spell = |key: String| match origin {
        Origin::Environment => format!("{ENV_PREFIX}{}", key.to_ascii_uppercase()),
        Origin::Flag => format!("--{}", key.replace('_', "-")),
        Origin::File | Origin::Deployment => key,
    };
    let cure = near.map_or_else(
        || "run `countersign --help` to list all settings".to_owned(),
        |(_, name)| format!("did you mean {}?", spell(name)),
    );
    ConfigError::new(spelled.to_owned(), "unknown setting", cure)
}
