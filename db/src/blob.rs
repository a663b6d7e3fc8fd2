//! Blobs and their links to repositories. A blob exists when its row does.
//!
//! A manifest names a blob by its digest. A reference that was stored before a foreign layer was pushed also names the
//! blob that is pushed later, so queries for references use the digest within the repository, never the row.

use std::collections::HashSet;
use std::sync::Arc;

use model::{BlobId, Digest, ProjectId, RepositoryId, RepositoryName, Timestamp};

pub use crate::content::{LinkedBlob, Place, StoredBlob};

use crate::broken::Walked;
use crate::database::Db;
use crate::error::{Error, Result};
use crate::garbage::{self, Garbage};
use crate::quota::{self, OverLimit, Taking};
use crate::sql::{Reader, Row, Tx};
use crate::touch::Touch;

/// The blob that a repository of a project links under a digest, through the cache. The project is compared, since a
/// permit may be for a project that was just deleted and created again by somebody else.
///
/// # Errors
/// When the database cannot be read.
pub async fn linked(
    db: &Db,
    project: ProjectId,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Arc<LinkedBlob>>> {
    let key = (repository.clone(), *digest);
    let found = match db.caches().blobs.get(&key) {
        Some(blob) => Some(blob),
        None => Box::pin(read_through(db, key)).await?,
    };
    Ok(found.filter(|blob| blob.project == project))
}

/// Reads what the cache does not have, and adds it.
async fn read_through(db: &Db, key: (RepositoryName, Digest)) -> Result<Option<Arc<LinkedBlob>>> {
    let (repository, digest) = &key;
    let read_at = db.caches().blobs.before_read();
    let mut reader = db.reader().await?;
    let row = reader
        .query(concat!(
            "select ",
            blob_columns!(),
            ", l.lease_until, r.project_id from blob
             join repository_blob l on l.blob_id = blob.id join repository r on r.id = l.repository_id
             where r.name = $1 and r.deleted_at is null and blob.digest = $2 and blob.lost_at is null"
        ))
        .bind(repository.as_str())
        .bind(digest)
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    let blob = Arc::new(LinkedBlob {
        project: row.get("repository", "project_id")?,
        blob: StoredBlob::read(&row)?,
        lease_until: row.get("repository_blob", "lease_until")?,
    });
    db.caches().blobs.put(read_at, key, blob.clone());
    Ok(Some(blob))
}

/// The live blob with a digest, whoever links it.
///
/// # Errors
/// When the statement fails.
pub async fn live(reader: &mut Reader, digest: &Digest) -> Result<Option<StoredBlob>> {
    let row = reader
        .query(concat!(
            "select ",
            blob_columns!(),
            " from blob where digest = $1"
        ))
        .bind(digest)
        .optional()
        .await?;
    row.as_ref().map(StoredBlob::read).transpose()
}

/// As [`live`], locked until the transaction ends: it can be linked, and cannot be deleted meanwhile. Lost blobs, on
/// which nobody may rely, are not returned.
///
/// # Errors
/// When the statement fails.
pub async fn hold_live(tx: &mut Tx, digest: &Digest) -> Result<Option<StoredBlob>> {
    let row = tx
        .query_either(
            concat!(
                "select ",
                blob_columns!(),
                " from blob where digest = $1 and lost_at is null"
            ),
            concat!(
                "select ",
                blob_columns!(),
                " from blob where digest = $1 and lost_at is null for key share"
            ),
        )
        .bind(digest)
        .optional()
        .await?;
    row.as_ref().map(StoredBlob::read).transpose()
}

/// The result of a commit.
#[derive(Debug)]
pub enum Committed {
    /// A new blob.
    New(StoredBlob),
    /// An existing blob: another push was first and this object is garbage, or this object replaced one that was
    /// damaged, lost, or another registry's.
    Known(StoredBlob),
}

/// An object that is complete and durable.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Its key.
    pub key: &'a str,
    /// How many bytes it has.
    pub size: u64,
}

