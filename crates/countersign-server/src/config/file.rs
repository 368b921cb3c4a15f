//! The configuration file: one flat TOML table of the same names, in lower case.

use std::path::Path;

use countersign::ConfigError;
use toml::Value;

use crate::config::source::{Given, Origin};

/// The settings in the file at `path`, which the setting `spelled` names.
///
/// # Errors
/// [`ConfigError`] when it can't be read, isn't TOML, or holds a value that is no text, number, truth value or list.
pub(super) fn read_file(spelled: &str, path: &Path) -> Result<Vec<(String, Given)>, ConfigError> {
    let shown = path.display();
    let refused = |problem: String, cure: &'static str| ConfigError::new(spelled.to_owned(), problem, cure);
    let text = std::fs::read_to_string(path).map_err(|error| {
        refused(format!("{shown} can't be read: {error}"), "name a file that this process may read")
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
        refused(format!("{shown} isn't TOML: {} (line {line})", error.message()), "correct that line")
    })?;
    table.into_iter().map(|(key, value)| given(key, value, path)).collect()
}

fn given(key: String, value: Value, path: &Path) -> Result<(String, Given), ConfigError> {
    let spelled = format!("{key} in {}", path.display());
    let Some(text) = plain(value) else {
        let problem = "must be a text, a number, true, false or a list of texts";
        return Err(ConfigError::new(spelled, problem, "the file is one flat table, as `listen = \"127.0.0.1:8000\"`"));
    };
    let given = Given::new(Origin::File, spelled, text);
    Ok((key, given))
}

fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Array(values) => {
            let texts: Option<Vec<String>> =
                values.into_iter().map(|value| value.as_str().map(str::to_owned)).collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}
