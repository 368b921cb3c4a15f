//! Looks through all accounts for the settings that their passwords are hashed with.

use std::sync::Arc;
use std::time::Duration;

use countersign::Failure;
use countersign::store::sql::{Driver, Statement};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::accounts::in_use::InUse;
use crate::accounts::setting::HashSetting;

/// How many accounts are read at a time.
const PAGE: usize = 1000;

/// How long a page may take before the start goes on without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often all of them are read.
const EVERY: Duration = Duration::from_hours(6);

/// Reads the beginning of every hash, a page at a time.
#[derive(Clone)]
pub struct Survey {
    driver: Arc<dyn Driver>,
    page: Statement,
    in_use: InUse,
}

impl Survey {
    /// Reads from this database, and tells `in_use`.
    pub fn new(driver: Arc<dyn Driver>, in_use: InUse) -> Self {
        let dialect = driver.dialect();
        let user = dialect.quote("user");
        // Long enough for every setting; hashes themselves aren't read.
        let text =
            format!("SELECT id, SUBSTR(hashed_password, 1, 40) FROM {user} WHERE id > ?1 ORDER BY id LIMIT {PAGE}");
        Self { page: Statement::new(dialect, &text), driver, in_use }
    }

    /// Reads the first accounts before anybody logs in.
    pub async fn begin(&self) {
        if let Ok(Err(failure)) = tokio::time::timeout(PATIENCE, self.read(Uuid::nil())).await {
            told(&failure);
        }
    }

    /// Reads all of them, again and again.
    pub async fn run(self) {
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if let Err(failure) = self.all().await {
                told(&failure);
            }
        }
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked. What was known before stays known then.
    pub async fn all(&self) -> Result<(), Failure> {
        self.in_use.begin_survey();
        let mut after = Some(Uuid::nil());
        while let Some(id) = after {
            after = self.read(id).await?;
            // Others have their turn.
            tokio::task::yield_now().await;
        }
        self.in_use.end_survey();
        Ok(())
    }

    /// Reads a page; the last id, unless nothing comes after it.
    async fn read(&self, after: Uuid) -> Result<Option<Uuid>, Failure> {
        let rows = self.driver.fetch(&self.page, &[after.into()]).await?;
        let unreadable = |error| Failure::internal("account store", error);
        for row in &rows {
            if let Some(setting) = row.text(1).map_err(unreadable)?.and_then(HashSetting::read) {
                self.in_use.add(setting);
            }
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => last.uuid(0).map_err(unreadable),
            _ => Ok(None),
        }
    }
}

fn told(failure: &Failure) {
    let cause = std::error::Error::source(failure).map(tracing::field::display);
    tracing::warn!(event = "hashes_not_surveyed", %failure, cause, "settings that were not seen yet show at the first login");
}

impl std::fmt::Debug for Survey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survey").field("in_use", &self.in_use).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use countersign::UserKeyKind;
    use countersign::store::sql::{Database, DatabaseOptions, Migrator, Script};

    use super::*;
    use crate::accounts::{Argon2Setting, OURS};
    use crate::compose::ACCOUNTS;

    #[tokio::test]
    async fn finds_the_settings_of_every_account() {
        let database = Database::connect("sqlite::memory:", DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid).add(ACCOUNTS).run().await.unwrap();
        let driver = database.driver();
        let row = "INSERT INTO \"user\" (id, email, hashed_password, is_active, is_verified, is_superuser) \
                   VALUES (?1, ?2, ?3, 1, 1, 0)";
        let insert = Script::new(driver.dialect(), &[row]);
        // The one that matters is on the last page.
        for number in 1..=2 * PAGE {
            let hash =
                if number == 2 * PAGE { "$2b$12$abcdefghijklmnopqrstuu" } else { "$argon2id$v=19$m=19456,t=2,p=1$c2" };
            let id = Uuid::from_u128(u128::try_from(number).unwrap());
            driver.run(&insert, &[id.into(), number.to_string().into(), hash.into()]).await.unwrap();
        }
        let in_use = InUse::new(OURS);
        in_use.add(HashSetting::Argon2(Argon2Setting::argon2id(1024, 1, 1)));
        let survey = Survey::new(driver, in_use.clone());
        survey.begin().await;
        assert_eq!((in_use.work().argon2.len(), in_use.work().bcrypt), (2, None));
        survey.all().await.unwrap();
        assert_eq!((in_use.work().argon2, in_use.work().bcrypt), (vec![OURS], Some(12)));
    }
}
