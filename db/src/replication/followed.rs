//! What happened to artifacts and tags, and which repositories were deleted, since a policy looked: entries of the audit log,
//! in the order of their ids. On PostgreSQL an entry may become visible after one with a higher id, so that nobody reads past
//! an open transaction: see [`crate::audit::chain::horizon`].

use model::{Digest, RepositoryName, Tag};

use crate::error::Result;
use crate::sql::{Reader, row};

row! {
    columns change_columns;
    /// Something that happened to an artifact, to a tag, or without either to a whole repository.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Change of audit {
        /// The entry's id.
        pub id: i64 = a.id,
        /// `create`, `update` or `delete`.
        pub operation: String = a.operation,
        /// The repository.
        pub repository: Option<RepositoryName> = a.repository,
        /// The tag.
        pub tag: Option<Tag> = a.tag,
        /// The artifact.
        pub digest: Option<Digest> = a.digest,
    }
}

/// Changes after an entry and up to another one, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn changes(
    reader: &mut Reader,
    (after, up_to): (i64, i64),
    limit: i64,
) -> Result<Vec<Change>> {
    let rows = reader
        .query(concat!(
            "select ",
            change_columns!(),
            " from audit a where a.id > $1 and a.id <= $2 and a.success = 1 and (
                 (a.resource_type in ('artifact', 'tag') and a.operation in ('create', 'update', 'delete'))
                 or (a.resource_type = 'repository' and a.operation = 'delete')) order by a.id limit $3"
        ))
        .bind(after)
        .bind(up_to)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Change::read).collect()
}
