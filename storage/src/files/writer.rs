//! Writing a file: hash and write in one job off the async threads, one batch in flight, write-back
//! begun long before the end.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use model::Hasher;
use tokio::task::JoinHandle;

use super::{blocking, failed, sync_folder};
use crate::key;
use crate::{BlobWriter, Checkpoint, Error, Finished, Result};

/// Bytes after which write-back is begun, so that the last sync has little left to do.
const WRITE_BACK: u64 = 32 << 20;
/// A single write call of a megabyte costs twice what four of a quarter cost on ext4.
const WRITE_CALL: usize = 256 << 10;

/// A file that is being written.
pub(super) struct Writer {
    key: String,
    path: PathBuf,
    state: State,
    /// Bytes handed over so far.
    size: u64,
    /// Bytes handed over since write-back was last begun.
    unsynced: u64,
    write_back: Option<JoinHandle<io::Result<()>>>,
    /// Whether the file's name is durable.
    named: bool,
    durable_hour: Arc<AtomicI64>,
}

enum State {
    /// Nothing runs; the file is made with the first bytes.
    Idle(Option<Arc<File>>, Hasher),
    Running(JoinHandle<io::Result<(Arc<File>, Hasher)>>),
    Failed,
}

impl Writer {
    pub(super) fn create(
        key: &str,
        path: PathBuf,
        hasher: Hasher,
        durable_hour: Arc<AtomicI64>,
    ) -> Self {
        Self::new(key, path, State::Idle(None, hasher), 0, durable_hour)
    }

    pub(super) fn resume(
        key: &str,
        path: PathBuf,
        file: File,
        at: u64,
        hasher: Hasher,
        durable_hour: Arc<AtomicI64>,
    ) -> Self {
        let state = State::Idle(Some(Arc::new(file)), hasher);
        Self::new(key, path, state, at, durable_hour)
    }

    fn new(
        key: &str,
        path: PathBuf,
        state: State,
        size: u64,
        durable_hour: Arc<AtomicI64>,
    ) -> Self {
        let named = matches!(state, State::Idle(Some(_), _));
        Self {
            key: key.to_owned(),
            path,
            state,
            size,
            unsynced: 0,
            write_back: None,
            named,
            durable_hour,
        }
    }

    /// Waits for the batch in flight.
    async fn settle(&mut self) -> Result<(Option<Arc<File>>, Hasher)> {
        let gone = || io::Error::other("an earlier write failed");
        let settled = match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(file, hasher) => Ok((file, hasher)),
            State::Running(job) => match job.await {
                Ok(done) => done.map(|(file, hasher)| (Some(file), hasher)),
                Err(error) => Err(io::Error::other(error)),
            },
            State::Failed => Err(gone()),
        };
        settled.map_err(|error| failed("write", &self.key, error))
    }

    async fn begin_write_back(&mut self, file: &Arc<File>) -> Result<()> {
        if let Some(job) = self.write_back.take_if(|job| job.is_finished()) {
            self.synced(job.await)?;
        }
        if self.unsynced >= WRITE_BACK && self.write_back.is_none() {
            self.unsynced = 0;
            let file = file.clone();
            self.write_back = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    /// A failed sync is final: the kernel has forgotten which bytes it could not write.
    fn synced(&self, done: Result<io::Result<()>, tokio::task::JoinError>) -> Result<()> {
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| Error::NotDurable(self.key.clone(), error))
    }

    /// Writes `last` and makes everything durable, in one job.
    async fn sync(&mut self, last: Vec<Bytes>) -> Result<(Arc<File>, Hasher)> {
        let (file, mut hasher) = self.settle().await?;
        if let Some(job) = self.write_back.take() {
            self.synced(job.await)?;
        }
        let (path, named, at) = (self.path.clone(), self.named, self.size);
        self.size += length(&last);
        let hour = key::hour(&self.key).unwrap_or_default();
        let durable_hour = self.durable_hour.clone();
        let job = blocking(move || {
            let file = file.map_or_else(|| make(&path), Ok)?;
            append(&file, at, &last, &mut hasher)?;
            let mut synced = file.sync_data();
            if !named {
                synced = synced.and_then(|()| sync_name(&path, hour, &durable_hour));
            }
            Ok((file, hasher, synced))
        });
        let (file, hasher, synced) = job
            .await
            .map_err(|error| failed("write", &self.key, error))?;
        self.synced(Ok(synced))?;
        self.named = true;
        self.unsynced = 0;
        Ok((file, hasher))
    }
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, batch: Vec<Bytes>) -> Result<()> {
        let (file, mut hasher) = self.settle().await?;
        if let Some(file) = &file {
            self.begin_write_back(file).await?;
        }
        let (path, at, length) = (self.path.clone(), self.size, length(&batch));
        self.size += length;
        self.unsynced += length;
        self.state = State::Running(tokio::task::spawn_blocking(move || {
            let file = file.map_or_else(|| make(&path), Ok)?;
            append(&file, at, &batch, &mut hasher)?;
            Ok((file, hasher))
        }));
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        let (file, hasher) = self.sync(Vec::new()).await?;
        self.state = State::Idle(Some(file), hasher.clone());
        Ok(Checkpoint {
            size: self.size,
            hasher,
        })
    }

    async fn abandon(mut self: Box<Self>) {
        // How it went is of no interest any more.
        let _ = self.settle().await;
    }

    async fn finish(mut self: Box<Self>, last: Vec<Bytes>) -> Result<Finished> {
        let (_, hasher) = self.sync(last).await?;
        Ok(Finished {
            size: self.size,
            digest: hasher.finish(),
        })
    }
}

fn length(batch: &[Bytes]) -> u64 {
    batch.iter().map(|bytes| bytes.len() as u64).sum()
}

/// Makes a file's name durable: its folder, and once an hour the one above.
fn sync_name(path: &Path, hour: i64, durable_hour: &AtomicI64) -> io::Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    sync_folder(folder)?;
    if durable_hour.load(Ordering::Acquire) < hour {
        if let Some(above) = folder.parent() {
            sync_folder(above)?;
        }
        durable_hour.fetch_max(hour, Ordering::AcqRel);
    }
    Ok(())
}

/// Makes the file, and its folder where it is the hour's first.
fn make(path: &Path) -> io::Result<Arc<File>> {
    let mut options = File::options();
    let options = options.read(true).write(true).create_new(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            options.open(path).map(Arc::new)
        }
        opened => opened.map(Arc::new),
    }
}

/// Hashes each piece while it is warm, then hands it to the page cache.
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

/// One vectored write; what it leaves is written piece by piece.
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
