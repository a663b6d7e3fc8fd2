//! Copies every object from one store to another while the server runs and reads from both (`storage::Moving`). It can
//! be stopped and run again: existing copies are not made twice.
//!
//! An object is removed from the old store only after its copy was verified: its size compared, made durable, and then
//! every byte read back and hashed, whoever wrote it. So whatever crashes in between, an object is intact in at least
//! one store, and `storage::Moving` reads the old one first. An unfinished copy has the wrong size or digest and is
//! started again. A lease keeps a second move, and a sweep, from discarding what this one is writing.
//!
//! With removal, objects waiting to be deleted are moved too: until they are due, a backup may need them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use db::blob::StoredBlob;
use db::garbage::{self, Garbage};
use db::{Db, blob, upload, usage};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::{Algorithm, BlobId, Clock, Hasher};
use storage::{BlobStore, content, key};

use crate::engine::{Held, Job as _, Manner, Queue};
use crate::maintenance::progress::Progress;
use crate::stores::{self, Stores};
use crate::sweep::Sweep;
use crate::{Error, Result};

/// Whether copied objects stay in the old store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// They stay.
    Kept,
    /// Gantry's own objects are deleted there once their copy is verified and durable.
    Removed,
}

/// The result of a move.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    /// Objects copied.
    pub copied: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Objects already in the new store.
    pub there: u64,
    /// Objects that could not be copied, and why.
    pub failed: Vec<String>,
    /// Uploads that were writing to the old store when the move began.
    pub uploads: u64,
}

impl Moved {
    /// True if no object is only in the old store.
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

/// Rows to read at a time.
const BATCH: i64 = 500;
/// Objects to copy concurrently.
const ABREAST: usize = 4;
/// Bytes to hand to the new store at a time.
const PIECE: usize = 1 << 20;
/// How long a move waits for a sweep, or for the lease of a crashed move.
const PATIENCE: Duration = Duration::from_secs(30);

/// Copies all blobs from the old store to the current one; calls `after_batch` after each batch, and counts blobs and
/// their bytes in `progress`.
///
/// # Errors
/// [`Error::Mismatch`] if the stores do not belong to the database, [`Error::StoreHeld`] while another move runs, and
/// when the database fails; failures of single objects are in the result.
pub async fn move_all(
    db: &Db,
    stores: &Stores,
    old: Old,
    clock: &Arc<dyn Clock>,
    after_batch: impl Fn(&Moved),
    progress: &Progress,
) -> Result<Moved> {
    let held = hold(&Queue::of_command(db.clone(), clock.clone()), PATIENCE).await?;
    let held = held.ok_or(Error::StoreHeld)?;
    let work = async {
        let attached = stores::verify(db, stores).await?;
        let Some(from) = &stores.leaving else {
            return Ok(Moved::default());
        };
        let mover = Mover {
            db,
            from: &from.store,
            to: &stores.current.store,
            old,
            progress,
        };
        let mut moved = mover.run(after_batch).await?;
        if old == Old::Removed {
            mover.move_garbage(&mut moved).await?;
        }
        if moved.is_complete() {
            stores::finish_move(db, &attached, clock.now()).await?;
        }
        Ok(moved)
    };
    held.run(work).await
}

/// Prevents sweeps and other moves.
async fn hold(queue: &Queue, patience: Duration) -> Result<Option<Held>> {
    Held::take(queue, Sweep::KIND, patience, Manner::Waiting).await
}

struct Mover<'a> {
    db: &'a Db,
    from: &'a Arc<dyn BlobStore>,
    to: &'a Arc<dyn BlobStore>,
    old: Old,
    progress: &'a Progress,
}

