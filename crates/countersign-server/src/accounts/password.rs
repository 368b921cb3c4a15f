//! Passwords at rest: Argon2id, in the PHC string form (SECURITY row L-01).

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use countersign::{Entropy, Failure};

/// The fewest bytes of a password.
pub const MIN_PASSWORD_BYTES: usize = 8;
/// The most bytes of a password; longer ones are refused before anything is hashed.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// m = 19 MiB, t = 2, p = 1: the OWASP password sheet's floor, which row L-01 asks for.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes of other systems are verified up to this cost, so that a row can't take a thread away for long.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;

/// A hash of nothing anybody knows, in today's parameters: what an unknown user's password is checked against, so that
/// the answer costs the same (SECURITY row L-03).
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Y291bnRlcnNpZ24tZGVjb3k$1Vt5KzQm0mQxqvZ8w0r7v2b1oXl5cQ3uYy0Jm3cH6kE";

/// What checking a password says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It isn't the one.
    Wrong,
    /// It is.
    Right,
    /// It is, and its hash is of older parameters: hash it anew.
    RightButOld,
}

/// The hash of `password` in today's parameters. The password counts byte for byte: nothing is cut off.
///
/// # Errors
/// [`Failure`] when no salt can be had, or no memory.
pub(super) fn hash(password: &str, entropy: &dyn Entropy) -> Result<String, Failure> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt)?;
    let hash = today()?.hash_password_with_salt(password.as_bytes(), &salt).map_err(failed)?;
    Ok(hash.to_string())
}

/// Checks `password` against a stored hash. Without one, or with one that can't be read, it takes as long and says
/// [`Verdict::Wrong`].
///
/// # Errors
/// [`Failure`] when there is no memory for it.
pub(super) fn verify(password: &str, stored: Option<&str>) -> Result<Verdict, Failure> {
    let usable = stored.and_then(|text| PasswordHash::new(text).ok()).filter(is_affordable);
    let Some(hash) = usable else {
        let decoy = PasswordHash::new(DECOY).map_err(failed)?;
        // The outcome is of no interest, only the time it takes.
        let _wrong = today()?.verify_password(password.as_bytes(), &decoy);
        return Ok(Verdict::Wrong);
    };
    match today()?.verify_password(password.as_bytes(), &hash) {
        Ok(()) if is_of_today(&hash) => Ok(Verdict::Right),
        Ok(()) => Ok(Verdict::RightButOld),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(error) => Err(failed(error)),
    }
}

fn today() -> Result<Argon2<'static>, Failure> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| Failure::internal("password hashing", error))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn is_affordable(hash: &PasswordHash) -> bool {
    Params::try_from(hash).is_ok_and(|params| params.m_cost() <= MOST_MEMORY_KIB && params.t_cost() <= MOST_PASSES)
}

fn is_of_today(hash: &PasswordHash) -> bool {
    let same = Params::try_from(hash)
        .is_ok_and(|params| params.m_cost() >= MEMORY_KIB && params.t_cost() >= PASSES && params.p_cost() >= LANES);
    same && hash.algorithm.as_str() == "argon2id"
}

fn failed(error: impl Into<countersign::Cause>) -> Failure {
    Failure::internal("password hashing", error)
}

#[cfg(test)]
mod tests {
    use countersign::SystemEntropy;

    use super::*;

    #[test]
    fn every_byte_counts() {
        let long = "a".repeat(72);
        let pairs = [
            (format!("{long}x"), format!("{long}y")),
            ("before\0after".to_owned(), "before\0other".to_owned()),
            ("Password 1".to_owned(), "password 1".to_owned()),
            ("trailing".to_owned(), "trailing ".to_owned()),
        ];
        for (password, other) in pairs {
            let stored = hash(&password, &SystemEntropy).unwrap();
            assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
            assert_eq!(verify(&password, Some(&stored)).unwrap(), Verdict::Right);
            assert_eq!(verify(&other, Some(&stored)).unwrap(), Verdict::Wrong);
        }
    }

    /// Weaker and stronger parameters, as other systems write them.
    #[test]
    fn foreign_parameters_verify_and_weaker_ones_are_replaced() {
        for (memory, passes, lanes, expected) in
            [(8 * 1024, 1, 1, Verdict::RightButOld), (64 * 1024, 3, 4, Verdict::Right)]
        {
            let params = Params::new(memory, passes, lanes, None).unwrap();
            let foreign = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let stored = foreign.hash_password_with_salt(b"correct horse", b"0123456789abcdef").unwrap().to_string();
            assert_eq!(verify("correct horse", Some(&stored)).unwrap(), expected);
            assert_eq!(verify("wrong", Some(&stored)).unwrap(), Verdict::Wrong);
        }
    }

    #[test]
    fn what_cannot_be_read_is_wrong() {
        let greedy = DECOY.replace("m=19456", "m=4194304");
        for stored in [None, Some(""), Some("plain"), Some("$2b$12$abc"), Some(greedy.as_str())] {
            assert_eq!(verify("anything", stored).unwrap(), Verdict::Wrong, "{stored:?}");
        }
        assert!(PasswordHash::new(DECOY).is_ok_and(|hash| is_of_today(&hash)));
    }
}
