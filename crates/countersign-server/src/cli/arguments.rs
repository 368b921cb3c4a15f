//! The command line as it was typed, with the values of switches where the parser looks for them.

use std::ffi::OsString;

use crate::config::{Kind, all_settings};

/// Joins a switch and a `true` or `false` that follows it with a `=`. A switch may also stand alone, so that the parser
/// can't take just any word behind it for its value.
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

fn is_switch(argument: &OsString) -> bool {
    let flag = argument.to_str().and_then(|argument| argument.strip_prefix("--"));
    flag.is_some_and(|flag| all_settings().any(|setting| setting.kind == Kind::Switch && setting.flag() == flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_switches_are_joined_with_what_follows() {
        let joined = |typed: &[&str]| {
            let typed = typed.iter().map(OsString::from);
            arguments(typed).into_iter().map(|argument| argument.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(joined(&["--insecure-cookies", "true", "serve"]), ["--insecure-cookies=true", "serve"]);
        assert_eq!(joined(&["--insecure-cookies", "serve"]), ["--insecure-cookies", "serve"]);
        assert_eq!(joined(&["--jwt-issuer", "true"]), ["--jwt-issuer", "true"]);
        assert_eq!(joined(&["--insecure-cookies=false", "true"]), ["--insecure-cookies=false", "true"]);
    }
}
