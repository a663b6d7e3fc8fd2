//! Objects as files: `<folder>/<hour>/<random>`. A file is durable once its data and its folder are
//! synced; its name says nothing about its content.

mod reader;
mod writer;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use async_trait::async_trait;
use futures_util::stream;
use model::Hasher;
use tokio::task::JoinSet;

use crate::files::reader::Reader;
use crate::files::writer::Writer;
use crate::{BlobStore, BlobWriter, Checkpoint, Chunks, Error, Result, Walk};

/// A store of files below one folder.
#[derive(Clone, Debug)]
pub struct Files {
    folder: Arc<PathBuf>,
    /// The newest hour whose folder is known to be durable.
    durable_hour: Arc<AtomicI64>,
}

impl Files {
    /// A store in `folder`, which is made where it is absent.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self> {
        let made = std::fs::create_dir_all(folder).and_then(|()| sync_folder(folder));
        made.map_err(|error| failed("make the folder of", ".", error))?;
        Ok(Self {
            folder: Arc::new(folder.to_owned()),
            durable_hour: Arc::new(AtomicI64::new(i64::MIN)),
        })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn failed(action: &'static str, key: &str, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::Missing(key.to_owned()),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full(source),
        _ => Error::Failed {
            action,
            key: key.to_owned(),
            source,
        },
    }
}

/// Runs file I/O off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[async_trait]
impl BlobStore for Files {
    async fn create(&self, key: &str, hasher: Hasher) -> Result<Box<dyn BlobWriter>> {
        Ok(Box::new(Writer::create(
            key,
            self.path(key),
            hasher,
            self.durable_hour.clone(),
        )))
    }

    async fn resume(&self, key: &str, at: Checkpoint) -> Result<Box<dyn BlobWriter>> {
        let path = self.path(key);
        let opened = blocking(move || {
            let file = File::options().read(true).write(true).open(&path)?;
            let size = file.metadata()?.len();
            if size > at.size {
                file.set_len(at.size)?;
            }
            Ok((file, size >= at.size, path))
        });
        let (file, whole, path) = opened.await.map_err(|error| failed("resume", key, error))?;
        if !whole {
            return Err(Error::Truncated(key.to_owned()));
        }
        Ok(Box::new(Writer::resume(
            key,
            path,
            file,
            at.size,
            at.hasher,
            self.durable_hour.clone(),
        )))
    }

    async fn seal(&self, key: &str, at: Checkpoint) -> Result<()> {
        let path = self.path(key);
        // As cheap as opening; all is durable already.
        let metadata = std::fs::metadata(&path).map_err(|error| failed("seal", key, error))?;
        match metadata.len().cmp(&at.size) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(Error::Truncated(key.to_owned())),
            std::cmp::Ordering::Greater => blocking(move || cut(&path, at.size))
                .await
                .map_err(|error| failed("seal", key, error)),
        }
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks> {
        // Opening is a look-up in the dentry cache, as cheap as a hop to another thread.
        let file = File::open(self.path(key)).map_err(|error| failed("open", key, error))?;
        Ok(Box::pin(Reader::new(key, file, range)))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        let path = self.path(key);
        match blocking(move || std::fs::metadata(path)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look at", key, error)),
        }
    }

    async fn delete(&self, keys: &[String]) -> Result<()> {
        let paths: Vec<(String, PathBuf)> = keys
            .iter()
            .map(|key| (key.clone(), self.path(key)))
            .collect();
        // Removing a file waits more than it works.
        let lane = paths.len().div_ceil(REMOVED_ABREAST).max(1);
        let mut lanes = JoinSet::new();
        for paths in paths.chunks(lane).map(<[_]>::to_vec) {
            lanes
                .spawn_blocking(move || paths.iter().try_for_each(|(key, path)| remove(key, path)));
        }
        while let Some(removed) = lanes.join_next().await {
            removed.unwrap_or_else(|error| Err(failed("delete", ".", io::Error::other(error))))?;
        }
        Ok(())
    }

    async fn discard(&self, key: &str) -> Result<()> {
        self.delete(&[key.to_owned()]).await
    }

    async fn hours(&self) -> Result<Vec<i64>> {
        let folder = self.folder.clone();
        let names = blocking(move || names(&folder)).await;
        let names = names.map_err(|error| failed("list", ".", error))?;
        let mut hours: Vec<i64> = names.iter().filter_map(|name| name.parse().ok()).collect();
        hours.sort_unstable();
        Ok(hours)
    }

    async fn list(&self, hour: i64) -> Result<Vec<String>> {
        let folder = self.path(&hour.to_string());
        let names = blocking(move || names(&folder)).await;
        let names = names.map_err(|error| failed("list", ".", error))?;
        Ok(names
            .into_iter()
            .map(|name| format!("{hour}/{name}"))
            .collect())
    }

    async fn walk(&self, folder: &str) -> Result<Walk> {
        let (root, below) = (self.folder.clone(), self.path(folder));
        let (found, walk) = tokio::sync::mpsc::channel(WALKED_AHEAD);
        tokio::task::spawn_blocking(move || {
            let files = walkdir::WalkDir::new(below).into_iter();
            for entry in files.filter_map(|entry| file(&root, entry)) {
                if found.blocking_send(entry).is_err() {
                    return;
                }
            }
        });
        Ok(Box::pin(stream::unfold(walk, async |mut walk| {
            walk.recv().await.map(|entry| (entry, walk))
        })))
    }

    async fn forget_hour(&self, hour: i64) -> Result<()> {
        let folder = self.path(&hour.to_string());
        // A folder that is not empty stays.
        let _ = blocking(move || std::fs::remove_dir(folder)).await;
        Ok(())
    }
}

/// Files that are removed at a time.
const REMOVED_ABREAST: usize = 8;

fn remove(key: &str, path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("delete", key, error)),
        _ => Ok(()),
    }
}

/// Cuts a file off, durably.
fn cut(path: &Path, size: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_len(size)?;
    file.sync_data()
}

/// Entries of a walk that wait to be looked at.
const WALKED_AHEAD: usize = 1_024;

/// A file that a walk found: its key and size. A folder that is not there has none.
fn file(root: &Path, entry: walkdir::Result<walkdir::DirEntry>) -> Option<Result<(String, u64)>> {
    let found = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
    match found {
        Ok((metadata, entry)) if metadata.is_file() => {
            let key = entry.path().strip_prefix(root).unwrap_or(entry.path());
            Some(Ok((key.to_string_lossy().into_owned(), metadata.len())))
        }
        Ok(_) => None,
        Err(error) => {
            let error = io::Error::from(error);
            (error.kind() != io::ErrorKind::NotFound).then(|| Err(failed("list", ".", error)))
        }
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn files_keep_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        conformance::run(&Files::open(folder.path()).unwrap()).await;
    }

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        conformance::run(&crate::Memory::default()).await;
    }
}
