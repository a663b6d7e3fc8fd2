//! Compares rows with objects: every blob that the database names must exist and be intact. Otherwise it is marked as
//! lost, so that clients see it as missing and push it again; a lost blob that is intact again is unmarked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use db::blob::StoredBlob;
use db::{Db, blob, usage};
use model::{BlobId, Digest, Timestamp};
use storage::BlobStore;
use storage::content::{self, Foreign};

use crate::Result;
use crate::maintenance::progress::{LISTED, Progress};
use crate::stores::{self, Stores};

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Number of blobs checked.
    pub blobs: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Blobs marked as lost that are intact.
    pub found: u64,
    /// Problems found; empty if there are none.
    pub findings: Vec<String>,
    /// The first blob that was marked as lost.
    pub lost: Option<Digest>,
    /// Foreign objects in the store, which are left alone.
    pub foreign: Foreign,
}

/// How thoroughly to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// That the objects exist and have the sizes in their rows.
    Sizes,
    /// Also that their bytes match their digests.
    Bytes,
}

/// Maximum speed of a check, per second; 0 for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Blobs checked.
    pub blobs: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl Pace {
    /// How long it should have taken so far.
    fn due(self, blobs: u64, bytes: u64) -> Duration {
        let secs = |done: u64, rate: u64| match rate {
            0 => 0.0,
            rate => done as f64 / rate as f64,
        };
        Duration::from_secs_f64(secs(blobs, self.blobs).max(secs(bytes, self.bytes)))
    }
}

/// Rows to read at a time.
const BATCH: i64 = 500;
/// Maximum number of foreign names to report.
const FOREIGN_NAMES: usize = 5;

/// The result of checking an object.
enum Seen {
    Whole,
    /// Missing, too short, or with another digest, and the description.
    Lost(String),
    /// It cannot be read now, so its state is unknown.
    Unreadable(String),
}

/// Checks every blob, and counts foreign objects. Runs beside a serving process. Before it marks a blob as lost, it
/// checks the blob again and compares the stores with the database: a store that went away meanwhile has lost nothing.
/// Counts blobs, and then all objects that it lists, in `progress`.
///
/// # Errors
/// [`crate::Error::Mismatch`] if a store no longer belongs to the database; when the database or a store cannot be used
/// at all.
pub async fn check(
    db: &Db,
    stores: &Stores,
    depth: Depth,
    pace: Pace,
    now: Timestamp,
    progress: &Progress,
) -> Result<Report> {
    begin(db, depth, progress).await?;
    let mut check = Check {
        db,
        stores,
        store: stores.joined(),
        depth,
        now,
        progress,
        report: Report::default(),
    };
    let (begun, mut after) = (Instant::now(), BlobId(0));
    loop {
        let mut tx = db.reader().await?;
        let walked = blob::walk(&mut tx, after, BATCH).await?;
        let Some(last) = walked.last else {
            break;
        };
        let marked = blob::lost_among(&mut tx, after, last).await?;
        drop(tx);
        after = last;
        let broken = walked.broken.iter().map(ToString::to_string);
        check.report.findings.extend(broken);
        let mut lost = Vec::new();
        for blob in walked.found {
            let was_lost = marked.contains(&blob.id);
            // A recovered object may be damaged; its size alone does not show that.
            let depth = if was_lost { Depth::Bytes } else { depth };
            if check.look(&blob, depth, was_lost).await? {
                lost.push((blob, depth));
            }
            tokio::time::sleep(check.ahead(pace, begun)).await;
        }
        check.mark(&lost).await?;
    }
    progress.begin(LISTED, None, None);
    let seen = || progress.count();
    check.report.foreign = content::foreign(&*check.store, FOREIGN_NAMES, &seen).await?;
    Ok(check.report)
}

/// Begins to count blobs, and their bytes if these are read.
async fn begin(db: &Db, depth: Depth, progress: &Progress) -> Result<()> {
    let all = usage::totals(&mut db.reader().await?).await?;
    let bytes = (depth == Depth::Bytes).then_some(all.blob_bytes.max(0) as u64);
    progress.begin("blobs", Some(all.blobs.max(0) as u64), bytes);
    Ok(())
}

struct Check<'a> {
    db: &'a Db,
    stores: &'a Stores,
    store: Arc<dyn BlobStore>,
    depth: Depth,
    now: Timestamp,
    progress: &'a Progress,
    report: Report,
}

