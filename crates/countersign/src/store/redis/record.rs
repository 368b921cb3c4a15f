//! The text of one record in a user's hash, which both this code and the scripts read.
//!
//! `form.lua` documents the form. A change here needs the same change there, and a new version:
//! records of both versions are in use at the same time.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use crate::clock::Timestamp;
use crate::session::{ClientInfo, MAX_LIFETIME};
use crate::store::{Consumed, Fence};
use crate::token::Digest;
use crate::user::{UserKey, UserKeyKind};

/// The time for which a record is kept after its end, because clocks differ.
const SLACK: Duration = Duration::from_mins(1);

/// The latest time that a script's floating-point numbers hold exactly, in microseconds.
const LATEST: i64 = 1 << 53;

/// The version of records without a fence.
const BARE: &str = "1";

/// The version of records that end with a fence.
const FENCED: &str = "2";

/// The last part of a record of version 2 that is behind no fence.
const NO_FENCE: &str = "-";

/// An access token, or a session with its refresh token, or a refresh token without a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The time from which the record may be removed.
    pub(super) gone: Timestamp,
    /// The digest of the session's refresh token. It is empty in all other records.
    pub(super) digest: String,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) session_expires_at: Option<Timestamp>,
    /// The parts that only the record of a refresh token has.
    pub(super) refresh: Option<Box<Refresh>>,
    pub(super) behind: Behind,
}

/// The fence that a record is recorded behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// The record has no fence of its own: it is an access token of a session, or a record of
    /// version 1.
    Nothing,
    /// The record is behind no fence: it is a session of version 1 that has been rotated since.
    NoFence,
    /// The record is to be behind the current fence. The script that writes the record fills it in.
    Standing,
    Fence(Fence),
}

/// The parts of a record that only refresh tokens have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refresh {
    /// The digest of the family, or `None` if it can't be read.
    pub(super) family: Option<Digest>,
    pub(super) consumed: Consumed,
    pub(super) opened_at: Option<Timestamp>,
    pub(super) used_at: Option<Timestamp>,
    pub(super) client: ClientInfo,
    /// The latest end of a signed access token of the session.
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
        let version = if self.behind == Behind::Nothing {
            BARE
        } else {
            FENCED
        };
        let mut fields = vec![
            version.to_owned(),
            encode_time(Some(self.gone)),
            self.digest.clone(),
            encode_time(Some(self.created_at)),
            encode_time(self.expires_at),
            encode_time(self.session_expires_at),
        ];

        if let Some(refresh) = &self.refresh {
            fields.extend([
                refresh
                    .family
                    .as_ref()
                    .map(|family| family.as_str().to_owned())
                    .unwrap_or_default(),
                refresh.consumed.to_text(),
                encode_time(refresh.opened_at),
                encode_time(refresh.used_at),
                encode_text(refresh.client.user_agent()),
                refresh
                    .client
                    .ip()
                    .map(|ip| ip.to_string())
                    .unwrap_or_default(),
                encode_text(refresh.client.label()),
            ]);
            if self.behind != Behind::Nothing {
                fields.push(encode_time(refresh.access_expires_at));
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
            // The fence is split off from the end: all other fields are counted from the front.
            FENCED => match rest.rsplit_once('|')? {
                (rest, "") => (rest, Behind::Standing),
                (rest, NO_FENCE) => (rest, Behind::NoFence),
                (rest, fence) => (rest, Behind::Fence(Fence::parse(fence)?)),
            },
            _ => return None,
        };

        let mut fields = rest.split('|');
        let mut record = Self {
            gone: decode_time(fields.next()?)?,
            digest: fields.next()?.to_owned(),
            created_at: decode_time(fields.next()?)?,
            expires_at: decode_end(fields.next()?)?,
            session_expires_at: decode_end(fields.next()?)?,
            refresh: None,
            behind,
        };

        if let Some(family) = fields.next() {
            record.refresh = Some(Box::new(Refresh {
                family: Digest::parse(family),
                consumed: Consumed::parse(fields.next()?)?,
                opened_at: decode_end(fields.next()?)?,
                used_at: decode_end(fields.next()?)?,
                client: client(fields.next()?, fields.next()?, fields.next()?)?,
                access_expires_at: if version == FENCED {
                    decode_end(fields.next()?)?
                } else {
                    None
                },
            }));
        }

        fields.next().is_none().then_some(record)
    }
}

/// Formats a time, or `None` as the empty text. Scripts read it: microseconds since 1970, in
/// decimal digits.
pub(super) fn encode_time(moment: Option<Timestamp>) -> String {
    moment
        .map(|moment| moment.as_micros().to_string())
        .unwrap_or_default()
}

/// Formats a text that may have any characters, or `None` as the empty text.
fn encode_text(text: Option<&str>) -> String {
    text.map(|text| BASE64URL_NOPAD.encode(text.as_bytes()))
        .unwrap_or_default()
}

/// Parses a time.
fn decode_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_micros)
}

/// Parses a time that may be missing: the empty text is `Some(None)`.
#[expect(clippy::option_option, reason = "a missing time is no error")]
fn decode_end(text: &str) -> Option<Option<Timestamp>> {
    if text.is_empty() {
        Some(None)
    } else {
        decode_time(text).map(Some)
    }
}

/// Parses a text of [`encode_text`].
fn decode_text(text: &str) -> Option<String> {
    String::from_utf8(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()
}

/// Parses the parts of a record that describe the client.
fn client(user_agent: &str, ip: &str, label: &str) -> Option<ClientInfo> {
    let client = ClientInfo::new()
        .with_user_agent(&decode_text(user_agent)?)
        .with_label(&decode_text(label)?);
    Some(if ip.is_empty() {
        client
    } else {
        client.with_ip(ip.parse().ok()?)
    })
}

/// Returns the time from which a record may be removed, which is at least its time of issue.
///
/// A record without an end ages by a setting that isn't known here, so it is kept for the longest
/// lifetime that may be set.
pub(super) fn gone(created_at: Timestamp, expires_at: Option<Timestamp>) -> Timestamp {
    // Scripts compute with floating-point numbers, so the result is bounded by what those hold
    // exactly.
    let end = expires_at
        .unwrap_or_else(|| created_at.saturating_add(MAX_LIFETIME))
        .max(created_at);
    Timestamp::from_micros(end.saturating_add(SLACK).as_micros().clamp(0, LATEST))
}

/// Returns a time to live in milliseconds that is never shorter than the time from `created_at` to
/// `gone`.
pub(super) fn ttl(created_at: Timestamp, gone: Timestamp) -> u64 {
    let rest = u64::try_from(gone.since(created_at).as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    rest.max(1)
}

/// Encodes a user's id with its kind: `u`, `i` or `t`, and the id.
pub(super) fn encode_user(user: &UserKey) -> String {
    let kind = match user.kind() {
        UserKeyKind::Uuid => 'u',
        UserKeyKind::Int => 'i',
        UserKeyKind::Text => 't',
    };
    format!("{kind}{}", user.to_subject())
}

/// Parses a text of [`encode_user`].
pub(super) fn decode_user(text: &[u8]) -> Option<UserKey> {
    let text = std::str::from_utf8(text).ok()?;
    let kind = match text.chars().next()? {
        'u' => UserKeyKind::Uuid,
        'i' => UserKeyKind::Int,
        't' => UserKeyKind::Text,
        _ => return None,
    };

    let subject = text.get(1..)?;
    // The empty text is a valid id, which `from_subject` refuses.
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
                client: ClientInfo::new().with_label(&label).with_ip([192, 0, 2, 7].into()),
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
