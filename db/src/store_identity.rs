//! The blob stores that belong to this installation: the database's counterpart of `gantry-store.json` at the root of
//! each store.

use model::{InstallationId, StoreId, Timestamp};

use crate::error::{Error, Result};
use crate::sql::{Reader, Tx, row, stored_names};

row! {
    columns store_columns;
    /// A store that this installation knows.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KnownStore of store_identity {
        /// The store.
        pub store: StoreId = s.store_id,
        /// The installation; the same for all rows.
        pub installation: InstallationId = s.installation_id,
        /// The store's role in the installation.
        pub state: State = s.state,
        /// When it got its present state.
        pub claimed_at: Timestamp = s.claimed_at,
    }
}

/// The role of a store in the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is getting its identity: nothing is stored in it yet.
    Claiming,
    /// New blobs go to it. There is one such store.
    Current,
    /// Blobs are moved away from it.
    Leaving,
    /// All blobs were moved away from it.
    Left,
}

stored_names! {
    State {
        Claiming = "claiming",
        Current = "current",
        Leaving = "leaving",
        Left = "left",
    }
}

/// All stores of the installation; none before the first start.
///
/// # Errors
/// When the statement fails.
pub async fn all(reader: &mut Reader) -> Result<Vec<KnownStore>> {
    let rows = reader
        .query(concat!(
            "select ",
            store_columns!(),
            " from store_identity s order by s.claimed_at, s.store_id"
        ))
        .all()
        .await?;
    rows.iter().map(KnownStore::read).collect()
}

/// The installation; `None` before its first start.
///
/// # Errors
/// When the statement fails.
pub async fn installation(reader: &mut Reader) -> Result<Option<InstallationId>> {
    let row = reader
        .query("select installation_id from store_identity limit 1")
        .optional()
        .await?;
    row.map(|row| row.get("store_identity", "installation_id"))
        .transpose()
}

/// As [`all`], and nobody else adds or changes one until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx) -> Result<Vec<KnownStore>> {
    if tx.is_postgres() {
        tx.query("lock table store_identity in share row exclusive mode")
            .execute()
            .await?;
    }
    all(tx).await
}

/// Adds a store, after [`hold`]: only one can be claiming at a time, and one current.
///
/// # Errors
/// When the statement fails.
pub async fn add(tx: &mut Tx, store: &KnownStore) -> Result<()> {
    tx.query("insert into store_identity (store_id, installation_id, state, claimed_at) values ($1, $2, $3, $4)")
        .bind(store.store.to_string())
        .bind(store.installation.to_string())
        .bind(store.state)
        .bind(store.claimed_at)
        .execute()
        .await?;
    Ok(())
}

/// Gives a store another state.
///
/// # Errors
/// When the statement fails, or there is no such store.
pub async fn set_state(tx: &mut Tx, store: StoreId, state: State, now: Timestamp) -> Result<()> {
    let changed = tx
        .query("update store_identity set state = $2, claimed_at = $3 where store_id = $1")
        .bind(store.to_string())
        .bind(state)
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
        add(tx, store).await?;
    }
    Ok(())
}
