//! The visitor of a page that everybody may see.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use countersign::{AuthOutcome, Authenticated, Problem};

use crate::Member;

/// An extractor of the visitor: a member, or somebody unknown.
///
/// It differs from `Option<CurrentUser<Member>>` in one case: a visitor whose login has ended, and
/// whose browser still sends a cookie, is somebody unknown here. A page that everybody may see
/// mustn't be refused to them.
pub(crate) struct Visitor(pub(crate) Option<Arc<Authenticated<Member>>>);

impl Visitor {
    /// Returns the member's name, for the head of the page.
    pub(crate) fn name(&self) -> Option<String> {
        let member = self.0.as_ref();
        member.map(|member| member.user.name.clone())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.extensions.get::<AuthOutcome<Member>>() {
            Some(AuthOutcome::Accepted(member)) => Ok(Self(Some(Arc::clone(member)))),
            Some(AuthOutcome::NotOffered | AuthOutcome::Refused(_)) => Ok(Self(None)),
            // During an outage nobody knows who it is, so nobody is shown as logged out.
            Some(other) => Err(Problem::from_outcome(other).unwrap_or(Problem::INTERNAL)),
            None => Err(Problem::AUTH_LAYER_MISSING),
        }
    }
}
