//! Garbage collection: links that nothing refers to, and blobs without links, whose objects it leaves to
//! [`garbage`](crate::garbage). Only due links are reviewed, so that the cost follows the amount of garbage.
//!
//! It is correct beside pushes for this reason: a push locks the blobs that it names or links (`for key share`) until
//! it commits; a review locks the blobs whose links it removes (`for update skip locked`) and looks for references only
//! then. So either the review sees the push's reference and keeps the link, or the push finds no blob and is refused.
//! Blobs that another transaction has locked are reviewed the next time.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use model::{BlobId, Digest, ProjectId, RepositoryId, RepositoryName, Timestamp};
use serde::Serialize;

use crate::error::Result;
use crate::garbage::{self, Waiting, unneeded};
use crate::sql::{Reader, Row, Tx};
use crate::touch::Touch;
use crate::{blob, quota, repository};

/// What a review of due links did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reviewed {
    /// Reviewed links.
    pub looked_at: u64,
    /// Removed links.
    pub unlinked: u64,
    /// Blobs removed with their last links.
    pub blobs: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Links that cannot be read: they are set aside for a day.
    pub broken: u64,
}

/// A due link.
struct Due {
    link: Link,
    project: ProjectId,
    repository: RepositoryName,
    digest: Digest,
    size: i64,
    lease_until: Timestamp,
}

/// A link's key, as JSON: `[repository, blob]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
struct Link(i64, i64);

fn link_of(row: &Row) -> Result<Link> {
    Ok(Link(
        row.get("repository_blob", "repository_id")?,
        row.get("repository_blob", "blob_id")?,
    ))
}

fn read(row: &Row) -> Result<Due> {
    Ok(Due {
        link: link_of(row)?,
        project: row.get("repository", "project_id")?,
        repository: row.get("repository", "name")?,
        digest: row.get("blob", "digest")?,
        size: row.get("blob", "size")?,
        lease_until: row.get("repository_blob", "lease_until")?,
    })
}

fn json<T: Serialize>(of: &[T]) -> String {
    serde_json::to_string(of).unwrap_or_default()
}

/// How long a link with unreadable rows is set aside.
const ASIDE: Duration = Duration::from_secs(24 * 3_600);

/// Reviews due links, at most `limit`: keeps those that a manifest refers to, postpones those whose lease was renewed,
/// and removes the others. Blobs that lose their last link are removed, and their objects are garbage `hold` later.
///
/// # Errors
/// When a statement fails.
pub async fn review(tx: &mut Tx, now: Timestamp, hold: Duration, limit: i64) -> Result<Reviewed> {
    let (due, broken) = due(tx, now, limit).await?;
    set_review(tx, &broken, Some(now.plus(ASIDE))).await?;
    let mut reviewed = Reviewed {
        looked_at: (due.len() + broken.len()) as u64,
        broken: broken.len() as u64,
        ..Reviewed::default()
    };
    if due.is_empty() {
        return Ok(reviewed);
    }
    let (over, leased): (Vec<Due>, Vec<Due>) =
        due.into_iter().partition(|due| due.lease_until <= now);
    put_off(tx, &leased).await?;
    let over = hold_blobs(tx, over).await?;
    let links: Vec<Link> = over.iter().map(|due| due.link).collect();
    let kept = referred_to(tx, &links).await?;
    let kept_links: Vec<Link> = kept.iter().copied().collect();
    set_review(tx, &kept_links, None).await?;
    let gone: Vec<&Due> = over
        .iter()
        .filter(|due| !kept.contains(&due.link))
        .collect();
    if gone.is_empty() {
        return Ok(reviewed);
    }
    reviewed.unlinked = gone.len() as u64;
    unlink(tx, &gone).await?;
    refund(tx, &gone).await?;
    let blobs: Vec<i64> = gone.iter().map(|due| due.link.1).collect();
    let released = blob::release(tx, &blobs, now.plus(hold)).await?;
    (reviewed.blobs, reviewed.bytes) = (released.blobs, released.bytes);
    let left: BTreeSet<i64> = gone.iter().map(|due| due.link.0).collect();
    let left: Vec<RepositoryId> = left.into_iter().map(RepositoryId).collect();
    repository::remove_unused(tx, &left).await?;
    Ok(reviewed)
}

