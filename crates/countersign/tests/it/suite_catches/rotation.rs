//! What a store can get wrong where a refresh token is rotated.

use countersign::Failure;
use countersign::store::{NewRefresh, RefreshRecord, RotateOutcome, RotateRequest, TokenStore};

use crate::suite_catches::faults::Fault;
use crate::suite_catches::store::BrokenStore;

impl BrokenStore {
    pub(crate) async fn broken_rotate(
        &self,
        rotate: &RotateRequest,
    ) -> Result<RotateOutcome, Failure> {
        let before = self.inner.find_refresh(&rotate.presented).await?;
        match self.fault {
            Fault::RotatesAccessTokens
                if self.inner.find_access(&rotate.presented).await?.is_some() =>
            {
                Ok(RotateOutcome::Done)
            }
            Fault::UnguardedRotate => {
                tokio::task::yield_now().await;
                match (self.inner.rotate(rotate).await?, before) {
                    (RotateOutcome::Gone, Some(before)) => {
                        let successor = beside(before, rotate);
                        let _ = self
                            .inner
                            .insert_refresh(&successor, rotate.access.as_ref())
                            .await?;
                        Ok(RotateOutcome::Done)
                    }
                    (rotated, _) => Ok(rotated),
                }
            }
            Fault::SuccessorBesideOld => {
                let Some(before) = before else {
                    return Ok(RotateOutcome::Gone);
                };
                let successor = beside(before, rotate);
                let _ = self
                    .inner
                    .insert_refresh(&successor, rotate.access.as_ref())
                    .await?;
                Ok(RotateOutcome::Done)
            }
            Fault::EndedRotates => self.inner.rotate(rotate).await.map(|_| RotateOutcome::Done),
            Fault::SignedEndMovesBack => {
                self.replace(rotate, |new| {
                    new.access_expires_at = rotate.access_expires_at;
                })
                .await
            }
            Fault::AccessWrittenByLoser => {
                let rotated = self.inner.rotate(rotate).await?;
                if let (RotateOutcome::Gone, Some(access)) = (rotated, &rotate.access) {
                    self.unfenced(access).await?;
                }
                Ok(rotated)
            }
            Fault::SessionReplaced => {
                self.replace(rotate, |new| new.session = Some(rotate.session))
                    .await
            }
            Fault::SessionNotGiven => {
                self.replace(rotate, |new| {
                    new.session = before.and_then(|old| old.session);
                })
                .await
            }
            Fault::EndMoves => {
                self.replace(rotate, |new| {
                    new.session_expires_at = rotate.session_expires_at;
                })
                .await
            }
            Fault::EndForgotten => {
                let end = before.and_then(|old| old.session_expires_at);
                self.replace(rotate, |new| new.session_expires_at = end)
                    .await
            }
            Fault::ExpiredNotRotated
                if before
                    .as_ref()
                    .is_some_and(|old| old.expires_at < Some(rotate.created_at)) =>
            {
                Ok(RotateOutcome::Gone)
            }
            Fault::AccessOutlivesSession => {
                let access = rotate
                    .access
                    .clone()
                    .map(|access| access.with_session(None));
                self.inner.rotate(&rotate.clone().with_access(access)).await
            }
            Fault::RotateNeedsAccess if rotate.access.is_none() => Ok(RotateOutcome::Gone),
            Fault::TakenSuccessorLosesToken => {
                let outcome = self.inner.rotate(rotate).await;
                if outcome.is_err() {
                    let away = {
                        let mut changed = rotate.clone().with_access(None);
                        changed.successor = self.junk();
                        changed
                    };
                    self.inner.rotate(&away).await?;
                }
                outcome
            }
            Fault::TakenAccessIgnored => match self.inner.rotate(rotate).await {
                Err(_) => self.inner.rotate(&rotate.clone().with_access(None)).await,
                outcome => outcome,
            },
            Fault::RotateByHalves => {
                let rotated = self.inner.rotate(&rotate.clone().with_access(None)).await?;
                tokio::task::yield_now().await;
                if let (RotateOutcome::Done, Some(access)) = (rotated, &rotate.access) {
                    self.unfenced(access).await?;
                }
                Ok(rotated)
            }
            Fault::RotationOutlivesEndings
            | Fault::RotatedAccessUnfenced
            | Fault::KeptRotationLeftBehind => {
                let without = rotate.clone().with_access(None);
                let rotated = self.inner.rotate(&without).await?;
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                let fence = before
                    .and_then(|before| before.fence)
                    .filter(|_| self.is(Fault::KeptRotationLeftBehind));
                if let (RotateOutcome::Done, Some(access)) = (rotated, &rotate.access) {
                    let _ = self
                        .inner
                        .insert_access(&access.clone().with_fence(fence))
                        .await?;
                }
                Ok(rotated)
            }
            _ => self.inner.rotate(rotate).await,
        }
    }

    /// A new record in the place of a refresh token, its fields taken from `change`.
    async fn replace(
        &self,
        rotate: &RotateRequest,
        change: impl FnOnce(&mut NewRefresh),
    ) -> Result<RotateOutcome, Failure> {
        let Some(old) = self.inner.find_refresh(&rotate.presented).await? else {
            return Ok(RotateOutcome::Gone);
        };
        let mut successor = NewRefresh::new(
            rotate.successor.clone(),
            rotate.family.clone(),
            old.user,
            rotate.created_at,
        )
        .with_session(old.session.or(Some(rotate.session)))
        .with_expires_at(rotate.expires_at)
        .with_session_expires_at(old.session_expires_at.or(rotate.session_expires_at))
        .with_access_expires_at(old.access_expires_at.max(rotate.access_expires_at));
        change(&mut successor);
        if self.inner.rotate(rotate).await? == RotateOutcome::Gone {
            return Ok(RotateOutcome::Gone);
        }
        // Takes the good successor away again, and puts the changed one in its place.
        let away = {
            let mut changed = rotate.clone().with_access(None);
            changed.successor = self.junk();
            changed.presented = successor.digest.clone().into();
            changed
        };
        self.inner.rotate(&away).await?;
        let _ = self.inner.insert_refresh(&successor, None).await?;
        Ok(RotateOutcome::Done)
    }
}

/// A second successor in the place of a token that is gone.
fn beside(before: RefreshRecord, rotate: &RotateRequest) -> NewRefresh {
    NewRefresh::new(
        rotate.successor.clone(),
        rotate.family.clone(),
        before.user,
        rotate.created_at,
    )
    .with_session(before.session)
    .with_expires_at(rotate.expires_at)
    .with_session_expires_at(before.session_expires_at)
    .with_access_expires_at(before.access_expires_at)
}
