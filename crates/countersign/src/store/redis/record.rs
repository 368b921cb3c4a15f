//! What stands in a user's key for one token: a line of text that both the scripts and we read.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use crate::client::Client;
use crate::clock::Timestamp;
use crate::policy::MAX_LIFETIME;
use crate::store::{Consumed, Fence};
use crate::token::Digest;
use crate::user::{UserKey, UserKeyKind};

/// How much longer than promised a record is kept, for clocks that differ.
const SLACK: Duration = Duration::from_mins(1);

/// The latest moment that a script's numbers hold exactly.
const LATEST: i64 = 1 << 53;

/// The version of records without a fence.
const BARE: &str = "1";

/// The version of records that end with a fence.
const FENCED: &str = "2";

/// What such a record ends with that is behind none.
const NO_FENCE: &str = "-";

/// An access token, or a session with its refresh token, or a refresh token without session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// When it may be removed.
    pub(super) gone: Timestamp,
    /// The digest of the session's refresh token; empty in all other records.
    pub(super) digest: String,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) session_expires_at: Option<Timestamp>,
    /// What a refresh token's record says besides.
    pub(super) refresh: Option<Box<Refresh>>,
    pub(super) behind: Behind,
}

/// What a record is recorded behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// No fence of its own: an access token of a session, or a record from before fences.
    Nothing,
    /// No fence: a session from before fences that has been rotated since.
    NoFence,
    /// The fence that stands, whichever that is: the script that writes the record completes it.
    Standing,
    Fence(Fence),
}

/// What is kept of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refresh {
    /// Nothing for a record whose family can't be read.
    pub(super) family: Option<Digest>,
    pub(super) consumed: Consumed,
    pub(super) opened_at: Option<Timestamp>,
    pub(super) used_at: Option<Timestamp>,
    pub(super) client: Client,
    /// When the latest of its signed access tokens ends.
    pub(super) access_expires_at: Option<Timestamp>,
}

impl Behind {
    pub(super) const fn fence(self) -> Option<Fence> {
        match self {
            Self::Fence(fence) => Some(fence),
            Self::Nothing | Self::NoFence | Self::Standing => None,
        }
    }
}

impl Record {
    pub(super) fn encode(&self) -> String {
        let moment =
            |moment: Option<Timestamp>| moment.map(|moment| moment.as_micros().to_string()).unwrap_or_default();
        let version = if self.behind == Behind::Nothing { BARE } else { FENCED };
        let mut fields = vec![
            version.to_owned(),
            moment(Some(self.gone)),
            self.digest.clone(),
            moment(Some(self.created_at)),
            moment(self.expires_at),
            moment(self.session_expires_at),
        ];
        if let Some(refresh) = &self.refresh {
            let text =
                |text: Option<&str>| text.map(|text| BASE64URL_NOPAD.encode(text.as_bytes())).unwrap_or_default();
            fields.extend([
                refresh.family.as_ref().map(|family| family.as_str().to_owned()).unwrap_or_default(),
                refresh.consumed.to_text(),
                moment(refresh.opened_at),
                moment(refresh.used_at),
                text(refresh.client.user_agent()),
                refresh.client.ip().map(|ip| ip.to_string()).unwrap_or_default(),
                text(refresh.client.label()),
            ]);
            if self.behind != Behind::Nothing {
                fields.push(moment(refresh.access_expires_at));
            }
        }
        match self.behind {
            Behind::Nothing => {}
            Behind::NoFence => fields.push(NO_FENCE.to_owned()),
            Behind::Standing => fields.push(String::new()),
            Behind::Fence(fence) => fields.push(fence.to_text()),
        }
        fields.join("|")
    }

    /// `None` for anything that [`encode`](Self::encode) doesn't write.
    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        let (version, rest) = std::str::from_utf8(text).ok()?.split_once('|')?;
        let (rest, behind) = match version {
            BARE => (rest, Behind::Nothing),
            FENCED => match rest.rsplit_once('|')? {
                (rest, "") => (rest, Behind::Standing),
                (rest, NO_FENCE) => (rest, Behind::NoFence),
                (rest, fence) => (rest, Behind::Fence(Fence::parse(fence)?)),
            },
            _ => return None,
        };
        let mut fields = rest.split('|');
        let moment = |text: &str| text.parse().ok().map(Timestamp::from_micros);
        let end = |text: &str| if text.is_empty() { Some(None) } else { moment(text).map(Some) };
        let mut record = Self {
            gone: moment(fields.next()?)?,
            digest: fields.next()?.to_owned(),
            created_at: moment(fields.next()?)?,
            expires_at: end(fields.next()?)?,
            session_expires_at: end(fields.next()?)?,
            refresh: None,
            behind,
        };
        if let Some(family) = fields.next() {
            record.refresh = Some(Box::new(Refresh {
                family: Digest::parse(family),
                consumed: Consumed::parse(fields.next()?)?,
                opened_at: end(fields.next()?)?,
                used_at: end(fields.next()?)?,
                client: client(fields.next()?, fields.next()?, fields.next()?)?,
                access_expires_at: if version == FENCED { end(fields.next()?)? } else { None },
            }));
        }
        fields.next().is_none().then_some(record)
    }
}

