//! Deleted manifests, and how their dependent rows are removed.
//!
//! A manifest is deleted in one short transaction: it gets a tombstone (`deleted_at`), and from the commit on it cannot
//! be found, its name is free, and its bytes are refunded. A tag that points at it does not exist: a push takes the row
//! over. Its tags, referrers, references and row are removed by [`purge`] in parts of limited size. The deleting
//! transaction does the first part, so that a small manifest is gone at once. Nothing else has to happen for the
//! deletion to be correct, whatever process dies at whatever time.
//!
//! **Referrers** are accessories of their subject (`accessory`), including cosign's by their tag. Those that existed
//! when their subject got its tombstone are deleted with it, including their tags, unless a living index keeps them, as
//! in Harbor; `last_referrer` is the newest of them, and moves down as they are processed, each once. Referrers that
//! are pushed later have a greater id and stay. One that still waits to be processed and is pushed again would be lost,
//! so that push gives the old row its tombstone and makes a new one ([`bury_if_doomed`]). If the subject is pushed
//! again, the unprocessed referrers belong to the new one and stay.
//!
//! **Immutable tags.** A referrer with a tag that a rule covers stays, like one that a living index lists: the rules
//! are checked in [`hold_hanging`], once it is locked and before it gets its tombstone, so that it cannot get a tag
//! meanwhile. Children that are deleted have no tags. A deletion checks the manifest's own tags, and those of referrers
//! beforehand (`registry::immutability`).
//!
//! **Children** are listed by an index. Those that nothing else keeps (no tag, no other living index and no living
//! subject) are deleted with the last index that lists them, as in Harbor. An index with many children keeps its
//! tombstone until all were processed. A child that still waits and is pushed again without a tag would be lost as
//! well: that push makes a new row ([`bury_child`]). A deletion locks the children before it checks what keeps them: of
//! two deletions the later one sees that the other's index is gone. A push of an index or a tag locks what it names: so
//! either the child is kept, or the push finds nothing or is retried.
//!
//! **Concurrency.** A deletion locks the row (`for update`) before it looks for an index that lists the manifest; a
//! push of an index locks its children (`for key share`). So either the deletion sees the index and is refused, or the
//! push finds nothing. A push that tags a manifest writes its row first, so either it comes before the tombstone, and
//! its tag is deleted too, or it makes a new row. Referrers are locked before the check of what keeps them, for the
//! same reason. A purge skips rows that others have locked, such as another purge or a pull counter; the next walk
//! finds them.
//!
//! **Blobs and children that stay** are kept by references of deleted manifests until the purge removes these: it then
//! renews the leases of the blobs, and restarts the untagged time of the children. No living manifest lists a deleted
//! one.

use std::collections::HashSet;

use model::{Digest, ManifestId, ProjectId, RepositoryId, RepositoryName, Tag, Timestamp};

use crate::blob;
use crate::broken::Walked;
use crate::content::Place;
use crate::error::Result;
use crate::immutability::Immutability;
use crate::quota;
use crate::sql::{Reader, Row, Tx, json_list};
use crate::tag::version;
use crate::touch::Touch;

/// The moment of a deletion.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// Now.
    pub now: Timestamp,
    /// Minimum time until which blobs that the manifests named are kept.
    pub lease_until: Timestamp,
}

/// Deletes a locked living manifest, and removes at most `limit` of its dependent rows; [`purge`] removes the rest.
///
/// # Errors
/// When a statement fails.
pub async fn delete(
    tx: &mut Tx,
    at: Place<'_>,
    manifest: ManifestId,
    when: When,
    limit: i64,
) -> Result<()> {
    bury(tx, at, &[manifest.0], when.now).await?;
    if purge(tx, at, &[manifest], when, limit).await?.left {
        // Remaining tags may be cached.
        tx.touch(Touch::Everything);
    }
    Ok(())
}

/// A manifest with a tombstone.
struct Tombstone {
    id: i64,
    digest: Digest,
    size: i64,
    last_referrer: Option<i64>,
}

