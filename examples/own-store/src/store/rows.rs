//! The values of the tables, as JSON, and their way to and from the types of countersign.

use countersign::store::{
    AccessRecord, Consumed, Fence, NewAccess, NewRefresh, RefreshRecord, SessionRecord,
};
use countersign::token::Digest;
use countersign::user::UserKeyKind;
use countersign::{ClientInfo, Failure, Timestamp, UserKey};
use serde::{Deserialize, Serialize};

/// The reason for which a step in the database stops. Its transaction is rolled back then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Transaction(#[from] Box<redb::TransactionError>),
    #[error(transparent)]
    Table(#[from] redb::TableError),
    #[error(transparent)]
    Storage(#[from] redb::StorageError),
    #[error(transparent)]
    Commit(#[from] redb::CommitError),
    #[error("a row is not as this store writes it")]
    Row(#[from] serde_json::Error),
    #[error("an id is not as this store writes it")]
    Id,
    #[error("the digest is recorded already")]
    Taken,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            // A bug or a foreign file: asking again won't help, so it is no outage.
            Fault::Row(_) | Fault::Id | Fault::Taken => Self::internal("redb store", fault),
            _ => Self::unavailable("redb store", fault),
        }
    }
}

/// The members that access tokens and refresh tokens have in common.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct TokenRow {
    pub(crate) user: String,
    pub(crate) session: Option<String>,
    /// The fence that the token is recorded behind.
    pub(crate) fence: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
}

impl TokenRow {
    pub(crate) fn of_access(access: &NewAccess, fence: Option<String>) -> Self {
        Self {
            user: user_text(&access.user),
            session: access.session.map(|session| session.to_string()),
            fence,
            created_at: access.created_at.as_micros(),
            expires_at: access.expires_at.map(Timestamp::as_micros),
        }
    }

    pub(crate) fn of_refresh(refresh: &NewRefresh) -> Self {
        Self {
            user: user_text(&refresh.user),
            session: refresh.session.map(|session| session.to_string()),
            fence: refresh.fence.map(Fence::to_text),
            created_at: refresh.created_at.as_micros(),
            expires_at: refresh.expires_at.map(Timestamp::as_micros),
        }
    }

    pub(crate) fn access_record(&self) -> Result<AccessRecord, Fault> {
        let mut record = AccessRecord::new(user_key(&self.user)?);
        record.session = parsed(self.session.as_deref())?;
        record.created_at = Some(Timestamp::from_micros(self.created_at));
        record.expires_at = self.expires_at.map(Timestamp::from_micros);
        Ok(record)
    }

    fn fence(&self) -> Result<Option<Fence>, Fault> {
        self.fence.as_deref().map(fence).transpose()
    }
}

/// The members that only refresh tokens have.
#[derive(Deserialize, Serialize)]
pub(crate) struct RefreshRow {
    pub(crate) family: String,
    pub(crate) consumed: String,
    pub(crate) opened_at: i64,
    pub(crate) authenticated_at: i64,
    pub(crate) used_at: Option<i64>,
    pub(crate) session_expires_at: Option<i64>,
    pub(crate) access_expires_at: Option<i64>,
    user_agent: Option<String>,
    ip: Option<std::net::IpAddr>,
    label: Option<String>,
}

impl RefreshRow {
    pub(crate) fn new(refresh: &NewRefresh) -> Self {
        Self {
            family: refresh.family.as_str().to_owned(),
            consumed: String::new(),
            opened_at: refresh.created_at.as_micros(),
            authenticated_at: refresh.created_at.as_micros(),
            used_at: None,
            session_expires_at: refresh.session_expires_at.map(Timestamp::as_micros),
            access_expires_at: refresh.access_expires_at.map(Timestamp::as_micros),
            user_agent: refresh.client.user_agent().map(ToOwned::to_owned),
            ip: refresh.client.ip(),
            label: refresh.client.label().map(ToOwned::to_owned),
        }
    }

    pub(crate) fn record(&self, token: &str, row: &TokenRow) -> Result<RefreshRecord, Fault> {
        let mut record = RefreshRecord::new(user_key(&row.user)?);
        record.digest = Digest::parse(token);
        record.consumed = self.consumed()?;
        record.session = parsed(row.session.as_deref())?;
        record.created_at = Some(Timestamp::from_micros(row.created_at));
        record.expires_at = row.expires_at.map(Timestamp::from_micros);
        record.session_expires_at = self.session_expires_at.map(Timestamp::from_micros);
        record.access_expires_at = self.access_expires_at.map(Timestamp::from_micros);
        record.fence = row.fence()?;
        Ok(record)
    }

    /// Returns the session of the token, or `None` if it has none.
    pub(crate) fn session_record(
        &self,
        token: &str,
        row: &TokenRow,
    ) -> Result<Option<SessionRecord>, Fault> {
        let Some(id) = parsed(row.session.as_deref())? else {
            return Ok(None);
        };

        let mut record = SessionRecord::new(id);
        record.opened_at = Some(Timestamp::from_micros(self.opened_at));
        record.authenticated_at = Some(Timestamp::from_micros(self.authenticated_at));
        record.refreshed_at = Some(Timestamp::from_micros(row.created_at));
        record.used_at = self.used_at.map(Timestamp::from_micros);
        record.expires_at = row.expires_at.map(Timestamp::from_micros);
        record.session_expires_at = self.session_expires_at.map(Timestamp::from_micros);
        record.access_expires_at = self.access_expires_at.map(Timestamp::from_micros);
        record.current = Digest::parse(token);
        record.consumed = self.consumed()?;
        record.fence = row.fence()?;
        record.client = self.client();

        Ok(Some(record))
    }

    fn consumed(&self) -> Result<Consumed, Fault> {
        Consumed::parse(&self.consumed).ok_or(Fault::Id)
    }

    fn client(&self) -> ClientInfo {
        let client = ClientInfo::new();
        let client = self
            .user_agent
            .iter()
            .fold(client, |client, text| client.with_user_agent(text));
        let client = self
            .label
            .iter()
            .fold(client, |client, text| client.with_label(text));
        self.ip.into_iter().fold(client, ClientInfo::with_ip)
    }
}

/// The fence of a user, and the replaced ones that nobody has settled.
#[derive(Default, Deserialize, Serialize)]
pub(crate) struct UserRow {
    pub(crate) fence: Option<String>,
    pub(crate) used_at: i64,
    /// Each with the session that went on, the latest at the end.
    pub(crate) unsettled: Vec<(String, Option<String>)>,
}

/// Returns the key of a user: ids of different kinds never share one.
pub(crate) fn user_text(user: &UserKey) -> String {
    let kind = match user.kind() {
        UserKeyKind::Uuid => 'u',
        UserKeyKind::Int => 'i',
        UserKeyKind::Text => 't',
    };
    format!("{kind}{}", user.to_subject())
}

fn user_key(text: &str) -> Result<UserKey, Fault> {
    let (kind, id) = text.split_at_checked(1).ok_or(Fault::Id)?;
    let key = match kind {
        "u" => UserKey::from_subject(UserKeyKind::Uuid, id),
        "i" => UserKey::from_subject(UserKeyKind::Int, id),
        _ => Some(UserKey::Text(id.to_owned())),
    };
    key.ok_or(Fault::Id)
}

pub(crate) fn fence(text: &str) -> Result<Fence, Fault> {
    Fence::parse(text).ok_or(Fault::Id)
}

/// Parses the text of an id that may be absent.
pub(crate) fn parsed<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, Fault> {
    text.map(|text| text.parse().map_err(|_| Fault::Id))
        .transpose()
}
