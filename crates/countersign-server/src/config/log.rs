//! Settings of the log, which is written to standard error.

use countersign::ConfigError;
use tracing_subscriber::filter::LevelFilter;

use crate::config::setting::{Kind, Setting};
use crate::config::{Sources, parse};

const LOG: Setting = Setting {
    key: "log",
    kind: Kind::Plain,
    default: "info",
    form: "off|error|warn|info|debug|trace",
    example: "info",
    help: "Least severe level to log; debug adds a line per request.",
};
pub(super) const LOG_FORMAT: Setting = Setting {
    key: "log_format",
    kind: Kind::Plain,
    default: "text",
    form: "text|json",
    example: "text",
    help: "Format of the log lines.",
};

/// The settings of this section, in the order of the help.
pub(super) const SETTINGS: &[&Setting] = &[&LOG, &LOG_FORMAT];

/// The settings of the log.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// The least severe level that is logged.
    pub level: LevelFilter,
    /// The format of the log lines.
    pub format: LogFormat,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Log {
    /// Reads this section.
    ///
    /// # Errors
    /// [`ConfigError`] if a value isn't one of the words that the setting takes.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        const LEVELS: &[(&str, LevelFilter)] = &[
            ("off", LevelFilter::OFF),
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ];
        const FORMATS: &[(&str, LogFormat)] =
            &[("text", LogFormat::Text), ("json", LogFormat::Json)];

        Ok(Self {
            level: sources.parse(&LOG, parse::one_of(LEVELS))?,
            format: sources.parse(&LOG_FORMAT, parse::one_of(FORMATS))?,
        })
    }
}
