//! Users of an OIDC provider: what is stored besides their identity ([`crate::identity`]), and single-use tickets.
//! Sealed values stay sealed here.

use model::{PrincipalId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Tx, row};

row! {
    columns account_columns;
    /// The stored data of an OIDC provider's user.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Account of oidc_account {
        /// Its id among principals.
        pub principal: PrincipalId = a.principal_id,
        /// The sealed refresh token, for asking the provider again; `None` if it gave none.
        pub refresh_token: Option<Vec<u8>> = a.refresh_token,
        /// The sealed CLI secret: the password for docker and helm.
        pub cli_secret: Vec<u8> = a.cli_secret,
        /// When the provider last confirmed the user.
        pub checked_at: Timestamp = a.checked_at,
        /// When it was made.
        pub created_at: Timestamp = a.created_at,
        /// When it was last changed.
        pub updated_at: Timestamp = a.updated_at,
    }
}

/// Stores a new user's sealed refresh token and CLI secret.
///
/// # Errors
/// When the statement fails.
pub async fn create(
    tx: &mut Tx,
    principal: PrincipalId,
    (refresh_token, cli_secret): (Option<&[u8]>, &[u8]),
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into oidc_account
             (principal_id, refresh_token, cli_secret, checked_at, held_until, created_at, updated_at)
         values ($1, $2, $3, $4, 0, $4, $4)",
    )
    .bind(principal)
    .bind(refresh_token)
    .bind(cli_secret)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// The stored data of a user.
///
/// # Errors
/// When the statement fails.
pub async fn account(reader: &mut Reader, principal: PrincipalId) -> Result<Option<Account>> {
    let row = reader
        .query(concat!(
            "select ",
            account_columns!(),
            " from oidc_account a where a.principal_id = $1"
        ))
        .bind(principal)
        .optional()
        .await?;
    row.as_ref().map(Account::read).transpose()
}

/// The provider vouched for a user now. A sealed refresh token, if it gave one, takes the place of the old one.
///
/// # Errors
/// When the statement fails.
pub async fn set_checked(
    tx: &mut Tx,
    principal: PrincipalId,
    refresh_token: Option<&[u8]>,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update oidc_account
         set refresh_token = coalesce($2, refresh_token), checked_at = $3, held_until = 0, updated_at = $3
         where principal_id = $1",
    )
    .bind(principal)
    .bind(refresh_token)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Whether this is the sealed refresh token of a user.
