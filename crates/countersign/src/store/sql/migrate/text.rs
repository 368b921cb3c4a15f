//! A migration's text, taken apart.

use crate::store::sql::Dialect;
use crate::user::UserKeyKind;

/// One statement of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) text: String,
    pub(super) kind: Kind,
    /// The condition that stands above it.
    pub(super) unless: Option<String>,
    /// Whether its migration makes the table as well, with all that the statement would bring.
    pub(super) table_is_new: bool,
}

/// What a statement does, as far as it matters for locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Makes a table where there is none.
    MakeTable(String),
    /// Adds one column to a table.
    AddColumn { table: String, column: String },
    /// Makes an index.
    MakeIndex { table: String, index: String },
    /// Changes a table in another way.
    Alter(String),
    /// Anything else.
    Other,
}

impl Change {
    /// The table that it changes or makes.
    pub(super) fn table(&self) -> Option<&str> {
        match &self.kind {
            Kind::MakeTable(table)
            | Kind::AddColumn { table, .. }
            | Kind::MakeIndex { table, .. }
            | Kind::Alter(table) => Some(table),
            Kind::Other => None,
        }
    }

    /// Whether it can be told from the tables that it was done, so that it may be cut short and run again.
    pub(super) fn is_resumable(&self) -> bool {
        match &self.kind {
            Kind::MakeTable(_) => true,
            Kind::AddColumn { .. } | Kind::MakeIndex { .. } => {
                self.unless.is_some() || self.text.contains(" IF NOT EXISTS ")
            }
            Kind::Alter(_) | Kind::Other => false,
        }
    }

    /// The statement that makes PostgreSQL's index while others write to its table.
    pub(super) fn concurrently(&self) -> String {
        self.text.replacen("INDEX ", "INDEX CONCURRENTLY ", 1)
    }

    /// The statement in MySQL's words, from the way that disturbs least to the one that always works.
    pub(super) fn ways(&self) -> Vec<String> {
        let text = &self.text;
        let ways: &[&str] = match self.kind {
            Kind::AddColumn { .. } => &[", ALGORITHM=INSTANT", ", LOCK=NONE"],
            Kind::Alter(_) => &[", LOCK=NONE"],
            Kind::MakeIndex { .. } => &[" LOCK=NONE"],
            Kind::MakeTable(_) | Kind::Other => &[],
        };
        ways.iter().map(|way| format!("{text}{way}")).chain(std::iter::once(text.clone())).collect()
    }
}

/// The text for one dialect, with the type of user ids in its place.
pub(super) fn filled(text: &str, dialect: Dialect, user_id: UserKeyKind) -> String {
    let text = text.replace("{user_id}", user_id_type(dialect, user_id));
    // Whatever format the server takes when none is named: ours has room for the indexes.
    ["ENGINE = InnoDB", "ENGINE=InnoDB"]
        .iter()
        .fold(text, |text, engine| text.replace(&format!("{engine};"), &format!("{engine} ROW_FORMAT = DYNAMIC;")))
}

/// The statements of a filled text, in order.
pub(super) fn changes(text: &str) -> Vec<Change> {
    let mut found: Vec<Change> = Vec::new();
    let (mut unless, mut statement) = (None, String::new());
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("--") {
            unless = comment.trim().strip_prefix("unless ").map(str::to_owned).or(unless);
            continue;
        }
        statement.push_str(line.strip_suffix(';').unwrap_or(line));
        if line.ends_with(';') {
            let text = std::mem::take(&mut statement);
            let kind = kind(&text);
            found.push(Change { text, kind, unless: unless.take(), table_is_new: false });
        } else {
            statement.push('\n');
        }
    }
    let made: Vec<String> = found.iter().filter_map(|change| made(&change.text)).collect();
    for change in &mut found {
        change.table_is_new = change.table().is_some_and(|table| made.iter().any(|made| made == table));
    }
    found
}

fn kind(text: &str) -> Kind {
    let (head, if_not_exists) = match text.split_once(" IF NOT EXISTS ") {
        Some((before, after)) => (format!("{before} {after}"), true),
        None => (text.to_owned(), false),
    };
    let spaced = head.replace('(', " ( ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    match words.as_slice() {
        ["CREATE", "TABLE", table, ..] if if_not_exists => Kind::MakeTable(plain(table)),
        ["ALTER", "TABLE", table, "ADD", "COLUMN", column, ..] if !has_several(text) => {
            Kind::AddColumn { table: plain(table), column: plain(column) }
        }
        ["ALTER", "TABLE", table, ..] => Kind::Alter(plain(table)),
        ["CREATE", "INDEX", index, "ON", table, ..] | ["CREATE", "UNIQUE", "INDEX", index, "ON", table, ..] => {
            Kind::MakeIndex { table: plain(table), index: plain(index) }
        }
        _ => Kind::Other,
    }
}

