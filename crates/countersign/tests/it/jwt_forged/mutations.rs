//! Random alterations of genuine tokens: none is accepted, none breaks the reader.

use countersign::PlainToken;
use countersign::jwt::Algorithm;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::jwt_forged::forger::{base64url, from_base64url};
use crate::jwt_forged::site::{Site, Verdict};

#[derive(Clone, Debug)]
enum Edit {
    Replace(Index, char),
    Insert(Index, char),
    Remove(Index),
    Cut(Index),
    Swap(Index, Index),
    /// Flips a bit of a decoded segment.
    Flip(usize, Index, u8),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let letter = || prop_oneof![proptest::char::range(' ', '~'), Just('.'), any::<char>()];
    prop_oneof![
        (any::<Index>(), letter()).prop_map(|(at, c)| Edit::Replace(at, c)),
        (any::<Index>(), letter()).prop_map(|(at, c)| Edit::Insert(at, c)),
        any::<Index>().prop_map(Edit::Remove),
        any::<Index>().prop_map(Edit::Cut),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Edit::Swap(a, b)),
        (0..3_usize, any::<Index>(), 0..8_u8)
            .prop_map(|(segment, at, bit)| Edit::Flip(segment, at, bit)),
    ]
}

fn apply(token: &str, edit: &Edit) -> String {
    let mut letters: Vec<char> = token.chars().collect();
    let length = letters.len();
    match edit {
        Edit::Replace(at, c) => letters[at.index(length)] = *c,
        Edit::Insert(at, c) => letters.insert(at.index(length + 1), *c),
        Edit::Remove(at) => drop(letters.remove(at.index(length))),
        Edit::Cut(at) => letters.truncate(at.index(length)),
        Edit::Swap(a, b) => letters.swap(a.index(length), b.index(length)),
        Edit::Flip(segment, at, bit) => {
            let mut segments: Vec<Vec<u8>> = token.split('.').map(from_base64url).collect();
            let at = at.index(segments[*segment].len());
            segments[*segment][at] ^= 1 << bit;
            return segments.iter().map(base64url).collect::<Vec<_>>().join(".");
        }
    }
    letters.into_iter().collect()
}

fn run(algorithm: Algorithm, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let site = runtime.block_on(Site::new(algorithm));
    let verdict = |text: &str| {
        runtime
            .block_on(site.verdict(&PlainToken::new(text)))
            .unwrap()
    };
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    });
    runner
        .run(&any_edit(), |edit| {
            let altered = apply(&site.genuine, &edit);
            if altered != site.genuine {
                prop_assert_ne!(verdict(&altered), Verdict::Accepted);
            }
            Ok(())
        })
        .unwrap();
    runner
        .run(&"\\PC{0,60}(\\.\\PC{0,60}){0,4}", |text| {
            prop_assert_ne!(verdict(&text), Verdict::Accepted);
            Ok(())
        })
        .unwrap();
}

#[test]
fn no_alteration_of_a_shared_secrets_token_is_accepted() {
    run(Algorithm::Hs256, 2000);
}

#[test]
fn no_alteration_of_an_ecdsa_token_is_accepted() {
    run(Algorithm::Es256, 500);
}

#[test]
fn no_alteration_of_an_ed25519_token_is_accepted() {
    run(Algorithm::EdDsa, 500);
}

#[test]
fn no_alteration_of_an_rsa_token_is_accepted() {
    run(Algorithm::Ps256, 500);
}
