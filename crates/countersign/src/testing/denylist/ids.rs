//! Clauses about ids: which of them an entry denies.

use crate::testing::denylist::fixture::{Fixture, NOW, minutes};
use crate::testing::violation::{Verdict, ensure};

/// Checks that a question about several ids is answered with `true` if any of them is denied, at
/// any place in the list.
///
/// A token is looked up by all its ids at once: its own, its session's and its fence's. Expired
/// entries in the list, ids that come twice and a list of more than 100 ids must not change the
/// answer.
pub(super) async fn any_of_several(fixture: Fixture) -> Verdict {
    fixture.store.deny("token", minutes(15), NOW).await?;
    fixture.store.deny("ended", minutes(1), NOW).await?;
    let many: Vec<String> = (0..100).map(|number| format!("good {number}")).collect();
    let mut ids: Vec<&str> = many.iter().map(String::as_str).collect();
    ids.push("ended");
    ensure(
        !fixture.store.is_any_denied(&ids, minutes(2)).await?,
        "none of these ids is denied",
    )?;

    for place in [0, 50, ids.len()] {
        let mut with = ids.clone();
        with.insert(place, "token");
        ensure(
            fixture.store.is_any_denied(&with, minutes(2)).await?,
            "one of many ids is denied, and was overlooked",
        )?;
    }

    ensure(
        fixture
            .store
            .is_any_denied(&["token", "token"], minutes(2))
            .await?,
        "an id that comes twice is overlooked",
    )?;
    ensure(
        fixture
            .store
            .is_any_denied(&["good 1", "token"], minutes(2))
            .await?,
        "the second id is overlooked",
    )?;
    ensure(
        fixture
            .store
            .is_any_denied(&["token", "good 1"], minutes(2))
            .await?,
        "the first id is overlooked",
    )
}

/// Checks that ids are compared byte by byte.
///
/// A denylist must not fold case or accents, trim spaces, or treat any character as a wildcard or
/// as part of a query. Ids of up to 255 bytes must be told apart to the last byte.
pub(super) async fn odd_ones_are_told_apart(fixture: Fixture) -> Verdict {
    let short = [
        "a", "A", "á", "a\u{301}", "a ", " a", "a:b", "b", "%", "_", "*", "?", "a%", "a'b", "a''b",
        "a\"b", "a\\b", "a\nb", "$1", "?1", "ß", "ss", "ı", "i", "{a}", "0", "00", "漢字", "🔑",
        "🗝",
    ];
    let long = [
        format!("{}y", "x".repeat(254)),
        "x".repeat(255),
        "€".repeat(85),
    ];
    let ids: Vec<String> = short.into_iter().map(str::to_owned).chain(long).collect();

    for (denied, id) in ids.iter().enumerate() {
        fixture.store.deny(id, minutes(15), NOW).await?;
        for (number, other) in ids.iter().enumerate() {
            let is_denied = fixture.store.is_any_denied(&[other.as_str()], NOW).await?;
            let clause = format!(
                "after denying {id:?}, {other:?} is {}denied",
                if is_denied { "" } else { "not " }
            );
            ensure(is_denied == (number <= denied), &clause)?;
        }
    }
    Ok(())
}
