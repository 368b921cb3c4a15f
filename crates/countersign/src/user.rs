//! What the library needs to know of users: an id, and a way to look one up.

use std::fmt;
use std::future::Future;
use std::hash::Hash;

use async_trait::async_trait;
use uuid::Uuid;

use crate::error::Failure;
use crate::value::Row;

/// The kinds of value that can be a user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserKeyKind {
    /// A UUID.
    Uuid,
    /// A 64-bit integer.
    Int,
    /// A text of at most 255 bytes.
    Text,
}

/// A user id with its type erased: what stores hold and what goes into a token's `sub`.
///
/// Two ids of different kinds are never equal, and its `Debug` shows the kind only (promise P7).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UserKey {
    /// A UUID.
    Uuid(Uuid),
    /// A 64-bit integer.
    Int(i64),
    /// A text.
    Text(String),
}

impl UserKey {
    /// The id as the text of a `sub` claim: hyphenated lower case for a UUID, decimal for an integer.
    pub fn to_subject(&self) -> String {
        match self {
            Self::Uuid(id) => id.hyphenated().to_string(),
            Self::Int(id) => id.to_string(),
            Self::Text(id) => id.clone(),
        }
    }

    /// Reads a `sub` claim back, in its canonical spelling only: what [`UserKey::to_subject`] would not have written
    /// is no id (RFC 7519 section 4.1.2, SECURITY row C-08).
    pub fn from_subject(kind: UserKeyKind, subject: &str) -> Option<Self> {
        let key = match kind {
            UserKeyKind::Uuid => Self::Uuid(Uuid::try_parse(subject).ok()?),
            UserKeyKind::Int => Self::Int(subject.parse().ok()?),
            UserKeyKind::Text => Self::Text(subject.to_owned()),
        };
        (!subject.is_empty() && key.to_subject() == subject).then_some(key)
    }

    /// The kind of value this is.
    pub const fn kind(&self) -> UserKeyKind {
        match self {
            Self::Uuid(_) => UserKeyKind::Uuid,
            Self::Int(_) => UserKeyKind::Int,
            Self::Text(_) => UserKeyKind::Text,
        }
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey::{:?}(..)", self.kind())
    }
}

/// A type that serves as user id: [`Uuid`], [`i64`], [`String`], or a newtype of yours.
///
/// ```
/// use countersign::{UserId, UserKey, UserKeyKind};
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct MemberNumber(i64);
///
/// impl UserId for MemberNumber {
///     const KIND: UserKeyKind = UserKeyKind::Int;
///     fn to_key(&self) -> UserKey {
///         UserKey::Int(self.0)
///     }
///     fn from_key(key: UserKey) -> Option<Self> {
///         i64::from_key(key).map(Self)
///     }
/// }
/// ```
pub trait UserId: Clone + Eq + Hash + Send + Sync + 'static {
    /// The kind of value the id is stored as.
    const KIND: UserKeyKind;

    /// The id with its type erased.
    fn to_key(&self) -> UserKey;

    /// The id read back; `None` when the value isn't one.
    fn from_key(key: UserKey) -> Option<Self>;
}

macro_rules! plain_id {
    ($type:ty, $kind:ident) => {
        impl UserId for $type {
            const KIND: UserKeyKind = UserKeyKind::$kind;

            fn to_key(&self) -> UserKey {
                UserKey::$kind(self.clone())
            }

            fn from_key(key: UserKey) -> Option<Self> {
                match key {
                    UserKey::$kind(id) => Some(id),
                    _ => None,
                }
            }
        }
    };
}

plain_id!(Uuid, Uuid);
plain_id!(i64, Int);
plain_id!(String, Text);

/// An account, as far as tokens care.
///
/// Only the id is needed. Email and password hash, where given, feed the session fingerprint of signed tokens.
pub trait User: Send + Sync + 'static {
    /// The type of the user's id.
    type Id: UserId;

    /// The user's id.
    fn id(&self) -> &Self::Id;

    /// The email address, as stored.
    fn email(&self) -> Option<&str> {
        None
    }

    /// The password hash, as stored.
    fn password_hash(&self) -> Option<&str> {
        None
    }

    /// Whether the account may be used. Strategies hand back inactive users as they are; the
    /// [`Authenticator`](crate::Authenticator) refuses them.
    fn is_active(&self) -> bool {
        true
    }
}

/// Looks users up (the strategies page: `UserManagerProtocol`).
///
/// A closure from an owned id to a future works too:
///
/// ```
/// # use countersign::{Failure, User, UserManager};
/// # struct Account { id: i64 }
/// # impl User for Account { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// let users = |id: i64| async move { Ok::<_, Failure>(Some(Account { id })) };
/// # fn takes(_: &dyn UserManager<Account>) {}
/// takes(&users);
/// ```
#[async_trait]
pub trait UserManager<U: User>: Send + Sync {
    /// The user with this id, or `None` when there is none.
    ///
    /// # Errors
    /// [`Failure`] when the question can't be answered now.
    async fn get(&self, id: &U::Id) -> Result<Option<U>, Failure>;

    /// Makes a user of the columns that a store read along with the token
    /// ([`DatabaseTokenModels::join_users`](crate::store::sql::DatabaseTokenModels::join_users)), which saves the second
    /// look-up (promise P8). `None` means "I can't: call [`get`](UserManager::get)".
    fn read_joined(&self, row: &Row) -> Option<Result<U, Failure>> {
        let _ = row;
        None
    }
}

#[async_trait]
impl<U, F, Answer> UserManager<U> for F
where
    U: User,
    F: Fn(U::Id) -> Answer + Send + Sync,
    Answer: Future<Output = Result<Option<U>, Failure>> + Send,
{
    async fn get(&self, id: &U::Id) -> Result<Option<U>, Failure> {
        self(id.clone()).await
    }
}
