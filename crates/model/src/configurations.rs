//! The configurations: for each part of the protocol, the holders, calls and lifetimes that it is
//! about.
//!
//! One search with everything in it would have too many states. Each configuration therefore has
//! what one part needs, and numbers that are as small as they can be. [`of`] names, for each broken
//! guard, the configuration that shows it.

use crate::mutant::Mutant;
use crate::properties::RETRY_IS_SAFE;
use crate::protocol::Protocol;
use crate::settings::{Access, All, Clock, Settings};

/// Two tabs that rotate and retry, and lose answers by crashes.
pub const ROTATION: Settings = Settings {
    calls: 3,
    tokens: 5,
    access_life: 2,
    absolute: 9,
    ticks: 9,
    ..Settings::plain("rotation and retry")
};

/// [`ROTATION`], where each step reads the clock again.
pub const ROTATION_ANEW: Settings = Settings {
    clock: Clock::EachStep,
    ..Settings {
        name: "rotation, clock read in each step",
        ..ROTATION
    }
};

/// Tabs that refresh whenever they like, which needs `close_on_use` off.
pub const EAGER: Settings = Settings {
    close_on_use: false,
    eager: true,
    calls: 3,
    ticks: 3,
    ..Settings::plain("eager tabs, close_on_use off")
};

/// A thief that copies the jar once and presents any generation at any time.
pub const THEFT: Settings = Settings {
    honest: false,
    thefts: 1,
    access_life: 2,
    idle: 3,
    absolute: 5,
    ticks: 5,
    ..Settings::plain("theft")
};

/// [`THEFT`], where each step reads the clock again.
pub const THEFT_ANEW: Settings = Settings {
    clock: Clock::EachStep,
    ticks: 4,
    ..Settings {
        name: "theft, clock read in each step",
        ..THEFT
    }
};

/// [`THEFT`] with `close_on_use` off, so that confirmed tokens get their answer again within the
/// window.
pub const THEFT_OPEN: Settings = Settings {
    close_on_use: false,
    ticks: 3,
    ..Settings {
        name: "theft, close_on_use off",
        ..THEFT
    }
};

/// A theft without a window: each second presentation is reuse.
pub const STRICT: Settings = Settings {
    window: 0,
    honest: false,
    thefts: 1,
    access_life: 2,
    idle: 3,
    absolute: 4,
    ticks: 4,
    ..Settings::plain("strict")
};

/// A logout at every point of rotations and retries.
pub const LOGOUT: Settings = Settings {
    logout: true,
    calls: 3,
    access_life: 2,
    idle: 4,
    absolute: 6,
    ticks: 6,
    ..Settings::plain("logout racing refresh")
};

/// A logout at every point of a theft.
pub const LOGOUT_THEFT: Settings = Settings {
    logout: true,
    honest: false,
    thefts: 1,
    tokens: 3,
    calls: 3,
    access_life: 2,
    ticks: 2,
    ..Settings::plain("logout racing theft")
};

/// A logout and a theft, where statements see what was there when they began to wait.
pub const STATEMENTS: Settings = Settings {
    snapshots: true,
    honest: false,
    thefts: 1,
    logout: true,
    tokens: 3,
    access_life: 2,
    ticks: 2,
    ..Settings::plain("endings in two statements")
};

/// Marks that keep a session, where statements see what was there when they began to wait.
pub const STATEMENTS_KEPT: Settings = Settings {
    snapshots: true,
    honest: false,
    everywhere: 2,
    all: &[All::Everywhere, All::Password],
    tokens: 3,
    access_life: 2,
    ticks: 2,
    ..Settings::plain("marks in two statements")
};

/// Tabs whose servers' clocks differ.
pub const CLOCKS: Settings = Settings {
    skew: 1,
    clock: Clock::EachStep,
    patience: 1,
    access_life: 2,
    calls: 2,
    ticks: 5,
    ..Settings::plain("clocks that differ")
};

/// A theft with clocks that differ and `close_on_use` off, so that consumed tokens are forgotten by
/// their age.
pub const CLOCKS_OPEN: Settings = Settings {
    close_on_use: false,
    eager: true,
    honest: false,
    thefts: 1,
    ticks: 1,
    ..Settings {
        name: "clocks that differ, close_on_use off",
        ..CLOCKS
    }
};

