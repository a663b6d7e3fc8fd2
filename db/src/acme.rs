//! What obtaining a certificate by ACME needs to remember: the account, where the order stands, and the proofs that
//! replicas answer with. Secrets stay sealed here.

use model::Timestamp;

use crate::error::Result;
use crate::sql::{Reader, Tx, row, stored_names};

/// How a name is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// By a file over plain HTTP.
    Http,
    /// By a certificate over TLS.
    TlsAlpn,
    /// By a record in DNS.
    Dns,
}

stored_names! {
    Challenge {
        Http = "http-01",
        TlsAlpn = "tls-alpn-01",
        Dns = "dns-01",
    }
}

impl Challenge {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http-01",
            Self::TlsAlpn => "tls-alpn-01",
            Self::Dns => "dns-01",
        }
    }
}

/// Where obtaining the certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has to be ordered.
    Due,
    /// An order is being worked on.
    Ordering,
    /// There is a valid certificate, and it is not yet time to renew it.
    Valid,
    /// The last attempt failed; the next one is at a known time.
    Failed,
}

stored_names! {
    State {
        Due = "due",
        Ordering = "ordering",
        Valid = "valid",
        Failed = "failed",
    }
}

impl State {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Ordering => "ordering",
            Self::Valid => "valid",
            Self::Failed => "failed",
        }
    }
}

row! {
    columns order_columns;
    /// Where obtaining the certificate stands.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Order of acme_order {
        /// Directory and names: with others it begins anew.
        pub wanted: String = o.wanted,
        /// Where it stands.
        pub state: State = o.state,
        /// The order at the server that is being worked on.
        pub url: Option<String> = o.url,
        /// The sealed key of its certificate.
        pub key: Option<Vec<u8>> = o.key,
        /// When the job looks again.
        pub next_at: Timestamp = o.next_at,
        /// When the certificate is renewed.
        pub renew_at: Option<Timestamp> = o.renew_at,
        /// When the server is asked for its renewal information again.
        pub info_at: Option<Timestamp> = o.info_at,
        /// Failures in a row.
        pub failures: i64 = o.failures,
        /// Why the last attempt failed, in a word.
        pub reason: Option<String> = o.reason,
        /// The same in words.
        pub message: Option<String> = o.message,
        /// When it failed.
        pub failed_at: Option<Timestamp> = o.failed_at,
        /// Directory and profile by which the present certificate was obtained.
        pub obtained: Option<String> = o.obtained,
        /// Grows by a day with each order in place of one with other settings.
        pub settled_at: Option<Timestamp> = o.settled_at,
        /// When this was last changed.
        pub updated_at: Timestamp = o.updated_at,
    }
}

impl Order {
    /// Where nothing has been done yet.
    pub fn begin(wanted: String, now: Timestamp) -> Self {
        Self {
            wanted,
            state: State::Due,
            url: None,
            key: None,
            next_at: now,
            renew_at: None,
            info_at: None,
            failures: 0,
            reason: None,
            message: None,
            failed_at: None,
            obtained: None,
            settled_at: None,
            updated_at: now,
        }
    }
}

/// Where obtaining the certificate stands; `None` if it never began.
///
/// # Errors
/// When the statement fails.
pub async fn order(reader: &mut Reader) -> Result<Option<Order>> {
    let row = reader
        .query(concat!(
            "select ",
            order_columns!(),
            " from acme_order o where o.id = 1"
        ))
        .optional()
        .await?;
    row.as_ref().map(Order::read).transpose()
}

/// Stores where obtaining the certificate stands.
///
/// # Errors
/// When the statement fails.
pub async fn put_order(tx: &mut Tx, order: &Order) -> Result<()> {
    tx.query(
        "insert into acme_order (id, wanted, state, url, key, next_at, renew_at, info_at, failures, reason, message,
             failed_at, obtained, settled_at, updated_at)
         values (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (id) do update set wanted = excluded.wanted, state = excluded.state, url = excluded.url,
             key = excluded.key, next_at = excluded.next_at, renew_at = excluded.renew_at, info_at = excluded.info_at,
             failures = excluded.failures, reason = excluded.reason, message = excluded.message,
             failed_at = excluded.failed_at, obtained = excluded.obtained, settled_at = excluded.settled_at,
             updated_at = excluded.updated_at",
    )
    .bind(&*order.wanted)
    .bind(order.state)
    .bind(order.url.as_deref())
    .bind(order.key.as_deref())
    .bind(order.next_at)
    .bind(order.renew_at)
    .bind(order.info_at)
    .bind(order.failures)
    .bind(order.reason.as_deref())
    .bind(order.message.as_deref())
    .bind(order.failed_at)
    .bind(order.obtained.as_deref())
    .bind(order.settled_at)
    .bind(order.updated_at)
    .execute()
    .await?;
    Ok(())
}

