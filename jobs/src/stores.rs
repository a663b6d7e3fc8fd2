//! The stores of an installation, and the proof that they belong to it.
//!
//! This database names no object of a store that belongs to another one: all of them would be swept. So the database
//! records its stores (`db::store_identity`), each store carries the same IDs at its root (`storage::identity`), and
//! [`attach`] at the start and [`verify`] before every sweep and move compare them.
//!
//! **Claiming.** A new database and an empty store are bound in two transactions. The first adds the store in the state
//! `claiming`. The second locks that row, writes the identity to the store and makes the store `current`. After a crash
//! between them, or within the second, the next start continues with the same IDs. If two replicas start at once on one
//! database, claims are made one after the other: the later one waits, adds nothing if the current store has changed
//! since it checked, and compares. If its settings name another folder, it finds no identity there, and refuses.
//!
//! **Moving.** The store in `moving_from` must be known. The new one is claimed in the same way, and the old one
//! becomes `leaving`; a completed move makes it `left`. While a store is `leaving`, no process starts without it.

mod binding;

use std::sync::Arc;

use db::store_identity::{self, KnownStore, State};
use db::{Db, Tx};
use futures_util::future::BoxFuture;
use model::{Clock, InstallationId, StoreId, Timestamp};
use policy::SystemPermit;
use storage::health::{self, Health, Probe};
use storage::identity::KEY;
use storage::{BlobStore, Existing, Identity, Moving, content};

pub use self::binding::{Binding, Origin};
use crate::failures::causes;
use crate::{Error, Result};

/// A store and its display name.
#[derive(Clone)]
pub struct Place {
    /// The store.
    pub store: Arc<dyn BlobStore>,
    /// Its display name, such as `the folder /srv/blobs`.
    pub name: String,
}

/// The stores in the settings.
#[derive(Clone)]
pub struct Stores {
    /// The store for new blobs.
    pub current: Place,
    /// The old store, during a move.
    pub leaving: Option<Place>,
}

impl Stores {
    /// All of them as one store.
    pub fn joined(&self) -> Arc<dyn BlobStore> {
        let current = self.current.store.clone();
        match &self.leaving {
            None => current,
            Some(leaving) => Arc::new(Moving::new(leaving.store.clone(), current)),
        }
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.current).chain(&self.leaving)
    }
}

/// Why a database and a store do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} and the database do not belong together: {}", .why.text(.claim))]
pub struct Mismatch {
    /// The store.
    pub place: String,
    /// What is wrong.
    pub why: Reason,
    /// What to do if both do belong together.
    claim: &'static str,
}

/// Why a database and a store do not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No server has started with this database and this store.
    NothingYet,
    /// The database knows no store, but this store was already used.
    DatabaseIsNew,
    /// The store has no identity, but the database knows another store.
    StoreIsNew(StoreId),
    /// The store belongs to another installation.
    OtherInstallation {
        /// The store's.
        found: InstallationId,
        /// The database's.
        expected: InstallationId,
    },
    /// The store is not the expected one of the installation.
    OtherStore {
        /// The store that was found.
        found: StoreId,
        /// The store that new blobs go to.
        expected: StoreId,
    },
    /// Blobs are being moved from another store, which is not in the settings.
    MoveUnfinished(StoreId),
    /// The database does not know the store in `moving_from`.
    UnknownSource,
    /// The store's identity exists but cannot be read, and why.
    Unreadable(String),
}

/// Advice for operators who know that both belong together.
const CLAIM: &str = "if you are sure that they belong together, run `gantry storage claim`";
/// The same at a restore, where there is no database yet.
const RESTORE: &str = "if you are sure that they belong together, restore with --claim: the store is then bound to \
                       the restored database, and objects that are not in it are deleted";