/// The row of a blob whose bytes are durable: a new one, or the existing one. If there are two objects, the unused one
/// is garbage when `due`, unless another registry made it.
///
/// # Errors
/// When a statement fails.
pub async fn commit(
    tx: &mut Tx,
    digest: &Digest,
    object: Object<'_>,
    now: Timestamp,
    due: Timestamp,
) -> Result<Committed> {
    // The blob that is found may be deleted before it is locked: then a new one can be made. Or another push gives it
    // an intact object meanwhile: then it is read again.
    for _ in 0..ATTEMPTS {
        if let Some(made) = insert(tx, digest, object, Origin::Pushed, now).await? {
            return Ok(Committed::New(made));
        }
        let Some(known) = hold_known(tx, digest).await? else {
            continue;
        };
        if known.blob.key == object.key {
            return Ok(Committed::Known(known.blob));
        }
        if known.is_sound(object.size) {
            garbage::add(tx, &[garbage_of(object)], now).await?;
            return Ok(Committed::Known(known.blob));
        }
        if replace(tx, &known, object, Origin::Pushed).await? {
            garbage::add(tx, known.garbage().as_slice(), due).await?;
            return Ok(Committed::Known(known.with(object)));
        }
    }
    Err(Error::Contended("the blob"))
}

/// What is known of an object that another registry made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// How long it is.
    Size,
    /// That its bytes have the digest.
    Bytes,
}

/// As [`commit`], for an object that another registry made: it is not deleted unless [`adopt`]ed, and replaces only a
/// lost one. `None` if the blob is lost and there is no proof of the bytes: they may be the damaged ones.
///
/// # Errors
/// When a statement fails.
pub async fn commit_foreign(
    tx: &mut Tx,
    digest: &Digest,
    object: Object<'_>,
    proof: Proof,
    now: Timestamp,
) -> Result<Option<StoredBlob>> {
    for _ in 0..ATTEMPTS {
        if let Some(made) = insert(tx, digest, object, Origin::Imported, now).await? {
            return Ok(Some(made));
        }
        let Some(known) = hold_known(tx, digest).await? else {
            continue;
        };
        if !known.lost {
            return Ok(Some(known.blob));
        }
        if proof != Proof::Bytes {
            return Ok(None);
        }
        if replace(tx, &known, object, Origin::Imported).await? {
            let before = known.garbage().filter(|garbage| garbage.key != object.key);
            garbage::add(tx, before.as_slice(), now).await?;
            return Ok(Some(known.with(object)));
        }
    }
    Err(Error::Contended("the blob"))
}

/// Who made an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Pushed,
    Imported,
}

async fn insert(
    tx: &mut Tx,
    digest: &Digest,
    object: Object<'_>,
    origin: Origin,
    now: Timestamp,
) -> Result<Option<StoredBlob>> {
    let row = tx
        .query(
            concat!(
            "insert into blob (digest, object_key, size, owned, created_at) values ($1, $2, $3, $4, $5)
             on conflict (digest) do nothing returning ", blob_columns!()),
        )
        .bind(digest)
        .bind(object.key)
        .bind(object.size)
        .bind(origin == Origin::Pushed)
        .bind(now)
        .optional()
        .await?;
    row.as_ref().map(StoredBlob::read).transpose()
}

/// An existing blob that a push found.
struct Known {
    blob: StoredBlob,
    owned: bool,
    lost: bool,
}

impl Known {
    /// Its object as garbage once it has another one, if it may be deleted.
    fn garbage(&self) -> Option<Garbage> {
        self.owned.then(|| Garbage {
            key: self.blob.key.clone(),
            size: self.blob.size,
            unfinished: false,
        })
    }

    /// Whether its object is Gantry's own and, as far as is known, intact.
    fn is_sound(&self, size: u64) -> bool {
        self.owned && !self.lost && self.blob.size == size
    }

    /// The blob with another object.
    fn with(self, object: Object<'_>) -> StoredBlob {
        StoredBlob {
            key: object.key.to_owned(),
            size: object.size,
            ..self.blob
        }
    }
}

async fn hold_known(tx: &mut Tx, digest: &Digest) -> Result<Option<Known>> {
    let row = tx
        .query_either(
            concat!(
                "select ",
                blob_columns!(),
                ", owned, lost_at from blob where digest = $1"
            ),
            concat!(
                "select ",
                blob_columns!(),
                ", owned, lost_at from blob where digest = $1 for key share"
            ),
        )
        .bind(digest)
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Known {
        blob: StoredBlob::read(&row)?,
        owned: row.get("blob", "owned")?,
        lost: row.get::<Option<Timestamp>>("blob", "lost_at")?.is_some(),
    }))
}

