//! Tags. One that points at a deleted manifest does not exist: it waits to be purged, or to be pushed again.

pub mod history;
pub mod listing;

use model::{Digest, ManifestId, PrincipalId, RepositoryId, RepositoryName, Tag, Timestamp};

use crate::accessory;
use crate::content::HeldManifest;
use crate::database::Db;
use crate::error::{Error, Result};
use crate::sql::{Reader, Tx};
use crate::touch::Touch;

/// The digest that a tag points at, through the cache.
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

/// Reads what the cache does not have, and puts it there.
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

/// Points a tag at a manifest; one that pointed at a deleted manifest is a new one. The time without a tag of that one, and of the one that the tag leaves, begins anew
/// when it is next seen without.
///
/// # Errors
/// When the statement fails.
pub async fn set(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    tag: &Tag,
    to: ManifestId,
    by: Option<PrincipalId>,
    now: Timestamp,
) -> Result<()> {
    // One round trip. What was pushed is not an import's any more.
    tx.query_either(
        "delete from tag_stat where tag_id = (select t.id from tag t join manifest m on m.id = t.manifest_id
             where t.repository_id = $1 and t.name = $2 and m.deleted_at is not null);
         update manifest set untagged_at = null where untagged_at is not null
         and id in ($3, (select manifest_id from tag where repository_id = $1 and name = $2));
         insert into tag (repository_id, name, manifest_id, pushed_at) values ($1, $2, $3, $4)
         on conflict (repository_id, name) do update set manifest_id = excluded.manifest_id,
             previous_id = case when tag.manifest_id = excluded.manifest_id then tag.previous_id else tag.manifest_id end,
                 pushed_at = excluded.pushed_at, imported_digest = null;
         insert into tag_history (repository_id, name, digest, principal_id, at)
         select $1, $2, m.digest, $5, $4 from manifest m where m.id = $3 and m.digest is not (
             select h.digest from tag_history h where h.repository_id = $1 and h.name = $2 order by h.id desc limit 1)",
        // The manifests are held first, as by all who take both: whether they are listed may change.
        "with held as (select id, untagged_at from manifest where deleted_at is null
             and id in ($3, (select manifest_id from tag where repository_id = $1 and name = $2)) order by id for no key update),
         begun as (update manifest m set untagged_at = null from held where m.id = held.id and held.untagged_at is not null),
         recorded as (insert into tag_history (repository_id, name, digest, principal_id, at)
             select $1, $2, m.digest, $5, $4 from manifest m where m.id = $3 and m.digest is distinct from (
                 select h.digest from tag_history h where h.repository_id = $1 and h.name = $2 order by h.id desc limit 1)),
         forgotten as (delete from tag_stat where tag_id = (select t.id from tag t join manifest m on m.id = t.manifest_id
             where t.repository_id = $1 and t.name = $2 and m.deleted_at is not null))
         insert into tag (repository_id, name, manifest_id, pushed_at)
         select $1, $2, $3, $4 from (select count(*) from held) counted
         on conflict (repository_id, name) do update set manifest_id = excluded.manifest_id,
             previous_id = case when tag.manifest_id = excluded.manifest_id then tag.previous_id else tag.manifest_id end,
                 pushed_at = excluded.pushed_at, imported_digest = null",
    )
    .bind(id)
    .bind(tag.as_str())
    .bind(to)
    .bind(now)
    .bind(by)
    .execute()
    .await?;
    has_moved(tx, (id, name), tag, to).await
}

/// Notes what follows from pointing a tag at a manifest.
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

