//! Objects as files: `<folder>/<hour>/<process><random>`. A file is durable once its data and its folder are
//! synced; its name says nothing about its content.

mod detach;
mod identity;
mod place;
mod reader;
mod writer;

use std::fs::{File, FileType};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;
use model::Hasher;
use tokio::task::JoinSet;

use crate::files::place::Place;
use crate::files::reader::Reader;
use crate::files::writer::Writer;
use crate::{
    BlobStore, BlobWriter, Checkpoint, Chunks, Error, Existing, Finished, Identity, NotDeleted,
    PROBE, Result, Walk, key,
};

/// A store of files below one folder.
#[derive(Clone, Debug)]
pub struct Files {
    place: Arc<Place>,
    /// Name of the file that [`BlobStore::try_write`] writes; unique to this process.
    probe: Arc<str>,
}

impl Files {
    /// A store in `folder`, which is created if missing.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn open(folder: &Path) -> Result<Self> {
        let made = std::fs::create_dir_all(folder).and_then(|()| sync_folder(folder));
        let place = made.and_then(|()| Place::new(folder));
        let place = place.map_err(|error| Error::Unusable(folder.to_owned(), error))?;
        Ok(Self {
            place: Arc::new(place),
            probe: format!("{PROBE}{}", identity::suffix()?).into(),
        })
    }

    #[cfg(test)]
    pub(crate) fn probe_name(&self) -> &str {
        &self.probe
    }

    fn path(&self, key: &str) -> PathBuf {
        self.place.folder().join(key)
    }

    /// Fails if the store's folder was replaced.
    fn check(&self, action: &'static str, key: &str) -> Result<()> {
        self.place
            .check()
            .map_err(|error| failed(action, key, error))
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
        self.check("write", key)?;
        Ok(Box::new(Writer::create(
            key,
            self.path(key),
            hasher,
            self.place.clone(),
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
            self.place.clone(),
        )))
    }

    async fn seal(&self, key: &str, at: Checkpoint) -> Result<()> {
        self.check("seal", key)?;
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
        self.check("look at", key)?;
        let path = self.path(key);
        match blocking(move || std::fs::metadata(path)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look at", key, error)),
        }
    }

    async fn sync(&self, key: &str) -> Result<()> {
        let (path, depth) = (self.path(key), key.matches('/').count());
        let synced = blocking(move || sync_all(&path, depth)).await;
        synced.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::Missing(key.to_owned()),
            _ => Error::NotDurable(key.to_owned(), error),
        })
    }

    async fn detach(&self, key: &str, finished: Finished) -> Result<Finished> {
        let (path, copy) = (self.path(key), self.path(&copy_of(key)));
        let detached = blocking(move || detach::detach(&path, &copy, finished)).await;
        let detached = detached.map_err(|error| failed("copy", key, error))?;
        detached.ok_or_else(|| Error::Truncated(key.to_owned()))
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<NotDeleted>> {
        self.check("delete", keys.first().map_or(".", |key| key))?;
        let paths: Vec<(String, PathBuf)> = keys
            .iter()
            .map(|key| (key.clone(), self.path(key)))
            .collect();
        // Removing a file is mostly waiting.
        let share = paths.len().div_ceil(REMOVED_ABREAST).max(1);
        let mut shares = JoinSet::new();
        for paths in paths.chunks(share).map(<[_]>::to_vec) {
            shares.spawn_blocking(move || remove_all(paths));
        }
        let mut not_deleted = Vec::new();
        while let Some(removed) = shares.join_next().await {
            let removed =
                removed.map_err(|error| failed("delete", ".", io::Error::other(error)))?;
            not_deleted.extend(removed);
        }
        Ok(not_deleted)
    }

    async fn discard(&self, key: &str) -> Result<()> {
        let failed = self.delete(&[key.to_owned(), copy_of(key)]).await?;
        failed
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    async fn hours(&self) -> Result<Vec<i64>> {
        self.check("list", ".")?;
        let folder = self.place.folder().to_owned();
        let folders = blocking(move || names(&folder, FileType::is_dir)).await;
        let folders = folders.map_err(|error| failed("list", ".", error))?;
        let mut hours: Vec<i64> = folders
            .iter()
            .filter_map(|name| key::hour_of_folder(name))
            .collect();
        hours.sort_unstable();
        Ok(hours)
    }

    async fn list(&self, hour: i64) -> Result<Vec<String>> {
        self.check("list", ".")?;
        let folder = self.path(&hour.to_string());
        let names = blocking(move || names(&folder, FileType::is_file)).await;
        let names = names.map_err(|error| failed("list", ".", error))?;
        let mut keys: Vec<String> = names
            .iter()
            .map(|name| format!("{hour}/{}", name.strip_suffix(COPY).unwrap_or(name)))
            .filter(|key| key::is_own(key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    async fn walk(&self, folder: &str) -> Result<Walk> {
        let (root, below) = (self.place.folder().to_owned(), self.path(folder));
        let (found, walk) = tokio::sync::mpsc::channel(WALKED_AHEAD);
        tokio::task::spawn_blocking(move || {
            // Folders of registries that are taken over may be links to other disks.
            let files = walkdir::WalkDir::new(below).follow_links(true).into_iter();
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

    async fn identity(&self) -> Result<Option<Identity>> {
        let place = self.place.clone();
        let text = blocking(move || place.identity()).await;
        let text = text.map_err(|error| failed("read", crate::identity::KEY, error))?;
        text.map(|text| Identity::parse(&text)).transpose()
    }

    async fn put_identity(&self, identity: &Identity, existing: Existing) -> Result<Identity> {
        let (folder, text) = (self.place.folder().to_owned(), identity.text());
        let spare = identity::suffix()?;
        let put = blocking(move || identity::put(&folder, &spare, &text, existing)).await;
        put.map_err(|error| match failed("write", crate::identity::KEY, error) {
            Error::Failed { source, .. } => Error::Unusable(self.place.folder().to_owned(), source),
            error => error,
        })?;
        let stands = self.identity().await?;
        stands.ok_or_else(|| Error::Missing(crate::identity::KEY.to_owned()))
    }

    async fn try_write(&self) -> Result<()> {
        self.check("write", &self.probe)?;
        let path = self.path(&self.probe);
        let tried =
            move || std::fs::write(&path, b"probe").and_then(|()| std::fs::remove_file(path));
        let tried = blocking(tried).await;
        tried.map_err(|error| failed("write", &self.probe, error))
    }
}

/// Files to remove at a time.
const REMOVED_ABREAST: usize = 8;

/// Name suffix of a copy that [`BlobStore::detach`] makes.
const COPY: &str = ".copy";

fn copy_of(key: &str) -> String {
    format!("{key}{COPY}")
}

/// Removes files; returns those that could not be removed.
fn remove_all(paths: Vec<(String, PathBuf)>) -> Vec<NotDeleted> {
    let remove = |(key, path): (String, PathBuf)| match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let error = failed("delete", &key, error);
            Some((key, error))
        }
        _ => None,
    };
    paths.into_iter().filter_map(remove).collect()
}

/// Syncs a file, its folder, and the `depth` folders above it within the store.
fn sync_all(path: &Path, depth: usize) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    let folders = path.ancestors().skip(1).take(depth + 1);
    folders.into_iter().try_for_each(sync_folder)
}

/// Truncates a file, durably.
fn cut(path: &Path, size: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_len(size)?;
    file.sync_data()
}

/// Entries that a walk has yet to visit.
const WALKED_AHEAD: usize = 1_024;

/// A file found by a walk: its key and size. An absent folder has none.
fn file(root: &Path, entry: walkdir::Result<walkdir::DirEntry>) -> Option<Result<(String, u64)>> {
    let found = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
    match found {
        Ok((metadata, entry)) if metadata.is_file() => {
            let key = entry.path().strip_prefix(root).unwrap_or(entry.path());
            Some(Ok((key.to_string_lossy().into_owned(), metadata.len())))
        }
        Ok(_) => None,
        // What a link back leads to is walked already.
        Err(error) if error.loop_ancestor().is_some() => None,
        Err(error) => {
            let is_link = error.path().is_some_and(Path::is_symlink);
            let path = error
                .path()
                .map(|path| path.strip_prefix(root).unwrap_or(path));
            let key = path.map(|path| path.to_string_lossy().into_owned());
            let error = io::Error::from(error);
            let is_gone = error.kind() == io::ErrorKind::NotFound && !is_link;
            (!is_gone).then(|| Err(failed("list", &key.unwrap_or_default(), error)))
        }
    }
}

/// Names of a folder's entries of one type; links are never followed.
fn names(folder: &Path, is_wanted: fn(&FileType) -> bool) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // It may have been removed meanwhile.
        if entry.file_type().is_ok_and(|kind| is_wanted(&kind)) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn a_walk_goes_into_linked_folders_once_and_names_a_link_that_leads_nowhere() {
        use futures_util::TryStreamExt as _;
        let (store, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (folder, away) = (store.path(), other.path());
        std::fs::create_dir(folder.join("here")).unwrap();
        std::fs::write(folder.join("here/file"), "1").unwrap();
        std::fs::create_dir(away.join("team")).unwrap();
        std::fs::write(away.join("team/file"), "22").unwrap();
        std::os::unix::fs::symlink(away.join("team"), folder.join("linked")).unwrap();
        std::os::unix::fs::symlink(folder, folder.join("here/back")).unwrap();
        let files = Files::open(folder).unwrap();
        let walked = async || -> Result<Vec<(String, u64)>> {
            let mut found: Vec<_> = files.walk("").await?.try_collect().await?;
            found.sort_unstable();
            Ok(found)
        };
        let expected = [("here/file".to_owned(), 1), ("linked/file".to_owned(), 2)];
        assert_eq!(walked().await.unwrap(), expected);
        std::fs::remove_dir_all(away.join("team")).unwrap();
        let error = walked().await.unwrap_err().to_string();
        assert!(error.contains("linked"), "{error}");
    }

    #[tokio::test]
    async fn files_keep_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        conformance::run(&Files::open(folder.path()).unwrap()).await;
    }

    /// A key of the form that [`key::new`] makes.
    const KEY: &str = "472222/09090909abababababababababababababababab";

    fn hasher() -> Hasher {
        Hasher::new(model::Algorithm::Sha256)
    }

    #[tokio::test]
    async fn a_folder_that_takes_no_identity_is_named_with_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let store = Files::open(folder.path()).unwrap();
        let identity = Identity::new(
            model::InstallationId::new([1; 16]),
            model::StoreId::new([2; 16]),
            String::new(),
        );
        // A folder in its place: root may write where permissions forbid it.
        std::fs::create_dir(folder.path().join(crate::identity::KEY)).unwrap();
        let put = store.put_identity(&identity, Existing::Replaced).await;
        let error = put.unwrap_err().to_string();
        assert!(error.starts_with("[storage] path: "), "{error}");
    }

    #[tokio::test]
    async fn what_cannot_be_deleted_holds_nothing_else_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Files::open(folder.path()).unwrap();
        let key = |name: u8| format!("472222/{}", hex::encode([name; 20]));
        let keys: Vec<String> = (0..20).map(key).collect();
        for key in &keys {
            let writer = store.create(key, hasher()).await.unwrap();
            writer.finish(Vec::new()).await.unwrap();
        }
        // A folder cannot be removed as a file.
        let stuck = folder.path().join(&keys[3]);
        std::fs::remove_file(&stuck).unwrap();
        std::fs::create_dir(&stuck).unwrap();
        let failed = store.delete(&keys).await.unwrap();
        let failed: Vec<&String> = failed.iter().map(|(key, _)| key).collect();
        assert_eq!(failed, [&keys[3]]);
        assert!(store.list(472_222).await.unwrap().is_empty());
        assert!(stuck.is_dir());
    }

    #[tokio::test]
    async fn nothing_is_stored_or_counts_as_gone_where_the_folder_was_replaced() {
        let outer = tempfile::tempdir().unwrap();
        let [folder, away] = ["blobs", "away"].map(|name| outer.path().join(name));
        let store = Files::open(&folder).unwrap();
        let identity = Identity::new(
            model::InstallationId::new([1; 16]),
            model::StoreId::new([2; 16]),
            "now".to_owned(),
        );
        store.put_identity(&identity, Existing::Kept).await.unwrap();
        let begun = store.create(KEY, hasher()).await.unwrap();
        // An unmounted volume.
        std::fs::rename(&folder, &away).unwrap();
        std::fs::create_dir(&folder).unwrap();
        begun.finish(Vec::new()).await.unwrap_err();
        assert!(store.create(KEY, hasher()).await.is_err());
        store.delete(&[KEY.to_owned()]).await.unwrap_err();
        store.size(KEY).await.unwrap_err();
        store.hours().await.unwrap_err();
        store.list(472_222).await.unwrap_err();
        store.try_write().await.unwrap_err();
        assert_eq!(store.identity().await.unwrap(), None);
        // After a remount it may have another inode: its identity decides.
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let name = crate::identity::KEY;
        std::fs::copy(away.join(name), folder.join(name)).unwrap();
        let writer = store.create(KEY, hasher()).await.unwrap();
        writer.finish(Vec::new()).await.unwrap();
        assert_eq!(store.size(KEY).await.unwrap(), Some(0));
    }

    #[tokio::test]
    async fn a_writer_that_was_taken_over_cannot_change_a_detached_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (
            Files::open(folder.path()).unwrap(),
            Files::open(folder.path()).unwrap(),
        );
        let mut old = one.create(KEY, hasher()).await.unwrap();
        old.write(vec![bytes::Bytes::from("begun ")]).await.unwrap();
        let at = old.checkpoint().await.unwrap();
        let new = two.resume(KEY, at).await.unwrap();
        // The old writer writes its bytes before the end, and again after it.
        let finished = new.finish(vec![bytes::Bytes::from("here")]).await.unwrap();
        old.write(vec![bytes::Bytes::from("mine")]).await.unwrap();
        old.checkpoint().await.unwrap();
        let detached = two.detach(KEY, finished).await.unwrap();
        assert_ne!(detached.digest, finished.digest);
        assert_eq!(detached.size, finished.size);
        old.write(vec![bytes::Bytes::from("xxxx")]).await.unwrap();
        old.checkpoint().await.unwrap();
        let algorithm = model::Algorithm::Sha256;
        let read = crate::content::digest(&two, KEY, detached.size, algorithm).await;
        assert_eq!(read.unwrap(), detached.digest);
        assert_eq!(two.size(KEY).await.unwrap(), Some(detached.size));
        assert_eq!(two.list(472_222).await.unwrap(), [KEY]);
        // Leftovers of a crash during a copy belong to its object.
        std::fs::write(folder.path().join(copy_of(KEY)), b"half").unwrap();
        assert_eq!(two.list(472_222).await.unwrap(), [KEY]);
        two.discard(KEY).await.unwrap();
        two.forget_hour(472_222).await.unwrap();
        assert!(two.hours().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        conformance::run(&crate::Memory::default()).await;
    }
}
