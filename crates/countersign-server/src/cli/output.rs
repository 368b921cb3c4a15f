//! How a command answers: text for people, or one JSON document, on standard output; errors on standard error.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::accounts::{is_invisible, spelled_out};
use crate::error::Error;

/// The longest wait for somebody who reads what is said on the way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for.
    pub(super) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints `value` as JSON, or `text`.
    pub(super) fn print(self, value: &impl Serialize, text: &str) -> Result<(), Error> {
        write_line(io::stdout(), &self.line(value, text)?).map_err(Error::io("can't write to standard output"))
    }

    /// Prints like [`print`](Self::print), and goes on after a second if nobody reads it.
    pub(super) fn announce(self, value: &impl Serialize, text: &str) -> Result<(), Error> {
        let line = self.line(value, text)?;
        in_time(move || write_line(io::stdout(), &line)).map_err(Error::io("can't write to standard output"))
    }

    /// Tells what is being done, on standard error, and goes on after a second if nobody reads it.
    pub(super) fn tell(self, value: &serde_json::Value, text: &str) {
        let line = if self.json { in_ascii(&value.to_string()) } else { spelled_out(text) };
        // With standard error gone there is nobody to tell.
        let _ = in_time(move || write_line(io::stderr(), &line));
    }

    fn line(self, value: &impl Serialize, text: &str) -> Result<String, Error> {
        if self.json {
            let json = serde_json::to_string(value).map_err(|error| Error::io("can't write JSON")(error.into()))?;
            Ok(in_ascii(&json))
        } else {
            Ok(spelled_out(text.trim_end()))
        }
    }

    /// Says what went wrong, and goes on after a second if nobody reads it.
    pub(super) fn error(self, error: &Error) {
        let line = if self.json {
            in_ascii(&json!({ "error": { "code": error.code(), "message": error.story() } }).to_string())
        } else {
            spelled_out(&format!("countersign: {}", error.story()))
        };
        // With standard error gone there is nobody to tell; the exit code still speaks.
        let _ = in_time(move || write_line(io::stderr(), &line));
    }
}

fn write_line(mut out: impl Write, line: &str) -> io::Result<()> {
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

/// Writes on a thread of its own, which is left alone when it doesn't come to an end: a pipe that nobody reads holds up
/// neither a start nor an end.
fn in_time(write: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let (done, written) = sync_channel(1);
    let work = move || drop(done.send(write()));
    thread::Builder::new().name("countersign-output".to_owned()).spawn(work)?;
    written.recv_timeout(PATIENCE).unwrap_or(Ok(()))
}

/// Asks `question` on the terminal, and returns whether the answer is yes.
///
/// # Errors
/// [`Error::Usage`] with `unasked` when nobody can be asked.
pub(super) fn confirmed(question: &str, unasked: &str) -> Result<bool, Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::Usage(unasked.to_owned()));
    }
    let mut answer = String::new();
    write!(io::stderr(), "{question} Type yes: ")
        .and_then(|()| io::stdin().lock().read_line(&mut answer))
        .map_err(Error::io("can't ask"))?;
    Ok(answer.trim() == "yes")
}

/// Lines of columns, as wide as they must be.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| in_a_line(cell))).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A text that stays in its cell.
fn in_a_line(cell: &str) -> String {
    spelled_out(cell).replace('\n', "\\n")
}

/// JSON that says the same with what nobody can see spelled out. Outside its strings there is nothing of that kind.
fn in_ascii(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if is_invisible(character) {
            let mut units = [0; 2];
            shown.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
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
        assert_eq!(shown, r#"{"email":"a\u200bda\u202e\udb40\udc41@example.org"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), json);
        let rows = [["EMAIL", "X"].map(str::to_owned), [address.to_owned(), "two\nlines".to_owned()]];
        let shown = table(&rows);
        assert!(shown.contains(r"a\u{200b}da\u{202e}\u{e0041}@example.org  two\nlines"), "{shown}");
    }
}
