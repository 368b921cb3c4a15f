//! What a store can get wrong where a user's sessions are ended, counted and listed.

use std::sync::atomic::Ordering;

use countersign::store::{
    ClearUser, Cleared, EndUser, EndedFence, Fence, NewRefresh, Page, RefreshRecord, SessionCursor,
    SessionPage, SweepLimit, TokenStore, UserSurvey,
};
use countersign::testing::user_ids;
use countersign::token::Digest;
use countersign::user::UserKeyKind;
use countersign::{Failure, SystemEntropy, Timestamp, UserKey};

use crate::suite_catches::faults::Fault;
use crate::suite_catches::store::{BrokenStore, everybody};

impl BrokenStore {
    pub(crate) async fn broken_fence(
        &self,
        user: &UserKey,
        fresh: Fence,
        now: Timestamp,
    ) -> Result<Fence, Failure> {
        let swept = self.is(Fault::FenceGoesUnderTokens) && self.calls.load(Ordering::SeqCst) > 0;
        if self.is(Fault::FenceAnewEachTime) || swept {
            self.inner.end_user(&all_of(user, fresh)).await?;
        }
        self.inner.fence(&self.fence_of(user), fresh, now).await
    }

    pub(crate) async fn broken_end_user(&self, end: &EndUser) -> Result<(), Failure> {
        let page = Page {
            after: None,
            limit: u32::MAX,
        };
        *self.before.lock().unwrap() = self.inner.sessions(&end.user, &page).await?.sessions;
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let end = EndUser {
            user: self.fence_of(&end.user),
            ..end.clone()
        };
        match self.fault {
            Fault::EndingIgnored => Ok(()),
            Fault::KeptIgnored => self.inner.end_user(&EndUser { kept: None, ..end }).await,
            Fault::KeptOfOneAlone => {
                self.inner
                    .end_user(&EndUser {
                        kept: end.kept.filter(|_| call == 0),
                        ..end
                    })
                    .await
            }
            Fault::KeptForEver => {
                let kept = end
                    .kept
                    .or(self.kept.lock().unwrap().get(&end.user).copied());
                if let Some(kept) = kept {
                    self.kept.lock().unwrap().insert(end.user.clone(), kept);
                }
                self.inner.end_user(&EndUser { kept, ..end }).await
            }
            Fault::KeptIsSaved => {
                if let Some(kept) = end.kept {
                    self.kept.lock().unwrap().insert(end.user.clone(), kept);
                }
                self.inner.end_user(&end).await
            }
            Fault::KeptRevives => {
                self.inner.end_user(&end).await?;
                self.revive(|opened| opened.session.is_some() && opened.session == end.kept)
                    .await;
                Ok(())
            }
            Fault::RepeatedEndingEnds => {
                // Whoever has another fence by now is ended once more, under a fence that comes before the named one.
                if self.inner.fence(&end.user, end.fence, end.now).await? == end.fence {
                    let between = Fence::generate(&SystemEntropy)?;
                    self.inner
                        .end_user(&EndUser {
                            fence: between,
                            ..end.clone()
                        })
                        .await?;
                }
                self.inner.end_user(&end).await
            }
            Fault::SettledIsListed => {
                self.inner
                    .end_user(&EndUser {
                        settled: false,
                        ..end
                    })
                    .await
            }
            Fault::EndingsLoseOne => {
                let settled = end.settled || self.busy.fetch_add(1, Ordering::SeqCst) > 0;
                tokio::task::yield_now().await;
                let ended = self.inner.end_user(&EndUser { settled, ..end }).await;
                self.busy.fetch_sub(1, Ordering::SeqCst);
                ended
            }
            Fault::EndingLocksOthers => {
                self.busy.fetch_add(1, Ordering::SeqCst);
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                let ended = self.inner.end_user(&end).await;
                self.busy.fetch_sub(1, Ordering::SeqCst);
                ended
            }
            Fault::UserIdsByPrefix => {
                let UserKey::Text(prefix) = &end.user else {
                    return self.inner.end_user(&end).await;
                };
                for user in user_ids(UserKeyKind::Text) {
                    if matches!(&user, UserKey::Text(text) if text.starts_with(prefix.as_str())) {
                        self.inner
                            .end_user(&EndUser {
                                user,
                                ..end.clone()
                            })
                            .await?;
                    }
                }
                Ok(())
            }
            _ => self.inner.end_user(&end).await,
        }
    }

