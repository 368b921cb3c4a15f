//! Parsing of a migration's text into statements, as far as the migrator must understand them.
//!
//! This is no SQL parser. It recognises a few forms of statements, in the spelling that the
//! migrations use, and treats everything else as [`Kind::Other`]. On PostgreSQL such a migration is
//! applied as one transaction.

use crate::store::sql::Dialect;
use crate::store::sql::user_ids::column_type;
use crate::user::UserKeyKind;

/// One statement of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) text: String,
    pub(super) kind: Kind,
    /// The condition in the comment above the statement: it is skipped where that holds.
    pub(super) unless: Option<String>,
    /// `true` if the same migration creates the table, with everything that this statement would
    /// add.
    pub(super) table_is_new: bool,
}

/// The effect of a statement, as far as it matters for locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The creation of a table, with `IF NOT EXISTS`. Contains its name.
    MakeTable(String),
    /// The addition of one column to a table.
    AddColumn { table: String, column: String },
    /// The creation of an index.
    MakeIndex { table: String, index: String },
    /// Another change of a table. Contains its name.
    Alter(String),
    /// Anything else.
    Other,
}

impl Change {
    /// Returns the table that the statement changes or creates.
    pub(super) fn table(&self) -> Option<&str> {
        match &self.kind {
            Kind::MakeTable(table)
            | Kind::AddColumn { table, .. }
            | Kind::MakeIndex { table, .. }
            | Kind::Alter(table) => Some(table),
            Kind::Other => None,
        }
    }

    /// Returns `true` if the live tables tell whether the statement was done, so that it may be
    /// interrupted and run again.
    pub(super) fn is_resumable(&self) -> bool {
        match &self.kind {
            Kind::MakeTable(_) => true,
            Kind::AddColumn { .. } | Kind::MakeIndex { .. } => {
                self.unless.is_some() || self.text.contains(" IF NOT EXISTS ")
            }
            Kind::Alter(_) | Kind::Other => false,
        }
    }

    /// Returns the statement with `CONCURRENTLY`: PostgreSQL then creates the index while others
    /// write to the table.
    pub(super) fn concurrently(&self) -> String {
        self.text.replacen("INDEX ", "INDEX CONCURRENTLY ", 1)
    }

    /// Returns the statement in several forms for MySQL, from the one that disturbs others least to
    /// the one that always works.
    pub(super) fn ways(&self) -> Vec<String> {
        let text = &self.text;
        let ways: &[&str] = match self.kind {
            Kind::AddColumn { .. } => &[", ALGORITHM=INSTANT", ", LOCK=NONE"],
            Kind::Alter(_) => &[", LOCK=NONE"],
            Kind::MakeIndex { .. } => &[" LOCK=NONE"],
            Kind::MakeTable(_) | Kind::Other => &[],
        };

        ways.iter()
            .map(|way| format!("{text}{way}"))
            .chain(std::iter::once(text.clone()))
            .collect()
    }
}

/// Returns the text with the column type of user ids filled in.
pub(super) fn filled(text: &str, dialect: Dialect, user_id: UserKeyKind) -> String {
    let text = text.replace("{user_id}", column_type(dialect, user_id));

    // The server's default row format may limit index keys to a length that is too short for these
    // tables.
    ["ENGINE = InnoDB", "ENGINE=InnoDB"]
        .iter()
        .fold(text, |text, engine| {
            text.replace(
                &format!("{engine};"),
                &format!("{engine} ROW_FORMAT = DYNAMIC;"),
            )
        })
}

/// Returns the statements of a filled-in text, in order.
pub(super) fn changes(text: &str) -> Vec<Change> {
    let mut found: Vec<Change> = Vec::new();
    let (mut unless, mut statement) = (None, String::new());
    for line in text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
    {
        if let Some(comment) = line.strip_prefix("--") {
            unless = comment
                .trim()
                .strip_prefix("unless ")
                .map(str::to_owned)
                .or(unless);
            continue;
        }

        statement.push_str(line.strip_suffix(';').unwrap_or(line));
        if line.ends_with(';') {
            let text = std::mem::take(&mut statement);
            let kind = kind(&text);
            found.push(Change {
                text,
                kind,
                unless: unless.take(),
                table_is_new: false,
            });
        } else {
            statement.push('\n');
        }
    }

    let made: Vec<String> = found
        .iter()
        .filter_map(|change| made(&change.text))
        .collect();
    for change in &mut found {
        change.table_is_new = change
            .table()
            .is_some_and(|table| made.iter().any(|made| made == table));
    }

    found
}

