//! How a transaction locks the project that it writes into.

use model::ProjectId;

use crate::error::Result;
use crate::sql::Reader;

/// The class of the advisory locks on projects.
const PROJECT_LOCKS: i32 = 7103;

/// How a transaction locks its project. Lock order: project, the job that writes, shards of the project's usage,
/// repository, upload, blobs and their links by id, manifests by id, tags by name, counters of pulls. Rows that are
/// only added come last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Shared with others; it cannot be deleted meanwhile.
    Shared(ProjectId),
    /// Exclusively: no other transaction writes into it meanwhile.
    Alone(ProjectId),
}

impl Hold {
    /// Takes the lock, then checks that the project exists: one statement each, so that the second sees everything
    /// committed before the lock was granted.
    pub(super) fn statements(self) -> String {
        let (lock, ProjectId(id)) = match self {
            Self::Shared(id) => ("pg_advisory_xact_lock_shared", id),
            Self::Alone(id) => ("pg_advisory_xact_lock", id),
        };
        let key = id % i64::from(i32::MAX);
        format!(
            "; select {lock}({PROJECT_LOCKS}, {key});
             select count(*) as living from project where id = {id} and deleted_at is null"
        )
    }

    pub(super) fn project(self) -> ProjectId {
        match self {
            Self::Shared(id) | Self::Alone(id) => id,
        }
    }
}

/// Whether a project exists.
pub(super) async fn is_living(reader: &mut Reader, id: ProjectId) -> Result<bool> {
    let row = reader
        .query("select id from project where id = $1 and deleted_at is null")
        .bind(id)
        .optional()
        .await?;
    Ok(row.is_some())
}
