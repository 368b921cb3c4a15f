//! What docs/ says is what the sources say: settings, commands, events, routes, codes, tests and links.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use countersign_server::cli::Cli;
use countersign_server::config::all_settings;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn doc(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name))
        .unwrap_or_else(|error| panic!("docs/{name}: {error}"))
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| {
        if path.is_dir() {
            files(&path, extension)
        } else {
            vec![path]
        }
    });
    found
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

/// Both crates' code, without comments and without what stands behind the first `#[cfg(test)]`.
fn sources() -> Vec<String> {
    let crates = ["crates/countersign/src", "crates/countersign-server/src"];
    let paths = crates.iter().flat_map(|dir| files(&root().join(dir), "rs"));
    let code = |path: PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let lines = text
            .split("#[cfg(test)]\nmod")
            .next()
            .unwrap_or_default()
            .lines();
        lines
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    paths.map(code).collect()
}

const BEGIN: &str = "<!-- generated: settings -->\n";
const END: &str = "<!-- end -->\n";

/// `COUNTERSIGN_UPDATE_DOCS=1 cargo test -p countersign-server --test docs` writes the table anew.
#[test]
fn config_lists_every_setting() {
    let mut table = String::from(
        "| flag, variable, key of the file | default | what it does |\n|---|---|---|\n",
    );
    for setting in all_settings() {
        let form = setting.form.replace('|', "\\|");
        let default = if setting.default.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", setting.default)
        };
        let file = if setting.kind.is_secret() {
            " A secret: `…_FILE` too."
        } else {
            ""
        };
        let (flag, env, key, help) = (setting.flag(), setting.env(), setting.key, setting.help);
        writeln!(
            table,
            "| `--{flag} {form}`<br>`{env}`<br>`{key}` | {default} | {help}{file} |"
        )
        .unwrap();
    }
    let text = doc("CONFIG.md");
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("COUNTERSIGN_UPDATE_DOCS").is_some() {
        fs::write(
            root().join("docs/CONFIG.md"),
            [before, BEGIN, &table, END, after].concat(),
        )
        .unwrap();
    } else {
        let cure = "run `COUNTERSIGN_UPDATE_DOCS=1 cargo test -p countersign-server --test docs`";
        assert!(written == table, "docs/CONFIG.md is out of date: {cure}");
    }
}

#[test]
fn config_shows_every_command_at_work() {
    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let mut below = command
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
            .peekable();
        if below.peek().is_none() {
            found.push(path.to_owned());
        }
        below.for_each(|command| leaves(command, &format!("{path} {}", command.get_name()), found));
    }
    let mut commands = Vec::new();
    leaves(&Cli::command(), "countersign", &mut commands);
    assert!(commands.len() > 8, "{commands:?}");
    let text = doc("CONFIG.md");
    for command in commands {
        let shown = text
            .lines()
            .any(|line| line == command || line.starts_with(&format!("{command} ")));
        assert!(shown, "docs/CONFIG.md has no example of `{command}`");
    }
}

/// The arguments of the macro call that begins before `text`, split at its top-level commas.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut found) = (0, false, vec![String::new()]);
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => break,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().unwrap().push(character);
    }
    found
        .iter()
        .map(|argument| argument.trim().to_owned())
        .filter(|argument| !argument.is_empty())
        .collect()
}

/// Every event in the sources, as it stands in the table: level and fields by name.
fn events() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut found = BTreeMap::new();
    for code in sources() {
        for level in ["trace", "debug", "info", "warn", "error"] {
            for (at, _) in code.match_indices(&format!("{level}!(")) {
                let arguments = arguments(&code[at + level.len() + 2..]);
                let fields = arguments
                    .iter()
                    .filter(|argument| !argument.starts_with('"'));
                let named: BTreeMap<&str, &str> = fields
                    .map(|field| field.split_once(" = ").unwrap_or((field, "")))
                    .map(|(name, value)| (name.trim_start_matches(['%', '?']), value))
                    .collect();
                let event = named
                    .get("event")
                    .unwrap_or_else(|| panic!("a line without an event: {arguments:?}"));
                let others = named.keys().filter(|name| **name != "event");
                let fields: BTreeSet<String> = others.map(|name| (*name).to_owned()).collect();
                for name in event_names(event) {
                    let (_, known) = found
                        .entry(name)
                        .or_insert_with(|| (level.to_owned(), BTreeSet::new()));
                    known.extend(fields.clone());
                }
            }
        }
    }
    found
}

