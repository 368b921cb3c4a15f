//! Lists and surveys of a user's sessions, a piece at a time.
//!
//! A large hash is walked by `HSCAN`. No script looks at more than about 500 fields, so the cost of
//! a piece doesn't depend on the number of sessions. A cursor is the text of a `Position`.

use std::collections::BTreeMap;
use std::fmt;

use super::args::{Listing, Survey};
use super::handle::RedisTokenStore;
use super::read::session_record;
use super::record::Record;
use super::write::micros;
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::event;
use crate::session::SessionId;
use crate::store::{Page, SessionCursor, SessionPage, SessionRecord, SweepLimit, UserSurvey};
use crate::user::UserKey;

/// The maximum number of sessions on a page.
const PAGE: usize = 500;

/// The maximum number of pieces that are looked at for one page.
const PIECES: usize = 10;

/// The cursor of the start of a walk, which is also Redis's answer at its end.
const FROM_START: u64 = 0;

/// The position of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    /// The index of the user's key, in the order of the ring.
    key: usize,
    /// The `HSCAN` cursor of the next step in that key.
    cursor: u64,
    /// The end of the step and the last session shown, if only a part of the step fitted on the
    /// page.
    part: Option<(u64, SessionId)>,
}

impl Position {
    /// Parses the text of a place. Returns `None` for any other text.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('.');
        let (key, cursor) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let part = match words.next() {
            None => None,
            Some(end) => Some((end.parse().ok()?, words.next()?.parse().ok()?)),
        };
        words.next().is_none().then_some(Self { key, cursor, part })
    }

    /// Returns the place of a step. After the last step of a key this is the start of the next key.
    fn at(key: usize, cursor: u64) -> Self {
        if cursor == FROM_START {
            Self {
                key: key + 1,
                ..Self::default()
            }
        } else {
            Self {
                key,
                cursor,
                part: None,
            }
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.key, self.cursor)?;
        self.part
            .map_or(Ok(()), |(end, last)| write!(f, ".{end}.{last}"))
    }
}

impl RedisTokenStore {
    /// Returns a page of sessions.
    ///
    /// `HSCAN` returns every field that was there all the time, in an order of its own.
    pub(super) async fn page(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let mut place = match &page.after {
            None => Position::default(),
            Some(after) => match Position::parse(after.as_str()) {
                Some(place) => place,
                None => return Ok(SessionPage::default()),
            },
        };
        let most = usize::try_from(page.limit).unwrap_or(PAGE).clamp(1, PAGE);
        let (keys, mut sessions) = (self.keys_of(user), BTreeMap::new());

        for _ in 0..PIECES {
            let Some(key) = keys.get(place.key) else {
                break;
            };
            let is_full;
            (place, is_full) = self.piece(key, place, most, &mut sessions).await?;
            if is_full || sessions.len() >= most {
                break;
            }
        }

        Ok(SessionPage {
            sessions: sessions.into_values().collect(),
            next: Self::cursor(&keys, place),
        })
    }

    /// Lists one piece into `sessions`. Returns the next place, and `true` if the page is full.
    async fn piece(
        &self,
        key: &str,
        place: Position,
        most: usize,
        sessions: &mut BTreeMap<SessionId, SessionRecord>,
    ) -> Result<(Position, bool), Failure> {
        let (part_end, after) = place
            .part
            .map(|(end, last)| (end.to_string(), format!("s{last}")))
            .unwrap_or_default();
        let room = most.saturating_sub(sessions.len());
        let listing = Listing {
            cursor: place.cursor.to_string(),
            part_end,
            after,
            room: room.to_string(),
            most: most.to_string(),
        };
        let listed: Vec<Vec<u8>> = self
            .redis
            .eval(&self.scripts.page, &[key], &listing.into_args())
            .await?;

        let (next, part_end) = (
            decimal(listed.first()).unwrap_or(FROM_START),
            decimal(listed.get(1)),
        );
        let is_full = listed.get(1).is_some_and(|end| !end.is_empty());
        let last = read_listed(listed.into_iter().skip(2), sessions);

        // The script says where its walk ends; what the page has no room for begins the next page.
        let place = match (part_end, last) {
            (Some(end), Some(last)) => Position {
                cursor: next,
                part: Some((end, last)),
                ..place
            },
            // No field of the listed part names a session.
            (Some(end), None) => Position::at(place.key, end),
            // The step that didn't fit may be the first one of its key.
            (None, _) if is_full => Position {
                cursor: next,
                part: None,
                ..place
            },
            (None, _) => Position::at(place.key, next),
        };

        Ok((place, is_full))
    }

    /// Counts the sessions of one piece.
    pub(super) async fn count(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        let place = after.map_or(Some(Position::default()), |after| {
            Position::parse(after.as_str())
        });

        let keys = self.keys_of(user);
        let Some((place, key)) = place.and_then(|place| Some((place, keys.get(place.key)?))) else {
            return Ok(UserSurvey::default());
        };
        let survey = Survey {
            cursor: place.cursor.to_string(),
            now: micros(limit.now),
            issued: micros(limit.refresh_created),
        };
        let (next, sessions, latest): (u64, u64, String) = self
            .redis
            .eval(&self.scripts.survey, &[key], &survey.into_args())
            .await?;

        Ok(UserSurvey {
            sessions,
            access_expires_at: latest.parse().ok().map(Timestamp::from_micros),
            next: Self::cursor(&keys, Position::at(place.key, next)),
        })
    }

    /// Returns the cursor of a place, or `None` after the last key.
    fn cursor(keys: &[String], place: Position) -> Option<SessionCursor> {
        keys.get(place.key)
            .and_then(|_| place.to_string().parse().ok())
    }
}

/// Reads the sessions that the script has listed into `sessions`: field, record and mark of each.
/// Returns the last session whose field can be read.
fn read_listed(
    mut listed: impl Iterator<Item = Vec<u8>>,
    sessions: &mut BTreeMap<SessionId, SessionRecord>,
) -> Option<SessionId> {
    let mut last = None;
    while let (Some(field), Some(record), Some(mark)) =
        (listed.next(), listed.next(), listed.next())
    {
        let id = std::str::from_utf8(&field)
            .ok()
            .and_then(|field| field.strip_prefix('s')?.parse().ok());
        // The list goes on after a session whose record can't be read.
        last = id.or(last);

        match id.zip(Record::decode(&record)) {
            Some((id, record)) => {
                sessions.insert(id, session_record(id, record, Record::decode(&mark)));
            }
            None => event::token_row_unreadable(),
        }
    }
    last
}

/// Returns the number in an element of an answer, or `None` if it has no number.
fn decimal(text: Option<&Vec<u8>>) -> Option<u64> {
    std::str::from_utf8(text?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back() {
        let session = "32bf7cfe-40c2-4e5c-9f3a-2d1c1f0a9b7e".parse().unwrap();
        for part in [None, Some((0, session)), Some((u64::MAX, session))] {
            let place = Position {
                key: 3,
                cursor: u64::MAX,
                part,
            };
            let cursor: SessionCursor = place.to_string().parse().unwrap();
            assert_eq!(Position::parse(cursor.as_str()), Some(place));
        }
        for text in [
            "",
            "1",
            "1.",
            "a.b",
            "0.-1",
            "0.1.2",
            "0.1.2.x",
            "0.1.2.32bf7cfe-40c2-4e5c-9f3a-2d1c1f0a9b7e.3",
        ] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
