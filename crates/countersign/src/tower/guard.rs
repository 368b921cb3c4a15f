//! Rules about the user of a request, beside being logged in.

use std::sync::Arc;

use crate::tower::Problem;

/// A rule that a user has to satisfy, such as a role, with the answer to everybody else.
///
/// Implement it on a type of your own that marks the role. The extractor
/// [`Guarded`](crate::axum::Guarded) asks it for one handler, and
/// [`AuthLayer::guard`](crate::tower::AuthLayer::guard) for everything inside of a layer. It is
/// only asked about users whose credential was accepted.
///
/// # Examples
///
/// ```
/// use countersign::Problem;
/// use countersign::tower::Guard;
/// use http::StatusCode;
///
/// struct Member { is_admin: bool }
///
/// enum Admin {}
///
/// impl Guard<Member> for Admin {
///     const REFUSAL: Problem =
///         Problem::new(StatusCode::FORBIDDEN, "ADMINS_ONLY", "Only administrators may do this.");
///
///     fn allows(member: &Member) -> bool {
///         member.is_admin
///     }
/// }
/// assert!(!Admin::allows(&Member { is_admin: false }));
/// ```
pub trait Guard<U>: 'static {
    /// The answer to a user whom the rule doesn't allow. Defaults to
    /// [`Problem::PERMISSION_DENIED`].
    const REFUSAL: Problem = Problem::PERMISSION_DENIED;

    /// Returns `true` if the user may go on.
    fn allows(user: &U) -> bool;
}

/// A rule of a layer, and the answer to users whom it doesn't allow.
pub(super) struct Rule<U> {
    allows: Arc<dyn Fn(&U) -> bool + Send + Sync>,
    refusal: Problem,
}

impl<U> Rule<U> {
    /// Creates a rule.
    pub(super) fn new(
        allows: impl Fn(&U) -> bool + Send + Sync + 'static,
        refusal: Problem,
    ) -> Self {
        Self {
            allows: Arc::new(allows),
            refusal,
        }
    }

    /// Returns the refusal of `user`, or `None` if the rule allows the user.
    pub(super) fn refuses(&self, user: &U) -> Option<Problem> {
        (!(self.allows)(user)).then_some(self.refusal)
    }
}

impl<U> Clone for Rule<U> {
    fn clone(&self) -> Self {
        Self {
            allows: Arc::clone(&self.allows),
            refusal: self.refusal,
        }
    }
}
