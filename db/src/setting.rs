//! Settings that administrators changed, as text. Their meaning and initial values are in `tenancy::setting`.

use crate::error::{Error, Result};
use crate::sql::{Reader, Tx};

/// A setting that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// Its value: JSON, or the hex of a sealed secret.
    pub value: String,
}

/// The version number, raised by each change.
///
/// # Errors
/// When the statement fails.
pub async fn version(reader: &mut Reader) -> Result<i64> {
    let row = reader.query("select version from setting_version where id = 1");
    row.one().await?.get("setting_version", "version")
}

/// The same number, locked until the end of the transaction.
///
/// # Errors
/// When the statement fails.
pub async fn lock(tx: &mut Tx) -> Result<i64> {
    let row = tx.query_either(
        "select version from setting_version where id = 1",
        "select version from setting_version where id = 1 for update",
    );
    row.one().await?.get("setting_version", "version")
}

/// Raises the number.
///
/// # Errors
/// When the statement fails.
pub async fn raise(tx: &mut Tx) -> Result<()> {
    tx.query("update setting_version set version = version + 1 where id = 1")
        .execute()
        .await?;
    Ok(())
}

/// All settings that were changed, by name.
///
/// # Errors
/// When the statement fails.
pub async fn all(reader: &mut Reader) -> Result<Vec<Changed>> {
    let rows = reader.query("select name, value from setting order by name");
    let rows = rows.all().await?;
    let rows = rows.iter().map(|row| {
        Ok(Changed {
            name: row.get("setting", "name")?,
            value: row.get("setting", "value")?,
        })
    });
    rows.collect()
}

/// Stores a value, replacing the existing one.
///
/// # Errors
/// When the statement fails.
pub async fn put(tx: &mut Tx, changed: &Changed) -> Result<()> {
    tx.query(
        "insert into setting (name, value) values ($1, $2)
         on conflict (name) do update set value = excluded.value",
    )
    .bind(&*changed.name)
    .bind(&*changed.value)
    .execute()
    .await?;
    Ok(())
}

/// Removes a value; a missing one is not an error.
///
/// # Errors
/// When the statement fails.
pub async fn delete(tx: &mut Tx, name: &str) -> Result<()> {
    tx.query("delete from setting where name = $1")
        .bind(name)
        .execute()
        .await?;
    Ok(())
}

/// A value that no version of this program writes.
pub const fn corrupt() -> Error {
    Error::Corrupt {
        table: "setting",
        column: "value",
    }
}