/// A theft with clocks that differ.
pub const CLOCKS_THEFT: Settings = Settings {
    honest: false,
    thefts: 1,
    tokens: 3,
    ticks: 2,
    ..Settings {
        name: "clocks that differ, theft",
        ..CLOCKS
    }
};

/// A theft, and clocks that are set back at any time.
pub const SET_BACK: Settings = Settings {
    ahead: 3,
    window: 1,
    patience: 1,
    clock: Clock::EachStep,
    honest: false,
    thefts: 1,
    tokens: 3,
    idle: 9,
    absolute: 12,
    access_life: 2,
    ticks: 3,
    ..Settings::plain("clocks that are set back")
};

/// Two calls to log out everywhere, with logins under way.
pub const EVERYWHERE: Settings = Settings {
    honest: false,
    everywhere: 2,
    clears: true,
    sessions: 2,
    calls: 3,
    ticks: 1,
    tokens: 3,
    ..Settings::plain("log out everywhere racing login")
};

/// One call to log out everywhere, with two logins under way.
pub const EVERYWHERE_LOGINS: Settings = Settings {
    everywhere: 1,
    sessions: 3,
    ticks: 0,
    tokens: 4,
    ..Settings {
        name: "log out everywhere, two logins",
        ..EVERYWHERE
    }
};

/// A call to log out everywhere, on a store that remembers a fence for four ticks. A login may take
/// three.
pub const FORGOTTEN: Settings = Settings {
    honest: false,
    everywhere: 1,
    sessions: 2,
    ticks: 6,
    tokens: 2,
    fence_kept: Some((4, 3)),
    ..Settings::plain("a fence that is forgotten")
};

/// A call to log out everywhere, on a store that sweeps fences.
pub const SWEPT: Settings = Settings {
    honest: false,
    everywhere: 1,
    clears: true,
    sessions: 2,
    tokens: 2,
    access_life: 1,
    idle: 2,
    absolute: 3,
    ticks: 4,
    fence_swept: Some(2),
    ..Settings::plain("a fence that is swept")
};

/// Password changes with logins under way.
pub const PASSWORD: Settings = Settings {
    honest: false,
    everywhere: 2,
    all: &[All::Password],
    sessions: 2,
    calls: 3,
    ticks: 1,
    tokens: 3,
    ..Settings::plain("password change racing login")
};

/// Every kind of ending of everything: sessions that one keeps and the next may end.
pub const KEPT: Settings = Settings {
    all: &[All::Everywhere, All::Password, All::Disable],
    clears: true,
    calls: 2,
    ticks: 0,
    ..Settings {
        name: "what is kept, and then is not",
        ..PASSWORD
    }
};

/// [`KEPT`] with a session from before there were fences.
pub const UNFENCED: Settings = Settings {
    all: &[All::Everywhere, All::Password],
    unfenced: true,
    first_access: true,
    ..Settings {
        name: "a session behind no fence",
        ..KEPT
    }
};

/// Signed tokens: reuse and logout, each of which denies and then removes.
pub const SIGNED: Settings = Settings {
    access: Access::Signed,
    logout: true,
    honest: false,
    thefts: 1,
    tokens: 3,
    access_life: 2,
    idle: 3,
    absolute: 4,
    ticks: 3,
    ..Settings::plain("signed: logout and theft")
};

/// Signed tokens: calls to log out everywhere, with logins under way.
pub const SIGNED_EVERYWHERE: Settings = Settings {
    access: Access::Signed,
    honest: false,
    everywhere: 2,
    clears: true,
    sessions: 2,
    access_life: 1,
    calls: 2,
    ticks: 1,
    tokens: 3,
    ..Settings::plain("signed: log out everywhere")
};

/// Signed tokens: log out everywhere, and logout of one session.
pub const SIGNED_LOGOUT: Settings = Settings {
    logout: true,
    everywhere: 1,
    ticks: 2,
    sessions: 1,
    first_access: true,
    ..Settings {
        name: "signed: everywhere and logout",
        ..SIGNED_EVERYWHERE
    }
};

/// Signed tokens: a password change with logins under way.
pub const SIGNED_PASSWORD: Settings = Settings {
    all: &[All::Password],
    everywhere: 1,
    ..Settings {
        name: "signed: password change",
        ..SIGNED_EVERYWHERE
    }
};

