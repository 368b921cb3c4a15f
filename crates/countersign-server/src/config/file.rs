//! The configuration file: one flat TOML table whose keys are the names of the settings in lower
//! case.

use std::path::Path;

use countersign::ConfigError;
use toml::Value;

use crate::config::given::Given;
use crate::config::setting::Origin;

/// Reads the settings in the file at `path`. `spelled` is the name of the setting that names the
/// file.
///
/// # Errors
/// [`ConfigError`] if the file can't be read, isn't TOML, or holds a value that isn't a text, an
/// integer, a boolean or a list of texts.
pub(super) fn read_file(spelled: &str, path: &Path) -> Result<Vec<(String, Given)>, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(
            spelled.to_owned(),
            format!("can't read {shown}: {error}"),
            "set the path of a file that this process can read",
        )
    })?;

    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| {
            text.get(..span.start)
                .unwrap_or_default()
                .lines()
                .count()
                .max(1)
        });
        ConfigError::new(
            spelled.to_owned(),
            format!(
                "{shown} is not valid TOML: {} (line {line})",
                error.message()
            ),
            "fix that line",
        )
    })?;

    table
        .into_iter()
        .map(|(key, value)| given(key, value, path))
        .collect()
}

/// Returns a key of the file and its value as text, with the name under which errors show it.
fn given(key: String, value: Value, path: &Path) -> Result<(String, Given), ConfigError> {
    let spelled = format!("{key} in {}", path.display());
    let Some(text) = plain(value) else {
        let problem = "must be a string, an integer, a boolean or an array of strings";
        return Err(ConfigError::new(
            spelled,
            problem,
            "the file is a flat table of settings, for example `listen = \"127.0.0.1:8000\"`",
        ));
    };
    let given = Given::new(Origin::File, spelled, text);
    Ok((key, given))
}

/// Returns the text that the value would have in a flag. A list is joined with commas.
fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Array(values) => {
            let texts: Option<Vec<String>> = values
                .into_iter()
                .map(|value| value.as_str().map(str::to_owned))
                .collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}
