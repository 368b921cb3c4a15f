//! The guards that can be broken, each on purpose, to see that the search finds it.

use crate::properties::{ENDINGS_SPARE, LOGOUT_STAYS, ONE_IDEA, ONE_SUCCESSOR, RETRY_IS_SAFE, REUSE_IS_THEFT};

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
    /// Who loses a rotation and finds the window closed ends the session.
    LoserIsReuse,
    /// An exchange that lies in the future of a slower clock is out of its window.
    FutureIsOutside,
    /// Of what was exchanged, whatever is out of its window is forgotten, and what is older stays.
    NeighboursParted,
    /// Confirmation leaves the window open.
    ConfirmedStaysOpen,
    /// Within the window every older generation gets the current token.
    OlderGenerationsRetry,
    /// The window never passes.
    WindowNeverPasses,
    /// However far in the future an exchange lies, it is within its window.
    FutureStaysOpen,
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
    /// The fence is replaced before the new password is written.
    MarkBeforePassword,
    /// A change of the password leaves the fence.
    PasswordWithoutMark,
    /// A login may take longer than the fence is remembered.
    LoginOfAnyAge,
    /// The fence of a user who has sessions is removed, so that the next mark doesn't know what it ends.
    FenceSweptEarly,
    /// It is forgotten that a fence was replaced while rows behind it are left.
    MarkForgotten,
    /// A mark keeps a session that an earlier one has ended.
    MarkRevives,
    /// A mark is all, also where sessions are recorded behind no fence.
    UnfencedSpared,
    /// A mark takes a session that was behind no fence behind the new one.
    UnfencedAdopted,
    /// Logging out removes the record if the presented token is the current one.
    LogoutOfToken,
    /// A rotation that finds no record makes one.
    RotationCreates,
    /// Signed: the fence is replaced, and not denied.
    MarkWithoutDenial,
    /// Signed: an ending denies the fence that it replaced, and none that a crash left.
    UnsettledForgotten,
    /// Signed: a session that an earlier mark kept isn't denied by its id when a later one ends it.
    KeptNotDenied,
    /// Signed: a rotation writes though its session is kept behind another fence than the signed token carries.
    RotationOfAnyFence,
    /// Signed: a logout that doesn't find its session denies nothing.
    LogoutOfFound,
    /// Signed: a denial lasts for the life that this server signs with.
    TodaysLifetime,
    /// Signed: a rotation records when its own token ends, though an earlier one lives longer.
    RecordedEndMovesBack,
    /// Signed: until when tokens live is read in one step, and the fence replaced in another.
    EndReadBeforeMark,
    /// Signed: a session is removed though a token lives longer than its denial.
    RemovalUnguarded,
    /// Signed: a repeated answer bears a token that lives longer than what is recorded.
    RetrySignsLonger,
    /// A sweep of the denylist removes what it found, though it was extended meanwhile.
    SweptById,
    /// A sweep of the denylist removes what has ended by its own clock.
    SweptAtOnce,
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
    /// One statement removes the session and those access tokens that it saw before it had to wait.
    NoSecondStatement,
    /// What that statement didn't see is removed in another transaction.
    SecondStatementApart,
    /// A rotation doesn't ask whether a mark has ended its session.
    RotationBehindAnyFence,
    /// Signed: the session is removed first, and denied then.
    RemovedBeforeDenied,
    /// A mark keeps a session, and those of its access tokens that it saw before it had to wait.
    KeptBySnapshot,
    /// Signed: a fence is denied before the session that was kept is excepted.
    ExceptionLast,
    /// Signed: a store that has forgotten a user's fence takes the one before all others again.
    FenceComesBack,
}

impl Mutant {
    /// All of them, in the order of the promises that they break.
    pub const ALL: [Self; 50] = [
        Self::NoCompareAndSet,
        Self::CheckThenWrite,
        Self::RandomSuccessor,
        Self::NoRetry,
        Self::LoserIsReuse,
        Self::FutureIsOutside,
        Self::NeighboursParted,
        Self::ConfirmedStaysOpen,
        Self::OlderGenerationsRetry,
        Self::WindowNeverPasses,
        Self::FutureStaysOpen,
        Self::ReuseUnpunished,
        Self::ReuseSparesAccess,
        Self::ReuseReportedByAll,
        Self::NoFence,
        Self::FenceCheckedEarlier,
        Self::MarkBeforePassword,
        Self::PasswordWithoutMark,
        Self::LoginOfAnyAge,
        Self::FenceSweptEarly,
        Self::MarkForgotten,
        Self::MarkRevives,
        Self::UnfencedSpared,
        Self::UnfencedAdopted,
        Self::LogoutOfToken,
        Self::RotationCreates,
        Self::MarkWithoutDenial,
        Self::UnsettledForgotten,
        Self::KeptNotDenied,
        Self::RotationOfAnyFence,
        Self::LogoutOfFound,
        Self::TodaysLifetime,
        Self::RecordedEndMovesBack,
        Self::EndReadBeforeMark,
        Self::RemovalUnguarded,
        Self::RetrySignsLonger,
        Self::SweptById,
        Self::SweptAtOnce,
        Self::AbsoluteEndMoves,
        Self::IdleEndUnjudged,
        Self::AgeReadEarlier,
        Self::AccessOutlivesSession,
        Self::AccessRemovedFirst,
        Self::NoSecondStatement,
        Self::SecondStatementApart,
        Self::RotationBehindAnyFence,
        Self::RemovedBeforeDenied,
        Self::KeptBySnapshot,
        Self::ExceptionLast,
        Self::FenceComesBack,
    ];

