//! Errors, in three types that are never mixed.
//!
//! - A [`Refusal`] says why a credential or an attempt is bad.
//! - A [`Failure`] says that a question couldn't be answered: a store is down, full or broken.
//! - A [`ConfigError`] stops a start and names the setting to correct.
//!
//! An operation that can end in a refusal or a failure returns an [`AuthError`]. The two must stay
//! apart: a refused credential is 401 over HTTP, and an outage is 503. A store that is down must
//! never look like a wrong password, nor like an anonymous request.

mod symptom;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

pub use symptom::Symptom;

/// The reason why a credential was refused.
///
/// The reason is for logs and metrics. A client gets the same answer for every reason, so that
/// nobody can probe which check failed. The exceptions are
/// [`MalformedRequest`](Self::MalformedRequest) and [`Ambiguous`](Self::Ambiguous), which are about
/// the request and are answered with 400 in place of 401. `docs/STATUS-CODES.md` lists the answers.
///
/// [`as_str`](Self::as_str) gives a stable name for log fields and metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The text doesn't have the form of a token.
    Malformed,
    /// The header or cookie isn't a well-formed credential, so there is no token to judge.
    MalformedRequest,
    /// The text is longer than any token that the strategy accepts.
    TooLong,
    /// The request has more than one credential.
    Ambiguous,
    /// The store doesn't have the token: it was never issued, or it was deleted after its end.
    Unknown,
    /// The token or its session has expired.
    Expired,
    /// The token isn't valid yet (`nbf` or `iat`), even with the leeway.
    NotYetValid,
    /// The token, its session or all tokens of the user were revoked.
    Revoked,
    /// The refresh token was exchanged before, and its successor can't be returned again. The
    /// session goes on.
    ///
    /// This happens to the slower of two requests if the faster one's successor was used meanwhile,
    /// or if the digest key that made the successor is no longer in the key ring.
    Consumed,
    /// The refresh token was exchanged before and was presented again outside of its window. The
    /// session was revoked.
    ///
    /// Somebody may have stolen the token. The session's access tokens are revoked as well. The
    /// window is set by [`ReusePolicy`](crate::ReusePolicy).
    Reused,
    /// "Log out everywhere" ended the user's sessions while this login was in progress.
    Overtaken,
    /// The user has as many sessions as the [`SessionLimit`](crate::SessionLimit) allows.
    TooManySessions,
    /// The `alg` header is missing, or names another algorithm than the key's.
    Algorithm,
    /// The `kid` header is missing, or names a key that isn't in the key ring.
    UnknownKey,
    /// The header has a parameter that changes the meaning of the token and isn't supported:
    /// `crit`, `b64`, `zip`, `enc`, or a `cty` that says "a token in a token".
    Header,
    /// No key of the key ring verifies the signature.
    Signature,
    /// The token is of another type (`typ`).
    TokenType,
    /// The claims aren't valid JSON, or a required claim is missing or has the wrong form.
    Claims,
    /// The token was issued for another audience (`aud`).
    Audience,
    /// The token was issued by another issuer (`iss`).
    Issuer,
    /// The time between `iat` and `exp` is longer than any token of this issuer may live.
    Lifetime,
    /// The user id isn't one of the application's id type, in its canonical spelling.
    Subject,
    /// No user has the token's user id.
    UserUnknown,
    /// The account of the user isn't active.
    UserInactive,
    /// The session fingerprint doesn't match, because email or password changed since the token was
    /// issued.
    Fingerprint,
}

impl Refusal {
    /// Returns a stable name for logs and metrics: the variant in lower case with underscores, such
    /// as `not_yet_valid`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::MalformedRequest => "malformed_request",
            Self::TooLong => "too_long",
            Self::Ambiguous => "ambiguous",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::Consumed => "consumed",
            Self::Reused => "reused",
            Self::Overtaken => "overtaken",
            Self::TooManySessions => "too_many_sessions",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Header => "header",
            Self::Signature => "signature",
            Self::TokenType => "token_type",
            Self::Claims => "claims",
            Self::Audience => "audience",
            Self::Issuer => "issuer",
            Self::Lifetime => "lifetime",
            Self::Subject => "subject",
            Self::UserUnknown => "user_unknown",
            Self::UserInactive => "user_inactive",
            Self::Fingerprint => "fingerprint",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error for Refusal {}

/// The error of an operation that can be refused and can fail.
///
/// # Examples
///
/// ```
/// use countersign::error::FailureKind;
/// use countersign::{AuthError, Failure, Refusal};
///
/// fn status(error: &AuthError) -> u16 {
///     match error {
///         AuthError::Refused(_) => 401,
///         AuthError::Failed(failure) if failure.kind() == FailureKind::Internal => 500,
///         AuthError::Failed(_) => 503,
///     }
/// }
/// assert_eq!(status(&Refusal::Expired.into()), 401);
/// assert_eq!(status(&Failure::full("denylist").into()), 503);
/// ```
#[derive(Debug, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a refusal or a failure: there is no third"
)]
pub enum AuthError {
    /// The credential or the attempt is bad. The reason is for the log only.
    #[error("refused: {0}")]
    Refused(#[source] Refusal),
    /// The operation could not be completed. Nothing was decided about the credential.
    #[error(transparent)]
    Failed(Failure),
}

impl AuthError {
    /// Returns the reason of a refusal, or `None` if the operation failed.
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            Self::Failed(_) => None,
        }
    }
}