/// The table that a statement makes, whether or not it minds one that is there.
fn made(text: &str) -> Option<String> {
    let rest = text.strip_prefix("CREATE TABLE ")?;
    let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
    rest.split([' ', '(']).next().map(plain)
}

/// Whether a statement says several things: a comma outside of parentheses.
fn has_several(text: &str) -> bool {
    let mut depth = 0_i32;
    text.chars().any(|character| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        character == ',' && depth == 0
    })
}

fn plain(name: &str) -> String {
    name.trim_matches(['"', '`']).to_owned()
}

/// The tables that a migration makes where they are missing, with the columns that one which is there must have: those
/// that are never null and that the migration doesn't add.
pub(super) fn asked(changes: &[Change]) -> Vec<(String, Vec<String>)> {
    let adds = |wanted: &str, name: &str| {
        changes.iter().any(
            |change| matches!(&change.kind, Kind::AddColumn { table, column } if table == wanted && column == name),
        )
    };
    let mut found = Vec::new();
    for change in changes {
        let Kind::MakeTable(table) = &change.kind else { continue };
        let body = change.text.lines().skip(1).take_while(|line| !line.starts_with(')')).map(str::trim);
        let columns = body.filter(|line| line.contains(" NOT NULL")).filter_map(|line| line.split_whitespace().next());
        let columns = columns.map(plain).filter(|column| !adds(table, column)).collect();
        found.push((table.clone(), columns));
    }
    found
}

/// The type of a column of user ids. MySQL's texts are compared byte by byte, so that no two ids are one.
const fn user_id_type(dialect: Dialect, kind: UserKeyKind) -> &'static str {
    match (kind, dialect) {
        (UserKeyKind::Uuid, Dialect::Postgres) => "UUID",
        (UserKeyKind::Uuid, Dialect::Sqlite | Dialect::Mysql) => "BINARY(16)",
        (UserKeyKind::Int, _) => "BIGINT",
        (UserKeyKind::Text, Dialect::Sqlite) => "VARCHAR(255)",
        (UserKeyKind::Text, Dialect::Postgres) => "VARCHAR(255) COLLATE \"C\"",
        (UserKeyKind::Text, Dialect::Mysql) => "VARBINARY(255)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::migrate::BUNDLED;

    fn one(text: &str) -> Change {
        let mut found = changes(text);
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0)
    }

    #[test]
    fn statements_are_taken_for_what_they_are() {
        let column = |table: &str, column: &str| Kind::AddColumn { table: table.into(), column: column.into() };
        let index = |table: &str, index: &str| Kind::MakeIndex { table: table.into(), index: index.into() };
        for (text, kind, is_resumable) in [
            ("CREATE TABLE IF NOT EXISTS a(id INT);", Kind::MakeTable("a".into()), true),
            ("CREATE TABLE a (id INT);", Kind::Other, false),
            ("ALTER TABLE a ADD COLUMN IF NOT EXISTS b VARCHAR(36);", column("a", "b"), true),
            ("ALTER TABLE \"user\" ADD COLUMN b DECIMAL(10, 2);", column("user", "b"), false),
            ("-- unless column user.b\nALTER TABLE `user` ADD COLUMN b INT;", column("user", "b"), true),
            ("ALTER TABLE a ADD COLUMN b INT, ADD COLUMN c INT;", Kind::Alter("a".into()), false),
            ("ALTER TABLE a MODIFY b INT;", Kind::Alter("a".into()), false),
            ("CREATE INDEX IF NOT EXISTS i ON a (b);", index("a", "i"), true),
            ("CREATE UNIQUE INDEX IF NOT EXISTS i ON \"a\"(b, c) WHERE b IS NULL;", index("a", "i"), true),
            ("CREATE INDEX i ON a (b);", index("a", "i"), false),
            ("INSERT INTO a VALUES (1);", Kind::Other, false),
        ] {
            let change = one(text);
            assert_eq!((&change.kind, change.is_resumable()), (&kind, is_resumable), "{text}");
        }
        let unique = one("CREATE UNIQUE INDEX IF NOT EXISTS i ON a (b);");
        assert_eq!(unique.concurrently(), "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b)");
        assert_eq!(
            one("ALTER TABLE a MODIFY b INT;").ways(),
            ["ALTER TABLE a MODIFY b INT, LOCK=NONE", "ALTER TABLE a MODIFY b INT"]
        );
    }

    /// What landed can be applied beside readers and writers: no statement of it asks for one transaction.
    #[test]
    fn every_landed_statement_for_postgresql_can_be_cut_short() {
        for migration in BUNDLED.migrations {
            let all = changes(&filled(migration.postgres, Dialect::Postgres, UserKeyKind::Uuid));
            assert!(!all.is_empty());
            for change in all {
                assert!(change.is_resumable(), "{change:?}");
            }
        }
    }
}
