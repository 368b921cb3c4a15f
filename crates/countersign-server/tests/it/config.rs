//! Settings: what can't work stops the start, names the setting as it was typed, and leaves with 2.

use std::net::TcpListener;

use tempfile::TempDir;

use crate::harness::{Place, SECRET, binary, write};

/// The public half of a key pair, which everybody may know, and a private key.
const PUBLIC_JWK: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"fU0Of2FTpptiQrUiq77mhf2kQg-INLEIw72uNp71Sfo"}"#;
const PUBLIC_DER: &str = "MCowBQYDK2VwAyEAfU0Of2FTpptiQrUiq77mhf2kQg+INLEIw72uNp71Sfo=";
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

/// Arguments, environment, and what the error says.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

#[test]
fn what_cannot_work_stops_the_start() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, text: &str| write(&dir.path().join(name), text);
    let secret = file("secret", SECRET);
    let unknown_key = file("unknown.toml", "lisen = \"127.0.0.1:0\"\n");
    let nested = file("nested.toml", "[http]\nlisten = \"127.0.0.1:0\"\n");
    let broken = file("broken.toml", "listen = \n");
    let bad_value = file(
        "bad.toml",
        "listen = \"127.0.0.1:0\"\naccess_lifetime = \"soon\"\n",
    );
    let empty = file("empty", "\n");
    let secret_with_blanks = file("blanks", &format!("{SECRET} \n"));
    let secret_in_lines = file("lines", &format!("{SECRET}\r\n"));
    let public_pem = file(
        "public.pem",
        &format!("-----BEGIN PUBLIC KEY-----\n{PUBLIC_DER}\n-----END PUBLIC KEY-----\n"),
    );
    let public_body = file(
        "public.body",
        &format!("{}\n{}\n", &PUBLIC_DER[..30], &PUBLIC_DER[30..]),
    );
    let private = file("private.pem", PRIVATE_PEM);
    let hs256 = ("COUNTERSIGN_JWT_ALGORITHM", "HS256");
    let shared = (
        "COUNTERSIGN_DATABASE_URL",
        "postgres://nobody@127.0.0.1:1/none",
    );
    let redis = ("COUNTERSIGN_REDIS_URL", "redis://ada:hunter2@127.0.0.1:1");
    let secret_given = ("COUNTERSIGN_TOKEN_HASH_SECRET", SECRET);
    let jwt = ("COUNTERSIGN_STRATEGY", "jwt");
    let cases: &[Case<'_>] = &[
        (&["--listen", "nowhere"], &[], "--listen"),
        (&["--listne", "127.0.0.1:0"], &[], "--listen"),
        (
            &[],
            &[("COUNTERSIGN_LISTEN", "127.0.0.1")],
            "COUNTERSIGN_LISTEN",
        ),
        (
            &[],
            &[("COUNTERSIGN_LISEN", "127.0.0.1:0")],
            "did you mean COUNTERSIGN_LISTEN?",
        ),
        (&[], &[("COUNTERSIGN_LISTEN", "")], "COUNTERSIGN_LISTEN"),
        (
            &["--strategy", "memcached"],
            &[],
            "--strategy: must be one of database, redis, jwt",
        ),
        (
            &["--strategy", "redis"],
            &[],
            "COUNTERSIGN_REDIS_URL: is required with strategy redis",
        ),
        (
            &["--redis-url", "redis://localhost"],
            &[],
            "--redis-url: has no effect with strategy database",
        ),
        (
            &[],
            &[redis],
            "COUNTERSIGN_REDIS_URL: has no effect with strategy database",
        ),
        (
            &["--strategy", "redis"],
            &[redis],
            "COUNTERSIGN_TOKEN_HASH_SECRET: is required",
        ),
        (
            &["--strategy", "jwt"],
            &[redis],
            "COUNTERSIGN_TOKEN_HASH_SECRET: is required",
        ),
        (
            &["--strategy", "redis", "--redis-url", "localhost:6379"],
            &[secret_given],
            "--redis-url: ",
        ),
        (
            &["--strategy", "jwt", "--redis-url", "redis://:hunter2@a,b"],
            &[secret_given],
            "--redis-url: ",
        ),
        (
            &["--strategy", "redis", "--redis-url-file", "/nowhere"],
            &[secret_given],
            "--redis-url-file",
        ),
        (
            &["--strategy", "redis", "--redis-eviction", "ignore"],
            &[redis],
            "--redis-eviction",
        ),
        (
            &[
                "--strategy",
                "redis",
                "--redis-url",
                "redis://a,redis://b",
                "--profile",
                "litestar-auth",
            ],
            &[secret_given],
            "--redis-url: lists cluster nodes",
        ),
        (&["--profile", "django"], &[], "--profile"),
        (&["--access-lifetime", "0s"], &[], "--access-lifetime"),
        (
            &["--access-lifetime", "31d"],
            &[],
            "must not be longer than refresh_lifetime",
        ),
        (&["--refresh-lifetime=-1d"], &[], "--refresh-lifetime"),
        (&["--session-lifetime=forever"], &[], "--session-lifetime"),
        (&["--login-limit", "lots"], &[], "--login-limit"),
        (
            &["--trusted-proxies", "10.0.0.0/33"],
            &[],
            "--trusted-proxies",
        ),
        (&["--insecure-cookies=perhaps"], &[], "--insecure-cookies"),
        (&["--log", "loud"], &[], "--log"),
        (&["--body-limit", "1"], &[], "--body-limit"),
        (&["--password-threads", "0"], &[], "--password-threads"),
        (&["--database-url", "oracle://db"], &[], "--database-url"),
        (&["--database-url", "sqlite:///"], &[], "--database-url"),
        (&[], &[shared], "COUNTERSIGN_TOKEN_HASH_SECRET"),
        (
            &[],
            &[("COUNTERSIGN_TOKEN_HASH_SECRET", "short")],
            "COUNTERSIGN_TOKEN_HASH_SECRET",
        ),
        (
            &[],
            &[(
                "COUNTERSIGN_TOKEN_HASH_SECRET",
                "changeme-changeme-changeme-changeme",
            )],
            "placeholder",
        ),
        (
            &[],
            &[("COUNTERSIGN_TOKEN_HASH_SECRET_FILE", "/nowhere")],
            "COUNTERSIGN_TOKEN_HASH_SECRET_FILE",
        ),
        (
            &[],
            &[("COUNTERSIGN_TOKEN_HASH_SECRET_FILE", &empty)],
            "empty",
        ),
        (
            &[],
            &[
                ("COUNTERSIGN_TOKEN_HASH_SECRET", SECRET),
                ("COUNTERSIGN_TOKEN_HASH_SECRET_FILE", &secret),
            ],
            "set either the value or the file",
        ),
        (
            &[],
            &[jwt, ("COUNTERSIGN_JWT_ALGORITHM", "none")],
            "COUNTERSIGN_JWT_ALGORITHM",
        ),
        (
            &[],
            &[jwt, ("COUNTERSIGN_JWT_ALGORITHM", "hs256")],
            "COUNTERSIGN_JWT_ALGORITHM",
        ),
        (
            &[],
            &[jwt, ("COUNTERSIGN_JWT_ALGORITHM", "HS256")],
            "COUNTERSIGN_JWT_SECRET",
        ),
        (
            &[],
            &[jwt, ("COUNTERSIGN_JWT_ALGORITHM", "RS256")],
            "COUNTERSIGN_JWT_PRIVATE_KEY",
        ),
        (
            &[],
            &[
                jwt,
                (
                    "COUNTERSIGN_JWT_PRIVATE_KEY",
                    "rubbish that is long enough to be a key",
                ),
            ],
            "COUNTERSIGN_JWT_PRIVATE_KEY",
        ),
        (
            &[],
            &[jwt, ("COUNTERSIGN_JWT_SECRET", SECRET)],
            "COUNTERSIGN_JWT_SECRET",
        ),
        (
            &[],
            &[jwt, hs256, ("COUNTERSIGN_JWT_SECRET", PUBLIC_JWK)],
            "COUNTERSIGN_JWT_SECRET: is the key of a key pair",
        ),
        (
            &[],
            &[jwt, hs256, ("COUNTERSIGN_JWT_SECRET", PUBLIC_DER)],
            "COUNTERSIGN_JWT_SECRET: is the key of a key pair",
        ),
        (
            &["--jwt-secret-file", &public_pem],
            &[jwt, hs256],
            "--jwt-secret-file: is a PEM key, not a secret",
        ),
        (
            &[
                "--profile",
                "litestar-auth",
                "--jwt-secret-file",
                &public_body,
            ],
            &[jwt, hs256],
            "--jwt-secret-file: has more than one line",
        ),
        (
            &[],
            &[jwt, hs256, ("COUNTERSIGN_JWT_SECRET", SECRET), secret_given],
            "COUNTERSIGN_JWT_SECRET: is the same secret as COUNTERSIGN_TOKEN_HASH_SECRET",
        ),
        (
            &[
                "--jwt-secret-file",
                &secret_with_blanks,
                "--token-hash-secret-file",
                &secret,
            ],
            &[],
            "--jwt-secret-file: begins or ends with white space",
        ),
        (
            &[
                "--jwt-secret-file",
                &secret_in_lines,
                "--token-hash-secret-file",
                &secret,
            ],
            &[],
            "is the same secret as --",
        ),
        (
            &[
                "--profile",
                "litestar-auth",
                "--jwt-private-key-file",
                &private,
                "--token-hash-secret-file",
                &private,
            ],
            &[jwt],
            "--token-hash-secret-file: is a PEM key, not a secret",
        ),
        (&["--config", "/nowhere.toml"], &[], "--config"),
        (&["--config", &unknown_key], &[], "did you mean listen?"),
        (&["--config", &nested], &[], "http in"),
        (&["--config", &broken], &[], "line 1"),
        (&["--config", &bad_value], &[], "access_lifetime in"),
        (&["no-such-command"], &[], "no-such-command"),
    ];
    for (arguments, environment, expected) in cases {
        let mut command = binary();
        command
            .env("COUNTERSIGN_DATA_DIR", dir.path().join("data"))
            .args(*arguments);
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?} {environment:?}: {said}"
        );
        assert!(
            said.contains(expected),
            "{arguments:?} {environment:?}: {said}"
        );
        assert!(
            !said.contains(SECRET) && !said.contains("hunter2"),
            "{said}"
        );
    }
}

