//! What is recorded, for people and for programs.

use countersign::store::sql::Driver;
use serde_json::{Map, Value, json};

use super::agree::is_empty;
use super::mark::Mark;
use super::record::{Ground, last_served, schema};
use crate::compose;
use crate::config::{DatabaseUrl, Store};
use crate::error::Error;

/// What a database says of its deployment.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// What is recorded; `None` when nothing is.
    pub mark: Option<Mark>,
    /// The newest migration of each set.
    pub schema: Vec<(String, i64)>,
    /// When an SQLite file was last served.
    pub last_served: Option<String>,
}

/// Returns what is recorded. Nothing is made, and no setting but the database's is asked for.
///
/// # Errors
/// [`Error`] that names the database that doesn't answer, or the mark that can't be read.
pub async fn show(store: &Store) -> Result<Shown, Error> {
    if matches!(&store.database, DatabaseUrl::Sqlite(path) if is_empty(path)) {
        return Ok(Shown::default());
    }
    let database = compose::connect(store)?;
    let unreachable = |failure| compose::unreachable(store, failure);
    let ground = Ground::read(&database).await.map_err(unreachable)?.readable(store)?;
    let schema = schema(&database).await.map_err(unreachable)?;
    let Some(recorded) = ground.recorded else { return Ok(Shown { schema, ..Shown::default() }) };
    let served = match database.dialect() {
        countersign::store::sql::Dialect::Sqlite => last_served(&database).await.map_err(unreachable)?,
        _ => None,
    };
    Ok(Shown { mark: Some(recorded.mark), schema, last_served: served.map(|moment| moment.to_string()) })
}

impl Shown {
    /// As JSON: `recorded`, every fact, and the schema.
    pub fn json(&self) -> Value {
        let is_settled = self.mark.as_ref().is_some_and(Mark::is_settled);
        let mut shown = Map::from_iter([("recorded".to_owned(), json!(is_settled))]);
        for (name, value) in self.mark.iter().flat_map(Mark::facts) {
            shown.insert(name.to_owned(), json!(value));
        }
        let schema: Map<String, Value> =
            self.schema.iter().map(|(set, version)| (set.clone(), json!(version))).collect();
        shown.insert("schema".to_owned(), Value::Object(schema));
        shown.insert("last_served".to_owned(), json!(self.last_served));
        Value::Object(shown)
    }

    /// As rows of a table: what, and what it is.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let mut rows = vec![["WHAT", "RECORDED"].map(str::to_owned)];
        for (name, value) in self.mark.iter().flat_map(Mark::facts) {
            rows.push([name.to_owned(), value.unwrap_or("–").to_owned()]);
        }
        rows.extend(self.schema.iter().map(|(set, version)| [format!("schema {set}"), version.to_string()]));
        rows.extend(self.last_served.iter().map(|moment| ["last served".to_owned(), moment.clone()]));
        rows
    }
}
