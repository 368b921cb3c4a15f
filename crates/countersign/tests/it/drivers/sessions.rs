//! Inside the caller's transaction.

use countersign::error::FailureKind;
use countersign::store::Value;
use countersign::store::sql::{Dialect, Driver, MysqlSession, PostgresSession, Script};
use mysql_async::TxOpts;
use mysql_async::prelude::Queryable;

use crate::drivers::place::Place;

pub async fn insert(driver: &dyn Driver, id: i64) {
    let script = Script::new(driver.dialect(), &["INSERT INTO item VALUES (?1, ?2)"]);
    driver
        .run(&script, &[Value::Int(id), "token".into()])
        .await
        .unwrap();
}

pub async fn refused_guard(driver: &dyn Driver) {
    let steps = [
        "UPDATE item SET name = 'x' WHERE id = ?1",
        "INSERT INTO item VALUES (?2, 'x')",
    ];
    let script = Script::new(driver.dialect(), &steps);
    let outcome = driver
        .run(&script, &[Value::Int(404), Value::Int(405)])
        .await
        .unwrap();
    assert!(!outcome.took_effect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_tokens_live_and_die_with_the_callers_transaction() {
    let place = Place::new(Dialect::Postgres);
    let (mut client, connection) = tokio_postgres::connect(&place.url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);

    let transaction = client.transaction().await.unwrap();
    insert(&PostgresSession::new(&transaction), 1).await;
    transaction.rollback().await.unwrap();
    assert!(place.items().is_empty());

    let transaction = client.transaction().await.unwrap();
    transaction
        .batch_execute("INSERT INTO item VALUES (7, 'mine')")
        .await
        .unwrap();
    let session = PostgresSession::new(&transaction);
    insert(&session, 1).await;
    refused_guard(&session).await;
    let all = place.statement("SELECT id FROM item ORDER BY id");
    assert_eq!(session.fetch(&all, &[]).await.unwrap().len(), 2);
    assert!(
        place.driver().fetch(&all, &[]).await.unwrap().is_empty(),
        "others see nothing before the commit"
    );
    transaction.commit().await.unwrap();
    assert_eq!(place.items(), ["1:token", "7:mine"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_tokens_live_and_die_with_the_callers_transaction() {
    let place = Place::new(Dialect::Mysql);
    let mut connection = mysql_async::Conn::from_url(&place.url).await.unwrap();

    let mut transaction = connection
        .start_transaction(TxOpts::default())
        .await
        .unwrap();
    insert(&MysqlSession::new(&mut transaction), 1).await;
    transaction.rollback().await.unwrap();
    assert!(place.items().is_empty());

    let mut transaction = connection
        .start_transaction(TxOpts::default())
        .await
        .unwrap();
    transaction
        .query_drop("INSERT INTO item VALUES (7, 'mine')")
        .await
        .unwrap();
    let session = MysqlSession::new(&mut transaction);
    insert(&session, 1).await;
    refused_guard(&session).await;
    let all = place.statement("SELECT id FROM item ORDER BY id");
    assert_eq!(session.fetch(&all, &[]).await.unwrap().len(), 2);
    assert!(
        place.driver().fetch(&all, &[]).await.unwrap().is_empty(),
        "others see nothing before the commit"
    );
    transaction.commit().await.unwrap();
    assert_eq!(place.items(), ["1:token", "7:mine"]);
}

/// MySQL would let the caller commit half of a script after an error in its middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_fails_in_the_callers_mysql_transaction_leaves_nothing_of_itself() {
    let place = Place::new(Dialect::Mysql);
    place.execute("INSERT INTO item VALUES (1, 'old')");
    let mut connection = mysql_async::Conn::from_url(&place.url).await.unwrap();
    let mut transaction = connection
        .start_transaction(TxOpts::default())
        .await
        .unwrap();
    transaction
        .query_drop("INSERT INTO item VALUES (7, 'mine')")
        .await
        .unwrap();
    let session = MysqlSession::new(&mut transaction);
    let script = place.script(&[
        "UPDATE item SET name = 'new' WHERE id = 1",
        "INSERT INTO item VALUES (1, 'again')",
    ]);
    assert_eq!(
        session.run(&script, &[]).await.unwrap_err().kind(),
        FailureKind::Internal
    );
    transaction.commit().await.unwrap();
    assert_eq!(place.items(), ["1:old", "7:mine"]);
}
