//! Settings of the log.

use countersign::ConfigError;
use tracing_subscriber::filter::LevelFilter;

use crate::config::setting::{Kind, Setting};
use crate::config::{Sources, parse};

const LOG: Setting = Setting {
    key: "log",
    kind: Kind::Plain,
    default: "info",
    form: "off|error|warn|info|debug|trace",
    help: "How much to log; debug adds a line per request.",
};
pub(super) const LOG_FORMAT: Setting =
    Setting { key: "log_format", kind: Kind::Plain, default: "text", form: "text|json", help: "How a log line looks." };

/// This section's settings.
pub(super) const SETTINGS: &[&Setting] = &[&LOG, &LOG_FORMAT];

/// The log.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// How much.
    pub level: LevelFilter,
    /// How.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Log {
    /// Reads the section.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        const LEVELS: &[(&str, LevelFilter)] = &[
            ("off", LevelFilter::OFF),
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ];
        const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
        Ok(Self {
            level: sources.parse(&LOG, parse::one_of(LEVELS))?,
            format: sources.parse(&LOG_FORMAT, parse::one_of(FORMATS))?,
        })
    }
}