impl Reason {
    /// What is wrong, and what to do.
    fn text(&self, claim: &str) -> String {
        match self {
            Self::NothingYet => {
                "both are new: no server was started with them yet. Run `gantry serve` first, or correct [database] \
                 and [storage]"
                    .to_owned()
            }
            Self::DatabaseIsNew => format!(
                "the database is new, but the store was used by another one, and what is in it would be deleted. Was \
                 the database lost or moved, or is [database] url or [server] data wrong? Correct that or restore a \
                 backup; {claim}"
            ),
            Self::StoreIsNew(expected) => format!(
                "the database's blobs are in store {expected}, but there is no {KEY} there. Is the folder not \
                 mounted, or [storage] wrong? To move blobs, name the old store in [storage] moving_from and restart the server \
                 with that first; {claim}"
            ),
            Self::OtherInstallation { found, expected } => format!(
                "the store belongs to installation {found}, the database to {expected}. Is [storage] or [database] \
                 url wrong? Otherwise {claim}"
            ),
            Self::OtherStore { found, expected } => format!(
                "this is store {found}, but new blobs go to store {expected}. Did [storage] change, or was it not \
                 changed here? Otherwise {claim}"
            ),
            Self::MoveUnfinished(leaving) => format!(
                "blobs may still be in store {leaving}: name it in [storage] moving_from until `gantry storage move` \
                 has finished. If it is lost, run `gantry storage claim`"
            ),
            Self::UnknownSource => format!(
                "[storage] moving_from names it, but it holds no blobs of this database. Set moving_from to none, or \
                 correct [storage]; {claim}"
            ),
            Self::Unreadable(cause) => format!(
                "the store's {KEY} cannot be understood ({cause}). Was it cut short, or did a newer version of Gantry \
                 write it? Put the file back from a copy of the store, or use that version; {claim}"
            ),
        }
    }
}

/// The identities found in the stores.
#[derive(Clone, Debug)]
pub struct Attached {
    /// That of the current store.
    pub current: Identity,
    /// That of the old store, during a move.
    pub leaving: Option<Identity>,
}

impl Attached {
    /// Checks each store; returns its name and health.
    pub async fn look(&self, stores: &Stores, probe: Probe) -> Vec<(String, Health)> {
        let mut found = Vec::new();
        let identities = std::iter::once(&self.current).chain(&self.leaving);
        for (place, identity) in stores.places().zip(identities) {
            let health = health::look(&*place.store, identity, probe).await;
            found.push((place.name.clone(), health));
        }
        found
    }
}

/// Attempts to claim a store that another process is claiming at the same time.
const ATTEMPTS: usize = 3;

/// Binds a new database to an empty store, or an empty store to the database whose blobs are to be moved there, and
/// then does what [`verify`] does. Called when a server starts.
///
/// # Errors
/// [`Error::Mismatch`] if they do not belong together; when the store or the database fails.
pub async fn attach(db: &Db, stores: &Stores, clock: &dyn Clock) -> Result<Attached> {
    for _ in 0..ATTEMPTS {
        let known = known(db).await?;
        if !needs_claim(&known, stores).await? {
            break;
        }
        if content::holds_objects(&*stores.current.store).await? {
            return Err(mismatch(&stores.current, Reason::DatabaseIsNew));
        }
        claim_empty(db, &known, &stores.current, clock.now()).await?;
    }
    start_move(db, stores, clock.now()).await?;
    verify(db, stores).await
}

/// Compares the stores with the database.
///
/// # Errors
/// [`Error::Mismatch`] if they do not belong together; when a store or the database fails.
pub async fn verify(db: &Db, stores: &Stores) -> Result<Attached> {
    let known = known(db).await?;
    let current = identity_of(&stores.current, &known).await?;
    let expected = in_state(&known, State::Current);
    if expected.is_none_or(|expected| expected.store != current.store) {
        return Err(other_store(&stores.current, &current, expected));
    }
    let Some(place) = &stores.leaving else {
        return match in_state(&known, State::Leaving) {
            None => Ok(Attached {
                current,
                leaving: None,
            }),
            Some(leaving) => {
                let why = Reason::MoveUnfinished(leaving.store);
                Err(mismatch(&stores.current, why))
            }
        };
    };
    let leaving = source_identity(place, &known).await?;
    Ok(Attached {
        current,
        leaving: Some(leaving),
    })
}

