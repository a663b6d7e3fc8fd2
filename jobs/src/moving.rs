//! Copies every object from one store to another while the server runs, which reads from both meanwhile
//! (`storage::Moving`). It may be stopped and run again: what is there already is not copied twice.

use std::sync::Arc;

use bytes::Bytes;
use db::blob::StoredBlob;
use db::{Db, blob, upload};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::{BlobId, Hasher};
use storage::{BlobStore, key};

use crate::Result;

/// Whether the old store keeps what was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// It does.
    Kept,
    /// Objects of Gantry's own are deleted there once their copy is whole and durable.
    Removed,
}

/// What a move has done.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    /// Objects that were copied.
    pub copied: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Objects that were in the new store already.
    pub there: u64,
    /// What could not be copied, and why.
    pub failed: Vec<String>,
    /// Uploads that were writing into the old store when it began.
    pub uploads: u64,
}

impl Moved {
    /// Whether nothing is left that only the old store has.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.uploads == 0
    }

    fn count(&mut self, blob: &StoredBlob, copied: Result<Copied>) {
        match copied {
            Ok(Copied::Now) => {
                self.copied += 1;
                self.bytes += blob.size;
            }
            Ok(Copied::Before) => self.there += 1,
            Ok(Copied::Not(why)) => self.failed.push(format!("blob {}: {why}", blob.digest)),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                let cause = cause.unwrap_or_default();
                self.failed
                    .push(format!("blob {}: {error}{cause}", blob.digest));
            }
        }
    }
}

enum Copied {
    Now,
    Before,
    Not(String),
}

/// Rows that are read at once.
const BATCH: i64 = 500;
/// Objects on their way at a time.
const ABREAST: usize = 4;
/// Bytes that are handed to the new store at once.
const PIECE: usize = 1 << 20;

/// Copies all blobs from `from` to `to`; `told` hears of the progress after each batch.
///
/// # Errors
/// When the database cannot be read; what happens to a single object is in the answer.
pub async fn move_all(
    db: &Db,
    (from, to): (&Arc<dyn BlobStore>, &Arc<dyn BlobStore>),
    old: Old,
    told: impl Fn(&Moved),
) -> Result<Moved> {
    let mut tx = db.reader().await?;
    // New ones go to the new store: whoever is not there now adds no blob to the old one.
    let uploads = upload::open_keys(&mut tx).await?;
    drop(tx);
    let mut moved = Moved {
        uploads: writing_to(from, &uploads).await?,
        ..Moved::default()
    };
    let mut after = BlobId(0);
    loop {
        let mut tx = db.reader().await?;
        let blobs = blob::walk(&mut tx, after, BATCH).await?;
        drop(tx);
        let Some(last) = blobs.last() else {
            return Ok(moved);
        };
        after = last.id;
        let mut copies = stream::iter(&blobs)
            .map(async |blob| (blob, move_one(db, (from, to), old, blob).await))
            .buffer_unordered(ABREAST);
        while let Some((blob, copied)) = copies.next().await {
            moved.count(blob, copied);
        }
        drop(copies);
        told(&moved);
    }
}

async fn move_one(
    db: &Db,
    (from, to): (&Arc<dyn BlobStore>, &Arc<dyn BlobStore>),
    old: Old,
    blob: &StoredBlob,
) -> Result<Copied> {
    let copied = if to.size(&blob.key).await? == Some(blob.size) {
        Copied::Before
    } else {
        copy((from, to), blob).await?
    };
    if let Copied::Not(_) = copied {
        return Ok(copied);
    }
    let mut tx = db.reader().await?;
    let live = blob::live(&mut tx, &blob.digest).await?;
    drop(tx);
    if live.is_none_or(|live| live.id != blob.id) {
        // It became garbage meanwhile, and may have been deleted before its copy was there.
        to.discard(&blob.key).await?;
    } else if old == Old::Removed && key::is_own(&blob.key) {
        from.discard(&blob.key).await?;
    }
    Ok(copied)
}

/// Copies an object and compares what was read with its digest.
async fn copy(
    (from, to): (&Arc<dyn BlobStore>, &Arc<dyn BlobStore>),
    blob: &StoredBlob,
) -> Result<Copied> {
    // What an earlier run began.
    to.discard(&blob.key).await?;
    let mut chunks = from.read(&blob.key, 0..blob.size).await?;
    let hasher = Hasher::new(blob.digest.algorithm());
    let mut writer = to.create(&blob.key, hasher).await?;
    let (mut piece, mut held) = (Vec::<Bytes>::new(), 0);
    while let Some(bytes) = chunks.try_next().await? {
        held += bytes.len();
        piece.push(bytes);
        if held >= PIECE {
            writer.write(std::mem::take(&mut piece)).await?;
            held = 0;
        }
    }
    let finished = writer.finish(piece).await?;
    if finished.size == blob.size && finished.digest == blob.digest {
        return Ok(Copied::Now);
    }
    to.discard(&blob.key).await?;
    Ok(Copied::Not(format!(
        "the old object has {} bytes with digest {}",
        finished.size, finished.digest
    )))
}

/// How many of these uploads have bytes in a store.
async fn writing_to(store: &Arc<dyn BlobStore>, uploads: &[String]) -> Result<u64> {
    let mut count = 0;
    let mut hours: Vec<i64> = uploads.iter().filter_map(|key| key::hour(key)).collect();
    hours.sort_unstable();
    hours.dedup();
    for hour in hours {
        let there = store.list(hour).await?;
        count += there.iter().filter(|key| uploads.contains(key)).count() as u64;
    }
    Ok(count)
}
