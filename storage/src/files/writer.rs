//! Writing a file: a job off the async threads hashes and writes while the next batches are collected, and write-back
//! starts long before the end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use model::Hasher;
use parking_lot::Mutex;
use rustix::fs::FallocateFlags;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::instrument;

use super::place::Place;
use super::{blocking, failed, sync_folder};
use crate::key;
use crate::{AHEAD, BlobWriter, Checkpoint, Error, Finished, Result};

/// Bytes after which write-back is started, so that the final sync has little left to do.
const WRITE_BACK: u64 = 32 << 20;
/// Bytes between checkpoints of an object that is being written.
const CHECKPOINT: u64 = 64 << 20;
/// Bytes of disk space to preallocate: less work in the kernel than block by block.
const RESERVE: u64 = 16 << 20;
/// A single write call of a megabyte costs twice what four of a quarter cost on ext4.
const WRITE_CALL: usize = 256 << 10;

/// A file that is being written.
pub(super) struct Writer {
    key: String,
    line: Arc<Line>,
    /// The last started job.
    job: Option<JoinHandle<()>>,
    file: Arc<OnceLock<File>>,
    /// Bytes handed over so far.
    size: u64,
    /// Bytes handed over since write-back was last started.
    unsynced: u64,
    /// Bytes handed over since the last checkpoint.
    unsaved: u64,
    write_back: Option<JoinHandle<io::Result<()>>>,
    /// Whether the file's name is durable.
    named: bool,
    place: Arc<Place>,
}

/// Batches on their way to the job that hashes and writes them.
struct Line {
    queue: Mutex<Queue>,
    /// Free places for batches; closed after a failure.
    room: Semaphore,
}

struct Queue {
    waiting: VecDeque<Vec<Bytes>>,
    /// `None` while a job has it, and after a failure.
    work: Option<Work>,
    failed: Option<io::Error>,
}

/// The state of a job. The file is created with the first bytes.
struct Work {
    path: PathBuf,
    file: Arc<OnceLock<File>>,
    hasher: Hasher,
    at: u64,
    /// Up to here disk space is preallocated.
    reserved: u64,
}

impl Work {
    /// Writes the waiting batches and then ends, so that a slow client holds no thread.
    fn run(mut self, line: &Line) {
        loop {
            let batch = {
                let mut queue = line.queue.lock();
                match queue.waiting.pop_front() {
                    Some(batch) => batch,
                    None => {
                        queue.work = Some(self);
                        return;
                    }
                }
            };
            if let Err(error) = self.append(&batch) {
                line.queue.lock().failed = Some(error);
                return line.room.close();
            }
            line.room.add_permits(1);
        }
    }

    fn append(&mut self, batch: &[Bytes]) -> io::Result<()> {
        let file = opened(&self.file, &self.path)?;
        let end = self.at + length(batch);
        // A first batch is usually the only one.
        if self.at > 0 && end > self.reserved {
            self.reserved = end + RESERVE;
            let room = self.reserved - self.at;
            // If that fails, writing shows whether the disk is full.
            let _ = rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, self.at, room);
        }
        append(file, self.at, batch, &mut self.hasher)?;
        self.at = end;
        Ok(())
    }

    /// Releases unused preallocated space.
    fn trim(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.reserved) > self.at {
            opened(&self.file, &self.path)?.set_len(self.at)?;
        }
        Ok(())
    }

    /// Makes all bytes durable, and the file's name if it is not yet.
    fn sync(
        &self,
        named: bool,
        place: (usize, Option<i64>),
        durable_hour: &AtomicI64,
    ) -> io::Result<()> {
        opened(&self.file, &self.path)?.sync_data()?;
        if named {
            return Ok(());
        }
        sync_name(&self.path, place, durable_hour)
    }
}

impl Writer {
    pub(super) fn create(key: &str, path: PathBuf, hasher: Hasher, place: Arc<Place>) -> Self {
        Self::new(key, path, OnceLock::new(), (0, hasher), place)
    }