///
/// # Errors
/// When the statement fails.
pub async fn has_token(reader: &mut Reader, principal: PrincipalId, token: &[u8]) -> Result<bool> {
    let row = reader
        .query("select 1 as found from oidc_account where principal_id = $1 and refresh_token = $2")
        .bind(principal)
        .bind(token)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// The provider gave another sealed refresh token for the old one. False if the old one is not the user's any more.
///
/// # Errors
/// When the statement fails.
pub async fn replace_token(
    tx: &mut Tx,
    principal: PrincipalId,
    (old, new): (&[u8], &[u8]),
    now: Timestamp,
) -> Result<bool> {
    let replaced = tx
        .query(
            "update oidc_account set refresh_token = $3, updated_at = $4
             where principal_id = $1 and refresh_token = $2",
        )
        .bind(principal)
        .bind(old)
        .bind(new)
        .bind(now)
        .execute()
        .await?;
    Ok(replaced == 1)
}

/// The provider, asked with this sealed refresh token, does not vouch for a user any more: it is not asked again. False if
/// the token is not the user's any more.
///
/// # Errors
/// When the statement fails.
pub async fn forget_token(
    tx: &mut Tx,
    principal: PrincipalId,
    asked_with: Option<&[u8]>,
    now: Timestamp,
) -> Result<bool> {
    let statement = match asked_with {
        Some(_) => {
            "update oidc_account set refresh_token = null, updated_at = $3
             where principal_id = $1 and refresh_token = $2"
        }
        None => {
            "update oidc_account set refresh_token = $2, updated_at = $3
             where principal_id = $1 and refresh_token is null"
        }
    };
    let forgotten = tx
        .query(statement)
        .bind(principal)
        .bind(asked_with)
        .bind(now)
        .execute()
        .await?;
    Ok(forgotten == 1)
}

/// Gives a user another sealed CLI secret. Returns false if the user is not from a provider.
///
/// # Errors
/// When the statement fails.
pub async fn set_cli_secret(
    tx: &mut Tx,
    principal: PrincipalId,
    secret: &[u8],
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .query("update oidc_account set cli_secret = $2, updated_at = $3 where principal_id = $1")
        .bind(principal)
        .bind(secret)
        .bind(now)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Reserves a user until a time, so that only one process asks the provider. Returns whether this process got the
/// reservation.
///
/// # Errors
/// When the statement fails.
pub async fn hold(
    tx: &mut Tx,
    principal: PrincipalId,
    (now, until): (Timestamp, Timestamp),
) -> Result<bool> {
    let held = tx
        .query(
            "update oidc_account set held_until = $3 where principal_id = $1 and held_until <= $2",
        )
        .bind(principal)
        .bind(now)
        .bind(until)
        .execute()
        .await?;
    Ok(held == 1)
}

/// Users with a session whom the provider last confirmed before a time, and about whom no process is asking now;
/// longest ago first. Without a refresh token, only those of another issuer, about whom nobody can be asked any more.
///
/// # Errors
/// When the statement fails.
pub async fn due(
    reader: &mut Reader,
    (before, now): (Timestamp, Timestamp),
    issuer: &str,
    limit: i64,
) -> Result<Vec<PrincipalId>> {
    let rows = reader
        .query(
            "select a.principal_id from oidc_account a join identity i on i.principal_id = a.principal_id
             where a.checked_at <= $1 and a.held_until <= $2
                 and (a.refresh_token is not null or substr(i.subject, 1, length($4)) <> $4)
                 and exists (select 1 from session s where s.principal_id = a.principal_id and s.expires_at > $2)
             order by a.checked_at limit $3",
        )
        .bind(before)
        .bind(now)
        .bind(limit)
        .bind(issuer)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("oidc_account", "principal_id"))
        .collect()
}

/// Records the use of a single-use ticket. Returns false if it was used before, or belongs to a person who is choosing
/// a name.
///
/// # Errors
/// When the statement fails.
pub async fn spend(tx: &mut Tx, hash: &[u8; 32], expires_at: Timestamp) -> Result<bool> {
    let spent = tx
        .query(
            "insert into oidc_ticket (hash, content, expires_at) values ($1, null, $2) on conflict do nothing",
        )
        .bind(&hash[..])
        .bind(expires_at)
        .execute()
        .await?;
    Ok(spent == 1)
}

/// Notes that a provider signed somebody out, until a time.
///
/// # Errors
/// When the statement fails.
pub async fn mark(tx: &mut Tx, hash: &[u8; 32], expires_at: Timestamp) -> Result<()> {
    tx.query(
        "insert into oidc_ticket (hash, content, expires_at) values ($1, null, $2)
         on conflict (hash) do update set expires_at = excluded.expires_at",
    )
    .bind(&hash[..])
    .bind(expires_at)
    .execute()
    .await?;
    Ok(())
}

/// Until when what was marked is; `None` if it is not.
///
/// # Errors
/// When the statement fails.
pub async fn marked(reader: &mut Reader, hash: &[u8; 32]) -> Result<Option<Timestamp>> {
    let row = reader
        .query("select expires_at from oidc_ticket where hash = $1 and content is null")
        .bind(&hash[..])
        .optional()
        .await?;
    row.map(|row| row.get("oidc_ticket", "expires_at"))
        .transpose()
}

/// Stores, sealed, a person who has signed in at the provider and needs a name.
///
/// # Errors
/// When the statement fails.
pub async fn keep(
    tx: &mut Tx,
    (hash, content): (&[u8; 32], &[u8]),
    expires_at: Timestamp,
) -> Result<()> {
    tx.query("insert into oidc_ticket (hash, content, expires_at) values ($1, $2, $3)")
        .bind(&hash[..])
        .bind(content)
        .bind(expires_at)
        .execute()
        .await?;
    Ok(())
}

/// The person that [`keep`] stored, unless expired.
///
/// # Errors
/// When the statement fails.
pub async fn kept(reader: &mut Reader, hash: &[u8; 32], now: Timestamp) -> Result<Option<Vec<u8>>> {
    let row = reader
        .query("select content from oidc_ticket where hash = $1 and expires_at > $2")
        .bind(&hash[..])
        .bind(now)
        .optional()
        .await?;
    let content = row.map(|row| row.get::<Option<Vec<u8>>>("oidc_ticket", "content"));
    Ok(content.transpose()?.flatten())
}

/// Removes the person that [`keep`] stored. Returns whether there was one: if several use a ticket at once, only one
/// gets true.
///
/// # Errors
/// When the statement fails.
pub async fn take(tx: &mut Tx, hash: &[u8; 32]) -> Result<bool> {
    let taken = tx
        .query("delete from oidc_ticket where hash = $1 and content is not null")
        .bind(&hash[..])
        .execute()
        .await?;
    Ok(taken == 1)
}

/// Removes expired tickets, at most `limit`; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn prune(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<u64> {
    tx.query(
        "delete from oidc_ticket where hash in
             (select hash from oidc_ticket where expires_at <= $1 order by expires_at limit $2)",
    )
    .bind(now)
    .bind(limit)
    .execute()
    .await
}