impl Tombstone {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("manifest", "id")?,
            digest: row.get("manifest", "digest")?,
            size: row.get("manifest", "size")?,
            last_referrer: row.get("manifest", "last_referrer")?,
        })
    }

    fn removal(&self) -> Removal {
        Removal {
            id: self.id,
            size: self.size,
        }
    }
}

/// Gives locked living manifests their tombstones, and refunds the project.
async fn bury(
    tx: &mut Tx,
    at: Place<'_>,
    manifests: &[i64],
    now: Timestamp,
) -> Result<Vec<Tombstone>> {
    if manifests.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx
        .query_either(
            "update manifest as m set deleted_at = $2, untagged_at = null, last_referrer =
                 (select max(x.manifest_id) from accessory x where x.repository_id = m.repository_id and x.subject = m.digest)
             where id in (select value from json_each($1)) and deleted_at is null
             returning id, digest, size, last_referrer, listed",
            "update manifest as m set deleted_at = $2, untagged_at = null, last_referrer =
                 (select max(x.manifest_id) from accessory x where x.repository_id = m.repository_id and x.subject = m.digest)
             where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             and deleted_at is null returning id, digest, size, last_referrer, listed",
        )
        .bind(json_list(manifests))
        .bind(now)
        .all()
        .await?;
    let buried: Vec<Tombstone> = rows.iter().map(Tombstone::read).collect::<Result<_>>()?;
    for row in &rows {
        tx.relist(at.repository).difference -= row.get::<i64>("manifest", "listed")?;
    }
    for tombstone in &buried {
        tx.touch(Touch::Manifest(at.name.clone(), tombstone.digest));
    }
    quota::refund(tx, at.project, buried.iter().map(|it| it.size).sum()).await?;
    Ok(buried)
}

/// How much one transaction may still do, so that others need not wait for long.
pub(crate) struct Room {
    /// Tags and manifests to process.
    rows: i64,
    /// References to remove.
    references: i64,
    /// Bytes of manifests to remove, except those of the last one.
    bytes: i64,
}

const REFERENCES: i64 = 1_000;
const BYTES: i64 = 2 << 20;

impl Room {
    pub(crate) const fn of(rows: i64) -> Self {
        Self {
            rows,
            references: REFERENCES,
            bytes: BYTES,
        }
    }

    pub(crate) const fn is_left(&self) -> bool {
        self.rows > 0 && self.references > 0 && self.bytes > 0
    }

    /// As many of the manifests as the limits allow.
    fn take<'a>(&mut self, manifests: &'a [Removal]) -> &'a [Removal] {
        let mut fitting = 0;
        while fitting < manifests.len() && self.is_left() {
            self.rows -= 1;
            self.bytes -= manifests[fitting].size;
            fitting += 1;
        }
        &manifests[..fitting]
    }
}

/// The result of one part of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Processed tags and manifests.
    pub rows: i64,
    /// Whether there may be more to do.
    pub left: bool,
}

impl Part {
    /// There was nothing to do.
    pub const NOTHING: Self = Self {
        rows: 0,
        left: false,
    };

    pub(crate) const fn of(rows: i64) -> Self {
        Self {
            rows,
            left: rows > 0,
        }
    }
}

/// Removes a part of the dependent rows of deleted manifests of one repository, and finally the manifests' rows: at
/// most `limit` tags and manifests. Referrers and children that are deleted with them get tombstones of their own.
///
/// # Errors
/// When a statement fails.
pub async fn purge(
    tx: &mut Tx,
    at: Place<'_>,
    manifests: &[ManifestId],
    when: When,
    limit: i64,
) -> Result<Part> {
    let mut room = Room::of(limit);
    let mut going = hold(tx, at.repository, manifests).await?;
    delete_tags(tx, at.name, &going, &mut room).await?;
    let (mut next, mut listed) = (0, 0);
    while room.is_left() && listed < going.len() {
        while room.is_left() && next < going.len() {
            let buried = bury_referrers(tx, at, &going[next], when.now, &mut room).await?;
            going.extend(buried);
            next += 1;
        }
        if room.is_left() {
            let buried = bury_children(tx, at, &going[listed..], when.now, &mut room).await?;
            listed = going.len();
            going.extend(buried);
        }
    }
    if room.is_left() {
        let removals: Vec<Removal> = going.iter().map(Tombstone::removal).collect();
        remove(tx, at, &removals, when.lease_until, &mut room).await?;
    }
    Ok(Part {
        rows: limit - room.rows,
        left: !room.is_left(),
    })
}

