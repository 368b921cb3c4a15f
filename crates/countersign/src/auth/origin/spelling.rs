//! The parser of origins that people write in settings.
//!
//! Browsers send `Origin` in one spelling, and the policy compares bytes. So a setting in any other
//! spelling is refused, with the right one in the message, rather than never matched.

use http::HeaderValue;
use url::Url;

use crate::error::ConfigError;

const CURE: &str =
    "write it as browsers send it, for example https://app.example or https://app.example:8443";

/// Returns `text` as browsers spell it. The scheme's own port may be given and is left out.
///
/// # Errors
///
/// Returns a [`ConfigError`] that names `option` and says what is wrong with the text.
pub(super) fn parse(option: &'static str, text: &str) -> Result<HeaderValue, ConfigError> {
    let spelled = spell(text).map_err(|problem| ConfigError::new(option, problem, CURE))?;
    HeaderValue::from_str(&spelled)
        .map_err(|_| ConfigError::new(option, "is not a valid origin", CURE))
}

/// Returns the origin as browsers spell it, or the problem in words that follow the setting's name.
fn spell(text: &str) -> Result<String, String> {
    if text.contains('*') {
        return refused("contains `*`, but each origin must be listed separately");
    }
    let Ok(url) = Url::parse(text) else {
        return refused("is not a valid origin");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refused("does not start with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("contains a user name");
    }
    let spelled = url.origin().ascii_serialization();
    let own_port = if url.scheme() == "https" { 443 } else { 80 };
    if text == spelled || text == format!("{spelled}:{own_port}") {
        return Ok(spelled);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refused("has a query or a fragment");
    }

    match url.path() {
        "/" if text.ends_with('/') => refused("ends with a slash"),
        "/" => Err(format!(
            "is not spelled as browsers send it, which is {spelled}"
        )),
        _ => refused("has a path"),
    }
}

/// Returns an error with this problem.
fn refused(problem: &str) -> Result<String, String> {
    Err(problem.to_owned())
}