/// The name in quotes; or, for a variable, every name that `event::session` is called with.
fn event_names(event: &str) -> Vec<String> {
    if let Some(name) = event.strip_prefix('"') {
        return vec![name.trim_end_matches('"').to_owned()];
    }
    let names = |code: String| {
        let calls = code.split("event::session(&").skip(1);
        let names = calls.map(|call| arguments(call).pop().unwrap());
        names
            .map(|name| name.trim_matches('"').to_owned())
            .collect::<Vec<_>>()
    };
    sources().into_iter().flat_map(names).collect()
}

#[test]
fn logging_lists_every_event() {
    let mut listed = BTreeMap::new();
    for line in doc("LOGGING.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
    {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let fields = cells[3]
            .split(", ")
            .map(|field| field.trim_matches('`').to_owned());
        let fields = fields.filter(|field| field != "–").collect();
        listed.insert(
            cells[1].trim_matches('`').to_owned(),
            (cells[2].to_owned(), fields),
        );
    }
    let events = events();
    assert!(
        events.len() > 20 && events.contains_key("logout_everywhere"),
        "the sources were not read: {events:?}"
    );
    assert_eq!(
        listed, events,
        "docs/LOGGING.md (left) isn't what the sources log (right)"
    );
}

#[test]
fn api_lists_every_route_and_code() {
    let text = doc("API.md");
    let source =
        fs::read_to_string(root().join("crates/countersign-server/src/router.rs")).unwrap();
    let rows = source
        .lines()
        .filter_map(|line| line.strip_prefix("/// | `"));
    let words = rows.flat_map(|line| {
        line.split('|')
            .next()
            .unwrap_or_default()
            .split(['`', ' ', ','])
    });
    let routes: BTreeSet<&str> = words.filter(|word| word.starts_with('/')).collect();
    assert!(routes.len() > 8, "{routes:?}");
    for route in routes {
        let told = ["GET", "POST", "DELETE"]
            .iter()
            .any(|method| text.contains(&format!("`{method} {route}`")));
        assert!(told, "{route}");
    }
    let mut codes = 0;
    for code in sources() {
        for status in code.split("StatusCode::").skip(1) {
            let after =
                status.trim_start_matches(|next: char| next.is_ascii_uppercase() || next == '_');
            let quoted = after
                .strip_prefix(',')
                .and_then(|rest| rest.trim_start().strip_prefix('"'));
            if let Some(name) = quoted.and_then(|rest| rest.split('"').next()) {
                assert!(
                    text.contains(&format!("`{name}`")),
                    "docs/API.md doesn't say what {name} means"
                );
                codes += 1;
            }
        }
    }
    assert!(codes > 15, "only {codes} codes were found");
}

/// A requirement's proof is `crate/path.rs::function`, and that function is there.
#[test]
fn requirements_name_tests_that_exist() {
    let text = doc("REQUIREMENTS.md");
    let groups = [
        ('T', 12),
        ('C', 12),
        ('K', 6),
        ('O', 8),
        ('B', 8),
        ('W', 8),
        ('L', 6),
        ('G', 4),
        ('D', 2),
        ('Q', 2),
    ];
    for (group, count) in groups {
        for number in 1..=count {
            let title = format!("\n**{group}-{number:02}: ");
            assert_eq!(text.matches(&title).count(), 1, "{title}");
        }
    }
    let mut proofs = 0;
    for proof in text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.contains(".rs::"))
    {
        let (path, function) = proof.split_once("::").unwrap();
        let source = fs::read_to_string(root().join("crates").join(path))
            .unwrap_or_else(|error| panic!("{proof}: {error}"));
        let is_there = ["fn ", "mod "].iter().any(|kind| {
            source
                .match_indices(&format!("{kind}{function}"))
                .any(|(at, found)| {
                    !source[at + found.len()..]
                        .starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
                })
        });
        assert!(is_there, "{proof} isn't there");
        proofs += 1;
    }
    assert!(proofs > 60, "only {proofs} proofs were found");
}

/// Whether `source` defines a function of this name.
fn defines(source: &str, function: &str) -> bool {
    source.contains(&format!("fn {function}(")) || source.contains(&format!("fn {function}<"))
}

