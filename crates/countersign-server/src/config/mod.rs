//! The settings: their sources, their parsing, and their checks.
//!
//! Every setting is a flag, an environment variable and a key of the configuration file. Flags win
//! over the environment, and the environment over the file. [`Sources::gather`] collects what was
//! given, [`Config::read`] parses it, and [`compose`](crate::compose) makes library objects of it.
//!
//! Each section of [`Config`] has a file of its own. To add a setting, write a [`Setting`] in the
//! file of its section, name it in that file's `SETTINGS`, and parse it in the section's `read`.
//! Flag, variable, key and help text follow from the [`Setting`].

mod file;
mod given;
mod http;
mod keys;
mod links;
mod log;
mod parse;
mod public_url;
mod redis;
mod report;
mod secret_text;
mod setting;
mod source;
mod store;
mod tokens;

use std::ffi::OsString;

use countersign::ConfigError;

pub use given::Given;
pub use http::{
    ALLOWED_ORIGINS, Http, LISTEN, Limits, MAX_CONNECTIONS, PUBLIC_URL, TRUSTED_PROXIES,
};
pub use keys::{
    JWT_ALGORITHM, JWT_AUDIENCE, JWT_ISSUER, JWT_PRIVATE_KEY, JWT_PUBLIC_KEY, JWT_SECRET, JwtKeys,
    Keys, TOKEN_HASH_SECRET, is_same_secret, same_secret,
};
pub use log::{Log, LogFormat};
pub use public_url::PublicUrl;
pub use redis::{Eviction, REDIS_EVICTION, REDIS_URL, Redis, names_sentinels};
pub use report::{Effective, effective};
pub use secret_text::fault as fault_of_secret;
pub use setting::{ENV_PREFIX, Kind, Origin, Setting};
pub use source::{Flags, Sources};
pub use store::{DATABASE_URL, DatabaseUrl, Store, WAIT_FOR_STORES};
pub use tokens::{
    PROFILE, RateLimit, Registration, SECOND_FACTOR, STRATEGY, SecondFactor, StrategyKind, Tokens,
    profile_name,
};

/// The whole configuration. Its `Debug` output shows no secret.
///
/// # Examples
///
/// ```
/// use countersign_server::config::{Config, Flags, Sources};
///
/// let mut flags = Flags::default();
/// flags.given.push(("access_lifetime".to_owned(), "10m".to_owned()));
/// let sources = Sources::gather(flags, [])?;
/// let config = Config::read(&sources)?;
/// assert_eq!(config.tokens.lifetimes.access().as_secs(), 600);
/// # Ok::<(), countersign::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The HTTP side.
    pub http: Http,
    /// The database and the data directory.
    pub store: Store,
    /// The strategy, the lifetimes of tokens and sessions, and the limits of logins.
    pub tokens: Tokens,
    /// Redis, if it is used.
    pub redis: Option<Redis>,
    /// The secrets and keys.
    pub keys: Keys,
    /// The log.
    pub log: Log,
    /// The sources that all of this was read from.
    pub sources: Sources,
}

impl Config {
    /// Reads every section.
    ///
    /// Servers of one deployment agree on some settings, which are recorded in the shared database.
    /// A check that depends on such a setting is left out until the record has been read; see
    /// [`Sources::agreed`] and [`Sources::settled`].
    ///
    /// # Errors
    /// [`ConfigError`] if a setting can't work. It names the setting as it was typed, the problem,
    /// and the cure.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let store = Store::read(sources)?;
        let tokens = Tokens::read(sources)?;
        let redis = Redis::read(sources, &tokens)?;

        // Until the strategy is known, it isn't known either whether Redis is used.
        let is_shared = is_shared(
            &store,
            redis.as_ref().filter(|_| sources.is_final(&STRATEGY)),
        );
        let keys = Keys::read(sources, &tokens, is_shared)?;
        let (http, log) = (Http::read(sources)?, Log::read(sources)?);

        Ok(Self {
            http,
            store,
            tokens,
            redis,
            keys,
            log,
            sources: sources.clone(),
        })
    }

    /// Returns `true` if the server keeps its data in a shared database or on Redis, where other
    /// servers may use it too.
    pub fn is_shared(&self) -> bool {
        is_shared(&self.store, self.redis.as_ref())
    }
}

const fn is_shared(store: &Store, redis: Option<&Redis>) -> bool {
    matches!(store.database, DatabaseUrl::Shared(_)) || redis.is_some()
}

/// Returns every setting, in the order of the help.
pub fn all_settings() -> impl Iterator<Item = &'static Setting> {
    http::SETTINGS
        .iter()
        .chain(store::SETTINGS)
        .chain(tokens::SETTINGS)
        .chain(redis::SETTINGS)
        .chain(keys::SETTINGS)
        .chain(log::SETTINGS)
        .copied()
}

