//! Hash settings: the algorithm with which a password was hashed, and its cost.

use argon2::{Algorithm, Argon2, Params, Version};
use countersign::Failure;

use crate::accounts::hashing::failed;

/// The maximum memory of a stored hash that is checked, in KiB. The bounds keep a single row from
/// occupying a hashing thread for long.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
/// The maximum product of memory and passes, in KiB.
const MOST_WORK_KIB: u64 = 1024 * 1024;
/// The maximum cost of a bcrypt hash.
const MOST_BCRYPT_COST: u32 = 15;
/// The maximum number of lanes.
const MOST_LANES: u32 = 64;

/// The algorithm and the cost of a password hash.
///
/// The order of the values is the order in which a check computes its hashes.
///
/// # Examples
///
/// ```
/// use countersign_server::accounts::{Argon2Setting, HashSetting};
///
/// let argon2id = Argon2Setting::argon2id(19 * 1024, 2, 1);
/// let read = HashSetting::read("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ");
/// assert_eq!(read, Some(HashSetting::Argon2(argon2id)));
/// assert_eq!(HashSetting::read("$2b$12$"), Some(HashSetting::Bcrypt(12)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashSetting {
    /// Argon2 with this variant and cost.
    Argon2(Argon2Setting),
    /// bcrypt with this cost, the binary logarithm of the number of rounds.
    Bcrypt(u32),
}

/// The variant, version and cost of an Argon2 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Argon2Setting {
    /// The memory in KiB.
    pub memory: u32,
    /// The number of passes over the memory.
    pub passes: u32,
    /// The number of lanes.
    pub lanes: u32,
    /// The variant of Argon2.
    pub algorithm: Algorithm,
    /// The version of Argon2.
    pub version: Version,
}

impl HashSetting {
    /// Reads the setting from the beginning of `hash`. The salt and the output may be missing.
    ///
    /// Returns `None` if the hash is of an unknown kind, or more expensive than a stored hash may
    /// be: 256 MiB of memory, 1 GiB of memory times passes, 64 lanes, or bcrypt's cost 15.
    pub fn read(hash: &str) -> Option<Self> {
        let mut parts = hash.strip_prefix('$')?.split('$');
        let kind = parts.next()?;
        if let "2a" | "2b" | "2x" | "2y" = kind {
            let cost = parts
                .next()?
                .parse()
                .ok()
                .filter(|cost| (4..=MOST_BCRYPT_COST).contains(cost));
            return cost.map(Self::Bcrypt);
        }

        let algorithm = Algorithm::new(kind).ok()?;
        let mut costs = parts.next()?;
        let mut version = Version::V0x10;
        if let Some(number) = costs.strip_prefix("v=") {
            version = Version::try_from(number.parse::<u32>().ok()?).ok()?;
            costs = parts.next()?;
        }

        let mut costs = costs.split(',');
        let setting = Argon2Setting {
            memory: next_cost(&mut costs, "m")?,
            passes: next_cost(&mut costs, "t")?,
            lanes: next_cost(&mut costs, "p")?,
            algorithm,
            version,
        };

        (costs.next().is_none() && setting.is_affordable()).then_some(Self::Argon2(setting))
    }
}

/// Reads the next cost of an Argon2 hash, for example `t=3`. Returns `None` if it has another name.
fn next_cost<'a>(costs: &mut impl Iterator<Item = &'a str>, name: &str) -> Option<u32> {
    costs
        .next()?
        .strip_prefix(name)?
        .strip_prefix('=')?
        .parse()
        .ok()
}

impl Argon2Setting {
    /// Creates a setting of Argon2id in its current version, 19. `memory` is in KiB.
    pub const fn argon2id(memory: u32, passes: u32, lanes: u32) -> Self {
        Self {
            memory,
            passes,
            lanes,
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
        }
    }

    /// Returns the amount of memory that is written in total, in KiB. The time of a hash depends on
    /// it.
    pub fn work(&self) -> u64 {
        u64::from(self.memory).saturating_mul(self.passes.into())
    }

    /// Returns a hasher with this setting.
    pub(super) fn hasher(&self) -> Result<Argon2<'static>, Failure> {
        let params = Params::new(self.memory, self.passes, self.lanes, None).map_err(failed)?;
        Ok(Argon2::new(self.algorithm, self.version, params))
    }

    /// Returns `true` if a stored hash with this setting may be checked.
    fn is_affordable(&self) -> bool {
        let is_bounded = self.memory <= MOST_MEMORY_KIB
            && self.work() <= MOST_WORK_KIB
            && self.lanes <= MOST_LANES;
        // `Params` doesn't check this: RFC 9106 requires eight blocks for each lane.
        let has_room = u64::from(self.memory) >= 8 * u64::from(self.lanes);
        is_bounded && has_room && Params::new(self.memory, self.passes, self.lanes, None).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_hash_was_made_with() {
        let argon2id = |memory, passes, lanes| {
            Some(HashSetting::Argon2(Argon2Setting::argon2id(
                memory, passes, lanes,
            )))
        };
        assert_eq!(
            HashSetting::read("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$0bC6bQ"),
            argon2id(65_536, 3, 4)
        );
        assert_eq!(
            HashSetting::read("$argon2id$v=19$m=19456,t=2,p=1$"),
            argon2id(19_456, 2, 1)
        );
        let old = Argon2Setting {
            algorithm: Algorithm::Argon2i,
            version: Version::V0x10,
            ..Argon2Setting::argon2id(512, 2, 2)
        };
        assert_eq!(
            HashSetting::read("$argon2i$m=512,t=2,p=2$c2FsdA$aGFzaA"),
            Some(HashSetting::Argon2(old))
        );
        for prefix in ["2a", "2b", "2x", "2y"] {
            assert_eq!(
                HashSetting::read(&format!("${prefix}$12$abcdefghijklmnopqrstuu")),
                Some(HashSetting::Bcrypt(12))
            );
        }
    }

    #[test]
    fn refuses_other_kinds_and_absurd_costs() {
        for hash in [
            "",
            "plain",
            "$",
            "$1$salt$hash",
            "$2b$",
            "$2b$03$abc",
            "$2b$16$abc",
            "$2b$99$abc",
            "$2c$12$abc",
            "$argon2id$v=18$m=64,t=1,p=1$",
            "$argon2id$v=19$m=4194304,t=1,p=1$",
            "$argon2id$v=19$m=262144,t=5,p=1$",
            "$argon2id$v=19$m=65536,t=3$",
            "$argon2id$v=19$t=3,m=65536,p=4$",
            "$argon2id$v=19$m=65536,t=3,p=4,keyid=AA$",
            "$argon2id$v=19$m=8,t=1,p=4$",
            "$argon2id$v=19$m=65536,t=4294967295,p=1$",
            "$argon2id$v=19$m=-1,t=1,p=1$",
        ] {
            assert_eq!(HashSetting::read(hash), None, "{hash}");
        }
    }
}
