//! A store in memory, for tests of the layers above.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use model::Hasher;
use parking_lot::Mutex;

use crate::{
    BlobStore, BlobWriter, Checkpoint, Chunks, Error, Existing, Finished, Identity, NotDeleted,
    Result, Walk, identity, key,
};

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Objects in memory.
#[derive(Clone, Default)]
pub struct Memory {
    objects: Objects,
}

struct MemoryWriter {
    objects: Objects,
    key: String,
    hasher: Hasher,
}

impl Memory {
    fn cut(&self, key: &str, size: u64) -> Result<()> {
        let mut objects = self.objects.lock();
        let object = objects
            .get_mut(key)
            .ok_or_else(|| Error::Missing(key.to_owned()))?;
        if (object.len() as u64) < size {
            return Err(Error::Truncated(key.to_owned()));
        }
        object.truncate(size as usize);
        Ok(())
    }
}

#[async_trait]
impl BlobStore for Memory {
    async fn create(&self, key: &str, hasher: Hasher) -> Result<Box<dyn BlobWriter>> {
        let writer = MemoryWriter {
            objects: self.objects.clone(),
            key: key.to_owned(),
            hasher,
        };
        Ok(Box::new(writer))
    }

    async fn resume(&self, key: &str, at: Checkpoint) -> Result<Box<dyn BlobWriter>> {
        self.cut(key, at.size)?;
        self.create(key, at.hasher).await
    }

    async fn seal(&self, key: &str, at: Checkpoint) -> Result<()> {
        self.cut(key, at.size)
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<Chunks> {
        let objects = self.objects.lock();
        let object = objects
            .get(key)
            .ok_or_else(|| Error::Missing(key.to_owned()))?;
        let bytes = object
            .get(range.start as usize..range.end as usize)
            .map(Bytes::copy_from_slice)
            .ok_or_else(|| Error::Truncated(key.to_owned()));
        Ok(Box::pin(stream::iter([bytes])))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        Ok(self
            .objects
            .lock()
            .get(key)
            .map(|object| object.len() as u64))
    }

    async fn sync(&self, key: &str) -> Result<()> {
        match self.size(key).await? {
            Some(_) => Ok(()),
            None => Err(Error::Missing(key.to_owned())),
        }
    }

    async fn detach(&self, _key: &str, finished: Finished) -> Result<Finished> {
        // There is only one process.
        Ok(finished)
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<NotDeleted>> {
        let mut objects = self.objects.lock();
        for key in keys {
            objects.remove(key);
        }
        Ok(Vec::new())
    }

    async fn discard(&self, key: &str) -> Result<()> {
        self.objects.lock().remove(key);
        Ok(())
    }

    async fn hours(&self) -> Result<Vec<i64>> {
        let mut hours: Vec<i64> = self
            .objects
            .lock()
            .keys()
            .filter_map(|key| key::hour(key))
            .collect();
        hours.dedup();
        Ok(hours)
    }

    async fn list(&self, hour: i64) -> Result<Vec<String>> {
        let objects = self.objects.lock();
        Ok(objects
            .keys()
            .filter(|key| key::hour(key) == Some(hour))
            .cloned()
            .collect())
    }

    async fn walk(&self, folder: &str) -> Result<Walk> {
        let objects = self.objects.lock();
        let folder = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let below = objects.iter().filter(|(key, _)| key.starts_with(&folder));
        let found: Vec<_> = below
            .map(|(key, object)| Ok((key.clone(), object.len() as u64)))
            .collect();
        Ok(Box::pin(stream::iter(found)))
    }

    async fn forget_hour(&self, _hour: i64) -> Result<()> {
        Ok(())
    }

    async fn identity(&self) -> Result<Option<Identity>> {
        let objects = self.objects.lock();
        let text = objects.get(identity::KEY);
        text.map(|text| Identity::parse(text)).transpose()
    }

    async fn put_identity(&self, identity: &Identity, existing: Existing) -> Result<Identity> {
        let mut objects = self.objects.lock();
        if let (Existing::Kept, Some(text)) = (existing, objects.get(identity::KEY)) {
            return Identity::parse(text);
        }
        objects.insert(identity::KEY.to_owned(), identity.text());
        Ok(identity.clone())
    }

    async fn try_write(&self) -> Result<()> {
        Ok(())
    }
}

impl MemoryWriter {
    fn append(&mut self, batch: Vec<Bytes>) -> u64 {
        let mut objects = self.objects.lock();
        let object = objects.entry(self.key.clone()).or_default();
        for bytes in batch {
            self.hasher.update(&bytes);
            object.extend_from_slice(&bytes);
        }
        object.len() as u64
    }
}

#[async_trait]
impl BlobWriter for MemoryWriter {
    async fn write(&mut self, batch: Vec<Bytes>) -> Result<Option<Checkpoint>> {
        self.append(batch);
        Ok(None)
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        Ok(Checkpoint {
            size: self.append(Vec::new()),
            hasher: self.hasher.clone(),
            state: None,
        })
    }

    async fn abandon(self: Box<Self>) {}

    async fn finish(mut self: Box<Self>, last: Vec<Bytes>) -> Result<Finished> {
        let size = self.append(last);
        Ok(Finished {
            size,
            digest: self.hasher.finish(),
        })
    }
}
