//! Refusals as visitors see them: a redirect to the login page, or a page that says what happened.
//!
//! Only requests that a browser sends for a page get them. A program, a script on a page and a
//! request with a bearer token get the problem document.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::ConfigError;
use crate::tower::Problem;
use crate::tower::local_path::is_local_path;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The characters of `next` that are percent-encoded: all that could end the parameter.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b'_')
    .remove(b'~');

/// A function that renders a refusal as HTML.
type Render = dyn Fn(&Problem) -> String + Send + Sync;

/// The answers to refused visitors.
#[derive(Clone)]
pub(super) struct Pages {
    login: Arc<str>,
    render: Option<Arc<Render>>,
}

impl Pages {
    /// Creates the answers of a site whose login page has this path.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if `login` isn't a path on this site.
    pub(super) fn new(login: &str) -> Result<Self, ConfigError> {
        if is_local_path(login) {
            return Ok(Self {
                login: login.into(),
                render: None,
            });
        }
        Err(ConfigError::new(
            "login page",
            "is not a path on this site",
            "use a path that begins with one `/`, such as /login",
        ))
    }

    /// Sets the function that renders refusals.
    pub(super) fn set_render(
        &mut self,
        render: impl Fn(&Problem) -> String + Send + Sync + 'static,
    ) {
        self.render = Some(Arc::new(render));
    }

    /// Returns the answer to a request for a page: a redirect if a login can help and the request
    /// can be repeated after it, and a page otherwise.
    pub(super) fn refuse<B: From<Bytes>>(
        &self,
        problem: Problem,
        method: &Method,
        uri: &Uri,
    ) -> Response<B> {
        let may_repeat = matches!(*method, Method::GET | Method::HEAD);
        // A login page inside of its own layer would be redirected to itself for ever.
        let is_login = Some(uri.path()) == self.login.split('?').next();
        if problem.status() == StatusCode::UNAUTHORIZED
            && may_repeat
            && !is_login
            && let Ok(location) = HeaderValue::try_from(self.location(uri))
        {
            let mut response = Response::new(B::from(Bytes::new()));
            *response.status_mut() = StatusCode::SEE_OTHER;
            let headers = response.headers_mut();
            headers.insert(header::LOCATION, location);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return response;
        }

        let html = match &self.render {
            Some(render) => render(&problem),
            None => self.page(problem),
        };
        let mut response = problem.into_http::<B>();
        *response.body_mut() = B::from(html.into());
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        response
    }

    /// Returns the login page's address, with the page to return to as `next` if that is a path on
    /// this site.
    fn location(&self, uri: &Uri) -> String {
        let page = uri.path_and_query().map_or("/", |page| page.as_str());
        if !is_local_path(page) {
            return (*self.login).to_owned();
        }
        let separator = if self.login.contains('?') { '&' } else { '?' };
        format!(
            "{}{separator}next={}",
            self.login,
            utf8_percent_encode(page, ENCODED)
        )
    }

    /// Returns a page with the problem's own texts, and a link to the login page if a login can
    /// help.
    fn page(&self, problem: Problem) -> String {
        let (title, detail) = (escaped(problem.title()), escaped(problem.detail()));
        let link = if problem.status() == StatusCode::UNAUTHORIZED {
            format!("<p><a href=\"{}\">Log in</a></p>\n", escaped(&self.login))
        } else {
            String::new()
        };
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
             <h1>{title}</h1>\n<p>{detail}</p>\n{link}</html>\n"
        )
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// Returns the URI as the client sent it. A nested router of axum sees its own part of the path
/// only.
pub(super) fn original_uri<'r>(uri: &'r Uri, extensions: &'r Extensions) -> &'r Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = extensions.get::<::axum::extract::OriginalUri>() {
        return &original.0;
    }
    #[cfg(not(feature = "axum"))]
    let _ = extensions;
    uri
}

/// Returns `true` if a browser sent the request for a page to show, and not a script or a program.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let mode = headers.get(SEC_FETCH_MODE).map(HeaderValue::as_bytes);
    let is_navigation = mode.is_none_or(|mode| mode == b"navigate");
    is_navigation && !has_bearer(headers) && prefers_html(headers)
}

/// Returns `true` if the request has a bearer token, as requests of programs have. A browser sends
/// `Basic` by itself, to sites that ask for it in front of the application.
fn has_bearer(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    values
        .filter_map(|value| value.as_bytes().get(..6))
        .any(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
}

/// Returns `true` if the request names HTML, and names it before JSON (RFC 9110 section 12.5.1).
///
/// Ranges such as `*/*` count for neither: programs send them too.
fn prefers_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0.0, 0.0);
    let values = headers.get_all(header::ACCEPT).iter();
    for range in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(1.0, |(_, q)| q.trim().parse::<f32>().unwrap_or(0.0));
        if name == "text/html" || name == "application/xhtml+xml" {
            html = weight.max(html);
        } else if name == "application/json" || name.ends_with("+json") {
            json = weight.max(json);
        }
    }

    html > json
}

/// Returns the text with the characters escaped that HTML gives a meaning.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
