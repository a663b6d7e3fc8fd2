//! Manifests, what they refer to, and referrers.

use std::collections::HashMap;
use std::sync::Arc;

use model::manifest::{Child, ChildKind};
use model::{
    Descriptor, Digest, Manifest, ManifestId, Reference, RepositoryId, RepositoryName, Timestamp,
};
use moka::sync::Cache;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::blob;
pub use crate::content::{Going, StoredManifest};
use crate::touch::Touch;

use crate::content::Place;
use crate::database::Db;
use crate::error::{Error, Result};
use crate::quota::{self, OverLimit};
use crate::sql::{Reader, Row, Tx, hex_of, json_digests};
use crate::tag;

/// The manifest that a reference names in a repository. Where no other process writes, all of that is cached;
/// else one statement says what is there, and only the bytes are.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(
    db: &Db,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<Arc<StoredManifest>>> {
    if let Some(rows) = &db.caches().rows {
        return Box::pin(find_row(db, rows, repository, reference)).await;
    }
    let digest = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(tag) => tag::resolve(db, repository, tag).await?,
    };
    match digest {
        Some(digest) => stored(db, repository, &digest).await,
        None => Ok(None),
    }
}

async fn find_row(
    db: &Db,
    rows: &Cache<(ManifestId, Digest), Arc<StoredManifest>>,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<Arc<StoredManifest>>> {
    let mut reader = db.reader().await?;
    let query = match reference {
        Reference::Tag(tag) => reader
            .query(
                "select m.id, m.digest from tag t join repository r on r.id = t.repository_id
                 join manifest m on m.id = t.manifest_id
                 where r.name = $1 and r.deleted_at is null and t.name = $2",
            )
            .bind(repository.as_str())
            .bind(tag.as_str()),
        Reference::Digest(digest) => reader
            .query(
                "select m.id, m.digest from manifest m join repository r on r.id = m.repository_id
                 where r.name = $1 and r.deleted_at is null and m.digest = $2",
            )
            .bind(repository.as_str())
            .bind(digest),
    };
    let Some(row) = query.optional().await? else {
        return Ok(None);
    };
    let id = row.get("manifest", "id")?;
    let digest: Digest = row.get("manifest", "digest")?;
    if let Some(found) = rows.get(&(id, digest)) {
        return Ok(Some(found));
    }
    let row = reader
        .query(
            "select m.media_type, p.payload from manifest m join manifest_payload p on p.manifest_id = m.id
             where m.id = $1 and m.digest = $2",
        )
        .bind(id)
        .bind(&digest)
        .optional()
        .await?;
    // Deleted in between.
    let Some(row) = row else { return Ok(None) };
    let manifest = read(digest, &row)?;
    rows.insert((id, digest), manifest.clone());
    Ok(Some(manifest))
}

/// Bytes that do not have the digest are never handed on.
fn read(digest: Digest, row: &Row) -> Result<Arc<StoredManifest>> {
    let payload: Vec<u8> = row.get("manifest_payload", "payload")?;
    if Digest::of(digest.algorithm(), &payload) != digest {
        return Err(Error::Corrupt {
            table: "manifest_payload",
            column: "payload",
        });
    }
    Ok(Arc::new(StoredManifest {
        digest,
        media_type: row.get("manifest", "media_type")?,
        payload: payload.into(),
    }))
}

/// The manifest of a repository with a digest, through the cache.
///
/// # Errors
/// When the database cannot be read.
pub async fn stored(
    db: &Db,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Arc<StoredManifest>>> {
    let key = (repository.clone(), *digest);
    if let Some(manifest) = db.caches().manifests.get(&key) {
        return Ok(Some(manifest));
    }
    Box::pin(read_through(db, key)).await
}

/// Reads what the cache does not have, and puts it there.
async fn read_through(
    db: &Db,
    key: (RepositoryName, Digest),
) -> Result<Option<Arc<StoredManifest>>> {
    let (repository, digest) = &key;
    let read_at = db.caches().manifests.before_read();
    let mut reader = db.reader().await?;
    let row = reader
        .query(
            "select m.media_type, p.payload from manifest m join repository r on r.id = m.repository_id
             join manifest_payload p on p.manifest_id = m.id
             where r.name = $1 and r.deleted_at is null and m.digest = $2",
        )
        .bind(repository.as_str())
        .bind(digest)
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    let manifest = read(*digest, &row)?;
    db.caches().manifests.put(read_at, key, manifest.clone());
    Ok(Some(manifest))
}

/// The row id of a manifest.
///
/// # Errors
/// When the statement fails.
pub async fn id(
    reader: &mut Reader,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<ManifestId>> {
    let row = reader
        .query("select id from manifest where repository_id = $1 and digest = $2")
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    row.map(|row| row.get("manifest", "id")).transpose()
}

/// A manifest of the repository, held until the transaction ends: nobody tags it or lists it meanwhile.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx, repository: RepositoryId, digest: &Digest) -> Result<Option<Going>> {
    let row = tx
        .query_either(
            "select id from manifest where repository_id = $1 and digest = $2",
            "select id from manifest where repository_id = $1 and digest = $2 for update",
        )
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    let id = row.map(|row| row.get("manifest", "id")).transpose()?;
    Ok(id.map(|id| Going {
        id: ManifestId(id),
        digest: *digest,
    }))
}

/// A child as it was found: what it is, the row that it refers to, and how many bytes that has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A blob.
    Blob {
        /// Its row.
        id: i64,
        /// Its bytes.
        size: i64,
    },
    /// A manifest.
    Manifest {
        /// Its row.
        id: i64,
        /// Its bytes.
        size: i64,
    },
    /// Not in the repository, and need not be.
    Elsewhere,
    /// Not in the repository.
    Missing,
}

impl Found {
    /// How many bytes it has, where it is in the repository.
    pub const fn size(self) -> Option<i64> {
        match self {
            Self::Blob { size, .. } | Self::Manifest { size, .. } => Some(size),
            Self::Elsewhere | Self::Missing => None,
        }
    }
}

/// Looks all children of a manifest up at once, and holds the blobs found and their links until the
/// transaction ends, so that none can go meanwhile.
///
/// # Errors
/// When a statement fails.
pub async fn find_children(
    tx: &mut Tx,
    repository: RepositoryId,
    children: &[Child],
) -> Result<Vec<Found>> {
    let (manifests, blobs): (Vec<&Child>, Vec<&Child>) = children
        .iter()
        .partition(|child| child.kind == ChildKind::Manifest);
    let blobs = tx
        .query_either(
            // In this order: SQLite would rather walk all blobs of the repository.
            "select b.id, b.digest, b.size from json_each($2) j
             cross join blob b on b.digest = unhex(j.value) and b.lost_at is null
             cross join repository_blob l on l.blob_id = b.id and l.repository_id = $1",
            // And PostgreSQL all its links.
            "with named as materialized (
                 select id, digest, size from blob
                 where lost_at is null and digest = any (array(select decode(json_array_elements_text(cast($2 as json)), 'hex'))) order by id for key share)
             select named.id, named.digest, named.size from named cross join lateral (
                 select 1 from repository_blob l where l.repository_id = $1 and l.blob_id = named.id
                 limit 1 for key share) linked",
        )
        .bind(repository)
        .bind(json_digests(blobs.iter().map(|child| &child.digest)))
        .all()
        .await?;
    let manifests = tx
        .query_either(
            "select id, digest, size from manifest where repository_id = $1
             and digest in (select unhex(value) from json_each($2))",
            "select id, digest, size from manifest where repository_id = $1
             and digest = any (array(select decode(json_array_elements_text(cast($2 as json)), 'hex'))) order by id for key share",
        )
        .bind(repository)
        .bind(json_digests(manifests.iter().map(|child| &child.digest)))
        .all()
        .await?;
    let (blobs, manifests) = (
        by_digest(&blobs, "blob")?,
        by_digest(&manifests, "manifest")?,
    );
    let blob = |child: &Child| {
        let found = blobs.get(&child.digest);
        found.map(|(id, size)| Found::Blob {
            id: *id,
            size: *size,
        })
    };
    let manifest = |child: &Child| {
        let found = manifests.get(&child.digest);
        found.map(|(id, size)| Found::Manifest {
            id: *id,
            size: *size,
        })
    };
    let find = |child: &Child| match child.kind {
        ChildKind::Blob => blob(child).unwrap_or(Found::Missing),
        ChildKind::Foreign => blob(child).unwrap_or(Found::Elsewhere),
        ChildKind::Manifest => manifest(child).unwrap_or(Found::Missing),
    };
    Ok(children.iter().map(find).collect())
}