/// FIRST-LOGIN.md has a table for each chapter of the guide, and names a test as `module::function`:
/// the function is in a file or folder of that name.
#[test]
fn first_login_covers_every_chapter_and_names_tests_that_exist() {
    let text = doc("FIRST-LOGIN.md");
    for chapter in files(&root().join("crates/countersign/src/guide"), "md") {
        let name = chapter.file_stem().unwrap().to_str().unwrap();
        assert_eq!(
            text.matches(&format!("\n### {name}\n")).count(),
            1,
            "{name}"
        );
    }
    let dirs = ["crates", "examples"].map(|dir| files(&root().join(dir), "rs"));
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for path in dirs.into_iter().flatten() {
        let source = fs::read_to_string(&path).unwrap();
        for part in path.iter().rev().take(2) {
            let module = part.to_str().unwrap().trim_end_matches(".rs").to_owned();
            modules.entry(module).or_default().push_str(&source);
        }
    }
    let mut named = 0;
    let codes = text.split('`').skip(1).step_by(2);
    for proof in codes.filter(|code| code.contains("::") && !code.contains([' ', '('])) {
        let (module, function) = proof.split_once("::").unwrap();
        let source = modules
            .get(module)
            .unwrap_or_else(|| panic!("docs/FIRST-LOGIN.md: there is no module {module}: {proof}"));
        assert!(
            defines(source, function),
            "docs/FIRST-LOGIN.md: {proof} isn't there"
        );
        named += 1;
    }
    assert!(named > 90, "only {named} tests were seen");
}

/// `Database::connect` takes `sqlite://` and `sqlite::memory:`, so nothing shows another form.
#[test]
fn sqlite_urls_that_are_shown_have_the_form_that_is_taken() {
    let comments = |text: String| -> String {
        let lines = text.lines().map(str::trim_start);
        lines.filter(|line| line.starts_with("//")).collect()
    };
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let pages = ["docs", "crates/countersign/src"].map(|dir| files(&root().join(dir), "md"));
    let readmes = ["README.md", "crates/countersign/README.md"].map(|name| root().join(name));
    let shown = pages
        .into_iter()
        .flatten()
        .chain(readmes)
        .map(|path| read(&path));
    let code = files(&root().join("crates/countersign/src"), "rs");
    let mut urls = 0;
    for text in shown.chain(code.iter().map(|path| comments(read(path)))) {
        for rest in text.split("sqlite:").skip(1) {
            let is_taken = rest.starts_with("//") || rest.starts_with(":memory:");
            let names_a_file =
                rest.starts_with(|next: char| next.is_alphanumeric() || "./".contains(next));
            assert!(
                is_taken || !names_a_file,
                "sqlite:{}",
                rest.get(..20).unwrap_or(rest)
            );
            urls += usize::from(is_taken);
        }
    }
    assert!(urls > 20, "only {urls} were seen");
}

/// README.md shows every visible line of the front page's example, in order, and a `main` around it.
#[test]
fn readme_shows_the_example_of_the_front_page() {
    let source = fs::read_to_string(root().join("crates/countersign/src/lib.rs")).unwrap();
    let (_, example) = source.split_once("doc = \"```ignore\")]\n").unwrap();
    let visible = example
        .lines()
        .map(|line| line.trim_start_matches("//!").trim())
        .take_while(|line| *line != "```")
        .filter(|line| !line.is_empty() && *line != "#" && !line.starts_with("# "));

    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, shown) = readme.split_once("```rust\n").unwrap();
    let mut shown = shown
        .lines()
        .map(str::trim)
        .take_while(|line| *line != "```");

    let mut compared = 0;
    for line in visible {
        assert!(
            shown.any(|other| other == line),
            "README.md lacks this line of the front page's example, or has it elsewhere: {line}"
        );
        compared += 1;
    }
    assert!(compared > 20, "only {compared} lines were compared");
}

#[test]
fn links_lead_somewhere_and_the_index_is_whole() {
    let top = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let top = top.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let docs = files(&root().join("docs"), "md");
    for path in top.chain(docs.iter().cloned()) {
        let text = fs::read_to_string(&path).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or_default();
            let is_file = !link.contains("://") && !file.is_empty();
            assert!(
                !is_file || path.parent().unwrap().join(file).exists(),
                "{}: {link}",
                path.display()
            );
        }
    }
    for path in docs.iter().filter(|path| !path.ends_with("README.md")) {
        let index = fs::read_to_string(path.parent().unwrap().join("README.md")).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(
            index.contains(&format!("({name})")),
            "{name} isn't in the index beside it"
        );
    }
}