    /// Records again what was recorded once, behind no fence.
    pub(crate) async fn revive(&self, which: impl Fn(&NewRefresh) -> bool) {
        let opened: Vec<_> = self
            .opened
            .lock()
            .unwrap()
            .iter()
            .filter(|opened| which(opened))
            .cloned()
            .collect();
        for opened in opened {
            // What is there still can't be recorded.
            let _ = self
                .inner
                .insert_refresh(&opened.with_fence(None), None)
                .await;
        }
    }

    /// What was recorded under a family, whatever became of it.
    pub(crate) fn opened_with(&self, family: &Digest) -> Option<RefreshRecord> {
        let opened = self
            .opened
            .lock()
            .unwrap()
            .iter()
            .find(|opened| opened.family == *family)
            .cloned()?;
        Some(RefreshRecord::from(&opened))
    }

    pub(crate) async fn broken_unsettled(
        &self,
        user: &UserKey,
    ) -> Result<Vec<EndedFence>, Failure> {
        let mut unsettled = self.inner.unsettled(user).await?;
        match self.fault {
            Fault::UnsettledForgotten => unsettled.clear(),
            Fault::KeptNotTold => unsettled.iter_mut().for_each(|ended| ended.kept = None),
            Fault::UnsettledLatestAlone => {
                drop(unsettled.drain(..unsettled.len().saturating_sub(1)));
            }
            _ => {}
        }
        Ok(unsettled)
    }