/// Ids and sizes of rows.
fn by_digest(rows: &[Row], table: &'static str) -> Result<HashMap<Digest, (i64, i64)>> {
    let read = |row: &Row| {
        let found = (row.get(table, "id")?, row.get(table, "size")?);
        Ok((row.get(table, "digest")?, found))
    };
    rows.iter().map(read).collect()
}

#[derive(Serialize)]
struct ReferenceRow<'a> {
    position: usize,
    kind: &'static str,
    digest: String,
    blob: Option<i64>,
    child: Option<i64>,
    size: i64,
    media_type: &'a str,
    platform: Option<&'a str>,
}

/// Stores a manifest with its references and charges the project for it, unless the repository has it
/// already.
///
/// # Errors
/// [`Error::Contended`] where another transaction deleted it meanwhile; when a statement fails.
pub async fn store(
    tx: &mut Tx,
    at: Place<'_>,
    digest: &Digest,
    (manifest, payload): (&Manifest, &[u8]),
    found: &[Found],
    now: Timestamp,
) -> Result<Result<ManifestId, OverLimit>> {
    let name = at.name;
    let inserted = insert(tx, at.repository, digest, (manifest, payload), now).await?;
    let Some(id) = inserted else {
        return restart_untagged_time(tx, at.repository, digest)
            .await
            .map(Ok);
    };
    store_references(tx, at.repository, id, &manifest.children, found).await?;
    tx.touch(Touch::Manifest(name.clone(), *digest));
    let charged = quota::charge(tx, at.project, payload.len() as i64, at.taking).await?;
    Ok(charged.map(|()| id))
}

