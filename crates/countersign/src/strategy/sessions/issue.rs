//! The making of tokens and of the records that stores keep of them. Only
//! [`Sessions::write_access`] writes.

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::profile::Profile;
use crate::session::{ClientInfo, SessionId};
use crate::store::{NewAccess, NewRefresh, Opened, TokenStore};
use crate::strategy::sessions::{Grant, Sessions};
use crate::token::{Digest, Family, IssuedToken, Locator, PlainToken, TokenKind};
use crate::user::UserKey;

/// The number of attempts to record a token without a session, each of which reads the fence anew.
/// Another "log out everywhere" may come between reading and recording.
const FENCE_READS: usize = 8;

impl<S: TokenStore> Sessions<S> {
    /// Makes the first refresh token of a session, with a new random family.
    pub(super) fn first_refresh(
        &self,
        grant: &Grant,
    ) -> Result<(IssuedToken, NewRefresh), Failure> {
        let token = self
            .format
            .generate(TokenKind::Refresh, grant.locator, &*self.entropy)?;
        self.new_refresh(grant, token)
    }

    /// Makes the access token of a login. Later ones are derived from refresh tokens.
    pub(super) fn first_access(&self, grant: &Grant) -> Result<(IssuedToken, NewAccess), Failure> {
        let token = self
            .format
            .generate(TokenKind::Access, grant.locator, &*self.entropy)?;
        Ok(self.new_access(grant, token))
    }

    /// Issues an access token of `user` that belongs to no session, recorded behind the current
    /// fence.
    pub(in crate::strategy) async fn write_access(
        &self,
        user: &UserKey,
    ) -> Result<IssuedToken, Failure> {
        for _ in 0..FENCE_READS {
            let fence = self.fence(user).await?.fence;
            let token = self.format.generate(
                TokenKind::Access,
                self.store.locator(user, None),
                &*self.entropy,
            )?;
            let (issued, record) = self.access_record(token, user, None, self.now());
            if self
                .store
                .insert_access(&NewAccess {
                    fence: Some(fence),
                    ..record
                })
                .await?
                == Opened::Done
            {
                return Ok(issued);
            }
        }

        Err(Failure::unavailable(
            "sessions",
            "the user was logged out everywhere during every attempt",
        ))
    }

    /// Returns a refresh token with its times, and the record for it.
    pub(super) fn new_refresh(
        &self,
        grant: &Grant,
        token: PlainToken,
    ) -> Result<(IssuedToken, NewRefresh), Failure> {
        let expires_at = self
            .lifetimes
            .refresh_end(grant.issued_at, grant.session_end);
        let record = NewRefresh {
            digest: self.digests.digest(&token),
            family: self.family(&token)?,
            user: grant.user.clone(),
            session: Some(grant.session),
            created_at: grant.issued_at,
            expires_at: self.stored_end(
                expires_at,
                grant.issued_at.saturating_add(self.lifetimes.refresh()),
            ),
            session_expires_at: grant.session_end,
            access_expires_at: None,
            client: ClientInfo::new(),
            fence: grant.fence,
        };

        Ok((
            IssuedToken {
                token,
                issued_at: grant.issued_at,
                expires_at,
                session_id: Some(grant.session),
            },
            record,
        ))
    }

    /// Returns an access token of a session with its times, and the record for it.
    pub(super) fn new_access(&self, grant: &Grant, token: PlainToken) -> (IssuedToken, NewAccess) {
        let session = (grant.session, grant.session_end);
        self.access_record(token, &grant.user, Some(session), grant.issued_at)
    }

    /// Returns an access token with its times, and the record for it.
    fn access_record(
        &self,
        token: PlainToken,
        user: &UserKey,
        session: Option<(SessionId, Option<Timestamp>)>,
        issued_at: Timestamp,
    ) -> (IssuedToken, NewAccess) {
        let (session, session_end) =
            session.map_or((None, None), |(session, end)| (Some(session), end));
        let expires_at = self.lifetimes.access_end(issued_at, session_end);
        let record = NewAccess {
            digest: self.digests.digest(&token),
            user: user.clone(),
            session,
            created_at: issued_at,
            expires_at: self.stored_end(
                expires_at,
                issued_at.saturating_add(self.lifetimes.access()),
            ),
            fence: None,
        };

        (
            IssuedToken {
                token,
                issued_at,
                expires_at,
                session_id: session,
            },
            record,
        )
    }

    /// Returns the expiry to store, or `None` to let the row age by its time of issue.
    ///
    /// litestar-auth stores no expiry, so that a changed lifetime applies to old rows too. In its
    /// profile it is left out where the age alone gives the same expiry.
    fn stored_end(&self, end: Timestamp, by_age: Timestamp) -> Option<Timestamp> {
        (self.profile == Profile::Countersign || end != by_age).then_some(end)
    }

    /// Returns the digest that the family of a token is stored under, which is that of the active
    /// key.
    fn family(&self, token: &PlainToken) -> Result<Digest, Failure> {
        let locator = Locator::of(token.expose());
        let found = self.digests.families(&Family::of(token), locator).next();
        found.ok_or_else(|| Failure::internal("sessions", "the key ring has no key"))
    }
}
