//! Manifests, what they refer to, and referrers.

use std::collections::HashMap;
use std::sync::Arc;

use model::manifest::{Child, ChildKind};
use model::{
    AccessoryKind, Descriptor, Digest, Manifest, ManifestId, ProjectId, Reference, RepositoryId,
    RepositoryName, Tag, Timestamp, accessory, artifact,
};
use moka::sync::Cache;
use serde::Serialize;
use serde_json::value::RawValue;

pub use crate::content::{HeldManifest, StoredManifest};
pub use crate::tombstone::{When, delete};
use crate::touch::Touch;

use crate::content::Place;
use crate::database::Db;
use crate::error::{Error, Result};
use crate::quota::{self, OverLimit};
use crate::sql::{Reader, Row, Tx, hex_of, json_digests};
use crate::{tag, tombstone};

/// The manifest that a reference names in a repository of a project. If no other process writes, all of this is cached;
/// otherwise one statement reads the reference, and only the bytes are cached. The project is compared, since a permit
/// may be for a project that was just deleted and created again by somebody else.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(
    db: &Db,
    project: ProjectId,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<Arc<StoredManifest>>> {
    if let Some(rows) = &db.caches().rows {
        return Box::pin(find_row(db, rows, (project, repository), reference)).await;
    }
    let digest = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(tag) => tag::resolve(db, repository, tag).await?,
    };
    match digest {
        Some(digest) => stored(db, (project, repository), &digest).await,
        None => Ok(None),
    }
}

async fn find_row(
    db: &Db,
    rows: &Cache<(ManifestId, Digest), Arc<StoredManifest>>,
    (project, repository): (ProjectId, &RepositoryName),
    reference: &Reference,
) -> Result<Option<Arc<StoredManifest>>> {
    let mut reader = db.reader().await?;
    let query = match reference {
        Reference::Tag(tag) => reader
            .query(
                "select m.id, m.digest from tag t join repository r on r.id = t.repository_id
                 join manifest m on m.id = t.manifest_id and m.deleted_at is null
                 where r.name = $1 and r.deleted_at is null and r.project_id = $3 and t.name = $2",
            )
            .bind(repository.as_str())
            .bind(tag.as_str())
            .bind(project),
        Reference::Digest(digest) => reader
            .query(
                "select m.id, m.digest from manifest m join repository r on r.id = m.repository_id
                 where r.name = $1 and r.deleted_at is null and r.project_id = $3
                 and m.digest = $2 and m.deleted_at is null",
            )
            .bind(repository.as_str())
            .bind(digest)
            .bind(project),
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
    let manifest = read(project, digest, &row)?;
    rows.insert((id, digest), manifest.clone());
    Ok(Some(manifest))
}

/// Bytes that do not match the digest are never returned.
fn read(project: ProjectId, digest: Digest, row: &Row) -> Result<Arc<StoredManifest>> {
    let payload: Vec<u8> = row.get("manifest_payload", "payload")?;
    if Digest::of(digest.algorithm(), &payload) != digest {
        return Err(Error::Corrupt {
            table: "manifest_payload",
            column: "payload",
        });
    }
    Ok(Arc::new(StoredManifest {
        project,
        digest,
        media_type: row.get("manifest", "media_type")?,
        payload: payload.into(),
    }))
}

/// The manifest of a project's repository with a digest, through the cache.
///
/// # Errors
/// When the database cannot be read.
pub async fn stored(
    db: &Db,
    (project, repository): (ProjectId, &RepositoryName),
    digest: &Digest,
) -> Result<Option<Arc<StoredManifest>>> {
    let key = (repository.clone(), *digest);
    let found = match db.caches().manifests.get(&key) {
        Some(manifest) => Some(manifest),
        None => Box::pin(read_through(db, key)).await?,
    };
    Ok(found.filter(|manifest| manifest.project == project))
}

/// Reads what the cache does not have, and adds it.
async fn read_through(
    db: &Db,
    key: (RepositoryName, Digest),
) -> Result<Option<Arc<StoredManifest>>> {
    let (repository, digest) = &key;
    let read_at = db.caches().manifests.before_read();
    let mut reader = db.reader().await?;
    let row = reader
        .query(
            "select r.project_id, m.media_type, p.payload from manifest m join repository r on r.id = m.repository_id
             join manifest_payload p on p.manifest_id = m.id
             where r.name = $1 and r.deleted_at is null and m.digest = $2 and m.deleted_at is null",
        )
        .bind(repository.as_str())
        .bind(digest)
        .optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    let manifest = read(row.get("repository", "project_id")?, *digest, &row)?;
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
        .query("select id from manifest where repository_id = $1 and digest = $2 and deleted_at is null")
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    row.map(|row| row.get("manifest", "id")).transpose()
}

/// A manifest of the repository, locked until the transaction ends: nobody tags it or lists it meanwhile.
///
/// # Errors
/// When the statement fails.
pub async fn hold(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<HeldManifest>> {
    let row = tx
        .query_either(
            "select id from manifest where repository_id = $1 and digest = $2 and deleted_at is null",
            "select id from manifest where repository_id = $1 and digest = $2 and deleted_at is null for update",
        )
        .bind(repository)
        .bind(digest)
        .optional()
        .await?;
    let id = row.map(|row| row.get("manifest", "id")).transpose()?;
    Ok(id.map(|id| HeldManifest {
        id: ManifestId(id),
        digest: *digest,
    }))
}

/// A child as it was found: its kind, row and size.
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
        /// Its bytes and those of all that it references.
        total_size: i64,
    },
    /// Not in the repository, and need not be.
    Elsewhere,
    /// Not in the repository.
    Missing,
}

