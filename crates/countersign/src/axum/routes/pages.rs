//! The pages that forms lead to, and the redirects to them.

use axum_core::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::ConfigError;
use crate::tower::Problem;
use crate::tower::local_path::local_path;

/// The pages of an application that forms lead to: where they log in, and where they go afterwards.
///
/// [`AuthRoutes::forms`](super::AuthRoutes::forms) takes it, and describes the routes.
///
/// # Examples
///
/// ```
/// use countersign::axum::FormPages;
///
/// let pages = FormPages::new("/sign-in").after_login("/inbox").after_logout("/goodbye");
/// # let _ = pages;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FormPages {
    login: String,
    pub(super) after_login: String,
    pub(super) after_logout: String,
}

impl FormPages {
    /// Creates the pages, with the path of the login page. After login and logout, forms lead to
    /// `/`.
    pub fn new(login: impl Into<String>) -> Self {
        Self {
            login: login.into(),
            after_login: "/".to_owned(),
            after_logout: "/".to_owned(),
        }
    }

    /// Sets the path after a login whose form names no other. Defaults to `/`.
    pub fn after_login(mut self, path: impl Into<String>) -> Self {
        self.after_login = path.into();
        self
    }

    /// Sets the path after a logout whose form names no other. Defaults to `/`.
    pub fn after_logout(mut self, path: impl Into<String>) -> Self {
        self.after_logout = path.into();
        self
    }

    /// Returns the pages if each of them is a path on this site.
    pub(super) fn checked(self) -> Result<Self, ConfigError> {
        let paths = [&self.login, &self.after_login, &self.after_logout];
        if paths.iter().all(|path| local_path(path).is_some()) {
            return Ok(self);
        }
        Err(ConfigError::new(
            "forms",
            "names a page that is not a path on this site",
            "use paths such as /login, without host and fragment",
        ))
    }

    /// Returns the redirect back to the login page, which is told the code of `problem`. It says
    /// when to try again, as the problem would.
    pub(super) fn back(&self, problem: Problem, next: Option<&str>) -> Response {
        let sign = if self.login.contains('?') { '&' } else { '?' };
        let mut path = format!("{}{sign}error={}", self.login, problem.code());
        if let Some(next) = next {
            path.push_str("&next=");
            path.extend(utf8_percent_encode(next, NON_ALPHANUMERIC));
        }

        let mut answer = see_other(&path, StatusCode::SEE_OTHER.into_response());
        let refused = problem.into_response();
        if let Some(after) = refused.headers().get(header::RETRY_AFTER) {
            answer
                .headers_mut()
                .insert(header::RETRY_AFTER, after.clone());
        }
        answer
    }
}

/// Turns an answer into a redirect to `path`. Keeps its headers.
pub(super) fn see_other(path: &str, mut answer: Response) -> Response {
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Every path here is printable ASCII.
    if let Ok(location) = HeaderValue::try_from(path) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}
