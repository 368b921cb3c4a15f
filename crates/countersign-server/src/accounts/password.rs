//! Password hashes: Argon2id in the PHC string form, and the verification of other systems' hashes.
//!
//! Every check does the same work, whatever is stored: one hash with each setting in use (see
//! [`InUse`]), at most one of which is compared with the stored hash. The others are decoys.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Argon2, Params};
use countersign::Failure;
use countersign::entropy::Entropy;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use zeroize::Zeroizing;

use crate::accounts::hashing::failed;
use crate::accounts::in_use::{InUse, Work};
use crate::accounts::memory::Memory;
use crate::accounts::setting::{Argon2Setting, HashSetting};

/// The minimum length of a password, in bytes of its NFC form.
pub const MIN_PASSWORD_BYTES: usize = 8;
/// The maximum length of a password, in bytes as it is sent.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// The hash settings of the profile `countersign`: Argon2id with 19 MiB of memory, 2 passes and 1
/// lane, the minimum that OWASP's password storage cheat sheet recommends.
pub const OURS: Argon2Setting = Argon2Setting::argon2id(19 * 1024, 2, 1);
/// The hash settings of litestar-auth, which are argon2-cffi's defaults: Argon2id with 64 MiB of
/// memory, 3 passes and 4 lanes.
pub const ORIGINAL: Argon2Setting = Argon2Setting::argon2id(64 * 1024, 3, 4);

/// The salt of decoy hashes.
const DECOY_SALT: &[u8; 16] = b"countersign deco";
/// The length of new hashes, in bytes.
const OUTPUT: usize = Params::DEFAULT_OUTPUT_LEN;
/// The offset in bytes of the output in a bcrypt hash, after version, cost and salt.
const BCRYPT_OUTPUT: usize = 29;

/// The result of comparing a password with a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is wrong.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, but its hash has another setting than new hashes, or was made from
    /// another Unicode form of the password. The password should be hashed anew.
    RightButOld,
}

/// Returns `true` if the length of a new password is allowed.
///
/// The minimum applies to the NFC form, because that is what is hashed. The maximum applies to the
/// password as it is sent, because it bounds the request.
pub fn is_of_fitting_length(password: &str) -> bool {
    password.len() <= MAX_PASSWORD_BYTES && normalised(password).len() >= MIN_PASSWORD_BYTES
}

/// The state of a hashing thread. Hashes and checks passwords one after the other, in one buffer.
#[derive(Default)]
pub(super) struct Workbench {
    memory: Memory,
}

