//! Events that the audit log does not have: what replication and retention did. A note is written in the transaction of
//! what it tells of, and only where a policy of the project asks for it.

use model::{
    Digest, ExecutionId, PrincipalId, ProjectId, ProjectName, RepositoryName, Timestamp,
    WebhookEvent,
};

use crate::error::Result;
use crate::sql::{Reader, Tx, row};

row! {
    columns note_columns;
    /// An event.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Note of webhook_note {
        /// Its id.
        pub id: i64 = n.id,
        /// Its project.
        pub project: ProjectId = n.project_id,
        /// Its type.
        pub event: WebhookEvent = n.event,
        /// Who did it.
        pub operator: String = n.operator,
        /// Who that is, among principals.
        pub principal: Option<PrincipalId> = n.principal_id,
        /// Its data, as JSON.
        pub data: String = n.data,
        /// When it was.
        pub at: Timestamp = n.at,
    }
}

/// An event to be noted.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// The project's name.
    pub project: &'a ProjectName,
    /// The type.
    pub event: WebhookEvent,
    /// Who did it.
    pub operator: &'a str,
    /// What it is about, which has the same operator.
    pub execution: ExecutionId,
    /// Its data, as JSON.
    pub data: &'a str,
}

/// Notes an event, if a policy of its project asks for it.
///
/// # Errors
/// When the statement fails.
pub async fn add(tx: &mut Tx, new: &New<'_>, now: Timestamp) -> Result<()> {
    tx.query(
        "insert into webhook_note (project_id, event, operator, data, at, principal_id)
         select p.id, $2, $3, $4, $5, (select e.principal_id from execution e where e.id = $6)
         from project p where p.name = $1 and p.deleted_at is null
         and exists (select 1 from webhook_policy w where w.project_id = p.id and w.enabled = 1
             and w.deleted_at is null and w.event_types like '%\"' || $2 || '\"%')",
    )
    .bind(new.project.as_str())
    .bind(new.event.name())
    .bind(new.operator)
    .bind(new.data)
    .bind(now)
    .bind(new.execution)
    .execute()
    .await?;
    Ok(())
}

/// Notes that were not followed, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn list(reader: &mut Reader, limit: i64) -> Result<Vec<Note>> {
    let rows = reader
        .query(concat!(
            "select ",
            note_columns!(),
            " from webhook_note n order by n.id limit $1"
        ))
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Note::read).collect()
}

/// Removes a note that was followed.
///
/// # Errors
/// When the statement fails.
pub async fn remove(tx: &mut Tx, id: i64) -> Result<()> {
    tx.query("delete from webhook_note where id = $1")
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Artifacts of a repository whose deletion since a time has this detail in the history, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn deleted(
    reader: &mut Reader,
    (repository, detail): (&RepositoryName, &str),
    since: Timestamp,
    limit: i64,
) -> Result<Vec<Digest>> {
    let rows = reader
        .query(
            "select digest from audit where repository = $1 and at >= $2 and operation = 'delete'
             and resource_type = 'artifact' and detail = $3 order by at, id limit $4",
        )
        .bind(repository.as_str())
        .bind(since)
        .bind(detail)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(|row| row.get("audit", "digest")).collect()
}
