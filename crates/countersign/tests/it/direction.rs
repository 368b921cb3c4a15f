//! Data flows one way: HTTP → transport → strategy → store. In one crate the compiler doesn't enforce that, so this
//! test reads the sources: a module names only modules that stand below it in this list.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the bottom up. Those in one line don't know each other.
const LAYERS: [&[&str]; 12] = [
    &["clock", "error", "profile"],
    &["entropy", "net", "value"],
    &["secret", "session", "user"],
    &["event", "token"],
    &["redis"],
    &["denylist", "jwt", "store"],
    &["strategy", "transport"],
    &["auth"],
    &["tower"],
    &["axum"],
    &["service"],
    &["testing"],
];

/// The SQL denylist lives in the tables of the SQL store and speaks through its drivers.
const ALLOWED_ASIDE: [(&str, &str); 1] = [("denylist", "store")];

fn layer(module: &str) -> usize {
    let known = LAYERS.iter().position(|layer| layer.contains(&module));
    known.unwrap_or_else(|| panic!("module {module} stands in no layer: add it to the list"))
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The top modules that a source names as `crate::module`, in its code before any `#[cfg(test)]`.
fn named(text: &str) -> Vec<&str> {
    let code = text
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .lines();
    let code = code.filter(|line| !line.trim_start().starts_with("//"));
    let paths = code.flat_map(|line| line.split("crate::").skip(1));
    let names = paths.map(|path| {
        path.split(|c: char| !c.is_ascii_lowercase() && c != '_')
            .next()
            .unwrap_or_default()
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn no_module_names_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut arrows = 0;
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).unwrap().to_owned();
        let module = inside
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        if module == "lib" || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for name in named(&fs::read_to_string(&path).unwrap()) {
            let below = layer(name) < layer(&module) || name == module;
            let aside = ALLOWED_ASIDE.contains(&(&module, name));
            assert!(
                below || aside,
                "{} names crate::{name}, which stands above it",
                inside.display()
            );
            arrows += 1;
        }
    }
    assert!(
        arrows > 30,
        "the sources were not found: only {arrows} arrows seen"
    );
}