impl Check<'_> {
    /// Checks a blob; returns true if it seems lost.
    async fn look(&mut self, blob: &StoredBlob, depth: Depth, was_lost: bool) -> Result<bool> {
        self.report.blobs += 1;
        self.report.bytes += blob.size;
        let seen = see(&self.store, blob, depth, self.progress).await?;
        self.progress.count();
        match seen {
            Seen::Whole if was_lost => {
                mark_found(self.db, blob).await?;
                self.report.found += 1;
            }
            Seen::Whole => {}
            Seen::Lost(_) => return Ok(true),
            Seen::Unreadable(finding) => self.report.findings.push(finding),
        }
        Ok(false)
    }

    /// Marks blobs that are still lost, if the stores still belong to the database.
    async fn mark(&mut self, seen: &[(StoredBlob, Depth)]) -> Result<()> {
        // What is read a second time is not counted again.
        let (mut lost, again) = (Vec::new(), Progress::default());
        for (blob, depth) in seen {
            match see(&self.store, blob, *depth, &again).await? {
                Seen::Whole => {}
                Seen::Lost(finding) => lost.push((blob, finding)),
                Seen::Unreadable(finding) => self.report.findings.push(finding),
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        stores::verify(self.db, self.stores).await?;
        for (blob, finding) in lost {
            // Unless it was deleted or pushed again while this ran.
            if mark_lost(self.db, blob, self.now).await? {
                self.report.lost.get_or_insert(blob.digest);
                self.report.findings.push(finding);
            }
        }
        Ok(())
    }

    /// How long to wait to stay within the speed limit.
    fn ahead(&self, pace: Pace, begun: Instant) -> Duration {
        let read = match self.depth {
            Depth::Bytes => self.report.bytes,
            Depth::Sizes => 0,
        };
        pace.due(self.report.blobs, read)
            .saturating_sub(begun.elapsed())
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

/// What is wrong with a blob's object, if anything is. Counts the bytes that it reads.
pub(crate) async fn look_at(
    store: &Arc<dyn BlobStore>,
    blob: &StoredBlob,
    depth: Depth,
    progress: &Progress,
) -> Result<Option<String>> {
    match see(store, blob, depth, progress).await? {
        Seen::Whole => Ok(None),
        Seen::Lost(finding) | Seen::Unreadable(finding) => Ok(Some(finding)),
    }
}

/// Checks one object. Fails if no other one could be checked either.
async fn see(
    store: &Arc<dyn BlobStore>,
    blob: &StoredBlob,
    depth: Depth,
    progress: &Progress,
) -> Result<Seen> {
    let name = format!("blob {} ({})", blob.digest, blob.key);
    match compare(store, blob, depth, progress).await {
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
    progress: &Progress,
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
    let seen = |bytes| progress.count_bytes(bytes);
    let (key, size) = (&blob.key, blob.size);
    let actual = content::digest_watched(&**store, key, size, algorithm, &seen).await?;
    Ok((actual != blob.digest).then(|| format!("the bytes have digest {actual}")))
}

#[cfg(test)]
mod tests {
    use db::Location;
    use model::{Algorithm, Digest, ManualClock};
    use storage::Memory;

    use super::*;
    use crate::Error;
    use crate::stores::Place;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn only(store: Memory) -> Stores {
        Stores {
            current: Place {
                store: Arc::new(store),
                name: "a store".to_owned(),
            },
            leaving: None,
        }
    }

    #[tokio::test]
    async fn a_store_that_went_away_has_lost_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&Location::Sqlite(folder.path().join("t.db"))).await;
        let db = db.unwrap();
        let stores = only(Memory::default());
        let attached = stores::attach(&db, &stores, &ManualClock::at(NOW)).await;
        attached.unwrap();
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let commit = db.write(move |tx| {
            Box::pin(async move {
                let object = blob::Object {
                    key: "472222/09090909abababababababababababababababab",
                    size: 1,
                };
                blob::commit(tx, &digest, object, NOW, NOW).await
            })
        });
        commit.await.unwrap();
        let lost = async || {
            let mut tx = db.reader().await.unwrap();
            let lost = blob::lost_among(&mut tx, BlobId(0), BlobId(9)).await;
            lost.unwrap().len()
        };
        let progress = Progress::default();
        let run = async |stores: &Stores| {
            check(&db, stores, Depth::Sizes, Pace::default(), NOW, &progress).await
        };
        // The store's folder was replaced.
        let ended = run(&only(Memory::default())).await;
        assert!(matches!(ended, Err(Error::Mismatch(_))), "{ended:?}");
        assert_eq!(lost().await, 0);
        let report = run(&stores).await.unwrap();
        assert_eq!(report.findings.len(), 1, "{report:?}");
        assert_eq!(lost().await, 1);
    }

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
