//! A store during a move: new objects go to the new store, and those in the old one are read from there until they are
//! removed. The `moving` job copies them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use model::Hasher;

use crate::{
    BlobStore, BlobWriter, Checkpoint, Chunks, Error, Existing, Finished, Identity, NotDeleted,
    Result, Walk,
};

/// Two stores as one. The old one is read first: its objects are complete, while a copy in the new one may be
/// unfinished.
pub struct Moving {
    old: Arc<dyn BlobStore>,
    new: Arc<dyn BlobStore>,
}

impl Moving {
    /// A move from `old` to `new`.
    pub fn new(old: Arc<dyn BlobStore>, new: Arc<dyn BlobStore>) -> Self {
        Self { old, new }
    }
}

#[async_trait]
impl BlobStore for Moving {
    async fn create(&self, key: &str, hasher: Hasher) -> Result<Box<dyn BlobWriter>> {
        self.new.create(key, hasher).await
    }

    async fn resume(&self, key: &str, at: Checkpoint) -> Result<Box<dyn BlobWriter>> {
        match self.old.resume(key, at.clone()).await {
            Err(Error::Missing(_)) => self.new.resume(key, at).await,
            resumed => resumed,
        }
    }

    async fn seal(&self, key: &str, at: Checkpoint) -> Result<()> {
        match self.old.seal(key, at.clone()).await {
            Err(Error::Missing(_)) => self.new.seal(key, at).await,
            sealed => sealed,
        }
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks> {
        match self.old.read(key, range.clone()).await {
            Err(Error::Missing(_)) => self.new.read(key, range).await,
            read => read,
        }
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        match self.old.size(key).await? {
            None => self.new.size(key).await,
            size => Ok(size),
        }
    }

    async fn sync(&self, key: &str) -> Result<()> {
        match self.old.sync(key).await {
            Err(Error::Missing(_)) => self.new.sync(key).await,
            synced => synced,
        }
    }

    async fn detach(&self, key: &str, finished: Finished) -> Result<Finished> {
        match self.old.size(key).await? {
            None => self.new.detach(key, finished).await,
            Some(_) => self.old.detach(key, finished).await,
        }
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<NotDeleted>> {
        let mut failed = self.old.delete(keys).await?;
        for (key, error) in self.new.delete(keys).await? {
            if failed.iter().all(|(known, _)| *known != key) {
                failed.push((key, error));
            }
        }
        Ok(failed)
    }

    async fn discard(&self, key: &str) -> Result<()> {
        self.old.discard(key).await?;
        self.new.discard(key).await
    }

    fn leftovers(&self) -> Vec<String> {
        let mut keys = self.old.leftovers();
        keys.extend(self.new.leftovers());
        keys
    }

    fn return_leftovers(&self, keys: &[String]) {
        // Keys do not reveal their store, and trying both does no harm.
        self.old.return_leftovers(keys);
        self.new.return_leftovers(keys);
    }

    async fn hours(&self) -> Result<Vec<i64>> {
        let mut hours = self.old.hours().await?;
        hours.extend(self.new.hours().await?);
        hours.sort_unstable();
        hours.dedup();
        Ok(hours)
    }

    async fn list(&self, hour: i64) -> Result<Vec<String>> {
        let mut keys = self.old.list(hour).await?;
        keys.extend(self.new.list(hour).await?);
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    async fn walk(&self, folder: &str) -> Result<Walk> {
        let old = self.old.walk(folder).await?;
        Ok(Box::pin(old.chain(self.new.walk(folder).await?)))
    }

    async fn forget_hour(&self, hour: i64) -> Result<()> {
        self.old.forget_hour(hour).await?;
        self.new.forget_hour(hour).await
    }

    /// The new store's identity.
    async fn identity(&self) -> Result<Option<Identity>> {
        self.new.identity().await
    }

    async fn put_identity(&self, identity: &Identity, existing: Existing) -> Result<Identity> {
        self.new.put_identity(identity, existing).await
    }

    async fn try_write(&self) -> Result<()> {
        self.new.try_write().await
    }

    async fn presigned(&self, key: &str, lasts: Duration) -> Result<Option<String>> {
        match self.old.size(key).await? {
            None => self.new.presigned(key, lasts).await,
            Some(_) => self.old.presigned(key, lasts).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::TryStreamExt as _;
    use model::Algorithm;

    use super::*;
    use crate::{Files, Memory, conformance};

    const KEY: &str = "472222/09090909abababababababababababababababab";

    #[tokio::test]
    async fn two_stores_keep_the_contract_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let files = || -> Arc<dyn BlobStore> { Arc::new(Files::open(folder.path()).unwrap()) };
        let memory = || -> Arc<dyn BlobStore> { Arc::new(Memory::default()) };
        conformance::run(&Moving::new(files(), memory())).await;
        conformance::run(&Moving::new(memory(), files())).await;
    }

    #[tokio::test]
    async fn what_the_old_store_has_goes_on_there() {
        let (old, new) = (Arc::new(Memory::default()), Arc::new(Memory::default()));
        let hasher = || Hasher::new(Algorithm::Sha256);
        let mut writer = old.create(KEY, hasher()).await.unwrap();
        writer.write(vec![Bytes::from("begun ")]).await.unwrap();
        let at = writer.checkpoint().await.unwrap();
        writer.abandon().await;
        let store = Moving::new(old.clone(), new.clone());
        let writer = store.resume(KEY, at).await.unwrap();
        let done = writer.finish(vec![Bytes::from("before")]).await.unwrap();
        assert_eq!(done.size, 12);
        assert_eq!(old.size(KEY).await.unwrap(), Some(12));
        assert_eq!(new.size(KEY).await.unwrap(), None);
        // An unfinished copy does not count while the old object exists.
        let mut copy = new.create(KEY, hasher()).await.unwrap();
        copy.write(vec![Bytes::from("beg")]).await.unwrap();
        let read = store.read(KEY, 0..12).await.unwrap();
        let read: Vec<Bytes> = read.try_collect().await.unwrap();
        assert_eq!(read.concat(), b"begun before");
        store.delete(&[KEY.to_owned()]).await.unwrap();
        assert_eq!(store.size(KEY).await.unwrap(), None);
    }
}
