//! The caller's own data for pages, and their rights.

pub(crate) mod access;
pub(crate) mod favourite;
pub(crate) mod preference;

use db::Db;
use db::preference::Kind;
use policy::SignedIn;
use serde::de::DeserializeOwned;

use crate::Error;

/// The caller's stored data; the default if it cannot be parsed.
async fn kept<T: DeserializeOwned + Default>(
    db: &Db,
    permit: &SignedIn,
    kind: Kind,
) -> Result<T, Error> {
    own_user(permit)?;
    let mut reader = db.reader().await?;
    let text = db::preference::get(&mut reader, permit.principal(), kind).await?;
    let kept = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(kept.unwrap_or_default())
}

/// Only users have pages.
pub(crate) fn own_user(permit: &SignedIn) -> Result<(), Error> {
    match permit.caller().user() {
        Some(_) => Ok(()),
        None => Err(Error::Precondition("the caller is not a user".to_owned())),
    }
}
