//! An application with users of its own: its own table and columns, its own id type, its own password check.
//!
//! `cargo run -p countersign --example own_users`, then the lines that it prints.

#![allow(clippy::print_stdout, reason = "it talks to whoever runs it")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use async_trait::async_trait;
use axum::{Router, routing::get};
use countersign::axum::{AuthRoutes, CredentialVerifier, CurrentUser, LoginAttempt, LoginVerdict};
use countersign::entropy::Entropy;
use countersign::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Driver, Migration, MigrationSet, Migrator,
    Script, SqlStore, Statement, UserTable,
};
use countersign::store::{Row, Value, ValueError};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::Strategy;
use countersign::tower::AuthLayer;
use countersign::transport::{BearerTransport, CookieTransport};
use countersign::user::UserKeyKind;
use countersign::{AuthenticationBackend, Authenticator, Failure, Profile, Secret};
use countersign::{SystemEntropy, User, UserId, UserKey, UserManager};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The number on a badge.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct StaffNumber(i64);

impl UserId for StaffNumber {
    const KIND: UserKeyKind = UserKeyKind::Int;

    fn to_key(&self) -> UserKey {
        UserKey::Int(self.0)
    }

    fn from_key(key: UserKey) -> Option<Self> {
        i64::from_key(key).map(Self)
    }
}

struct Colleague {
    number: StaffNumber,
    full_name: String,
    has_left: bool,
}

impl User for Colleague {
    type Id = StaffNumber;

    fn id(&self) -> &StaffNumber {
        &self.number
    }

    fn is_active(&self) -> bool {
        !self.has_left
    }
}

/// The columns of the application's table that make a [`Colleague`], in this order.
const COLUMNS: [&str; 3] = ["staff_no", "full_name", "has_left"];

impl Colleague {
    fn read(row: &Row) -> Result<Self, Failure> {
        Self::try_read(row).map_err(|error| Failure::internal("staff table", error))
    }

    fn try_read(row: &Row) -> Result<Self, ValueError> {
        let number = StaffNumber(row.int(0)?.unwrap_or_default());
        let full_name = row.text(1)?.unwrap_or_default().to_owned();
        Ok(Self {
            number,
            full_name,
            has_left: row.bool(2)?,
        })
    }
}

const STAFF: &str = "CREATE TABLE staff (staff_no BIGINT PRIMARY KEY, nick VARCHAR(80) UNIQUE NOT NULL, \
                     full_name VARCHAR(200) NOT NULL, secret_hash VARCHAR(255) NOT NULL, has_left BOOLEAN NOT NULL);";

const MIGRATIONS: MigrationSet = MigrationSet {
    name: "staff",
    migrations: &[Migration {
        version: 1,
        name: "staff",
        sqlite: STAFF,
        postgres: STAFF,
        mysql: STAFF,
    }],
};

#[derive(Clone)]
struct Staff {
    database: Database,
    /// As many passwords as are hashed at once; who comes beyond that is told to come back.
    hashing: Arc<Semaphore>,
    /// What an unknown nick's password is checked against, so that the answer takes as long.
    decoy: Arc<str>,
}

#[async_trait]
impl UserManager<Colleague> for Staff {
    async fn get(&self, id: &StaffNumber) -> Result<Option<Colleague>, Failure> {
        let by_number = "SELECT staff_no, full_name, has_left FROM staff WHERE staff_no = ?1";
        let statement = Statement::new(self.database.dialect(), by_number);
        let rows = self.database.fetch(&statement, &[Value::Int(id.0)]).await?;
        rows.first().map(Colleague::read).transpose()
    }

    fn read_joined(&self, row: &Row) -> Option<Result<Colleague, Failure>> {
        Some(Colleague::read(row))
    }
}