/// Gives a blob another object, unless it got another one since it was read: then nothing is changed.
async fn replace(tx: &mut Tx, known: &Known, object: Object<'_>, origin: Origin) -> Result<bool> {
    let replaced = tx
        .query(
            "update blob set object_key = $2, size = $3, owned = $4, lost_at = null where id = $1 and object_key = $5",
        )
        .bind(known.blob.id)
        .bind(object.key)
        .bind(object.size)
        .bind(origin == Origin::Pushed)
        .bind(known.blob.key.as_str())
        .execute()
        .await?;
    if replaced == 0 {
        return Ok(false);
    }
    let smaller = known.blob.size as i64 - object.size as i64;
    if smaller != 0 {
        // Projects that hold the blob were charged for its stated size.
        tx.query(
            "insert into project_refund (project_id, bytes) select distinct r.project_id, $2 from repository_blob l
             join repository r on r.id = l.repository_id where l.blob_id = $1",
        )
        .bind(known.blob.id)
        .bind(smaller)
        .execute()
        .await?;
    }
    // Whichever repositories link it.
    tx.touch(Touch::Everything);
    Ok(true)
}

fn garbage_of(object: Object<'_>) -> Garbage {
    Garbage {
        key: object.key.to_owned(),
        size: object.size,
        unfinished: false,
    }
}

/// What [`release`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Removed blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes those of the blobs that no repository links any more; their objects are garbage when `due`, unless
/// another registry made them.
pub(crate) async fn release(tx: &mut Tx, blobs: &[i64], due: Timestamp) -> Result<Released> {
    let rows = tx
        .query_either(
            "delete from blob where id in (select value from json_each($1))
             and not exists (select 1 from repository_blob l where l.blob_id = blob.id)
             and not exists (select 1 from manifest_reference c where c.blob_id = blob.id)
             returning object_key, size, owned",
            "delete from blob where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             and not exists (select 1 from repository_blob l where l.blob_id = blob.id)
             and not exists (select 1 from manifest_reference c where c.blob_id = blob.id)
             returning object_key, size, owned",
        )
        .bind(serde_json::to_string(blobs).unwrap_or_default())
        .all()
        .await?;
    let mut released = Released::default();
    let mut garbage = Vec::new();
    for row in &rows {
        let size = row.get::<u64>("blob", "size")?;
        released.blobs += 1;
        released.bytes += size;
        if row.get("blob", "owned")? {
            garbage.push(Garbage {
                key: row.get("blob", "object_key")?,
                size,
                unfinished: false,
            });
        }
    }
    garbage::add(tx, &garbage, due).await?;
    Ok(released)
}

/// Makes imported objects Gantry's own: they are deleted when they become garbage. Returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn adopt(tx: &mut Tx) -> Result<u64> {
    tx.query("update blob set owned = 1 where owned = 0")
        .execute()
        .await
}

/// How often a commit may find that the existing blob was deleted.
const ATTEMPTS: usize = 5;

/// Links a blob that is new in this transaction, and charges the project for it.
///
/// # Errors
/// When a statement fails.
pub async fn link_new(
    tx: &mut Tx,
    at: Place<'_>,
    blob: &StoredBlob,
    lease_until: Timestamp,
) -> Result<Result<(), OverLimit>> {
    tx.touch(Touch::Blob(at.name.clone(), blob.digest));
    let size = blob.size as i64;
    if at.taking == Taking::Alone {
        insert_link(tx, at, blob, lease_until).await?;
        return quota::charge(tx, at.project, size, at.taking).await;
    }
    // One way to the database for both: a small image is four of these.
    let charged = tx
        .query_either(
            "insert into repository_blob (repository_id, blob_id, lease_until, review_at) values ($1, $2, $3, $3);
             update project_usage set used = used + $6, room = room - $6
             where project_id = $4 and shard = $5 and room >= $6 returning shard",
            "with linked as (insert into repository_blob (repository_id, blob_id, lease_until, review_at)
                             values ($1, $2, $3, $3)),
             free as (select shard from project_usage where project_id = $4 and room >= $6
                      order by (shard + $5) % 32 limit 1 for update skip locked)
             update project_usage u set used = used + $6, room = room - $6
             from free where u.project_id = $4 and u.shard = free.shard returning u.shard",
        )
        .bind(at.repository)
        .bind(blob.id)
        .bind(lease_until)
        .bind(at.project)
        .bind(quota::next_shard())
        .bind(size)
        .optional()
        .await?;
    match charged {
        Some(_) => Ok(Ok(())),
        None => quota::crowded(tx, at.project, size).await,
    }
}

