//! What the tests of signed tokens share.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use countersign::clock::Clock;
use countersign::{Failure, Timestamp, User, UserId, UserManager};
use serde_json::Value;
use uuid::Uuid;

pub(crate) fn vectors(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(path);
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} is no text in {value}"))
}

pub(crate) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name]
        .as_array()
        .unwrap_or_else(|| panic!("{name} is no list"))
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub(crate) fn at(seconds: i64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::from_unix_seconds(seconds))))
    }

    pub(crate) fn at_micros(micros: i64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::from_micros(micros))))
    }

    pub(crate) fn set(&self, seconds: i64) {
        *self.0.lock().unwrap() = Timestamp::from_unix_seconds(seconds);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account<I = Uuid> {
    pub(crate) id: I,
    pub(crate) email: Option<String>,
    pub(crate) password_hash: Option<String>,
    pub(crate) active: bool,
}

impl Account {
    pub(crate) fn new(id: &str, email: &str, password_hash: &str) -> Self {
        let (email, password_hash) = (Some(email.to_owned()), Some(password_hash.to_owned()));
        Self {
            id: id.parse().unwrap(),
            email,
            password_hash,
            active: true,
        }
    }
}

impl<I: UserId> User for Account<I> {
    type Id = I;

    fn id(&self) -> &I {
        &self.id
    }

    fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    fn password_hash(&self) -> Option<&str> {
        self.password_hash.as_deref()
    }

    fn is_active(&self) -> bool {
        self.active
    }
}

/// Accounts in memory, and the ids that were asked for.
pub(crate) struct Accounts<I = Uuid> {
    by_id: Mutex<HashMap<I, Account<I>>>,
    asked: Mutex<Vec<I>>,
}

impl<I: UserId> Accounts<I> {
    pub(crate) fn of(accounts: impl IntoIterator<Item = Account<I>>) -> Self {
        let this = Self {
            by_id: Mutex::default(),
            asked: Mutex::default(),
        };
        accounts.into_iter().for_each(|account| this.put(account));
        this
    }

    pub(crate) fn put(&self, account: Account<I>) {
        self.by_id
            .lock()
            .unwrap()
            .insert(account.id.clone(), account);
    }

    pub(crate) fn remove(&self, id: &I) {
        self.by_id.lock().unwrap().remove(id);
    }

    pub(crate) fn asked(&self) -> Vec<I> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl<I: UserId> UserManager<Account<I>> for Accounts<I> {
    async fn get(&self, id: &I) -> Result<Option<Account<I>>, Failure> {
        self.asked.lock().unwrap().push(id.clone());
        Ok(self.by_id.lock().unwrap().get(id).cloned())
    }
}