/// Those of the deleted manifests that exist and that no other transaction has locked.
async fn hold(
    tx: &mut Tx,
    repository: RepositoryId,
    manifests: &[ManifestId],
) -> Result<Vec<Tombstone>> {
    let rows = tx
        .query_either(
            "select m.id, m.digest, m.size, m.last_referrer from json_each($2) j cross join manifest m on m.id = j.value
             where m.repository_id = $1 and m.deleted_at is not null order by m.id",
            "select id, digest, size, last_referrer from manifest
             where id = any (array(select cast(json_array_elements_text(cast($2 as json)) as bigint)))
             and repository_id = $1 and deleted_at is not null order by id for update skip locked",
        )
        .bind(repository)
        .bind(json_list(manifests.iter().map(|id| id.0)))
        .all()
        .await?;
    rows.iter().map(Tombstone::read).collect()
}

/// Removes tags of deleted manifests, except those that a push is taking over.
async fn delete_tags(
    tx: &mut Tx,
    name: &RepositoryName,
    manifests: &[Tombstone],
    room: &mut Room,
) -> Result<()> {
    let gone = tx
        .query_either(
            "delete from tag where id in (
                 select id from tag where manifest_id in (select value from json_each($1)) limit $2)
             returning name, coalesce(version_at, pushed_at) as version,
                 (select m.deleted_at from manifest m where m.id = manifest_id) as deleted_at",
            // The manifests are locked before this statement sees what points at them.
            "with gone as (
                 select t.id, m.deleted_at from tag t join manifest m on m.id = t.manifest_id
                 where t.manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
                 limit $2 for update of t skip locked)
             delete from tag using gone where tag.id = gone.id
             returning tag.name, coalesce(tag.version_at, tag.pushed_at) as version, gone.deleted_at",
        )
        .bind(ids(manifests))
        .bind(room.rows)
        .all()
        .await?;
    version::note_deletions(tx, name, &gone).await?;
    for row in &gone {
        let touched = match row.get::<Tag>("tag", "name") {
            Ok(tag) => Touch::Tag(name.clone(), tag),
            // It is removed even if its name does not parse.
            Err(_) => Touch::Everything,
        };
        tx.touch(touched);
    }
    room.rows -= gone.len() as i64;
    Ok(())
}

fn ids(manifests: &[Tombstone]) -> String {
    json_list(manifests.iter().map(|manifest| manifest.id))
}

/// Processes the next referrers of a deleted manifest, and gives tombstones to those that nothing else keeps.
async fn bury_referrers(
    tx: &mut Tx,
    at: Place<'_>,
    subject: &Tombstone,
    now: Timestamp,
    room: &mut Room,
) -> Result<Vec<Tombstone>> {
    let Some(last) = subject.last_referrer else {
        return Ok(Vec::new());
    };
    let rows = tx
        .query(
            "select m.id from accessory x join manifest m on m.id = x.manifest_id and m.deleted_at is null
             where x.repository_id = $1 and x.subject = $2 and x.manifest_id <= $3
             and not exists (select 1 from manifest s where s.repository_id = $1 and s.digest = $2 and s.deleted_at is null)
             order by x.manifest_id desc limit $4",
        )
        .bind(at.repository)
        .bind(&subject.digest)
        .bind(last)
        .bind(room.rows)
        .all()
        .await?;
    let looked_at: Vec<i64> = rows
        .iter()
        .map(|row| row.get("manifest", "id"))
        .collect::<Result<_>>()?;
    let is_full = looked_at.len() as i64 >= room.rows;
    let mut buried: Vec<Tombstone> = Vec::new();
    loop {
        // An index among them that is deleted no longer keeps its children.
        let hanging = hold_hanging(tx, at, &looked_at).await?;
        if hanging.is_empty() {
            break;
        }
        let gone = bury(tx, at, &hanging, now).await?;
        delete_tags(tx, at.name, &gone, room).await?;
        buried.extend(gone);
    }
    if !room.is_left() {
        // Their remaining tags may be cached.
        tx.touch(Touch::Everything);
    }
    restart_untagged_time(tx, &json_list(&looked_at)).await?;
    let next = looked_at.last().filter(|_| is_full).map(|id| id - 1);
    tx.query("update manifest set last_referrer = $2 where id = $1")
        .bind(subject.id)
        .bind(next)
        .execute()
        .await?;
    room.rows -= looked_at.len().max(1) as i64;
    Ok(buried)
}

