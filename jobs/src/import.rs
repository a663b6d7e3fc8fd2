//! Import of what a distribution registry, or Harbor's, has stored: rows that point at the objects where
//! they are. No byte is copied, and the objects stay someone else's until they are adopted: neither garbage
//! collection nor sweeper deletes them, so that the old registry goes on serving.

mod layout;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use db::blob::{self, Committed, Place};
use db::quota::{self, Taking};
use db::{Db, Tx, manifest, project, repository, tag};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::manifest::ChildKind;
use model::{
    AccountId, Clock as _, Digest, Manifest, ProjectId, ProjectName, RepositoryId, RepositoryName,
    SystemClock, Tag, Timestamp,
};
use storage::BlobStore;

use crate::{Error, Result};
use layout::{Entry, Layout};

/// What to import, and into what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the other registry within the store: `docker/registry/v2`.
    pub root: String,
    /// The project of repositories whose name has one part only.
    pub project: Option<ProjectName>,
    /// How long blobs are kept that no manifest names.
    pub grace: Duration,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Repositories.
    pub repositories: u64,
    /// Blobs that are linked.
    pub blobs: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// What could not be imported, and why.
    pub skipped: Vec<String>,
}

/// Objects that are read at a time.
const READS: usize = 16;
/// Rows of one transaction.
const BATCH: usize = 200;
/// Largest link file.
const LINK: u64 = 256;

/// What one repository of the other registry has.
#[derive(Default)]
struct Found {
    tags: BTreeMap<String, u64>,
    manifests: BTreeSet<Digest>,
    layers: BTreeSet<Digest>,
}

/// Imports all repositories. May be run again: what is there already stays.
///
/// # Errors
/// When the store cannot be read or the database cannot be written.
pub async fn import(
    db: &Db,
    store: &Arc<dyn BlobStore>,
    options: &Options,
    now: Timestamp,
) -> Result<Imported> {
    let layout = Layout::new(&options.root);
    let sizes = sizes(store, &layout).await?;
    let mut import = Import {
        db,
        store,
        layout: &layout,
        sizes: &sizes,
        now,
        grace: options.grace,
        done: Imported::default(),
    };
    for (name, found) in repositories(store, &layout).await? {
        let target = match target(&name, options.project.as_ref()) {
            Ok(target) => target,
            Err(reason) => {
                import.skip(&name, &reason);
                continue;
            }
        };
        import.repository(&name, target, found).await?;
    }
    Ok(import.done)
}

/// All blobs of the other registry, and how long they are.
async fn sizes(store: &Arc<dyn BlobStore>, layout: &Layout) -> Result<BTreeMap<Digest, u64>> {
    let mut walk = store.walk(&layout.blobs()).await?;
    let mut sizes = BTreeMap::new();
    while let Some((key, size)) = walk.try_next().await? {
        if let Some(digest) = layout.digest_of(&key) {
            sizes.insert(digest, size);
        }
    }
    Ok(sizes)
}

async fn repositories(
    store: &Arc<dyn BlobStore>,
    layout: &Layout,
) -> Result<BTreeMap<String, Found>> {
    let mut walk = store.walk(&layout.repositories()).await?;
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    while let Some((key, size)) = walk.try_next().await? {
        let Some((name, entry)) = layout.entry_of(&key) else {
            continue;
        };
        let repository = found.entry(name.to_owned()).or_default();
        match entry {
            Entry::Tag(tag) => drop(repository.tags.insert(tag.to_owned(), size)),
            Entry::Manifest(digest) => drop(repository.manifests.insert(digest)),
            Entry::Layer(digest) => drop(repository.layers.insert(digest)),
        }
    }
    Ok(found)
}

/// The name that a repository gets here.
fn target(name: &str, project: Option<&ProjectName>) -> Result<RepositoryName, String> {
    let full = match (name.contains('/'), project) {
        (true, _) => name.to_owned(),
        (false, Some(project)) => format!("{project}/{name}"),
        (false, None) => return Err("its name has one part: say --project".to_owned()),
    };
    full.parse().map_err(|error| format!("{error}"))
}

struct Import<'a> {
    db: &'a Db,
    store: &'a Arc<dyn BlobStore>,
    layout: &'a Layout,
    sizes: &'a BTreeMap<Digest, u64>,
    now: Timestamp,
    grace: Duration,
    done: Imported,
}

