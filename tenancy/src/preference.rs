//! What users keep for their own pages, and the notices that they have seen enough of. Neither is history: nobody else
//! sees it, and it changes what nobody may do.

use db::preference::{self, Kind};
use db::{Db, notice, principal};
use model::Timestamp;
use policy::SignedIn;

use crate::{Error, Result};

/// Replaces what the caller keeps.
///
/// # Errors
/// [`Error::CallerVoid`] where the caller was deleted meanwhile.
pub async fn put(
    db: &Db,
    permit: &SignedIn,
    kind: Kind,
    value: String,
    now: Timestamp,
) -> Result<()> {
    let own = permit.principal();
    db.write(move |tx| {
        Box::pin(async move {
            principal::hold(tx, own).await?.ok_or(Error::CallerVoid)?;
            Ok(preference::put(tx, own, (kind, &value), now).await?)
        })
    })
    .await
}

/// Dismisses a notice for the caller.
///
/// # Errors
/// [`Error::CallerVoid`] where the caller was deleted meanwhile.
pub async fn dismiss(db: &Db, permit: &SignedIn, notice: String, now: Timestamp) -> Result<()> {
    let own = permit.principal();
    db.write(move |tx| {
        Box::pin(async move {
            principal::hold(tx, own).await?.ok_or(Error::CallerVoid)?;
            Ok(notice::dismiss(tx, own, &notice, now).await?)
        })
    })
    .await
}