macro_rules! hangs_on_its_subject {
    () => {
        "m.deleted_at is null and not exists (select 1 from manifest_reference c join manifest p on p.id = c.manifest_id
             where c.child_id = m.id and p.deleted_at is null)"
    };
}

/// Those of the referrers that have no living parent and no immutable tag once they are locked: nobody tags or lists
/// them until the transaction ends.
async fn hold_hanging(tx: &mut Tx, at: Place<'_>, referrers: &[i64]) -> Result<Vec<i64>> {
    if referrers.is_empty() {
        return Ok(Vec::new());
    }
    let referrers = json_list(referrers);
    hold_rows(tx, &referrers).await?;
    // A statement of its own: it sees everything committed before the rows were locked.
    let rows = tx
        .query_either(
            concat!(
                "select m.id from json_each($1) j cross join manifest m on m.id = j.value where ",
                hangs_on_its_subject!()
            ),
            concat!(
                "select m.id from manifest m
                 where m.id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) and ",
                hangs_on_its_subject!()
            ),
        )
        .bind(referrers)
        .all()
        .await?;
    let hanging = rows.iter().map(|row| row.get("manifest", "id"));
    let mut hanging: Vec<i64> = hanging.collect::<Result<_>>()?;
    let rules = Immutability::of(tx, at.project).await?;
    let kept = rules.kept(tx, at.name, &hanging).await?;
    hanging.retain(|id| !kept.contains(id));
    Ok(hanging)
}

macro_rules! hangs_on_its_parents {
    () => {
        "m.deleted_at is null and not exists (select 1 from tag t where t.manifest_id = m.id)
         and not exists (select 1 from manifest_reference o join manifest p on p.id = o.manifest_id
             where o.child_id = m.id and p.deleted_at is null)
         and not exists (select 1 from manifest s where s.repository_id = m.repository_id and s.digest = m.subject
             and s.deleted_at is null)"
    };
}

/// Gives tombstones to children of deleted indexes that nothing else keeps.
async fn bury_children(
    tx: &mut Tx,
    at: Place<'_>,
    indexes: &[Tombstone],
    now: Timestamp,
    room: &mut Room,
) -> Result<Vec<Tombstone>> {
    let indexes = ids(indexes);
    hold_listed(tx, &indexes).await?;
    // A statement of its own: it sees everything committed before the rows were locked.
    let rows = tx
        .query_either(
            concat!(
                "select distinct m.id from json_each($1) j cross join manifest_reference c on c.manifest_id = j.value
                 cross join manifest m on m.id = c.child_id where ",
                hangs_on_its_parents!(),
                " order by m.id limit $2"
            ),
            concat!(
                "select distinct m.id from manifest_reference c join manifest m on m.id = c.child_id
                 where c.manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) and ",
                hangs_on_its_parents!(),
                " order by m.id limit $2"
            ),
        )
        .bind(indexes)
        .bind(room.rows)
        .all()
        .await?;
    let hanging: Vec<i64> = rows
        .iter()
        .map(|row| row.get("manifest", "id"))
        .collect::<Result<_>>()?;
    room.rows -= hanging.len() as i64;
    bury(tx, at, &hanging, now).await
}

