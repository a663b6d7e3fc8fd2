//! Blobs and their links to repositories. A blob exists when its row does.

use std::sync::Arc;

use model::{BlobId, Digest, RepositoryId, RepositoryName, Timestamp};

use crate::cache::Touch;
use crate::sql::Row;
use crate::{Db, Error, Result, Tx};

/// A blob that is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its id; what it names never changes.
    pub id: BlobId,
    /// Its digest.
    pub digest: Digest,
    /// Where its bytes are.
    pub key: String,
    /// How many they are.
    pub size: u64,
}

fn read(row: &Row) -> Result<StoredBlob> {
    let size = row.int("blob", "size")?;
    Ok(StoredBlob {
        id: BlobId(row.int("blob", "id")?),
        digest: row.parse("blob", "digest")?,
        key: row.text("blob", "object_key")?,
        size: size.try_into().map_err(|_| Error::Corrupt {
            table: "blob",
            column: "size",
        })?,
    })
}

/// The blob that a repository links under a digest, through the cache.
///
/// # Errors
/// When the database cannot be read.
pub async fn linked(
    db: &Db,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Arc<StoredBlob>>> {
    let key = (repository.clone(), *digest);
    if let Some(blob) = db.caches().blobs.get(&key) {
        return Ok(Some(blob));
    }
    Box::pin(read_through(db, key)).await
}

/// Reads what the cache does not have, and puts it there.
async fn read_through(db: &Db, key: (RepositoryName, Digest)) -> Result<Option<Arc<StoredBlob>>> {
    let (repository, digest) = &key;
    let read_at = db.caches().blobs.before_read();
    let mut tx = db.reader().await?;
    let row = tx
        .query(
            "select b.id, b.digest, b.object_key, b.size from blob b
             join repository_blob l on l.blob_id = b.id join repository r on r.id = l.repository_id
             where r.name = $1 and b.digest = $2 and b.state = 'live'",
        )
        .bind(repository.as_str())
        .bind(digest)
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    let blob = Arc::new(read(&row)?);
    db.caches().blobs.put(read_at, key, blob.clone());
    Ok(Some(blob))
}

/// The live blob with a digest, whoever links it.
///
/// # Errors
/// When the statement fails.
pub async fn live(tx: &mut Tx, digest: &Digest) -> Result<Option<StoredBlob>> {
    let row = tx
        .query("select id, digest, object_key, size from blob where digest = $1 and state = 'live'")
        .bind(digest)
        .optional()
        .await?;
    row.as_ref().map(read).transpose()
}

/// The row of a blob whose bytes are durable under `key`: a new one, or the one that another push
/// committed first, whose key then differs.
///
/// # Errors
/// When a statement fails.
pub async fn commit(
    tx: &mut Tx,
    digest: &Digest,
    key: &str,
    size: u64,
    now: Timestamp,
) -> Result<StoredBlob> {
    let made = tx
        .query(
            "insert into blob (digest, object_key, size, state, created_at) values ($1, $2, $3, 'live', $4)
             on conflict (digest) where state = 'live' do nothing returning id, digest, object_key, size",
        )
        .bind(digest)
        .bind(key)
        .bind(size)
        .bind(now)
        .optional()
        .await?;
    match made {
        Some(row) => read(&row),
        None => live(tx, digest).await?.ok_or(Error::Corrupt {
            table: "blob",
            column: "digest",
        }),
    }
}

/// Links a blob to a repository, or renews the link's lease.
///
/// # Errors
/// When the statement fails.
pub async fn link(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    blob: &StoredBlob,
    lease_until: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into repository_blob (repository_id, blob_id, lease_until) values ($1, $2, $3)
         on conflict (repository_id, blob_id) do update set lease_until = excluded.lease_until",
    )
    .bind(id)
    .bind(blob.id)
    .bind(lease_until)
    .execute()
    .await?;
    tx.touch(Touch::Blob(name.clone(), blob.digest));
    Ok(())
}

/// Takes the link away. Whether there was one.
///
/// # Errors
/// When the statement fails.
pub async fn unlink(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    digest: &Digest,
) -> Result<bool> {
    let gone = tx
        .query(
            "delete from repository_blob where repository_id = $1
             and blob_id in (select id from blob where digest = $2 and state = 'live')",
        )
        .bind(id)
        .bind(digest)
        .execute()
        .await?;
    tx.touch(Touch::Blob(name.clone(), *digest));
    Ok(gone > 0)
}

/// A manifest of the repository that names the blob, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn named_by(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<Digest>> {
    let row = tx
        .query(
            "select m.digest from manifest_reference c join manifest m on m.id = c.manifest_id
             where c.repository_id = $1 and c.digest = $2 and c.kind = 'blob' limit 1",
        )
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    row.map(|row| row.parse("manifest", "digest")).transpose()
}

/// Repositories that link a live blob, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn linking(tx: &mut Tx, digest: &Digest, limit: i64) -> Result<Vec<RepositoryName>> {
    let rows = tx
        .query(
            "select r.name from blob b join repository_blob l on l.blob_id = b.id
             join repository r on r.id = l.repository_id join project p on p.id = r.project_id
             where b.digest = $1 and b.state = 'live' and p.deleted_at is null order by r.id limit $2",
        )
        .bind(digest)
        .bind(limit)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.parse("repository", "name"))
        .collect()
}

/// Live blobs with ids after `after`, for checks that walk all of them.
///
/// # Errors
/// When the statement fails.
pub async fn walk(tx: &mut Tx, after: BlobId, limit: i64) -> Result<Vec<StoredBlob>> {
    let rows = tx
        .query(
            "select id, digest, object_key, size from blob where id > $1 and state = 'live' order by id limit $2",
        )
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(read).collect()
}

/// Which of `keys` belong to a blob or to an upload: all others are leftovers of a crash.
///
/// # Errors
/// When the statement fails.
pub async fn known_keys(tx: &mut Tx, keys: &[String]) -> Result<Vec<String>> {
    let keys = serde_json::to_string(keys).unwrap_or_default();
    let rows = tx
        .query_either(
            "select value as object_key from json_each($1) where
             exists (select 1 from blob b where b.object_key = value)
             or exists (select 1 from upload u where u.object_key = value and u.state = 'open')",
            "select value as object_key from json_array_elements_text(cast($1 as json)) where
             exists (select 1 from blob b where b.object_key = value)
             or exists (select 1 from upload u where u.object_key = value and u.state = 'open')",
        )
        .bind(keys)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.text("blob", "object_key"))
        .collect()
}
