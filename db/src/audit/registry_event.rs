//! What happened to artifacts, tags and repositories, as registry notifications tell it: entries of the audit log with
//! the media type and the size of the artifact, where it is still there.

use model::{Digest, RepositoryName, Tag, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, row};

row! {
    columns event_columns;
    /// Something that happened in a repository.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RegistryEvent of audit {
        /// The entry's id.
        pub id: i64 = e.id,
        /// When.
        pub at: Timestamp = e.at,
        /// By whom.
        pub principal_name: String = e.principal_name,
        /// From which address.
        pub address: String = e.address,
        /// `create`, `pull` or `delete`.
        pub operation: String = e.operation,
        /// `artifact`, `tag`, `blob` or `repository`.
        pub resource_type: String = e.resource_type,
        /// The repository.
        pub repository: Option<RepositoryName> = e.repository,
        /// The tag.
        pub tag: Option<Tag> = e.tag,
        /// The artifact or blob.
        pub digest: Option<Digest> = e.digest,
    }
    computed {
        /// The digest to which the tag of the entry was set then, where the entry has none.
        pub tagged: Option<Digest> =
            "(case when e.resource_type = 'tag' and e.operation = 'create' then
                 (select h.digest from tag_history h join repository r on r.id = h.repository_id
                  where r.name = e.repository and r.deleted_at is null and h.name = e.tag and h.at <= e.at
                  order by h.id desc limit 1) end)",
        /// The media type of the artifact.
        pub media_type: Option<String> =
            "(select m.media_type from manifest m join repository r on r.id = m.repository_id
              where r.name = e.repository and r.deleted_at is null and m.digest = e.digest and m.deleted_at is null)",
        /// The size of the artifact.
        pub size: Option<i64> =
            "(select m.size from manifest m join repository r on r.id = m.repository_id
              where r.name = e.repository and r.deleted_at is null and m.digest = e.digest and m.deleted_at is null)",
    }
}

/// Those after an entry and up to another, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn between(
    reader: &mut Reader,
    (after, up_to): (i64, i64),
    limit: i64,
) -> Result<Vec<RegistryEvent>> {
    let rows = reader
        .query(concat!(
            "select ",
            event_columns!(),
            " from audit e where e.id > $1 and e.id <= $2 and e.success = 1 and
              (e.resource_type = 'artifact' and e.operation in ('create', 'pull', 'delete') or
               e.resource_type = 'tag' and e.operation in ('create', 'delete') or
               e.resource_type in ('repository', 'blob') and e.operation = 'delete')
              order by e.id limit $3"
        ))
        .bind(after)
        .bind(up_to)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(RegistryEvent::read).collect()
}