/// Locks the children of indexes, if other transactions can run: nobody tags or lists them until the transaction ends,
/// and nobody deletes another index that lists them.
async fn hold_listed(tx: &mut Tx, indexes: &str) -> Result<()> {
    if tx.is_postgres() {
        tx.query(
            "select m.id from manifest m where m.deleted_at is null and m.id in (select c.child_id from manifest_reference c
                 where c.manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))))
             order by m.id for update",
        )
        .bind(indexes)
        .all()
        .await?;
    }
    Ok(())
}

/// Those of the children that nothing keeps once they are locked: nobody tags or lists them until the transaction ends.
/// They have no tags, so no rule has to be checked.
async fn hold_children(tx: &mut Tx, children: &[i64]) -> Result<Vec<i64>> {
    if children.is_empty() {
        return Ok(Vec::new());
    }
    let children = json_list(children);
    hold_rows(tx, &children).await?;
    // A statement of its own: it sees everything committed before the rows were locked.
    let rows = tx
        .query_either(
            concat!(
                "select m.id from json_each($1) j cross join manifest m on m.id = j.value where ",
                hangs_on_its_parents!()
            ),
            concat!(
                "select m.id from manifest m
                 where m.id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) and ",
                hangs_on_its_parents!()
            ),
        )
        .bind(children)
        .all()
        .await?;
    rows.iter().map(|row| row.get("manifest", "id")).collect()
}

/// Locks manifests, if other transactions can run.
async fn hold_rows(tx: &mut Tx, manifests: &str) -> Result<()> {
    if tx.is_postgres() {
        tx.query(
            "select id from manifest where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             order by id for update",
        )
        .bind(manifests)
        .all()
        .await?;
    }
    Ok(())
}

/// Gives a tombstone to a living manifest that is pushed again without a tag and would be deleted with deleted indexes:
/// the push makes a new row.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn bury_child(
    tx: &mut Tx,
    at: Place<'_>,
    manifest: ManifestId,
    now: Timestamp,
) -> Result<()> {
    let hanging = hold_children(tx, &[manifest.0]).await?;
    bury(tx, at, &hanging, now).await?;
    Ok(())
}

/// Gives a tombstone to a living manifest that is pushed again and would be deleted with its deleted subject: the push
/// makes a new row.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn bury_if_doomed(
    tx: &mut Tx,
    at: Place<'_>,
    digest: &Digest,
    now: Timestamp,
) -> Result<()> {
    let doomed = tx
        .query(
            "select m.id from manifest m join accessory x on x.manifest_id = m.id
             where m.repository_id = $1 and m.digest = $2 and m.deleted_at is null
             and exists (select 1 from manifest s where s.repository_id = $1 and s.digest = x.subject
                 and s.deleted_at is not null and s.last_referrer >= m.id)
             and not exists (select 1 from manifest s where s.repository_id = $1 and s.digest = x.subject
                 and s.deleted_at is null)",
        )
        .bind(at.repository)
        .bind(digest)
        .optional()
        .await?;
    let Some(row) = doomed else { return Ok(()) };
    let hanging = hold_hanging(tx, at, &[row.get("manifest", "id")?]).await?;
    bury(tx, at, &hanging, now).await?;
    Ok(())
}

/// A manifest whose row is to be removed, in a deleted repository or with a tombstone.
#[derive(Clone, Copy)]
pub(crate) struct Removal {
    pub(crate) id: i64,
    pub(crate) size: i64,
}

/// Removes manifests that cannot be found any more and have no tags: first their references, then their rows, as far as
/// the limits allow.
pub(crate) async fn remove(
    tx: &mut Tx,
    at: Place<'_>,
    manifests: &[Removal],
    lease_until: Timestamp,
    room: &mut Room,
) -> Result<()> {
    let fitting = room.take(manifests);
    let ids = json_list(fitting.iter().map(|manifest| manifest.id));
    delete_listings(tx, &ids, room).await?;
    if room.references > 0 {
        delete_references(tx, at, &ids, lease_until, room).await?;
    }
    if room.references > 0 {
        delete_rows(tx, at.project, &ids).await?;
    }
    if fitting.len() < manifests.len() {
        room.rows = 0;
    }
    Ok(())
}

