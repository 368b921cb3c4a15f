//! User ids that a careless store takes for one another.

use uuid::Uuid;

use crate::user::{UserKey, UserKeyKind};

/// Returns every user id of a kind that the suite uses, all of them different.
///
/// [`TokenStoreSuite`](crate::testing::TokenStoreSuite) records tokens for these users. A store
/// whose tables have a foreign key to users inserts their rows before each case. Among them are ids
/// that are equal after a change of case, a loss of precision or a swap of bytes, and the longest
/// text that is allowed (255 bytes).
///
/// # Examples
///
/// ```
/// use countersign::user::UserKeyKind;
/// use countersign::testing::user_ids;
///
/// assert!(user_ids(UserKeyKind::Text).len() > 20);
/// ```
pub fn user_ids(kind: UserKeyKind) -> Vec<UserKey> {
    match kind {
        UserKeyKind::Uuid => uuids().into_iter().map(UserKey::Uuid).collect(),
        UserKeyKind::Int => ints().into_iter().map(UserKey::Int).collect(),
        UserKeyKind::Text => texts().into_iter().map(UserKey::Text).collect(),
    }
}

/// Returns the name of a kind, as it is added to the name of a case.
pub(super) const fn name(kind: UserKeyKind) -> &'static str {
    match kind {
        UserKeyKind::Uuid => "uuid",
        UserKeyKind::Int => "int",
        UserKeyKind::Text => "text",
    }
}

/// Returns the smallest and the largest UUID, neighbours, the same bytes in both orders, and bytes
/// that look like text.
fn uuids() -> [Uuid; 8] {
    [
        Uuid::from_u128(0x0192_f0c1_2a3b_7c4d_8e5f_6071_8293_a4b5),
        Uuid::from_u128(0x0192_f0c1_2a3b_7c4d_8e5f_6071_8293_a4b6),
        Uuid::nil(),
        Uuid::max(),
        Uuid::from_u128(0xb5a4_9382_7160_5f8e_4d7c_3b2a_c1f0_9201),
        Uuid::from_u128(0x2727_2727_2727_2727_2727_2727_2727_2727),
        Uuid::from_u128(0x2525_2525_2525_2525_2525_2525_2525_2500),
        Uuid::from_u128(1),
    ]
}

/// Returns the smallest and the largest integers, small neighbours, and integers that are equal
/// after a conversion to 32 bits or to a floating-point number.
fn ints() -> [i64; 12] {
    [
        1,
        2,
        0,
        -1,
        12,
        i64::MIN,
        i64::MIN + 1,
        i64::MAX,
        i64::MAX - 1,
        1 << 32,
        (1 << 32) + 1,
        (1 << 53) + 1,
    ]
}

/// Returns texts with separators, quotes, wildcards, letters that some collations treat as equal,
/// and the longest ids.
fn texts() -> Vec<String> {
    let short = [
        "a", "b", "a:b", "b:c", "a:b:c", "c", "{a}", "a ", " a", "A", "á", "a\u{301}", "ß", "ss",
        "ı", "i", "a%", "%", "_", "*", "?", "[a]", "a'b", "a''b", "a\"b", "a`b", "a\\b", "a\\'b",
        "a\nb", "a\tb", "a/b", "a;--", "0", "00", "null", "true", "$1", "?1", "漢字", "🔑", "🗝",
    ];
    let long = [
        format!("{}y", "x".repeat(254)),
        "x".repeat(255),
        "€".repeat(85),
    ];
    short.into_iter().map(str::to_owned).chain(long).collect()
}