impl Workbench {
    /// Hashes `password` and returns the hash to store.
    ///
    /// The password is put into Unicode's form NFC first, because keyboards spell the same letter
    /// in one code point or in two. After that every byte counts, and nothing is cut off.
    ///
    /// # Errors
    /// [`Failure`] if there is no randomness for a salt, or no memory.
    pub(super) fn hash(
        &mut self,
        password: &str,
        setting: Argon2Setting,
        entropy: &dyn Entropy,
    ) -> Result<String, Failure> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt)?;
        let hasher = setting.hasher()?;
        let output = self.argon2(&hasher, normalised(password).as_bytes(), &salt, OUTPUT)?;
        let hash = PasswordHash {
            algorithm: setting.algorithm.ident(),
            version: Some(setting.version.into()),
            params: ParamsString::try_from(hasher.params()).map_err(failed)?,
            salt: Some(Salt::new(&salt).map_err(failed)?),
            hash: Some(output),
        };
        Ok(hash.to_string())
    }

    /// Checks `password` against a stored hash. Answers [`Verdict::Wrong`] without a hash, and with
    /// a hash that can't be read.
    ///
    /// The work is the same in all cases: one hash with each setting in use, at most one of which
    /// is the account's own. A password that isn't in NFC is also tried as it was sent, because
    /// older hashes were made that way.
    ///
    /// # Errors
    /// [`Failure`] if there is no memory.
    pub(super) fn verify(
        &mut self,
        password: &str,
        stored: Option<&str>,
        in_use: &InUse,
    ) -> Result<Verdict, Failure> {
        let is_given = stored.is_some_and(|hash| !hash.is_empty());
        let stored = stored.and_then(Stored::read);
        match &stored {
            Some(stored) => in_use.add(stored.setting),
            None if is_given => tracing::warn!(
                event = "password_hash_unusable",
                "an account can't log in because its password hash has an unknown format or a \
                 cost above the limit; set a new password with `countersign user set-password`"
            ),
            None => {}
        }

        let mut work = in_use.work();
        if let Some(HashSetting::Argon2(own)) = stored.as_ref().map(|stored| stored.setting)
            && !work.argon2.contains(&own)
        {
            work.argon2.push(own);
        }

        let normal = normalised(password);
        let steps = steps(stored.as_ref(), &work);
        let is_right = self.matches(&normal, &steps)?;
        let is_right_as_sent = *normal != *password && self.matches(password, &steps)?;
        let is_renewed = stored
            .as_ref()
            .is_some_and(|stored| stored.setting == HashSetting::Argon2(in_use.renewed_to()));

        Ok(match (is_right, is_right_as_sent) {
            (true, _) if is_renewed => Verdict::Right,
            (false, false) => Verdict::Wrong,
            _ => Verdict::RightButOld,
        })
    }

    /// Returns the memory to the system.
    pub(super) fn rest(&mut self) {
        self.memory.give_back();
    }

    fn matches(&mut self, password: &str, steps: &[Step<'_>]) -> Result<bool, Failure> {
        let mut is_right = false;
        // Every step runs, even after a match, so that the time doesn't depend on the result.
        for step in steps {
            let output = self.take(step, password)?;
            is_right |= step.expected.is_some_and(|expected| *expected == output);
        }
        Ok(is_right)
    }

    fn take(&mut self, step: &Step<'_>, password: &str) -> Result<Output, Failure> {
        match step.setting {
            HashSetting::Argon2(setting) => self.argon2(
                &setting.hasher()?,
                password.as_bytes(),
                step.salt,
                step.length,
            ),
            HashSetting::Bcrypt(cost) => {
                let salt = step.salt.try_into().map_err(failed)?;
                let hash = bcrypt::hash_with_salt_bytes(password, cost, salt).map_err(failed)?;
                bcrypt_output(&hash).ok_or_else(|| failed("a bcrypt hash is too short"))
            }
        }
    }

    fn argon2(
        &mut self,
        hasher: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        length: usize,
    ) -> Result<Output, Failure> {
        let blocks = self.memory.blocks(hasher.params().block_count())?;
        let mut output = [0; Output::MAX_LENGTH];
        let output = output
            .get_mut(..length)
            .ok_or_else(|| failed("a hash is too long"))?;
        hasher
            .hash_password_into_with_memory(password, salt, output, blocks)
            .map_err(failed)?;
        Output::new(output).map_err(failed)
    }
}

/// A stored hash in a form that can be checked.
struct Stored {
    setting: HashSetting,
    salt: Vec<u8>,
    output: Output,
}

impl Stored {
    /// Parses a hash. Returns `None` if its kind is unknown or its cost is too high.
    fn read(hash: &str) -> Option<Self> {
        let setting = HashSetting::read(hash)?;
        let (salt, output) = match setting {
            HashSetting::Argon2(_) => {
                let hash = PasswordHash::new(hash).ok()?;
                (hash.salt?.to_vec(), hash.hash?)
            }
            HashSetting::Bcrypt(_) => {
                let parts: bcrypt::HashParts = hash.parse().ok()?;
                (
                    parts.get_salt_raw().to_vec(),
                    bcrypt_output(hash.as_bytes())?,
                )
            }
        };

        Some(Self {
            setting,
            salt,
            output,
        })
    }
}

/// Returns the output part of a bcrypt hash, in its textual encoding.
fn bcrypt_output(hash: &[u8]) -> Option<Output> {
    Output::new(hash.get(BCRYPT_OUTPUT..)?).ok()
}

/// One hash computation of a check.
struct Step<'a> {
    setting: HashSetting,
    salt: &'a [u8],
    length: usize,
    /// The output of the right password. `None` for a decoy.
    expected: Option<&'a Output>,
}

impl<'a> Step<'a> {
    const fn decoy(setting: HashSetting) -> Self {
        Self {
            setting,
            salt: DECOY_SALT,
            length: OUTPUT,
            expected: None,
        }
    }

