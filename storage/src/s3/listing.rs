//! Listing and removing the bucket's contents: finished objects, multipart uploads, tails.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{CommonPrefix, Delete, ObjectIdentifier};

use futures_util::{TryStreamExt as _, stream};

use super::bucket::{Bucket, refused};
use super::error::failed;
use super::tail;
use crate::{Error, NotDeleted, Result, Walk};

/// Maximum number of leftover keys to remember; they are collected every second.
const MOST_LEFTOVERS: usize = 10_000;
/// Maximum number of objects to remove per request.
const REMOVED_AT_ONCE: usize = 1_000;

/// Whether to list the contents of folders, or the folders.
#[derive(Clone, Copy)]
enum Depth {
    All,
    Folders,
}

impl Depth {
    fn delimiter(self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Folders => Some("/".to_owned()),
        }
    }
}

/// A multipart upload.
struct Upload {
    key: String,
    id: String,
}

/// The result of a listing, without the bucket's prefix.
#[derive(Default)]
struct Found {
    keys: Vec<String>,
    uploads: Vec<Upload>,
    folders: Vec<String>,
}

/// Fails with the first failure.
fn first_of(not_deleted: Vec<NotDeleted>) -> Result<()> {
    match not_deleted.into_iter().next() {
        None => Ok(()),
        Some((_, error)) => Err(error),
    }
}

/// A request that was refused as a whole: all of its objects stay. An outage is not a refusal.
fn all_refused(keys: &[String], error: Error) -> Result<Vec<NotDeleted>> {
    let Error::Failed { source, .. } = error else {
        return Err(error);
    };
    let cause = source.to_string();
    let refuse = |key: &String| (key.clone(), refused("delete", key, cause.clone()));
    Ok(keys.iter().map(refuse).collect())
}

/// Start of the next page.
fn next_page(page: &ListObjectsV2Output) -> Option<String> {
    let next = page
        .next_continuation_token()
        .filter(|next| !next.is_empty());
    next.map(str::to_owned)
}

impl Bucket {
    /// Objects below a folder, page by page.
    pub(super) fn walk(bucket: Arc<Self>, below: String) -> Walk {
        let pages = stream::try_unfold(Some(None), move |next: Option<Option<String>>| {
            let (bucket, below) = (bucket.clone(), below.clone());
            async move {
                let Some(next) = next else { return Ok(None) };
                let page = bucket.page(&below, Depth::All, next).await?;
                let more = next_page(&page).map(Some);
                let sized = page.contents.unwrap_or_default().into_iter();
                let found: Vec<_> = sized
                    .filter_map(|object| {
                        let key = bucket.key(object.key()?)?;
                        let size = u64::try_from(object.size()?).ok()?;
                        (!key.ends_with('/')).then_some(Ok((key, size)))
                    })
                    .collect();
                Ok::<_, Error>(Some((stream::iter(found), more)))
            }
        });
        Box::pin(pages.try_flatten())
    }

    /// Keys started in an hour, finished or not, each once.
    pub(super) async fn list(&self, hour: i64) -> Result<Vec<String>> {
        let found = self.find(&format!("{hour}/"), Depth::All).await?;
        let uploads = found.uploads.iter().map(|upload| &upload.key);
        let keys: BTreeSet<&str> = found
            .keys
            .iter()
            .chain(uploads)
            .filter_map(|key| tail::own_object(key))
            .collect();
        Ok(keys.into_iter().map(str::to_owned).collect())
    }

    /// Hours in which existing objects were started.
    pub(super) async fn hours(&self) -> Result<Vec<i64>> {
        let found = self.find("", Depth::Folders).await?;
        let uploads = found.uploads.iter().map(|upload| &upload.key);
        // Not every server supports folders of uploads.
        let hours: BTreeSet<i64> = uploads
            .chain(&found.folders)
            .filter_map(|path| path.split_once('/'))
            .filter_map(|(folder, _)| crate::key::hour_of_folder(folder))
            .collect();
        Ok(hours.into_iter().collect())
    }

