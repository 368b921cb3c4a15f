//! What a store can get wrong where a refresh token is rotated.

use countersign::store::{NewAccess, NewRefresh, RefreshRecord, Rotate, Rotated, TokenStore};
use countersign::{Client, Failure};

use crate::faults::Fault;
use crate::store::BrokenStore;

impl BrokenStore {
    pub(crate) async fn broken_rotate(&self, rotate: &Rotate) -> Result<Rotated, Failure> {
        let before = self.inner.find_refresh(&rotate.presented).await?;
        match self.fault {
            Fault::RotatesAccessTokens
                if self.inner.find_access(&rotate.presented).await?.is_some() =>
            {
                Ok(Rotated::Done)
            }
            Fault::UnguardedRotate => {
                tokio::task::yield_now().await;
                match (self.inner.rotate(rotate).await?, before) {
                    (Rotated::Gone, Some(before)) => {
                        let successor = beside(before, rotate);
                        let _ = self
                            .inner
                            .insert_refresh(&successor, rotate.access.as_ref())
                            .await?;
                        Ok(Rotated::Done)
                    }
                    (rotated, _) => Ok(rotated),
                }
            }
            Fault::SuccessorBesideOld => {
                let Some(before) = before else {
                    return Ok(Rotated::Gone);
                };
                let successor = beside(before, rotate);
                let _ = self
                    .inner
                    .insert_refresh(&successor, rotate.access.as_ref())
                    .await?;
                Ok(Rotated::Done)
            }
            Fault::EndedRotates => self.inner.rotate(rotate).await.map(|_| Rotated::Done),
            Fault::SignedEndMovesBack => {
                self.replace(rotate, |new| {
                    new.access_expires_at = rotate.access_expires_at;
                })
                .await
            }
            Fault::AccessWrittenByLoser => {
                let rotated = self.inner.rotate(rotate).await?;
                if let (Rotated::Gone, Some(access)) = (rotated, &rotate.access) {
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
                Ok(Rotated::Gone)
            }
            Fault::AccessOutlivesSession => {
                let access = rotate.access.clone().map(|access| NewAccess {
                    session: None,
                    ..access
                });
                self.inner
                    .rotate(&Rotate {
                        access,
                        ..rotate.clone()
                    })
                    .await
            }
            Fault::RotateNeedsAccess if rotate.access.is_none() => Ok(Rotated::Gone),
            Fault::TakenSuccessorLosesToken => {
                let outcome = self.inner.rotate(rotate).await;
                if outcome.is_err() {
                    let away = Rotate {
                        access: None,
                        successor: self.junk(),
                        ..rotate.clone()
                    };
                    self.inner.rotate(&away).await?;
                }
                outcome
            }
            Fault::TakenAccessIgnored => match self.inner.rotate(rotate).await {
                Err(_) => {
                    self.inner
                        .rotate(&Rotate {
                            access: None,
                            ..rotate.clone()
                        })
                        .await
                }
                outcome => outcome,
            },
            Fault::RotateByHalves => {
                let rotated = self
                    .inner
                    .rotate(&Rotate {
                        access: None,
                        ..rotate.clone()
                    })
                    .await?;
                tokio::task::yield_now().await;
                if let (Rotated::Done, Some(access)) = (rotated, &rotate.access) {
                    self.unfenced(access).await?;
                }
                Ok(rotated)
            }
            Fault::RotationOutlivesEndings
            | Fault::RotatedAccessUnfenced
            | Fault::KeptRotationLeftBehind => {
                let without = Rotate {
                    access: None,
                    ..rotate.clone()
                };
                let rotated = self.inner.rotate(&without).await?;
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                let fence = before
                    .and_then(|before| before.fence)
                    .filter(|_| self.is(Fault::KeptRotationLeftBehind));
                if let (Rotated::Done, Some(access)) = (rotated, &rotate.access) {
                    let _ = self
                        .inner
                        .insert_access(&NewAccess {
                            fence,
                            ..access.clone()
                        })
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
        rotate: &Rotate,
        change: impl FnOnce(&mut NewRefresh),
    ) -> Result<Rotated, Failure> {
        let Some(old) = self.inner.find_refresh(&rotate.presented).await? else {
            return Ok(Rotated::Gone);
        };
        let mut successor = NewRefresh {
            digest: rotate.successor.clone(),
            family: rotate.family.clone(),
            client: Client::new(),
            fence: None,
            user: old.user,
            session: old.session.or(Some(rotate.session)),
            created_at: rotate.created_at,
            expires_at: rotate.expires_at,
            session_expires_at: old.session_expires_at.or(rotate.session_expires_at),
            access_expires_at: old.access_expires_at.max(rotate.access_expires_at),
        };
        change(&mut successor);
        if self.inner.rotate(rotate).await? == Rotated::Gone {
            return Ok(Rotated::Gone);
        }
        // Takes the good successor away again, and puts the changed one in its place.
        let away = Rotate {
            access: None,
            successor: self.junk(),
            presented: successor.digest.clone().into(),
            ..rotate.clone()
        };
        self.inner.rotate(&away).await?;
        let _ = self.inner.insert_refresh(&successor, None).await?;
        Ok(Rotated::Done)
    }
}

/// A second successor in the place of a token that is gone.
fn beside(before: RefreshRecord, rotate: &Rotate) -> NewRefresh {
    NewRefresh {
        digest: rotate.successor.clone(),
        family: rotate.family.clone(),
        client: Client::new(),
        fence: None,
        user: before.user,
        session: before.session,
        created_at: rotate.created_at,
        expires_at: rotate.expires_at,
        session_expires_at: before.session_expires_at,
        access_expires_at: before.access_expires_at,
    }
}