/// Returns the effect of a statement.
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
            Kind::AddColumn {
                table: plain(table),
                column: plain(column),
            }
        }
        ["ALTER", "TABLE", table, ..] => Kind::Alter(plain(table)),
        ["CREATE", "INDEX", index, "ON", table, ..]
        | ["CREATE", "UNIQUE", "INDEX", index, "ON", table, ..] => Kind::MakeIndex {
            table: plain(table),
            index: plain(index),
        },
        _ => Kind::Other,
    }
}

/// Returns the table that a statement creates, with or without `IF NOT EXISTS`.
fn made(text: &str) -> Option<String> {
    let rest = text.strip_prefix("CREATE TABLE ")?;
    let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
    rest.split([' ', '(']).next().map(plain)
}

/// Returns `true` if an `ALTER TABLE` has several clauses: it has a comma outside of parentheses.
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

/// Returns a name without its quotes.
fn plain(name: &str) -> String {
    name.trim_matches(['"', '`']).to_owned()
}

/// Returns the tables that a migration creates if they are missing, each with the columns that an
/// existing table must have.
///
/// Those are the columns that are `NOT NULL` and that the migration doesn't add itself. A table
/// without them belongs to something else.
pub(super) fn asked(changes: &[Change]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for change in changes {
        let Kind::MakeTable(table) = &change.kind else {
            continue;
        };

        let body = change
            .text
            .lines()
            .skip(1)
            .take_while(|line| !line.starts_with(')'))
            .map(str::trim);
        let columns = body
            .filter(|line| line.contains(" NOT NULL"))
            .filter_map(|line| line.split_whitespace().next());
        let columns = columns
            .map(plain)
            .filter(|column| !adds_column(changes, table, column))
            .collect();

        found.push((table.clone(), columns));
    }
    found
}

/// Returns `true` if one of the changes adds this column to this table.
fn adds_column(changes: &[Change], wanted: &str, name: &str) -> bool {
    changes.iter().any(|change| match &change.kind {
        Kind::AddColumn { table, column } => table == wanted && column == name,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::migrate::set::BUNDLED;

    fn one(text: &str) -> Change {
        let mut found = changes(text);
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0)
    }

    #[test]
    fn statements_are_taken_for_what_they_are() {
        let column = |table: &str, column: &str| Kind::AddColumn {
            table: table.into(),
            column: column.into(),
        };
        let index = |table: &str, index: &str| Kind::MakeIndex {
            table: table.into(),
            index: index.into(),
        };
        for (text, kind, is_resumable) in [
            (
                "CREATE TABLE IF NOT EXISTS a(id INT);",
                Kind::MakeTable("a".into()),
                true,
            ),
            ("CREATE TABLE a (id INT);", Kind::Other, false),
            (
                "ALTER TABLE a ADD COLUMN IF NOT EXISTS b VARCHAR(36);",
                column("a", "b"),
                true,
            ),
            (
                "ALTER TABLE \"user\" ADD COLUMN b DECIMAL(10, 2);",
                column("user", "b"),
                false,
            ),
            (
                "-- unless column user.b\nALTER TABLE `user` ADD COLUMN b INT;",
                column("user", "b"),
                true,
            ),
            (
                "ALTER TABLE a ADD COLUMN b INT, ADD COLUMN c INT;",
                Kind::Alter("a".into()),
                false,
            ),
            (
                "ALTER TABLE a MODIFY b INT;",
                Kind::Alter("a".into()),
                false,
            ),
            (
                "CREATE INDEX IF NOT EXISTS i ON a (b);",
                index("a", "i"),
                true,
            ),
            (
                "CREATE UNIQUE INDEX IF NOT EXISTS i ON \"a\"(b, c) WHERE b IS NULL;",
                index("a", "i"),
                true,
            ),
            ("CREATE INDEX i ON a (b);", index("a", "i"), false),
            ("INSERT INTO a VALUES (1);", Kind::Other, false),
        ] {
            let change = one(text);
            assert_eq!(
                (&change.kind, change.is_resumable()),
                (&kind, is_resumable),
                "{text}"
            );
        }
        let unique = one("CREATE UNIQUE INDEX IF NOT EXISTS i ON a (b);");
        assert_eq!(
            unique.concurrently(),
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b)"
        );
        assert_eq!(
            one("ALTER TABLE a MODIFY b INT;").ways(),
            [
                "ALTER TABLE a MODIFY b INT, LOCK=NONE",
                "ALTER TABLE a MODIFY b INT"
            ]
        );
    }

    /// Every landed statement can be applied beside readers and writers: none needs a transaction
    /// with others.
    #[test]
    fn every_landed_statement_for_postgresql_can_be_cut_short() {
        for migration in BUNDLED.migrations {
            let all = changes(&filled(
                migration.postgres,
                Dialect::Postgres,
                UserKeyKind::Uuid,
            ));
            assert!(!all.is_empty());
            for change in all {
                assert!(change.is_resumable(), "{change:?}");
            }
        }
    }
}