/// The digest that a tag points at, which nobody else who asks for it changes until the transaction ends: also not by
/// making the tag, where there is none.
///
/// # Errors
/// When a statement fails.
pub async fn hold_name(tx: &mut Tx, repository: RepositoryId, tag: &Tag) -> Result<Option<Digest>> {
    tx.query_either(
        "select $1 as locked where $2 is not null",
        "select 1 as locked from pg_advisory_xact_lock(hashtextextended($2, cast(7108 as bigint) * 100000000 + $1))",
    )
    .bind(repository)
    .bind(tag.as_str())
    .optional()
    .await?;
    let row = tx
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

/// The tags that point at a manifest.
///
/// # Errors
/// When the statement fails.
pub async fn of_manifest(reader: &mut Reader, manifest: ManifestId) -> Result<Vec<Tag>> {
    let rows = reader
        .query("select name from tag where manifest_id = $1 order by name")
        .bind(manifest)
        .all()
        .await?;
    rows.iter().map(|row| row.get("tag", "name")).collect()
}

/// The first of the tags that point at a manifest, by name.
///
/// # Errors
/// When the statement fails.
pub async fn first_of_manifest(
    reader: &mut Reader,
    manifest: ManifestId,
    limit: i64,
) -> Result<Vec<Tag>> {
    let rows = reader
        .query("select name from tag where manifest_id = $1 order by name limit $2")
        .bind(manifest)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(|row| row.get("tag", "name")).collect()
}

/// Points a tag at a manifest that is held, as another registry has it. One that is there is moved only where it
/// points at what an earlier import set: whether it points at the manifest now.
///
/// # Errors
/// When a statement fails.
pub async fn import(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    tag: &Tag,
    to: HeldManifest,
    now: Timestamp,
) -> Result<bool> {
    forget_deleted(tx, id, tag).await?;
    let set = tx
        .query(
            "insert into tag (repository_id, name, manifest_id, pushed_at, imported_digest) values ($1, $2, $3, $4, $5)
             on conflict (repository_id, name) do update set manifest_id = excluded.manifest_id,
                 previous_id = case when tag.manifest_id = excluded.manifest_id then tag.previous_id else tag.manifest_id end,
                 pushed_at = excluded.pushed_at, imported_digest = excluded.imported_digest
             where tag.manifest_id <> excluded.manifest_id and exists (select 1 from manifest m
                 where m.id = tag.manifest_id and (m.digest = tag.imported_digest or m.deleted_at is not null))",
        )
        .bind(id)
        .bind(tag.as_str())
        .bind(to.id)
        .bind(now)
        .bind(&to.digest)
        .execute()
        .await?;
    if set == 0 {
        return points_at(tx, id, tag, to.id).await;
    }
    restart_untagged_time(tx, to.id).await?;
    tx.query("insert into tag_history (repository_id, name, digest, at) values ($1, $2, $3, $4)")
        .bind(id)
        .bind(tag.as_str())
        .bind(&to.digest)
        .bind(now)
        .execute()
        .await?;
    has_moved(tx, (id, name), tag, to.id).await?;
    Ok(true)
}

/// Takes the counters of a tag that points at a deleted manifest away: it is a new one when it is set again.
async fn forget_deleted(tx: &mut Tx, repository: RepositoryId, tag: &Tag) -> Result<()> {
    tx.query(
        "delete from tag_stat where tag_id = (select t.id from tag t join manifest m on m.id = t.manifest_id
             where t.repository_id = $1 and t.name = $2 and m.deleted_at is not null)",
    )
    .bind(repository)
    .bind(tag.as_str())
    .execute()
    .await?;
    Ok(())
}

/// Points a tag that does not exist at a manifest that is held. `false` where it exists, whatever it points at.
///
/// # Errors
/// When a statement fails.
pub async fn create(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    tag: &Tag,
    to: HeldManifest,
    (by, now): (Option<PrincipalId>, Timestamp),
) -> Result<bool> {
    forget_deleted(tx, id, tag).await?;
    let made = tx
        .query(
            "insert into tag (repository_id, name, manifest_id, pushed_at) values ($1, $2, $3, $4)
             on conflict (repository_id, name) do update set manifest_id = excluded.manifest_id,
                 previous_id = null, pushed_at = excluded.pushed_at, imported_digest = null
             where exists (select 1 from manifest m where m.id = tag.manifest_id and m.deleted_at is not null)",
        )
        .bind(id)
        .bind(tag.as_str())
        .bind(to.id)
        .bind(now)
        .execute()
        .await?;
    if made == 0 {
        return Ok(false);
    }
    set(tx, (id, name), tag, to.id, by, now).await?;
    Ok(true)
}

async fn points_at(
    reader: &mut Reader,
    repository: RepositoryId,
    tag: &Tag,
    manifest: ManifestId,
) -> Result<bool> {
    let row = reader
        .query("select id from tag where repository_id = $1 and name = $2 and manifest_id = $3")
        .bind(repository)
        .bind(tag.as_str())
        .bind(manifest)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// The time without a tag begins anew when the manifest is next seen without.
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

/// Takes a tag away; what it pointed at stays. The digest, if there was such a tag.
///
/// # Errors
/// When a statement fails.
pub async fn delete(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    tag: &Tag,
) -> Result<Option<Digest>> {
    tx.touch(Touch::Tag(name.clone(), tag.clone()));
    for _ in 0..ATTEMPTS {
        let Some((manifest, digest)) = hold_target(tx, id, tag).await? else {
            return Ok(None);
        };
        let gone = tx
            .query("delete from tag where repository_id = $1 and name = $2 and manifest_id = $3")
            .bind(id)
            .bind(tag.as_str())
            .bind(manifest)
            .execute()
            .await?;
        if gone > 0 {
            restart_untagged_time(tx, manifest).await?;
            tx.relist(id).manifest(manifest);
            return Ok(digest);
        }
    }
    Err(Error::Contended("the tag"))
}

/// How often a tag may be moved while it is about to be taken away.
const ATTEMPTS: usize = 5;

/// Holds the manifest that a tag points at, before the tag, as all who take both; its digest, if it is living.
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

/// Names of a repository's tags after `last`, bytewise sorted, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    reader: &mut Reader,
    repository: &RepositoryName,
    last: Option<&str>,
    limit: i64,
) -> Result<Vec<String>> {
    let rows = reader
        .query(
            "select t.name from tag t where t.repository_id = (select id from repository where name = $1 and deleted_at is null)
             and t.name > $2 and exists (select 1 from manifest m where m.id = t.manifest_id and m.deleted_at is null)
             order by t.name limit $3",
        )
        .bind(repository.as_str())
        .bind(last.unwrap_or_default())
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(|row| row.get("tag", "name")).collect()
}
