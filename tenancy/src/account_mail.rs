//! Mails about accounts: ordering them. A job sends them, with links that are made then.

use std::net::IpAddr;

use db::job::{self, NewJob, Priority};
use db::{Db, Tx};
use model::{AccountMail, MailLanguage, Timestamp};

use crate::Result;

/// Orders links that set a new password, for the accounts that have an address. It is the same work whether or not there
/// is one: the job that sends the mail looks for it. One that waits already is enough.
///
/// # Errors
/// When the database fails.
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

/// Orders a mail in a transaction that may do more.
pub(crate) async fn order(tx: &mut Tx, mail: &AccountMail, now: Timestamp) -> Result<()> {
    let key = match mail {
        AccountMail::Verification { user, .. } => format!("verification {user}"),
        AccountMail::Reset { email, .. } => format!("reset {}", email.to_ascii_lowercase()),
    };
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
