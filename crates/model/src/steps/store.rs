//! The store's guarded operations, each one step: what its guard reads and what it writes can't be torn apart.

use crate::call::Refresh;
use crate::mutant::Mutant;
use crate::protocol::Protocol;
use crate::settings::{Access, Settings};
use crate::state::{Cause, Consumed, History, KEPT, Record, SESSIONS, State, TOKENS, Tick, Token};
use crate::steps::Guarded;

impl State {
    /// Inserts a session with its first tokens, and gives its refresh token. `None`: it can't be done within the
    /// bounds of this search.
    pub(crate) fn open(&mut self, settings: &Settings, era: u8, password: u8, access: bool) -> Option<u8> {
        let now = self.now;
        let absolute_end = now.saturating_add(settings.absolute);
        let idle_end = now.saturating_add(settings.idle).min(absolute_end);
        let session = self.history.push(History {
            birth: now,
            absolute_end,
            era,
            password,
            ended: None,
            condemned: None,
            reports: 0,
            revived: false,
        })?;
        let current = self.mint(settings, session, None)?;
        let record = Record { current, consumed: [None; KEPT], birth: now, idle_end, absolute_end };
        self.store.records.set(session, Some(record));
        if access {
            self.issue(settings, current, now.saturating_add(settings.access_life).min(idle_end));
        }
        Some(current)
    }

    /// A fresh token of the session, or the one that was derived from the same token and salt before.
    pub(super) fn mint(&mut self, settings: &Settings, session: u8, derived: Option<(u8, u8)>) -> Option<u8> {
        if derived.is_some() {
            let same = self.tokens.iter().find(|(_, token)| token.derived == derived);
            if let Some((token, _)) = same {
                return Some(token);
            }
        }
        if self.tokens.len() >= settings.tokens.min(TOKENS) {
            return None;
        }
        self.tokens.push(Token { session, derived, consumed: None, first_sent: None })
    }

    /// A salt that was never drawn before.
    pub(super) fn salt(&self) -> u8 {
        (0..).zip(self.tokens.iter()).map(|(count, _): (u8, _)| count + 1).last().unwrap_or_default()
    }

    /// Records an access token, or signs one.
    pub(super) fn issue(&mut self, settings: &Settings, refresh: u8, ends: Tick) {
        match settings.access {
            Access::Opaque => self.store.access.set(refresh, Some(ends).filter(|ends| self.now < *ends)),
            Access::Signed => {
                let session = self.session_of(refresh).map(usize::from);
                if let Some(last) = session.and_then(|session| self.store.signed.get_mut(session)) {
                    *last = if ends > self.now { ends.max(*last) } else { *last };
                }
            }
        }
    }

    /// Until when the access token is good that came with this refresh token.
    pub(super) fn access_end(&self, refresh: u8) -> Tick {
        self.store.access.get(refresh).copied().unwrap_or_default()
    }

    /// Puts a successor in the presented token's place, if that is current and its session's ends are still to come.
    /// `None`: it can't be done within the bounds of this search.
    pub(super) fn rotate(&mut self, model: &Protocol, refresh: &Refresh, guarded: bool) -> Option<Guarded> {
        let settings = &model.settings;
        let at = refresh.at;
        let session = self.session_of(refresh.token)?;
        let history = *self.history.get(session)?;
        let created = Record {
            current: refresh.token,
            consumed: [None; KEPT],
            birth: history.birth,
            idle_end: at,
            absolute_end: history.absolute_end,
        };
        let record = self.store.records.get(session).copied();
        let Some(mut record) = record.or(Some(created).filter(|_| model.is(Mutant::RotationCreates))) else {
            return Some(Guarded::Refused);
        };
        if guarded && record.current != refresh.token {
            return Some(Guarded::Refused);
        }
        let unjudged = [Mutant::IdleEndUnjudged, Mutant::AgeReadEarlier, Mutant::RotationCreates];
        if !record.is_live(at) && !unjudged.into_iter().any(|mutant| model.is(mutant)) {
            return Some(Guarded::Refused);
        }

        let salt = self.salt();
        let successor = self.mint(settings, session, Some((refresh.token, salt)))?;
        let revived = !record.is_live(at) && self.store.records.get(session).is_some();
        if model.is(Mutant::AbsoluteEndMoves) {
            record.absolute_end = at.saturating_add(settings.absolute);
        }
        record.current = successor;
        record.consumed.rotate_right(1);
        if let Some(newest) = record.consumed.first_mut() {
            *newest = Some(Consumed { token: refresh.token, at, salt });
        }
        if settings.close_on_use && !model.is(Mutant::ConfirmedStaysOpen) {
            for older in record.consumed.iter_mut().skip(1) {
                *older = None;
            }
        }
        record.idle_end = at.saturating_add(settings.idle).min(record.absolute_end);
        self.store.records.set(session, Some(record));
        let life = at.saturating_add(settings.access_life);
        let ends = if model.is(Mutant::AccessOutlivesSession) { life } else { life.min(record.idle_end) };
        self.issue(settings, successor, ends);

        if let Some(token) = self.tokens.get_mut(refresh.token) {
            token.consumed = token.consumed.or(Some(at));
        }
        if let Some(history) = self.history.get_mut(session) {
            history.revived |= revived;
        }
        Some(Guarded::Wrote(successor))
    }

    /// Removes a session's record. Gives whether there was one.
    pub(super) fn remove_record(&mut self, session: u8, cause: Cause) -> bool {
        let there = self.store.records.get(session).is_some();
        if there {
            self.store.records.set(session, None);
            if let Some(history) = self.history.get_mut(session) {
                history.ended = history.ended.or(Some(cause));
            }
        }
        there
    }

    /// Whether there is a record whose session has ended by age.
    pub(crate) fn has_aged(&self) -> bool {
        self.store.records.iter().any(|(_, record)| !record.is_live(self.now))
    }

    /// Removes the sessions that have ended by age.
    pub(crate) fn sweep(&mut self) {
        for session in (0..).take(SESSIONS) {
            if self.store.records.get(session).is_some_and(|record| !record.is_live(self.now)) {
                self.store.records.set(session, None);
                self.remove_access(session);
            }
        }
    }

    /// Removes a session's stored access tokens.
    pub(super) fn remove_access(&mut self, session: u8) {
        for token in (0..).take(TOKENS) {
            if self.session_of(token) == Some(session) {
                self.store.access.set(token, None);
            }
        }
    }

    /// Denies a session's id.
    pub(super) fn deny(&mut self, session: u8, until: Tick) {
        if let Some(denied) = self.store.denied.get_mut(usize::from(session)) {
            *denied = if until > self.now { until.max(*denied) } else { *denied };
        }
    }

    /// The sessions that have a record, one bit each.
    pub(super) fn listed(&self) -> u8 {
        (0..)
            .take(SESSIONS)
            .filter(|session| self.store.records.get(*session).is_some())
            .map(crate::protocol::bit)
            .sum()
    }
}