/// Inserts the rows of a manifest; `None` where the repository has it.
async fn insert(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
    (manifest, payload): (&Manifest, &[u8]),
    now: Timestamp,
) -> Result<Option<ManifestId>> {
    const ROW: &str = "insert into manifest (repository_id, digest, media_type, artifact_type, subject, annotations, size, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (repository_id, digest) do nothing returning id";
    const PAYLOAD: &str = "insert into manifest_payload (manifest_id, payload) values ($1, $2)";
    const BOTH: &str = "with made as (
             insert into manifest (repository_id, digest, media_type, artifact_type, subject, annotations, size, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (repository_id, digest) do nothing returning id)
         insert into manifest_payload (manifest_id, payload) select id, $9 from made returning manifest_id as id";
    let postgres = tx.is_postgres();
    let row = tx
        .query_either(ROW, BOTH)
        .bind(repository)
        .bind(digest)
        .bind(manifest.media_type.as_str())
        .bind(manifest.artifact_type.as_deref())
        .bind(manifest.subject.as_ref())
        .bind(serde_json::to_string(&manifest.annotations).unwrap_or_default())
        .bind(payload.len() as i64)
        .bind(now);
    // One round trip where that costs something.
    let row = if postgres { row.bind(payload) } else { row };
    let Some(row) = row.optional().await? else {
        return Ok(None);
    };
    let id = row.get("manifest", "id")?;
    if !postgres {
        tx.query(PAYLOAD).bind(id).bind(payload).execute().await?;
    }
    Ok(Some(id))
}

