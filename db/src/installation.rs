//! Values of the installation that are made once: keys, the CA, the instance's id.

use crate::error::Result;
use crate::sql::{Reader, Tx};

/// The key that signs tokens, sealed by the master key.
pub const TOKEN_KEY: &str = "token-key";

/// The value of the installation, by its name.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, name: &str) -> Result<Option<Vec<u8>>> {
    let row = reader
        .query("select value from installation where name = $1")
        .bind(name)
        .optional()
        .await?;
    row.map(|row| row.get("installation", "value")).transpose()
}

/// Stores a value unless there is one, and returns the stored one: if several processes make a key at once, all use the
/// first one's.
///
/// # Errors
/// When a statement fails.
pub async fn put_if_absent(tx: &mut Tx, name: &str, value: &[u8]) -> Result<Vec<u8>> {
    tx.query(
        "insert into installation (name, value) values ($1, $2) on conflict (name) do nothing",
    )
    .bind(name)
    .bind(value)
    .execute()
    .await?;
    let row = tx
        .query("select value from installation where name = $1")
        .bind(name)
        .one()
        .await?;
    row.get("installation", "value")
}

/// Stores a value, replacing the existing one.
///
/// # Errors
/// When the statement fails.
pub async fn put(tx: &mut Tx, name: &str, value: &[u8]) -> Result<()> {
    tx.query(
        "insert into installation (name, value) values ($1, $2)
         on conflict (name) do update set value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute()
    .await?;
    Ok(())
}

/// Replaces a value if it is still what was read; returns whether it was.
///
/// # Errors
/// When the statement fails.
pub async fn replace(tx: &mut Tx, name: &str, (read, new): (&[u8], &[u8])) -> Result<bool> {
    let replaced = tx
        .query("update installation set value = $3 where name = $1 and value = $2")
        .bind(name)
        .bind(read)
        .bind(new)
        .execute()
        .await?;
    Ok(replaced == 1)
}

/// Deletes a value; one that is not there is no error.
///
/// # Errors
/// When the statement fails.
pub async fn delete(tx: &mut Tx, name: &str) -> Result<()> {
    tx.query("delete from installation where name = $1")
        .bind(name)
        .execute()
        .await?;
    Ok(())
}
