//! What policies have copied: what a destination must still have, and what may be deleted there.

use model::{Digest, RegistryId, ReplicationPolicyId, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Tx, row};

row! {
    columns state_columns;
    /// Something that a policy has copied.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Copied of replication_state {
        /// The repository at the destination.
        pub repository: String = s.repository,
        /// The tag there, or a digest.
        pub reference: String = s.reference,
        /// The repository that it came from.
        pub source: String = s.source,
        /// What was copied.
        pub digest: Digest = s.digest,
        /// When that was.
        pub copied_at: Timestamp = s.copied_at,
    }
}

/// Notes that something was copied.
///
/// # Errors
/// When the statement fails.
pub async fn note(tx: &mut Tx, policy: ReplicationPolicyId, copied: &Copied) -> Result<()> {
    tx.query(
        "insert into replication_state (policy_id, repository, reference, source, digest, copied_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (policy_id, repository, reference) do update
             set source = excluded.source, digest = excluded.digest, copied_at = excluded.copied_at",
    )
    .bind(policy)
    .bind(&*copied.repository)
    .bind(&*copied.reference)
    .bind(&*copied.source)
    .bind(&copied.digest)
    .bind(copied.copied_at)
    .execute()
    .await?;
    Ok(())
}

/// What a policy has copied from a repository, after a reference, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn of_source(
    reader: &mut Reader,
    policy: ReplicationPolicyId,
    (source, after): (&str, &str),
    limit: i64,
) -> Result<Vec<Copied>> {
    let rows = reader
        .query(concat!(
            "select ",
            state_columns!(),
            " from replication_state s where s.policy_id = $1 and s.source = $2 and s.reference > $3
             order by s.reference limit $4"
        ))
        .bind(policy)
        .bind(source)
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Copied::read).collect()
}

/// What a policy has copied of some references of a repository.
///
/// # Errors
/// When the statement fails.
pub async fn find(
    reader: &mut Reader,
    policy: ReplicationPolicyId,
    (source, reference): (&str, &str),
) -> Result<Vec<Copied>> {
    let rows = reader
        .query(concat!(
            "select ",
            state_columns!(),
            " from replication_state s where s.policy_id = $1 and s.source = $2 and s.reference = $3 order by s.repository"
        ))
        .bind(policy)
        .bind(source)
        .bind(reference)
        .all()
        .await?;
    rows.iter().map(Copied::read).collect()
}

/// What a policy has copied of an artifact of a repository, under whichever reference.
///
/// # Errors
/// When the statement fails.
pub async fn of_digest(
    reader: &mut Reader,
    policy: ReplicationPolicyId,
    (source, digest): (&str, &Digest),
) -> Result<Vec<Copied>> {
    let rows = reader
        .query(concat!(
            "select ",
            state_columns!(),
            " from replication_state s where s.policy_id = $1 and s.source = $2 and s.digest = $3 order by s.reference"
        ))
        .bind(policy)
        .bind(source)
        .bind(digest)
        .all()
        .await?;
    rows.iter().map(Copied::read).collect()
}

/// Repositories from which a policy has copied something, after one, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn sources(
    reader: &mut Reader,
    policy: ReplicationPolicyId,
    after: &str,
    limit: i64,
) -> Result<Vec<String>> {
    let rows = reader
        .query(
            "select distinct source from replication_state where policy_id = $1 and source > $2 order by source limit $3",
        )
        .bind(policy)
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("replication_state", "source"))
        .collect()
}

/// Forgets something that was deleted at the destination.
///
/// # Errors
/// When the statement fails.
pub async fn forget(
    tx: &mut Tx,
    policy: ReplicationPolicyId,
    (repository, reference): (&str, &str),
) -> Result<()> {
    tx.query(
        "delete from replication_state where policy_id = $1 and repository = $2 and reference = $3",
    )
    .bind(policy)
    .bind(repository)
    .bind(reference)
    .execute()
    .await?;
    Ok(())
}

/// Forgets all that policies have noted, what they were told, and their unfinished uploads: of one of them, or of all of a registry. With another
/// registry, direction or name it would be said of what they never copied.
///
/// # Errors
/// When a statement fails.
pub async fn forget_all(tx: &mut Tx, of: Of) -> Result<()> {
    let (policy, registry) = match of {
        Of::Policy(id) => (Some(id.0), None),
        Of::Registry(id) => (None, Some(id.0)),
    };
    for statement in [
        "delete from replication_state where policy_id in
         (select y.id from replication_policy y where y.id = $1 or y.registry_id = $2)",
        "delete from replication_upload where policy_id in
         (select y.id from replication_policy y where y.id = $1 or y.registry_id = $2)",
        "delete from replication_reach where policy_id in
         (select y.id from replication_policy y where y.id = $1 or y.registry_id = $2)",
    ] {
        tx.query(statement)
            .bind(policy)
            .bind(registry)
            .execute()
            .await?;
    }
    Ok(())
}

/// Whose notes are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Of a policy.
    Policy(ReplicationPolicyId),
    /// Of all policies of a registry.
    Registry(RegistryId),
}