impl Found {
    /// Its size in bytes, if it is in the repository.
    pub const fn size(self) -> Option<i64> {
        match self {
            Self::Blob { size, .. } | Self::Manifest { size, .. } => Some(size),
            Self::Elsewhere | Self::Missing => None,
        }
    }
}

/// Looks up all children of a manifest at once, and locks them and the links of blobs until the transaction ends, so
/// that none can be deleted meanwhile, and no other transaction decides whether a manifest is listed.
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
            "select id, digest, size, total_size from manifest where repository_id = $1 and deleted_at is null
             and digest in (select unhex(value) from json_each($2))",
            "select id, digest, size, total_size from manifest where repository_id = $1 and deleted_at is null
             and digest = any (array(select decode(json_array_elements_text(cast($2 as json)), 'hex'))) order by id for no key update",
        )
        .bind(repository)
        .bind(json_digests(manifests.iter().map(|child| &child.digest)))
        .all()
        .await?;
    let blobs: HashMap<Digest, Found> = blobs.iter().map(found_blob).collect::<Result<_>>()?;
    let manifests: HashMap<Digest, Found> = manifests
        .iter()
        .map(found_manifest)
        .collect::<Result<_>>()?;
    let find = |child: &Child| {
        let (found, absent) = match child.kind {
            ChildKind::Blob => (&blobs, Found::Missing),
            ChildKind::Foreign => (&blobs, Found::Elsewhere),
            ChildKind::Manifest => (&manifests, Found::Missing),
        };
        found.get(&child.digest).copied().unwrap_or(absent)
    };
    Ok(children.iter().map(find).collect())
}

fn found_blob(row: &Row) -> Result<(Digest, Found)> {
    let found = Found::Blob {
        id: row.get("blob", "id")?,
        size: row.get("blob", "size")?,
    };
    Ok((row.get("blob", "digest")?, found))
}

fn found_manifest(row: &Row) -> Result<(Digest, Found)> {
    let found = Found::Manifest {
        id: row.get("manifest", "id")?,
        size: row.get("manifest", "size")?,
        total_size: row.get("manifest", "total_size")?,
    };
    Ok((row.get("manifest", "digest")?, found))
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
    annotations: Option<String>,
}

