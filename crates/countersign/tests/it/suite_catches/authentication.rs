//! Stores that get the time of the latest authentication wrong.

use countersign::Failure;
use countersign::store::{NewRefresh, Reauthentication, SessionRecord, TokenStore};
use countersign::user::UserKeyKind;

use crate::suite_catches::faults::Fault;
use crate::suite_catches::store::BrokenStore;

impl BrokenStore {
    pub(crate) async fn broken_reauthenticate(
        &self,
        again: &Reauthentication,
    ) -> Result<bool, Failure> {
        let free = Reauthentication::new(again.session, again.user.clone(), again.at);
        match self.fault {
            Fault::AuthenticationForgotten => {
                let found = self.inner.find_session(again.session, &again.user).await?;
                Ok(found.is_some())
            }
            Fault::AuthenticationMovesBack => {
                let noted = self.inner.reauthenticate(again).await?;
                self.noted.lock().unwrap().insert(again.session, again.at);
                Ok(noted)
            }
            Fault::AuthenticationOfStrangers => {
                let mut noted = false;
                for kind in [UserKeyKind::Uuid, UserKeyKind::Int, UserKeyKind::Text] {
                    for user in countersign::testing::user_ids(kind) {
                        let of_user = Reauthentication::new(again.session, user, again.at);
                        noted |= self.inner.reauthenticate(&of_user).await?;
                    }
                }
                Ok(noted)
            }
            Fault::AuthenticationIgnoresFence => self.inner.reauthenticate(&free).await,
            Fault::AuthenticationRevives => {
                let noted = self.inner.reauthenticate(again).await?;
                Ok(noted || self.write_whole(again).await?)
            }
            Fault::AuthenticationUnguarded => {
                let before = self.inner.find_session(again.session, &again.user).await?;
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                let noted = self.inner.reauthenticate(again).await?;
                Ok(noted || (before.is_some() && self.write_whole(again).await?))
            }
            _ => self.inner.reauthenticate(again).await,
        }
    }

    /// Writes a session whole instead of updating it.
    async fn write_whole(&self, again: &Reauthentication) -> Result<bool, Failure> {
        let is_it = |opened: &&NewRefresh| {
            opened.session == Some(again.session) && opened.user == again.user
        };
        let opened = self.opened.lock().unwrap().iter().find(is_it).cloned();
        let Some(opened) = opened else {
            return Ok(false);
        };
        let free = opened.with_fence(None);
        Ok(self.inner.insert_refresh(&free, None).await.is_ok())
    }

    /// What the fault shows of a session's latest authentication.
    pub(crate) fn authentication(&self, mut found: SessionRecord) -> SessionRecord {
        let at = match self.fault {
            Fault::LoginIsNoAuthentication => found
                .authenticated_at
                .filter(|at| Some(*at) != found.opened_at),
            Fault::RotationForgetsAuthentication if found.refreshed_at != found.opened_at => {
                found.opened_at
            }
            Fault::AuthenticationMovesBack => {
                let moved = self.noted.lock().unwrap().get(&found.id).copied();
                moved.or(found.authenticated_at)
            }
            _ => found.authenticated_at,
        };
        found.authenticated_at = at;
        found
    }
}