/// Removes references of indexes that list the manifests: these indexes are removed too, now or later.
async fn delete_listings(tx: &mut Tx, ids: &str, room: &mut Room) -> Result<()> {
    let gone = tx
        .query_either(
            "delete from manifest_reference where (manifest_id, position) in (
                 select manifest_id, position from manifest_reference
                 where child_id in (select value from json_each($1)) limit $2)",
            "delete from manifest_reference where (manifest_id, position) in (
                 select manifest_id, position from manifest_reference
                 where child_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) limit $2)",
        )
        .bind(ids)
        .bind(room.references)
        .execute()
        .await?;
    room.references -= gone as i64;
    Ok(())
}

/// Removes references of the manifests, which then no longer keep anything.
async fn delete_references(
    tx: &mut Tx,
    at: Place<'_>,
    ids: &str,
    lease_until: Timestamp,
    room: &mut Room,
) -> Result<()> {
    let gone = tx
        .query_either(
            "delete from manifest_reference where (manifest_id, position) in (
                 select manifest_id, position from manifest_reference
                 where manifest_id in (select value from json_each($1)) limit $2)
             returning kind = 'manifest' as lists, child_id, lower(hex(digest)) as named",
            "delete from manifest_reference where (manifest_id, position) in (
                 select manifest_id, position from manifest_reference
                 where manifest_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) limit $2)
             returning cast(case when kind = 'manifest' then 1 else 0 end as bigint) as lists, child_id, encode(digest, 'hex') as named",
        )
        .bind(ids)
        .bind(room.references)
        .all()
        .await?;
    let (mut children, mut blobs) = (HashSet::new(), HashSet::new());
    for row in &gone {
        if row.get("manifest_reference", "lists")? {
            children.extend(row.get::<Option<i64>>("manifest_reference", "child_id")?);
        } else {
            blobs.insert(row.get::<String>("manifest_reference", "named")?);
        }
    }
    restart_untagged_time(tx, &json_list(&children)).await?;
    tx.relist(at.repository).manifests.extend(children);
    let blobs = serde_json::to_string(&blobs).unwrap_or_default();
    blob::renew_named(tx, (at.repository, at.name), &blobs, lease_until).await?;
    room.references -= gone.len() as i64;
    Ok(())
}

/// The untagged time of manifests restarts when they are next seen untagged. They are locked, since whether they are
/// listed may change.
async fn restart_untagged_time(tx: &mut Tx, ids: &str) -> Result<()> {
    tx.query_either(
        "update manifest set untagged_at = null where untagged_at is not null and id in (select value from json_each($1))",
        "with held as (
             select id, untagged_at from manifest
             where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             order by id for no key update)
         update manifest m set untagged_at = null from held where m.id = held.id and held.untagged_at is not null",
    )
    .bind(ids)
    .execute()
    .await?;
    Ok(())
}

/// Removes rows without references. A manifest keeps its row while a tag that a push is taking over points at it: the
/// next walk finds it. The bytes of those with a tombstone were refunded with it.
async fn delete_rows(tx: &mut Tx, project: ProjectId, ids: &str) -> Result<()> {
    let rows = tx
        .query_either(
            "delete from manifest where id in (select value from json_each($1))
             and not exists (select 1 from tag t where t.manifest_id = manifest.id)
             returning case when deleted_at is null then size else 0 end as size",
            "delete from manifest where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             and not exists (select 1 from tag t where t.manifest_id = manifest.id)
             returning case when deleted_at is null then size else 0 end as size",
        )
        .bind(ids)
        .all()
        .await?;
    let mut bytes = 0;
    for row in &rows {
        bytes += row.get::<i64>("manifest", "size")?;
    }
    quota::refund(tx, project, bytes).await
}

