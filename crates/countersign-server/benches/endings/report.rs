//! The output of a measurement, as a table or as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bystanders::Seen;
use crate::ending::Asked;

/// An ending, with the other users' reads and refreshes before and during it, in this order.
pub(crate) struct Row {
    /// The name of the ending.
    pub(crate) name: String,
    /// The acknowledgement and the answers.
    pub(crate) asked: Asked,
    /// A note on what was found after the ending.
    pub(crate) after: String,
    /// The reads and the refreshes before the ending.
    pub(crate) before: [Seen; 2],
    /// The reads and the refreshes during the ending.
    pub(crate) during: [Seen; 2],
}

impl Row {
    /// Returns the row as a JSON object, with times in seconds and milliseconds as the keys say.
    pub(crate) fn to_json(&self) -> Value {
        let [reads_before, refreshes_before] = self.before.map(Seen::to_json);
        let [reads, refreshes] = self.during.map(Seen::to_json);
        let answers = self
            .asked
            .answers
            .iter()
            .map(|(answer, took)| json!([answer, took.as_secs_f64()]));
        json!({
            "ending": self.name,
            "acknowledged_s": self.asked.acknowledged.map(|time| time.as_secs_f64()),
            "answers": answers.collect::<Vec<_>>(),
            "after": self.after,
            "reads": { "before": reads_before, "during": reads },
            "refreshes": { "before": refreshes_before, "during": refreshes },
        })
    }

    /// Returns the time until the acknowledgement, with the number of tries if there was more than
    /// one.
    fn acknowledged(&self) -> String {
        let tries = self.asked.answers.len();
        let again = if tries > 1 {
            format!(" ({tries} tries)")
        } else {
            String::new()
        };
        match self.asked.acknowledged {
            Some(time) => format!("{}{again}", shown(time)),
            None => format!("never{again}"),
        }
    }
}

/// Prints a table on standard error, so that standard output can be JSON alone.
pub(crate) fn print(backend: &str, sessions: usize, rows: &[Row]) {
    eprintln!(
        "\n{backend}, {sessions} sessions; others' reads and refreshes as p50 / p99 / worst (failed of all)"
    );
    let mut table = vec![
        [
            "",
            "acknowledged",
            "reads before",
            "during",
            "refreshes before",
            "during",
            "then",
        ]
        .map(str::to_owned),
    ];
    for row in rows {
        table.push([
            row.name.clone(),
            row.acknowledged(),
            seen(&row.before[0]),
            seen(&row.during[0]),
            seen(&row.before[1]),
            seen(&row.during[1]),
            row.after.clone(),
        ]);
    }
    let width = |at: usize| {
        table
            .iter()
            .map(|row| row[at].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    for row in &table {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        eprintln!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    for row in rows {
        let failed = row
            .asked
            .answers
            .iter()
            .filter(|(answer, _)| answer != "done");
        let failed: Vec<String> = failed
            .take(5)
            .map(|(answer, took)| format!("{answer} after {}", shown(*took)))
            .collect();
        if row.asked.answers.len() > 1 || row.asked.acknowledged.is_none() {
            eprintln!("{}: {}", row.name, failed.join(", "));
        }
    }
    eprintln!();
}

/// Returns the figures of other users' requests as a cell of the table.
fn seen(seen: &Seen) -> String {
    let times = [seen.p50, seen.p99, seen.worst].map(shown).join(" / ");
    format!("{times} ({} of {})", seen.failed, seen.requests)
}

/// Returns a time in milliseconds, or in seconds from one second on.
pub(crate) fn shown(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 1000.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{:.2} s", milliseconds / 1000.0)
    }
}