/// Signed tokens: a session that one call keeps and the next may end.
pub const SIGNED_KEPT: Settings = Settings {
    all: &[All::Everywhere, All::Password],
    sessions: 1,
    first_access: true,
    tokens: 2,
    ticks: 2,
    ..Settings {
        name: "signed: kept, and then not",
        ..SIGNED_EVERYWHERE
    }
};

/// Signed tokens: the end of an account with logins under way.
pub const SIGNED_DISABLE: Settings = Settings {
    all: &[All::Disable],
    ..Settings {
        name: "signed: end of the account",
        ..SIGNED_EVERYWHERE
    }
};

/// Signed tokens: a session from before there were fences.
pub const SIGNED_UNFENCED: Settings = Settings {
    unfenced: true,
    ..Settings {
        name: "signed: a session behind no fence",
        ..SIGNED_KEPT
    }
};

/// Signed tokens of two lifetimes: logout.
pub const SIGNED_LIVES: Settings = Settings {
    access_life: 1,
    other_life: Some(3),
    thefts: 0,
    ticks: 3,
    idle: 5,
    absolute: 6,
    ..Settings {
        name: "signed: two lives, logout and theft",
        ..SIGNED
    }
};

/// Signed tokens of two lifetimes: calls that end everything.
pub const SIGNED_LIVES_ALL: Settings = Settings {
    access_life: 1,
    other_life: Some(3),
    eager: true,
    everywhere: 1,
    ticks: 2,
    ..Settings {
        name: "signed: two lives, everywhere",
        ..SIGNED_KEPT
    }
};

/// Signed tokens: clocks that differ, and a sweep of the denylist.
pub const SIGNED_SWEEP: Settings = Settings {
    access: Access::Signed,
    skew: 1,
    sweeps_denials: true,
    logout: true,
    honest: false,
    tokens: 2,
    access_life: 1,
    idle: 9,
    absolute: 9,
    ticks: 5,
    ..Settings::plain("signed: sweep of the denylist")
};

/// Signed tokens: marks, with clocks that differ and a sweep of the denylist.
pub const SIGNED_SWEEP_ALL: Settings = Settings {
    logout: false,
    first_access: true,
    tokens: 2,
    ticks: 3,
    everywhere: 1,
    all: &[All::Everywhere, All::Password],
    ..Settings {
        name: "signed: sweep, everywhere",
        ..SIGNED_SWEEP
    }
};

/// Signed tokens: clocks that are set back.
pub const SIGNED_SET_BACK: Settings = Settings {
    access: Access::Signed,
    ahead: 2,
    window: 1,
    patience: 1,
    clock: Clock::EachStep,
    logout: true,
    everywhere: 1,
    honest: false,
    tokens: 2,
    access_life: 1,
    idle: 9,
    absolute: 12,
    ticks: 4,
    ..Settings::plain("signed: clocks that are set back")
};

/// Signed tokens: a store that forgets the fence.
pub const SIGNED_FORGOTTEN: Settings = Settings {
    access: Access::Signed,
    ..Settings {
        name: "signed: a fence that is forgotten",
        ..FORGOTTEN
    }
};

/// All configurations.
pub const ALL: [Settings; 35] = [
    ROTATION,
    ROTATION_ANEW,
    EAGER,
    THEFT,
    THEFT_ANEW,
    THEFT_OPEN,
    STRICT,
    LOGOUT,
    LOGOUT_THEFT,
    STATEMENTS,
    STATEMENTS_KEPT,
    CLOCKS,
    CLOCKS_OPEN,
    CLOCKS_THEFT,
    SET_BACK,
    EVERYWHERE,
    EVERYWHERE_LOGINS,
    FORGOTTEN,
    SWEPT,
    PASSWORD,
    KEPT,
    UNFENCED,
    SIGNED,
    SIGNED_EVERYWHERE,
    SIGNED_LOGOUT,
    SIGNED_PASSWORD,
    SIGNED_KEPT,
    SIGNED_DISABLE,
    SIGNED_UNFENCED,
    SIGNED_LIVES,
    SIGNED_LIVES_ALL,
    SIGNED_SWEEP,
    SIGNED_SWEEP_ALL,
    SIGNED_SET_BACK,
    SIGNED_FORGOTTEN,
];

