//! The blob stores that belong to this installation: the database's side of what `gantry-store.json` says at
//! the root of each store.

use std::str::FromStr;

use model::{InstallationId, StoreId, Timestamp};

use crate::{Error, Result, Tx};

/// A store that this installation knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownStore {
    /// The store.
    pub store: StoreId,
    /// The installation; the same for all rows.
    pub installation: InstallationId,
    /// What the store is to the installation.
    pub state: State,
    /// When it got the state that it has.
    pub claimed_at: Timestamp,
}

/// What a store is to the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being given its identity: nothing was stored in it yet.
    Claiming,
    /// New blobs go to it. There is one such store.
    Current,
    /// Blobs are moved away from it.
    Leaving,
    /// All blobs were moved away from it.
    Left,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Claiming => "claiming",
            Self::Current => "current",
            Self::Leaving => "leaving",
            Self::Left => "left",
        }
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let all = [Self::Claiming, Self::Current, Self::Leaving, Self::Left];
        all.into_iter()
            .find(|state| state.name() == text)
            .ok_or(UnknownState)
    }
}

/// A text that is no [`State`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no state of a store")]
pub struct UnknownState;

/// All stores of the installation; none before the first start.
///
/// # Errors
/// When the statement fails.
pub async fn all(tx: &mut Tx) -> Result<Vec<KnownStore>> {
    read(tx, Lock::None).await
}

/// As [`all`], and nobody else changes them until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx) -> Result<Vec<KnownStore>> {
    read(tx, Lock::Rows).await
}

enum Lock {
    None,
    Rows,
}

async fn read(tx: &mut Tx, lock: Lock) -> Result<Vec<KnownStore>> {
    const ALL: &str = "select store_id, installation_id, state, claimed_at from store_identity order by claimed_at, store_id";
    const HELD: &str = "select store_id, installation_id, state, claimed_at from store_identity order by store_id for update";
    let rows = match lock {
        Lock::None => tx.query(ALL),
        Lock::Rows => tx.query_either(ALL, HELD),
    };
    let rows = rows.all().await?;
    let known = rows.iter().map(|row| {
        Ok(KnownStore {
            store: row.parse("store_identity", "store_id")?,
            installation: row.parse("store_identity", "installation_id")?,
            state: row.parse("store_identity", "state")?,
            claimed_at: row.time("store_identity", "claimed_at")?,
        })
    });
    known.collect()
}

/// Adds a store that is to be given its identity. `false` where another process adds one at the same time:
/// only one store is claimed at once.
///
/// # Errors
/// When the statement fails.
pub async fn begin(tx: &mut Tx, store: &KnownStore) -> Result<bool> {
    let added = tx
        .query(
            "insert into store_identity (store_id, installation_id, state, claimed_at) values ($1, $2, $3, $4)
             on conflict do nothing",
        )
        .bind(store.store.to_string())
        .bind(store.installation.to_string())
        .bind(State::Claiming.name())
        .bind(store.claimed_at)
        .execute()
        .await?;
    Ok(added == 1)
}

/// Gives a store another state.
///
/// # Errors
/// When the statement fails, or there is no such store.
pub async fn set_state(tx: &mut Tx, store: StoreId, state: State, now: Timestamp) -> Result<()> {
    let changed = tx
        .query("update store_identity set state = $2, claimed_at = $3 where store_id = $1")
        .bind(store.to_string())
        .bind(state.name())
        .bind(now)
        .execute()
        .await?;
    match changed {
        1 => Ok(()),
        _ => Err(Error::Corrupt {
            table: "store_identity",
            column: "store_id",
        }),
    }
}

/// Makes these the only stores of the installation.
///
/// # Errors
/// When a statement fails.
pub async fn replace(tx: &mut Tx, stores: &[KnownStore]) -> Result<()> {
    tx.query("delete from store_identity").execute().await?;
    for store in stores {
        begin(tx, store).await?;
        set_state(tx, store.store, store.state, store.claimed_at).await?;
    }
    Ok(())
}
