//! What can go wrong, in three types that never mix: a [`Refusal`] is the caller's fault, a [`Failure`] is ours, and a
//! [`ConfigError`] stops a start. An operation that ends in either of the first two returns an [`AuthError`].

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::symptom::Symptom;

/// Why a credential was refused.
///
/// This is for the log and for metrics. What a client may learn is the same fixed text for every reason, so that
/// nobody can probe which check failed (SECURITY.md lists the mapping).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The text doesn't have the form of a token.
    Malformed,
    /// The header or cookie doesn't have the form of a credential, so that there is no token to judge.
    MalformedRequest,
    /// The text is longer than any token may be.
    TooLong,
    /// More than one credential came with the request.
    Ambiguous,
    /// No store knows the token.
    Unknown,
    /// The token, or its session, is past its end.
    Expired,
    /// The token isn't valid yet.
    NotYetValid,
    /// The token was revoked.
    Revoked,
    /// The refresh token has been exchanged for a successor before, which can't be told again.
    Consumed,
    /// The refresh token has been exchanged before and was presented again outside its window: its session has ended
    /// (promise P3).
    Reused,
    /// The user was logged out everywhere while this login was under way (P4).
    Overtaken,
    /// The user has as many sessions as allowed.
    TooManySessions,
    /// The header names an algorithm that isn't the configured one.
    Algorithm,
    /// The header names a key that isn't in the ring.
    UnknownKey,
    /// A header parameter changes the token's meaning, and isn't supported.
    Header,
    /// The signature isn't ours.
    Signature,
    /// The token is of another type (`typ`).
    TokenType,
    /// A required claim is missing, or has another type than it must have.
    Claims,
    /// The token was issued for another audience.
    Audience,
    /// The token was issued by someone else.
    Issuer,
    /// The token would live longer than any token we issue.
    Lifetime,
    /// The subject isn't a user id in its canonical spelling.
    Subject,
    /// The user doesn't exist.
    UserUnknown,
    /// The user's account isn't active.
    UserInactive,
    /// The session fingerprint doesn't match: email or password changed since the token was issued.
    Fingerprint,
}

impl Refusal {
    /// A stable name for logs and metrics.
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

/// The error of an operation that may be refused, and that may fail: the caller's fault and ours, told apart.
///
/// ```
/// use countersign::{AuthError, Failure, Refusal};
///
/// fn status(error: &AuthError) -> u16 {
///     match error {
///         AuthError::Refused(_) => 401,
///         AuthError::Failed(_) => 503,
///     }
/// }
/// assert_eq!(status(&Refusal::Expired.into()), 401);
/// assert_eq!(status(&Failure::full("denylist").into()), 503);
/// ```
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The credential or the attempt is bad; the reason is for the log only.
    #[error("refused: {0}")]
    Refused(#[source] Refusal),
    /// The question can't be answered now.
    #[error(transparent)]
    Failed(Failure),
}

impl AuthError {
    /// Returns why it was refused; `None` when it failed.
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

/// What lies beneath a [`Failure`].
pub type Cause = Box<dyn Error + Send + Sync + 'static>;

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// A store or another part we depend on didn't answer; the question stays open (promise P6).
    Unavailable,
    /// A bounded store has no room for what must be recorded.
    Full,
    /// Something that can't happen did: a bug, a foreign row, a schema of another version.
    Internal,
}

/// We could not answer. Never "refused", never "accepted" (promise P6).
///
/// The text names the part that failed and nothing of the request; the cause, for the log, is its
/// [`source`](Error::source).
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
    /// `part` didn't answer in time, or at all.
    pub fn unavailable(part: &'static str, cause: impl Into<Cause>) -> Self {
        Self { kind: FailureKind::Unavailable, part, source: Some(cause.into()), symptom: None }
    }

    /// `part` has no room left.
    pub const fn full(part: &'static str) -> Self {
        Self { kind: FailureKind::Full, part, source: None, symptom: Some(Symptom::Full) }
    }

    /// `part` did what it must never do.
    pub fn internal(part: &'static str, cause: impl Into<Cause>) -> Self {
        Self { kind: FailureKind::Internal, part, source: Some(cause.into()), symptom: None }
    }

    /// Adds what the store did, where that is known.
    #[must_use]
    pub fn with_symptom(mut self, symptom: impl Into<Option<Symptom>>) -> Self {
        self.symptom = symptom.into();
        self
    }

    /// Adds what was being done, as `migration countersign/1 tokens`.
    #[must_use]
    pub fn during(mut self, what: String) -> Self {
        self.source = Some(match self.source {
            Some(source) => Box::new(During { what, source }),
            None => what.into(),
        });
        self
    }

    /// Returns what the store did, if it tells.
    pub const fn symptom(&self) -> Option<Symptom> {
        self.symptom
    }

    /// Returns whether the part has answered, and refuses our account, its password or its rights. Whether the password
    /// was changed or somebody must grant rights, waiting alone doesn't help.
    pub const fn is_denied(&self) -> bool {
        matches!(self.symptom, Some(Symptom::Credentials | Symptom::Rights))
    }

    /// Whether trying again may help.
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The part that failed, as `token store`.
    pub const fn part(&self) -> &'static str {
        self.part
    }
}

/// A cause, and what was being done.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct During {
    what: String,
    source: Cause,
}

/// A setting that can't work. It names the setting and the cure; its code is `CONFIGURATION_INVALID`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}; {cure}")]
pub struct ConfigError {
    setting: Cow<'static, str>,
    problem: Cow<'static, str>,
    cure: Cow<'static, str>,
}

impl ConfigError {
    /// The code that goes with every configuration error.
    pub const CODE: &'static str = "CONFIGURATION_INVALID";

    /// `setting` is the name the user typed, `problem` what is wrong with it, `cure` what to do.
    pub fn new(
        setting: impl Into<Cow<'static, str>>,
        problem: impl Into<Cow<'static, str>>,
        cure: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { setting: setting.into(), problem: problem.into(), cure: cure.into() }
    }

    /// The setting's name.
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// Returns what is wrong with it, in words that follow its name.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}