/// The time without a tag of a manifest begins anew when it is next seen without; its row.
async fn restart_untagged_time(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<ManifestId> {
    let row = tx
        .query("update manifest set untagged_at = null where repository_id = $1 and digest = $2 returning id")
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    row.ok_or(Error::Contended("the manifest"))?
        .get("manifest", "id")
}

async fn store_references(
    tx: &mut Tx,
    repository: RepositoryId,
    manifest: ManifestId,
    children: &[Child],
    found: &[Found],
) -> Result<()> {
    if children.is_empty() {
        return Ok(());
    }
    let rows: Vec<ReferenceRow<'_>> = children
        .iter()
        .zip(found)
        .enumerate()
        .map(|(position, (child, found))| {
            let (kind, blob, manifest) = match found {
                Found::Blob { id, .. } => ("blob", Some(*id), None),
                Found::Manifest { id, .. } => ("manifest", None, Some(*id)),
                Found::Elsewhere | Found::Missing => ("foreign", None, None),
            };
            ReferenceRow {
                position,
                kind,
                digest: hex_of(&child.digest),
                blob,
                child: manifest,
                size: child.size,
                media_type: &child.media_type,
                platform: child.platform.as_deref(),
            }
        })
        .collect();
    tx.query_either(
        "insert into manifest_reference (manifest_id, repository_id, position, kind, digest, blob_id, child_id, size, media_type, platform)
         select $1, $2, value ->> 'position', value ->> 'kind', unhex(value ->> 'digest'), value ->> 'blob', value ->> 'child',
                value ->> 'size', value ->> 'media_type', value ->> 'platform' from json_each($3)",
        "insert into manifest_reference (manifest_id, repository_id, position, kind, digest, blob_id, child_id, size, media_type, platform)
         select $1, $2, position, kind, decode(digest, 'hex'), blob, child, size, media_type, platform
         from json_to_recordset(cast($3 as json)) as r
              (position bigint, kind text, digest text, blob bigint, child bigint, size bigint, media_type text, platform text)",
    )
    .bind(manifest)
    .bind(repository)
    .bind(serde_json::to_string(&rows).unwrap_or_default())
    .execute()
    .await?;
    Ok(())
}

/// An index of the repository that lists the manifest, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn parent(reader: &mut Reader, manifest: ManifestId) -> Result<Option<Digest>> {
    let row = reader
        .query(
            "select m.digest from manifest_reference c join manifest m on m.id = c.manifest_id
             where c.child_id = $1 limit 1",
        )
        .bind(manifest)
        .optional()
        .await?;
    row.map(|row| row.get("manifest", "digest")).transpose()
}

/// The way from a manifest that is deleted to what goes next: a referrer, a referrer of that one, and so on. Kept
/// from one transaction to the next, so that none has to go all of it again.
#[derive(Clone, Debug, Default)]
pub struct Way(Vec<Going>);

/// What one transaction may still do, so that others need not wait for long.
struct Room {
    /// Tags and manifests that it looks at or removes.
    rows: i64,
    /// References of those manifests.
    references: i64,
}

impl Room {
    fn of(rows: i64) -> Self {
        Self {
            rows,
            references: REFERENCES,
        }
    }

    const fn is_left(&self) -> bool {
        self.rows > 0 && self.references > 0
    }

    /// As many of the leaves as there is room for, but one at least.
    fn take(&self, leaves: &[Referrer]) -> Vec<Going> {
        let mut references = 0;
        let fitting = leaves.iter().enumerate().take_while(|(number, leaf)| {
            references += leaf.references;
            *number == 0 || references <= self.references
        });
        fitting.map(|(_, leaf)| leaf.manifest).collect()
    }
}

/// References that one transaction removes, but for those of its last manifest.
const REFERENCES: i64 = 1_000;

