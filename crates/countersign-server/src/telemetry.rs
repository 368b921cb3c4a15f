//! The log: structured, on standard error, and safe to show on a terminal (SECURITY rows G-01 and G-02).

use std::io::{self, Write};

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Starts logging. Called once, before anything that logs.
pub fn start(log: Log) {
    match log.format {
        LogFormat::Text => text(log.level).init(),
        LogFormat::Json => json(log.level).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(event = "panic", place, "a bug: please report it");
    }));
}

fn text(level: LevelFilter) -> impl Subscriber {
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Escaped::<StandardError>::default);
    registry().with(targets(level)).with(lines)
}

fn json(level: LevelFilter) -> impl Subscriber {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(Escaped::<StandardError>::default);
    registry().with(targets(level)).with(lines)
}

/// Dependencies may print headers, statements and values below `warn`, whatever level is asked for; so they don't get
/// to.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("countersign", level)
        .with_target("countersign_server", level)
}

#[derive(Default)]
struct StandardError;

impl Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// Passes lines on with every control character spelled out, so that input can neither start a line nor colour a
/// terminal. The subscriber writes each line in one call.
#[derive(Default)]
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let body = text.strip_suffix('\n').unwrap_or(&text);
        if body.contains(char::is_control) {
            let mut escaped = String::with_capacity(body.len() + 16);
            for character in body.chars() {
                if character.is_control() {
                    escaped.extend(character.escape_unicode());
                } else {
                    escaped.push(character);
                }
            }
            escaped.push('\n');
            self.0.write_all(escaped.as_bytes())?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out() {
        let mut lines = Escaped(Vec::new());
        lines.write_all(b"a\nINFO forged \x1b[31mred\x1b[0m\t\xc2\x9b1m\n").unwrap();
        lines.write_all("plain ü\n".as_bytes()).unwrap();
        let written = String::from_utf8(lines.0).unwrap();
        assert_eq!(written, "a\\u{a}INFO forged \\u{1b}[31mred\\u{1b}[0m\\u{9}\\u{9b}1m\nplain ü\n");
    }
}
