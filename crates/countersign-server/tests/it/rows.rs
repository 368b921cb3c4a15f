//! Looks into the accounts' table, and puts rows there that other programs would have written.

use countersign::store::Value;
use countersign::store::sql::{
    Database as Connection, DatabaseOptions, Dialect, Driver, Script, Statement,
};
use std::sync::Arc;
use std::time::Duration;

use crate::harness::Place;

/// The accounts of a place, as another program sees them.
pub(crate) struct Rows {
    driver: Arc<dyn Driver>,
}

impl Rows {
    pub(crate) fn of(place: &Place) -> Self {
        let given = place
            .settings
            .iter()
            .find(|(name, _)| name == "COUNTERSIGN_DATABASE_URL");
        let file = || {
            format!(
                "sqlite://{}",
                place.data_dir().join("countersign.sqlite").display()
            )
        };
        let url = given.map_or_else(file, |(_, url)| url.clone());
        let options = DatabaseOptions::default().with_timeout(Duration::from_secs(20));
        Self {
            driver: Connection::connect(&url, options).unwrap().driver(),
        }
    }

    /// Runs one statement; `{user}` in it is the accounts' table.
    pub(crate) async fn run(&self, text: &str, params: &[Value]) {
        let script = Script::new(self.dialect(), &[&self.spelled(text)]);
        self.driver.run(&script, params).await.unwrap();
    }

    /// The first column of the first row.
    pub(crate) async fn text(&self, text: &str, params: &[Value]) -> String {
        let rows = self
            .driver
            .fetch(&Statement::new(self.dialect(), &self.spelled(text)), params)
            .await
            .unwrap();
        rows[0].text(0).unwrap().unwrap().to_owned()
    }

    pub(crate) async fn number(&self, text: &str, params: &[Value]) -> i64 {
        let rows = self
            .driver
            .fetch(&Statement::new(self.dialect(), &self.spelled(text)), params)
            .await
            .unwrap();
        rows[0].int(0).unwrap().unwrap_or_default()
    }

    /// An account as litestar-auth would have made it.
    pub(crate) async fn insert(&self, email: &str, hash: &str) {
        let values = "(id, email, hashed_password, is_active, is_verified, is_superuser) VALUES (?1, ?2, ?3, ?4, ?4, ?5)";
        let id = uuid::Uuid::from_u128(u128::from(rand()) << 64 | 7);
        let params = [
            id.into(),
            email.into(),
            hash.into(),
            true.into(),
            false.into(),
        ];
        self.run(&format!("INSERT INTO {{user}} {values}"), &params)
            .await;
    }

    pub(crate) async fn hash_of(&self, email: &str) -> String {
        self.text(
            "SELECT hashed_password FROM {user} WHERE email = ?1",
            &[email.into()],
        )
        .await
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.driver.dialect()
    }

    fn spelled(&self, text: &str) -> String {
        text.replace("{user}", &self.dialect().quote("user"))
    }
}

/// A number that no other row has.
fn rand() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
