//! The command `countersign session`, which lists and ends the sessions of an account.
//!
//! As JSON, `list` prints `sessions` and `next`, the cursor of the next page (or `null`). `revoke`
//! prints the account's `id` and the ids of the `revoked` sessions, or with `--all` the number of
//! `sessions_ended`.

use clap::Subcommand;
use countersign::store::{Page, SessionCursor, SessionRecord};
use countersign::strategy::RefreshableStrategy;
use countersign::token::EndOutcome;
use countersign::{SessionId, Timestamp, UserId};
use serde_json::{Value, json};

use crate::accounts::Account;
use crate::cli::output::{Output, table};
use crate::cli::user::find;
use crate::compose::Services;
use crate::config::Config;
use crate::deployment::Purpose;
use crate::error::Error;

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// List the active sessions of an account page by page, most recently used first within a page
    List {
        /// Email address or id of the account
        account: String,
        /// Maximum number of sessions to list
        #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Continue after this cursor, which the previous page printed
        #[arg(long, value_name = "CURSOR")]
        after: Option<SessionCursor>,
    },
    /// End sessions of an account, immediately and on every server
    Revoke {
        /// Email address or id of the account
        account: String,
        /// Ids of the sessions, as `session list` prints them
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        sessions: Vec<SessionId>,
        /// End all sessions, including those of logins in progress
        #[arg(long)]
        all: bool,
    },
}

/// Runs a subcommand.
pub(super) async fn run(
    config: &Config,
    command: SessionCommand,
    output: Output,
) -> Result<(), Error> {
    let services = Services::open(config, Purpose::EndSessions).await?;

    match command {
        SessionCommand::List {
            account,
            limit,
            after,
        } => list(&services, &account, &Page { after, limit }, output).await,
        SessionCommand::Revoke {
            account,
            sessions,
            all,
        } => revoke(&services, &account, &sessions, all, output).await,
    }
}

/// Prints a page of sessions. Pages are in the order of the store; within a page, the session that
/// was used last comes first.
async fn list(services: &Services, text: &str, page: &Page, output: Output) -> Result<(), Error> {
    let account = find(services, text).await?;
    let found = refreshable(services)?
        .sessions_of(&account.id.to_key(), page)
        .await?;
    let mut sessions = found.sessions;
    sessions.sort_by_key(|session| std::cmp::Reverse(session.used_at.max(session.refreshed_at)));

    let mut rows = vec![
        [
            "SESSION",
            "CREATED",
            "LAST USED",
            "EXPIRES",
            "ADDRESS",
            "CLIENT",
        ]
        .map(str::to_owned),
    ];
    rows.extend(sessions.iter().map(row));

    let next = found.next.as_ref().map(SessionCursor::as_str);
    let more = next
        .map(|next| format!("\nFor more sessions: countersign session list {text} --after {next}"))
        .unwrap_or_default();
    let table = format!("{}{more}", table(&rows));

    output.print(
        &json!({ "sessions": sessions.iter().map(shown).collect::<Vec<_>>(), "next": next }),
        &table,
    )
}

async fn revoke(
    services: &Services,
    account: &str,
    sessions: &[SessionId],
    all: bool,
    output: Output,
) -> Result<(), Error> {
    let account = find(services, account).await?;
    if all {
        let ended = services.changes.end(account.id, None).await?;
        return output.print(
            &json!({ "id": account.id, "sessions_ended": ended }),
            &format!("{}: all sessions ended ({ended})", account.email),
        );
    }

    let mut revoked = Vec::new();
    for session in sessions {
        match refreshable(services)?
            .end_session(*session, &account.id.to_key())
            .await?
        {
            EndOutcome::Ended => revoked.push(session.to_string()),
            // Stops at a wrong id. The error names the sessions that have ended before it.
            EndOutcome::AlreadyEnded => return Err(unknown(&account, *session, &revoked)),
        }
    }

    let text = format!(
        "{}: {} of {} sessions ended",
        account.email,
        revoked.len(),
        sessions.len()
    );
    output.print(&json!({ "id": account.id, "revoked": revoked }), &text)
}

/// Returns the error for a session that the account doesn't have. It names the sessions ended
/// before it.
fn unknown(account: &Account, session: SessionId, revoked: &[String]) -> Error {
    let before = if revoked.is_empty() {
        String::new()
    } else {
        format!("; already ended: {}", revoked.join(", "))
    };
    Error::Refused(format!(
        "{} has no session {session}{before}",
        account.email
    ))
}

/// Returns the strategy's sessions, or an error if the strategy has none.
fn refreshable(services: &Services) -> Result<&dyn RefreshableStrategy<Account>, Error> {
    services.strategy.as_refreshable().ok_or_else(|| {
        Error::Refused("strategy redis has no sessions in profile litestar-auth".into())
    })
}

/// Returns the cells of a session in the table.
fn row(session: &SessionRecord) -> [String; 6] {
    let client = &session.client;
    [
        session.id.to_string(),
        moment(session.opened_at.or(session.refreshed_at)),
        moment(session.used_at.max(session.refreshed_at)),
        moment(session.expires_at),
        client.ip().map(|ip| ip.to_string()).unwrap_or_default(),
        client
            .label()
            .or(client.user_agent())
            .unwrap_or_default()
            .to_owned(),
    ]
}

/// Returns the text of a moment, which is empty for none.
fn moment(moment: Option<Timestamp>) -> String {
    moment.map(|moment| moment.to_string()).unwrap_or_default()
}

/// Returns a session as JSON.
fn shown(session: &SessionRecord) -> Value {
    let [id, created_at, last_used_at, expires_at, ..] = row(session);
    let client = &session.client;
    json!({
        "id": id,
        "created_at": created_at,
        "last_used_at": last_used_at,
        "expires_at": expires_at,
        "client": {
            "ip": client.ip().map(|ip| ip.to_string()),
            "user_agent": client.user_agent(),
            "label": client.label(),
        },
    })
}
