//! Tags.

use model::{Digest, ManifestId, RepositoryId, RepositoryName, Tag, Timestamp};

use crate::cache::Touch;
use crate::{Db, Result, Tx};

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
    let mut tx = db.reader().await?;
    let row = tx
        .query(
            "select m.digest from tag t join manifest m on m.id = t.manifest_id
             join repository r on r.id = t.repository_id where r.name = $1 and r.deleted_at is null and t.name = $2",
        )
        .bind(repository.as_str())
        .bind(tag.as_str())
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    let digest = row.parse("manifest", "digest")?;
    db.caches().tags.put(read_at, key, digest);
    Ok(Some(digest))
}

/// Points a tag at a manifest.
///
/// # Errors
/// When the statement fails.
pub async fn set(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    tag: &Tag,
    to: ManifestId,
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into tag (repository_id, name, manifest_id, pushed_at) values ($1, $2, $3, $4)
         on conflict (repository_id, name) do update set manifest_id = excluded.manifest_id, pushed_at = excluded.pushed_at",
    )
    .bind(id)
    .bind(tag.as_str())
    .bind(to)
    .bind(now)
    .execute()
    .await?;
    tx.touch(Touch::Tag(name.clone(), tag.clone()));
    Ok(())
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
    let gone = tx
        .query(
            "delete from tag where repository_id = $1 and name = $2
             returning (select digest from manifest m where m.id = manifest_id) as digest",
        )
        .bind(id)
        .bind(tag.as_str())
        .optional()
        .await?;
    tx.touch(Touch::Tag(name.clone(), tag.clone()));
    gone.map(|row| row.parse("manifest", "digest")).transpose()
}

/// Takes tags of a manifest away, at most `limit`; how many.
///
/// # Errors
/// When a statement fails.
pub async fn delete_of(
    tx: &mut Tx,
    name: &RepositoryName,
    manifest: ManifestId,
    limit: i64,
) -> Result<i64> {
    let gone = tx
        .query(
            "delete from tag where id in (select id from tag where manifest_id = $1 order by name limit $2)
             returning name",
        )
        .bind(manifest)
        .bind(limit)
        .all()
        .await?;
    for row in &gone {
        tx.touch(Touch::Tag(name.clone(), row.parse("tag", "name")?));
    }
    Ok(gone.len() as i64)
}

/// Names of a repository's tags after `last`, bytewise sorted, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    tx: &mut Tx,
    repository: &RepositoryName,
    last: Option<&str>,
    limit: i64,
) -> Result<Vec<String>> {
    let rows = tx
        .query(
            "select name from tag where repository_id = (select id from repository where name = $1 and deleted_at is null)
             and name > $2 order by name limit $3",
        )
        .bind(repository.as_str())
        .bind(last.unwrap_or_default())
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(|row| row.text("tag", "name")).collect()
}
