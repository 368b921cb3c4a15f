//! The store's guarded operations. Each is one step: nothing comes between what its guard reads and
//! what it writes.

use crate::call::Refresh;
use crate::mutant::Mutant;
use crate::protocol::{Protocol, bit};
use crate::settings::{Access, Settings};
use crate::state::{
    Cause, Consumed, History, KEPT, NO_FENCE, Record, SESSIONS, State, TOKENS, Tick, Token,
};
use crate::steps::Guarded;

/// The values of a session that is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The time on the server's clock.
    pub clock: Tick,
    /// The lifetime of the access token.
    pub life: Tick,
    /// The fence that the session is recorded behind.
    pub fence: u8,
    /// The number of calls to end everything that had begun when the login began.
    pub era: u8,
    /// The password that the login proved.
    pub password: u8,
}

/// An access token that is handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Issued {
    /// The refresh token that it comes with.
    pub(super) refresh: u8,
    /// The fence that it is recorded behind, or that it carries if it is signed.
    pub(super) fence: u8,
    /// The end of the token.
    pub(super) ends: Tick,
}

impl State {
    /// Inserts a session with its first tokens, and returns its refresh token.
    ///
    /// Returns `None` if it does not fit in the bounds of the search.
    pub(crate) fn open(
        &mut self,
        settings: &Settings,
        opening: Opening,
        access: bool,
    ) -> Option<u8> {
        let Opening {
            clock,
            life,
            fence,
            era,
            password,
        } = opening;

        let absolute_end = clock.saturating_add(settings.absolute);
        let idle_end = clock.saturating_add(settings.idle).min(absolute_end);
        let session = self.history.push(History {
            birth: clock,
            absolute_end,
            era,
            password,
            fence,
            ended: None,
            condemned: None,
            reports: 0,
            revived: false,
        })?;

        let current = self.mint(settings, session, None)?;
        let ends = clock.saturating_add(life).min(idle_end);
        let access_end = if access && settings.access == Access::Signed {
            ends
        } else {
            0
        };
        let consumed = [None; KEPT];
        let record = Record {
            current,
            consumed,
            birth: clock,
            idle_end,
            absolute_end,
            fence,
            access_end,
        };

        self.store.records.set(session, Some(record));
        if access {
            self.issue(
                settings,
                Issued {
                    refresh: current,
                    fence,
                    ends,
                },
            );
        }

        Some(current)
    }

    /// Returns the token that was derived from the same token and salt before, or a new token of
    /// the session.
    ///
    /// Returns `None` if there is no room for another token.
    pub(super) fn mint(
        &mut self,
        settings: &Settings,
        session: u8,
        derived: Option<(u8, u8)>,
    ) -> Option<u8> {
        if derived.is_some() {
            let same = self
                .tokens
                .iter()
                .find(|(_, token)| token.derived == derived);
            if let Some((token, _)) = same {
                return Some(token);
            }
        }

        if self.tokens.len() >= settings.tokens.min(TOKENS) {
            return None;
        }

        self.tokens.push(Token {
            session,
            derived,
            consumed: None,
            ahead: 0,
            first_sent: None,
        })
    }

    /// Returns a salt that was never drawn before.
    pub(super) fn salt(&self) -> u8 {
        (0..)
            .zip(self.tokens.iter())
            .map(|(count, _): (u8, _)| count + 1)
            .last()
            .unwrap_or_default()
    }

    /// Records an access token, or signs one.
    pub(super) fn issue(&mut self, settings: &Settings, issued: Issued) {
        let Issued {
            refresh,
            fence,
            ends,
        } = issued;
        let lives = self.now < ends;

        match settings.access {
            Access::Opaque => {
                let access = crate::state::Access { ends, fence };
                self.store
                    .access
                    .set(refresh, Some(access).filter(|_| lives));
            }
            Access::Signed => {
                let session = self.session_of(refresh).map(usize::from);
                let signed = session.and_then(|session| self.store.signed.get_mut(session));
                if let Some(last) = signed
                    .and_then(|signed| signed.get_mut(usize::from(fence)))
                    .filter(|_| lives)
                {
                    *last = ends.max(*last);
                }
            }
        }
    }

    /// Returns the end of the stored access token that came with this refresh token.
    pub(super) fn access_end(&self, refresh: u8) -> Tick {
        self.store
            .access
            .get(refresh)
            .map(|access| access.ends)
            .unwrap_or_default()
    }

