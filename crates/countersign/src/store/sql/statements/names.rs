//! The names of tables and columns in templates, and the spelling of comparisons.

use crate::store::sql::statements::parts::STANDS;
use crate::store::sql::{DatabaseTokenModels, Dialect, Script, Statement, UserTable};

/// The replacements for the `{…}` in templates.
pub(super) struct Names {
    dialect: Dialect,
    names: Vec<(&'static str, String)>,
}

impl Names {
    /// Quotes the configured names for `dialect`, and prepares the join of the user table.
    pub(super) fn new(dialect: Dialect, models: &DatabaseTokenModels) -> Self {
        let (access, refresh) = (&models.access, &models.refresh);
        let (columns, join) = match &models.users {
            None => (String::new(), String::new()),
            Some(users) => joined(dialect, users, &access.user_id),
        };

        let names = vec![
            ("{access}", dialect.quote(&access.table)),
            ("{a.token}", dialect.quote(&access.token)),
            ("{a.created_at}", dialect.quote(&access.created_at)),
            ("{a.user_id}", dialect.quote(&access.user_id)),
            ("{a.session_id}", dialect.quote(&access.session_id)),
            ("{a.expires_at}", dialect.quote(&access.expires_at)),
            ("{a.fence}", dialect.quote(&access.fence)),
            ("{refresh}", dialect.quote(&refresh.table)),
            ("{r.token}", dialect.quote(&refresh.token)),
            ("{r.created_at}", dialect.quote(&refresh.created_at)),
            ("{r.user_id}", dialect.quote(&refresh.user_id)),
            ("{r.session_id}", dialect.quote(&refresh.session_id)),
            ("{r.expires_at}", dialect.quote(&refresh.expires_at)),
            (
                "{r.session_expires_at}",
                dialect.quote(&refresh.session_expires_at),
            ),
            ("{r.family}", dialect.quote(&refresh.family)),
            ("{r.consumed}", dialect.quote(&refresh.consumed)),
            ("{r.opened_at}", dialect.quote(&refresh.opened_at)),
            (
                "{r.authenticated_at}",
                dialect.quote(&refresh.authenticated_at),
            ),
            ("{r.last_used_at}", dialect.quote(&refresh.last_used_at)),
            ("{r.user_agent}", dialect.quote(&refresh.user_agent)),
            ("{r.ip}", dialect.quote(&refresh.ip)),
            ("{r.label}", dialect.quote(&refresh.label)),
            ("{r.fence}", dialect.quote(&refresh.fence)),
            (
                "{r.access_expires_at}",
                dialect.quote(&refresh.access_expires_at),
            ),
            ("{fences}", dialect.quote(&models.fences)),
            ("{ended}", dialect.quote(&models.ended)),
            // A plus sign keeps SQLite from choosing an index over all rows of the user where the
            // one over the session's rows is shorter.
            (
                "{no_index}",
                if dialect == Dialect::Sqlite {
                    "+".to_owned()
                } else {
                    String::new()
                },
            ),
            ("{u.columns}", columns),
            ("{u.join}", join),
        ];

        Self { dialect, names }
    }

    /// Returns the statement that a template becomes.
    ///
    /// The template may have any of the names, each any number of times.
    pub(super) fn statement(&self, template: &str) -> Statement {
        Statement::new(self.dialect, &self.fill(template))
    }

    /// Returns the script of the statements that some templates become, in this order.
    ///
    /// The first is the script's guard.
    pub(super) fn script<T: AsRef<str>>(&self, templates: &[T]) -> Script {
        let steps: Vec<_> = templates
            .iter()
            .map(|template| self.fill(template.as_ref()))
            .collect();
        let steps: Vec<_> = steps.iter().map(String::as_str).collect();
        Script::new(self.dialect, &steps)
    }

    /// Fills the names, and the condition [`STANDS`], into a template.
    pub(super) fn fill(&self, template: &str) -> String {
        let template = template.replace("{stands}", STANDS);
        let text = match self.dialect {
            Dialect::Sqlite | Dialect::Postgres => template,
            // MySQL's equality ignores trailing spaces, and fails on characters outside the
            // column's character set. Converted to ASCII, such a character becomes shorter, so the
            // comparison of lengths finds it.
            Dialect::Mysql => ["{a.token}", "{r.token}"]
                .iter()
                .fold(template, |text, token| {
                    let equal = format!("{token} = CONVERT(?1 USING ascii)");
                    let text = text.replace(&format!("{token} = ?1"), &equal);
                    text.replace(
                        &format!("WHERE {equal}"),
                        &format!("WHERE {equal} AND LENGTH({token}) = LENGTH(?1)"),
                    )
                }),
        };

        self.names
            .iter()
            .fold(text, |text, (place, name)| text.replace(place, name))
    }
}

/// Returns the columns of the joined user table, each after a comma, and the join itself.
fn joined(dialect: Dialect, users: &UserTable, user_id: &str) -> (String, String) {
    let (table, id) = (dialect.quote(&users.table), dialect.quote(&users.id));
    let mut columns = format!(", u.{id}");
    for column in &users.columns {
        columns.extend([", u.", &dialect.quote(column)]);
    }

    let user_id = dialect.quote(user_id);
    let join = format!(" LEFT JOIN {table} u ON u.{id} = t.{user_id}");
    (columns, join)
}
