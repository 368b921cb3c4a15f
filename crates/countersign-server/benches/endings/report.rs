//! What is printed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bystanders::Seen;
use crate::ending::Asked;

/// One ending, and what others saw before and during it: reads, then refreshes.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) asked: Asked,
    pub(crate) after: String,
    pub(crate) before: [Seen; 2],
    pub(crate) during: [Seen; 2],
}

impl Row {
    pub(crate) fn to_json(&self) -> Value {
        let [reads_before, refreshes_before] = self.before.map(Seen::to_json);
        let [reads, refreshes] = self.during.map(Seen::to_json);
        let answers = self.asked.answers.iter().map(|(answer, took)| json!([answer, took.as_secs_f64()]));
        json!({
            "ending": self.name,
            "acknowledged_s": self.asked.acknowledged.map(|time| time.as_secs_f64()),
            "answers": answers.collect::<Vec<_>>(),
            "after": self.after,
            "reads": { "before": reads_before, "during": reads },
            "refreshes": { "before": refreshes_before, "during": refreshes },
        })
    }

    fn acknowledged(&self) -> String {
        let tries = self.asked.answers.len();
        let again = if tries > 1 { format!(" ({tries} tries)") } else { String::new() };
        match self.asked.acknowledged {
            Some(time) => format!("{}{again}", shown(time)),
            None => format!("never{again}"),
        }
    }
}

/// A table on standard error, so that standard output can be JSON alone.
pub(crate) fn print(backend: &str, sessions: usize, rows: &[Row]) {
    eprintln!("\n{backend}, {sessions} sessions; others' reads and refreshes as p50 / p99 / worst (failed of all)");
    let mut table =
        vec![["", "acknowledged", "reads before", "during", "refreshes before", "during", "then"].map(str::to_owned)];
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
    let width = |at: usize| table.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    for row in &table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        eprintln!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    for row in rows {
        let failed = row.asked.answers.iter().filter(|(answer, _)| answer != "done");
        let failed: Vec<String> =
            failed.take(5).map(|(answer, took)| format!("{answer} after {}", shown(*took))).collect();
        if row.asked.answers.len() > 1 || row.asked.acknowledged.is_none() {
            eprintln!("{}: {}", row.name, failed.join(", "));
        }
    }
    eprintln!();
}

fn seen(seen: &Seen) -> String {
    let times = [seen.p50, seen.p99, seen.worst].map(shown).join(" / ");
    format!("{times} ({} of {})", seen.failed, seen.requests)
}

pub(crate) fn shown(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 1000.0 { format!("{milliseconds:.1} ms") } else { format!("{:.2} s", milliseconds / 1000.0) }
}
