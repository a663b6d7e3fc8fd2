//! Binding stores to a database regardless of their identities: by a claim, or at the end of a restore. First every
//! store is checked; then everything is written within one transaction, so that a refusal leaves stores and database
//! unchanged. A failure between the first store and the commit leaves identities that the database does not know: no
//! server starts with them, nothing is swept, and repeating the command completes it.

use db::Tx;
use db::store_identity::{self, KnownStore, State};
use model::{Event, InstallationId, Operation, ResourceType, StoreId, Subject, Timestamp};
use policy::SystemPermit;
use storage::{Existing, Identity, content};

use super::{Mismatch, Place, RESTORE, Reason, Stores, identity, look};
use crate::{Error, Result};

/// The installation of a backup, and the store that its new blobs went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The installation.
    pub installation: InstallationId,
    /// The store.
    pub store: StoreId,
}

/// The stores in the settings, after the checks, and the identities that they will get.
pub struct Binding {
    places: Vec<Place>,
    rows: Vec<KnownStore>,
    existing: Existing,
    /// Its event in the history.
    event: Option<Event>,
}

impl Binding {
    /// Stores for the database in a backup. A backup may be older than a move, and a lost store may have been created
    /// again: any store of the backup's installation is accepted, and an empty one gets an identity. `origin` is `None`
    /// for a database that never had a store.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a store of another installation, one whose identity cannot be read, and one that holds
    /// objects but has no identity; when a store cannot be read.
    pub async fn of_backup(
        stores: &Stores,
        origin: Option<Origin>,
        now: Timestamp,
    ) -> Result<Self> {
        let mut rows = Vec::new();
        for (place, state) in places(stores) {
            let store = store_of_backup(place, origin).await;
            let store = store.map_err(for_restore)?;
            rows.extend(origin.map(|origin| KnownStore {
                store,
                installation: origin.installation,
                state,
                claimed_at: now,
            }));
        }
        Ok(Self {
            places: stores.places().cloned().collect(),
            rows,
            existing: Existing::Kept,
            event: None,
        })
    }

    /// Stores for a new installation, whatever their identities say.
    ///
    /// # Errors
    /// When a store cannot be read; an unreadable identity is replaced.
    pub async fn claimed(stores: &Stores, permit: &SystemPermit, now: Timestamp) -> Result<Self> {
        let installation = InstallationId::new(auth::random());
        let mut rows = Vec::new();
        for (place, state) in places(stores) {
            let found = match look(place).await {
                Err(Error::Mismatch(_)) => None,
                found => found?,
            };
            let store = found.map_or_else(|| StoreId::new(auth::random()), |found| found.store);
            rows.push(KnownStore {
                store,
                installation,
                state,
                claimed_at: now,
            });
        }
        let subject = Subject::Installation(ResourceType::Storage, "claim".to_owned());
        let origin = permit.caller().origin();
        Ok(Self {
            places: stores.places().cloned().collect(),
            rows,
            existing: Existing::Replaced,
            event: Some(Event::new(now, origin, Operation::Update, subject)),
        })
    }

    /// The stores, as the database is to know them.
    pub fn rows(&self) -> &[KnownStore] {
        &self.rows
    }

    /// Writes the identities to stores and database: the last thing that a transaction does.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if a store got another identity meanwhile; when a store or the database cannot be written.
    pub async fn write(&self, tx: &mut Tx) -> Result<()> {
        store_identity::hold(tx).await?;
        store_identity::replace(tx, &self.rows).await?;
        if let Some(event) = &self.event {
            tx.record(event).await?;
        }
        for (place, row) in self.places.iter().zip(&self.rows) {
            let wanted = identity(row);
            let stands = place.store.put_identity(&wanted, self.existing).await?;
            if !stands.is_same(&wanted) {
                return Err(for_restore(super::other_store(place, &stands, Some(row))));
            }
        }
        Ok(())
    }
}

fn places(stores: &Stores) -> impl Iterator<Item = (&Place, State)> {
    stores.places().zip([State::Current, State::Leaving])
}

/// The id of a store that belongs to the backup, or the backup's id for an empty store.
async fn store_of_backup(place: &Place, origin: Option<Origin>) -> Result<StoreId> {
    let found = look(place).await?;
    let is_empty = found.is_none() && !content::holds_objects(&*place.store).await?;
    let why = match (found, origin) {
        _ if is_empty => return Ok(StoreId::new(auth::random())),
        (Some(found), Some(origin)) if found.installation == origin.installation => {
            return Ok(found.store);
        }
        (_, None) => Reason::DatabaseIsNew,
        (None, Some(origin)) => Reason::StoreIsNew(origin.store),
        (Some(Identity { installation, .. }), Some(origin)) => Reason::OtherInstallation {
            found: installation,
            expected: origin.installation,
        },
    };
    Err(super::mismatch(place, why))
}

/// The same refusal, with what to do in a restore.
fn for_restore(error: Error) -> Error {
    match error {
        Error::Mismatch(mismatch) => Error::Mismatch(Mismatch {
            claim: RESTORE,
            ..mismatch
        }),
        error => error,
    }
}
