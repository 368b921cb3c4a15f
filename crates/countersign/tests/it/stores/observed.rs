//! A store that is observed keeps the contract, and its spans tell what was done and nothing about whom.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::store::sql::{DatabaseOptions, DatabaseTokenModels, PostgresDriver, SqlStore};
use countersign::store::{MemoryStore, Observed, SweepLimit, TokenStore};
use countersign::testing::{SuiteReport, TokenStoreSuite};
use countersign::user::UserKeyKind;
use countersign::{Failure, Lifetimes, Timestamp, UserKey};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The fields of each span of a store.
type Fields = BTreeMap<&'static str, String>;

/// The spans of stores that have ended.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Fields>>>);

#[derive(Default)]
struct Values(Fields);

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, new: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut values = Values::default();
        new.record(&mut values);
        context.span(id).unwrap().extensions_mut().insert(values);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        record.record(span.extensions_mut().get_mut::<Values>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        if span.name() == "token_store" {
            let values = span.extensions_mut().remove::<Values>().unwrap();
            self.0.lock().unwrap().push(values.0);
        }
    }
}

pub(crate) async fn tokens() -> SuiteReport {
    TokenStoreSuite::new("memory, observed", |_user_ids| async {
        Ok::<_, Failure>(Observed::new(MemoryStore::new()))
    })
    .run()
    .await
}

/// The names of the trait's asynchronous methods, as its source has them.
fn operations() -> BTreeSet<&'static str> {
    let source = include_str!("../../src/store/mod.rs");
    let methods = source.lines().filter_map(|line| {
        let method = line.strip_prefix("    async fn ")?;
        method.split('(').next()
    });
    methods.collect()
}

/// The whole suite runs, so every operation, with every outcome, and all that tests know of users and tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn spans_have_the_operation_and_its_outcome_and_nothing_else() {
    let spans = Spans::default();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    // For the whole process: subscribers of single threads race for the cache of call sites.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    crate::all_passed(vec![tokens().await]);
    let store = Observed::new(MemoryStore::new());
    let day = Duration::from_hours(24);
    let lifetimes = Lifetimes::new(day, day).unwrap();
    let limit = SweepLimit::new(Timestamp::from_micros(0), &lifetimes, 1);
    store.ping().await.unwrap();
    store
        .survey_part(&UserKey::Int(7), &limit, None)
        .await
        .unwrap();
    let url = "postgres://nobody@127.0.0.1:1/nothing";
    let driver = PostgresDriver::connect(url, &DatabaseOptions::default()).unwrap();
    let models = DatabaseTokenModels::bundled(UserKeyKind::Int);
    let absent = Observed::new(SqlStore::new(driver, models));
    absent.ping().await.unwrap_err();

    let spans = spans.0.lock().unwrap();
    let (mut seen, mut outcomes) = (BTreeSet::new(), BTreeSet::new());
    for span in spans.iter() {
        let names: Vec<_> = span.keys().copied().collect();
        // Without an outcome: a case of the suite drops its calls half-way.
        assert!(
            names == ["micros", "operation", "outcome"] || names == ["operation"],
            "{span:?}"
        );
        seen.insert(span["operation"].as_str());
        if let Some(micros) = span.get("micros") {
            micros.parse::<u64>().unwrap();
            outcomes.insert(span["outcome"].as_str());
        }
    }
    assert_eq!(seen, operations());
    let expected = [
        "absent",
        "done",
        "fenced",
        "found",
        "gone",
        "internal",
        "unavailable",
    ];
    assert_eq!(outcomes, expected.into());
}
