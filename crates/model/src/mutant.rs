//! The guards that can be broken, each on purpose, to see that the search finds it.

use crate::properties::{LOGOUT_STAYS, ONE_IDEA, ONE_SUCCESSOR, RETRY_IS_SAFE, REUSE_IS_THEFT};

/// A protocol with one guard broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A rotation writes without looking at what is current.
    NoCompareAndSet,
    /// A rotation compares in one step and writes in another.
    CheckThenWrite,
    /// A retry makes a successor of its own.
    RandomSuccessor,
    /// The direct predecessor is reuse, within the window too.
    NoRetry,
    /// Confirmation leaves the window open.
    ConfirmedStaysOpen,
    /// Within the window every older generation gets the current token.
    OlderGenerationsRetry,
    /// The window never passes.
    WindowNeverPasses,
    /// Who loses a rotation and finds the window closed ends the session.
    LoserIsReuse,
    /// Reuse is refused, and nothing else.
    ReuseUnpunished,
    /// Reuse ends the refresh token and leaves the access tokens.
    ReuseSparesAccess,
    /// Everybody who finds reuse reports that it ended the session.
    ReuseReportedByAll,
    /// A login inserts whatever the fence is.
    NoFence,
    /// A login looks at the fence in one step and inserts in another.
    FenceCheckedEarlier,
    /// The sessions are removed first, and the fence is raised then.
    FenceRaisedLast,
    /// The fence is raised before the new password is written.
    FenceBeforePassword,
    /// A change of the password leaves the fence.
    PasswordKeepsFence,
    /// A login may take longer than the fence is remembered.
    LoginOfAnyAge,
    /// Logging out removes the record if the presented token is the current one.
    LogoutOfToken,
    /// A rotation that finds no record makes one.
    RotationCreates,
    /// A rotation moves the absolute end.
    AbsoluteEndMoves,
    /// Nobody looks at the idle end.
    IdleEndUnjudged,
    /// The look judges the ends, and the rotation doesn't.
    AgeReadEarlier,
    /// An access token's life isn't cut at its session's end.
    AccessOutlivesSession,
    /// Access tokens are removed in a step of their own, before the session.
    AccessRemovedFirst,
    /// Signed: the session is removed first, and denied then.
    RemovedBeforeDenied,
    /// Signed: a session is denied for one access token's life, and removed however much later.
    DeniedForOneLife,
    /// Signed: log out everywhere removes what was opened since it looked, and so isn't denied.
    UnlistedRemoved,
}

impl Mutant {
    /// All of them, in the order of the promises that they break.
    pub const ALL: [Self; 27] = [
        Self::NoCompareAndSet,
        Self::CheckThenWrite,
        Self::RandomSuccessor,
        Self::NoRetry,
        Self::ConfirmedStaysOpen,
        Self::OlderGenerationsRetry,
        Self::WindowNeverPasses,
        Self::LoserIsReuse,
        Self::ReuseUnpunished,
        Self::ReuseSparesAccess,
        Self::ReuseReportedByAll,
        Self::NoFence,
        Self::FenceCheckedEarlier,
        Self::FenceRaisedLast,
        Self::FenceBeforePassword,
        Self::PasswordKeepsFence,
        Self::LoginOfAnyAge,
        Self::LogoutOfToken,
        Self::RotationCreates,
        Self::AbsoluteEndMoves,
        Self::IdleEndUnjudged,
        Self::AgeReadEarlier,
        Self::AccessOutlivesSession,
        Self::AccessRemovedFirst,
        Self::RemovedBeforeDenied,
        Self::DeniedForOneLife,
        Self::UnlistedRemoved,
    ];

    /// What the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCompareAndSet => "rotation without compare-and-set",
            Self::CheckThenWrite => "compare, then write",
            Self::RandomSuccessor => "a retry draws its own successor",
            Self::NoRetry => "no retry",
            Self::ConfirmedStaysOpen => "confirmation leaves the window open",
            Self::OlderGenerationsRetry => "older generations may retry",
            Self::WindowNeverPasses => "the window never passes",
            Self::LoserIsReuse => "who loses a rotation is reuse",
            Self::ReuseUnpunished => "reuse ends nothing",
            Self::ReuseSparesAccess => "reuse spares access tokens",
            Self::ReuseReportedByAll => "everybody reports reuse",
            Self::NoFence => "login without fence",
            Self::FenceCheckedEarlier => "fence read, then insert",
            Self::FenceRaisedLast => "fence raised after the removal",
            Self::FenceBeforePassword => "fence raised before the password",
            Self::PasswordKeepsFence => "password change keeps the fence",
            Self::LoginOfAnyAge => "login of any age",
            Self::LogoutOfToken => "logout of the token alone",
            Self::RotationCreates => "rotation creates a record",
            Self::AbsoluteEndMoves => "rotation moves the absolute end",
            Self::IdleEndUnjudged => "idle end not judged",
            Self::AgeReadEarlier => "ends judged by the look alone",
            Self::AccessOutlivesSession => "access token outlives its session",
            Self::AccessRemovedFirst => "access tokens removed first",
            Self::RemovedBeforeDenied => "signed: removed, then denied",
            Self::DeniedForOneLife => "signed: denied for one token life",
            Self::UnlistedRemoved => "signed: removed without denying",
        }
    }

    /// The promise that has to break.
    pub const fn breaks(self) -> &'static str {
        match self {
            Self::NoCompareAndSet | Self::CheckThenWrite | Self::RandomSuccessor => ONE_SUCCESSOR,
            Self::NoRetry | Self::LoserIsReuse => RETRY_IS_SAFE,
            Self::ConfirmedStaysOpen
            | Self::OlderGenerationsRetry
            | Self::WindowNeverPasses
            | Self::ReuseUnpunished
            | Self::ReuseSparesAccess
            | Self::ReuseReportedByAll => REUSE_IS_THEFT,
            Self::NoFence
            | Self::FenceCheckedEarlier
            | Self::FenceRaisedLast
            | Self::FenceBeforePassword
            | Self::PasswordKeepsFence
            | Self::LoginOfAnyAge
            | Self::LogoutOfToken
            | Self::RotationCreates
            | Self::DeniedForOneLife => LOGOUT_STAYS,
            Self::AbsoluteEndMoves
            | Self::IdleEndUnjudged
            | Self::AgeReadEarlier
            | Self::AccessOutlivesSession
            | Self::AccessRemovedFirst
            | Self::RemovedBeforeDenied
            | Self::UnlistedRemoved => ONE_IDEA,
        }
    }
}
