//! Users' data for their own pages, and the notices that they dismissed. Neither leaves an event in the history: nobody
//! else sees it, and it changes no permissions.

use db::preference::{self, Kind};
use db::{Db, notice, principal};
use model::Timestamp;
use policy::SignedIn;

use crate::{Error, Result};

/// Replaces the caller's data.
///
/// # Errors
/// [`Error::CallerVoid`] if the caller was deleted meanwhile.
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
/// [`Error::CallerVoid`] if the caller was deleted meanwhile.
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