/// Objects in a store that the database does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unnamed {
    /// Objects examined.
    pub objects: u64,
    /// Those without a row, which a sweep would delete.
    pub unnamed: u64,
    /// True if these were all objects of the store.
    pub is_all: bool,
}

/// Counts the objects of a store that the database does not name; stops after examining about `most` objects.
///
/// # Errors
/// When the store or the database cannot be read.
pub async fn unnamed(db: &Db, store: &dyn BlobStore, most: u64) -> Result<Unnamed> {
    let mut found = Unnamed {
        is_all: true,
        ..Unnamed::default()
    };
    for hour in store.hours().await? {
        for keys in store.list(hour).await?.chunks(LOOKED_UP) {
            if found.objects >= most {
                found.is_all = false;
                return Ok(found);
            }
            let mut tx = db.reader().await?;
            let known = db::blob::known_keys(&mut tx, keys).await?;
            found.objects += keys.len() as u64;
            found.unnamed += (keys.len() - known.len()) as u64;
        }
    }
    Ok(found)
}

/// Keys to look up at a time.
const LOOKED_UP: usize = 500;

/// Binds the stores to the database, whatever their identities; from then on they refuse other databases. Returns them
/// as the database knows them now.
///
/// # Errors
/// When a store cannot be read or written, or the database.
pub async fn claim(
    db: &Db,
    stores: &Stores,
    permit: &SystemPermit,
    now: Timestamp,
) -> Result<Vec<KnownStore>> {
    let binding = Binding::claimed(stores, permit, now).await?;
    let claimed = binding.rows().to_vec();
    let written = db.write(move |tx| Box::pin(async move { binding.write(tx).await }));
    written.await?;
    Ok(claimed)
}

/// Records that nothing is left in the old store.
pub(crate) async fn finish_move(db: &Db, attached: &Attached, now: Timestamp) -> Result<()> {
    let Some(store) = attached.leaving.as_ref().map(|leaving| leaving.store) else {
        return Ok(());
    };
    let set = db.write(move |tx| {
        Box::pin(async move { store_identity::set_state(tx, store, State::Left, now).await })
    });
    Ok(set.await?)
}

async fn known(db: &Db) -> Result<Vec<KnownStore>> {
    let mut tx = db.reader().await?;
    Ok(store_identity::all(&mut tx).await?)
}

fn in_state(known: &[KnownStore], state: State) -> Option<&KnownStore> {
    known.iter().find(|store| store.state == state)
}

fn mismatch(place: &Place, why: Reason) -> Error {
    Error::Mismatch(Mismatch {
        place: place.name.clone(),
        why,
        claim: CLAIM,
    })
}

fn other_store(place: &Place, found: &Identity, expected: Option<&KnownStore>) -> Error {
    let why = match expected {
        None => Reason::DatabaseIsNew,
        Some(expected) => Reason::OtherStore {
            found: found.store,
            expected: expected.store,
        },
    };
    mismatch(place, why)
}

fn identity(row: &KnownStore) -> Identity {
    Identity::new(row.installation, row.store, row.claimed_at.to_string())
}

/// The identity that a store has, if any.
async fn look(place: &Place) -> Result<Option<Identity>> {
    let found = place.store.identity().await;
    found.map_err(|error| match error.unreadable_identity() {
        Some(cause) => mismatch(place, Reason::Unreadable(causes(cause))),
        None => error.into(),
    })
}

/// The identity of a store that belongs to the installation.
async fn identity_of(place: &Place, known: &[KnownStore]) -> Result<Identity> {
    let found = look(place).await?;
    let why = match (found, known.first()) {
        (None, None) if !content::holds_objects(&*place.store).await? => Reason::NothingYet,
        (_, None) => Reason::DatabaseIsNew,
        (None, Some(any)) => {
            let expected = in_state(known, State::Current).unwrap_or(any);
            Reason::StoreIsNew(expected.store)
        }
        (Some(found), Some(any)) if found.installation != any.installation => {
            Reason::OtherInstallation {
                found: found.installation,
                expected: any.installation,
            }
        }
        (Some(found), _) => return Ok(found),
    };
    Err(mismatch(place, why))
}

