//! To which installations what a policy pushes to a repository goes on, as the destination has told. A policy leads in a
//! circle where it comes back, and then the versions of tags decide, not who copies last.

use std::collections::BTreeMap;

use model::ReplicationPolicyId;

use crate::error::{Error, Result};
use crate::sql::{Reader, Tx};

/// Installations, with the number of copies on the way.
pub type Reached = BTreeMap<String, u32>;

/// What the destination has told for a repository here.
///
/// # Errors
/// When the statement fails.
pub async fn of(
    reader: &mut Reader,
    policy: ReplicationPolicyId,
    repository: &str,
) -> Result<Reached> {
    let row = reader
        .query("select reached from replication_reach where policy_id = $1 and repository = $2")
        .bind(policy)
        .bind(repository)
        .optional()
        .await?;
    let Some(row) = row else {
        return Ok(Reached::new());
    };
    let text: String = row.get("replication_reach", "reached")?;
    serde_json::from_str(&text).map_err(|_| Error::Corrupt {
        table: "replication_reach",
        column: "reached",
    })
}

/// Notes what the destination tells.
///
/// # Errors
/// When the statement fails.
pub async fn set(
    tx: &mut Tx,
    policy: ReplicationPolicyId,
    (repository, reached): (&str, &Reached),
) -> Result<()> {
    tx.query(
        "insert into replication_reach (policy_id, repository, reached) values ($1, $2, $3)
         on conflict (policy_id, repository) do update set reached = excluded.reached",
    )
    .bind(policy)
    .bind(repository)
    // Texts and numbers, which are always JSON.
    .bind(serde_json::to_string(reached).unwrap_or_default())
    .execute()
    .await?;
    Ok(())
}