impl Sources {
    /// Collects the settings from flags, environment and configuration file.
    ///
    /// Reads only variables that begin with [`ENV_PREFIX`]. Ignores those that orchestrators set
    /// for services and containers of our name. The files of secrets are read here as well.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown name, an empty value, a value and a file given for the same
    /// secret by the same source, a secret that has invisible additions, or a file that can't be
    /// read.
    ///
    /// # Examples
    ///
    /// ```
    /// use countersign_server::config::{Flags, LISTEN, Sources};
    ///
    /// let mut flags = Flags::default();
    /// flags.given.push(("listen".to_owned(), "127.0.0.1:9000".to_owned()));
    /// let environment = [("COUNTERSIGN_LISTEN".into(), "0.0.0.0:8000".into())];
    /// let sources = Sources::gather(flags, environment)?;
    /// assert_eq!(sources.get(&LISTEN).map(|given| given.text()), Some("127.0.0.1:9000"));
    /// # Ok::<(), countersign::ConfigError>(())
    /// ```
    pub fn gather(
        flags: Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        Self::gather_for(all_settings().collect(), flags, environment)
    }

    /// Returns the settings whose values differ in `later`.
    pub fn changed(&self, later: &Self) -> Vec<&'static Setting> {
        all_settings()
            .filter(|setting| {
                self.get(setting).map(Given::text) != later.get(setting).map(Given::text)
            })
            .collect()
    }
}