fn client(user_agent: &str, ip: &str, label: &str) -> Option<Client> {
    let text = |text: &str| String::from_utf8(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok();
    let client = Client::new().with_user_agent(&text(user_agent)?).with_label(&text(label)?);
    Some(if ip.is_empty() { client } else { client.with_ip(ip.parse().ok()?) })
}

/// When a record with this end may be removed, seen from its issue. One without an end ages by a setting that may be
/// as long as any.
pub(super) fn gone(created_at: Timestamp, expires_at: Option<Timestamp>) -> Timestamp {
    let end = expires_at.unwrap_or_else(|| created_at.saturating_add(MAX_LIFETIME)).max(created_at);
    Timestamp::from_micros(end.saturating_add(SLACK).as_micros().clamp(0, LATEST))
}

/// A time to live in milliseconds that is never shorter than the time from `created_at` to `gone`.
pub(super) fn ttl(created_at: Timestamp, gone: Timestamp) -> u64 {
    let rest = u64::try_from(gone.since(created_at).as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    rest.max(1)
}

/// A user's id with its kind.
pub(super) fn encode_user(user: &UserKey) -> String {
    let kind = match user.kind() {
        UserKeyKind::Uuid => 'u',
        UserKeyKind::Int => 'i',
        UserKeyKind::Text => 't',
    };
    format!("{kind}{}", user.to_subject())
}

pub(super) fn decode_user(text: &[u8]) -> Option<UserKey> {
    let text = std::str::from_utf8(text).ok()?;
    let kind = match text.chars().next()? {
        'u' => UserKeyKind::Uuid,
        'i' => UserKeyKind::Int,
        't' => UserKeyKind::Text,
        _ => return None,
    };
    let subject = text.get(1..)?;
    // The empty text is an id as any other.
    if subject.is_empty() && kind == UserKeyKind::Text {
        return Some(UserKey::Text(String::new()));
    }
    UserKey::from_subject(kind, subject)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times() -> impl Strategy<Value = Timestamp> {
        any::<i64>().prop_map(Timestamp::from_micros)
    }

    proptest! {
        #[test]
        fn records_come_back(
            gone in times(),
            digest in "[0-9a-f]{0,64}",
            created_at in times(),
            expires_at in proptest::option::of(times()),
            session_expires_at in proptest::option::of(times()),
            used_at in proptest::option::of(times()),
            label in ".{0,40}",
            of_session in any::<bool>(),
            behind in prop_oneof![Just(Behind::Nothing),
                Just(Behind::NoFence), Just(Behind::Standing), Just(Behind::Fence(Fence::default()))],
        ) {
            let refresh = Refresh {
                family: Digest::parse(&"0f".repeat(32)),
                consumed: Consumed::default(),
                opened_at: Some(created_at),
                used_at,
                client: Client::new().with_label(&label).with_ip([192, 0, 2, 7].into()),
                access_expires_at: used_at.filter(|_| behind != Behind::Nothing),
            };
            let refresh = of_session.then(|| Box::new(refresh));
            let record = Record { gone, digest, created_at, expires_at, session_expires_at, refresh, behind };
            prop_assert_eq!(Record::decode(record.encode().as_bytes()), Some(record));
        }

        #[test]
        fn no_bytes_break_the_readers(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "[0-9|a-]{0,40}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Some(record) = Record::decode(bytes) {
                    prop_assert!(Record::decode(record.encode().as_bytes()).is_some());
                }
                let _ = decode_user(bytes);
            }
        }

        #[test]
        fn text_ids_come_back(id in ".{0,40}") {
            let user = UserKey::Text(id);
            prop_assert_eq!(decode_user(encode_user(&user).as_bytes()), Some(user));
        }

        #[test]
        fn keys_live_as_long_as_promised(created_at in 0..LATEST / 2, life in 1..LATEST / 4) {
            let created_at = Timestamp::from_micros(created_at);
            let promised = Duration::from_micros(u64::try_from(life).unwrap());
            let gone = gone(created_at, Some(created_at.saturating_add(promised)));
            prop_assert!(Duration::from_millis(ttl(created_at, gone)) >= promised);
        }
    }

    #[test]
    fn other_forms_are_no_records() {
        for text in [
            "",
            "1",
            "2|5||3||",
            "1|x||3||",
            "1|5||||",
            "1|5||3|||",
            "1|5||3|x|",
            "alice",
            "v1|5||3||",
            "3|5||3||",
            "2|5||3||",
            "2|5||3|||e",
        ] {
            assert_eq!(Record::decode(text.as_bytes()), None, "{text}");
        }
    }
}
