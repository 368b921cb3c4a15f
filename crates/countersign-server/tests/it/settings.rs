//! Whatever `config check` accepts starts and serves: settings at and beyond their bounds, and mixed at random.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{PASSWORD, Place, write};

/// How many servers are started with settings at random.
fn cases() -> u32 {
    std::env::var("COUNTERSIGN_TEST_SETTINGS").map_or(16, |count| count.parse().unwrap())
}

/// Every setting that is a time.
const TIMES: [&str; 16] = [
    "STORE_TIMEOUT",
    "SWEEP_INTERVAL",
    "USE_INTERVAL",
    "WAIT_FOR_STORES",
    "HEADER_TIMEOUT",
    "BODY_TIMEOUT",
    "IDLE_TIMEOUT",
    "REQUEST_TIMEOUT",
    "DRAIN_LIMIT",
    "DRAIN_DELAY",
    "ACCESS_LIFETIME",
    "REFRESH_LIFETIME",
    "SESSION_LIFETIME",
    "REUSE_GRACE",
    "ADOPTED_LIFETIME",
    "LOGIN_LIMIT",
];

/// Lengths at which clocks, timers and other programs' integers end.
const LENGTHS: [&str; 18] = [
    "0s",
    "1ns",
    "1ms",
    "99ms",
    "100ms",
    "1s",
    "59m 59s",
    "1h",
    "1h 1ms",
    "1d",
    "24d 20h 31m 23s 647ms",
    "25d",
    "50d",
    "1year",
    "100years",
    "292years",
    "9223372036854775807s",
    "18446744073709551615s",
];

/// Other settings, at their bounds.
const OTHERS: [(&str, &[&str]); 12] = [
    (
        "MAX_CONNECTIONS",
        &["16", "1000000", "1000001", "18446744073709551615"],
    ),
    ("BODY_LIMIT", &["4KiB", "16MiB", "17MiB"]),
    ("DATABASE_CONNECTIONS", &["1", "1000", "1001"]),
    ("SESSION_LIMIT", &["off", "1", "1/refuse", "100000"]),
    ("LOGIN_LIMIT", &["off", "1/1s", "1000/1d"]),
    ("REGISTRATION", &["open", "off", "1/1s", "1000/1d"]),
    ("PASSWORD_QUEUE", &["1", "65536"]),
    ("PASSWORD_THREADS", &["1", "2", "auto"]),
    ("STRATEGY", &["database", "jwt"]),
    ("PROFILE", &["countersign", "litestar-auth"]),
    ("JWT_ISSUER", &["https://auth.example.org", "ü\"\\"]),
    ("LOG", &["off", "trace"]),
];

fn settings() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let time = (
        prop::sample::select(&TIMES[..]),
        prop::sample::select(&LENGTHS[..]),
    )
        .prop_map(|(name, length)| {
            (
                name,
                if name == "LOGIN_LIMIT" {
                    format!("3/{length}")
                } else {
                    length.to_owned()
                },
            )
        });
    let other = prop::sample::select(&OTHERS[..]).prop_flat_map(|(name, values)| {
        (
            Just(name),
            prop::sample::select(values).prop_map(str::to_owned),
        )
    });
    prop::collection::vec(prop_oneof![2 => time, 1 => other], 1..5).prop_map(|mut settings| {
        // The last word on a setting would win over those before it.
        settings.sort();
        settings.dedup_by_key(|(name, _)| *name);
        settings
    })
}

fn place(settings: &[(&str, String)]) -> Place {
    settings
        .iter()
        .fold(Place::new(Vec::new()), |place, (name, value)| {
            place.with(name, value)
        })
}

/// Whether `config check` accepts them; then a server with them has served.
fn serves(settings: &[(&str, String)]) -> bool {
    let place = place(settings);
    let checked = place.run(&["config", "check"]);
    if !checked.status.success() {
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(2), "{settings:?}: {said}");
        return false;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = place.start().with_new_connections();
        let password = write(&place.data_dir().join("password"), PASSWORD);
        place.json(&[
            "user",
            "add",
            "ada@example.org",
            "--password-file",
            &password,
        ]);
        let login = json!({ "identifier": "ada@example.org", "password": PASSWORD });
        let reply = server.post("/auth/login", login).await;
        assert_eq!(
            reply.status,
            StatusCode::OK,
            "{settings:?}: {} {}",
            reply.text,
            server.log()
        );
        let tokens = crate::harness::Tokens::of(&reply);
        let me = server.me(&tokens.access).await;
        // A life of a second may be over by now.
        let expected = [StatusCode::OK, StatusCode::UNAUTHORIZED];
        assert!(
            expected.contains(&me.status),
            "{settings:?}: {} {}",
            me.text,
            server.log()
        );
        server.get("/readyz", "").await.expect(StatusCode::OK);
        server.signal("-INT");
        let (status, log) = server.wait();
        assert_eq!(status.code(), Some(0), "{settings:?}: {log}");
        assert!(!log.contains("panic"), "{settings:?}: {log}");
    });
    true
}

#[test]
fn settings_at_random_are_refused_or_serve() {
    let config = Config {
        cases: cases(),
        max_shrink_iters: 16,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let mut served = 0;
    let outcome = runner.run(&settings(), |settings| {
        let outcome = std::panic::catch_unwind(|| serves(&settings));
        outcome
            .map(drop)
            .map_err(|_| TestCaseError::fail(format!("{settings:?}")))
    });
    outcome.unwrap();
    // And not because everything was refused.
    for (name, length) in [
        ("STORE_TIMEOUT", "1h"),
        ("SESSION_LIFETIME", "99years"),
        ("IDLE_TIMEOUT", "1s"),
    ] {
        served += u32::from(serves(&[(name, length.to_owned())]));
    }
    assert_eq!(served, 3);
}

#[test]
fn a_time_beyond_its_bounds_is_refused_by_name() {
    for name in TIMES.iter().filter(|name| **name != "LOGIN_LIMIT") {
        for length in ["18446744073709551615s", "101years"] {
            let output = place(&[(name, length.to_owned())]).run(&["config", "check"]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{name}={length}: {said}");
            assert!(
                said.contains(&format!("COUNTERSIGN_{name}: must")),
                "{said}"
            );
        }
    }
}