    pub(super) fn resume(
        key: &str,
        path: PathBuf,
        file: File,
        at: u64,
        hasher: Hasher,
        place: Arc<Place>,
    ) -> Self {
        Self::new(key, path, file.into(), (at, hasher), place)
    }

    fn new(
        key: &str,
        path: PathBuf,
        file: OnceLock<File>,
        (at, hasher): (u64, Hasher),
        place: Arc<Place>,
    ) -> Self {
        let named = file.get().is_some();
        let file = Arc::new(file);
        let work = Work {
            path,
            file: file.clone(),
            hasher,
            at,
            reserved: 0,
        };
        let queue = Queue {
            waiting: VecDeque::new(),
            work: Some(work),
            failed: None,
        };
        Self {
            key: key.to_owned(),
            line: Arc::new(Line {
                queue: Mutex::new(queue),
                room: Semaphore::new(AHEAD),
            }),
            job: None,
            file,
            size: at,
            unsynced: 0,
            unsaved: 0,
            write_back: None,
            named,
            place,
        }
    }

    /// Waits until everything handed over is written, and takes the job's state.
    async fn settle(&mut self) -> Result<Work> {
        if let Some(job) = self.job.take() {
            // A job that panicked leaves no work.
            let _ = job.await;
        }
        let mut queue = self.line.queue.lock();
        let lost = || io::Error::other("an earlier write failed");
        match queue.work.take() {
            Some(work) => Ok(work),
            None => Err(failed(
                "write",
                &self.key,
                queue.failed.take().unwrap_or_else(lost),
            )),
        }
    }

    async fn begin_write_back(&mut self) -> Result<()> {
        if let Some(job) = self.write_back.take_if(|job| job.is_finished()) {
            self.synced(job.await)?;
        }
        if self.unsynced >= WRITE_BACK && self.write_back.is_none() {
            self.unsynced = 0;
            let file = self.file.clone();
            self.write_back = Some(tokio::task::spawn_blocking(move || {
                file.get().map_or(Ok(()), File::sync_data)
            }));
        }
        Ok(())
    }

    /// A failed sync is final: the kernel no longer knows which bytes it could not write.
    fn synced(&self, done: Result<io::Result<()>, tokio::task::JoinError>) -> Result<()> {
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| Error::NotDurable(self.key.clone(), error))
    }

    /// Queues a batch for the job, which is started if none runs.
    async fn hand_over(&mut self, batch: Vec<Bytes>) -> Result<()> {
        self.begin_write_back().await?;
        let Ok(room) = self.line.room.acquire().await else {
            return self.settle().await.map(|_| ());
        };
        // Released when the batch is written.
        room.forget();
        let length = length(&batch);
        self.size += length;
        self.unsynced += length;
        self.unsaved += length;
        let mut queue = self.line.queue.lock();
        queue.waiting.push_back(batch);
        if let Some(work) = queue.work.take() {
            drop(queue);
            let line = self.line.clone();
            self.job = Some(tokio::task::spawn_blocking(move || work.run(&line)));
        }
        Ok(())
    }

    /// Writes `last` and makes everything durable, in one job; returns the hash of all bytes.
    #[instrument(name = "storage.object.sync", level = "debug", skip_all, fields(object.key = %self.key))]
    async fn sync(&mut self, last: Vec<Bytes>) -> Result<Hasher> {
        let mut work = self.settle().await?;
        if let Some(job) = self.write_back.take() {
            self.synced(job.await)?;
        }
        self.size += length(&last);
        let named = self.named;
        let hour = key::hour(&self.key);
        let depth = self.key.matches('/').count();
        let place = self.place.clone();
        let job = blocking(move || {
            work.append(&last)?;
            work.trim()?;
            let synced = work.sync(named, (depth, hour), &place.durable_hour);
            // Bytes written to the place of an unmounted volume are not stored.
            let synced = synced.and_then(|()| place.check());
            Ok((work, synced))
        });
        let (work, synced) = job
            .await
            .map_err(|error| failed("write", &self.key, error))?;
        self.synced(Ok(synced))?;
        self.named = true;
        self.unsynced = 0;
        self.unsaved = 0;
        let hasher = work.hasher.clone();
        self.line.queue.lock().work = Some(work);
        Ok(hasher)
    }
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, batch: Vec<Bytes>) -> Result<Option<Checkpoint>> {
        self.hand_over(batch).await?;
        if self.unsaved < CHECKPOINT {
            return Ok(None);
        }
        self.checkpoint().await.map(Some)
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        let hasher = self.sync(Vec::new()).await?;
        Ok(Checkpoint {
            size: self.size,
            hasher,
            state: None,
        })
    }

    async fn abandon(mut self: Box<Self>) {
        // The result no longer matters.
        let _ = self.settle().await;
    }

    async fn finish(mut self: Box<Self>, last: Vec<Bytes>) -> Result<Finished> {
        let hasher = self.sync(last).await?;
        Ok(Finished {
            size: self.size,
            digest: hasher.finish(),
        })
    }
}

