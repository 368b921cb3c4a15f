//! A session that ends while it is refreshed.

use std::error::Error;

use countersign::{AuthError, Failure, PlainToken, SessionId, UserKey};
use tokio::task::JoinSet;

use crate::fixture::users::{Account, users};
use crate::interleavings::dice::Dice;
use crate::interleavings::site::Process;
use crate::interleavings::tally::{HandedOut, Seen};

#[derive(Clone, Copy)]
enum Ending {
    ById,
    ByCurrentToken,
    ByOldToken,
    Everywhere,
}

const ENDINGS: [Ending; 4] = [
    Ending::ById,
    Ending::ByCurrentToken,
    Ending::ByOldToken,
    Ending::Everywhere,
];

/// A session is opened, and perhaps refreshed once; then it is refreshed by one to three callers and ended by another.
pub(crate) async fn play(processes: &[Process], number: u64, mut dice: Dice) -> Seen {
    let account = Account::new(u128::from(number) + 1);
    let mut handed_out = HandedOut::default();
    let ending = *dice.pick(&ENDINGS);
    let first = handed_out.note(
        dice.pick(processes)
            .sessions()
            .open_session(&account)
            .await
            .unwrap(),
    );
    let mut current = first.clone();
    if matches!(ending, Ending::ByOldToken) || dice.one_in(2) {
        let refreshed = dice
            .pick(processes)
            .sessions()
            .refresh_session(&first, &users)
            .await;
        current = handed_out.note(refreshed.expect("nobody else has it").issued);
    }
    let session = handed_out.session.unwrap();

    let mut refreshing = JoinSet::new();
    let refreshers = 1 + dice.below(3);
    let turn = dice.below(refreshers + 1);
    let begin_refresh = |dice: &mut Dice, refreshing: &mut JoinSet<_>| {
        refreshing.spawn(refresh(
            dice.pick(processes).clone(),
            dice.other(),
            current.clone(),
        ));
    };
    (0..turn).for_each(|_| begin_refresh(&mut dice, &mut refreshing));
    let shown = if matches!(ending, Ending::ByOldToken) {
        first
    } else {
        current.clone()
    };
    let process = dice.pick(processes).clone();
    let ended = tokio::spawn(end(
        process,
        dice.other(),
        ending,
        session,
        account.key(),
        shown,
    ));
    (turn..refreshers).for_each(|_| begin_refresh(&mut dice, &mut refreshing));

    let mut seen = Seen::default();
    if let Err(failure) = ended.await.unwrap() {
        seen.failed.push(told("the end", &failure));
    }
    for refreshed in refreshing.join_all().await {
        match refreshed {
            Ok(refreshed) => {
                seen.before += refreshed.answered;
                seen.after += refreshed.refused;
                handed_out.add(refreshed.handed_out);
            }
            Err(failure) => seen.failed.push(told("a refresh", &failure)),
        }
    }
    seen.risen = handed_out.risen(dice.pick(processes), &account.key()).await;
    seen
}

pub(crate) fn told(what: &str, error: &dyn Error) -> String {
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{what}: {error}: {source}")
}

async fn end(
    process: Process,
    mut dice: Dice,
    ending: Ending,
    session: SessionId,
    user: UserKey,
    token: PlainToken,
) -> Result<(), Failure> {
    dice.dawdle(&process).await;
    match ending {
        Ending::ById => process
            .sessions()
            .end_session(session, &user)
            .await
            .map(drop),
        Ending::ByCurrentToken | Ending::ByOldToken => {
            process.sessions().end_session_of(&token).await.map(drop)
        }
        Ending::Everywhere => process.sessions().invalidate_all(&user).await.map(drop),
    }
}

#[derive(Default)]
struct Refreshed {
    handed_out: HandedOut,
    answered: u64,
    refused: u64,
}

/// One refresh, or the same once more, or another of what came of the first.
async fn refresh(
    process: Process,
    mut dice: Dice,
    token: PlainToken,
) -> Result<Refreshed, AuthError> {
    let (retries, goes_on) = (dice.one_in(3), dice.one_in(3));
    let mut refreshed = Refreshed::default();
    dice.dawdle(&process).await;
    let successor = refreshed.by(&process, &token).await?;
    if retries {
        refreshed.by(&process, &token).await?;
    }
    if let Some(successor) = successor.filter(|_| goes_on) {
        dice.dawdle(&process).await;
        refreshed.by(&process, &successor).await?;
    }
    Ok(refreshed)
}

impl Refreshed {
    async fn by(
        &mut self,
        process: &Process,
        token: &PlainToken,
    ) -> Result<Option<PlainToken>, AuthError> {
        match process.sessions().refresh_session(token, &users).await {
            Ok(refreshed) => {
                self.answered += 1;
                Ok(Some(self.handed_out.note(refreshed.issued)))
            }
            Err(AuthError::Refused(_)) => {
                self.refused += 1;
                Ok(None)
            }
            Err(failed) => Err(failed),
        }
    }
}