    /// Removes the folder that some servers keep after its last object is gone.
    pub(super) async fn forget_hour(&self, hour: i64) -> Result<()> {
        let folder = format!("{hour}/");
        let list = self.clients.small.list_objects_v2().bucket(&self.name);
        let page = list.prefix(self.path(&folder)).max_keys(2).send().await;
        let page = page.map_err(|error| failed("list", &folder, error))?;
        let own = self.path(&folder);
        // Servers differ in how they treat the name of a folder.
        let is_empty = page
            .contents()
            .iter()
            .all(|object| object.key() == Some(&*own));
        if is_empty {
            self.delete_one(&folder).await?;
        }
        Ok(())
    }

    /// Removes the object of a key.
    pub(super) async fn delete_one(&self, key: &str) -> Result<()> {
        first_of(self.delete(&[key.to_owned()]).await?)
    }

    /// Removes objects; returns those that could not be removed.
    pub(super) async fn delete(&self, keys: &[String]) -> Result<Vec<NotDeleted>> {
        let mut not_deleted = Vec::new();
        for keys in keys.chunks(REMOVED_AT_ONCE) {
            not_deleted.extend(self.delete_some(keys).await?);
        }
        Ok(not_deleted)
    }

    async fn delete_some(&self, keys: &[String]) -> Result<Vec<NotDeleted>> {
        let Some(first) = keys.first() else {
            return Ok(Vec::new());
        };
        let named = |key: &String| ObjectIdentifier::builder().key(self.path(key)).build();
        let objects: Result<Vec<_>, _> = keys.iter().map(named).collect();
        let delete = objects
            .and_then(|objects| {
                Delete::builder()
                    .set_objects(Some(objects))
                    .quiet(true)
                    .build()
            })
            .map_err(|error| refused("delete", first, error))?;
        let request = self.clients.large.delete_objects().bucket(&self.name);
        let answer = match request.delete(delete).send().await {
            Ok(answer) => answer,
            Err(error) => return all_refused(keys, failed("delete", first, error)),
        };
        let refusals = answer.errors().iter();
        let refusals = refusals.filter(|error| error.code() != Some("NoSuchKey"));
        Ok(refusals
            .map(|error| self.not_deleted(first, error))
            .collect())
    }

