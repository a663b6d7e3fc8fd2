//! Compares rows with objects: every blob that the database names must be there, whole. One that is not is marked as
//! lost, so that clients are told that it is missing and push it again; one that is whole after all loses its mark.

use std::sync::Arc;
use std::time::{Duration, Instant};

use db::blob::StoredBlob;
use db::{Db, blob};
use model::{BlobId, Timestamp};
use storage::BlobStore;
use storage::content::{self, Foreign};

use crate::Result;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Blobs that were looked at.
    pub blobs: u64,
    /// Bytes that they have.
    pub bytes: u64,
    /// Blobs that were marked as lost and are whole.
    pub found: u64,
    /// What is wrong; empty where all is well.
    pub findings: Vec<String>,
    /// What lies in the store and is not Gantry's own. It is left alone.
    pub foreign: Foreign,
}

/// How closely a check looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// That the objects are there and as long as their rows say.
    Sizes,
    /// Also that their bytes have their digests.
    Bytes,
}

/// How fast a check goes at most, in a second; 0 for no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Blobs that are looked at.
    pub blobs: u64,
    /// Bytes that are read.
    pub bytes: u64,
}

impl Pace {
    /// How long it should have taken to get so far.
    fn due(self, blobs: u64, bytes: u64) -> Duration {
        let secs = |done: u64, rate: u64| match rate {
            0 => 0.0,
            rate => done as f64 / rate as f64,
        };
        Duration::from_secs_f64(secs(blobs, self.blobs).max(secs(bytes, self.bytes)))
    }
}

/// Rows that are read at once.
const BATCH: i64 = 500;
/// Names of foreign objects that are reported.
const FOREIGN_NAMES: usize = 5;

/// What a look at an object showed.
enum Seen {
    Whole,
    /// Missing, cut short, or of another digest; how.
    Lost(String),
    /// It cannot be read now, so that nothing is known.
    Unreadable(String),
}

/// Checks every blob, and counts what is not Gantry's own. Runs beside a serving process.
///
/// # Errors
/// When the database or the store cannot be used at all.
pub async fn check(
    db: &Db,
    store: &Arc<dyn BlobStore>,
    depth: Depth,
    pace: Pace,
    now: Timestamp,
) -> Result<Report> {
    let (mut report, begun) = (Report::default(), Instant::now());
    let mut after = BlobId(0);
    loop {
        let mut tx = db.reader().await?;
        let blobs = blob::walk(&mut tx, after, BATCH).await?;
        let Some(last) = blobs.last() else {
            report.foreign = content::foreign(&**store, FOREIGN_NAMES).await?;
            return Ok(report);
        };
        let lost = blob::lost_among(&mut tx, after, last.id).await?;
        drop(tx);
        after = last.id;
        for blob in &blobs {
            let (was_lost, mut read) = (lost.contains(&blob.id), depth);
            if was_lost {
                // What is missing comes back whole or not; its size alone does not tell.
                read = Depth::Bytes;
            }
            report.blobs += 1;
            report.bytes += blob.size;
            match see(store, blob, read).await? {
                Seen::Whole if was_lost => {
                    mark_found(db, blob).await?;
                    report.found += 1;
                }
                Seen::Whole => {}
                // Unless it was deleted or pushed again while this ran.
                Seen::Lost(finding) if mark_lost(db, blob, now).await? => {
                    report.findings.push(finding);
                }
                Seen::Lost(_) => {}
                Seen::Unreadable(finding) => report.findings.push(finding),
            }
            let read = if depth == Depth::Bytes {
                report.bytes
            } else {
                0
            };
            let early = pace.due(report.blobs, read).saturating_sub(begun.elapsed());
            tokio::time::sleep(early).await;
        }
    }
}

async fn mark_lost(db: &Db, blob: &StoredBlob, now: Timestamp) -> Result<bool> {
    let blob = blob.clone();
    let marked = db.write(move |tx| Box::pin(async move { blob::mark_lost(tx, &blob, now).await }));
    Ok(marked.await?)
}

async fn mark_found(db: &Db, blob: &StoredBlob) -> Result<()> {
    let blob = blob.clone();
    let marked = db.write(move |tx| Box::pin(async move { blob::mark_found(tx, &blob).await }));
    Ok(marked.await?)
}

/// What is wrong with a blob's object, if anything is.
pub(crate) async fn look_at(
    store: &Arc<dyn BlobStore>,
    blob: &StoredBlob,
    depth: Depth,
) -> Result<Option<String>> {
    match see(store, blob, depth).await? {
        Seen::Whole => Ok(None),
        Seen::Lost(finding) | Seen::Unreadable(finding) => Ok(Some(finding)),
    }
}

/// Looks at one object. Fails where no other one could be looked at either.
async fn see(store: &Arc<dyn BlobStore>, blob: &StoredBlob, depth: Depth) -> Result<Seen> {
    let name = format!("blob {} ({})", blob.digest, blob.key);
    match compare(store, blob, depth).await {
        Ok(None) => Ok(Seen::Whole),
        Ok(Some(reason)) => Ok(Seen::Lost(format!("{name}: {reason}"))),
        Err(storage::Error::Missing(_)) => Ok(Seen::Lost(format!("{name}: the object is missing"))),
        Err(storage::Error::Truncated(_)) => {
            Ok(Seen::Lost(format!("{name}: the object is cut short")))
        }
        Err(storage::Error::Failed { source, .. }) => Ok(Seen::Unreadable(format!(
            "{name}: the object cannot be read: {source}"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// What is wrong with an object, if anything is.
async fn compare(
    store: &Arc<dyn BlobStore>,
    blob: &StoredBlob,
    depth: Depth,
) -> storage::Result<Option<String>> {
    match store.size(&blob.key).await? {
        None => return Ok(Some("the object is missing".to_owned())),
        Some(size) if size < blob.size => {
            let reason = format!("{size} of {} bytes are there", blob.size);
            return Ok(Some(reason));
        }
        Some(_) => {}
    }
    if depth == Depth::Sizes {
        return Ok(None);
    }
    let algorithm = blob.digest.algorithm();
    let actual = content::digest(&**store, &blob.key, blob.size, algorithm).await?;
    Ok((actual != blob.digest).then(|| format!("the bytes have digest {actual}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_bounds_blobs_and_bytes() {
        let pace = Pace {
            blobs: 10,
            bytes: 1_000,
        };
        assert_eq!(pace.due(20, 0), Duration::from_secs(2));
        assert_eq!(pace.due(20, 5_000), Duration::from_secs(5));
        assert_eq!(Pace::default().due(20, 5_000), Duration::ZERO);
    }
}
