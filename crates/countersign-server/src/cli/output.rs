//! The output of commands: text for people or one JSON document on standard output, and errors on
//! standard error.
//!
//! Invisible characters are escaped in both, because the output may contain what strangers typed.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::error::Error;
use crate::invisible::{is_invisible, spelled_out};

/// The time to wait for somebody to read progress messages and errors.
const PATIENCE: Duration = Duration::from_secs(1);

/// The form of a command's output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    /// Creates an output in JSON if `json` is `true`, and in text otherwise.
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Returns `true` if the output is in JSON.
    pub(super) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints `value` if the output is in JSON, and `text` otherwise. Waits until it is written.
    ///
    /// # Errors
    /// [`Error::Io`] if standard output can't be written to.
    pub(super) fn print(self, value: &impl Serialize, text: &str) -> Result<(), Error> {
        write_line(io::stdout(), &self.line(value, text)?)
            .map_err(Error::io("can't write to standard output"))
    }

    /// Prints like [`print`](Self::print), but stops waiting after a second if nobody reads the
    /// output. For a server that goes on running afterwards.
    ///
    /// # Errors
    /// As for [`print`](Self::print).
    pub(super) fn announce(self, value: &impl Serialize, text: &str) -> Result<(), Error> {
        let line = self.line(value, text)?;
        in_time(move || write_line(io::stdout(), &line))
            .map_err(Error::io("can't write to standard output"))
    }

    /// Prints progress on standard error. Stops waiting after a second if nobody reads it.
    pub(super) fn tell(self, value: &serde_json::Value, text: &str) {
        let line = if self.json {
            in_ascii(&value.to_string())
        } else {
            spelled_out(text)
        };
        // Without standard error there is nothing left to do.
        let _ = in_time(move || write_line(io::stderr(), &line));
    }

    /// Returns the line to print, with invisible characters escaped.
    fn line(self, value: &impl Serialize, text: &str) -> Result<String, Error> {
        if self.json {
            let json = serde_json::to_string(value)
                .map_err(|error| Error::io("can't write JSON")(error.into()))?;
            Ok(in_ascii(&json))
        } else {
            Ok(spelled_out(text.trim_end()))
        }
    }

    /// Prints an error on standard error. Stops waiting after a second if nobody reads it.
    pub(super) fn error(self, error: &Error) {
        let line = if self.json {
            in_ascii(
                &json!({ "error": { "code": error.code(), "message": error.story() } }).to_string(),
            )
        } else {
            spelled_out(&format!("countersign: {}", error.story()))
        };
        // Without standard error only the exit code is left to tell.
        let _ = in_time(move || write_line(io::stderr(), &line));
    }
}

/// Writes a line in one call, so that lines of other threads don't get into it.
fn write_line(mut out: impl Write, line: &str) -> io::Result<()> {
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

/// Runs `write` on a thread of its own, and stops waiting for it after a second.
///
/// A pipe that nobody reads would otherwise block the start or the end of the process.
fn in_time(write: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let (done, written) = sync_channel(1);
    thread::Builder::new()
        .name("countersign-output".to_owned())
        .spawn(move || drop(done.send(write())))?;
    written.recv_timeout(PATIENCE).unwrap_or(Ok(()))
}

/// Asks `question` on the terminal. Returns `true` if the answer is `yes`.
///
/// # Errors
/// [`Error::Usage`] with the text `unasked` if standard input isn't a terminal.
pub(super) fn confirmed(question: &str, unasked: &str) -> Result<bool, Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::Usage(unasked.to_owned()));
    }
    let mut answer = String::new();
    write!(io::stderr(), "{question} Type `yes` to confirm: ")
        .and_then(|()| io::stdin().lock().read_line(&mut answer))
        .map_err(Error::io("can't ask for confirmation"))?;
    Ok(answer.trim() == "yes")
}

/// Returns a table with columns that are as wide as their widest cell, separated by two spaces. The
/// first row is the heading.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| in_a_line(cell)))
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines: Vec<String> = rows.iter().map(|row| padded(row, widths)).collect();
    lines.join("\n")
}

/// Returns the line of a row whose cells are padded to `widths`.
fn padded<const N: usize>(row: &[String; N], widths: [usize; N]) -> String {
    let cells = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:<width$}"));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// Returns a cell's text on a single line.
fn in_a_line(cell: &str) -> String {
    spelled_out(cell).replace('\n', "\\n")
}

/// Returns the same JSON with invisible characters escaped. They occur only within its strings.
fn in_ascii(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if is_invisible(character) {
            let mut units = [0; 2];
            shown.extend(
                character
                    .encode_utf16(&mut units)
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}")),
            );
        } else {
            shown.push(character);
        }
    }

    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_invisible_leaves_the_command_line() {
        let address = "a\u{200b}da\u{202e}\u{e0041}@example.org";
        let json = json!({ "email": address });
        let shown = in_ascii(&json.to_string());
        assert_eq!(
            shown,
            r#"{"email":"a\u200bda\u202e\udb40\udc41@example.org"}"#
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            json
        );
        let rows = [
            ["EMAIL", "X"].map(str::to_owned),
            [address.to_owned(), "two\nlines".to_owned()],
        ];
        let shown = table(&rows);
        assert!(
            shown.contains(r"a\u{200b}da\u{202e}\u{e0041}@example.org  two\nlines"),
            "{shown}"
        );
    }
}
