//! Every public type is either shown with something to hide in it, or in the list of those that hold nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::redaction::shown;

/// Names, numbers, times, kinds, reasons and settings: nothing of a user's, a token's or a secret's. Session ids are no
/// credentials, and logs may hold them.
const HOLDS_NOTHING: &[&str] = &[
    "Algorithm",
    "Applied",
    "Auth",
    "AuthBuilder",
    "AuthRoute",
    "BearerTransport",
    "CaseReport",
    "Cleared",
    "ClientAddress",
    "CookieTransport",
    "CookieTransportBuilder",
    "CredentialSource",
    "DatabaseOptions",
    "DatabaseTokenModels",
    "DenylistSuite",
    "EndOutcome",
    "Dialect",
    "EndedFence",
    "FailureKind",
    "Fence",
    "FormPages",
    "ForwardAuth",
    "Invalidated",
    "Lifetimes",
    "LiveSession",
    "LoggedOut",
    "LoginFence",
    "ManualClock",
    "Migration",
    "MigrationSet",
    "NotACursor",
    "NotASessionId",
    "Opened",
    "OriginPolicy",
    "Page",
    "Persistence",
    "Planned",
    "Problem",
    "Profile",
    "Progress",
    "RecentLoginLayer",
    "RedisMark",
    "RedisNode",
    "RedisOptions",
    "Refusal",
    "RequireAccepted",
    "RequireRecentLogin",
    "ReuseCause",
    "ReusePolicy",
    "RotateOutcome",
    "SameSite",
    "Scan",
    "ScanStep",
    "Script",
    "SessionLimit",
    "SessionCursor",
    "SessionEnd",
    "SessionId",
    "Statement",
    "SuiteFailed",
    "SuiteReport",
    "SweepLimit",
    "SweepPace",
    "Swept",
    "Symptom",
    "SystemClock",
    "SystemEntropy",
    "Timestamp",
    "TableLock",
    "TokenFormat",
    "TokenKind",
    "TokenShape",
    "TokenStoreSuite",
    "TokenTable",
    "UserKeyKind",
    "UserSurvey",
    "UserTable",
    "ValueError",
    "Violation",
    "WhenFull",
];

/// They wrap a live connection of the caller's; tests/it/drivers and tests/it/with_session.rs make them.
const WRAP_A_CONNECTION: &[&str] = &["MysqlSession", "PostgresSession", "SqlxSession"];

/// They are in private modules, so no caller can name or print them.
const PRIVATE: &[&str] = &["Ddl", "Types", "Verdict"];

fn public_types(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // The guide's programs are documentation.
            if !path.ends_with("guide") {
                public_types(&path, found);
            }
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some(rest) = line
                .strip_prefix("pub struct ")
                .or_else(|| line.strip_prefix("pub enum "))
            else {
                continue;
            };
            found.insert(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
}

#[tokio::test]
async fn each_is_shown_or_holds_nothing() {
    let mut all = BTreeSet::new();
    public_types(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(all.len() > 90, "only {} public types were seen", all.len());
    let (shown, _) = shown::everything().await;
    let mut told: BTreeSet<&str> = shown.iter().map(|(name, _)| *name).collect();
    for name in HOLDS_NOTHING.iter().chain(WRAP_A_CONNECTION).chain(PRIVATE) {
        assert!(told.insert(name), "{name} is listed twice");
    }
    let all: BTreeSet<&str> = all.iter().map(String::as_str).collect();
    let untold: Vec<_> = all.difference(&told).collect();
    assert!(
        untold.is_empty(),
        "show these with a needle in them, or list them: {untold:?}"
    );
    let no_more: Vec<_> = told
        .difference(&all)
        .filter(|name| !name.starts_with("http::"))
        .collect();
    assert!(no_more.is_empty(), "there is no such type: {no_more:?}");
}
