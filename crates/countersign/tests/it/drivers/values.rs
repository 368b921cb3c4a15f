//! Values there and back, through real columns.

use countersign::Timestamp;
use countersign::error::FailureKind;
use countersign::store::Value;
use countersign::store::sql::Dialect;
use uuid::Uuid;

use crate::drivers::place::{
    Place, on_both, on_both_by_sqlx, through_pgbouncer, through_pgbouncer_by_sqlx,
};

through_pgbouncer!(
    every_kind_comes_back,
    parameters_may_be_left_out_or_used_twice
);
through_pgbouncer_by_sqlx!(
    every_kind_comes_back,
    parameters_may_be_left_out_or_used_twice
);
on_both_by_sqlx!(
    every_kind_comes_back,
    parameters_may_be_left_out_or_used_twice,
    other_types_of_users_tables,
    a_table_may_change_its_types
);
on_both!(
    every_kind_comes_back,
    parameters_may_be_left_out_or_used_twice,
    other_types_of_users_tables
);

async fn every_kind_comes_back(place: Place) {
    place.execute(match place.dialect {
        Dialect::Postgres => {
            "CREATE TABLE kind (n int, b bool, i2 smallint, i4 int, i8 bigint, t text, v varchar(64), c char(3), \
             y bytea, u uuid, m timestamptz, w timestamp)"
        }
        _ => {
            "CREATE TABLE kind (n int, b bool, i2 smallint, i4 int, i8 bigint, t text, v varchar(64), c char(3), \
             y varbinary(20), u binary(16), m datetime(6), w datetime(6))"
        }
    });
    let id = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    let moment = Timestamp::from_micros(1_768_478_400_123_457);
    let early = Timestamp::from_micros(-86_400_000_001);
    let values: Vec<Value> = vec![
        Value::Null,
        true.into(),
        (-32_768_i64).into(),
        i64::from(i32::MAX).into(),
        i64::MIN.into(),
        "naïve ☂ \u{1F600} ' \" \\ ? :x $1".into(),
        "a'b".into(),
        "abc".into(),
        Value::Bytes(vec![0, 1, 254, 255]),
        id.into(),
        moment.into(),
        early.into(),
    ];
    let driver = place.driver();
    let insert = place
        .script(&["INSERT INTO kind VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"]);
    let outcome = driver.run(&insert, &values).await.unwrap();
    assert_eq!(outcome.affected, [1]);
    // Every kind can be looked for, too.
    let find = place.statement(
        "SELECT * FROM kind WHERE i8 = ?1 AND v = ?2 AND y = ?3 AND u = ?4 AND m = ?5 AND b = ?6",
    );
    let params: Vec<Value> = [4, 6, 8, 9, 10, 1].map(|n: usize| values[n].clone()).into();
    let rows = driver.fetch(&find, &params).await.unwrap();
    let [row] = &rows[..] else {
        panic!("{} rows", rows.len())
    };
    assert_eq!(row.value(0), &Value::Null);
    assert!(row.bool(1).unwrap());
    for column in [2, 3, 4, 5, 6, 7, 8] {
        assert!(
            row.value(column) == &values[column],
            "column {column} is {:?}",
            row.value(column)
        );
    }
    assert_eq!(row.uuid(9).unwrap(), Some(id));
    assert_eq!(
        (row.time(10).unwrap(), row.time(11).unwrap()),
        (Some(moment), Some(early))
    );
}

async fn parameters_may_be_left_out_or_used_twice(place: Place) {
    place.execute("INSERT INTO item VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    let driver = place.driver();
    let find = place.statement(
        "SELECT id FROM item WHERE name = ?3 OR (id > ?1 AND id < ?1 + 1000 AND name = ?3)",
    );
    let params = [
        Value::Int(0),
        Value::from("never used"),
        Value::from("two"),
        Value::Null,
    ];
    let rows = driver.fetch(&find, &params).await.unwrap();
    assert_eq!(
        rows.iter()
            .map(|row| row.int(0).unwrap())
            .collect::<Vec<_>>(),
        [Some(2)]
    );
}

/// A migration beside a running application: what was prepared for the old type is asked for anew.
async fn a_table_may_change_its_types(place: Place) {
    place.execute("INSERT INTO item VALUES (1, '7')");
    let driver = place.driver();
    let find = place.statement("SELECT name FROM item WHERE name = ?1");
    let seven = [Value::from("7")];
    assert_eq!(driver.fetch(&find, &seven).await.unwrap().len(), 1);
    place.execute(match place.dialect {
        Dialect::Postgres => "ALTER TABLE item ALTER COLUMN name TYPE bigint USING name::bigint",
        _ => "ALTER TABLE item MODIFY name BIGINT",
    });
    let rows = driver.fetch(&find, &seven).await.unwrap();
    assert_eq!(rows[0].int(0).unwrap(), Some(7));
}

/// An application's users table may have columns of any type; what has no kind of its own mustn't break the row.
async fn other_types_of_users_tables(place: Place) {
    let driver = place.driver();
    let select = match place.dialect {
        Dialect::Postgres => {
            place.execute(
                "CREATE TYPE mood AS ENUM ('calm', 'cross'); CREATE DOMAIN short AS varchar(5);
                 CREATE TABLE person (m mood, s short, j jsonb, d numeric, f float8, a int[], z timestamptz);
                 INSERT INTO person VALUES ('calm', 'abc', '{}', 1.5, 1.5, '{1}', 'infinity')",
            );
            place.statement("SELECT m, s, z, j, d, f, a FROM person")
        }
        _ => {
            place.execute(
                "CREATE TABLE person (m enum('calm', 'cross'), s varchar(5), z datetime, j json, d decimal(9,2), \
                 f double, t time, e blob, g bigint unsigned);
                 SET sql_mode = ''; INSERT INTO person VALUES ('calm', 'abc', '0000-00-00', '{}', 1.5, 1.5, '10:00', \
                 'x', 18446744073709551615)",
            );
            place.statement("SELECT m, s, z, j, d, f, t, e, g FROM person")
        }
    };
    let rows = driver.fetch(&select, &[]).await.unwrap();
    assert_eq!(
        (rows[0].text(0).unwrap(), rows[0].text(1).unwrap()),
        (Some("calm"), Some("abc"))
    );
    let expected = if place.dialect == Dialect::Postgres {
        Some(Timestamp::MAX)
    } else {
        None
    };
    assert_eq!(rows[0].time(2).unwrap(), expected);
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_our_fault_and_is_not_told() {
    let place = Place::new(Dialect::Postgres);
    let find = place.statement("SELECT 1 FROM item WHERE id = ?1");
    let failure = place
        .driver()
        .fetch(&find, &["not-a-number-but-secret".into()])
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Internal);
    assert!(!format!("{failure} {failure:?}").contains("secret"));
}
