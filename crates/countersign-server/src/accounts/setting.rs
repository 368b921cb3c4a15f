//! How a password was hashed: the algorithm and what it costs.

use argon2::{Algorithm, Argon2, Params, Version};
use countersign::Failure;

use crate::accounts::password::failed;

/// Hashes of other systems are verified up to this cost, so that a row can't take a thread away for long.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_WORK_KIB: u64 = 1024 * 1024;
const MOST_BCRYPT_COST: u32 = 15;
const MOST_LANES: u32 = 64;

/// An algorithm with its cost. They are ordered in the order in which the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashSetting {
    /// Argon2.
    Argon2(Argon2Setting),
    /// bcrypt, with the logarithm of its rounds.
    Bcrypt(u32),
}

/// Argon2's variant and cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Argon2Setting {
    /// Memory, in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// The variant.
    pub algorithm: Algorithm,
    /// The version.
    pub version: Version,
}

impl HashSetting {
    /// What `hash` was made with; it may be cut off after that. `None` when it is of another kind, or dearer than a row may be.
    pub fn read(hash: &str) -> Option<Self> {
        let mut parts = hash.strip_prefix('$')?.split('$');
        let kind = parts.next()?;
        if let "2a" | "2b" | "2x" | "2y" = kind {
            let cost = parts.next()?.parse().ok().filter(|cost| (4..=MOST_BCRYPT_COST).contains(cost));
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
        let mut cost = |name: &str| costs.next()?.strip_prefix(name)?.strip_prefix('=')?.parse::<u32>().ok();
        let (memory, passes, lanes) = (cost("m")?, cost("t")?, cost("p")?);
        let setting = Argon2Setting { memory, passes, lanes, algorithm, version };
        (costs.next().is_none() && setting.is_affordable()).then_some(Self::Argon2(setting))
    }
}

impl Argon2Setting {
    /// Argon2id of the current version.
    pub const fn argon2id(memory: u32, passes: u32, lanes: u32) -> Self {
        Self { memory, passes, lanes, algorithm: Algorithm::Argon2id, version: Version::V0x13 }
    }

    /// How much memory is written in all, in KiB: what the time depends on.
    pub fn work(&self) -> u64 {
        u64::from(self.memory).saturating_mul(self.passes.into())
    }

    pub(super) fn hasher(&self) -> Result<Argon2<'static>, Failure> {
        let params = Params::new(self.memory, self.passes, self.lanes, None).map_err(failed)?;
        Ok(Argon2::new(self.algorithm, self.version, params))
    }

    fn is_affordable(&self) -> bool {
        let is_bounded = self.memory <= MOST_MEMORY_KIB && self.work() <= MOST_WORK_KIB && self.lanes <= MOST_LANES;
        // Params has no opinion about this one; the standard wants eight blocks for a lane.
        let has_room = u64::from(self.memory) >= 8 * u64::from(self.lanes);
        is_bounded && has_room && Params::new(self.memory, self.passes, self.lanes, None).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_hash_was_made_with() {
        let argon2id =
            |memory, passes, lanes| Some(HashSetting::Argon2(Argon2Setting::argon2id(memory, passes, lanes)));
        assert_eq!(HashSetting::read("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$0bC6bQ"), argon2id(65_536, 3, 4));
        assert_eq!(HashSetting::read("$argon2id$v=19$m=19456,t=2,p=1$"), argon2id(19_456, 2, 1));
        let old = Argon2Setting {
            algorithm: Algorithm::Argon2i,
            version: Version::V0x10,
            ..Argon2Setting::argon2id(512, 2, 2)
        };
        assert_eq!(HashSetting::read("$argon2i$m=512,t=2,p=2$c2FsdA$aGFzaA"), Some(HashSetting::Argon2(old)));
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
