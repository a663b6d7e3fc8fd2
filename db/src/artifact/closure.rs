//! Everything that belongs to a manifest, for copying: what it lists, the accessories of these, and so on.

use model::{Digest, ManifestId, RepositoryId, Tag};

use crate::content::StoredBlob;
use crate::error::Result;
use crate::sql::{Reader, Tx, json_list, row};

row! {
    columns member_columns;
    /// A manifest of a closure.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Member of manifest {
        /// Its row.
        pub id: ManifestId = m.id,
        /// Its digest.
        pub digest: Digest = m.digest,
        /// Its media type.
        pub media_type: String = m.media_type,
        /// Bytes of its payload.
        pub size: i64 = m.size,
    }
}

/// A living manifest, everything that it lists, and the accessories of all these: at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn members(
    reader: &mut Reader,
    (repository, root): (RepositoryId, ManifestId),
    limit: i64,
) -> Result<Vec<Member>> {
    let rows = reader
        .query_either(
            concat!(
                "with recursive closure (id, digest) as (
                     select id, digest from manifest where id = $2 and repository_id = $1 and deleted_at is null
                     union select n.id, n.digest from closure c join manifest_reference r on r.manifest_id = c.id
                     join manifest n on n.id = r.child_id and n.deleted_at is null
                     union select n.id, n.digest from closure c join accessory x on x.repository_id = $1 and x.subject = c.digest
                     join manifest n on n.id = x.manifest_id and n.deleted_at is null limit $3)
                 select ", member_columns!(), " from closure join manifest m on m.id = closure.id"
            ),
            concat!(
                "with recursive closure (id, digest) as (
                     select id, digest from manifest where id = $2 and repository_id = $1 and deleted_at is null
                     union select n.id, n.digest from closure c cross join lateral (
                         select k.id, k.digest from manifest_reference r join manifest k on k.id = r.child_id and k.deleted_at is null
                         where r.manifest_id = c.id
                         union all select k.id, k.digest from accessory x join manifest k on k.id = x.manifest_id and k.deleted_at is null
                         where x.repository_id = $1 and x.subject = c.digest) n)
                 select ", member_columns!(), " from (select id from closure limit $3) found join manifest m on m.id = found.id"
            ),
        )
        .bind(repository)
        .bind(root)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Member::read).collect()
}

/// Whether a manifest belongs to another.
///
/// # Errors
/// When the statement fails.
pub async fn is_accessory(reader: &mut Reader, manifest: ManifestId) -> Result<bool> {
    let row = reader
        .query("select manifest_id from accessory where manifest_id = $1")
        .bind(manifest)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// The number of references in manifests, counted up to `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn references(reader: &mut Reader, manifests: &[ManifestId], limit: i64) -> Result<i64> {
    let row = reader
        .query_either(
            "select count(*) as total from (select 1 from manifest_reference
             where manifest_id in (select value from json_each($1)) limit $2) found",
            "select count(*) as total from (select 1 from manifest_reference
             where manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) limit $2) found",
        )
        .bind(json_list(manifests.iter().map(|id| id.0)))
        .bind(limit)
        .one()
        .await?;
    row.get("manifest_reference", "total")
}

/// The payloads of manifests.
///
/// # Errors
/// When the statement fails.
pub async fn payloads(
    reader: &mut Reader,
    manifests: &[ManifestId],
) -> Result<Vec<(ManifestId, Vec<u8>)>> {
    let rows = reader
        .query_either(
            "select manifest_id, payload from manifest_payload where manifest_id in (select value from json_each($1))",
            "select manifest_id, payload from manifest_payload
             where manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
        )
        .bind(json_list(manifests.iter().map(|id| id.0)))
        .all()
        .await?;
    rows.iter()
        .map(|row| {
            let id = row.get("manifest_payload", "manifest_id")?;
            Ok((id, row.get("manifest_payload", "payload")?))
        })
        .collect()
}

/// The existing blobs that manifests name, at most `limit`, locked in the order of their ids: none of them is deleted
/// until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold_blobs(
    tx: &mut Tx,
    manifests: &[ManifestId],
    limit: i64,
) -> Result<Vec<StoredBlob>> {
    let rows = tx
        .query_either(
            concat!(
                "select ", blob_columns!(), " from blob where lost_at is null and id in (
                     select r.blob_id from manifest_reference r where r.manifest_id in (select value from json_each($1)))
                 order by id limit $2"
            ),
            concat!(
                "select ", blob_columns!(), " from blob where lost_at is null and id in (
                     select r.blob_id from manifest_reference r
                     where r.manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))))
                 order by id limit $2 for key share"
            ),
        )
        .bind(json_list(manifests.iter().map(|id| id.0)))
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(StoredBlob::read).collect()
}

/// The tags of a manifest, and tags of the others that may name a subject (`sha256-…`), by name: at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn tags(
    reader: &mut Reader,
    root: ManifestId,
    others: &[ManifestId],
    limit: i64,
) -> Result<Vec<(ManifestId, Tag)>> {
    let rows = reader
        .query_either(
            "select manifest_id, name from tag where manifest_id = $3
             union select manifest_id, name from tag where manifest_id in (select value from json_each($1))
             and name >= 'sha256-' and name < 'sha256.' order by name limit $2",
            "select manifest_id, name from tag where manifest_id = $3
             union select manifest_id, name from tag
             where manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             and name >= 'sha256-' and name < 'sha256.' order by name limit $2",
        )
        .bind(json_list(others.iter().map(|id| id.0)))
        .bind(limit)
        .bind(root)
        .all()
        .await?;
    rows.iter()
        .map(|row| Ok((row.get("tag", "manifest_id")?, row.get("tag", "name")?)))
        .collect()
}
