//! `countersign migrate --dry-run`.

use serde_json::Value;
use testbed::{MariaDb, Postgres};

use super::ground::{adopted_mariadb, adopted_postgres};
use crate::harness::{DATABASES, Place};

fn planned(place: &Place) -> Vec<Value> {
    place.json(&["migrate", "--dry-run"])["planned"]
        .as_array()
        .unwrap()
        .clone()
}

fn find<'a>(planned: &'a [Value], part: &str) -> &'a Value {
    let found = planned
        .iter()
        .find(|one| one["statement"].as_str().unwrap().contains(part));
    found.unwrap_or_else(|| panic!("{part} isn't planned: {planned:#?}"))
}

#[test]
fn a_dry_run_on_postgres_tells_all_and_changes_nothing() {
    let (place, url) = adopted_postgres(5000);
    let look = "SELECT string_agg(c.oid || c.relname || c.relfilenode || c.xmin::text, ' ' ORDER BY c.oid) FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'";
    let before = Postgres::execute(&url, look);
    let all = planned(&place);
    assert_eq!(Postgres::execute(&url, look), before);
    assert!(!place.data_dir().exists());
    let column = find(
        &all,
        "ALTER TABLE access_token ADD COLUMN IF NOT EXISTS session_id",
    );
    assert_eq!(
        (&column["lock"], &column["rows"]),
        (&"moment".into(), &5000.into()),
        "{column}"
    );
    let index = find(
        &all,
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_refresh_token_user_id",
    );
    assert_eq!(
        (&index["lock"], &index["table"]),
        (&"online".into(), &"refresh_token".into()),
        "{index}"
    );
    assert_eq!(
        find(&all, "CREATE TABLE IF NOT EXISTS ended_fence")["lock"],
        "nobody"
    );
    assert!(all.iter().all(|one| {
        !one["statement"]
            .as_str()
            .unwrap()
            .contains("INDEX IF NOT EXISTS ix_user_email")
    }));
    // What it says is what is done.
    let output = place.run(&["migrate", "--json"]);
    let told = String::from_utf8(output.stderr).unwrap();
    let runs: Vec<String> = told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| line["progress"]["statement"].as_str().map(str::to_owned))
        .filter(|statement| !statement.contains("countersign_migration"))
        .collect();
    let said: Vec<&str> = all
        .iter()
        .map(|one| one["statement"].as_str().unwrap())
        .collect();
    assert_eq!(runs, said);
    assert!(planned(&place).is_empty());
    let text = String::from_utf8(place.run(&["migrate", "--dry-run"]).stdout).unwrap();
    assert!(text.contains("nothing to do"), "{text}");
}

#[test]
fn a_dry_run_on_mariadb_tells_all_and_changes_nothing() {
    let (place, url) = adopted_mariadb();
    let look = "SELECT table_name, create_time, column_name, column_type FROM information_schema.tables \
         JOIN information_schema.columns USING (table_schema, table_name) WHERE table_schema = database() ORDER BY 1, 3";
    let before = MariaDb::execute(&url, look);
    let all = planned(&place);
    assert_eq!(MariaDb::execute(&url, look), before);
    assert_eq!(find(&all, "MODIFY token")["lock"], "writers_while_copied");
    assert_eq!(
        find(&all, "access_token ADD COLUMN session_id")["lock"],
        "moment"
    );
    assert_eq!(
        find(&all, "CREATE INDEX ix_access_token_user_id")["lock"],
        "online"
    );
    assert!(
        find(&all, "CREATE INDEX ix_access_token_user_id")["rows"]
            .as_u64()
            .unwrap()
            > 0
    );
    place.json(&["migrate"]);
    assert!(planned(&place).is_empty());
}

/// On an empty database the plan is what is done there, and a file that isn't there isn't made.
#[test]
fn a_dry_run_on_nothing_makes_nothing() {
    for database in DATABASES {
        eprintln!("{database:?}");
        let place = Place::new(database.fresh());
        let all = planned(&place);
        assert!(!place.data_dir().exists());
        find(&all, "CREATE TABLE IF NOT EXISTS access_token");
        // This column comes with a later migration than its table.
        assert_eq!(find(&all, "refresh_token ADD COLUMN")["lock"], "nobody");
        let output = place.run(&["migrate", "--json"]);
        let told = String::from_utf8(output.stderr).unwrap();
        for one in &all {
            let statement = serde_json::to_string(&one["statement"]).unwrap();
            assert!(told.contains(&statement), "{statement} wasn't run: {told}");
        }
        assert!(planned(&place).is_empty());
    }
}
