//! Tags. One that points at a deleted manifest does not exist: it waits to be purged, or to be pushed again.
//!
//! Only [`set`] points tags at manifests, for pushes, copies, REST and imports. Permission by the rules is checked
//! before ([`claim`]); the tag's history and the event of the change are written with it.

mod claim;
pub mod history;
pub mod listing;
pub mod version;

use model::replication::TagState;
use model::{Digest, Event, ManifestId, ProjectId, RepositoryId, RepositoryName, Tag, TagId};

pub use self::claim::{Claim, Kept, Onto, claim};
pub use self::version::Deletion;

use crate::accessory;
use crate::content::Place;
use crate::database::Db;
use crate::error::{Error, Result};
use crate::sql::{Reader, Tx};
use crate::touch::Touch;

/// The digest that a tag points at, through the cache. The caller checks the repository's project when it looks up the
/// digest.
///
/// # Errors
/// When the database cannot be read.
pub async fn resolve(db: &Db, repository: &RepositoryName, tag: &Tag) -> Result<Option<Digest>> {
    let key = (repository.clone(), tag.clone());
    if let Some(digest) = db.caches().tags.get(&key) {
        return Ok(Some(digest));
    }
    Box::pin(read_through(db, key)).await
}

/// Reads what the cache does not have, and adds it.
async fn read_through(db: &Db, key: (RepositoryName, Tag)) -> Result<Option<Digest>> {
    let (repository, tag) = &key;
    let read_at = db.caches().tags.before_read();
    let mut reader = db.reader().await?;
    let row = reader
        .query(
            "select m.digest from tag t join manifest m on m.id = t.manifest_id and m.deleted_at is null
             join repository r on r.id = t.repository_id where r.name = $1 and r.deleted_at is null and t.name = $2",
        )
        .bind(repository.as_str())
        .bind(tag.as_str())
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    let digest = row.get("manifest", "digest")?;
    db.caches().tags.put(read_at, key, digest);
    Ok(Some(digest))
}

/// Points claimed tags at their manifest, and records the event for each of them. A tag that pointed at a deleted
/// manifest counts as new. The untagged time of the old and the new manifest restarts when they are next seen untagged.
///
/// # Errors
/// When a statement fails.
pub async fn set(
    tx: &mut Tx,
    at: Place<'_>,
    claim: Claim,
    manifest: ManifestId,
    event: &Event,
) -> Result<Result<(), Kept>> {
    let mut events = Vec::with_capacity(claim.tags.len());
    for tag in &claim.tags {
        if !set_one(tx, at, (tag, &claim), manifest, event).await? {
            return Ok(Err(Kept::Taken(tag.clone())));
        }
        has_moved(tx, (at.repository, at.name), tag, manifest).await?;
        events.push(event.tagged(tag));
    }
    tx.record_all(&events).await?;
    Ok(Ok(()))
}

/// Gives a tag that names what it should a version from elsewhere, unless its own is later.
///
/// # Errors
/// When the statement fails.
pub async fn adopt(
    tx: &mut Tx,
    repository: RepositoryId,
    tag: &Tag,
    state: &TagState,
) -> Result<()> {
    tx.query(
        "update tag set version_at = $3, version_origin = $4
         where repository_id = $1 and name = $2 and coalesce(version_at, pushed_at) <= $3",
    )
    .bind(repository)
    .bind(tag.as_str())
    .bind(state.at)
    .bind(state.origin.to_string())
    .execute()
    .await?;
    Ok(())
}