/// The identity of the old store.
async fn source_identity(place: &Place, known: &[KnownStore]) -> Result<Identity> {
    let found = look(place).await?;
    let is_source = |found: &Identity| {
        known.iter().any(|row| {
            let identity = (row.installation, row.store);
            identity == (found.installation, found.store) && row.state != State::Claiming
        })
    };
    found
        .filter(is_source)
        .ok_or_else(|| mismatch(place, Reason::UnknownSource))
}

/// True if the current store needs an identity and may get one.
async fn needs_claim(known: &[KnownStore], stores: &Stores) -> Result<bool> {
    let found = look(&stores.current).await?;
    let claiming = in_state(known, State::Claiming);
    if let Some(found) = found {
        // The store was written, but the database does not know it.
        return Ok(claiming.is_some_and(|row| identity(row).is_same(&found)));
    }
    let current = in_state(known, State::Current);
    match (&stores.leaving, current) {
        (None, None) => Ok(true),
        (None, Some(_)) => Ok(false),
        (Some(source), _) => {
            // Existing objects must be the source of the move.
            source_identity(source, known).await?;
            Ok(true)
        }
    }
}

/// Gives an empty store an identity and makes it the current one, unless another process did so since `looked_at`.
async fn claim_empty(
    db: &Db,
    looked_at: &[KnownStore],
    place: &Place,
    now: Timestamp,
) -> Result<()> {
    let current = |known: &[KnownStore]| in_state(known, State::Current).map(|row| row.store);
    let before = current(looked_at);
    let begun = db.write(move |tx| {
        Box::pin(async move {
            let known = store_identity::hold(tx).await?;
            // A claim that another process began, or an earlier start, is just as good.
            if in_state(&known, State::Claiming).is_none() && current(&known) == before {
                let new = || InstallationId::new(auth::random());
                let row = KnownStore {
                    store: StoreId::new(auth::random()),
                    installation: known.first().map_or_else(new, |row| row.installation),
                    state: State::Claiming,
                    claimed_at: now,
                };
                store_identity::add(tx, &row).await?;
            }
            Ok::<_, db::Error>(())
        })
    });
    begun.await?;
    let place = place.clone();
    db.write(move |tx| finish_claim(tx, place, now)).await
}

fn finish_claim(tx: &mut Tx, place: Place, now: Timestamp) -> BoxFuture<'_, Result<()>> {
    Box::pin(async move {
        let known = store_identity::hold(tx).await?;
        let Some(claiming) = in_state(&known, State::Claiming) else {
            return Ok(());
        };
        let wanted = identity(claiming);
        let stands = place.store.put_identity(&wanted, Existing::Kept).await?;
        if !stands.is_same(&wanted) {
            return Err(other_store(&place, &stands, Some(claiming)));
        }
        make_current(tx, &known, claiming.store, now).await
    })
}

/// Makes a known store the current one. The previous one becomes the source of a move.
async fn make_current(
    tx: &mut Tx,
    known: &[KnownStore],
    store: StoreId,
    now: Timestamp,
) -> Result<()> {
    if let Some(before) = in_state(known, State::Current) {
        store_identity::set_state(tx, before.store, State::Leaving, now).await?;
    }
    store_identity::set_state(tx, store, State::Current, now).await?;
    Ok(())
}

/// Reverses a move: the settings name a known store as the new one, and the current one as the old one.
async fn start_move(db: &Db, stores: &Stores, now: Timestamp) -> Result<()> {
    let Some(source) = &stores.leaving else {
        return Ok(());
    };
    let known = known(db).await?;
    let target = identity_of(&stores.current, &known).await?;
    let source = source_identity(source, &known).await?;
    let state = |id: StoreId| {
        let row = known.iter().find(|row| row.store == id);
        row.map(|row| row.state)
    };
    let turned = matches!(state(target.store), Some(State::Leaving | State::Left))
        && state(source.store) == Some(State::Current);
    if !turned {
        return Ok(());
    }
    let changed = db.write(move |tx| {
        Box::pin(async move {
            let known = store_identity::hold(tx).await?;
            make_current(tx, &known, target.store, now).await
        })
    });
    changed.await
}

#[cfg(test)]
mod tests;
