//! What the tables and columns are called, and how a dialect compares.

use crate::store::sql::{DatabaseTokenModels, Dialect};

/// What stands for the `{…}` in a template.
pub(super) struct Names {
    dialect: Dialect,
    names: Vec<(&'static str, String)>,
}

impl Names {
    pub(super) fn new(dialect: Dialect, models: &DatabaseTokenModels) -> Self {
        let quote = |name: &str| dialect.quote(name);
        let (access, refresh) = (&models.access, &models.refresh);
        let (columns, join) = match &models.users {
            None => (String::new(), String::new()),
            Some(users) => {
                let id = quote(&users.id);
                let columns = users.columns.iter().map(|column| format!(", u.{}", quote(column)));
                let columns = format!(", u.{id}{}", columns.collect::<String>());
                let user_id = quote(&access.user_id);
                (columns, format!(" LEFT JOIN {} u ON u.{id} = t.{user_id}", quote(&users.table)))
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
            ("{r.last_used_at}", quote(&refresh.last_used_at)),
            ("{r.user_agent}", quote(&refresh.user_agent)),
            ("{r.ip}", quote(&refresh.ip)),
            ("{r.label}", quote(&refresh.label)),
            ("{r.fence}", quote(&refresh.fence)),
            ("{r.access_expires_at}", quote(&refresh.access_expires_at)),
            ("{fences}", quote(&models.fences)),
            ("{ended}", quote(&models.ended)),
            // The planner of SQLite may take an index of all that the user has where one of the session is shorter.
            ("{no_index}", if dialect == Dialect::Sqlite { "+".to_owned() } else { String::new() }),
            ("{u.columns}", columns),
            ("{u.join}", join),
        ];
        Self { dialect, names }
    }

    pub(super) fn fill(&self, template: &str) -> String {
        let text = match self.dialect {
            Dialect::Sqlite | Dialect::Postgres => template.to_owned(),
            // Equality there ignores spaces at the end, and fails on characters that the column can't hold. What such a
            // character becomes in ASCII is shorter than it was.
            Dialect::Mysql => ["{a.token}", "{r.token}"].iter().fold(template.to_owned(), |text, token| {
                let equal = format!("{token} = CONVERT(?1 USING ascii)");
                let text = text.replace(&format!("{token} = ?1"), &equal);
                text.replace(&format!("WHERE {equal}"), &format!("WHERE {equal} AND LENGTH({token}) = LENGTH(?1)"))
            }),
        };
        self.names.iter().fold(text, |text, (place, name)| text.replace(place, name))
    }
}
