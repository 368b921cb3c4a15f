//! A change of an account and the end of its sessions, as one transaction.

#![cfg(all(
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "sqlx-postgres",
    feature = "sqlx-mysql"
))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use std::time::Duration;

use countersign::clock::{Clock, SystemClock};
use countersign::store::sql::{
    AccountChange, Database, DatabaseOptions, DatabaseTokenModels, Driver, Script, SqlStore,
    Statement,
};
use countersign::store::{Fence, Page, Value};
use countersign::strategy::{DatabaseTokenStrategy, Login};
use countersign::strategy::{RefreshableStrategy, SessionControl, Strategy};
use countersign::token::IssuedToken;
use countersign::user::UserKeyKind;
use countersign::{PlainToken, Refusal, SessionId, SystemEntropy, UserKey};

use crate::fixture::databases::{self, Kind, Place, strategy};
use crate::fixture::users::{Account, users};

struct Shop {
    database: Database,
    store: SqlStore,
    tokens: DatabaseTokenStrategy<SqlStore>,
    account: Account,
    _place: Place,
}

impl Shop {
    async fn open(kind: Kind, by_sqlx: bool) -> Self {
        let place = Place::new(kind);
        let migrated = place.migrated().await;
        let database = if by_sqlx {
            let options = DatabaseOptions::default().with_timeout(Duration::from_secs(30));
            databases::by_sqlx(&place.url, &options)
        } else {
            migrated
        };
        for statement in [
            "CREATE TABLE member (id INTEGER PRIMARY KEY, password VARCHAR(20))",
            "INSERT INTO member VALUES (7, 'old')",
        ] {
            database
                .run(
                    &Script::new(database.dialect(), &["SELECT 1", statement]),
                    &[],
                )
                .await
                .unwrap();
        }
        let store = SqlStore::new(
            database.driver(),
            DatabaseTokenModels::bundled(UserKeyKind::Uuid),
        );
        let tokens = strategy(&database);
        Self {
            database,
            store,
            tokens,
            account: Account::new(7),
            _place: place,
        }
    }

    fn key(&self) -> UserKey {
        self.account.key()
    }

    /// Gives the member the password `new` if theirs is `old`. Says whether it was.
    async fn change(&self, old: &str, new: &str, kept: Option<SessionId>) -> bool {
        let change = AccountChange {
            statement: "UPDATE member SET password = ?3 WHERE id = ?1 AND password = ?2",
            params: &[Value::Int(7), old.into(), new.into()],
            user: &self.key(),
            kept,
            fence: Fence::generate(&SystemEntropy).unwrap(),
            settled: true,
            now: SystemClock.now(),
        };
        self.store.change_account(change).await.unwrap()
    }

    async fn password(&self) -> String {
        let read = Statement::new(
            self.database.dialect(),
            "SELECT password FROM member WHERE id = 7",
        );
        let rows = self.database.fetch(&read, &[]).await.unwrap();
        rows.first().unwrap().text(0).unwrap().unwrap().to_owned()
    }

    async fn session(&self) -> IssuedToken {
        self.tokens
            .open_session(&self.account)
            .await
            .unwrap()
            .access
    }

    /// The member's sessions that haven't ended.
    async fn listed(&self) -> Vec<Option<SessionId>> {
        let page = self
            .tokens
            .sessions_of(
                &self.key(),
                &Page {
                    after: None,
                    limit: 100,
                },
            )
            .await
            .unwrap();
        page.sessions
            .iter()
            .map(|session| Some(session.id))
            .collect()
    }

    async fn is_good(&self, token: &PlainToken) -> bool {
        let answer: countersign::token::TokenStatus<Account> =
            self.tokens.read_token(Some(token), &users).await.unwrap();
        answer.accepted().is_some()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_all_or_all_but_one_with_postgres_and_mariadb() {
    for (kind, by_sqlx) in [
        (Kind::Sqlite, false),
        (Kind::Postgres, false),
        (Kind::MariaDb, false),
        (Kind::Postgres, true),
        (Kind::MariaDb, true),
    ] {
        let shop = Shop::open(kind, by_sqlx).await;
        let [kept, other] = [shop.session().await, shop.session().await];
        let loose = shop.tokens.write_token(&shop.account).await.unwrap().token;
        let stranger = shop
            .tokens
            .open_session(&Account::new(8))
            .await
            .unwrap()
            .access
            .token;
        let login = Login::default().behind(shop.tokens.login_fence(&shop.key()).await.unwrap());

        assert!(!shop.change("wrong", "new", None).await, "{kind:?}");
        assert_eq!(shop.password().await, "old", "{kind:?}");
        for token in [&kept.token, &other.token, &loose, &stranger] {
            assert!(
                shop.is_good(token).await,
                "{kind:?}: no change, and yet an end"
            );
        }
        let third = shop
            .tokens
            .log_in(&shop.account, &login)
            .await
            .unwrap()
            .access;
        assert_eq!(shop.listed().await.len(), 3, "{kind:?}");

        assert!(shop.change("old", "new", kept.session_id).await, "{kind:?}");
        assert_eq!(shop.password().await, "new", "{kind:?}");
        assert_eq!(shop.listed().await, [kept.session_id], "{kind:?}");
        let ended = [&other.token, &third.token, &loose].map(|token| (token, false));
        for (token, good) in ended
            .into_iter()
            .chain([(&kept.token, true), (&stranger, true)])
        {
            assert_eq!(shop.is_good(token).await, good, "{kind:?}");
        }
        let overtaken = shop.tokens.log_in(&shop.account, &login).await.unwrap_err();
        assert_eq!(overtaken.refusal(), Some(Refusal::Overtaken), "{kind:?}");

        let loose = shop.tokens.write_token(&shop.account).await.unwrap().token;
        assert!(shop.change("new", "newer", None).await, "{kind:?}");
        assert_eq!(shop.listed().await, [], "{kind:?}");
        for (token, good) in [(&kept.token, false), (&loose, false), (&stranger, true)] {
            assert_eq!(shop.is_good(token).await, good, "{kind:?}");
        }
    }
}