/// Where a repository's rows go.
#[derive(Clone)]
struct Target {
    project: ProjectId,
    repository: RepositoryId,
    name: RepositoryName,
}

impl Target {
    fn place(&self) -> Place<'_> {
        Place {
            project: self.project,
            repository: self.repository,
            name: &self.name,
            taking: Taking::Alone,
        }
    }
}

impl Import<'_> {
    fn skip(&mut self, what: &str, reason: &str) {
        self.done.skipped.push(format!("{what}: {reason}"));
    }

    async fn repository(&mut self, source: &str, name: RepositoryName, found: Found) -> Result<()> {
        let target = self.make(name).await?;
        self.layers(&target, &found.layers).await?;
        self.manifests(&target, &found.manifests).await?;
        self.tags(source, &target, &found.tags).await?;
        self.done.repositories += 1;
        Ok(())
    }

    /// The repository, and its project where there is none: a private one.
    async fn make(&self, name: RepositoryName) -> Result<Target> {
        let now = self.now;
        let made = self.db.write(move |tx| {
            Box::pin(async move {
                let owner = name.project();
                let project = match project::by_name(tx, &owner).await? {
                    Some(project) => project.id,
                    None => project::create(tx, &owner, AccountId::ADMIN, false, -1, now).await?,
                };
                Ok::<_, Error>(Target {
                    project,
                    repository: repository::ensure(tx, project, &name, now).await?,
                    name,
                })
            })
        });
        made.await
    }

    async fn layers(&mut self, target: &Target, layers: &BTreeSet<Digest>) -> Result<()> {
        let mut known = Vec::new();
        for digest in layers {
            match self.sizes.get(digest) {
                Some(size) => known.push((*digest, self.layout.blob(digest), *size)),
                None => self.skip(
                    &format!("{}@{digest}", target.name),
                    "its bytes are missing",
                ),
            }
        }
        for batch in known.chunks(BATCH) {
            let (target, batch) = (target.clone(), batch.to_vec());
            // Counted anew: an import may take longer than a lease.
            let (now, lease) = (self.now, SystemClock.now().plus(self.grace));
            self.done.blobs += batch.len() as u64;
            let linked = self.db.write(move |tx| {
                Box::pin(async move {
                    quota::hold(tx, target.project).await?;
                    for (digest, key, size) in &batch {
                        link(tx, &target, (digest, key, *size), (now, lease)).await?;
                    }
                    Ok::<_, Error>(())
                })
            });
            linked.await?;
        }
        Ok(())
    }

    /// Manifests, those first that others list.
    async fn manifests(&mut self, target: &Target, digests: &BTreeSet<Digest>) -> Result<()> {
        let reads = stream::iter(digests.iter().copied()).map(|digest| self.payload(digest));
        let read: Vec<Payload> = reads.buffered(READS).try_collect().await?;
        let mut waiting: Vec<(Digest, Bytes, Manifest)> = Vec::new();
        for (digest, payload) in read {
            let parsed = payload
                .ok_or_else(|| "its bytes are missing".to_owned())
                .and_then(|bytes| match Manifest::parse(None, &bytes) {
                    Ok(manifest) => Ok((digest, bytes, manifest)),
                    Err(error) => Err(error.to_string()),
                });
            match parsed {
                Ok(parsed) => waiting.push(parsed),
                Err(reason) => self.skip(&format!("{}@{digest}", target.name), &reason),
            }
        }
        while !waiting.is_empty() {
            let pending: BTreeSet<Digest> = waiting.iter().map(|(digest, ..)| *digest).collect();
            let depends = |manifest: &Manifest| {
                let mut children = manifest.children.iter();
                children.any(|child| {
                    child.kind == ChildKind::Manifest && pending.contains(&child.digest)
                })
            };
            let (later, ready): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|(_, _, manifest)| depends(manifest));
            if ready.is_empty() {
                for (digest, ..) in later {
                    self.skip(&format!("{}@{digest}", target.name), "it lists itself");
                }
                return Ok(());
            }
            for batch in ready.chunks(BATCH) {
                self.store(target, batch.to_vec()).await?;
            }
            waiting = later;
        }
        Ok(())
    }

    async fn store(
        &mut self,
        target: &Target,
        batch: Vec<(Digest, Bytes, Manifest)>,
    ) -> Result<()> {
        let (to, now) = (target.clone(), self.now);
        let count = batch.len() as u64;
        let stored = self.db.write(move |tx| {
            Box::pin(async move {
                quota::hold(tx, to.project).await?;
                let mut skipped = Vec::new();
                for (digest, payload, parsed) in &batch {
                    let found =
                        manifest::find_children(tx, to.repository, &parsed.children).await?;
                    if found.contains(&manifest::Found::Missing) {
                        skipped.push(*digest);
                        continue;
                    }
                    let what = (parsed, &payload[..]);
                    manifest::store(tx, to.place(), digest, what, &found, now)
                        .await?
                        .map_err(|over| Error::OverLimit(to.name.clone(), over))?;
                }
                repository::publish(tx, to.repository, now).await?;
                Ok::<_, Error>(skipped)
            })
        });
        let skipped = stored.await?;
        self.done.manifests += count - skipped.len() as u64;
        for digest in skipped {
            let what = format!("{}@{digest}", target.name);
            self.skip(&what, "it names what the repository does not have");
        }
        Ok(())
    }

    async fn tags(
        &mut self,
        source: &str,
        target: &Target,
        tags: &BTreeMap<String, u64>,
    ) -> Result<()> {
        let reads = stream::iter(tags).map(|(tag, size)| self.pointed_at(source, tag, *size));
        let read: Vec<(String, Option<Digest>)> = reads.buffered(READS).try_collect().await?;
        let mut known = Vec::new();
        for (name, digest) in read {
            match (name.parse::<Tag>(), digest) {
                (Ok(tag), Some(digest)) => known.push((tag, digest)),
                _ => self.skip(
                    &format!("{}:{name}", target.name),
                    "no tag, or it leads nowhere",
                ),
            }
        }
        for batch in known.chunks(BATCH) {
            let (to, batch, now) = (target.clone(), batch.to_vec(), self.now);
            let count = batch.len() as u64;
            let set = self.db.write(move |tx| {
                Box::pin(async move {
                    let mut skipped = Vec::new();
                    for (name, digest) in batch {
                        match manifest::id(tx, to.repository, &digest).await? {
                            Some(id) => {
                                tag::set(tx, (to.repository, &to.name), &name, id, now).await?
                            }
                            None => skipped.push(name),
                        }
                    }
                    Ok::<_, Error>(skipped)
                })
            });
            let skipped = set.await?;
            self.done.tags += count - skipped.len() as u64;
            for tag in skipped {
                let what = format!("{}:{tag}", target.name);
                self.skip(&what, "its manifest was not imported");
            }
        }
        Ok(())
    }

    /// The bytes of a manifest; `None` where they are missing.
    async fn payload(&self, digest: Digest) -> Result<Payload> {
        let Some(size) = self.sizes.get(&digest) else {
            return Ok((digest, None));
        };
        let key = self.layout.blob(&digest);
        Ok((digest, Some(self.read(&key, *size).await?)))
    }

    /// The digest that a tag points at.
    async fn pointed_at(
        &self,
        source: &str,
        tag: &str,
        size: u64,
    ) -> Result<(String, Option<Digest>)> {
        let key = self.layout.tag(source, tag);
        let link = self.read(&key, size.min(LINK)).await?;
        let digest = str::from_utf8(&link)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        Ok((tag.to_owned(), digest))
    }

    async fn read(&self, key: &str, size: u64) -> Result<Bytes> {
        let chunks = self.store.read(key, 0..size).await?;
        let chunks: Vec<Bytes> = chunks.try_collect().await?;
        Ok(chunks.concat().into())
    }
}

type Payload = (Digest, Option<Bytes>);

async fn link(
    tx: &mut Tx,
    target: &Target,
    (digest, key, size): (&Digest, &str, u64),
    (now, lease): (Timestamp, Timestamp),
) -> Result<()> {
    let row = match blob::commit_foreign(tx, digest, key, size, now).await? {
        Committed::New(row) | Committed::Known(row) => row,
    };
    blob::link(tx, target.place(), &row, lease)
        .await?
        .map_err(|over| Error::OverLimit(target.name.clone(), over))
}