/// Maximum bytes of annotations of a manifest's references to store; the rest is left out.
const MOST_ANNOTATIONS: usize = 64 << 10;

impl<'a> ReferenceRow<'a> {
    fn of((position, (child, found)): (usize, (&'a Child, &Found))) -> Self {
        let (kind, blob, manifest) = match found {
            Found::Blob { id, .. } => ("blob", Some(*id), None),
            Found::Manifest { id, .. } => ("manifest", None, Some(*id)),
            Found::Elsewhere | Found::Missing => ("foreign", None, None),
        };
        Self {
            position,
            kind,
            digest: hex_of(&child.digest),
            blob,
            child: manifest,
            size: child.size,
            media_type: &child.media_type,
            platform: child.platform.as_deref(),
            annotations: (!child.annotations.is_empty())
                .then(|| serde_json::to_string(&child.annotations).unwrap_or_default()),
        }
    }
}

/// A manifest to be stored.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Its digest.
    pub digest: &'a Digest,
    /// Its content.
    pub manifest: &'a Manifest,
    /// Its bytes.
    pub payload: &'a [u8],
    /// Its children, as they were found.
    pub found: &'a [Found],
    /// Tags that the transaction will set.
    pub tags: &'a [Tag],
}

impl New<'_> {
    /// Bytes of the payload and of everything that it references, as far as known: blobs as stated, and manifests with
    /// their references.
    fn total_size(&self) -> i64 {
        let children = self.manifest.children.iter().zip(self.found);
        let sizes = children.map(|(child, found)| match found {
            Found::Manifest { total_size, .. } => *total_size,
            _ => child.size,
        });
        sizes.fold(self.payload.len() as i64, i64::saturating_add)
    }

    /// Whether it is an accessory, or may be one by its tag.
    fn may_be_accessory(&self) -> bool {
        let children = &self.manifest.children;
        self.manifest.subject.is_some()
            || children
                .iter()
                .any(|child| child.media_type == accessory::COSIGN_LAYER)
    }
}

/// Stores a manifest with its references and charges the project for it, unless the repository has it
/// already.
///
/// # Errors
/// [`Error::Contended`] if another transaction deleted it meanwhile; when a statement fails.
pub async fn store(
    tx: &mut Tx,
    at: Place<'_>,
    new: New<'_>,
    now: Timestamp,
) -> Result<Result<ManifestId, OverLimit>> {
    let mut inserted = insert(tx, at.repository, &new, now).await?;
    if inserted.is_none() && new.may_be_accessory() {
        tombstone::bury_if_doomed(tx, at, new.digest, now).await?;
        inserted = insert(tx, at.repository, &new, now).await?;
    }
    if inserted.is_none() {
        let (there, is_doomed) = push_again(tx, at.repository, new.digest, now).await?;
        if !is_doomed || !new.tags.is_empty() {
            return Ok(Ok(there));
        }
        tombstone::bury_child(tx, at, there, now).await?;
        inserted = insert(tx, at.repository, &new, now).await?;
    }
    let id = inserted.ok_or(Error::Contended("the manifest"))?;
    store_references(tx, at.repository, id, &new).await?;
    tx.touch(Touch::Manifest(at.name.clone(), *new.digest));
    let charged = quota::charge(tx, at.project, new.payload.len() as i64, at.taking).await?;
    Ok(charged.map(|()| id))
}

