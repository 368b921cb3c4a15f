//! What the two stores say of one thing.

use countersign::store::{AccessRecord, Page, RefreshRecord, SessionRecord, TokenStore};
use countersign::{Failure, UserKey};

use super::model::{Model, Token};

impl Model {
    pub(crate) async fn everything_is_equal(&self) {
        for token in &self.access {
            self.access_is_equal(token).await;
        }
        for token in &self.refresh {
            self.refresh_is_equal(token).await;
        }
        for user in 0..self.users.len() {
            self.list(user, 1000).await;
        }
    }

    pub(crate) async fn nothing_outlives_its_user(&mut self) {
        for user in 0..self.users.len() {
            self.end_user(user, None, true).await;
        }
        self.everything_is_equal().await;
        for token in &self.access {
            assert!(
                self.redis
                    .find_access(&token.digest.clone().into())
                    .await
                    .unwrap()
                    .is_none()
            );
        }
    }

    pub(super) async fn access_is_equal(&self, token: &Token) {
        let stored = token.digest.clone().into();
        let fields = |record: AccessRecord| {
            (
                record.user,
                record.session,
                record.created_at,
                record.expires_at,
            )
        };
        let ours = self
            .redis
            .find_access(&stored)
            .await
            .map(|found| found.map(fields));
        let model = self
            .memory
            .find_access(&stored)
            .await
            .map(|found| found.map(fields));
        same(ours, model, "find_access");
    }

    pub(super) async fn refresh_is_equal(&self, token: &Token) {
        let stored = token.digest.clone().into();
        let fields = |record: RefreshRecord| {
            let ends = (
                record.expires_at,
                record.session_expires_at,
                record.access_expires_at,
            );
            (record.user, record.session, record.created_at, ends)
        };
        let ours = self
            .redis
            .find_refresh(&stored)
            .await
            .map(|found| found.map(fields));
        let model = self
            .memory
            .find_refresh(&stored)
            .await
            .map(|found| found.map(fields));
        same(ours, model, "find_refresh");
    }

    /// All pages of both, which part the list in their own ways.
    pub(super) async fn list(&self, user: usize, limit: u32) {
        let mut ours = all(&self.redis, &self.users[user], limit).await;
        let model = all(&self.memory, &self.users[user], limit).await;
        // Who asks for no fence gets the one that stands.
        for (ours, model) in ours.iter_mut().zip(&model) {
            ours.fence = ours.fence.filter(|_| model.fence.is_some());
        }
        assert_eq!(ours, model, "sessions");
    }
}

async fn all(store: &dyn TokenStore, user: &UserKey, limit: u32) -> Vec<SessionRecord> {
    let (mut all, mut page) = (Vec::new(), Page { after: None, limit });
    loop {
        let found = store.sessions(user, &page).await.unwrap();
        assert!(found.sessions.len() <= usize::try_from(limit.max(1)).unwrap());
        all.extend(found.sessions);
        page.after = found.next;
        if page.after.is_none() {
            all.sort_by_key(|session| session.id);
            return all;
        }
    }
}

/// Two answers are equal, or both are failures; the answer, unless they are.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    ours: Result<T, Failure>,
    model: Result<T, Failure>,
    what: &str,
) -> Option<T> {
    match (ours, model) {
        (Ok(ours), Ok(model)) => {
            assert_eq!(ours, model, "{what}");
            Some(ours)
        }
        (Err(_), Err(_)) => None,
        (ours, model) => panic!("{what}: {ours:?}, and the model says {model:?}"),
    }
}
