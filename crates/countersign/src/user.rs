//! Users, as far as tokens need to know them.
//!
//! An application keeps its own account type and its own table. It implements [`User`] for the
//! account, which names the type of the id ([`UserId`]), and gives the library a [`UserManager`]
//! that looks an account up by its id. Stores hold the id as a [`UserKey`].

use std::fmt;
use std::future::Future;
use std::hash::Hash;

use async_trait::async_trait;
use uuid::Uuid;

use crate::error::Failure;
use crate::value::{Row, Value};

/// The kinds of value that a user id can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the kinds of keys that all stores can hold"
)]
pub enum UserKeyKind {
    /// A UUID.
    Uuid,
    /// A 64-bit integer.
    Int,
    /// A text of at most 255 bytes.
    Text,
}

/// A user id without its Rust type: the form that stores hold, and that `sub` claims are made of.
///
/// Two ids of different kinds are never equal. The `Debug` output shows the kind only, because user
/// ids must not get into logs.
///
/// # Examples
///
/// ```
/// use countersign::user::UserKeyKind;
/// use countersign::UserKey;
///
/// assert_eq!(UserKey::Int(7).to_subject(), "7");
/// assert_eq!(UserKey::from_subject(UserKeyKind::Int, "7"), Some(UserKey::Int(7)));
/// assert_eq!(UserKey::from_subject(UserKeyKind::Int, "07"), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the kinds of keys that all stores can hold"
)]
pub enum UserKey {
    /// A UUID.
    Uuid(Uuid),
    /// A 64-bit integer.
    Int(i64),
    /// A text.
    Text(String),
}

impl UserKey {
    /// Returns the text of the id in a `sub` claim: lower case with hyphens for a UUID, decimal
    /// digits for an integer.
    pub fn to_subject(&self) -> String {
        match self {
            Self::Uuid(id) => id.hyphenated().to_string(),
            Self::Int(id) => id.to_string(),
            Self::Text(id) => id.clone(),
        }
    }

    /// Reads the text of a `sub` claim back, or returns `None` if it isn't an id of this kind.
    ///
    /// Only the canonical spelling is accepted, the one that [`UserKey::to_subject`] writes,
    /// because subjects are compared with regard to case (RFC 7519 section 4.1.2). The empty text
    /// is never an id.
    pub fn from_subject(kind: UserKeyKind, subject: &str) -> Option<Self> {
        let key = match kind {
            UserKeyKind::Uuid => Self::Uuid(Uuid::try_parse(subject).ok()?),
            UserKeyKind::Int => Self::Int(subject.parse().ok()?),
            UserKeyKind::Text => Self::Text(subject.to_owned()),
        };
        (!subject.is_empty() && key.to_subject() == subject).then_some(key)
    }

    /// Returns the kind of value that the id is.
    pub const fn kind(&self) -> UserKeyKind {
        match self {
            Self::Uuid(_) => UserKeyKind::Uuid,
            Self::Int(_) => UserKeyKind::Int,
            Self::Text(_) => UserKeyKind::Text,
        }
    }
}

/// Reads an id in the canonical spelling of its type, as `sub` claims have it.
#[cfg(any(feature = "jwt", feature = "redis"))]
pub(crate) fn canonical_id<I: UserId>(subject: &str) -> Option<I> {
    I::from_key(UserKey::from_subject(I::KIND, subject)?)
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey::{:?}(..)", self.kind())
    }
}

/// A type that serves as user id: [`Uuid`], [`i64`], [`String`], or a newtype of your own.
///
/// # Implementing
///
/// - [`to_key`](Self::to_key) returns a key of the kind [`KIND`](Self::KIND), always the same one
///   for the same id, and different ones for different ids. Stored sessions are found by it.
/// - [`from_key`](Self::from_key) reads every such key back.
/// - A text has at most 255 bytes, because that is the size of the column in SQL.
///
/// # Examples
///
/// ```
/// use countersign::user::UserKeyKind;
/// use countersign::{UserId, UserKey};
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
    /// The kind of value that stores hold for the id.
    const KIND: UserKeyKind;

    /// Returns the id without its Rust type.
    fn to_key(&self) -> UserKey;

    /// Reads the id back, or returns `None` if the value isn't one of this type. The token is
    /// refused then.
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