    /// An object that the server refuses to remove.
    fn not_deleted(&self, first: &str, error: &aws_sdk_s3::types::Error) -> NotDeleted {
        let key = error.key().and_then(|path| path.strip_prefix(&self.prefix));
        let key = key.unwrap_or(first).to_owned();
        let cause = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (code, message) => code.or(message).unwrap_or("refused").to_owned(),
        };
        let error = refused("delete", &key, cause);
        (key, error)
    }

    /// Removes everything of an object.
    pub(super) async fn discard(&self, key: &str) -> Result<()> {
        let found = self.find(key, Depth::All).await?;
        // More than one is the trace of a lost answer.
        for upload in &found.uploads {
            if upload.key == key {
                self.abort(upload).await?;
            }
        }
        let mut keys = found.keys;
        keys.retain(|found| found == key || tail::is_of(found, key));
        first_of(self.delete(&keys).await?)
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        let abort = self.clients.small.abort_multipart_upload();
        let abort = abort
            .bucket(&self.name)
            .key(self.path(&upload.key))
            .upload_id(&upload.id);
        match abort.send().await {
            Ok(_) => Ok(()),
            Err(error) => match failed("discard", &upload.key, error) {
                crate::Error::Missing(_) => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Removes the tails of a completed object.
    pub(super) async fn clear_tails(&self, key: &str, names: &[String], strays: bool) {
        if strays {
            self.remove_all_tails(key).await;
        } else {
            self.remove_tails(key, names).await;
        }
    }

    /// Removes tails that are no longer needed. Those that remain become leftovers.
    pub(super) async fn remove_tails(&self, key: &str, names: &[String]) {
        let tails: Vec<String> = names.iter().map(|name| tail::key(key, name)).collect();
        match self.delete(&tails).await {
            Ok(not_deleted) => {
                for (tail, error) in not_deleted {
                    self.leave(tail, &error);
                }
            }
            Err(error) => {
                for tail in tails {
                    self.leave(tail, &error);
                }
            }
        }
    }

    /// Removes all tails of an object, including those that no checkpoint knows.
    async fn remove_all_tails(&self, key: &str) {
        let removed = async {
            let mut found = Found::default();
            self.find_objects(&tail::key(key, ""), Depth::All, &mut found)
                .await?;
            found.keys.retain(|found| tail::is_of(found, key));
            first_of(self.delete(&found.keys).await?)
        };
        if let Err(error) = removed.await {
            // Their names are unknown: they are removed with the object.
            self.leave(key.to_owned(), &error);
        }
    }

    /// Records leftovers to be removed later.
    fn leave(&self, key: String, error: &Error) {
        tracing::warn!(object.key = key, %error, "tails of an upload stay in the bucket for now");
        self.remember(key);
    }

    /// Keeps leftovers until they are collected.
    pub(super) fn remember(&self, key: String) {
        let mut leftovers = self.leftovers.lock();
        if leftovers.len() < MOST_LEFTOVERS {
            leftovers.push(key);
        }
    }

    async fn find(&self, below: &str, depth: Depth) -> Result<Found> {
        let mut found = Found::default();
        // In this order, an upload that ends meanwhile is seen at least once.
        self.find_uploads(below, depth, &mut found).await?;
        self.find_objects(below, depth, &mut found).await?;
        Ok(found)
    }

    async fn find_objects(&self, below: &str, depth: Depth, found: &mut Found) -> Result<()> {
        let mut next = None;
        loop {
            let page = self.page(below, depth, next).await?;
            self.note_objects(&page, found);
            next = next_page(&page);
            if next.is_none() {
                return Ok(());
            }
        }
    }

    async fn page(
        &self,
        below: &str,
        depth: Depth,
        from: Option<String>,
    ) -> Result<ListObjectsV2Output> {
        let list = self.clients.small.list_objects_v2().bucket(&self.name);
        let list = list
            .prefix(self.path(below))
            .set_delimiter(depth.delimiter())
            .set_continuation_token(from);
        let page = list.send().await;
        page.map_err(|error| failed("list", below, error))
    }

    async fn find_uploads(&self, below: &str, depth: Depth, found: &mut Found) -> Result<()> {
        let (mut key, mut id) = (None, None);
        loop {
            let list = self.clients.small.list_multipart_uploads();
            let list = list
                .bucket(&self.name)
                .prefix(self.path(below))
                .set_delimiter(depth.delimiter())
                .set_key_marker(key)
                .set_upload_id_marker(id);
            let page = list.send().await;
            let page = page.map_err(|error| failed("list", below, error))?;
            self.note_uploads(&page, found);
            let more = page.is_truncated() == Some(true);
            (key, id) = (page.next_key_marker, page.next_upload_id_marker);
            if !more || key.is_none() {
                return Ok(());
            }
        }
    }

    fn note_objects(&self, page: &ListObjectsV2Output, found: &mut Found) {
        let paths = page.contents().iter().filter_map(|object| object.key());
        // Some servers list folders too.
        let keys = paths.filter(|path| !path.ends_with('/'));
        found.keys.extend(keys.filter_map(|path| self.key(path)));
        self.note_folders(page.common_prefixes(), found);
    }

    fn note_uploads(&self, page: &ListMultipartUploadsOutput, found: &mut Found) {
        for upload in page.uploads() {
            if let (Some(path), Some(id)) = (upload.key(), upload.upload_id())
                && let Some(key) = self.key(path)
            {
                let id = id.to_owned();
                found.uploads.push(Upload { key, id });
            }
        }
        self.note_folders(page.common_prefixes(), found);
    }

    fn note_folders(&self, folders: &[CommonPrefix], found: &mut Found) {
        let paths = folders.iter().filter_map(|folder| folder.prefix());
        found
            .folders
            .extend(paths.filter_map(|path| self.key(path)));
    }

    /// The key of a name in the bucket.
    fn key(&self, path: &str) -> Option<String> {
        path.strip_prefix(&self.prefix).map(str::to_owned)
    }
}