/// Removes a manifest, the tags that point at it, its untagged referrers, and theirs: at most `limit` rows in
/// one transaction, those first that hang on others, so that whatever stops it, the rest can be deleted in the
/// same way. Whether all is gone; where it is not, the next transaction goes on with `way`. What the manifests named
/// is kept until `lease_until` at least.
///
/// # Errors
/// When a statement fails.
pub async fn delete(
    tx: &mut Tx,
    at: Place<'_>,
    manifest: Going,
    Way(below): &mut Way,
    lease_until: Timestamp,
    limit: i64,
) -> Result<bool> {
    let mut room = Room::of(limit);
    room.rows -= tag::delete_of(tx, at.name, manifest.id, limit).await?;
    leave_what_stays(tx, at.repository, below).await?;
    while room.is_left() {
        let top = below.last().copied().unwrap_or(manifest);
        let referrers = untagged_referrers(tx, at.repository, &top.digest, room.rows).await?;
        if let Some(inner) = referrers.iter().find(|referrer| referrer.has_referrers) {
            below.push(inner.manifest);
            room.rows -= 1;
        } else if !referrers.is_empty() {
            let leaves = room.take(&referrers);
            remove_untagged(tx, at, &leaves, lease_until, &mut room).await?;
        } else if below.pop().is_some() {
            remove_untagged(tx, at, &[top], lease_until, &mut room).await?;
        } else {
            remove(tx, at, &[manifest], lease_until).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes those of the manifests that were neither tagged nor listed meanwhile.
async fn remove_untagged(
    tx: &mut Tx,
    at: Place<'_>,
    manifests: &[Going],
    lease_until: Timestamp,
    room: &mut Room,
) -> Result<()> {
    let going = hold_untagged(tx, at.repository, manifests).await?;
    room.references -= remove(tx, at, &going, lease_until).await?;
    // Of the others nothing is left to do, but they were looked at.
    room.rows -= manifests.len() as i64;
    Ok(())
}

/// Shortens the way to what still goes: what was tagged or listed since the transaction before stays, and with it
/// what hangs on it.
async fn leave_what_stays(
    reader: &mut Reader,
    repository: RepositoryId,
    below: &mut Vec<Going>,
) -> Result<()> {
    if below.is_empty() {
        return Ok(());
    }
    let untagged = still_untagged(reader, repository, below).await?;
    let both = below.iter().zip(&untagged);
    let going = both.take_while(|(before, now)| before == now).count();
    below.truncate(going);
    Ok(())
}

fn ids(manifests: &[Going]) -> String {
    let ids: Vec<i64> = manifests.iter().map(|manifest| manifest.id.0).collect();
    serde_json::to_string(&ids).unwrap_or_default()
}

/// Removes manifests without tags, and gives the project their bytes back. What they kept is kept no longer
/// for their sake: its time without a tag begins now. How many references they had.
async fn remove(
    tx: &mut Tx,
    at: Place<'_>,
    manifests: &[Going],
    lease_until: Timestamp,
) -> Result<i64> {
    if manifests.is_empty() {
        return Ok(0);
    }
    let ids = ids(manifests);
    blob::renew_named(tx, (at.repository, at.name), &ids, lease_until).await?;
    forget_untagged_time(tx, at.repository, manifests, &ids).await?;
    let references = tx
        .query_either(
            "delete from manifest_reference where manifest_id in (select value from json_each($1))",
            "delete from manifest_reference
             where manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
        )
        .bind(ids.as_str())
        .execute()
        .await?;
    let rows = tx
        .query_either(
            "delete from manifest where id in (select value from json_each($1))
             returning size",
            "delete from manifest where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             returning size",
        )
        .bind(ids)
        .all()
        .await?;
    let mut bytes = 0;
    for row in &rows {
        bytes += row.get::<i64>("manifest", "size")?;
    }
    for manifest in manifests {
        tx.touch(Touch::Manifest(at.name.clone(), manifest.digest));
    }
    quota::refund(tx, at.project, bytes).await?;
    Ok(references as i64)
}

/// The children and referrers of manifests that go count the time without a tag from the next look.
async fn forget_untagged_time(
    tx: &mut Tx,
    repository: RepositoryId,
    manifests: &[Going],
    ids: &str,
) -> Result<()> {
    tx.query_either(
        "update manifest set untagged_at = null where untagged_at is not null and (id in
             (select child_id from manifest_reference where manifest_id in (select value from json_each($2)))
         or (repository_id = $1 and subject in (select unhex(value) from json_each($3))))",
        "update manifest set untagged_at = null where id = any (array(
             select id from manifest where untagged_at is not null and id = any (array(
                 select child_id from manifest_reference where child_id is not null
                 and manifest_id = any (array(select cast(json_array_elements_text(cast($2 as json)) as bigint)))
                 union all
                 select id from manifest where repository_id = $1 and subject is not null
                 and subject = any (array(select decode(json_array_elements_text(cast($3 as json)), 'hex')))))
             order by id for update))",
    )
    .bind(repository)
    .bind(ids)
    .bind(json_digests(manifests.iter().map(|manifest| &manifest.digest)))
    .execute()
    .await?;
    Ok(())
}

/// An untagged manifest whose subject goes.
struct Referrer {
    manifest: Going,
    /// Whether others hang on it in the same way.
    has_referrers: bool,
    /// How many references it has.
    references: i64,
}

macro_rules! hangs_on_its_subject {
    ($manifest:literal) => {
        concat!(
            "not exists (select 1 from tag t where t.manifest_id = ",
            $manifest,
            ".id) and not exists (select 1 from manifest_reference c where c.child_id = ",
            $manifest,
            ".id)"
        )
    };
}