/// An account, as far as tokens need to know it.
///
/// Only the id is required. The email address and the password hash, if they are given, become the
/// session fingerprint of signed tokens: such a token ends as soon as one of them changes.
///
/// # Examples
///
/// ```
/// use countersign::User;
/// use uuid::Uuid;
///
/// struct Account {
///     id: Uuid,
///     email: String,
///     password_hash: String,
///     disabled: bool,
/// }
///
/// impl User for Account {
///     type Id = Uuid;
///
///     fn id(&self) -> &Uuid {
///         &self.id
///     }
///     fn email(&self) -> Option<&str> {
///         Some(&self.email)
///     }
///     fn password_hash(&self) -> Option<&str> {
///         Some(&self.password_hash)
///     }
///     fn is_active(&self) -> bool {
///         !self.disabled
///     }
/// }
/// ```
pub trait User: Send + Sync + 'static {
    /// The type of the user's id.
    type Id: UserId;

    /// Returns the id, which never changes.
    fn id(&self) -> &Self::Id;

    /// Returns the email address as it is stored. Defaults to `None`.
    ///
    /// Without it, signed tokens carry no session fingerprint. The fingerprint doesn't depend on
    /// upper or lower case.
    fn email(&self) -> Option<&str> {
        None
    }

    /// Returns the password hash as it is stored. Defaults to `None`.
    ///
    /// Without it, signed tokens carry no session fingerprint. Rehashing the same password ends the
    /// signed tokens of the user, since the hash is another text.
    fn password_hash(&self) -> Option<&str> {
        None
    }

    /// Returns `true` if the account may be used. Defaults to `true`.
    ///
    /// Strategies return inactive users like any other. The [`Authenticator`](crate::Authenticator)
    /// refuses them with [`Refusal::UserInactive`](crate::Refusal::UserInactive), and refreshing a
    /// session refuses them too.
    fn is_active(&self) -> bool {
        true
    }
}

/// A look-up of users by their id.
///
/// Strategies call it for each token that is read and for each refresh, so it should take one
/// indexed query. A closure from an owned id to a future is a user manager too.
///
/// # Implementing
///
/// `Ok(None)` means that the user certainly doesn't exist: the token is refused. If that isn't
/// known, for example because the database doesn't answer, return a [`Failure`]. Return inactive
/// users as they are: [`User::is_active`] decides about them.
///
/// # Examples
///
/// ```
/// # use countersign::{Failure, User, UserManager};
/// # struct Account { id: i64 }
/// # impl User for Account {
/// #     type Id = i64;
/// #     fn id(&self) -> &i64 { &self.id }
/// # }
/// let users = |id: i64| async move { Ok::<_, Failure>(Some(Account { id })) };
/// # fn takes(_: &dyn UserManager<Account>) {}
/// takes(&users);
/// ```
#[async_trait]
pub trait UserManager<U: User>: Send + Sync {
    /// Returns the user with this id, or `None` if there is none.
    ///
    /// # Errors
    /// [`Failure`] if the question can't be answered now. The request is answered with 503 (or
    /// 500), and the credential isn't judged.
    async fn get(&self, id: &U::Id) -> Result<Option<U>, Failure>;

    /// Builds a user from the columns that a store read together with the token. Defaults to
    /// `None`.
    ///
    /// An SQL store with
    /// [`DatabaseTokenModels::join_users`](crate::store::sql::DatabaseTokenModels::join_users)
    /// reads the columns of the user's table in the same query, in the order in which they were
    /// configured. A manager that builds the user from them saves the second query. `None` makes
    /// the strategy call [`get`](UserManager::get) instead. An error means that the columns can't
    /// be read, and the request fails with it.
    fn read_joined(&self, row: &Row) -> Option<Result<U, Failure>> {
        let _ = row;
        None
    }
}

#[async_trait]
impl<U, F, Lookup> UserManager<U> for F
where
    U: User,
    F: Fn(U::Id) -> Lookup + Send + Sync,
    Lookup: Future<Output = Result<Option<U>, Failure>> + Send,
{
    async fn get(&self, id: &U::Id) -> Result<Option<U>, Failure> {
        self(id.clone()).await
    }
}

impl From<&UserKey> for Value {
    fn from(key: &UserKey) -> Self {
        match key {
            UserKey::Uuid(id) => Self::Uuid(*id),
            UserKey::Int(id) => Self::Int(*id),
            UserKey::Text(id) => Self::Text(id.clone()),
        }
    }
}
