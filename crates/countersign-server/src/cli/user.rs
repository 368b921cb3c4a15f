//! The command `countersign user`, which manages accounts. A server may be running, but doesn't
//! have to.
//!
//! Accounts are named by email address, in any spelling, or by id. As JSON, `add` prints the
//! account and `list` prints `users`. The other commands print the account's `id` and, if they end
//! sessions, the number of `sessions_ended`.

use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::accounts::{Account, Change, Email, Line, Lookup};
use crate::cli::output::{Output, confirmed, table};
use crate::cli::password::PasswordSource;
use crate::compose::Services;
use crate::config::Config;
use crate::deployment::Purpose;
use crate::error::Error;

/// The number of accounts that are read at a time.
const PAGE: u32 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add an account
    Add {
        /// Email address of the account
        email: String,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// List all accounts, ordered by email address
    List,
    /// Disable an account and end all its sessions
    Disable {
        /// Email address or id of the account
        account: String,
    },
    /// Enable an account again; sessions that were ended stay ended
    Enable {
        /// Email address or id of the account
        account: String,
    },
    /// Delete an account and end all its sessions
    Delete {
        /// Email address or id of the account
        account: String,
        /// Don't ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Set a new password for an account and end all its sessions
    SetPassword {
        /// Email address or id of the account
        account: String,
        #[command(flatten)]
        password: PasswordSource,
    },
}

impl UserCommand {
    /// Returns what the command needs of the deployment. Only those that end sessions need to know
    /// how tokens are made.
    const fn purpose(&self) -> Purpose {
        match self {
            Self::Add { .. } | Self::List => Purpose::Manage,
            Self::Disable { .. }
            | Self::Enable { .. }
            | Self::Delete { .. }
            | Self::SetPassword { .. } => Purpose::EndSessions,
        }
    }
}

/// Runs a subcommand.
pub(super) async fn run(
    config: &Config,
    command: UserCommand,
    output: Output,
) -> Result<(), Error> {
    let services = Services::open(config, command.purpose()).await?;
    match command {
        UserCommand::Add { email, password } => add(&services, &email, &password, output).await,
        UserCommand::List => list(&services, output).await,
        UserCommand::Disable { account } => disable(&services, &account, output).await,
        UserCommand::Enable { account } => enable(&services, &account, output).await,
        UserCommand::Delete { account, yes } => delete(&services, &account, yes, output).await,
        UserCommand::SetPassword { account, password } => {
            set_password(&services, &account, &password, output).await
        }
    }
}

async fn add(
    services: &Services,
    email: &str,
    password: &PasswordSource,
    output: Output,
) -> Result<(), Error> {
    let email = Email::parse(email).map_err(|not| Error::Usage(format!("{email:?} {not}")))?;
    let password = password.read()?;
    match services.registrar.register(&email, password).await? {
        Some(account) => output.print(
            &shown(&account),
            &format!("added {} ({})", account.email, account.id),
        ),
        None => Err(Error::Refused(format!(
            "an account for {} already exists",
            email.as_str()
        ))),
    }
}

async fn list(services: &Services, output: Output) -> Result<(), Error> {
    let mut accounts = Vec::new();
    let mut after = String::new();
    loop {
        let page = services.accounts().list(&after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.email);
        accounts.extend(page);
    }

    let mut rows = vec![["EMAIL", "ID", "ACTIVE", "VERIFIED", "CREATED"].map(str::to_owned)];
    rows.extend(accounts.iter().map(|account| {
        let created = account
            .created_at
            .map(|moment| moment.to_string())
            .unwrap_or_default();
        [
            account.email.clone(),
            account.id.to_string(),
            yes_or_no(account.is_active).to_owned(),
            yes_or_no(account.is_verified).to_owned(),
            created,
        ]
    }));

    let users: Vec<Value> = accounts.iter().map(shown).collect();
    output.print(&json!({ "users": users }), &table(&rows))
}

const fn yes_or_no(truth: bool) -> &'static str {
    if truth { "yes" } else { "no" }
}

async fn disable(services: &Services, account: &str, output: Output) -> Result<(), Error> {
    let account = find(services, account).await?;
    let ended = change(services, &account, Change::Disable).await?;
    let text = format!("disabled {}; {ended} sessions ended", account.email);
    output.print(
        &json!({ "id": account.id, "is_active": false, "sessions_ended": ended }),
        &text,
    )
}

async fn enable(services: &Services, account: &str, output: Output) -> Result<(), Error> {
    let account = find(services, account).await?;
    // A login that raced with the disabling may have left tokens, which must not become valid now.
    services.changes.end(account.id, None).await?;
    services.accounts().enable(account.id).await?;
    output.print(
        &json!({ "id": account.id, "is_active": true }),
        &format!("enabled {}", account.email),
    )
}

async fn delete(
    services: &Services,
    account: &str,
    yes: bool,
    output: Output,
) -> Result<(), Error> {
    let account = find(services, account).await?;
    let question = format!("Delete {} permanently?", account.email);
    if !yes
        && !confirmed(
            &question,
            "can't ask for confirmation without a terminal; pass --yes to delete the account",
        )?
    {
        return Err(Error::Refused(
            "not confirmed; nothing was deleted".to_owned(),
        ));
    }

    let ended = change(services, &account, Change::Delete).await?;
    let text = format!("deleted {}; {ended} sessions ended", account.email);
    output.print(
        &json!({ "id": account.id, "deleted": true, "sessions_ended": ended }),
        &text,
    )
}

async fn set_password(
    services: &Services,
    account: &str,
    password: &PasswordSource,
    output: Output,
) -> Result<(), Error> {
    let account = find(services, account).await?;
    let hash = services
        .logins
        .hasher
        .hash(Line::Login, password.read()?)
        .await?;
    let ended = change(services, &account, Change::Password(&hash)).await?;
    let text = format!(
        "{} has a new password; {ended} sessions ended",
        account.email
    );
    output.print(&json!({ "id": account.id, "sessions_ended": ended }), &text)
}

/// Makes a change of an account. Returns the number of sessions that ended.
async fn change(services: &Services, account: &Account, change: Change<'_>) -> Result<u64, Error> {
    let ended = services.changes.make(account.id, change, None).await?;
    ended.ok_or_else(|| Error::Refused(format!("account {} no longer exists", account.email)))
}

/// Finds an account by its id or email address.
///
/// # Errors
/// [`Error::Usage`] if `text` is neither, and [`Error::Refused`] if there is no such account.
pub(super) async fn find(services: &Services, text: &str) -> Result<Account, Error> {
    let account = match (Uuid::try_parse(text.trim()), Lookup::of(text)) {
        (Ok(id), _) => services.accounts().by_id(id).await?,
        (_, Some(address)) => services.accounts().by_address(&address).await?,
        _ => {
            return Err(Error::Usage(format!(
                "{text:?} is neither an email address nor an account id"
            )));
        }
    };
    account.ok_or_else(|| Error::Refused(format!("there is no account for {text}")))
}

/// Returns an account as JSON.
fn shown(account: &Account) -> Value {
    json!({
        "id": account.id,
        "email": account.email,
        "is_active": account.is_active,
        "is_verified": account.is_verified,
        "created_at": account.created_at.map(|moment| moment.to_string()),
    })
}