fn length(batch: &[Bytes]) -> u64 {
    batch.iter().map(|bytes| bytes.len() as u64).sum()
}

/// Makes a file's name durable: syncs its folder and those above it within the store, unless the newest hour's folder
/// is known to be durable. `depth` is the number of folders in its key.
fn sync_name(
    path: &Path,
    (depth, hour): (usize, Option<i64>),
    durable_hour: &AtomicI64,
) -> io::Result<()> {
    let mut folders = path.ancestors().skip(1);
    folders.next().map_or(Ok(()), sync_folder)?;
    if hour == Some(durable_hour.load(Ordering::Acquire)) {
        return Ok(());
    }
    folders.take(depth).try_for_each(sync_folder)?;
    durable_hour.fetch_max(hour.unwrap_or(i64::MIN), Ordering::AcqRel);
    Ok(())
}

/// The file, created if missing.
fn opened<'a>(file: &'a OnceLock<File>, path: &Path) -> io::Result<&'a File> {
    if file.get().is_none() {
        // Only one job at a time has the state, so nobody else sets it meanwhile.
        let _ = file.set(make(path)?);
    }
    file.get().ok_or_else(|| io::Error::other("no file"))
}

/// Creates the file, and its folder if it is the hour's first.
fn make(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let options = options.read(true).write(true).create_new(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            options.open(path)
        }
        opened => opened,
    }
}

/// Hashes each piece while it is in the processor's cache, then writes it to the page cache.
fn append(file: &File, at: u64, batch: &[Bytes], hasher: &mut Hasher) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let mut at = at;
    if let [one] = batch {
        hasher.update(one);
        return file.write_all_at(one, at);
    }
    let mut group: Vec<IoSlice<'_>> = Vec::with_capacity(batch.len().min(64));
    let mut grouped = 0;
    for bytes in batch {
        hasher.update(bytes);
        if grouped + bytes.len() > WRITE_CALL || group.len() == 64 {
            at += write_group(file, at, &mut group)?;
            grouped = 0;
        }
        group.push(IoSlice::new(bytes));
        grouped += bytes.len();
    }
    write_group(file, at, &mut group).map(|_| ())
}

/// One vectored write; the rest is written piece by piece.
fn write_group(file: &File, at: u64, group: &mut Vec<IoSlice<'_>>) -> io::Result<u64> {
    use std::os::unix::fs::FileExt as _;
    let wanted: usize = group.iter().map(|slice| slice.len()).sum();
    let mut done = if group.is_empty() {
        0
    } else {
        rustix::io::pwritev(file, group, at)?
    };
    let mut skip = done;
    for slice in group.drain(..) {
        let rest = &slice[skip.min(slice.len())..];
        skip = skip.saturating_sub(slice.len());
        if !rest.is_empty() && done < wanted {
            file.write_all_at(rest, at + done as u64)?;
            done += rest.len();
        }
    }
    Ok(wanted as u64)
}