/// Untagged referrers of a subject that no index lists: they go when it goes.
async fn untagged_referrers(
    reader: &mut Reader,
    repository: RepositoryId,
    subject: &Digest,
    limit: i64,
) -> Result<Vec<Referrer>> {
    let rows = reader
        .query(concat!(
            "select m.id, m.digest, cast(case when exists (select 1 from manifest n
                 where n.repository_id = m.repository_id and n.subject = m.digest and ",
            hangs_on_its_subject!("n"),
            ") then 1 else 0 end as bigint) as has_referrers,
             (select coalesce(max(c.position) + 1, 0) from manifest_reference c where c.manifest_id = m.id) as refers
             from manifest m where m.repository_id = $1 and m.subject = $2 and ",
            hangs_on_its_subject!("m"),
            " order by m.id limit $3"
        ))
        .bind(repository)
        .bind(subject)
        .bind(limit)
        .all()
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Referrer {
                manifest: Going {
                    id: row.get("manifest", "id")?,
                    digest: row.get("manifest", "digest")?,
                },
                has_referrers: row.get("manifest", "has_referrers")?,
                references: row.get("manifest_reference", "refers")?,
            })
        })
        .collect()
}

/// Those that still have no tag and no parent once they are held: nobody tags or lists them until the
/// transaction ends.
async fn hold_untagged(
    tx: &mut Tx,
    repository: RepositoryId,
    manifests: &[Going],
) -> Result<Vec<Going>> {
    if !tx.is_postgres() || manifests.is_empty() {
        // The one writer holds everything.
        return Ok(manifests.to_vec());
    }
    tx.query(
        "select id from manifest where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
         order by id for update",
    )
    .bind(ids(manifests))
    .all()
    .await?;
    // A statement of its own: it sees what was committed before the rows were held.
    still_untagged(tx, repository, manifests).await
}

/// Those of the manifests that are there and have no tag and no parent, in the same order.
async fn still_untagged(
    reader: &mut Reader,
    repository: RepositoryId,
    manifests: &[Going],
) -> Result<Vec<Going>> {
    let rows = reader
        .query_either(
            concat!(
                "select m.id, m.digest from json_each($2) j cross join manifest m on m.id = j.value
                 where m.repository_id = $1 and ",
                hangs_on_its_subject!("m")
            ),
            concat!(
                "select m.id, m.digest from manifest m where m.repository_id = $1
                 and m.id = any (array(select cast(json_array_elements_text(cast($2 as json)) as bigint))) and ",
                hangs_on_its_subject!("m")
            ),
        )
        .bind(repository)
        .bind(ids(manifests))
        .all()
        .await?;
    let there: HashMap<i64, Digest> = rows
        .iter()
        .map(|row| Ok((row.get("manifest", "id")?, row.get("manifest", "digest")?)))
        .collect::<Result<_>>()?;
    // Ids of manifests that are gone may be given to others.
    let is_there = |going: &&Going| there.get(&going.id.0) == Some(&going.digest);
    Ok(manifests.iter().filter(is_there).copied().collect())
}

/// Bytes of annotations that come with their descriptor; larger ones are fetched one by one.
const SMALL: i64 = 10 << 10;
/// Bytes of larger annotations on a page of referrers, but for those of its last descriptor.
const LARGE: usize = 2 << 20;

/// A page of a subject's referrers.
#[derive(Clone, Debug)]
pub struct Referrers {
    /// Descriptors in the order in which they were pushed.
    pub descriptors: Vec<Descriptor>,
    /// What the next page comes after, if there is one.
    pub next: Option<i64>,
    /// How many there are of all types.
    pub total: i64,
}

