//! Blobs that were pushed or mounted: events that the audit log does not have, kept until all endpoints of registry
//! notifications have them. An id is from the same sequence as those of the audit log, so that both can be read in one
//! order, up to one horizon (see [`crate::audit::chain::horizon`]). They are written only while there is an endpoint.

use model::{Digest, Origin, RepositoryName, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Tx, row};

row! {
    columns blob_event_columns;
    /// A blob that was pushed or mounted.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BlobEvent of blob_event {
        /// Its place among the entries of the audit log.
        pub id: i64 = b.id,
        /// When.
        pub at: Timestamp = b.at,
        /// By whom.
        pub principal_name: String = b.principal_name,
        /// From which address.
        pub address: String = b.address,
        /// With which program.
        pub agent: String = b.agent,
        /// Into which repository.
        pub repository: RepositoryName = b.repository,
        /// Its digest.
        pub digest: Digest = b.digest,
        /// Its bytes.
        pub size: i64 = b.size,
        /// The repository that it was mounted from; `None` if it was pushed.
        pub source: Option<RepositoryName> = b.source,
    }
}

/// What is recorded of a blob.
#[derive(Clone, Debug)]
pub struct NewBlobEvent {
    /// When.
    pub at: Timestamp,
    /// Who pushed or mounted it, and with what.
    pub origin: Origin,
    /// Into which repository.
    pub repository: RepositoryName,
    /// The repository that it was mounted from.
    pub source: Option<RepositoryName>,
}

/// Records a blob, in the transaction that gives it to the repository.
///
/// # Errors
/// When the statement fails.
pub async fn insert(
    tx: &mut Tx,
    event: &NewBlobEvent,
    (digest, size): (&Digest, u64),
) -> Result<()> {
    let client = &event.origin.client;
    let address = client.address.map(|address| address.to_string());
    tx.query_either(
        "insert into blob_event (id, at, principal_name, address, agent, repository, digest, size, source)
         values ((select coalesce((select seq from sqlite_sequence where name = 'audit'), 0) + 1), $1, $2, $3, $4, $5, $6, $7, $8)",
        "insert into blob_event (at, principal_name, address, agent, repository, digest, size, source)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(event.at)
    .bind(event.origin.principal.name())
    .bind(address.unwrap_or_default())
    .bind(client.agent.as_deref().unwrap_or_default())
    .bind(event.repository.as_str())
    .bind(digest)
    .bind(i64::try_from(size).unwrap_or(i64::MAX))
    .bind(event.source.as_ref().map(RepositoryName::as_str))
    .execute()
    .await?;
    Ok(())
}

/// Those after one and up to another, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn between(
    reader: &mut Reader,
    (after, up_to): (i64, i64),
    limit: i64,
) -> Result<Vec<BlobEvent>> {
    let rows = reader
        .query(concat!(
            "select ",
            blob_event_columns!(),
            " from blob_event b where b.id > $1 and b.id <= $2 order by b.id limit $3"
        ))
        .bind(after)
        .bind(up_to)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(BlobEvent::read).collect()
}

/// Replaces the name of a person, and takes out what else tells of one, in events of a time.
///
/// # Errors
/// When the statement fails.
pub async fn erase(
    tx: &mut Tx,
    (name, pseudonym): (&str, &str),
    (since, until): (Timestamp, Timestamp),
) -> Result<()> {
    tx.query(
        "update blob_event set principal_name = $2, address = '', agent = ''
         where principal_name = $1 and at >= $3 and at <= $4",
    )
    .bind(name)
    .bind(pseudonym)
    .bind(since)
    .bind(until)
    .execute()
    .await?;
    Ok(())
}

/// Removes some of those up to an id; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn remove_up_to(tx: &mut Tx, id: i64) -> Result<u64> {
    /// Removed at a time.
    const BATCH: i64 = 1_000;
    tx.query(
        "delete from blob_event where id in (select id from blob_event where id <= $1 order by id limit $2)",
    )
    .bind(id)
    .bind(BATCH)
    .execute()
    .await
}

/// Whether there is any up to an id.
///
/// # Errors
/// When the statement fails.
pub async fn is_any_up_to(reader: &mut Reader, id: i64) -> Result<bool> {
    let row = reader
        .query("select id from blob_event where id <= $1 limit 1")
        .bind(id)
        .optional()
        .await?;
    Ok(row.is_some())
}
