//! The survey: reads the hash settings of all accounts, so that the first login already costs as
//! much as every other.

use std::sync::Arc;
use std::time::Duration;

use countersign::Failure;
use countersign::store::ValueError;
use countersign::store::sql::{Driver, Statement};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::accounts::in_use::InUse;
use crate::accounts::setting::HashSetting;

/// The number of accounts that are read at a time.
const PAGE: usize = 1000;

/// The time that the first page may take before the start continues without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The interval between the beginnings of two surveys.
const EVERY: Duration = Duration::from_hours(6);

/// A reader of the hash settings of all accounts. Clones share what they find.
///
/// It reads the beginning of every hash, a page of accounts at a time.
#[derive(Clone)]
pub struct Survey {
    driver: Arc<dyn Driver>,
    page: Statement,
    in_use: InUse,
}

impl Survey {
    /// Creates a survey of this database that adds what it finds to `in_use`.
    pub fn new(driver: Arc<dyn Driver>, in_use: InUse) -> Self {
        let dialect = driver.dialect();
        let user = dialect.quote("user");
        // 40 characters hold every setting, and never a whole hash.
        let text = format!(
            "SELECT id, SUBSTR(hashed_password, 1, 40) FROM {user} WHERE id > ?1 ORDER BY id LIMIT {PAGE}"
        );
        Self {
            page: Statement::new(dialect, &text),
            driver,
            in_use,
        }
    }

    /// Reads the first page of accounts. Called at the start, before anybody can log in.
    ///
    /// Gives up after two seconds. A failure is logged, and the start goes on.
    pub async fn begin(&self) {
        if let Ok(Err(failure)) = tokio::time::timeout(PATIENCE, self.read(Uuid::nil())).await {
            told(&failure);
        }
    }

    /// Surveys all accounts at once and then every six hours. Doesn't end; a failure is logged.
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

    /// Surveys all accounts, and forgets settings that no account has any more.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached. The settings known before are kept.
    pub async fn all(&self) -> Result<(), Failure> {
        self.in_use.begin_survey();
        let mut after = Some(Uuid::nil());
        while let Some(id) = after {
            after = self.read(id).await?;
            // Let other tasks run between two pages.
            tokio::task::yield_now().await;
        }
        self.in_use.end_survey();
        Ok(())
    }

    /// Reads the page of accounts after the id `after`. Returns the last id, or `None` for the last
    /// page.
    async fn read(&self, after: Uuid) -> Result<Option<Uuid>, Failure> {
        let rows = self.driver.fetch(&self.page, &[after.into()]).await?;
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

/// Returns the failure for a row that can't be read.
fn unreadable(error: ValueError) -> Failure {
    Failure::internal("account store", error)
}

/// Logs a survey that failed.
fn told(failure: &Failure) {
    let cause = std::error::Error::source(failure).map(tracing::field::display);
    tracing::warn!(event = "hashes_not_surveyed", %failure, cause, "unusual password hashes will be reported at the first login instead");
}

impl std::fmt::Debug for Survey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survey")
            .field("in_use", &self.in_use)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use countersign::store::sql::{Database, DatabaseOptions, Migrator, Script};
    use countersign::user::UserKeyKind;

    use super::*;
    use crate::accounts::{Argon2Setting, OURS};
    use crate::foundation::ACCOUNTS;

    #[tokio::test]
    async fn finds_the_settings_of_every_account() {
        let database = Database::connect("sqlite::memory:", DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid)
            .add(ACCOUNTS)
            .run()
            .await
            .unwrap();
        let driver = database.driver();
        let row = "INSERT INTO \"user\" (id, email, hashed_password, is_active, is_verified, is_superuser) \
                   VALUES (?1, ?2, ?3, 1, 1, 0)";
        let insert = Script::new(driver.dialect(), &[row]);
        // The one that matters is on the last page.
        for number in 1..=2 * PAGE {
            let hash = if number == 2 * PAGE {
                "$2b$12$abcdefghijklmnopqrstuu"
            } else {
                "$argon2id$v=19$m=19456,t=2,p=1$c2"
            };
            let id = Uuid::from_u128(u128::try_from(number).unwrap());
            driver
                .run(
                    &insert,
                    &[id.into(), number.to_string().into(), hash.into()],
                )
                .await
                .unwrap();
        }
        let in_use = InUse::new(OURS);
        in_use.add(HashSetting::Argon2(Argon2Setting::argon2id(1024, 1, 1)));
        let survey = Survey::new(driver, in_use.clone());
        survey.begin().await;
        assert_eq!(
            (in_use.work().argon2.len(), in_use.work().bcrypt),
            (2, None)
        );
        survey.all().await.unwrap();
        assert_eq!(
            (in_use.work().argon2, in_use.work().bcrypt),
            (vec![OURS], Some(12))
        );
    }
}