/// The settings that take effect only at a start. A reload names those of them that have changed.
pub const AT_START: [&Setting; 8] = [
    &LISTEN,
    &MAX_CONNECTIONS,
    &http::HEADER_TIMEOUT,
    &http::IDLE_TIMEOUT,
    &http::DRAIN_LIMIT,
    &http::DRAIN_DELAY,
    &WAIT_FOR_STORES,
    &log::LOG_FORMAT,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let given = flags
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect();
        let environment = environment
            .iter()
            .map(|(name, text)| (name.into(), text.into()));
        Config::read(
            &Sources::gather(
                Flags {
                    config: None,
                    given,
                },
                environment,
            )?
            .settled(),
        )
    }

    #[test]
    fn flags_win_over_environment_and_environment_over_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("countersign.toml");
        std::fs::write(
            &file,
            "listen = \"127.0.0.1:1\"\nlog = \"warn\"\nlogin_limit = \"off\"\n",
        )
        .unwrap();
        let environment = [
            ("COUNTERSIGN_CONFIG", file.to_str().unwrap()),
            ("COUNTERSIGN_LISTEN", "127.0.0.1:2"),
            ("COUNTERSIGN_LOG", "error"),
        ];
        let config = read(&[("listen", "127.0.0.1:3")], &environment).unwrap();
        assert_eq!(config.http.listen.port(), 3);
        assert_eq!(
            config.log.level,
            tracing_subscriber::filter::LevelFilter::ERROR
        );
        assert_eq!(config.tokens.login_limit, None);
    }

    #[test]
    fn errors_name_what_was_typed() {
        type Pairs = [(&'static str, &'static str)];
        let cases: &[(&Pairs, &Pairs, &str)] = &[
            (&[("listen", "here")], &[], "--listen"),
            (&[], &[("COUNTERSIGN_LISTEN", "here")], "COUNTERSIGN_LISTEN"),
            (
                &[],
                &[("COUNTERSIGN_LISTNE", "127.0.0.1:1")],
                "COUNTERSIGN_LISTNE",
            ),
            (&[], &[("COUNTERSIGN_LOG", "")], "COUNTERSIGN_LOG"),
            (
                &[],
                &[("COUNTERSIGN_TOKEN_HASH_SECRET", "short")],
                "COUNTERSIGN_TOKEN_HASH_SECRET",
            ),
            (
                &[],
                &[("COUNTERSIGN_TOKEN_HASH_SECRET_FILE", "/nowhere")],
                "COUNTERSIGN_TOKEN_HASH_SECRET_FILE",
            ),
            (
                &[],
                &[("COUNTERSIGN_DATABASE_URL", "postgres://db/x")],
                "COUNTERSIGN_TOKEN_HASH_SECRET",
            ),
            (&[("database_url", "redis://db")], &[], "--database-url"),
            (&[("strategy", "redis")], &[], "COUNTERSIGN_REDIS_URL"),
            (&[("redis_url", "redis://cache")], &[], "--redis-url"),
            (&[("redis_eviction", "ignore")], &[], "--redis-eviction"),
            (
                &[("strategy", "jwt")],
                &[("COUNTERSIGN_REDIS_URL", "redis://cache")],
                "COUNTERSIGN_TOKEN_HASH_SECRET",
            ),
            (&[("access_lifetime", "0s")], &[], "--access-lifetime"),
            (
                &[],
                &[("COUNTERSIGN_CONFIG", "/nowhere")],
                "COUNTERSIGN_CONFIG",
            ),
        ];
        for (flags, environment, name) in cases {
            assert_eq!(
                read(flags, environment).unwrap_err().setting(),
                *name,
                "{flags:?} {environment:?}"
            );
        }
    }

    #[test]
    fn examples_have_the_form_that_was_typed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, text).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let (listen, number) = (
            path("listen", "listen = \"here\"\n"),
            path("number", "max_connections = 0\n"),
        );
        let url = path("url", "app\n");
        let postgres = "postgres://user:password@localhost/app";
        for (flags, environment, example) in [
            (
                [("listen", "here")].as_slice(),
                [].as_slice(),
                "for example `--listen 127.0.0.1:8000`".to_owned(),
            ),
            (
                &[],
                &[("COUNTERSIGN_LISTEN", "here")],
                "for example `COUNTERSIGN_LISTEN=127.0.0.1:8000`".to_owned(),
            ),
            (
                &[],
                &[("COUNTERSIGN_CONFIG", listen.as_str())],
                "for example `listen = \"127.0.0.1:8000\"`".to_owned(),
            ),
            (
                &[],
                &[("COUNTERSIGN_CONFIG", number.as_str())],
                "for example `max_connections = 4096`".to_owned(),
            ),
            (
                &[("database_url", "app")],
                &[],
                format!("for example `--database-url {postgres}`"),
            ),
            (
                &[("database_url_file", url.as_str())],
                &[],
                format!("write a value such as `{postgres}` to the file"),
            ),
        ] {
            let error = read(flags, environment).unwrap_err().to_string();
            assert!(error.ends_with(&example), "{error}");
        }
    }

    #[test]
    fn every_example_is_accepted() {
        let secret = (
            "COUNTERSIGN_TOKEN_HASH_SECRET",
            "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc",
        );
        let secrets_of_their_own = [&JWT_SECRET, &JWT_PRIVATE_KEY, &TOKEN_HASH_SECRET];
        for setting in all_settings() {
            // These are the output of a command in the example.
            if secrets_of_their_own.contains(&setting) || setting.key == "jwt_public_key" {
                continue;
            }
            let mut flags = vec![(setting.key, setting.example)];
            if setting.key == "redis_url" {
                flags.push(("strategy", "redis"));
            }
            let accepted = read(&flags, &[secret]);
            assert!(accepted.is_ok(), "{}: {accepted:?}", setting.key);
        }
    }

    #[test]
    fn a_secret_is_value_or_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc\n").unwrap();
        let path = file.to_str().unwrap();
        let config = read(&[], &[("COUNTERSIGN_TOKEN_HASH_SECRET_FILE", path)]).unwrap();
        assert_eq!(
            config.keys.token_hash_secret.unwrap().expose(),
            "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc"
        );
        let both = [
            ("COUNTERSIGN_TOKEN_HASH_SECRET_FILE", path),
            ("COUNTERSIGN_TOKEN_HASH_SECRET", "x"),
        ];
        assert!(
            read(&[], &both)
                .unwrap_err()
                .to_string()
                .contains("set either the value or the file")
        );
        let listen_file = read(&[], &[("COUNTERSIGN_LISTEN_FILE", path)]).unwrap_err();
        assert!(
            listen_file.to_string().contains("unknown setting"),
            "{listen_file}"
        );
    }

    /// A byte that nobody sees makes another secret.
    #[test]
    fn what_no_secret_can_be_meant_to_hold_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let good = "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc";
        let settings = [
            "TOKEN_HASH_SECRET",
            "JWT_SECRET",
            "DATABASE_URL",
            "REDIS_URL",
        ];
        for (at, text) in [
            format!("\u{feff}{good}"),
            format!("{good}\n\n"),
            format!("{good} \n"),
            format!("\"{good}\""),
        ]
        .into_iter()
        .enumerate()
        {
            let file = dir.path().join(at.to_string());
            std::fs::write(&file, &text).unwrap();
            for setting in settings {
                let name = format!("COUNTERSIGN_{setting}_FILE");
                let error = read(&[], &[(&name, file.to_str().unwrap())]).unwrap_err();
                assert_eq!(error.setting(), name, "{text:?}: {error}");
                let name = format!("COUNTERSIGN_{setting}");
                let error = read(&[], &[(&name, &format!("{good}\r"))]).unwrap_err();
                assert_eq!(error.setting(), name, "{error}");
            }
        }
    }

    /// The original's fingerprints depend on the text of its key to the last byte.
    #[test]
    fn the_text_of_a_key_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.pem");
        for text in [
            "-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n",
            "x\r\n\r\n",
            "no line end",
        ] {
            std::fs::write(&file, text).unwrap();
            let config = read(
                &[],
                &[("COUNTERSIGN_JWT_PRIVATE_KEY_FILE", file.to_str().unwrap())],
            )
            .unwrap();
            assert_eq!(config.keys.jwt.private_key.unwrap().text(), text);
        }
    }

    #[test]
    fn a_slip_of_the_pen_gets_a_hint() {
        let error = read(&[], &[("COUNTERSIGN_LISTNE", "127.0.0.1:1")]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("did you mean COUNTERSIGN_LISTEN?"),
            "{error}"
        );
    }
}