/// Links a locked blob, or renews the link's lease; a project that did not have it is charged.
///
/// # Errors
/// When a statement fails.
pub async fn link(
    tx: &mut Tx,
    at: Place<'_>,
    blob: &StoredBlob,
    lease_until: Timestamp,
) -> Result<Result<(), OverLimit>> {
    if renew(tx, (at.repository, at.name), blob, lease_until).await? {
        return Ok(Ok(()));
    }
    let held = is_held(tx, at.project, blob.id).await?;
    insert_link(tx, at, blob, lease_until).await?;
    tx.touch(Touch::Blob(at.name.clone(), blob.digest));
    if held {
        return Ok(Ok(()));
    }
    quota::charge(tx, at.project, blob.size as i64, at.taking).await
}

async fn insert_link(
    tx: &mut Tx,
    at: Place<'_>,
    blob: &StoredBlob,
    lease_until: Timestamp,
) -> Result<()> {
    tx.query(
        "insert into repository_blob (repository_id, blob_id, lease_until, review_at) values ($1, $2, $3, $3)
         on conflict (repository_id, blob_id) do update set lease_until = excluded.lease_until, review_at = excluded.review_at",
    )
    .bind(at.repository)
    .bind(blob.id)
    .bind(lease_until)
    .execute()
    .await?;
    Ok(())
}

/// Whether a project holds a blob. No other transaction can link it in this project until this one ends.
async fn is_held(tx: &mut Tx, project: ProjectId, blob: BlobId) -> Result<bool> {
    let row = tx
        .query_either(
            "select exists (select 1 from repository_blob l join repository r on r.id = l.repository_id
                 where l.blob_id = $2 and r.project_id = $1) as held",
            // The lock comes first: what is then read includes everything committed before.
            "select pg_advisory_xact_lock(hashtextextended('project-blob', $1 * 1000003 + $2))",
        )
        .bind(project)
        .bind(blob)
        .one()
        .await?;
    if let Row::Sqlite(_) = row {
        return row.get("repository_blob", "held");
    }
    let row = tx
        .query(
            "select cast(count(*) as bigint) as held from (select 1 from repository_blob l
             join repository r on r.id = l.repository_id where l.blob_id = $2 and r.project_id = $1 limit 1) found",
        )
        .bind(project)
        .bind(blob)
        .one()
        .await?;
    row.get("repository_blob", "held")
}

/// Renews the lease of a link. `false` if there is none.
///
/// # Errors
/// When the statement fails.
pub async fn renew(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    blob: &StoredBlob,
    lease_until: Timestamp,
) -> Result<bool> {
    let renewed = tx
        .query(
            "update repository_blob set lease_until = $3, review_at = $3 where repository_id = $1 and blob_id = $2",
        )
        .bind(id)
        .bind(blob.id)
        .bind(lease_until)
        .execute()
        .await?;
    tx.touch(Touch::Blob(name.clone(), blob.digest));
    Ok(renewed == 1)
}

/// Renews the leases of blobs named by manifests that are being removed: digests as JSON, in hex.
///
/// # Errors
/// When the statement fails.
pub(crate) async fn renew_named(
    tx: &mut Tx,
    (id, name): (RepositoryId, &RepositoryName),
    digests: &str,
    lease_until: Timestamp,
) -> Result<()> {
    let rows = tx
        .query_either(
            "update repository_blob set lease_until = max(lease_until, $3), review_at = max(lease_until, $3)
             where repository_id = $1 and blob_id in
             (select b.id from json_each($2) j cross join blob b on b.digest = unhex(j.value))
             returning (select digest from blob b where b.id = blob_id) as digest",
            // In one order, so that two deletions never deadlock; pushes lock only the key and do not conflict.
            "with named as (select l.blob_id, b.digest from repository_blob l join blob b on b.id = l.blob_id
                            where l.repository_id = $1
                            and b.digest = any (array(select decode(json_array_elements_text(cast($2 as json)), 'hex')))
                            order by l.blob_id for no key update of l)
             update repository_blob l set lease_until = greatest(l.lease_until, $3), review_at = greatest(l.lease_until, $3)
             from named where l.repository_id = $1 and l.blob_id = named.blob_id returning named.digest",
        )
        .bind(id)
        .bind(digests)
        .bind(lease_until)
        .all()
        .await?;
    for row in &rows {
        tx.touch(Touch::Blob(name.clone(), row.get("blob", "digest")?));
    }
    Ok(())
}

