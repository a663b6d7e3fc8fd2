//! Following the audit log: entries that policies may send, and what is read besides to tell of them.

use model::{Digest, PrincipalId, ProjectId, RepositoryId, RepositoryName, Tag, Timestamp};

use crate::error::{Error, Result};
use crate::installation;
use crate::sql::{Reader, Row, Tx, row};

/// Where the newest entry that was followed is kept.
const PLACE: &str = "webhook-place";

row! {
    columns entry_columns;
    /// An entry that policies may send.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Entry of audit {
        /// Its id.
        pub id: i64 = a.id,
        /// When it was.
        pub at: Timestamp = a.at,
        /// Who did it.
        pub operator: String = a.principal_name,
        /// Who that is, among principals.
        pub principal: Option<PrincipalId> = a.principal_id,
        /// What was done.
        pub operation: String = a.operation,
        /// To what kind of thing.
        pub resource_type: String = a.resource_type,
        /// The project.
        pub project: ProjectId = a.project_id,
        /// The repository.
        pub repository: Option<RepositoryName> = a.repository,
        /// The tag.
        pub tag: Option<Tag> = a.tag,
        /// The artifact.
        pub digest: Option<Digest> = a.digest,
        /// How often it happened.
        pub times: i64 = a.times,
        /// Further information.
        pub detail: String = a.detail,
    }
}

/// The newest entry that was followed; 0 before the first.
///
/// # Errors
/// [`Error::Corrupt`]; when the statement fails.
pub async fn place(reader: &mut Reader) -> Result<i64> {
    let Some(stored) = installation::get(reader, PLACE).await? else {
        return Ok(0);
    };
    let text = String::from_utf8(stored).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or(Error::Corrupt {
            table: "installation",
            column: "value",
        })
}

/// Notes the newest entry that was followed.
///
/// # Errors
/// When the statement fails.
pub async fn set_place(tx: &mut Tx, entry: i64) -> Result<()> {
    installation::put(tx, PLACE, entry.to_string().as_bytes()).await
}

/// After a restore, ids that only events of blobs had are assigned again: the place is no further than the log.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn lower_place(tx: &mut Tx) -> Result<()> {
    let newest = newest(tx).await?;
    if place(tx).await? > newest {
        set_place(tx, newest).await?;
    }
    Ok(())
}

/// The newest entry of the log.
///
/// # Errors
/// When the statement fails.
pub async fn newest(reader: &mut Reader) -> Result<i64> {
    let row = reader.query("select coalesce(max(id), 0) as id from audit");
    row.one().await?.get("audit", "id")
}

/// From which entry on policies that send have to be told, or `None` where none sends.
///
/// # Errors
/// When the statement fails.
pub async fn since(reader: &mut Reader) -> Result<Option<i64>> {
    let row = reader
        .query("select min(since_id) as since_id from webhook_policy where enabled = 1 and deleted_at is null")
        .one()
        .await?;
    row.get("webhook_policy", "since_id")
}

/// Entries after one and up to another one that policies may send, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn entries(
    reader: &mut Reader,
    (after, up_to): (i64, i64),
    limit: i64,
) -> Result<Vec<Entry>> {
    let rows = reader
        .query(concat!(
            "select ",
            entry_columns!(),
            " from audit a where a.id > $1 and a.id <= $2 and a.project_id is not null
             and (a.success = 1 and a.operation in ('create', 'update', 'delete', 'pull')
                     and a.resource_type in ('artifact', 'tag', 'repository')
                 or a.success = 0 and a.operation = 'push' and a.resource_type = 'repository')
             and exists (select 1 from webhook_policy w where w.project_id = a.project_id and w.enabled = 1
                 and w.deleted_at is null)
             order by a.id limit $3"
        ))
        .bind(after)
        .bind(up_to)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Entry::read).collect()
}

/// The repository of a name, and when it was made.
///
/// # Errors
/// When the statement fails.
pub async fn repository(
    reader: &mut Reader,
    name: &RepositoryName,
) -> Result<Option<(RepositoryId, Timestamp)>> {
    let row = reader
        .query("select id, created_at from repository where name = $1 and deleted_at is null")
        .bind(name.as_str())
        .optional()
        .await?;
    let read = |row: Row| {
        Ok((
            row.get("repository", "id")?,
            row.get("repository", "created_at")?,
        ))
    };
    row.map(read).transpose()
}

/// The digest to which a tag was set at a time.
///
/// # Errors
/// When the statement fails.
pub async fn tagged(
    reader: &mut Reader,
    (repository, tag): (RepositoryId, &Tag),
    at: Timestamp,
) -> Result<Option<Digest>> {
    let row = reader
        .query(
            "select digest from tag_history where repository_id = $1 and name = $2 and at <= $3 order by id desc limit 1",
        )
        .bind(repository)
        .bind(tag.as_str())
        .bind(at)
        .optional()
        .await?;
    row.map(|row| row.get("tag_history", "digest")).transpose()
}

/// To what an artifact belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// It is listed by an index.
    Index(Digest),
    /// It is attached to an artifact.
    Subject(Digest),
}

/// To what an artifact belongs, if anything.
///
/// # Errors
/// When a statement fails.
pub async fn whole(
    reader: &mut Reader,
    (repository, digest): (RepositoryId, &Digest),
) -> Result<Option<Whole>> {
    let row = reader
        .query(
            "select i.digest from manifest m join manifest_reference c on c.child_id = m.id
             join manifest i on i.id = c.manifest_id and i.deleted_at is null
             where m.repository_id = $1 and m.digest = $2 and m.deleted_at is null limit 1",
        )
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    if let Some(row) = row {
        return Ok(Some(Whole::Index(row.get("manifest", "digest")?)));
    }
    let row = reader
        .query(
            "select a.subject from manifest m join accessory a on a.manifest_id = m.id
             where m.repository_id = $1 and m.digest = $2 and m.deleted_at is null limit 1",
        )
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    row.map(|row| Ok(Whole::Subject(row.get("accessory", "subject")?)))
        .transpose()
}
