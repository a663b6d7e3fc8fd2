//! Pull counters: how many pulls there were, and when the last one was. The counters are in narrow tables of their own,
//! which pushes and deletions do not touch. Statements lock rows in the order of their ids, and tables in a fixed
//! order, so that replicas never deadlock.

use model::{Digest, Event, RepositoryName, Tag, Timestamp};
use serde::Serialize;

use crate::batch;
use crate::error::Result;
use crate::sql::{Reader, Tx, hex_of};

/// Pulls of one manifest by one reference.
#[derive(Clone, Debug)]
pub struct Pulls {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// The requested tag, if any.
    pub tag: Option<Tag>,
    /// How many.
    pub times: i64,
}

#[derive(Serialize)]
struct PullsRow<'a> {
    repository: &'a str,
    digest: String,
    tag: Option<&'a str>,
    times: i64,
}

/// Writes a batch of pulls with their events, unless one with this id was written before.
///
/// # Errors
/// When a statement fails.
pub async fn write(
    tx: &mut Tx,
    id: &str,
    (pulls, events): (&[Pulls], &[Event]),
    now: Timestamp,
) -> Result<()> {
    if !batch::is_new(tx, id, now).await? {
        return Ok(());
    }
    add(tx, pulls, now).await?;
    tx.record_all(events).await
}

/// Counts pulls.
///
/// # Errors
/// When a statement fails.
pub async fn add(tx: &mut Tx, pulls: &[Pulls], now: Timestamp) -> Result<()> {
    if pulls.is_empty() {
        return Ok(());
    }
    let rows: Vec<PullsRow<'_>> = pulls
        .iter()
        .map(|pulls| PullsRow {
            repository: pulls.repository.as_str(),
            digest: hex_of(&pulls.digest),
            tag: pulls.tag.as_ref().map(Tag::as_str),
            times: pulls.times,
        })
        .collect();
    let rows = serde_json::to_string(&rows).unwrap_or_default();
    for (sqlite, postgres) in [TAGS, MANIFESTS, REPOSITORIES] {
        tx.query_either(sqlite, postgres)
            .bind(rows.as_str())
            .bind(now)
            .execute()
            .await?;
    }
    Ok(())
}

const TAGS: (&str, &str) = (
    "insert into tag_stat (tag_id, pulls, pulled_at)
     select t.id, sum(j.value ->> 'times'), $2 from json_each($1) j
     cross join repository r on r.name = j.value ->> 'repository' and r.deleted_at is null
     cross join tag t on t.repository_id = r.id and t.name = j.value ->> 'tag'
     cross join manifest m on m.id = t.manifest_id and m.deleted_at is null group by t.id order by t.id
     on conflict (tag_id) do update set pulls = pulls + excluded.pulls, pulled_at = max(pulled_at, excluded.pulled_at)",
    "insert into tag_stat (tag_id, pulls, pulled_at)
     select t.id, sum(j.times), $2 from json_to_recordset(cast($1 as json)) as j (repository text, tag text, times bigint)
     join repository r on r.name = j.repository collate \"C\" and r.deleted_at is null
     join tag t on t.repository_id = r.id and t.name = j.tag collate \"C\"
     join manifest m on m.id = t.manifest_id and m.deleted_at is null group by t.id order by t.id
     on conflict (tag_id) do update set pulls = tag_stat.pulls + excluded.pulls,
         pulled_at = greatest(tag_stat.pulled_at, excluded.pulled_at)",
);

const MANIFESTS: (&str, &str) = (
    "insert into manifest_stat (manifest_id, pulls, pulled_at)
     select m.id, sum(j.value ->> 'times'), $2 from json_each($1) j
     cross join repository r on r.name = j.value ->> 'repository' and r.deleted_at is null
     cross join manifest m on m.repository_id = r.id and m.digest = unhex(j.value ->> 'digest')
         and m.deleted_at is null group by m.id order by m.id
     on conflict (manifest_id) do update set pulls = pulls + excluded.pulls, pulled_at = max(pulled_at, excluded.pulled_at)",
    "insert into manifest_stat (manifest_id, pulls, pulled_at)
     select m.id, sum(j.times), $2 from json_to_recordset(cast($1 as json)) as j (repository text, digest text, times bigint)
     join repository r on r.name = j.repository collate \"C\" and r.deleted_at is null
     join manifest m on m.repository_id = r.id and m.digest = decode(j.digest, 'hex')
         and m.deleted_at is null group by m.id order by m.id
     on conflict (manifest_id) do update set pulls = manifest_stat.pulls + excluded.pulls,
         pulled_at = greatest(manifest_stat.pulled_at, excluded.pulled_at)",
);

const REPOSITORIES: (&str, &str) = (
    "insert into repository_stat (repository_id, pulls, pulled_at)
     select r.id, sum(j.value ->> 'times'), $2 from json_each($1) j
     cross join repository r on r.name = j.value ->> 'repository' and r.deleted_at is null group by r.id order by r.id
     on conflict (repository_id) do update set pulls = pulls + excluded.pulls, pulled_at = max(pulled_at, excluded.pulled_at)",
    "insert into repository_stat (repository_id, pulls, pulled_at)
     select r.id, sum(j.times), $2 from json_to_recordset(cast($1 as json)) as j (repository text, times bigint)
     join repository r on r.name = j.repository collate \"C\" and r.deleted_at is null group by r.id order by r.id
     on conflict (repository_id) do update set pulls = repository_stat.pulls + excluded.pulls,
         pulled_at = greatest(repository_stat.pulled_at, excluded.pulled_at)",
);

/// How often a manifest was pulled, and when the last time was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// How often.
    pub pulls: i64,
    /// The last time; `None` for never.
    pub pulled_at: Option<Timestamp>,
}

/// The pulls of a manifest.
///
/// # Errors
/// When the statement fails.
pub async fn of_manifest(
    reader: &mut Reader,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Pulled> {
    let row = reader
        .query(
            "select s.pulls, s.pulled_at from repository r join manifest m on m.repository_id = r.id
             join manifest_stat s on s.manifest_id = m.id
             where r.name = $1 and r.deleted_at is null and m.digest = $2 and m.deleted_at is null",
        )
        .bind(repository.as_str())
        .bind(digest)
        .optional()
        .await?;
    row.map_or(Ok(Pulled::default()), |row| {
        Ok(Pulled {
            pulls: row.get("manifest_stat", "pulls")?,
            pulled_at: Some(row.get("manifest_stat", "pulled_at")?),
        })
    })
}
