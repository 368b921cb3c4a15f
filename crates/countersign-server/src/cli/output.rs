//! How a command answers: text for people, or one JSON document, on standard output; errors on standard error.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

use crate::error::Error;

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
        let line = if self.json {
            serde_json::to_string(value).map_err(|error| Error::io("can't write JSON")(error.into()))?
        } else {
            text.trim_end().to_owned()
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::io("can't write to standard output"))
    }

    /// Says what went wrong.
    pub(super) fn error(self, error: &Error) {
        let line = if self.json {
            json!({ "error": { "code": error.code(), "message": error.story() } }).to_string()
        } else {
            format!("countersign: {}", error.story())
        };
        // With standard error gone there is nobody to tell; the exit code still speaks.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

/// Lines of columns, as wide as they must be.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
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