    /// Returns a step that checks the stored hash if it has this setting, and a decoy otherwise.
    fn own(setting: HashSetting, stored: Option<&'a Stored>) -> Self {
        match stored.filter(|stored| stored.setting == setting) {
            None => Self::decoy(setting),
            Some(Stored { salt, output, .. }) => Self {
                setting,
                salt,
                length: output.len(),
                expected: Some(output),
            },
        }
    }
}

/// Returns the steps of a check. Their total work doesn't depend on `stored`.
///
/// A bcrypt hash that is cheaper than the most expensive in use is topped up with decoys. Each
/// increment of the cost doubles the work: with `n` as the highest cost in use, a hash of cost `c`
/// and decoys of the costs from `c` up to but not including `n` take as long as one hash of cost
/// `n`.
fn steps<'a>(stored: Option<&'a Stored>, work: &Work) -> Vec<Step<'a>> {
    let argon2 = work
        .argon2
        .iter()
        .map(|setting| Step::own(HashSetting::Argon2(*setting), stored));
    let own_cost = stored.and_then(|stored| match stored.setting {
        HashSetting::Bcrypt(cost) => Some(cost),
        HashSetting::Argon2(_) => None,
    });
    let bcrypt = work.bcrypt.into_iter().flat_map(|dearest| {
        let cost = own_cost.unwrap_or(dearest);
        let rest = (cost..dearest).map(|cost| Step::decoy(HashSetting::Bcrypt(cost)));
        std::iter::once(Step::own(HashSetting::Bcrypt(cost), stored)).chain(rest)
    });

    argon2.chain(bcrypt).collect()
}

fn normalised(password: &str) -> Zeroizing<String> {
    Zeroizing::new(if is_nfc(password) {
        password.to_owned()
    } else {
        password.nfc().collect()
    })
}

#[cfg(test)]
mod tests {
    use countersign::SystemEntropy;

    use super::*;

    fn hash(password: &str, setting: Argon2Setting) -> String {
        Workbench::default()
            .hash(password, setting, &SystemEntropy)
            .unwrap()
    }