/// Descriptors of the manifests whose subject is `subject`, with row ids after `after`: at most `limit`,
/// fewer where their annotations are large.
///
/// # Errors
/// When the statement fails.
pub async fn referrers(
    reader: &mut Reader,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
    (after, limit): (i64, i64),
) -> Result<Referrers> {
    let rows = reader
        .query(
            "select m.id, m.digest, m.media_type, m.artifact_type, m.size,
                 case when octet_length(m.annotations) <= $6 then m.annotations end as annotations,
                 (select count(*) from manifest
                     where repository_id = (select id from repository where name = $1 and deleted_at is null) and subject = $2) as total
             from manifest m
             where m.repository_id = (select id from repository where name = $1 and deleted_at is null) and m.subject = $2 and m.id > $3 and ($4 is null or m.artifact_type = $4)
             order by m.id limit $5",
        )
        .bind(repository.as_str())
        .bind(subject)
        .bind(after)
        .bind(artifact_type)
        .bind(limit + 1)
        .bind(SMALL)
        .all()
        .await?;
    let total = match rows.first() {
        Some(row) => row.get("manifest", "total")?,
        None if after == 0 && artifact_type.is_none() => 0,
        None => count_referrers(reader, repository, subject).await?,
    };
    let mut descriptors = Vec::with_capacity(rows.len());
    let (mut last, mut large) = (after, 0);
    let mut left = rows.iter().peekable();
    while let Some(row) = left.next_if(|_| (descriptors.len() as i64) < limit && large < LARGE) {
        let id = row.get("manifest", "id")?;
        last = id;
        let annotations = match row.get("manifest", "annotations")? {
            Some(small) => small,
            None => {
                let Some(text) = annotations(reader, id).await? else {
                    continue;
                };
                large += text.len();
                text
            }
        };
        let descriptor = Descriptor {
            media_type: row.get("manifest", "media_type")?,
            digest: row.get::<Digest>("manifest", "digest")?.to_string(),
            size: row.get("manifest", "size")?,
            artifact_type: row.get("manifest", "artifact_type")?,
            annotations: object(annotations)?,
        };
        descriptors.push(descriptor);
    }
    Ok(Referrers {
        descriptors,
        next: left.peek().filter(|_| limit > 0).map(|_| last),
        total,
    })
}

/// The annotations of a manifest, if it is still there.
async fn annotations(reader: &mut Reader, id: i64) -> Result<Option<String>> {
    let row = reader
        .query("select annotations from manifest where id = $1")
        .bind(id)
        .optional()
        .await?;
    row.map(|row| row.get("manifest", "annotations"))
        .transpose()
}

/// Annotations, not looked into: they are printed as they were written.
fn object(text: String) -> Result<Option<Box<RawValue>>> {
    if text == "{}" {
        return Ok(None);
    }
    let object = RawValue::from_string(text).map_err(|_| Error::Corrupt {
        table: "manifest",
        column: "annotations",
    })?;
    Ok(Some(object))
}

/// How many manifests have `subject` as their subject.
///
/// # Errors
/// When the statement fails.
async fn count_referrers(
    reader: &mut Reader,
    repository: &RepositoryName,
    subject: &Digest,
) -> Result<i64> {
    let row = reader
        .query(
            "select count(*) as total from manifest
             where repository_id = (select id from repository where name = $1 and deleted_at is null) and subject = $2",
        )
        .bind(repository.as_str())
        .bind(subject)
        .one()
        .await?;
    row.get("manifest", "total")
}

/// Removes manifests of a repository that is deleted and has no tags, at most `limit`, and fewer where they refer to
/// more than that. How many.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn purge(
    tx: &mut Tx,
    at: Place<'_>,
    lease_until: Timestamp,
    limit: i64,
) -> Result<usize> {
    let rows = tx
        .query(
            "select m.id, m.digest, (select count(*) from manifest_reference c where c.manifest_id = m.id) as refers
             from manifest m where m.repository_id = $1 order by m.digest limit $2",
        )
        .bind(at.repository)
        .bind(limit)
        .all()
        .await?;
    let (mut going, mut refers) = (Vec::new(), 0);
    for row in &rows {
        refers += row.get::<i64>("manifest_reference", "refers")?;
        if refers > limit && !going.is_empty() {
            break;
        }
        going.push(Going {
            id: row.get("manifest", "id")?,
            digest: row.get("manifest", "digest")?,
        });
    }
    // What lists them goes as well, now or later.
    tx.query_either(
        "delete from manifest_reference where child_id in (select value from json_each($1))",
        "delete from manifest_reference
         where child_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
    )
    .bind(ids(&going))
    .execute()
    .await?;
    remove(tx, at, &going, lease_until).await?;
    Ok(going.len())
}
