//! What the tests on rows of the original share: its users, our strategy in its profile, and how a case is judged.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use countersign::clock::Clock;
use countersign::store::sql::{
    Database, DatabaseTokenModels, Driver, SqlStore, Statement, UserTable,
};
use countersign::store::{Row, Value};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::token::TokenStatus;
use countersign::user::UserKeyKind;
use countersign::{AuthError, Failure, PlainToken, Profile, Refusal};
use countersign::{Secret, Timestamp, User, UserManager};
use uuid::Uuid;

/// What we do otherwise on purpose: the operation, the row, whether legacy rows are accepted (`None`: either), our
/// refusal, how many rows are left, and why.
pub(crate) type Difference = (
    &'static str,
    &'static str,
    Option<bool>,
    Refusal,
    i64,
    &'static str,
);

pub(crate) fn file(name: &str) -> String {
    fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/vectors")
            .join(name),
    )
    .unwrap()
}

#[derive(Debug)]
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) active: bool,
}

impl User for Account {
    type Id = Uuid;

    fn id(&self) -> &Uuid {
        &self.id
    }

    fn is_active(&self) -> bool {
        self.active
    }
}

/// The original's table of users.
pub(crate) struct Users(pub(crate) Database);

#[async_trait]
impl UserManager<Account> for Users {
    async fn get(&self, id: &Uuid) -> Result<Option<Account>, Failure> {
        let find = Statement::new(
            self.0.dialect(),
            "SELECT is_active FROM \"user\" WHERE id = ?1",
        );
        let rows = self.0.fetch(&find, &[Value::Uuid(*id)]).await?;
        Ok(rows.first().map(|row| Account {
            id: *id,
            active: row.bool(0).unwrap(),
        }))
    }

    fn read_joined(&self, row: &Row) -> Option<Result<Account, Failure>> {
        Some(Ok(Account {
            id: row.uuid(0).unwrap().unwrap(),
            active: row.bool(1).unwrap(),
        }))
    }
}

/// Our strategy over the original's tables, at the moment and with the switch of a case.
pub(crate) fn strategy(
    database: &Database,
    secret: &str,
    case: &serde_json::Value,
) -> DatabaseTokenStrategy<SqlStore> {
    let users = UserTable {
        table: "user".into(),
        id: "id".into(),
        columns: vec!["id".into(), "is_active".into()],
    };
    let models = DatabaseTokenModels::bundled(UserKeyKind::Uuid)
        .join_users(users)
        .unwrap();
    let now = Timestamp::from_micros((case["now"].as_f64().unwrap() * 1e6).round() as i64);
    DatabaseTokenStrategy::builder(SqlStore::new(database.driver(), models))
        .token_hash_secret(&Secret::new("token_hash_secret", secret).unwrap())
        .accept_legacy_plaintext_tokens(case["accept_legacy"].as_bool().unwrap_or(false))
        .profile(Profile::LitestarAuth)
        .clock(Arc::new(At(now)))
        .build()
        .unwrap()
}

/// How the file says that a row is stored.
pub(crate) fn stored(vectors: &serde_json::Value, table: &str, case: &serde_json::Value) -> String {
    let rows = vectors["rows"][table].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == case["row"]);
    row.map_or_else(
        || case["token"].as_str().unwrap().to_owned(),
        |row| row["stored"].as_str().unwrap().to_owned(),
    )
}

/// Whose token it is, and how long its successor is if it was rotated; or our refusal.
type Outcome = Result<(Uuid, Option<usize>), Refusal>;

/// Presents a case's token; the table that it concerns, and what came of it.
pub(crate) async fn present(
    database: &Database,
    secret: &str,
    case: &serde_json::Value,
) -> (&'static str, Outcome) {
    let strategy = strategy(database, secret, case);
    let users = Users(database.clone());
    let token = PlainToken::new(case["token"].as_str().unwrap());
    match case["op"].as_str().unwrap() {
        "db_read" => match strategy.read_token(Some(&token), &users).await.unwrap() {
            TokenStatus::Accepted(accepted) => ("access", Ok((accepted.user.id, None))),
            TokenStatus::Refused(refusal) => ("access", Err(refusal)),
            TokenStatus::NotOffered => panic!("it was offered"),
        },
        "db_rotate" => match strategy.rotate_refresh_token(&token, &users).await {
            Ok(rotated) => (
                "refresh",
                Ok((rotated.user.id, Some(rotated.issued.token.expose().len()))),
            ),
            Err(AuthError::Refused(refusal)) => ("refresh", Err(refusal)),
            Err(AuthError::Failed(failure)) => panic!("{failure}"),
        },
        other => panic!("unknown operation {other}"),
    }
}

/// Compares an outcome, and how many rows were left, with the original's; which difference it showed, if any.
pub(crate) fn judge(
    differences: &[Difference],
    case: &serde_json::Value,
    outcome: &Outcome,
    left: i64,
) -> Option<usize> {
    let difference = differences.iter().position(|(op, row, legacy, ..)| {
        case["op"] == *op
            && case["row"] == *row
            && legacy.is_none_or(|legacy| case["accept_legacy"] == legacy)
    });
    if let Some(index) = difference {
        let (_, _, _, refusal, rows, why) = differences[index];
        assert_eq!((outcome, left), (&Err(refusal), rows), "{case}: {why}");
        return difference;
    }
    let expected = case["expect"]["id"]
        .as_str()
        .map(|id| id.parse::<Uuid>().unwrap());
    assert_eq!(
        outcome.as_ref().ok().map(|(id, _)| *id),
        expected,
        "{case}: {outcome:?}"
    );
    if let Ok((_, Some(length))) = outcome {
        assert_eq!(
            Some(*length as u64),
            case["expect"]["new_token_length"].as_u64(),
            "{case}"
        );
    }
    assert_eq!(case["row_left_after"].as_i64(), Some(left), "{case}");
    None
}