/// Sets a tag if the claim covers it; returns whether it did. One round trip.
async fn set_one(
    tx: &mut Tx,
    at: Place<'_>,
    (tag, claim): (&Tag, &Claim),
    manifest: ManifestId,
    event: &Event,
) -> Result<bool> {
    let imported = (claim.onto == Onto::Imported).then_some(&claim.to);
    let onto: i64 = match claim.onto {
        Onto::Anything => 0,
        Onto::Nothing => 1,
        Onto::Imported => 2,
        Onto::Earlier(_) => 3,
    };
    let state = match &claim.onto {
        Onto::Earlier(state) => Some(state),
        Onto::Anything | Onto::Nothing | Onto::Imported => None,
    };
    let set = tx
        .query_either(
            "delete from tag where repository_id = $1 and name = $2
             and exists (select 1 from manifest m where m.id = tag.manifest_id and m.deleted_at is not null);
             update manifest set untagged_at = null where untagged_at is not null
             and id in ($3, (select manifest_id from tag where repository_id = $1 and name = $2));
             insert into tag (repository_id, name, manifest_id, pushed_at, imported_digest, version_at, version_origin)
             values ($1, $2, $3, $4, $6, coalesce($9, (select d.at + 1 from tag_deletion d
                 where d.repository = $8 and d.tag = $2 and d.at >= $4)), $10)
             on conflict (repository_id, name) do update set manifest_id = excluded.manifest_id,
                 previous_id = case when tag.manifest_id = excluded.manifest_id then tag.previous_id else tag.manifest_id end,
                 pushed_at = excluded.pushed_at, imported_digest = excluded.imported_digest,
                 version_at = case when $9 is null and coalesce(tag.version_at, tag.pushed_at) >= excluded.pushed_at
                     then coalesce(tag.version_at, tag.pushed_at) + 1 else excluded.version_at end,
                 version_origin = excluded.version_origin
             where $7 = 0 or ($7 = 3 and coalesce(tag.version_at, tag.pushed_at) <= $9) or ($7 = 2 and tag.manifest_id <> excluded.manifest_id and exists (
                 select 1 from manifest m where m.id = tag.manifest_id and m.digest = tag.imported_digest))
             returning id;
             insert into tag_history (repository_id, name, digest, principal_id, at)
             select $1, $2, m.digest, $5, $4 from manifest m where changes() > 0 and m.id = $3 and m.digest is not (
                 select h.digest from tag_history h where h.repository_id = $1 and h.name = $2 order by h.id desc limit 1)",
            // The manifests are locked first, as by all transactions that lock both, since whether they are listed may
            // change. A new tag gets a new id, as above.
            "with held as (select id, untagged_at from manifest where deleted_at is null
                 and id in ($3, (select manifest_id from tag where repository_id = $1 and name = $2)) order by id for no key update),
             begun as (update manifest m set untagged_at = null from held where m.id = held.id and held.untagged_at is not null),
             forgotten as (delete from tag_stat where tag_id = (select t.id from tag t join manifest m on m.id = t.manifest_id
                 where t.repository_id = $1 and t.name = $2 and m.deleted_at is not null)),
             done as (insert into tag (repository_id, name, manifest_id, pushed_at, imported_digest, version_at, version_origin)
                 select $1, $2, $3, $4, $6, coalesce($9, (select d.at + 1 from tag_deletion d
                     where d.repository = $8 and d.tag = $2 and d.at >= $4)), $10 from (select count(*) from held) counted
                 on conflict (repository_id, name) do update set
                     id = case when exists (select 1 from manifest m where m.id = tag.manifest_id and m.deleted_at is not null)
                         then excluded.id else tag.id end,
                     manifest_id = excluded.manifest_id,
                     previous_id = case when tag.manifest_id = excluded.manifest_id then tag.previous_id else tag.manifest_id end,
                     pushed_at = excluded.pushed_at, imported_digest = excluded.imported_digest,
                     version_at = case when $9 is null and coalesce(tag.version_at, tag.pushed_at) >= excluded.pushed_at
                         then coalesce(tag.version_at, tag.pushed_at) + 1 else excluded.version_at end,
                     version_origin = excluded.version_origin
                 where $7 = 0 or ($7 = 3 and coalesce(tag.version_at, tag.pushed_at) <= $9) or exists (select 1 from manifest m where m.id = tag.manifest_id
                     and (m.deleted_at is not null or ($7 = 2 and m.id <> excluded.manifest_id and m.digest = tag.imported_digest)))
                 returning id),
             recorded as (insert into tag_history (repository_id, name, digest, principal_id, at)
                 select $1, $2, m.digest, $5, $4 from done cross join manifest m where m.id = $3 and m.digest is distinct from (
                     select h.digest from tag_history h where h.repository_id = $1 and h.name = $2 order by h.id desc limit 1))
             select id from done",
        )
        .bind(at.repository)
        .bind(tag.as_str())
        .bind(manifest)
        .bind(event.at)
        .bind(event.origin.principal.id())
        .bind(imported)
        .bind(onto)
        .bind(at.name.as_str())
        .bind(state.map(|state| state.at))
        .bind(state.map(|state| state.origin.to_string()))
        .all()
        .await?;
    Ok(!set.is_empty())
}

/// Records the consequences of pointing a tag at a manifest.
async fn has_moved(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    tag: &Tag,
    to: ManifestId,
) -> Result<()> {
    accessory::note_tag(tx, id, tag, to).await?;
    let relist = tx.relist(id);
    relist.manifest(to);
    relist.tag(tag);
    tx.touch(Touch::Tag(name.clone(), tag.clone()));
    Ok(())
}

/// The tags that point at a manifest after `last`, bytewise sorted, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn of_manifest(
    reader: &mut Reader,
    manifest: ManifestId,
    last: Option<&Tag>,
    limit: i64,
) -> Result<Vec<Tag>> {
    let rows = reader
        .query("select name from tag where manifest_id = $1 and name > $2 order by name limit $3")
        .bind(manifest)
        .bind(last.map_or("", Tag::as_str))
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(|row| row.get("tag", "name")).collect()
}