/// Tags of the referrers that would be deleted with a living manifest: its own referrers, those of its children that
/// would be deleted, and so on. At most `limit`. Manifests that a living index lists stay, except children of the
/// deleted one that no other lists. Where
/// two indexes that go list the same child, the tags of its referrers are not found, although they go.
///
/// # Errors
/// When the statement fails.
pub async fn tags_that_go_with(
    reader: &mut Reader,
    (repository, manifest): (RepositoryId, ManifestId),
    limit: i64,
) -> Result<Vec<Tag>> {
    // As [`hangs_on_its_parents`], if neither its index nor the deleted manifests keep it any more, nor a subject that
    // the index lists.
    macro_rules! goes_with_its_index {
        () => {
            "m.deleted_at is null and not exists (select 1 from tag t where t.manifest_id = m.id)
             and not exists (select 1 from manifest_reference o join manifest p on p.id = o.manifest_id
                 where o.child_id = m.id and p.deleted_at is null and p.id not in ($2, g.id))
             and not exists (select 1 from manifest s where s.repository_id = m.repository_id and s.digest = m.subject
                 and s.deleted_at is null and s.id not in ($2, g.id) and not exists (
                     select 1 from manifest_reference o where o.manifest_id = g.id and o.child_id = s.id))"
        };
    }
    let rows = reader
        .query_either(
            concat!(
                "with recursive going (id, digest) as (
                     select id, digest from manifest where id = $2
                     union select m.id, m.digest from going g
                     join accessory x on x.repository_id = $1 and x.subject = g.digest
                     join manifest m on m.id = x.manifest_id where ",
                hangs_on_its_subject!(),
                " union select m.id, m.digest from going g join manifest_reference c on c.manifest_id = g.id
                     join manifest m on m.id = c.child_id where ",
                goes_with_its_index!(),
                ") select t.name from going join tag t on t.manifest_id = going.id where going.id <> $2 limit $3"
            ),
            concat!(
                "with recursive going (id, digest) as (
                     select id, digest from manifest where id = $2
                     union select n.id, n.digest from going g cross join lateral (
                         select m.id, m.digest from accessory x join manifest m on m.id = x.manifest_id
                         where x.repository_id = $1 and x.subject = g.digest and ",
                hangs_on_its_subject!(),
                " union all select m.id, m.digest from manifest_reference c join manifest m on m.id = c.child_id
                         where c.manifest_id = g.id and ",
                goes_with_its_index!(),
                ") n) select t.name from going join tag t on t.manifest_id = going.id where going.id <> $2 limit $3"
            ),
        )
        .bind(repository)
        .bind(manifest)
        .bind(limit)
        .all()
        .await?;
    // A tag that does not parse is covered by no rule.
    Ok(rows
        .iter()
        .filter_map(|row| row.get("tag", "name").ok())
        .collect())
}

/// A deleted manifest, and where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Its row.
    pub id: ManifestId,
    /// Its project, which may be deleted as well.
    pub project: ProjectId,
    /// Its repository, which may be deleted as well.
    pub repository: RepositoryId,
    /// The repository's name.
    pub name: RepositoryName,
}

/// Deleted manifests with rows after `after`, at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    reader: &mut Reader,
    after: ManifestId,
    limit: i64,
) -> Result<Walked<Deleted, ManifestId>> {
    let rows = reader
        .query_either(
            // Otherwise SQLite would walk all manifests.
            "select m.id, r.project_id, m.repository_id, r.name from manifest m indexed by manifest_deleted
             cross join repository r on r.id = m.repository_id
             where m.deleted_at is not null and m.id > $1 order by m.id limit $2",
            "select m.id, r.project_id, m.repository_id, r.name from manifest m
             join repository r on r.id = m.repository_id
             where m.deleted_at is not null and m.id > $1 order by m.id limit $2",
        )
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    let id = |row: &Row| row.get("manifest", "id");
    Walked::read(&rows, id, |row| {
        Ok(Deleted {
            id: row.get("manifest", "id")?,
            project: row.get("repository", "project_id")?,
            repository: row.get("manifest", "repository_id")?,
            name: row.get("repository", "name")?,
        })
    })
}
