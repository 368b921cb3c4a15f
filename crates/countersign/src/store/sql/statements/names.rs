//! The names of tables and columns in templates, and the spelling of comparisons.

use crate::store::sql::{DatabaseTokenModels, Dialect};

/// The replacements for the `{…}` in templates.
pub(super) struct Names {
    dialect: Dialect,
    names: Vec<(&'static str, String)>,
}

impl Names {
    /// Quotes the configured names for `dialect`, and prepares the join of the user table.
    pub(super) fn new(dialect: Dialect, models: &DatabaseTokenModels) -> Self {
        let quote = |name: &str| dialect.quote(name);
        let (access, refresh) = (&models.access, &models.refresh);
        let (columns, join) = match &models.users {
            None => (String::new(), String::new()),
            Some(users) => {
                let id = quote(&users.id);
                let columns = users
                    .columns
                    .iter()
                    .map(|column| format!(", u.{}", quote(column)));
                let columns = format!(", u.{id}{}", columns.collect::<String>());
                let user_id = quote(&access.user_id);
                (
                    columns,
                    format!(
                        " LEFT JOIN {} u ON u.{id} = t.{user_id}",
                        quote(&users.table)
                    ),
                )
            }
        };
        let names = vec![
            ("{access}", quote(&access.table)),
            ("{a.token}", quote(&access.token)),
            ("{a.created_at}", quote(&access.created_at)),
            ("{a.user_id}", quote(&access.user_id)),
            ("{a.session_id}", quote(&access.session_id)),
            ("{a.expires_at}", quote(&access.expires_at)),
            ("{a.fence}", quote(&access.fence)),
            ("{refresh}", quote(&refresh.table)),
            ("{r.token}", quote(&refresh.token)),
            ("{r.created_at}", quote(&refresh.created_at)),
            ("{r.user_id}", quote(&refresh.user_id)),
            ("{r.session_id}", quote(&refresh.session_id)),
            ("{r.expires_at}", quote(&refresh.expires_at)),
            ("{r.session_expires_at}", quote(&refresh.session_expires_at)),
            ("{r.family}", quote(&refresh.family)),
            ("{r.consumed}", quote(&refresh.consumed)),
            ("{r.opened_at}", quote(&refresh.opened_at)),
            ("{r.authenticated_at}", quote(&refresh.authenticated_at)),
            ("{r.last_used_at}", quote(&refresh.last_used_at)),
            ("{r.user_agent}", quote(&refresh.user_agent)),
            ("{r.ip}", quote(&refresh.ip)),
            ("{r.label}", quote(&refresh.label)),
            ("{r.fence}", quote(&refresh.fence)),
            ("{r.access_expires_at}", quote(&refresh.access_expires_at)),
            ("{fences}", quote(&models.fences)),
            ("{ended}", quote(&models.ended)),
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

    /// Fills the names into a template.
    pub(super) fn fill(&self, template: &str) -> String {
        let text = match self.dialect {
            Dialect::Sqlite | Dialect::Postgres => template.to_owned(),
            // MySQL's equality ignores trailing spaces, and fails on characters outside the
            // column's character set. Converted to ASCII, such a character becomes shorter, so the
            // comparison of lengths finds it.
            Dialect::Mysql => {
                ["{a.token}", "{r.token}"]
                    .iter()
                    .fold(template.to_owned(), |text, token| {
                        let equal = format!("{token} = CONVERT(?1 USING ascii)");
                        let text = text.replace(&format!("{token} = ?1"), &equal);
                        text.replace(
                            &format!("WHERE {equal}"),
                            &format!("WHERE {equal} AND LENGTH({token}) = LENGTH(?1)"),
                        )
                    })
            }
        };
        self.names
            .iter()
            .fold(text, |text, (place, name)| text.replace(place, name))
    }
}
