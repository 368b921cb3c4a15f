//! The guards of the protocol that can be broken on purpose.
//!
//! Each variant of [`Mutant`] changes one rule. The code in `steps` asks
//! [`Protocol::is`](crate::Protocol::is) where the rule is applied. A guard whose break no search
//! notices would be needless, or the model would be blind to it.

use crate::properties::{
    ENDINGS_SPARE, LOGOUT_STAYS, ONE_IDEA, ONE_SUCCESSOR, RETRY_IS_SAFE, REUSE_IS_THEFT,
};

/// A guard of the protocol that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A rotation that writes without comparing the presented token with the current one.
    NoCompareAndSet,
    /// A rotation that compares in one step and writes in another.
    CheckThenWrite,
    /// A retry that gets a new successor instead of the same one.
    RandomSuccessor,
    /// A protocol without retry: the token that was just exchanged is reuse, also within the
    /// window.
    NoRetry,
    /// A rotation that lost the race, found the window closed, and is taken for reuse.
    LoserIsReuse,
    /// A window that is closed for a rotation which lies in the future of a slower clock.
    FutureIsOutside,
    /// A record that forgets each consumed token outside its window and keeps older ones that are
    /// within theirs.
    NeighboursParted,
    /// A window that stays open when the successor has been exchanged.
    ConfirmedStaysOpen,
    /// A window in which every older generation gets the current token.
    OlderGenerationsRetry,
    /// A window that never ends.
    WindowNeverPasses,
    /// A window that is open for every rotation in the future, however far.
    FutureStaysOpen,
    /// Reuse that is refused and does not end the session.
    ReuseUnpunished,
    /// Reuse that ends the refresh token and leaves the access tokens.
    ReuseSparesAccess,
    /// Reuse that every caller reports, not only the one that ended the session.
    ReuseReportedByAll,
    /// A login that is inserted whatever the fence is.
    NoFence,
    /// A login that compares the fence in one step and inserts in another.
    FenceCheckedEarlier,
    /// A password change that replaces the fence before it writes the new password.
    MarkBeforePassword,
    /// A password change that does not replace the fence.
    PasswordWithoutMark,
    /// A login that may take longer than the store remembers the fence.
    LoginOfAnyAge,
    /// A sweep that removes the fence of a user who has sessions, so that the next mark does not
    /// know what it ends.
    FenceSweptEarly,
    /// A store that forgets that a fence was replaced while records behind it are left.
    MarkForgotten,
    /// A mark that keeps a session which an earlier mark has ended.
    MarkRevives,
    /// An ending of everything that leaves the sessions behind no fence.
    UnfencedSpared,
    /// A mark that records a kept session behind the new fence although it was behind none.
    UnfencedAdopted,
    /// A logout that removes the record only if the presented token is the current one.
    LogoutOfToken,
    /// A rotation that creates a record if it finds none.
    RotationCreates,
    /// Signed tokens: an ending that replaces the fence and does not deny the old one.
    MarkWithoutDenial,
    /// Signed tokens: an ending that denies the fence it replaced, and none that a crash left
    /// unsettled.
    UnsettledForgotten,
    /// Signed tokens: a session that one mark kept and a later one ended, and whose id is not
    /// denied.
    KeptNotDenied,
    /// Signed tokens: a rotation that writes although its session is behind another fence than its
    /// signed token carries.
    RotationOfAnyFence,
    /// Signed tokens: a logout that denies nothing if it does not find its session.
    LogoutOfFound,
    /// Signed tokens: a denial that lasts only for the lifetime with which this server signs.
    TodaysLifetime,
    /// Signed tokens: a rotation that records the end of its own token, although an earlier one
    /// lives longer.
    RecordedEndMovesBack,
    /// Signed tokens: a mark that reads the end of signed tokens in a step before it replaces the
    /// fence.
    EndReadBeforeMark,
    /// Signed tokens: a removal of a session that has a token which lives longer than the denial.
    RemovalUnguarded,
    /// Signed tokens: a repeated answer with a token that lives longer than the record says.
    RetrySignsLonger,
    /// A sweep of the denylist that removes what it found, although the entry was extended
    /// meanwhile.
    SweptById,
    /// A sweep of the denylist that removes what has expired by its own clock, without allowing for
    /// slower ones.
    SweptAtOnce,
    /// A rotation that moves the absolute end.
    AbsoluteEndMoves,
    /// A protocol in which neither the look nor the rotation judges the idle end.
    IdleEndUnjudged,
    /// A rotation that does not judge the ends of the session again after its look.
    AgeReadEarlier,
    /// An access token whose lifetime is not cut at the end of its session.
    AccessOutlivesSession,
    /// An ending that removes access tokens in a step of their own, before the session.
    AccessRemovedFirst,
    /// An ending with one statement, which removes only those access tokens that it saw before it
    /// had to wait.
    NoSecondStatement,
    /// An ending whose second statement, for what the first did not see, is in another transaction.
    SecondStatementApart,
    /// A rotation that does not check if a mark has ended its session.
    RotationBehindAnyFence,
    /// Signed tokens: an ending that removes the session first and denies it afterwards.
    RemovedBeforeDenied,
    /// A mark that keeps a session with only those access tokens that it saw before it had to wait.
    KeptBySnapshot,
    /// Signed tokens: an ending that denies a fence before it records the exception for the session
    /// that was kept.
    ExceptionLast,
    /// Signed tokens: a store that forgot a user's fence and starts again with the first value.
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

    /// Returns the name in tables.
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

    /// Returns the promise that must break.
    pub const fn breaks(self) -> &'static str {
        match self {
            Self::NoCompareAndSet | Self::CheckThenWrite | Self::RandomSuccessor => ONE_SUCCESSOR,
            Self::NoRetry | Self::LoserIsReuse | Self::FutureIsOutside | Self::NeighboursParted => {
                RETRY_IS_SAFE
            }
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