impl Mover<'_> {
    async fn run(&self, after_batch: impl Fn(&Moved)) -> Result<Moved> {
        let mut tx = self.db.reader().await?;
        let all = usage::totals(&mut tx).await?;
        // New uploads go to the new store: only those present now can add a blob to the old one.
        let uploads = upload::open_keys(&mut tx).await?;
        drop(tx);
        let (blobs, bytes) = (all.blobs.max(0) as u64, all.blob_bytes.max(0) as u64);
        self.progress.begin("blobs", Some(blobs), Some(bytes));
        let mut moved = Moved {
            uploads: writing_to(self.from, &uploads).await?,
            ..Moved::default()
        };
        let mut after = BlobId(0);
        loop {
            let mut tx = self.db.reader().await?;
            let walked = blob::walk(&mut tx, after, BATCH).await?;
            let Some(last) = walked.last else {
                return Ok(moved);
            };
            let broken = walked.broken.iter().map(ToString::to_string);
            moved.failed.extend(broken);
            let mut blobs = walked.found;
            // A lost blob has nothing to move; its next push goes to the new store.
            let lost = blob::lost_among(&mut tx, after, last).await?;
            blobs.retain(|blob| !lost.contains(&blob.id));
            drop(tx);
            after = last;
            let mut copies = stream::iter(&blobs)
                .map(async |blob| (blob, self.move_one(blob).await))
                .buffer_unordered(ABREAST);
            while let Some((blob, copied)) = copies.next().await {
                self.progress.count();
                if let Ok(Copied::Before) = copied {
                    self.progress.count_bytes(blob.size);
                }
                moved.count(blob, copied);
            }
            drop(copies);
            after_batch(&moved);
        }
    }

    /// Moves Gantry's own objects that wait to be deleted.
    async fn move_garbage(&self, moved: &mut Moved) -> Result<()> {
        let mut after = String::new();
        self.progress.begin("objects to be deleted", None, None);
        loop {
            let mut tx = self.db.reader().await?;
            let objects = garbage::walk(&mut tx, &after, BATCH).await?;
            drop(tx);
            let Some(last) = objects.last() else {
                return Ok(());
            };
            after.clone_from(&last.key);
            for object in objects.iter().filter(|object| key::is_own(&object.key)) {
                match self.move_dead(object).await {
                    Ok(Copied::Not(why)) => moved.failed.push(format!("{}: {why}", object.key)),
                    Ok(Copied::Now | Copied::Before) => {}
                    Err(error) => moved.failed.push(format!("{}: {error}", object.key)),
                }
                self.progress.count();
            }
        }
    }

    async fn move_dead(&self, object: &Garbage) -> Result<Copied> {
        let key = &object.key;
        if object.unfinished {
            self.from.discard(key).await?;
            return Ok(Copied::Before);
        }
        let Some(size) = self.from.size(key).await? else {
            return Ok(Copied::Before);
        };
        // Its digest is no longer known: the copy is compared with the object itself.
        let digest = content::digest(&**self.from, key, size, Algorithm::Sha256).await?;
        let as_blob = StoredBlob {
            id: BlobId(0),
            digest,
            key: key.clone(),
            size,
        };
        let copied = self.ensure(&as_blob).await?;
        if let Copied::Not(_) = copied {
            return Ok(copied);
        }
        let mut tx = self.db.reader().await?;
        if !garbage::waits(&mut tx, key).await? {
            // It was deleted meanwhile, maybe before its copy existed.
            self.to.discard(key).await?;
        }
        self.from.discard(key).await?;
        Ok(copied)
    }

    /// Copies an object unless the new store has it intact.
    async fn ensure(&self, blob: &StoredBlob) -> Result<Copied> {
        if self.holds(blob).await? {
            return Ok(Copied::Before);
        }
        match self.copy(blob).await? {
            // The copy is read back before the only other one is deleted.
            Copied::Now if self.old == Old::Removed && !self.holds(blob).await? => {
                Ok(Copied::Not("its copy does not have its digest".to_owned()))
            }
            copied => Ok(copied),
        }
    }

    async fn move_one(&self, blob: &StoredBlob) -> Result<Copied> {
        if self.from.size(&blob.key).await?.is_none() {
            return self.only_in_new(blob).await;
        }
        let copied = self.ensure(blob).await?;
        if let Copied::Not(_) = copied {
            return Ok(copied);
        }
        if !self.is_live(blob).await? {
            // It became garbage meanwhile, and may have been deleted before its copy existed.
            self.to.discard(&blob.key).await?;
        } else if self.old == Old::Removed && key::is_own(&blob.key) {
            self.from.discard(&blob.key).await?;
        }
        Ok(copied)
    }

    /// An object that is not in the old store was written to the new one, or already removed from the old one.
    async fn only_in_new(&self, blob: &StoredBlob) -> Result<Copied> {
        if self.to.size(&blob.key).await? == Some(blob.size) || !self.is_live(blob).await? {
            return Ok(Copied::Before);
        }
        Ok(Copied::Not("neither store has it whole".to_owned()))
    }

    /// True if the new store has the blob, intact and durable.
    async fn holds(&self, blob: &StoredBlob) -> Result<bool> {
        if self.to.size(&blob.key).await? != Some(blob.size) {
            return Ok(false);
        }
        // In this order, so that the hashed bytes are the durable ones.
        self.to.sync(&blob.key).await?;
        let algorithm = blob.digest.algorithm();
        let digest = content::digest(&**self.to, &blob.key, blob.size, algorithm);
        Ok(digest.await? == blob.digest)
    }

    /// Copies an object and compares the bytes with its digest.
    async fn copy(&self, blob: &StoredBlob) -> Result<Copied> {
        // The leftover of an earlier run.
        self.to.discard(&blob.key).await?;
        let mut chunks = self.from.read(&blob.key, 0..blob.size).await?;
        let hasher = Hasher::new(blob.digest.algorithm());
        let mut writer = self.to.create(&blob.key, hasher).await?;
        let (mut piece, mut held) = (Vec::<Bytes>::new(), 0);
        while let Some(bytes) = chunks.try_next().await? {
            self.progress.count_bytes(bytes.len() as u64);
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
        self.to.discard(&blob.key).await?;
        Ok(Copied::Not(format!(
            "the old object has {} bytes with digest {}",
            finished.size, finished.digest
        )))
    }

    async fn is_live(&self, blob: &StoredBlob) -> Result<bool> {
        let mut tx = self.db.reader().await?;
        let live = blob::live(&mut tx, &blob.digest).await?;
        // A lost blob that was pushed again has another object by now.
        Ok(live.is_some_and(|live| live.id == blob.id && live.key == blob.key))
    }
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

#[cfg(test)]
mod tests;
