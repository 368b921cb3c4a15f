//! A value that was given for a setting, and which of several wins.

use std::fmt;

use countersign::{ConfigError, UrlSource};
use zeroize::Zeroizing;

use crate::config::secret_text;
use crate::config::setting::{Kind, Origin, Setting};

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
    pub(super) fn example(&self, setting: &Setting) -> String {
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

/// The form in which a value was given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Value,
    File,
}

/// Returns the value from the strongest source. A value and a file from the same source contradict
/// each other.
pub(super) fn strongest(kind: Kind, mut given: Vec<(Form, Given)>) -> Result<Given, ConfigError> {
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