/// A secret that was generated is a secret like one that was given.
#[test]
fn the_generated_secret_is_not_the_signing_secret_too() {
    let place = Place::new(Vec::new());
    place.json(&["user", "list"]);
    let generated = place.data_dir().join("token_hash_secret");
    let place = place.with("STRATEGY", "jwt").with("JWT_ALGORITHM", "HS256");
    let output = place
        .with("JWT_SECRET_FILE", generated.to_str().unwrap())
        .run(&["serve"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let expected = "COUNTERSIGN_JWT_SECRET_FILE: is the same secret as token_hash_secret in the data directory";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_taken_port_is_told_by_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new(Vec::new()).with("LISTEN", &taken.local_addr().unwrap().to_string());
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("COUNTERSIGN_LISTEN") && said.contains("in use"),
        "{said}"
    );
    assert!(!place.data_dir().join("countersign.sqlite").exists());
}

#[test]
fn config_check_shows_where_values_come_from_and_no_secret() {
    let dir = TempDir::new().unwrap();
    let file = write(
        &dir.path().join("c.toml"),
        "log = \"warn\"\naccess_lifetime = \"5m\"\n",
    );
    let url = "postgres://ada:hunter2@db.example/app";
    let place = Place::new(Vec::new())
        .with("TOKEN_HASH_SECRET", SECRET)
        .with("DATABASE_URL", url)
        .with("STRATEGY", "jwt")
        .with(
            "REDIS_URL",
            "redis://ada:hunter2@one.example:6380,redis://ada:hunter2@two.example",
        )
        .with("CONFIG", &file)
        .with("LOG", "error");
    let report = place.json(&["config", "check", "--access-lifetime", "7m"]);
    let row = |name: &str| {
        let rows = report["settings"].as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row["setting"] == format!("COUNTERSIGN_{name}"))
            .unwrap();
        (
            row["value"].as_str().unwrap().to_owned(),
            row["from"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(
        row("ACCESS_LIFETIME"),
        ("7m".to_owned(), "--access-lifetime".to_owned())
    );
    assert_eq!(
        row("LOG"),
        ("error".to_owned(), "COUNTERSIGN_LOG".to_owned())
    );
    assert_eq!(
        row("REFRESH_LIFETIME"),
        ("30d".to_owned(), "default".to_owned())
    );
    assert_eq!(row("DATABASE_URL").0, "postgres://db.example/app");
    assert_eq!(
        row("REDIS_URL").0,
        "redis://one.example:6380,redis://two.example"
    );
    let text = place.run(&["config", "check"]);
    let text = String::from_utf8(text.stdout).unwrap();
    for shown in [text, report.to_string()] {
        assert!(
            !shown.contains(SECRET) && !shown.contains("hunter2"),
            "{shown}"
        );
    }
    assert!(!place.data_dir().exists(), "checking makes nothing");
}

#[test]
fn help_teaches() {
    let output = binary().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for wanted in [
        "Examples:",
        "COUNTERSIGN_ACCESS_LIFETIME",
        "[default: 15m]",
        "--token-hash-secret-file",
        "Exit codes",
    ] {
        assert!(help.contains(wanted), "{wanted} is not in:\n{help}");
    }
}