/// True if there is anything to collect: links, objects, or refunds.
///
/// # Errors
/// When the statement fails.
pub async fn is_due(reader: &mut Reader, now: Timestamp) -> Result<bool> {
    let row = reader
        .query(concat!(
            "select count(*) as due from (select 1 as one) as one
             where exists (select 1 from repository_blob where review_at <= $1)
             or exists (select 1 from project_refund)
             or exists (select 1 from object_garbage g where g.due_at <= $1",
            unneeded!(),
            ")"
        ))
        .bind(now)
        .one()
        .await?;
    row.get("gc", "due")
}

/// Links that are due, and those among them that cannot be read.
async fn due(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<(Vec<Due>, Vec<Link>)> {
    let rows = tx
        .query_either(
            "select l.repository_id, l.blob_id, l.lease_until, r.project_id, r.name, b.digest, b.size
             from repository_blob l join repository r on r.id = l.repository_id join blob b on b.id = l.blob_id
             where l.review_at <= $1 order by l.review_at limit $2",
            "select l.repository_id, l.blob_id, l.lease_until, r.project_id, r.name, b.digest, b.size
             from repository_blob l join repository r on r.id = l.repository_id join blob b on b.id = l.blob_id
             where l.review_at <= $1 order by l.review_at limit $2 for update of l skip locked",
        )
        .bind(now)
        .bind(limit)
        .all()
        .await?;
    let (mut links, mut broken) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in &rows {
        match read(row) {
            Ok(due) => links.push(due),
            Err(error) => {
                let link = link_of(row)?;
                tracing::error!(
                    %error, repository.id = link.0, blob.id = link.1,
                    "a link cannot be read and is set aside for a day"
                );
                broken.push(link);
            }
        }
    }
    Ok((links, broken))
}

/// The links whose blob no other transaction is about to link or name; it is locked until the transaction ends.
async fn hold_blobs(tx: &mut Tx, due: Vec<Due>) -> Result<Vec<Due>> {
    if !tx.is_postgres() {
        // The only writer holds everything.
        return Ok(due);
    }
    let blobs: Vec<i64> = due.iter().map(|due| due.link.1).collect();
    let rows = tx
        .query(
            "select id from blob where id in (select cast(value as bigint) from json_array_elements_text(cast($1 as json)))
             order by id for update skip locked",
        )
        .bind(json(&blobs))
        .all()
        .await?;
    let held: HashSet<i64> = rows
        .iter()
        .map(|row| row.get("blob", "id"))
        .collect::<Result<_>>()?;
    Ok(due
        .into_iter()
        .filter(|due| held.contains(&due.link.1))
        .collect())
}

async fn put_off(tx: &mut Tx, leased: &[Due]) -> Result<()> {
    if leased.is_empty() {
        return Ok(());
    }
    let links: Vec<Link> = leased.iter().map(|due| due.link).collect();
    tx.query_either(
        "update repository_blob set review_at = lease_until where (repository_id, blob_id) in
         (select value ->> 0, value ->> 1 from json_each($1))",
        "update repository_blob set review_at = lease_until where (repository_id, blob_id) in
         (select cast(value ->> 0 as bigint), cast(value ->> 1 as bigint) from json_array_elements(cast($1 as json)))",
    )
    .bind(json(&links))
    .execute()
    .await?;
    Ok(())
}

/// Those of the links that a manifest of their repository refers to.
async fn referred_to(reader: &mut Reader, links: &[Link]) -> Result<HashSet<Link>> {
    let rows = reader
        .query_either(
            "select value ->> 0 as repository_id, value ->> 1 as blob_id from json_each($1)
             where exists (select 1 from blob b join manifest_reference c on c.digest = b.digest
                 where b.id = value ->> 1 and c.repository_id = value ->> 0 and c.kind <> 'manifest')",
            "select l.repository_id, l.blob_id from
             (select cast(value ->> 0 as bigint) as repository_id, cast(value ->> 1 as bigint) as blob_id
              from json_array_elements(cast($1 as json))) l
             where exists (select 1 from blob b join manifest_reference c on c.digest = b.digest
                 where b.id = l.blob_id and c.repository_id = l.repository_id and c.kind <> 'manifest')",
        )
        .bind(json(links))
        .all()
        .await?;
    rows.iter().map(link_of).collect()
}

/// Sets the next review of links; never, as long as something refers to them.
async fn set_review(tx: &mut Tx, links: &[Link], at: Option<Timestamp>) -> Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    tx.query_either(
        "update repository_blob set review_at = $2 where (repository_id, blob_id) in
         (select value ->> 0, value ->> 1 from json_each($1))",
        "update repository_blob set review_at = $2 where (repository_id, blob_id) in
         (select cast(value ->> 0 as bigint), cast(value ->> 1 as bigint) from json_array_elements(cast($1 as json)))",
    )
    .bind(json(links))
    .bind(at.map(|at| at.0))
    .execute()
    .await?;
    Ok(())
}

async fn unlink(tx: &mut Tx, gone: &[&Due]) -> Result<()> {
    let links: Vec<Link> = gone.iter().map(|due| due.link).collect();
    tx.query_either(
        "delete from repository_blob where (repository_id, blob_id) in
         (select value ->> 0, value ->> 1 from json_each($1))",
        "delete from repository_blob where (repository_id, blob_id) in
         (select cast(value ->> 0 as bigint), cast(value ->> 1 as bigint) from json_array_elements(cast($1 as json)))",
    )
    .bind(json(&links))
    .execute()
    .await?;
    for due in gone {
        tx.touch(Touch::Blob(due.repository.clone(), due.digest));
    }
    Ok(())
}

/// Refunds projects for blobs that none of their repositories links any more.
async fn refund(tx: &mut Tx, gone: &[&Due]) -> Result<()> {
    let sizes: BTreeMap<(i64, i64), i64> = gone
        .iter()
        .map(|due| ((due.project.0, due.link.1), due.size))
        .collect();
    let held: Vec<Link> = sizes
        .keys()
        .map(|(project, blob)| Link(*project, *blob))
        .collect();
    let rows = tx
        .query_either(
            "select value ->> 0 as project_id, value ->> 1 as blob_id from json_each($1)
             where not exists (select 1 from repository_blob l join repository r on r.id = l.repository_id
                 where l.blob_id = value ->> 1 and r.project_id = value ->> 0)",
            "select h.project_id, h.blob_id from
             (select cast(value ->> 0 as bigint) as project_id, cast(value ->> 1 as bigint) as blob_id
              from json_array_elements(cast($1 as json))) h
             where not exists (select 1 from repository_blob l join repository r on r.id = l.repository_id
                 where l.blob_id = h.blob_id and r.project_id = h.project_id)",
        )
        .bind(json(&held))
        .all()
        .await?;
    let mut refunds: BTreeMap<i64, i64> = BTreeMap::new();
    for row in &rows {
        let key = (
            row.get("repository", "project_id")?,
            row.get("blob", "blob_id")?,
        );
        *refunds.entry(key.0).or_default() += sizes.get(&key).copied().unwrap_or_default();
    }
    for (project, bytes) in refunds {
        quota::refund(tx, ProjectId(project), bytes).await?;
    }
    Ok(())
}

/// What a collection would do now, and what is waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Links whose review is due.
    pub due_links: i64,
    /// Links among those that nothing refers to and whose lease is over.
    pub garbage_links: i64,
    /// Objects that wait to be deleted.
    pub objects: Waiting,
}

