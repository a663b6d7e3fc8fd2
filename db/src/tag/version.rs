//! Versions of tags, for installations that copy from one another: when and where each tag was last set or deleted.
//!
//! A tag has the version of its last push here, unless it came with one from elsewhere ([`Onto::Earlier`](super::Onto)).
//! What was deleted is noted by name when the tag's row goes; before that it is told by the row, whose manifest or
//! repository is deleted. Each change here is later than the one before, whatever the clock says: so a change is never
//! lost to one that it has replaced.

use model::replication::TagState;
use model::{Digest, InstallationId, RepositoryName, Tag, Timestamp};

use crate::error::Result;
use crate::sql::{Reader, Row, Tx};
use crate::store_identity;

/// When and where a tag is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Here, now.
    Here(Timestamp),
    /// Elsewhere, where it had this version.
    Elsewhere(Timestamp, InstallationId),
}

/// Rows that say what tags are, the living ones and the deleted ones; `$1` is the repository's name.
macro_rules! states {
    ($tag:literal, $deletion:literal) => {
        concat!(
            "select t.name, m.digest, coalesce(t.version_at, t.pushed_at) as at, t.version_origin as origin
             from repository r join tag t on t.repository_id = r.id join manifest m on m.id = t.manifest_id
             where r.name = $1 and r.deleted_at is null and m.deleted_at is null and ",
            $tag,
            " union all
             select t.name, null, case when coalesce(t.version_at, t.pushed_at) >= m.deleted_at
                 then coalesce(t.version_at, t.pushed_at) + 1 else m.deleted_at end, null
             from repository r join tag t on t.repository_id = r.id join manifest m on m.id = t.manifest_id
             where r.name = $1 and r.deleted_at is null and m.deleted_at is not null and ",
            $tag,
            " union all
             select t.name, null, case when coalesce(t.version_at, t.pushed_at) >= r.deleted_at
                 then coalesce(t.version_at, t.pushed_at) + 1 else r.deleted_at end, null
             from repository r join tag t on t.repository_id = r.id
             where r.name = $1 and r.deleted_at is not null and ",
            $tag,
            " union all
             select d.tag, null, d.at, d.origin from tag_deletion d where d.repository = $1 and ",
            $deletion
        )
    };
}

/// What a tag is; `None` where there never was one, or nobody remembers.
///
/// # Errors
/// When a statement fails.
pub async fn of(
    reader: &mut Reader,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<TagState>> {
    let own = store_identity::installation(reader).await?;
    let rows = reader
        .query(states!("t.name = $2", "d.tag = $2"))
        .bind(repository.as_str())
        .bind(tag.as_str())
        .all()
        .await?;
    let states = rows.iter().map(|row| read(row, own));
    let states: Vec<(Tag, TagState)> = states.collect::<Result<_>>()?;
    Ok(newest(states).pop().map(|(_, state)| state))
}

/// What tags are, those that were deleted included, after a name and bytewise sorted. At most about `limit` of them, and
/// whether there may be more.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    repository: &RepositoryName,
    after: &str,
    limit: i64,
) -> Result<(Vec<(Tag, TagState)>, bool)> {
    let own = store_identity::installation(reader).await?;
    let rows = reader
        .query(concat!(
            "select s.name, s.digest, s.at, s.origin from (",
            states!("t.name > $2", "d.tag > $2"),
            ") s order by s.name limit $3"
        ))
        .bind(repository.as_str())
        .bind(after)
        .bind(limit)
        .all()
        .await?;
    let is_full = rows.len() as i64 >= limit;
    let states = rows.iter().map(|row| read(row, own));
    let mut states: Vec<(Tag, TagState)> = states.collect::<Result<_>>()?;
    // There may be more of the last name.
    if is_full && let Some(last) = states.last().map(|(name, _)| name.clone()) {
        states.retain(|(name, _)| *name != last);
    }
    Ok((newest(states), is_full))
}

fn read(row: &Row, own: Option<InstallationId>) -> Result<(Tag, TagState)> {
    let origin: Option<InstallationId> = row.get("tag", "origin")?;
    let state = TagState {
        digest: row.get::<Option<Digest>>("manifest", "digest")?,
        at: row.get("tag", "at")?,
        origin: origin.or(own).unwrap_or(InstallationId::new([0; 16])),
    };
    Ok((row.get("tag", "name")?, state))
}

/// One state of each name: what is living, or else the latest deletion.
fn newest(mut states: Vec<(Tag, TagState)>) -> Vec<(Tag, TagState)> {
    let rank = |state: &TagState| (state.digest.is_some(), state.at, state.origin);
    states.sort_by(|one, other| {
        let by_name = one.0.cmp(&other.0);
        by_name.then_with(|| rank(&other.1).cmp(&rank(&one.1)))
    });
    states.dedup_by(|later, first| later.0 == first.0);
    states
}

/// Notes that a tag was deleted, which had a version.
///
/// # Errors
/// When the statement fails.
pub async fn note_deletion(
    tx: &mut Tx,
    repository: &RepositoryName,
    tag: &Tag,
    (before, deletion): (Option<Timestamp>, Deletion),
) -> Result<()> {
    let (at, origin) = match deletion {
        Deletion::Here(now) => (before.map_or(now, |before| later(before, now)), None),
        Deletion::Elsewhere(at, origin) => (at, Some(origin.to_string())),
    };
    tx.query(
        "insert into tag_deletion (repository, tag, at, origin) values ($1, $2, $3, $4)
         on conflict (repository, tag) do update set at = excluded.at, origin = excluded.origin
         where tag_deletion.at <= excluded.at",
    )
    .bind(repository.as_str())
    .bind(tag.as_str())
    .bind(at)
    .bind(origin)
    .execute()
    .await?;
    Ok(())
}

/// The time of a change after another one.
fn later(before: Timestamp, now: Timestamp) -> Timestamp {
    now.max(Timestamp(before.0.saturating_add(1)))
}

/// Notes that tags were deleted here, by rows that have their `name`, their `version` and when it was, `deleted_at`.
///
/// # Errors
/// When the statement fails.
pub(crate) async fn note_deletions(
    tx: &mut Tx,
    repository: &RepositoryName,
    gone: &[Row],
) -> Result<()> {
    let mut noted: Vec<(String, i64)> = Vec::with_capacity(gone.len());
    for row in gone {
        let (version, at) = (row.get("tag", "version")?, row.get("tag", "deleted_at")?);
        noted.push((row.get("tag", "name")?, later(version, at).0));
    }
    if noted.is_empty() {
        return Ok(());
    }
    noted.sort();
    tx.query_either(
        "insert into tag_deletion (repository, tag, at) select $1, j.value ->> 0, j.value ->> 1 from json_each($2) j where true
         on conflict (repository, tag) do update set at = excluded.at, origin = null where tag_deletion.at <= excluded.at",
        "insert into tag_deletion (repository, tag, at)
         select $1, j.value ->> 0, cast(j.value ->> 1 as bigint) from json_array_elements(cast($2 as json)) as j (value)
         on conflict (repository, tag) do update set at = excluded.at, origin = null where tag_deletion.at <= excluded.at",
    )
    .bind(repository.as_str())
    .bind(serde_json::to_string(&noted).unwrap_or_default())
    .execute()
    .await?;
    Ok(())
}

/// Forgets at most `limit` deletions before a time; returns how many.
///
/// # Errors
/// When the statement fails.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.query(
        "delete from tag_deletion where (repository, tag) in
             (select repository, tag from tag_deletion where at < $1 order by at limit $2)",
    )
    .bind(before)
    .bind(limit)
    .execute()
    .await
}
