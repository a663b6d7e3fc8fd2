//! Queuing mails about accounts. A job sends them, and makes the links at that time.

use std::net::IpAddr;
use std::time::Duration;

use db::job::{self, NewJob, Priority};
use db::mailed_link::{self, Purpose};
use db::{Db, Tx};
use model::{AccountMail, MailLanguage, PrincipalId, Timestamp};

use crate::{Error, Result};

/// Maximum links for one purpose that are mailed to an account within [`SPELL`]: more would be a nuisance to the
/// address's owner.
const MOST_LINKS: i64 = 3;
const SPELL: Duration = Duration::from_secs(15 * 60);

/// Maximum queued mails; further requests, from any network, have to wait.
const MOST_WAITING: i64 = 1_000;

/// Queues a mail with links that set a new password, for the accounts with an address. It is the same work whether or
/// not there is one: the job that sends the mail looks for it. If one is queued already, none is added.
///
/// # Errors
/// [`Error::MailsWait`].
pub async fn forgot_password(
    db: &Db,
    (email, asked_from, language): (String, IpAddr, MailLanguage),
    now: Timestamp,
) -> Result<()> {
    let mail = AccountMail::Reset {
        email,
        asked_from: Some(asked_from),
        language,
    };
    db.write(move |tx| Box::pin(async move { order(tx, &mail, now).await }))
        .await
}

/// Whether a principal was mailed the maximum number of links for a purpose lately.
///
/// # Errors
/// When the database fails.
pub(crate) async fn is_flooded(
    tx: &mut Tx,
    links: (PrincipalId, Purpose),
    now: Timestamp,
) -> Result<bool> {
    let made = mailed_link::count_since(tx, links, now.minus(SPELL)).await?;
    Ok(made >= MOST_LINKS)
}

/// Queues a mail in a transaction that may do more.
///
/// # Errors
/// [`Error::MailsWait`].
pub(crate) async fn order(tx: &mut Tx, mail: &AccountMail, now: Timestamp) -> Result<()> {
    let key = match mail {
        AccountMail::Verification { user, .. } => format!("verification {user}"),
        AccountMail::AddressChanged { email, account, .. } => format!("changed {account} {email}"),
        AccountMail::Reset { email, .. } => format!("reset {}", email.to_ascii_lowercase()),
    };
    if job::queued(tx, AccountMail::JOB, MOST_WAITING).await? >= MOST_WAITING {
        return Err(Error::MailsWait);
    }
    let new = NewJob {
        kind: AccountMail::JOB.to_owned(),
        payload_version: AccountMail::VERSION,
        // Text and numbers, which can always be serialized.
        payload: serde_json::to_string(mail).unwrap_or_default(),
        dedup_key: Some(key),
        lane: None,
        priority: Priority::High,
        due_at: now,
    };
    job::add(tx, &new, now).await?;
    Ok(())
}