    fn verify(password: &str, stored: &str) -> Verdict {
        Workbench::default()
            .verify(password, Some(stored), &InUse::new(OURS))
            .unwrap()
    }

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
            let stored = hash(&password, OURS);
            assert!(
                stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
                "{stored}"
            );
            assert_eq!(verify(&password, &stored), Verdict::Right);
            assert_eq!(verify(&other, &stored), Verdict::Wrong);
        }
    }

    /// Weaker and stronger settings, as other systems write them, all become one.
    #[test]
    fn foreign_parameters_verify_and_are_replaced() {
        let weak = Argon2Setting {
            algorithm: argon2::Algorithm::Argon2i,
            ..Argon2Setting::argon2id(8 * 1024, 1, 1)
        };
        for setting in [weak, Argon2Setting::argon2id(32 * 1024, 1, 2), ORIGINAL] {
            let stored = hash("correct horse", setting);
            assert_eq!(verify("correct horse", &stored), Verdict::RightButOld);
            assert_eq!(verify("wrong", &stored), Verdict::Wrong);
        }
        let theirs = InUse::new(ORIGINAL);
        let verdict = Workbench::default().verify(
            "correct horse",
            Some(&hash("correct horse", ORIGINAL)),
            &theirs,
        );
        assert_eq!(verdict.unwrap(), Verdict::Right);
    }

    /// By argon2-cffi 25.1; the second is of version 1.0, which isn't written out.
    #[test]
    fn hashes_of_the_reference_implementation_verify() {
        for stored in [
            "$argon2id$v=19$m=1024,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$9JFnUVC3qBPXHOQ3FF3iioPJjGQvUzPiMhawzWn4wVw",
            "$argon2i$v=16$m=64,t=2,p=2$c2FsdHNhbHRzYWx0c2FsdA$0iba5IqRAzDkSOYfXT4cpFltSLB3ScXr++k/9uA6c9U",
        ] {
            assert_eq!(
                verify("correct horse battery", stored),
                Verdict::RightButOld,
                "{stored}"
            );
            assert_eq!(
                verify("correct horse batterz", stored),
                Verdict::Wrong,
                "{stored}"
            );
        }
    }

    /// By Python's bcrypt 5.0.
    #[test]
    fn bcrypt_hashes_verify_and_are_replaced() {
        let long = "x".repeat(72);
        for (password, output) in [
            ("correct horse battery", "qREtd3VJD2QVZbuFskFSLk6eRIrQoOS"),
            ("a\0bcdefghi", ".E1xPDlQ8GS0MgVa6EiAT6mf00KBMZ6"),
            ("pässwörd ✓", "ESmz2KlYgnhSMqAh8U2JHaWhc4kF.6a"),
            (&long, "bzadhGtS2zEF.gu0yd0opP6cVzb.e0i"),
            (&long[1..], ".gc7UY/21CSNJGJg21jJzx9QiOpJ9bO"),
            (
                "éééééééééééééééééééééééééééééééééééé",
                "KiIlCeXB6chNXkLyAo8C7XcLPzh6zUe",
            ),
        ] {
            for version in ["2a", "2b", "2x", "2y"] {
                let stored = format!("${version}$04$abcdefghijklmnopqrstuu{output}");
                assert_eq!(
                    verify(password, &stored),
                    Verdict::RightButOld,
                    "{password}"
                );
                assert_eq!(
                    verify(&format!("z{password}"), &stored),
                    Verdict::Wrong,
                    "{password}"
                );
            }
        }
        // What bcrypt doesn't look at doesn't count, and counts once the hash is renewed.
        let stored = "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";
        assert_eq!(
            verify(&format!("{long} and more"), stored),
            Verdict::RightButOld
        );
    }

    #[test]
    fn spellings_of_a_letter_are_one_password() {
        let (composed, decomposed) = ("caf\u{e9} au lait", "cafe\u{301} au lait");
        let stored = hash(decomposed, OURS);
        for password in [composed, decomposed] {
            assert_eq!(verify(password, &stored), Verdict::Right, "{password:?}");
        }
        assert_eq!(verify("cafe au lait", &stored), Verdict::Wrong);
        // Made before spellings were one: `decomposed` as it was sent.
        let stored = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$l+U4OYwt521QHoL3ovDFpCdz9XFgrEyofedlcdkGMIM";
        assert_eq!(verify(decomposed, stored), Verdict::RightButOld);
        assert_eq!(verify(composed, stored), Verdict::Wrong);
        assert!(is_of_fitting_length(composed) && !is_of_fitting_length("cafe\u{301}e\u{301}"));
    }

    /// Whatever a hash is, hashes of the same cost are made.
    #[test]
    fn work_is_the_same_for_every_outcome() {
        let theirs = hash("correct horse battery", Argon2Setting::argon2id(1024, 1, 1));
        let ours = hash("correct horse battery", OURS);
        let bcrypt =
            |cost| format!("$2b${cost}$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS");
        let all = [
            None,
            Some(ours),
            Some(theirs),
            Some(bcrypt("04")),
            Some(bcrypt("09")),
            Some("plain".to_owned()),
        ];
        let all: Vec<Option<Stored>> = all
            .iter()
            .map(|hash| Stored::read(hash.as_deref()?))
            .collect();
        let in_use = InUse::new(OURS);
        all.iter()
            .flatten()
            .for_each(|stored| in_use.add(stored.setting));
        let work = in_use.work();
        for stored in &all {
            let steps = steps(stored.as_ref(), &work);
            let (argon2, bcrypt): (Vec<_>, Vec<_>) = steps
                .iter()
                .map(|step| step.setting)
                .partition(|setting| matches!(setting, HashSetting::Argon2(_)));
            assert_eq!(argon2.len(), 2, "{argon2:?}");
            let rounds = bcrypt.iter().map(|setting| match setting {
                HashSetting::Bcrypt(cost) => 1 << cost,
                HashSetting::Argon2(_) => 0,
            });
            assert_eq!(rounds.sum::<u32>(), 1 << 9, "{bcrypt:?}");
            assert_eq!(
                steps.iter().filter(|step| step.expected.is_some()).count(),
                usize::from(stored.is_some())
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_wrong() {
        let greedy = hash("anything", OURS).replace("m=19456", "m=4194304");
        for stored in [
            None,
            Some(""),
            Some("plain"),
            Some("$2b$12$abc"),
            Some("$2b$12$"),
            Some(greedy.as_str()),
        ] {
            let verdict = Workbench::default().verify("anything", stored, &InUse::new(OURS));
            assert_eq!(verdict.unwrap(), Verdict::Wrong, "{stored:?}");
        }
    }
}