/// The tags of a repository after `last` whose rows are newer than `newer_than`, bytewise sorted, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn newer(
    reader: &mut Reader,
    repository: RepositoryId,
    newer_than: TagId,
    last: Option<&Tag>,
    limit: i64,
) -> Result<Vec<Tag>> {
    let rows = reader
        .query(
            "select t.name from tag t where t.repository_id = $1 and t.name > $2 and t.id > $3
             and exists (select 1 from manifest m where m.id = t.manifest_id and m.deleted_at is null)
             order by t.name limit $4",
        )
        .bind(repository)
        .bind(last.map_or("", Tag::as_str))
        .bind(newer_than)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(|row| row.get("tag", "name")).collect()
}

/// The newest row of a repository's tags; 0 if it has none. A tag keeps its row when it is moved, and gets a new one
/// when it is created, even if one of its name still waits to be purged.
///
/// # Errors
/// When the statement fails.
pub async fn newest(reader: &mut Reader, repository: RepositoryId) -> Result<TagId> {
    let row = reader
        .query("select coalesce(max(id), 0) as newest from tag where repository_id = $1")
        .bind(repository)
        .one()
        .await?;
    row.get("tag", "newest")
}

/// The untagged time restarts when the manifest is next seen untagged.
async fn restart_untagged_time(tx: &mut Tx, manifest: ManifestId) -> Result<()> {
    tx.query("update manifest set untagged_at = null where untagged_at is not null and id = $1")
        .bind(manifest)
        .execute()
        .await?;
    Ok(())
}

/// The digest that a tag points at, in a repository.
///
/// # Errors
/// When the statement fails.
pub async fn target(
    reader: &mut Reader,
    repository: RepositoryId,
    tag: &Tag,
) -> Result<Option<Digest>> {
    let row = reader
        .query(
            "select m.digest from tag t join manifest m on m.id = t.manifest_id and m.deleted_at is null
             where t.repository_id = $1 and t.name = $2",
        )
        .bind(repository)
        .bind(tag.as_str())
        .optional()
        .await?;
    row.map(|row| row.get("manifest", "digest")).transpose()
}

/// Removes a tag, and notes when and where it was deleted; its manifest stays. Returns the digest, if there was such a tag.
///
/// # Errors
/// When a statement fails.
pub async fn delete(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    tag: &Tag,
    deletion: Deletion,
) -> Result<Option<Digest>> {
    tx.touch(Touch::Tag(name.clone(), tag.clone()));
    for _ in 0..ATTEMPTS {
        let Some((manifest, digest)) = hold_target(tx, id, tag).await? else {
            return Ok(None);
        };
        let gone = tx
            .query(
                "delete from tag where repository_id = $1 and name = $2 and manifest_id = $3
                 returning coalesce(version_at, pushed_at) as version",
            )
            .bind(id)
            .bind(tag.as_str())
            .bind(manifest)
            .optional()
            .await?;
        if let Some(gone) = gone {
            let before = Some(gone.get("tag", "version")?);
            version::note_deletion(tx, name, tag, (before, deletion)).await?;
            restart_untagged_time(tx, manifest).await?;
            tx.relist(id).manifest(manifest);
            return Ok(digest);
        }
    }
    Err(Error::Contended("the tag"))
}

/// How often a tag may be moved while it is about to be removed.
const ATTEMPTS: usize = 5;

/// Locks the manifest that a tag points at, before the tag, as all transactions that lock both do; returns its digest,
/// if it is living.
async fn hold_target(
    tx: &mut Tx,
    repository: RepositoryId,
    tag: &Tag,
) -> Result<Option<(ManifestId, Option<Digest>)>> {
    let row = tx
        .query_either(
            "select id, case when deleted_at is null then digest end as digest from manifest
             where id = (select manifest_id from tag where repository_id = $1 and name = $2)",
            "select id, case when deleted_at is null then digest end as digest from manifest
             where id = (select manifest_id from tag where repository_id = $1 and name = $2) for no key update",
        )
        .bind(repository)
        .bind(tag.as_str())
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((
        row.get("manifest", "id")?,
        row.get("manifest", "digest")?,
    )))
}

/// Names of the tags of a project's repository after `last`, bytewise sorted, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    reader: &mut Reader,
    (project, repository): (ProjectId, &RepositoryName),
    last: Option<&str>,
    limit: i64,
) -> Result<Vec<String>> {
    let rows = reader
        .query(
            "select t.name from tag t where t.repository_id = (
                 select id from repository where name = $1 and project_id = $4 and deleted_at is null)
             and t.name > $2 and exists (select 1 from manifest m where m.id = t.manifest_id and m.deleted_at is null)
             order by t.name limit $3",
        )
        .bind(repository.as_str())
        .bind(last.unwrap_or_default())
        .bind(limit)
        .bind(project)
        .all()
        .await?;
    rows.iter().map(|row| row.get("tag", "name")).collect()
}
