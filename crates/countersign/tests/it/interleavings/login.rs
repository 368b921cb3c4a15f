//! "Log out everywhere" while somebody logs in.

use countersign::strategy::{Login, LoginFence};
use countersign::{AuthError, Refusal, TokenPair};

use crate::fixture::users::Account;
use crate::interleavings::dice::Dice;
use crate::interleavings::logout::told;
use crate::interleavings::site::Process;
use crate::interleavings::tally::{HandedOut, Seen};

/// A login that read its fence before "everywhere" was called is refused, or what it was given is dead afterwards. One that
/// read it meanwhile may also stay, with all that it was given. The next login is let in.
pub(crate) async fn play(processes: &[Process], number: u64, mut dice: Dice) -> Seen {
    let account = Account::new(u128::from(number) + 1);
    let mut seen = Seen::default();
    let mut earlier = HandedOut::default();
    if dice.one_in(2) {
        earlier.note(
            dice.pick(processes)
                .sessions()
                .open_session(&account)
                .await
                .unwrap(),
        );
    }
    let process = dice.pick(processes).clone();
    let early = dice.one_in(2);
    let fence = if early {
        Some(
            process
                .sessions()
                .login_fence(&account.key())
                .await
                .unwrap(),
        )
    } else {
        None
    };
    let logging_in = tokio::spawn(log_in(process, dice.other(), account.clone(), fence));
    let ending = {
        let (process, mut dice, account) =
            (dice.pick(processes).clone(), dice.other(), account.clone());
        tokio::spawn(async move {
            dice.dawdle(&process).await;
            process
                .sessions()
                .invalidate_all(&account.key())
                .await
                .map(drop)
        })
    };
    let (logged_in, ended) = (logging_in.await.unwrap(), ending.await.unwrap());
    if let Err(failure) = ended {
        seen.failed.push(told("everywhere", &failure));
    }
    let (witness, user) = (dice.pick(processes), account.key());
    match logged_in {
        Ok(pair) => {
            seen.before += 1;
            let session = pair.access.session_id.unwrap();
            let mut handed_out = HandedOut::default();
            handed_out.note(pair);
            if !early
                && witness
                    .sessions()
                    .session(session, &user)
                    .await
                    .unwrap()
                    .is_some()
            {
                witness
                    .sessions()
                    .end_session(session, &user)
                    .await
                    .unwrap();
            }
            seen.risen.extend(handed_out.risen(witness, &user).await);
        }
        Err(AuthError::Refused(Refusal::Overtaken)) => seen.after += 1,
        Err(error) => seen.failed.push(told("a login", &error)),
    }
    if earlier.session.is_some() {
        seen.risen.extend(earlier.risen(witness, &user).await);
    }
    let next = Login::default().behind(witness.sessions().login_fence(&user).await.unwrap());
    match witness.sessions().log_in(&account, &next).await {
        Ok(pair) => {
            witness
                .sessions()
                .end_session(pair.access.session_id.unwrap(), &user)
                .await
                .unwrap();
        }
        Err(error) => seen.failed.push(told("a login afterwards", &error)),
    }
    seen
}

async fn log_in(
    process: Process,
    mut dice: Dice,
    account: Account,
    fence: Option<LoginFence>,
) -> Result<TokenPair, AuthError> {
    dice.dawdle(&process).await;
    let fence = match fence {
        Some(fence) => fence,
        None => process.sessions().login_fence(&account.key()).await?,
    };
    process
        .sessions()
        .log_in(&account, &Login::default().behind(fence))
        .await
}
