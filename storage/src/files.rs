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
use model::Hasher;

use crate::files::reader::Reader;
use crate::files::writer::Writer;
use crate::{BlobStore, BlobWriter, Chunks, Error, Result};

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

    async fn resume(&self, key: &str, at: u64, hasher: Hasher) -> Result<Box<dyn BlobWriter>> {
        let path = self.path(key);
        let opened = blocking(move || {
            let file = File::options().read(true).write(true).open(&path)?;
            let size = file.metadata()?.len();
            if size > at {
                file.set_len(at)?;
            }
            Ok((file, size >= at, path))
        });
        let (file, whole, path) = opened.await.map_err(|error| failed("resume", key, error))?;
        if !whole {
            return Err(Error::Truncated(key.to_owned()));
        }
        Ok(Box::new(Writer::resume(
            key,
            path,
            file,
            at,
            hasher,
            self.durable_hour.clone(),
        )))
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

    async fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key);
        match blocking(move || std::fs::remove_file(path)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("delete", key, error))
            }
            _ => Ok(()),
        }
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

    async fn forget_hour(&self, hour: i64) -> Result<()> {
        let folder = self.path(&hour.to_string());
        // A folder that is not empty stays.
        let _ = blocking(move || std::fs::remove_dir(folder)).await;
        Ok(())
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
