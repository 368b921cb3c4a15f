//! The flags of all settings, generated from the list of settings.
//!
//! The flags are made by hand instead of by clap's derive, so that a new
//! [`Setting`](crate::config::Setting) has its flag and its help without another line of code.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::{Kind, all_settings};

/// The settings that the command line gives.
#[derive(Debug, Default)]
pub(super) struct SettingFlags {
    /// The keys of the settings and their values.
    pub(super) given: Vec<(String, String)>,
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        command.args(arguments())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for key in all_settings().flat_map(crate::config::Setting::keys) {
            if let Some(value) = matches.get_one::<String>(&key) {
                self.given.push((key, value.clone()));
            }
        }
        Ok(())
    }
}

/// Returns a flag for each setting, and one for its file if it is a secret.
fn arguments() -> Vec<Arg> {
    let mut arguments = Vec::new();
    for setting in all_settings() {
        let default = if setting.default.is_empty() {
            String::new()
        } else {
            format!(" [default: {}]", setting.default)
        };
        let sentence = setting.help.trim_end_matches('.');
        let help = format!("{sentence}{default} [env: {}]", setting.env());

        let mut flag = argument(setting.key.to_owned(), setting.flag())
            .help(help)
            .value_name(setting.form);
        if setting.kind == Kind::Switch {
            flag = flag
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true");
        }
        arguments.push(flag);

        if setting.kind.is_secret() {
            let help = format!(
                "Read --{} from this file [env: {}_FILE]",
                setting.flag(),
                setting.env()
            );
            let (key, flag) = (
                format!("{}_file", setting.key),
                format!("{}-file", setting.flag()),
            );
            arguments.push(argument(key, flag).help(help).value_name("FILE"));
        }
    }

    arguments
}

fn argument(key: String, flag: String) -> Arg {
    Arg::new(key)
        .long(flag)
        .global(true)
        .action(ArgAction::Set)
        .help_heading("Settings")
}
