//! What the two stores say of one thing.

use countersign::Failure;
use countersign::store::{AccessRecord, Page, RefreshRecord, TokenStore};

use super::model::{Model, Token, pick};

impl Model {
    pub(crate) async fn everything_is_equal(&self) {
        for token in &self.access {
            self.access_is_equal(token).await;
        }
        for token in &self.refresh {
            self.refresh_is_equal(token).await;
        }
        for user in 0..self.users.len() {
            self.list(user, None, u32::MAX).await;
        }
    }

    pub(crate) async fn nothing_outlives_its_user(&mut self) {
        for user in 0..self.users.len() {
            self.remove_user(user).await;
        }
        self.everything_is_equal().await;
        for token in &self.access {
            assert!(self.redis.find_access(&token.digest.clone().into()).await.unwrap().is_none());
        }
    }

    pub(super) async fn access_is_equal(&self, token: &Token) {
        let stored = token.digest.clone().into();
        let fields = |record: AccessRecord| (record.user, record.session, record.created_at, record.expires_at);
        let ours = self.redis.find_access(&stored).await.map(|found| found.map(fields));
        let model = self.memory.find_access(&stored).await.map(|found| found.map(fields));
        same(ours, model, "find_access");
    }

    pub(super) async fn refresh_is_equal(&self, token: &Token) {
        let stored = token.digest.clone().into();
        let fields = |record: RefreshRecord| {
            (record.user, record.session, record.created_at, record.expires_at, record.session_expires_at)
        };
        let ours = self.redis.find_refresh(&stored).await.map(|found| found.map(fields));
        let model = self.memory.find_refresh(&stored).await.map(|found| found.map(fields));
        same(ours, model, "find_refresh");
    }

    pub(super) async fn list(&self, user: usize, after: Option<usize>, limit: u32) {
        let after = after.and_then(|number| pick(&self.sessions, number)).map(|session| session.id);
        let page = Page { after, limit };
        let ours = self.redis.sessions(&self.users[user], page).await;
        same(ours, self.memory.sessions(&self.users[user], page).await, "sessions");
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