/// Has a new certificate obtained at once, whatever the present one is worth; returns whether ACME is used at all.
///
/// # Errors
/// When the statement fails.
pub async fn order_now(tx: &mut Tx, now: Timestamp) -> Result<bool> {
    let changed = tx.query(
        "update acme_order set state = 'due', next_at = $1, renew_at = $1, info_at = null, failures = 0, url = null,
             key = null, updated_at = $1
         where id = 1",
    );
    Ok(changed.bind(now).execute().await? > 0)
}

/// The sealed credentials of the account at a server.
///
/// # Errors
/// When the statement fails.
pub async fn account(reader: &mut Reader, directory: &str) -> Result<Option<Vec<u8>>> {
    let row = reader
        .query("select credentials from acme_account where directory = $1")
        .bind(directory)
        .optional()
        .await?;
    row.map(|row| row.get("acme_account", "credentials"))
        .transpose()
}

/// Stores the sealed credentials of the account at a server.
///
/// # Errors
/// When the statement fails.
pub async fn put_account(
    tx: &mut Tx,
    directory: &str,
    credentials: &[u8],
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into acme_account (directory, credentials, created_at) values ($1, $2, $3)
         on conflict (directory) do update set credentials = excluded.credentials, created_at = excluded.created_at",
    )
    .bind(directory)
    .bind(credentials)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Forgets all accounts.
///
/// # Errors
/// When the statement fails.
pub async fn forget_accounts(tx: &mut Tx) -> Result<()> {
    tx.query("delete from acme_account").execute().await?;
    Ok(())
}

/// Forgets accounts, order and proofs, whose secrets can no longer be opened.
///
/// # Errors
/// When a statement fails.
pub async fn forget(tx: &mut Tx) -> Result<()> {
    forget_accounts(tx).await?;
    clear_challenges(tx).await?;
    tx.query("delete from acme_order").execute().await?;
    Ok(())
}

/// Stores a proof. `subject` is the token of an HTTP challenge, else the name.
///
/// # Errors
/// When the statement fails.
pub async fn put_challenge(
    tx: &mut Tx,
    kind: Challenge,
    (subject, proof): (&str, &str),
    expires_at: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into acme_challenge (kind, subject, proof, expires_at) values ($1, $2, $3, $4)
         on conflict (kind, subject, proof) do update set expires_at = excluded.expires_at",
    )
    .bind(kind)
    .bind(subject)
    .bind(proof)
    .bind(expires_at)
    .execute()
    .await?;
    Ok(())
}

/// The proof for a challenge: the newest.
///
/// # Errors
/// When the statement fails.
pub async fn proof(reader: &mut Reader, kind: Challenge, subject: &str) -> Result<Option<String>> {
    let row = reader
        .query(
            "select proof from acme_challenge where kind = $1 and subject = $2 order by expires_at desc limit 1",
        )
        .bind(kind)
        .bind(subject)
        .optional()
        .await?;
    row.map(|row| row.get("acme_challenge", "proof"))
        .transpose()
}

/// The names and texts of all records in DNS that may still be there.
///
/// # Errors
/// When the statement fails.
pub async fn records(reader: &mut Reader) -> Result<Vec<(String, String)>> {
    let rows = reader
        .query("select subject, proof from acme_challenge where kind = $1 order by subject, proof")
        .bind(Challenge::Dns)
        .all()
        .await?;
    let rows = rows.iter().map(|row| {
        Ok((
            row.get("acme_challenge", "subject")?,
            row.get("acme_challenge", "proof")?,
        ))
    });
    rows.collect()
}

/// Removes all proofs.
///
/// # Errors
/// When the statement fails.
pub async fn clear_challenges(tx: &mut Tx) -> Result<()> {
    tx.query("delete from acme_challenge").execute().await?;
    Ok(())
}
