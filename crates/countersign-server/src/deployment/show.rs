//! The mark, the schema and the last serving of a database, for people and for programs.
//!
//! This is what `countersign deployment show` prints. It needs the settings of the database alone,
//! so it works when other settings are wrong.

use countersign::store::sql::Driver;
use serde_json::{Map, Value, json};

use super::agree::is_empty;
use super::mark::Mark;
use super::record::{Ground, last_served, schema};
use crate::config::{DatabaseUrl, Store};
use crate::error::Error;
use crate::foundation;

/// The facts that a database holds about its deployment.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The mark, or `None` if nothing is recorded.
    pub mark: Option<Mark>,
    /// The name of each set of migrations, with the version of its newest applied migration.
    pub schema: Vec<(String, i64)>,
    /// The time at which an SQLite file was last served, in UTC.
    pub last_served: Option<String>,
}

/// Reads what is recorded. Writes nothing and creates no file.
///
/// # Errors
/// Returns [`Error::Store`] if the database can't be used, [`Error::Config`] if its URL can't work,
/// and [`Error::Mark`] if the mark can't be read.
pub async fn show(store: &Store) -> Result<Shown, Error> {
    if matches!(&store.database, DatabaseUrl::Sqlite(path) if is_empty(path)) {
        return Ok(Shown::default());
    }

    let database = foundation::connect(store)?;
    let unreachable = |failure| foundation::unreachable(store, failure);
    let ground = Ground::read(&database)
        .await
        .map_err(unreachable)?
        .readable(store)?;
    let schema = schema(&database).await.map_err(unreachable)?;

    let Some(recorded) = ground.recorded else {
        return Ok(Shown {
            schema,
            ..Shown::default()
        });
    };
    let served = match database.dialect() {
        countersign::store::sql::Dialect::Sqlite => {
            last_served(&database).await.map_err(unreachable)?
        }
        _ => None,
    };

    Ok(Shown {
        mark: Some(recorded.mark),
        schema,
        last_served: served.map(|moment| moment.to_string()),
    })
}

impl Shown {
    /// Returns the facts as a JSON object.
    ///
    /// `recorded` is `true` if a server has recorded the deployment. `schema` is an object with a
    /// number for each set of migrations, and `last_served` a string or `null`. Every other key is
    /// a fact of the mark, a string or `null`; without a mark these keys are missing.
    pub fn json(&self) -> Value {
        let is_settled = self.mark.as_ref().is_some_and(Mark::is_settled);
        let mut shown = Map::from_iter([("recorded".to_owned(), json!(is_settled))]);
        for (name, value) in self.mark.iter().flat_map(Mark::facts) {
            shown.insert(name.to_owned(), json!(value));
        }

        let schema: Map<String, Value> = self
            .schema
            .iter()
            .map(|(set, version)| (set.clone(), json!(version)))
            .collect();

        shown.insert("schema".to_owned(), Value::Object(schema));
        shown.insert("last_served".to_owned(), json!(self.last_served));
        Value::Object(shown)
    }

    /// Returns the facts as rows of a table with two columns. The first row has the headings.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let mut rows = vec![["WHAT", "RECORDED"].map(str::to_owned)];
        for (name, value) in self.mark.iter().flat_map(Mark::facts) {
            rows.push([name.to_owned(), value.unwrap_or("–").to_owned()]);
        }

        rows.extend(
            self.schema
                .iter()
                .map(|(set, version)| [format!("schema {set}"), version.to_string()]),
        );
        rows.extend(
            self.last_served
                .iter()
                .map(|moment| ["last served".to_owned(), moment.clone()]),
        );
        rows
    }
}