    pub(crate) async fn broken_settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        now: Timestamp,
    ) -> Result<(), Failure> {
        match self.fault {
            Fault::SettleIgnored => Ok(()),
            Fault::SettlesAll => {
                let all: Vec<_> = self
                    .inner
                    .unsettled(user)
                    .await?
                    .iter()
                    .map(|ended| ended.fence)
                    .collect();
                self.inner.settle(user, &all, now).await
            }
            Fault::SettlesStrangers => {
                for user in everybody() {
                    self.inner.settle(&user, fences, now).await?;
                }
                Ok(())
            }
            _ => self.inner.settle(user, fences, now).await,
        }
    }

    pub(crate) async fn broken_clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        let mut clear = clear.clone();
        match self.fault {
            Fault::KeptIsSaved => {
                clear.kept = clear
                    .kept
                    .or(self.kept.lock().unwrap().get(&clear.user).copied());
            }
            Fault::ClearIgnoresUnfenced => clear.unfenced = false,
            Fault::ClearTakesUnfenced => clear.unfenced = true,
            Fault::ClearTakesKept => clear.kept = None,
            Fault::ClearUnbounded => clear.rows = u32::MAX,
            Fault::ClearEndsAnew => {
                self.inner
                    .end_user(&all_of(&clear.user, Fence::generate(&SystemEntropy)?))
                    .await?;
            }
            Fault::ClearSettles => {
                let all: Vec<_> = self
                    .inner
                    .unsettled(&clear.user)
                    .await?
                    .iter()
                    .map(|ended| ended.fence)
                    .collect();
                self.inner
                    .settle(&clear.user, &all, Timestamp::from_micros(0))
                    .await?;
            }
            _ => {}
        }
        let mut cleared = self.inner.clear(&clear).await?;
        match self.fault {
            Fault::ClearSaysNoMore => cleared.more = false,
            Fault::ClearSaysMoreForEver => cleared.more = true,
            _ => {}
        }
        Ok(cleared)
    }

    pub(crate) async fn broken_survey(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        let of_all = {
            let mut changed = limit
                .with_access_created(Timestamp::from_micros(0))
                .with_refresh_created(Timestamp::from_micros(0));
            changed.now = Timestamp::from_micros(0);
            changed
        };
        let survey = self.inner.survey_part(user, limit, after).await?;
        match self.fault {
            Fault::SurveyCountsExpired => self.inner.survey(user, &of_all).await,
            Fault::SurveyEndOfExpired => {
                let access_expires_at = self.inner.survey(user, &of_all).await?.access_expires_at;
                Ok({
                    let mut changed = survey;
                    changed.access_expires_at = access_expires_at;
                    changed
                })
            }
            Fault::SurveyForgetsEnd => Ok({
                let mut changed = survey;
                changed.access_expires_at = None;
                changed
            }),
            Fault::SurveyOutlivesEnding if survey.sessions == 0 => {
                let sessions = u64::try_from(self.before.lock().unwrap().len()).unwrap();
                Ok({
                    let mut changed = survey;
                    changed.sessions = sessions;
                    changed
                })
            }
            Fault::SurveyOfEverybody => {
                let mut sessions = 0;
                for user in everybody() {
                    sessions += self.inner.survey(&user, limit).await?.sessions;
                }
                Ok({
                    let mut changed = survey;
                    changed.sessions = sessions;
                    changed
                })
            }
            _ => Ok(survey),
        }
    }

    pub(crate) async fn broken_page(
        &self,
        user: &UserKey,
        page: &Page,
    ) -> Result<SessionPage, Failure> {
        match self.fault {
            Fault::PageUnbounded => {
                let whole = Page {
                    limit: u32::MAX,
                    ..page.clone()
                };
                self.inner.sessions(user, &whole).await
            }
            Fault::PageRepeats => {
                let mut part = self.inner.sessions(user, page).await?;
                let before = page
                    .after
                    .as_ref()
                    .and_then(|after| after.as_str().parse().ok());
                if let Some(before) = before {
                    part.sessions.pop();
                    part.sessions
                        .extend(self.inner.find_session(before, user).await?);
                }
                Ok(part)
            }
            Fault::PageLosesOne => {
                let mut part = self.inner.sessions(user, page).await?;
                if page.after.is_some() {
                    part.sessions.pop();
                }
                Ok(part)
            }
            Fault::PagesForEver => {
                let mut part = self.inner.sessions(user, page).await?;
                part.next = part.next.or_else(|| "0".parse().ok());
                Ok(part)
            }
            Fault::PageByOffset => self.page_by_offset(user, page).await,
            Fault::ForeignCursorIsAnError => {
                let foreign = page
                    .after
                    .as_ref()
                    .is_some_and(|after| after.as_str().len() != 36);
                if foreign {
                    Err(Self::unknown())
                } else {
                    self.inner.sessions(user, page).await
                }
            }
            Fault::ForeignCursorShowsOthers => {
                let mut part = self.inner.sessions(user, page).await?;
                let named = page
                    .after
                    .as_ref()
                    .and_then(|after| after.as_str().parse().ok());
                for user in everybody()
                    .filter(|_| part.sessions.is_empty())
                    .collect::<Vec<_>>()
                {
                    if let Some(named) = named {
                        part.sessions
                            .extend(self.inner.find_session(named, &user).await?);
                    }
                }
                Ok(part)
            }
            Fault::ListOutlivesEnding => {
                let mut part = self.inner.sessions(user, page).await?;
                if part.sessions.is_empty() {
                    part.sessions.clone_from(&self.before.lock().unwrap());
                }
                Ok(part)
            }
            Fault::SessionsOfEverybody => {
                let mut all = Vec::new();
                for user in everybody() {
                    all.extend(self.inner.sessions(&user, page).await?.sessions);
                }
                all.truncate(usize::try_from(page.limit).unwrap());
                Ok(SessionPage::new(all, None))
            }
            _ => {
                let mut part = self.inner.sessions(user, page).await?;
                let sessions = part.sessions.into_iter();
                part.sessions = sessions.map(|session| self.session(session)).collect();
                Ok(part)
            }
        }
    }

    /// Counts how many sessions were shown: what ends meanwhile moves the others to earlier places.
    async fn page_by_offset(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let whole = self
            .inner
            .sessions(
                user,
                &Page {
                    after: None,
                    limit: u32::MAX,
                },
            )
            .await?
            .sessions;
        let from = page
            .after
            .as_ref()
            .and_then(|after| after.as_str().parse().ok())
            .unwrap_or(0);
        let to = usize::try_from(page.limit).unwrap().saturating_add(from);
        let next = (to < whole.len()).then(|| to.to_string().parse().unwrap());
        Ok(SessionPage::new(
            whole.into_iter().skip(from).take(to - from).collect(),
            next,
        ))
    }
}

fn all_of(user: &UserKey, fence: Fence) -> EndUser {
    EndUser {
        user: user.clone(),
        fence,
        kept: None,
        settled: true,
        now: Timestamp::from_micros(0),
    }
}
