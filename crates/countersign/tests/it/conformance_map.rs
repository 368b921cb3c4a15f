//! docs/CONFORMANCE.md names every case once, and tests that exist.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The cases, section by section.
const CASES: [u16; 78] = [
    1, 2, 3, 6, 7, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 26, 27, 28, 29, 32, 33, 34,
    35, 36, 37, 38, 41, 43, 44, 45, 46, 47, 48, 53, 55, 57, 58, 60, 61, 62, 63, 67, 68, 69, 70, 71,
    72, 74, 76, 77, 79, 81, 82, 83, 84, 85, 86, 87, 88, 91, 93, 95, 96, 97, 98, 101, 102, 103, 107,
    108, 109, 110, 116, 117, 118,
];

fn map() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFORMANCE.md"))
        .unwrap()
}

#[test]
fn every_case_has_one_row() {
    let map = map();
    let rows = map
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.get(..3)?.parse::<u16>().ok());
    let mut seen = BTreeSet::new();
    for case in rows {
        assert!(seen.insert(case), "{case:03} has two rows");
    }
    assert_eq!(seen, BTreeSet::from(CASES));
}

#[test]
fn every_test_named_exists() {
    let map = map();
    let mut named = 0;
    for reference in map.split('`').filter(|text| text.contains(".rs::")) {
        let (file, function) = reference.split_once("::").unwrap();
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file);
        let is_defined = text.contains(&format!("fn {function}("));
        assert!(is_defined, "{file} has no {function}");
        named += 1;
    }
    assert!(named > 90, "only {named} tests were seen");
}
