//! Compares rows with objects: every blob that the database names must be there, whole.

use std::sync::Arc;

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

/// Rows that are read at once.
const BATCH: i64 = 500;

/// Checks that every blob is there and as long as its row says; with `rehash`, also that its bytes
/// have its digest. Runs beside a serving process.
///
/// # Errors
/// When the database or the store cannot be read at all.
pub async fn check(db: &Db, store: &Arc<dyn BlobStore>, rehash: bool) -> Result<Report> {
    let mut report = Report::default();
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
            if let Some(finding) = look_at(store, blob, rehash).await? {
                // It may have been deleted while this ran.
                let mut tx = db.reader().await?;
                if blob::live(&mut tx, &blob.digest)
                    .await?
                    .is_some_and(|live| live.id == blob.id)
                {
                    report.findings.push(finding);
                }
            }
        }
    }
}

async fn look_at(
    store: &Arc<dyn BlobStore>,
    blob: &blob::StoredBlob,
    rehash: bool,
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
    if !rehash {
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