/// Whether a manifest of the repository names a blob.
///
/// # Errors
/// When the statement fails.
pub async fn is_named(
    reader: &mut Reader,
    (project, repository): (ProjectId, &RepositoryName),
    blob: &Digest,
) -> Result<bool> {
    let row = reader
        .query(
            "select count(*) as named from (select 1 from manifest_reference c join repository r on r.id = c.repository_id
             where r.name = $1 and r.project_id = $3 and r.deleted_at is null
             and c.digest = $2 and c.kind <> 'manifest' limit 1) found",
        )
        .bind(repository.as_str())
        .bind(blob)
        .bind(project)
        .one()
        .await?;
    row.get("manifest_reference", "named")
}

/// The live blob with a digest, locked so that nobody links or names it until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold_alone(tx: &mut Tx, digest: &Digest) -> Result<Option<StoredBlob>> {
    let row = tx
        .query_either(
            concat!("select ", blob_columns!(), " from blob where digest = $1"),
            concat!(
                "select ",
                blob_columns!(),
                " from blob where digest = $1 for update"
            ),
        )
        .bind(digest)
        .optional()
        .await?;
    row.as_ref().map(StoredBlob::read).transpose()
}

/// Removes a link to an exclusively locked blob, and refunds the project if it no longer holds the blob; a blob without
/// links is removed, and its object is garbage when `due`. Returns whether there was a link.
///
/// # Errors
/// When a statement fails.
pub async fn unlink(tx: &mut Tx, at: Place<'_>, blob: &StoredBlob, due: Timestamp) -> Result<bool> {
    let gone = tx
        .query("delete from repository_blob where repository_id = $1 and blob_id = $2")
        .bind(at.repository)
        .bind(blob.id)
        .execute()
        .await?;
    tx.touch(Touch::Blob(at.name.clone(), blob.digest));
    if gone == 0 {
        return Ok(false);
    }
    if !is_held(tx, at.project, blob.id).await? {
        quota::refund(tx, at.project, blob.size as i64).await?;
    }
    release(tx, &[blob.id.0], due).await?;
    Ok(true)
}

/// A living manifest of the repository that names the blob, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn named_by(
    reader: &mut Reader,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<Digest>> {
    let row = reader
        .query(
            "select m.digest from manifest_reference c join manifest m on m.id = c.manifest_id
             where c.repository_id = $1 and c.digest = $2 and c.kind <> 'manifest' and m.deleted_at is null limit 1",
        )
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    row.map(|row| row.get("manifest", "digest")).transpose()
}

/// Repositories of a project that link a blob. Links of other projects are not read, whatever the database's planner
/// prefers: timing must not reveal how many there are.
///
/// # Errors
/// When the statement fails.
pub async fn linking(
    reader: &mut Reader,
    project: ProjectId,
    digest: &Digest,
    limit: i64,
) -> Result<Vec<RepositoryName>> {
    // A subquery with a limit is not turned into a join, which might begin at the blob.
    let rows = reader
        .query(
            "select r.name from repository r where r.project_id = $1 and r.deleted_at is null and exists (
                 select 1 from blob b join repository_blob l on l.blob_id = b.id and l.repository_id = r.id
                 where b.digest = $2 and b.lost_at is null limit 1 offset 0)
             order by r.id limit $3",
        )
        .bind(project)
        .bind(digest)
        .bind(limit)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("repository", "name"))
        .collect()
}

/// Live blobs with ids after `after`, for checks that walk all of them.
///
/// # Errors
/// When the statement fails.
pub async fn walk(
    reader: &mut Reader,
    after: BlobId,
    limit: i64,
) -> Result<Walked<StoredBlob, BlobId>> {
    let rows = rows_after(reader, after, limit).await?;
    let id = |row: &Row| row.get("blob", "id");
    Walked::read(&rows, id, StoredBlob::read)
}

async fn rows_after(reader: &mut Reader, after: BlobId, limit: i64) -> Result<Vec<Row>> {
    reader
        .query(concat!(
            "select ",
            blob_columns!(),
            " from blob where id > $1 order by id limit $2"
        ))
        .bind(after)
        .bind(limit)
        .all()
        .await
}

/// A row as it is, whatever it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainBlob {
    /// Its id.
    pub id: BlobId,
    /// The digest, or the invalid value in hex.
    pub digest: String,
    /// The object's key.
    pub key: String,
    /// Its stated size in bytes.
    pub size: i64,
}

