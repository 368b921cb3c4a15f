//! The work on many sessions at once: surveys of a user's sessions, and sweeps of expired rows.
//!
//! Each call reads or deletes a bounded number of rows, so that no request waits for it for long.

use std::time::Duration;

use super::store::SqlStore;
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::store::sql::Driver;
use crate::store::sql::rows::{counts, int};
use crate::store::{SessionCursor, SweepLimit, Swept, UserSurvey};
use crate::user::UserKey;

/// The number of rows that a survey of a user reads in one statement.
const SURVEYED: i64 = 2000;

/// The shortest time that a replaced fence is remembered. Longer than any statement can run that
/// began before the replacement.
const ENDED_KEPT: Duration = Duration::from_mins(5);

impl<D: Driver> SqlStore<D> {
    /// Returns the counts for the part of a user's sessions that begins after `after`.
    ///
    /// One call reads at most [`SURVEYED`] rows. If it read that many, its answer has the cursor to
    /// go on with.
    pub(super) async fn survey(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        let after = after.map(SessionCursor::as_str).unwrap_or_default();
        let cutoffs = [limit.now.as_micros().into(), limit.refresh_created.into()];
        let [now, created] = cutoffs;
        let params = [self.key(user)?, now, created, after.into(), SURVEYED.into()];
        let rows = self
            .driver
            .fetch(&self.statements.endings.survey, &params)
            .await?;

        let Some(row) = rows.first() else {
            return Ok(UserSurvey::default());
        };

        // The list goes on only after a part that was as long as it could be.
        let last = row
            .text(3)
            .ok()
            .flatten()
            .filter(|_| int(row, 0) >= Some(SURVEYED));

        Ok(UserSurvey {
            sessions: int(row, 1)
                .and_then(|live| u64::try_from(live).ok())
                .unwrap_or(0),
            access_expires_at: int(row, 2).map(Timestamp::from_micros),
            next: last.and_then(|last| last.parse().ok()),
        })
    }

    /// Deletes a bounded number of expired tokens, ended tokens and unused fences.
    ///
    /// This runs three scripts, and may be cut short between them: the first marks old fences that
    /// are still needed as used, the second deletes expired tokens and the fences of users without
    /// tokens, and the third deletes the tokens of ended sessions and the fences that they had.
    pub(super) async fn sweep_batch(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        let rows = i64::from(limit.rows);
        let used = limit.fence_used.as_micros();

        // Fences of users who have tokens are marked as used before the oldest are removed.
        // Otherwise they would stay the oldest, and each sweep would look at them alone.
        let held = [limit.now.as_micros().into(), used.into(), rows.into()];
        let held = self.driver.run(&self.statements.held_fences, &held).await?;

        let expired = [
            limit.now.as_micros().into(),
            limit.access_created.into(),
            limit.refresh_created.into(),
            rows.into(),
            used.into(),
        ];
        let [refresh, access, fences] =
            counts(&self.driver.run(&self.statements.sweep, &expired).await?);
        let ended = [
            limit.now.saturating_sub(ENDED_KEPT).as_micros().into(),
            rows.into(),
            used.into(),
        ];
        let [ended_refresh, ended_access, ended] = counts(
            &self
                .driver
                .run(&self.statements.endings.sweep, &ended)
                .await?,
        );

        let touched = held.affected.first().copied().unwrap_or(0);
        let most = [
            refresh,
            access,
            fences,
            ended_refresh,
            ended_access,
            ended,
            touched,
        ]
        .into_iter()
        .max();

        Ok(Swept {
            access: access.saturating_add(ended_access),
            refresh: refresh.saturating_add(ended_refresh),
            fences,
            more: most >= Some(u64::from(limit.rows)),
        })
    }
}