    /// Replaces the presented token by its successor, if it is current and the session has not
    /// ended.
    ///
    /// Returns `None` if it does not fit in the bounds of the search.
    pub(super) fn rotate(
        &mut self,
        model: &Protocol,
        refresh: &Refresh,
        guarded: bool,
    ) -> Option<Guarded> {
        let settings = &model.settings;
        let at = refresh.at;
        let session = self.session_of(refresh.token)?;
        let record = self.store.records.get(session).copied();
        let Some(mut record) = record.or_else(|| {
            self.created(refresh, session)
                .filter(|_| model.is(Mutant::RotationCreates))
        }) else {
            return Some(Guarded::Refused);
        };

        let ended = self.store.has_ended(record.fence);
        let unfenced = ended && !model.is(Mutant::RotationBehindAnyFence);
        // The signed token will carry the fence that the look found, so the record must still have
        // it.
        let other = model.is_signed()
            && record.fence != refresh.fence
            && !model.is(Mutant::RotationOfAnyFence);
        if guarded && (record.current != refresh.token || unfenced || other) {
            return Some(Guarded::Refused);
        }

        let unjudged = [
            Mutant::IdleEndUnjudged,
            Mutant::AgeReadEarlier,
            Mutant::RotationCreates,
        ];
        if !record.is_live(at) && !unjudged.into_iter().any(|mutant| model.is(mutant)) {
            return Some(Guarded::Refused);
        }

        let salt = self.salt();
        let successor = self.mint(settings, session, Some((refresh.token, salt)))?;
        let revived = (!record.is_live(at) || ended) && self.store.records.get(session).is_some();
        if model.is(Mutant::AbsoluteEndMoves) {
            record.absolute_end = at.saturating_add(settings.absolute);
        }
        record.current = successor;
        remember(
            model,
            &mut record,
            Consumed {
                token: refresh.token,
                at,
                salt,
            },
        );

        record.idle_end = at.saturating_add(settings.idle).min(record.absolute_end);
        let life = at.saturating_add(model.life(refresh.server));
        let ends = if model.is(Mutant::AccessOutlivesSession) {
            life
        } else {
            life.min(record.idle_end)
        };
        if model.is_signed() {
            let moves_back = model.is(Mutant::RecordedEndMovesBack);
            record.access_end = if moves_back {
                ends
            } else {
                ends.max(record.access_end)
            };
        }

        self.store.records.set(session, Some(record));
        let fence = if model.is_signed() {
            refresh.fence
        } else {
            record.fence
        };
        self.issue(
            settings,
            Issued {
                refresh: successor,
                fence,
                ends,
            },
        );

        let (now, ahead) = (model.truth(self, at), self.ahead);
        if let Some(token) = self
            .tokens
            .get_mut(refresh.token)
            .filter(|token| token.consumed.is_none())
        {
            (token.consumed, token.ahead) = (Some(now), ahead);
        }
        if let Some(history) = self.history.get_mut(session) {
            history.revived |= revived;
        }

        Some(Guarded::Wrote(successor))
    }

    /// Returns the record that a broken rotation creates if it finds none.
    fn created(&self, refresh: &Refresh, session: u8) -> Option<Record> {
        let history = self.history.get(session)?;
        Some(Record {
            current: refresh.token,
            consumed: [None; KEPT],
            birth: history.birth,
            idle_end: refresh.at,
            absolute_end: history.absolute_end,
            fence: history.fence,
            access_end: 0,
        })
    }

    /// Removes a session's record and returns `true` if there was one.
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

    /// Returns `true` if there is a session that has expired by the slowest clock.
    pub(crate) fn has_aged(&self) -> bool {
        self.store
            .records
            .iter()
            .any(|(_, record)| !record.is_live(self.clock(0)))
    }

    /// Removes the sessions that have expired by the slowest clock.
    pub(crate) fn sweep(&mut self) {
        let clock = self.clock(0);
        for session in (0..).take(SESSIONS) {
            if self
                .store
                .records
                .get(session)
                .is_some_and(|record| !record.is_live(clock))
            {
                self.store.records.set(session, None);
                self.remove_access(session, u8::MAX);
            }
        }
    }

    /// Removes the stored access tokens of a session that are in the set `among`.
    pub(super) fn remove_access(&mut self, session: u8, among: u8) {
        for token in (0..).take(TOKENS) {
            if self.session_of(token) == Some(session) && among & bit(token) != 0 {
                self.store.access.set(token, None);
            }
        }
    }

    /// Returns the stored access tokens, one bit each.
    pub(super) fn stored_access(&self) -> u8 {
        self.store.access.iter().map(|(token, _)| bit(token)).sum()
    }

    /// Returns the sessions that are behind no fence and are found, one bit each.
    pub(super) fn unfenced(&self) -> u8 {
        self.store
            .records
            .iter()
            .filter(|(_, record)| record.fence == NO_FENCE)
            .map(|(session, _)| bit(session))
            .sum()
    }
}

/// Records a token that was exchanged, and forgets those outside their window.
///
/// A token outside its window leaves together with all older ones: of those that stay, each is the
/// successor of the one before.
fn remember(model: &Protocol, record: &mut Record, token: Consumed) {
    let settings = &model.settings;
    if settings.close_on_use && !model.is(Mutant::ConfirmedStaysOpen) {
        record.consumed = [None; KEPT];
    }
    let open = record
        .consumed
        .map(|older| older.is_some_and(|older| model.is_open(older.at, token.at)));
    let oldest = open.iter().rposition(|is_open| *is_open);
    let parted = model.is(Mutant::NeighboursParted);

    for (place, (older, is_open)) in record.consumed.iter_mut().zip(open).enumerate() {
        let stays = if parted {
            is_open
        } else {
            oldest.is_some_and(|oldest| place <= oldest)
        };
        *older = older.filter(|_| stays);
    }

    if parted {
        record.consumed.sort_unstable_by_key(Option::is_none);
    }
    record.consumed.rotate_right(1);
    if let Some(newest) = record.consumed.first_mut() {
        *newest = Some(token);
    }
}
