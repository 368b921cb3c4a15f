//! What is searched: for each part of the protocol the holders, calls and lifetimes that it is about.

use crate::mutant::Mutant;
use crate::properties::RETRY_IS_SAFE;
use crate::protocol::Protocol;
use crate::settings::{Access, Clock, Settings};

/// Two tabs that rotate and retry, and lose answers to crashes.
pub const ROTATION: Settings =
    Settings { calls: 3, tokens: 5, access_life: 2, absolute: 9, ticks: 9, ..Settings::plain("rotation and retry") };

/// The same where each step reads the clock anew.
pub const ROTATION_ANEW: Settings =
    Settings { clock: Clock::EachStep, ..Settings { name: "rotation, clock read in each step", ..ROTATION } };

/// Tabs that refresh whenever they like, which asks for `close_on_use` off.
pub const EAGER: Settings = Settings {
    close_on_use: false,
    eager: true,
    calls: 3,
    ticks: 3,
    ..Settings::plain("eager tabs, close_on_use off")
};

/// A thief copies the jar once, and presents any generation at any time.
pub const THEFT: Settings =
    Settings { honest: false, thefts: 1, access_life: 2, idle: 3, absolute: 5, ticks: 5, ..Settings::plain("theft") };

/// The same where each step reads the clock anew.
pub const THEFT_ANEW: Settings =
    Settings { clock: Clock::EachStep, ticks: 4, ..Settings { name: "theft, clock read in each step", ..THEFT } };

/// A theft where confirmed tokens keep their answer within the window.
pub const THEFT_OPEN: Settings =
    Settings { close_on_use: false, ticks: 3, ..Settings { name: "theft, close_on_use off", ..THEFT } };

/// No window at all.
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

/// Log out everywhere, twice, with logins on the way.
pub const EVERYWHERE: Settings = Settings {
    honest: false,
    everywhere: 2,
    sessions: 2,
    calls: 3,
    ticks: 1,
    tokens: 3,
    ..Settings::plain("log out everywhere racing login")
};

/// Two logins at once on the way of one.
pub const EVERYWHERE_LOGINS: Settings = Settings {
    everywhere: 1,
    sessions: 3,
    ticks: 0,
    tokens: 4,
    ..Settings { name: "log out everywhere, two logins", ..EVERYWHERE }
};

/// The same on a store that forgets the fence: kept for four ticks, and a login may take three.
pub const FORGOTTEN: Settings = Settings {
    honest: false,
    everywhere: 1,
    sessions: 2,
    ticks: 6,
    tokens: 2,
    fence_kept: Some((4, 3)),
    ..Settings::plain("a fence that is forgotten")
};

/// Changes of the password with logins on the way.
pub const PASSWORD: Settings = Settings {
    honest: false,
    everywhere: 2,
    password: true,
    sessions: 2,
    calls: 3,
    ticks: 1,
    tokens: 3,
    ..Settings::plain("password change racing login")
};

/// Signed access tokens: reuse and logout, in two steps each.
pub const SIGNED: Settings = Settings {
    access: Access::Signed,
    logout: true,
    honest: false,
    thefts: 1,
    tokens: 3,
    access_life: 2,
    idle: 3,
    absolute: 4,
    ticks: 4,
    ..Settings::plain("signed: logout and theft")
};

/// Signed access tokens: log out everywhere with logins on the way.
pub const SIGNED_EVERYWHERE: Settings = Settings {
    access: Access::Signed,
    honest: false,
    everywhere: 2,
    sessions: 2,
    ticks: 2,
    tokens: 3,
    ..Settings::plain("signed: log out everywhere")
};

/// Signed access tokens: changes of the password with logins on the way.
pub const SIGNED_PASSWORD: Settings =
    Settings { password: true, ..Settings { name: "signed: password change", ..SIGNED_EVERYWHERE } };

/// Every configuration.
pub const ALL: [Settings; 16] = [
    ROTATION,
    ROTATION_ANEW,
    EAGER,
    THEFT,
    THEFT_ANEW,
    THEFT_OPEN,
    STRICT,
    LOGOUT,
    LOGOUT_THEFT,
    EVERYWHERE,
    EVERYWHERE_LOGINS,
    FORGOTTEN,
    PASSWORD,
    SIGNED,
    SIGNED_EVERYWHERE,
    SIGNED_PASSWORD,
];

/// The configuration in which a broken guard shows.
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
        Mutant::NoFence | Mutant::FenceCheckedEarlier | Mutant::FenceRaisedLast => EVERYWHERE,
        Mutant::FenceBeforePassword | Mutant::PasswordKeepsFence => PASSWORD,
        Mutant::LoginOfAnyAge => FORGOTTEN,
        Mutant::LogoutOfToken | Mutant::RotationCreates | Mutant::AccessRemovedFirst => LOGOUT,
        Mutant::RemovedBeforeDenied | Mutant::DeniedForOneLife => SIGNED,
        Mutant::UnlistedRemoved => SIGNED_EVERYWHERE,
    }
}

/// Something broken on purpose, and the promise that has to break by it.
#[derive(Clone, Copy, Debug)]
pub struct Break {
    /// What the table calls it.
    pub name: &'static str,
    /// The protocol and the holders.
    pub protocol: Protocol,
    /// The promise.
    pub promise: &'static str,
}

/// Every guard, broken where it shows.
pub fn guards() -> Vec<Break> {
    let broken = |mutant: Mutant| Break {
        name: mutant.name(),
        protocol: Protocol { settings: of(mutant), mutant: Some(mutant) },
        promise: mutant.breaks(),
    };
    Mutant::ALL.into_iter().map(broken).collect()
}

/// What P2 asks of honest holders, and of the settings: without it, one of them ends its own session as reuse.
pub fn assumptions() -> Vec<Break> {
    let dropped = |name, settings| Break { name, protocol: Protocol::whole(settings), promise: RETRY_IS_SAFE };
    vec![
        dropped("a retry comes within the window", Settings { patience: 3, access_life: 3, ..ROTATION }),
        dropped("nobody refreshes before need", Settings { eager: true, ..ROTATION }),
        dropped("an access token lasts the window", Settings { window: 3, patience: 3, ..ROTATION }),
        dropped("holders share what they hold", Settings { thefts: 1, calls: 2, ..ROTATION }),
    ]
}
