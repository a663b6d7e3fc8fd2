//! Mails about accounts: ordering them. A job sends them, with links that are made then.

use std::net::IpAddr;
use std::time::Duration;

use db::job::{self, NewJob, Priority};
use db::mailed_link::{self, Purpose};
use db::{Db, Tx};
use model::{AccountMail, MailLanguage, PrincipalId, Timestamp};

use crate::{Error, Result};

/// Links for one thing that an account is mailed within [`SPELL`]: more would be a nuisance to whoever has the address.
const MOST_LINKS: i64 = 3;
const SPELL: Duration = Duration::from_secs(15 * 60);

/// Mails that wait at a time: whoever orders more, from many networks, waits.
const MOST_WAITING: i64 = 1_000;

/// Orders links that set a new password, for the accounts that have an address. It is the same work whether or not there
/// is one: the job that sends the mail looks for it. One that waits already is enough.
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

/// Whether a principal was mailed as many links for a purpose as it is within a while.
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

/// Orders a mail in a transaction that may do more.
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
        // It is text and numbers, which are always JSON.
        payload: serde_json::to_string(mail).unwrap_or_default(),
        dedup_key: Some(key),
        priority: Priority::High,
        due_at: now,
    };
    job::add(tx, &new, now).await?;
    Ok(())
}
