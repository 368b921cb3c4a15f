//! SQLite's file on the disk.

use countersign::store::sql::{Database, DatabaseOptions, Dialect, Driver, Script};

/// What one large transaction made of the log is given back with the next writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_transaction_leaves_no_large_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sqlite");
    let options = DatabaseOptions::default().with_timeout(std::time::Duration::from_secs(20));
    let database = Database::connect(&format!("sqlite://{}", path.display()), options).unwrap();
    let run = async |statement: &str| {
        database
            .run(&Script::new(Dialect::Sqlite, &["SELECT 1", statement]), &[])
            .await
            .unwrap();
    };
    run("CREATE TABLE item (data BLOB)").await;
    run("INSERT INTO item WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) \
         SELECT randomblob(1000) FROM n")
    .await;
    let size = || {
        std::fs::metadata(folder.path().join("app.sqlite-wal"))
            .unwrap()
            .len()
    };
    assert!(size() > 20 << 20, "the log was {} bytes long", size());
    for _ in 0..3 {
        run("INSERT INTO item VALUES (x'00')").await;
    }
    assert!(size() <= 8 << 20, "the log stays {} bytes long", size());
}
