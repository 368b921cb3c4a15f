//! A writer that makes lines safe to show on a terminal.
//!
//! Some lines contain text from elsewhere, such as the error of a database or the name of a file.
//! Without this writer, that text could forge further lines or change what a terminal shows.

use std::io::{self, Write};

/// A writer that spells out every control character before it passes a line on.
///
/// So input that is logged can neither begin a line of its own nor send escape sequences to a
/// terminal. A character is written as in `\u{1b}`. The line feed at the end of the line is kept.
///
/// Each call of `write` must be one whole line, as the subscriber of `tracing` makes them.
#[derive(Debug)]
pub(super) struct Escaped<W>(pub(super) W);

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
        lines
            .write_all(b"a\nINFO forged \x1b[31mred\x1b[0m\t\xc2\x9b1m\n")
            .unwrap();
        lines.write_all("plain ü\n".as_bytes()).unwrap();
        let written = String::from_utf8(lines.0).unwrap();
        assert_eq!(
            written,
            "a\\u{a}INFO forged \\u{1b}[31mred\\u{1b}[0m\\u{9}\\u{9b}1m\nplain ü\n"
        );
    }
}