impl From<Refusal> for AuthError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for AuthError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The error beneath a [`Failure`], for logs.
pub type Cause = Box<dyn Error + Send + Sync + 'static>;

/// The kinds of a [`Failure`], by what a caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// A store or another dependency didn't answer. Trying again later may help. Over HTTP this is
    /// 503.
    Unavailable,
    /// A bounded store has no room for what has to be recorded. Over HTTP this is 503.
    ///
    /// Trying again helps once entries have expired. If it happens often, the store needs a higher
    /// bound.
    Full,
    /// Something happened that must not happen: a bug, a foreign row, or a schema of another
    /// version. Over HTTP this is 500.
    ///
    /// Trying again doesn't help.
    Internal,
}

/// An operation that could not be completed. It says neither "refused" nor "accepted".
///
/// A failure names the part that failed, such as `token store`, and contains nothing of the
/// request. The cause is the [`source`](Error::source) and is for the log.
///
/// Implementers of a store create failures with [`unavailable`](Self::unavailable),
/// [`full`](Self::full) and [`internal`](Self::internal).
///
/// # Examples
///
/// ```
/// use std::error::Error;
/// use std::io;
///
/// use countersign::error::FailureKind;
/// use countersign::Failure;
///
/// let cause = io::Error::from(io::ErrorKind::ConnectionRefused);
/// let failure = Failure::unavailable("token store", cause);
/// assert_eq!(failure.kind(), FailureKind::Unavailable);
/// assert_eq!(failure.part(), "token store");
/// assert!(failure.source().is_some());
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{part} {}", match .kind {
    FailureKind::Unavailable => "is unavailable",
    FailureKind::Full => "is full",
    FailureKind::Internal => "failed",
})]
pub struct Failure {
    kind: FailureKind,
    part: &'static str,
    #[source]
    source: Option<Cause>,
    symptom: Option<Symptom>,
}

impl Failure {
    /// Creates a failure of a part that didn't answer in time, or at all.
    pub fn unavailable(part: &'static str, cause: impl Into<Cause>) -> Self {
        Self {
            kind: FailureKind::Unavailable,
            part,
            source: Some(cause.into()),
            symptom: None,
        }
    }

    /// Creates a failure of a part that has no room left. Its symptom is [`Symptom::Full`].
    pub const fn full(part: &'static str) -> Self {
        Self {
            kind: FailureKind::Full,
            part,
            source: None,
            symptom: Some(Symptom::Full),
        }
    }

    /// Creates a failure of a part that did something it must never do.
    pub fn internal(part: &'static str, cause: impl Into<Cause>) -> Self {
        Self {
            kind: FailureKind::Internal,
            part,
            source: Some(cause.into()),
            symptom: None,
        }
    }

    /// Sets what is known about the state of the store. `None` removes it.
    #[must_use]
    pub fn with_symptom(mut self, symptom: impl Into<Option<Symptom>>) -> Self {
        self.symptom = symptom.into();
        self
    }

    /// Adds the operation that failed, such as `migration countersign/1 tokens`, on top of the
    /// cause.
    #[must_use]
    pub fn during(mut self, what: String) -> Self {
        self.source = Some(match self.source {
            Some(source) => Box::new(During { what, source }),
            None => what.into(),
        });
        self
    }

    /// Returns what is known about the state of the store, or `None` if nothing is.
    pub const fn symptom(&self) -> Option<Symptom> {
        self.symptom
    }

    /// Returns `true` if the part answered and refused our account, its password or its rights.
    ///
    /// Waiting alone doesn't help: somebody has to correct the password or grant a right.
    pub const fn is_denied(&self) -> bool {
        matches!(self.symptom, Some(Symptom::Credentials | Symptom::Rights))
    }

    /// Returns the kind of the failure, which decides whether trying again may help.
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Returns the name of the part that failed, such as `token store`.
    pub const fn part(&self) -> &'static str {
        self.part
    }
}

/// A cause, together with the operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct During {
    what: String,
    source: Cause,
}

/// A setting that can't work.
///
/// The error names the setting, the problem and the cure, and shows no secret.
/// [`Display`](fmt::Display) writes the three in one line. Builders return it from `build`, so a
/// service that starts has a configuration that was checked.
///
/// # Examples
///
/// ```
/// use countersign::{ConfigError, Secret};
///
/// let error = Secret::new("token_hash_secret", "short").unwrap_err();
/// assert_eq!(error.setting(), "token_hash_secret");
/// assert_eq!(ConfigError::CODE, "CONFIGURATION_INVALID");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}; {cure}")]
pub struct ConfigError {
    setting: Cow<'static, str>,
    problem: Cow<'static, str>,
    cure: Cow<'static, str>,
}

impl ConfigError {
    /// The stable code of every configuration error.
    pub const CODE: &'static str = "CONFIGURATION_INVALID";

    /// Creates an error.
    ///
    /// `setting` is the name as the user typed it. `problem` says what is wrong, in words that
    /// follow the name, such as `is empty`. `cure` says what to do. Don't put the value into the
    /// texts if it can be a secret.
    pub fn new(
        setting: impl Into<Cow<'static, str>>,
        problem: impl Into<Cow<'static, str>>,
        cure: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            setting: setting.into(),
            problem: problem.into(),
            cure: cure.into(),
        }
    }

    /// Returns the name of the setting.
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// Returns what is wrong with the setting, in words that follow its name.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns what to do about it, as an imperative without a full stop.
    pub fn cure(&self) -> &str {
        &self.cure
    }
}