/// Inserts the rows of a manifest; `None` if the repository has it.
async fn insert(
    tx: &mut Tx,
    repository: RepositoryId,
    new: &New<'_>,
    now: Timestamp,
) -> Result<Option<ManifestId>> {
    macro_rules! row {
        () => {
            "insert into manifest (repository_id, digest, media_type, artifact_type, subject, annotations, size, pushed_at,
                 config_digest, total_size, tagged, listed, kind, config_type)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             on conflict (repository_id, digest) where deleted_at is null do nothing returning id"
        };
    }
    // One round trip on PostgreSQL.
    const ALL: &str = concat!(
        "with made as (", row!(), "),
         belongs as (insert into accessory (manifest_id, repository_id, subject, type)
             select id, $1, $5, $16 from made where $5 is not null)
         insert into manifest_payload (manifest_id, payload) select id, $15 from made returning manifest_id as id"
    );
    let (manifest, postgres) = (new.manifest, tx.is_postgres());
    let kind = manifest.subject.map(|_| AccessoryKind::of(manifest));
    let config = manifest.config().map(|config| &config.digest);
    // Nothing lists it yet.
    let is_listed = manifest.subject.is_none();
    let row = tx
        .query_either(row!(), ALL)
        .bind(repository)
        .bind(new.digest)
        .bind(manifest.media_type.as_str())
        .bind(manifest.artifact_type.as_deref())
        .bind(manifest.subject.as_ref())
        .bind(serde_json::to_string(&manifest.annotations).unwrap_or_default())
        .bind(new.payload.len() as i64)
        .bind(now)
        .bind(config)
        .bind(new.total_size())
        .bind(!new.tags.is_empty())
        .bind(is_listed)
        .bind(artifact::kind(manifest))
        .bind(artifact::config_type(manifest));
    let row = match postgres {
        true => row.bind(new.payload).bind(kind.map(AccessoryKind::name)),
        false => row,
    };
    let Some(row) = row.optional().await? else {
        return Ok(None);
    };
    let id = row.get("manifest", "id")?;
    if !postgres {
        tx.query(
            "insert into manifest_payload (manifest_id, payload) values ($1, $2);
             insert into accessory (manifest_id, repository_id, subject, type)
             select $1, $3, $4, $5 where $4 is not null",
        )
        .bind(id)
        .bind(new.payload)
        .bind(repository)
        .bind(manifest.subject.as_ref())
        .bind(kind.map(AccessoryKind::name))
        .execute()
        .await?;
    }
    tx.relist(repository).difference += i64::from(is_listed);
    Ok(Some(id))
}

/// Records that a manifest was pushed again: its untagged time restarts when it is next seen untagged. Returns its row,
/// and whether it will be deleted with deleted indexes unless something else keeps it.
async fn push_again(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
    now: Timestamp,
) -> Result<(ManifestId, bool)> {
    let row = tx
        .query(
            "update manifest set untagged_at = null, pushed_again_at = $3
             where repository_id = $1 and digest = $2 and deleted_at is null
             returning id, cast(case when exists (select 1 from manifest_reference c join manifest p on p.id = c.manifest_id
                     where c.child_id = manifest.id and p.deleted_at is not null)
                 then 1 else 0 end as bigint) as doomed",
        )
        .bind(repository)
        .bind(digest)
        .bind(now)
        .optional()
        .await?;
    let row = row.ok_or(Error::Contended("the manifest"))?;
    Ok((row.get("manifest", "id")?, row.get("manifest", "doomed")?))
}

