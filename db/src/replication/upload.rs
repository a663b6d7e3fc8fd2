//! Uploads of large blobs to other registries, so that another process goes on where one broke off.

use model::{Digest, ReplicationPolicyId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Tx};

/// Where the other registry takes the rest of a blob.
///
/// # Errors
/// When the statement fails.
pub async fn location(
    reader: &mut Reader,
    policy: ReplicationPolicyId,
    (repository, digest): (&str, &Digest),
) -> Result<Option<String>> {
    let row = reader
        .query(
            "select location from replication_upload where policy_id = $1 and repository = $2 and digest = $3",
        )
        .bind(policy)
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    row.map(|row| row.get("replication_upload", "location"))
        .transpose()
}

/// Notes where the rest of a blob goes; `None` once it is there, or cannot go on.
///
/// # Errors
/// When the statement fails.
pub async fn set(
    tx: &mut Tx,
    policy: ReplicationPolicyId,
    (repository, digest): (&str, &Digest),
    location: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let Some(location) = location else {
        tx.query(
            "delete from replication_upload where policy_id = $1 and repository = $2 and digest = $3",
        )
        .bind(policy)
        .bind(repository)
        .bind(digest)
        .execute()
        .await?;
        return Ok(());
    };
    tx.query(
        "insert into replication_upload (policy_id, repository, digest, location, at) values ($1, $2, $3, $4, $5)
         on conflict (policy_id, repository, digest) do update set location = excluded.location, at = excluded.at",
    )
    .bind(policy)
    .bind(repository)
    .bind(digest)
    .bind(location)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}