/// As [`walk`], for a backup, which keeps rows that do not parse too.
///
/// # Errors
/// When the statement fails.
pub async fn walk_plain(reader: &mut Reader, after: BlobId, limit: i64) -> Result<Vec<PlainBlob>> {
    let rows = rows_after(reader, after, limit).await?;
    let plain = rows.iter().map(|row| {
        Ok(PlainBlob {
            id: row.get("blob", "id")?,
            digest: plain_digest(&row.get::<Vec<u8>>("blob", "digest")?),
            key: row.get("blob", "object_key")?,
            size: row.get("blob", "size")?,
        })
    });
    plain.collect()
}

fn plain_digest(bytes: &[u8]) -> String {
    Digest::from_bytes(bytes).map_or_else(|_| hex::encode(bytes), |digest| digest.to_string())
}

/// Of the blobs with ids after `after` up to `last`, those that are lost.
///
/// # Errors
/// When the statement fails.
pub async fn lost_among(
    reader: &mut Reader,
    after: BlobId,
    last: BlobId,
) -> Result<HashSet<BlobId>> {
    let rows = reader
        .query("select id from blob where id > $1 and id <= $2 and lost_at is not null")
        .bind(after)
        .bind(last)
        .all()
        .await?;
    rows.iter().map(|row| row.get("blob", "id")).collect()
}

/// When a check found a blob to be lost, if it is.
///
/// # Errors
/// When the statement fails.
pub async fn lost_since(reader: &mut Reader, blob: BlobId) -> Result<Option<Timestamp>> {
    let row = reader
        .query("select lost_at from blob where id = $1 and lost_at is not null")
        .bind(blob)
        .optional()
        .await?;
    row.map(|row| row.get("blob", "lost_at")).transpose()
}

/// Marks a blob whose object is missing or damaged: it counts as absent until it is pushed again. Returns false if it
/// has another object by now, or was removed.
///
/// # Errors
/// When the statement fails.
pub async fn mark_lost(tx: &mut Tx, blob: &StoredBlob, now: Timestamp) -> Result<bool> {
    let marked = tx
        .query("update blob set lost_at = coalesce(lost_at, $3) where id = $1 and object_key = $2")
        .bind(blob.id)
        .bind(blob.key.as_str())
        .bind(now)
        .execute()
        .await?;
    // Whichever repositories link it.
    tx.touch(Touch::Everything);
    Ok(marked == 1)
}

/// Removes the mark of a blob whose object is intact after all.
///
/// # Errors
/// When the statement fails.
pub async fn mark_found(tx: &mut Tx, blob: &StoredBlob) -> Result<()> {
    tx.query("update blob set lost_at = null where id = $1 and object_key = $2")
        .bind(blob.id)
        .bind(blob.key.as_str())
        .execute()
        .await?;
    tx.touch(Touch::Everything);
    Ok(())
}

/// Detaches the repository's manifests from the row of a lost blob, so that it can be deleted. They still name its
/// digest.
///
/// # Errors
/// When the statement fails.
pub async fn release_references(tx: &mut Tx, repository: RepositoryId, blob: BlobId) -> Result<()> {
    tx.query(
        "update manifest_reference set blob_id = null where blob_id = $2 and repository_id = $1",
    )
    .bind(repository)
    .bind(blob)
    .execute()
    .await?;
    Ok(())
}

/// Which of `keys` belong to a blob or an upload, or are garbage already: all others are leftovers of a crash.
///
/// # Errors
/// When the statement fails.
pub async fn known_keys(reader: &mut Reader, keys: &[String]) -> Result<Vec<String>> {
    let keys = serde_json::to_string(keys).unwrap_or_default();
    let rows = reader
        .query_either(
            "select value as object_key from json_each($1) where
             exists (select 1 from blob b where b.object_key = value)
             or exists (select 1 from upload u where u.object_key = value and u.state = 'open')
             or exists (select 1 from object_garbage g where g.object_key = value)",
            "select value as object_key from json_array_elements_text(cast($1 as json)) where
             exists (select 1 from blob b where b.object_key = value)
             or exists (select 1 from upload u where u.object_key = value and u.state = 'open')
             or exists (select 1 from object_garbage g where g.object_key = value)",
        )
        .bind(keys)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("blob", "object_key"))
        .collect()
}
