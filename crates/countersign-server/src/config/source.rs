//! Where a setting comes from: flags, then environment, then file. Every error names the setting as it was typed.

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

/// The prefix of every environment variable we read.
pub const ENV_PREFIX: &str = "COUNTERSIGN_";

/// Which of the three said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// What the deployment's database says, where nobody else does.
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

/// One setting as somebody gave it. Its `Debug` leaves the value out: it may be a secret.
#[derive(Clone)]
pub struct Given {
    text: Zeroizing<String>,
    /// Who said it.
    pub origin: Origin,
    /// The setting's name as it was typed.
    pub spelled: String,
    /// The file that the value stands in, where one was named.
    file: Option<String>,
}

impl Given {
    /// `text`, as `spelled` said it.
    pub fn new(origin: Origin, spelled: impl Into<String>, text: impl Into<String>) -> Self {
        Self { text: Zeroizing::new(text.into()), origin, spelled: spelled.into(), file: None }
    }

    /// Returns what reads the value again from the file that it stands in; `None` where it was given itself.
    pub fn source(&self) -> Option<UrlSource> {
        let named = Self::new(self.origin, self.spelled.clone(), self.file.clone()?);
        Some(UrlSource::new(move || {
            strongest(Kind::Secret, vec![(Form::File, named.clone())]).ok().map(|again| again.text)
        }))
    }

    /// The value.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// An error about this value.
    pub fn error(&self, problem: impl Into<String>, cure: impl Into<String>) -> ConfigError {
        ConfigError::new(self.spelled.clone(), problem.into(), cure.into())
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({}, {})", self.spelled, self.origin)
    }
}

/// What the command line says, before it is weighed against the other two.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Keys of settings (`token_hash_secret`, `token_hash_secret_file`) and their values.
    pub given: Vec<(String, String)>,
}

/// Every setting that was given, after the three have been weighed.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    given: BTreeMap<&'static str, Given>,
    file: Option<PathBuf>,
    settled: bool,
}

impl Sources {
    /// Weighs flags, environment and file.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown name, an empty value, a secret given twice, or a file that can't be read.
    pub fn gather(
        flags: Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        let mut config = flags.config.map(|path| ("--config".to_owned(), path));
        for (name, value) in environment {
            let Some(name) = name.to_str().and_then(|name| name.strip_prefix(ENV_PREFIX)) else { continue };
            let spelled = format!("{ENV_PREFIX}{name}");
            if name == "CONFIG" {
                config.get_or_insert_with(|| (spelled, PathBuf::from(value)));
                continue;
            }
            let key = name.to_ascii_lowercase();
            if find(&key).is_none() && is_link(name, &value.to_string_lossy()) {
                continue;
            }
            let text = value
                .into_string()
                .map_err(|_| ConfigError::new(spelled.clone(), "is not valid UTF-8", "give it as plain text"))?;
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
        Ok(Self { given: layers.weigh()?, file, settled: false })
    }

    /// A setting, if anybody gave it.
    pub fn get(&self, setting: &'static Setting) -> Option<&Given> {
        self.given.get(setting.key)
    }

    /// These settings, with what the deployment says of those that nobody gave.
    #[must_use]
    pub fn agreed<'a>(&self, recorded: impl IntoIterator<Item = (&'static Setting, &'a str)>) -> Self {
        let mut agreed = self.settled();
        for (setting, text) in recorded {
            let given = || Given::new(Origin::Deployment, format!("{} of the deployment", setting.key), text);
            agreed.given.entry(setting.key).or_insert_with(given);
        }
        agreed
    }

