//! Compares rows with objects: every blob that the database names must be there, whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use db::{Db, blob};
use futures_util::TryStreamExt as _;
use model::{BlobId, Hasher};
use storage::BlobStore;

use crate::Result;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Blobs that were looked at.
    pub blobs: u64,
    /// Bytes that they have.
    pub bytes: u64,
    /// What is wrong; empty where all is well.
    pub findings: Vec<String>,
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

/// Checks every blob. Runs beside a serving process.
///
/// # Errors
/// When the database or the store cannot be read at all.
pub async fn check(
    db: &Db,
    store: &Arc<dyn BlobStore>,
    depth: Depth,
    pace: Pace,
) -> Result<Report> {
    let (mut report, begun) = (Report::default(), Instant::now());
    let mut after = BlobId(0);
    loop {
        let mut tx = db.reader().await?;
        let blobs = blob::walk(&mut tx, after, BATCH).await?;
        drop(tx);
        let Some(last) = blobs.last() else {
            return Ok(report);
        };
        after = last.id;
        for blob in &blobs {
            report.blobs += 1;
            report.bytes += blob.size;
            if let Some(finding) = look_at(store, blob, depth).await? {
                // It may have been deleted while this ran.
                let mut tx = db.reader().await?;
                if blob::live(&mut tx, &blob.digest)
                    .await?
                    .is_some_and(|live| live.id == blob.id)
                {
                    report.findings.push(finding);
                }
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

/// What is wrong with a blob's object, if anything is.
pub(crate) async fn look_at(
    store: &Arc<dyn BlobStore>,
    blob: &blob::StoredBlob,
    depth: Depth,
) -> Result<Option<String>> {
    let name = format!("blob {} ({})", blob.digest, blob.key);
    match store.size(&blob.key).await? {
        None => return Ok(Some(format!("{name}: the object is missing"))),
        Some(size) if size < blob.size => {
            return Ok(Some(format!(
                "{name}: {size} of {} bytes are there",
                blob.size
            )));
        }
        Some(_) => {}
    }
    if depth == Depth::Sizes {
        return Ok(None);
    }
    let mut hasher = Hasher::new(blob.digest.algorithm());
    let mut chunks = store.read(&blob.key, 0..blob.size).await?;
    while let Some(bytes) = chunks.try_next().await? {
        hasher.update(&bytes);
    }
    let actual = hasher.finish();
    Ok((actual != blob.digest).then(|| format!("{name}: the bytes have digest {actual}")))
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