/// Computes it without changing anything.
///
/// # Errors
/// When a statement fails.
pub async fn outlook(reader: &mut Reader, now: Timestamp) -> Result<Outlook> {
    let links = reader
        .query(
            "select count(*) as due, cast(coalesce(sum(case when lease_until <= $1 and not exists
               (select 1 from blob b join manifest_reference c on c.digest = b.digest
                where b.id = l.blob_id and c.repository_id = l.repository_id and c.kind <> 'manifest')
               then 1 else 0 end), 0) as bigint) as garbage
             from repository_blob l where review_at <= $1",
        )
        .bind(now)
        .one()
        .await?;
    Ok(Outlook {
        due_links: links.get("repository_blob", "due")?,
        garbage_links: links.get("repository_blob", "garbage")?,
        objects: garbage::waiting(reader).await?,
    })
}

/// Why a blob is kept: one repository that links it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeper {
    /// The repository.
    pub repository: RepositoryName,
    /// Manifests of it that name the blob, at most ten.
    pub manifests: Vec<Digest>,
    /// Until when it is kept even without them.
    pub lease_until: Timestamp,
}

/// The repositories that link a blob, and their manifests that name it; at most `limit`.
///
/// # Errors
/// When a statement fails.
pub async fn keepers(reader: &mut Reader, blob: BlobId, limit: i64) -> Result<Vec<Keeper>> {
    let rows = reader
        .query(
            "select r.id, r.name, l.lease_until from repository_blob l join repository r on r.id = l.repository_id
             where l.blob_id = $1 order by r.id limit $2",
        )
        .bind(blob)
        .bind(limit)
        .all()
        .await?;
    let mut keepers = Vec::new();
    for row in &rows {
        keepers.push(Keeper {
            repository: row.get("repository", "name")?,
            manifests: naming(reader, row.get("repository", "id")?, blob).await?,
            lease_until: row.get("repository_blob", "lease_until")?,
        });
    }
    Ok(keepers)
}

async fn naming(
    reader: &mut Reader,
    repository: RepositoryId,
    blob: BlobId,
) -> Result<Vec<Digest>> {
    let rows = reader
        .query(
            "select distinct m.digest from blob b join manifest_reference c on c.digest = b.digest
             join manifest m on m.id = c.manifest_id
             where b.id = $1 and c.repository_id = $2 and c.kind <> 'manifest' order by m.digest limit 10",
        )
        .bind(blob)
        .bind(repository)
        .all()
        .await?;
    rows.iter()
        .map(|row| row.get("manifest", "digest"))
        .collect()
}