    /// What the table calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCompareAndSet => "rotation without compare-and-set",
            Self::CheckThenWrite => "compare, then write",
            Self::RandomSuccessor => "a retry draws its own successor",
            Self::NoRetry => "no retry",
            Self::LoserIsReuse => "who loses a rotation is reuse",
            Self::FutureIsOutside => "an exchange in the future is stale",
            Self::NeighboursParted => "neighbours are parted",
            Self::ConfirmedStaysOpen => "confirmation leaves the window open",
            Self::OlderGenerationsRetry => "older generations may retry",
            Self::WindowNeverPasses => "the window never passes",
            Self::FutureStaysOpen => "a clock set back keeps the window open",
            Self::ReuseUnpunished => "reuse ends nothing",
            Self::ReuseSparesAccess => "reuse spares access tokens",
            Self::ReuseReportedByAll => "everybody reports reuse",
            Self::NoFence => "login without fence",
            Self::FenceCheckedEarlier => "fence read, then insert",
            Self::MarkBeforePassword => "mark before the password",
            Self::PasswordWithoutMark => "password change without mark",
            Self::LoginOfAnyAge => "login of any age",
            Self::FenceSweptEarly => "fence swept while sessions live",
            Self::MarkForgotten => "mark forgotten before its rows",
            Self::MarkRevives => "a mark revives what it keeps",
            Self::UnfencedSpared => "what is behind no fence stays",
            Self::UnfencedAdopted => "a mark adopts what it keeps",
            Self::LogoutOfToken => "logout of the token alone",
            Self::RotationCreates => "rotation creates a record",
            Self::MarkWithoutDenial => "signed: a mark without denial",
            Self::UnsettledForgotten => "signed: what crashed stays undenied",
            Self::KeptNotDenied => "signed: what was kept once stays",
            Self::RotationOfAnyFence => "signed: a rotation across a mark",
            Self::LogoutOfFound => "signed: logout of what it finds",
            Self::TodaysLifetime => "signed: denied for today's life",
            Self::RecordedEndMovesBack => "signed: the recorded end moves back",
            Self::EndReadBeforeMark => "signed: the end read before the mark",
            Self::RemovalUnguarded => "signed: removed after any rotation",
            Self::RetrySignsLonger => "signed: a retry signs for longer",
            Self::SweptById => "a sweep deletes by id",
            Self::SweptAtOnce => "a sweep without slack",
            Self::AbsoluteEndMoves => "rotation moves the absolute end",
            Self::IdleEndUnjudged => "idle end not judged",
            Self::AgeReadEarlier => "ends judged by the look alone",
            Self::AccessOutlivesSession => "access token outlives its session",
            Self::AccessRemovedFirst => "access tokens removed first",
            Self::NoSecondStatement => "no second statement",
            Self::SecondStatementApart => "a second transaction",
            Self::RotationBehindAnyFence => "rotation behind an ended fence",
            Self::RemovedBeforeDenied => "signed: removed, then denied",
            Self::KeptBySnapshot => "kept with what was seen",
            Self::ExceptionLast => "signed: the exception comes last",
            Self::FenceComesBack => "signed: a fence comes back",
        }
    }

    /// The promise that has to break.
    pub const fn breaks(self) -> &'static str {
        match self {
            Self::NoCompareAndSet | Self::CheckThenWrite | Self::RandomSuccessor => ONE_SUCCESSOR,
            Self::NoRetry | Self::LoserIsReuse | Self::FutureIsOutside | Self::NeighboursParted => RETRY_IS_SAFE,
            Self::ConfirmedStaysOpen
            | Self::OlderGenerationsRetry
            | Self::WindowNeverPasses
            | Self::FutureStaysOpen
            | Self::ReuseUnpunished
            | Self::ReuseSparesAccess
            | Self::ReuseReportedByAll => REUSE_IS_THEFT,
            Self::NoFence
            | Self::FenceCheckedEarlier
            | Self::MarkBeforePassword
            | Self::PasswordWithoutMark
            | Self::LoginOfAnyAge
            | Self::FenceSweptEarly
            | Self::MarkForgotten
            | Self::MarkRevives
            | Self::UnfencedSpared
            | Self::UnfencedAdopted
            | Self::LogoutOfToken
            | Self::RotationCreates
            | Self::MarkWithoutDenial
            | Self::UnsettledForgotten
            | Self::KeptNotDenied
            | Self::RotationOfAnyFence
            | Self::LogoutOfFound
            | Self::TodaysLifetime
            | Self::RecordedEndMovesBack
            | Self::EndReadBeforeMark
            | Self::RemovalUnguarded
            | Self::RetrySignsLonger
            | Self::SweptById
            | Self::SweptAtOnce => LOGOUT_STAYS,
            Self::AbsoluteEndMoves
            | Self::IdleEndUnjudged
            | Self::AgeReadEarlier
            | Self::AccessOutlivesSession
            | Self::AccessRemovedFirst
            | Self::NoSecondStatement
            | Self::SecondStatementApart
            | Self::RotationBehindAnyFence
            | Self::RemovedBeforeDenied => ONE_IDEA,
            Self::KeptBySnapshot | Self::ExceptionLast | Self::FenceComesBack => ENDINGS_SPARE,
        }
    }
}