async fn store_references(
    tx: &mut Tx,
    repository: RepositoryId,
    manifest: ManifestId,
    new: &New<'_>,
) -> Result<()> {
    let children = new.manifest.children.iter().zip(new.found).enumerate();
    let mut rows: Vec<ReferenceRow<'_>> = children.map(ReferenceRow::of).collect();
    let mut room = MOST_ANNOTATIONS;
    for row in &mut rows {
        let bytes = row.annotations.as_ref().map_or(0, String::len);
        match room.checked_sub(bytes) {
            Some(left) => room = left,
            None => row.annotations = None,
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let relist = tx.relist(repository);
    relist
        .manifests
        .extend(rows.iter().filter_map(|row| row.child));
    tx.query_either(
        "insert into manifest_reference (manifest_id, repository_id, position, kind, digest, blob_id, child_id, size, media_type, platform, annotations)
         select $1, $2, value ->> 'position', value ->> 'kind', unhex(value ->> 'digest'), value ->> 'blob', value ->> 'child',
                value ->> 'size', value ->> 'media_type', value ->> 'platform', value ->> 'annotations' from json_each($3)",
        "insert into manifest_reference (manifest_id, repository_id, position, kind, digest, blob_id, child_id, size, media_type, platform, annotations)
         select $1, $2, position, kind, decode(digest, 'hex'), blob, child, size, media_type, platform, annotations
         from json_to_recordset(cast($3 as json)) as r
              (position bigint, kind text, digest text, blob bigint, child bigint, size bigint, media_type text, platform text, annotations text)",
    )
    .bind(manifest)
    .bind(repository)
    .bind(serde_json::to_string(&rows).unwrap_or_default())
    .execute()
    .await?;
    Ok(())
}

/// A living index of the repository that lists the manifest, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn parent(reader: &mut Reader, manifest: ManifestId) -> Result<Option<Digest>> {
    let row = reader
        .query(
            "select m.digest from manifest_reference c join manifest m on m.id = c.manifest_id
             where c.child_id = $1 and m.deleted_at is null limit 1",
        )
        .bind(manifest)
        .optional()
        .await?;
    row.map(|row| row.get("manifest", "digest")).transpose()
}

/// Maximum bytes of annotations read with their descriptor; larger ones are fetched one by one.
const SMALL: i64 = 10 << 10;
/// Maximum bytes of larger annotations on a page of referrers, except those of its last descriptor.
const LARGE: usize = 2 << 20;

/// A page of a subject's referrers.
#[derive(Clone, Debug)]
pub struct Referrers {
    /// Descriptors in the order in which they were pushed.
    pub descriptors: Vec<Descriptor>,
    /// The position of the next page, if there is one.
    pub next: Option<i64>,
    /// How many there are of all types.
    pub total: i64,
}

/// Descriptors of the manifests in a project's repository with this subject and row ids after `after`: at most `limit`,
/// fewer if their annotations are large.
///
/// # Errors
/// When the statement fails.
pub async fn referrers(
    reader: &mut Reader,
    (project, repository): (ProjectId, &RepositoryName),
    subject: &Digest,
    artifact_type: Option<&str>,
    (after, limit): (i64, i64),
) -> Result<Referrers> {
    let rows = reader
        .query(
            "select m.id, m.digest, m.media_type, m.artifact_type, m.size,
                 case when octet_length(m.annotations) <= $6 then m.annotations end as annotations,
                 (select count(*) from manifest
                     where repository_id = (select id from repository where name = $1 and project_id = $7 and deleted_at is null) and subject = $2 and deleted_at is null) as total
             from manifest m
             where m.repository_id = (select id from repository where name = $1 and project_id = $7 and deleted_at is null) and m.subject = $2 and m.deleted_at is null and m.id > $3 and ($4 is null or m.artifact_type = $4)
             order by m.id limit $5",
        )
        .bind(repository.as_str())
        .bind(subject)
        .bind(after)
        .bind(artifact_type)
        .bind(limit + 1)
        .bind(SMALL)
        .bind(project)
        .all()
        .await?;
    let total = match rows.first() {
        Some(row) => row.get("manifest", "total")?,
        None if after == 0 && artifact_type.is_none() => 0,
        None => count_referrers(reader, (project, repository), subject).await?,
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

/// Annotations, unparsed: they are printed as they were written.
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
    (project, repository): (ProjectId, &RepositoryName),
    subject: &Digest,
) -> Result<i64> {
    let row = reader
        .query(
            "select count(*) as total from manifest
             where repository_id = (select id from repository where name = $1 and project_id = $3 and deleted_at is null)
             and subject = $2 and deleted_at is null",
        )
        .bind(repository.as_str())
        .bind(subject)
        .bind(project)
        .one()
        .await?;
    row.get("manifest", "total")
}