    /// These settings, to which no deployment adds anything more.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self { settled: true, ..self.clone() }
    }

    /// Whether a setting won't change any more when the deployment has been asked.
    pub fn is_final(&self, setting: &'static Setting) -> bool {
        self.settled || self.get(setting).is_some()
    }

    /// Whether somebody gave a setting, here and now.
    pub fn is_told(&self, setting: &'static Setting) -> bool {
        self.get(setting).is_some_and(|given| given.origin != Origin::Deployment)
    }

    /// Returns the settings whose values are others in `later`.
    pub fn changed(&self, later: &Self) -> Vec<&'static Setting> {
        let text = |sources: &Self, setting: &'static Setting| sources.get(setting).map(|given| given.text.clone());
        setting::all().filter(|setting| text(self, setting) != text(later, setting)).collect()
    }

    /// The configuration file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// A setting parsed, or its default parsed by the same code.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting and says what `parse` said.
    pub fn parse<T>(
        &self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let cure = format!("for example {}", setting.example());
        match self.get(setting) {
            Some(given) => parse(given.text()).map_err(|problem| given.error(problem, cure)),
            None => parse(setting.default).map_err(|problem| ConfigError::new(setting.env(), problem, cure)),
        }
    }

    /// Like [`parse`](Self::parse), without a default.
    ///
    /// # Errors
    /// As there.
    pub fn parse_optional<T>(
        &self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        self.get(setting).map(|_| self.parse(setting, parse)).transpose()
    }
}

/// What was given, by setting, value or `_file`, and origin.
#[derive(Default)]
struct Layers(BTreeMap<&'static str, Vec<(Form, Given)>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Value,
    File,
}

impl Layers {
    fn add(&mut self, key: &str, given: Given) -> Result<(), ConfigError> {
        let Some((setting, form)) = find(key) else { return Err(unknown(&given.spelled, key, given.origin)) };
        if given.text().is_empty() {
            return Err(given.error("is empty", "give it a value or leave it out"));
        }
        self.0.entry(setting.key).or_default().push((form, given));
        Ok(())
    }

    fn weigh(self) -> Result<BTreeMap<&'static str, Given>, ConfigError> {
        let kind = |key| setting::all().find(|setting| setting.key == key).map_or(Kind::Plain, |setting| setting.kind);
        self.0.into_iter().map(|(key, given)| Ok((key, strongest(kind(key), given)?))).collect()
    }
}

/// The value that the strongest origin gave; value and file from the same origin contradict each other.
fn strongest(kind: Kind, mut given: Vec<(Form, Given)>) -> Result<Given, ConfigError> {
    given.sort_by_key(|(_, given)| given.origin);
    let Some((form, last)) = given.pop() else {
        return Err(ConfigError::new("settings", "were lost", "report this"));
    };
    if let Some((_, twin)) = given.last().filter(|(other, twin)| *other != form && twin.origin == last.origin) {
        let problem = format!("is given along with {}", twin.spelled);
        return Err(last.error(problem, "give the value or the file, not both"));
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
        Some(fault) => Err(value.error(fault, "give the bare text; a file may end with one line end")),
        None => Ok(value),
    }
}

/// The text in the file that `given` names: of a key all of it, of a secret without the line end that editors add.
fn content(kind: Kind, given: &Given) -> Result<Given, ConfigError> {
    let text = std::fs::read_to_string(given.text())
        .map(Zeroizing::new)
        .map_err(|error| given.error(format!("can't be read: {error}"), "name a file that this process may read"))?;
    let text = if kind == Kind::Key { &text } else { secret_text::without_line_end(&text) };
    if text.trim().is_empty() {
        return Err(given.error("names an empty file", "put the secret into it"));
    }
    let file = Some(given.text().to_owned());
    Ok(Given { file, ..Given::new(given.origin, given.spelled.clone(), text) })
}

fn find(key: &str) -> Option<(&'static Setting, Form)> {
    let by_key = |key: &str| setting::all().find(|setting| setting.key == key);
    if let Some(setting) = by_key(key) {
        return Some((setting, Form::Value));
    }
    let setting = by_key(key.strip_suffix("_file")?)?;
    setting.kind.is_secret().then_some((setting, Form::File))
}

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
        || "`countersign --help` lists them all".to_owned(),
        |(_, name)| format!("did you mean {}?", spell(name)),
    );
    ConfigError::new(spelled.to_owned(), "is no setting", cure)
}