/// Returns the configuration in which a broken guard shows.
pub const fn of(mutant: Mutant) -> Settings {
    match mutant {
        Mutant::NoCompareAndSet
        | Mutant::CheckThenWrite
        | Mutant::RandomSuccessor
        | Mutant::NoRetry
        | Mutant::LoserIsReuse
        | Mutant::AbsoluteEndMoves
        | Mutant::IdleEndUnjudged
        | Mutant::AccessOutlivesSession => ROTATION,
        Mutant::AgeReadEarlier => ROTATION_ANEW,
        Mutant::ConfirmedStaysOpen
        | Mutant::OlderGenerationsRetry
        | Mutant::WindowNeverPasses
        | Mutant::ReuseUnpunished
        | Mutant::ReuseSparesAccess
        | Mutant::ReuseReportedByAll => THEFT,
        Mutant::FutureIsOutside => CLOCKS,
        Mutant::NeighboursParted => CLOCKS_OPEN,
        Mutant::FutureStaysOpen => SET_BACK,
        Mutant::NoFence
        | Mutant::FenceCheckedEarlier
        | Mutant::MarkForgotten
        | Mutant::RotationBehindAnyFence => EVERYWHERE,
        Mutant::MarkBeforePassword | Mutant::PasswordWithoutMark => PASSWORD,
        Mutant::MarkRevives => KEPT,
        Mutant::UnfencedSpared | Mutant::UnfencedAdopted => UNFENCED,
        Mutant::FenceSweptEarly => SWEPT,
        Mutant::LoginOfAnyAge => FORGOTTEN,
        Mutant::LogoutOfToken | Mutant::RotationCreates | Mutant::AccessRemovedFirst => LOGOUT,
        Mutant::NoSecondStatement | Mutant::SecondStatementApart => STATEMENTS,
        Mutant::KeptBySnapshot => STATEMENTS_KEPT,
        Mutant::RemovedBeforeDenied => SIGNED,
        Mutant::MarkWithoutDenial => SIGNED_DISABLE,
        Mutant::UnsettledForgotten => SIGNED_EVERYWHERE,
        Mutant::LogoutOfFound => SIGNED_LOGOUT,
        Mutant::ExceptionLast => SIGNED_PASSWORD,
        Mutant::KeptNotDenied | Mutant::RotationOfAnyFence => SIGNED_KEPT,
        Mutant::TodaysLifetime
        | Mutant::RecordedEndMovesBack
        | Mutant::RemovalUnguarded
        | Mutant::RetrySignsLonger => SIGNED_LIVES,
        Mutant::EndReadBeforeMark => SIGNED_LIVES_ALL,
        Mutant::SweptById | Mutant::SweptAtOnce => SIGNED_SWEEP,
        Mutant::FenceComesBack => SIGNED_FORGOTTEN,
    }
}

/// A guard or an assumption that is broken on purpose, and the promise that must break.
#[derive(Clone, Copy, Debug)]
pub struct Break {
    /// The name in tables.
    pub name: &'static str,
    /// The broken protocol, or the protocol with other holders or settings.
    pub protocol: Protocol,
    /// The promise that must break.
    pub promise: &'static str,
}

/// Returns every guard, broken in the configuration where it shows.
pub fn guards() -> Vec<Break> {
    Mutant::ALL
        .into_iter()
        .map(|mutant| Break {
            name: mutant.name(),
            protocol: Protocol {
                settings: of(mutant),
                mutant: Some(mutant),
            },
            promise: mutant.breaks(),
        })
        .collect()
}

/// Returns what safe retry assumes of honest holders and of settings, each dropped.
///
/// Without any one of them, an honest holder ends its own session as reuse.
pub fn assumptions() -> Vec<Break> {
    vec![
        dropped(
            "a retry comes within the window",
            Settings {
                patience: 3,
                access_life: 3,
                ..ROTATION
            },
        ),
        dropped(
            "nobody refreshes before need",
            Settings {
                eager: true,
                ..ROTATION
            },
        ),
        dropped(
            "an access token lasts the window",
            Settings {
                window: 3,
                patience: 3,
                ..ROTATION
            },
        ),
        dropped(
            "holders share what they hold",
            Settings {
                thefts: 1,
                calls: 2,
                ..ROTATION
            },
        ),
    ]
}

/// Returns the break of one assumption, with settings that drop it.
fn dropped(name: &'static str, settings: Settings) -> Break {
    Break {
        name,
        protocol: Protocol::whole(settings),
        promise: RETRY_IS_SAFE,
    }
}