#[async_trait]
impl CredentialVerifier<Colleague> for Staff {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Colleague>, Failure> {
        let Ok(_permit) = self.hashing.try_acquire() else {
            return Ok(LoginVerdict::Overloaded {
                retry_after: Duration::from_secs(1),
            });
        };
        let by_nick =
            "SELECT staff_no, full_name, has_left, secret_hash FROM staff WHERE nick = ?1";
        let statement = Statement::new(self.database.dialect(), by_nick);
        let rows = self
            .database
            .fetch(&statement, &[login.identifier().into()])
            .await?;
        let found = rows.first();
        let hash = found
            .and_then(|row| row.text(3).ok().flatten())
            .unwrap_or(&self.decoy)
            .to_owned();
        let password = login.password().to_owned();
        let is_right = tokio::task::spawn_blocking(move || is_right(&password, &hash)).await;
        match (
            is_right.map_err(|error| Failure::internal("password hashing", error))?,
            found,
        ) {
            (true, Some(row)) => Ok(LoginVerdict::Accepted(Colleague::read(row)?)),
            _ => Ok(LoginVerdict::Rejected),
        }
    }
}

fn is_right(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

fn hash(password: &str) -> Result<String, Box<dyn Error>> {
    let mut salt = [0; 16];
    SystemEntropy.fill(&mut salt)?;
    Ok(Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)?
        .to_string())
}

async fn me(colleague: CurrentUser<Colleague>) -> String {
    format!(
        "You are {}, badge {}.\n",
        colleague.user.full_name, colleague.user.number.0
    )
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Gone when the program ends; `sqlite:///path/to/file` stays.
    let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
    Migrator::new(&database, StaffNumber::KIND)
        .add(MIGRATIONS)
        .run()
        .await?;
    let password = Secret::generate(&SystemEntropy)?;
    let insert = "INSERT INTO staff (staff_no, nick, full_name, secret_hash, has_left) VALUES (?1, ?2, ?3, ?4, ?5)";
    let ada = [
        7.into(),
        "ada".into(),
        "Ada King".into(),
        hash(password.expose())?.into(),
        false.into(),
    ];
    database
        .run(&Script::new(database.dialect(), &[insert]), &ada)
        .await?;

    let staff = Staff {
        database: database.clone(),
        hashing: Arc::new(Semaphore::new(4)),
        decoy: hash(Secret::generate(&SystemEntropy)?.expose())?.into(),
    };
    let (app, listener) = (app(staff)?, TcpListener::bind("127.0.0.1:3000").await?);
    print_usage(&password);
    axum::serve(listener, app).await?;
    Ok(())
}

fn app(staff: Staff) -> Result<Router, Box<dyn Error>> {
    let columns = COLUMNS.map(Into::into).to_vec();
    let users = UserTable {
        table: "staff".into(),
        id: "staff_no".into(),
        columns,
    };
    let models = DatabaseTokenModels::bundled(StaffNumber::KIND).join_users(users)?;
    // A real application keeps this secret: tokens are found by it.
    let secret = Secret::generate(&SystemEntropy)?;
    let strategy: Arc<dyn Strategy<Colleague>> = Arc::new(
        DatabaseTokenStrategy::builder(SqlStore::new(staff.database.clone(), models))
            .token_hash_secret(&secret)
            .build()?,
    );
    let cookies = CookieTransport::builder(Profile::Countersign).build()?;
    let authenticator = Authenticator::builder(Arc::new(staff.clone()))
        .backend(AuthenticationBackend::new(
            "api",
            BearerTransport,
            Arc::clone(&strategy),
        ))
        .backend(AuthenticationBackend::new("web", cookies, strategy))
        .build()?;
    let authenticator = Arc::new(authenticator);
    let routes = AuthRoutes::new(Arc::clone(&authenticator))
        .login(staff)
        .build()?;
    Ok(Router::new()
        .route("/me", get(me))
        .nest("/auth", routes)
        .layer(AuthLayer::new(authenticator)))
}

fn print_usage(password: &Secret) {
    let body = format!(
        r#"{{"identifier":"ada","password":"{}"}}"#,
        password.expose()
    );
    println!("curl http://127.0.0.1:3000/auth/login --json '{body}'");
    println!("curl http://127.0.0.1:3000/me -H 'Authorization: Bearer ACCESS_TOKEN'");
    println!("curl http://127.0.0.1:3000/auth/cookie/login -c cookies.txt --json '{body}'");
    println!("curl http://127.0.0.1:3000/me -b cookies.txt");
}
