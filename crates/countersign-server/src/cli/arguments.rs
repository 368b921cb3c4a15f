//! The command line, prepared for the parser: the values of switches are joined to their flags.

use std::ffi::OsString;

use crate::config::{Kind, all_settings};

/// Returns the arguments with `true` or `false` joined by `=` to the switch before it.
///
/// A switch may be given with or without a value. If the parser allowed a value after a blank, it
/// would take any word after the switch for one.
///
/// # Examples
///
/// ```
/// use std::ffi::OsString;
///
/// use countersign_server::cli::arguments;
///
/// let typed = ["countersign", "--insecure-cookies", "false"].map(OsString::from);
/// assert_eq!(arguments(typed), ["countersign", "--insecure-cookies=false"]);
/// ```
pub fn arguments(typed: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in typed {
        let is_value = argument == "true" || argument == "false";
        match joined.last_mut() {
            Some(before) if is_value && is_switch(before) => {
                before.push("=");
                before.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}

/// Returns `true` if `argument` is the flag of a switch.
fn is_switch(argument: &OsString) -> bool {
    let flag = argument
        .to_str()
        .and_then(|argument| argument.strip_prefix("--"));
    flag.is_some_and(|flag| {
        all_settings().any(|setting| setting.kind == Kind::Switch && setting.flag() == flag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_switches_are_joined_with_what_follows() {
        let joined = |typed: &[&str]| {
            let typed = typed.iter().map(OsString::from);
            arguments(typed)
                .into_iter()
                .map(|argument| argument.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            joined(&["--insecure-cookies", "true", "serve"]),
            ["--insecure-cookies=true", "serve"]
        );
        assert_eq!(
            joined(&["--insecure-cookies", "serve"]),
            ["--insecure-cookies", "serve"]
        );
        assert_eq!(joined(&["--jwt-issuer", "true"]), ["--jwt-issuer", "true"]);
        assert_eq!(
            joined(&["--insecure-cookies=false", "true"]),
            ["--insecure-cookies=false", "true"]
        );
    }
}
