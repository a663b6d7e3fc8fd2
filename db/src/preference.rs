//! Users' data for their own pages, as JSON, which the server stores without interpreting it.

use model::{PrincipalId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Tx, stored_names};

/// The kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How pages look and behave.
    Preferences,
    /// Favourite projects and repositories.
    Favourites,
}

stored_names! {
    Kind {
        Preferences = "preferences",
        Favourites = "favourites",
    }
}

/// A principal's data, if any.
///
/// # Errors
/// When the statement fails.
pub async fn get(
    reader: &mut Reader,
    principal: PrincipalId,
    kind: Kind,
) -> Result<Option<String>> {
    let row = reader
        .query("select value from preference where principal_id = $1 and name = $2")
        .bind(principal)
        .bind(kind)
        .optional()
        .await?;
    row.map(|row| row.get("preference", "value")).transpose()
}

/// Replaces a principal's data.
///
/// # Errors
/// When the statement fails.
pub async fn put(
    tx: &mut Tx,
    principal: PrincipalId,
    (kind, value): (Kind, &str),
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into preference (principal_id, name, value, updated_at) values ($1, $2, $3, $4)
         on conflict (principal_id, name) do update set value = excluded.value, updated_at = excluded.updated_at",
    )
    .bind(principal)
    .bind(kind)
    .bind(value)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}
