//! Imports the storage of a distribution registry, or of Harbor: creates rows that point to the objects where they are.
//! No byte is copied, and the objects stay foreign until they are adopted: neither garbage collection nor the sweeper
//! deletes them, so the old registry keeps working.

mod layout;

use std::collections::{BTreeMap, BTreeSet};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use db::blob::{self, Place, Proof};
use db::immutability::Immutability;
use db::quota::{self, Taking};
use db::tag::Onto;
use db::{Db, Tx, manifest, project, repository, tag};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::manifest::ChildKind;
use model::{
    Clock as _, Digest, Event, Hasher, Manifest, Operation, Origin, ProjectId, ProjectName,
    RepositoryId, RepositoryName, ResourceType, StorageLimit, Subject, SystemClock, Tag, Timestamp,
};
use policy::{CreateProjectPermit, SystemPermit};
use registry::LARGEST_MANIFEST;
use registry::size::wrong_sizes;
use storage::{BlobStore, Walk};
use tenancy::project::NewProject;

use crate::maintenance::progress::{LISTED, Progress};
use crate::{Error, Result};
use layout::{Entry, Layout};

/// What to import, and into what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the other registry within the store: `docker/registry/v2`.
    pub root: String,
    /// The project for repositories whose name has only one part.
    pub project: Option<ProjectName>,
    /// The storage limit of newly created projects.
    pub limit: StorageLimit,
    /// How long to keep blobs that no manifest names.
    pub grace: Duration,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Repositories.
    pub repositories: u64,
    /// Linked blobs, which are those that a manifest names.
    pub blobs: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Imported despite a problem, and the problem.
    pub warnings: Vec<String>,
    /// Tags left unchanged because they were pushed here, or are immutable.
    pub kept: Vec<String>,
    /// Items that could not be imported, and why.
    pub skipped: Vec<String>,
}

/// Objects to read concurrently.
const READS: usize = 16;
/// Rows per transaction.
const BATCH: usize = 200;
/// Maximum size of a link file.
const LINK: u64 = 256;

/// The content of a repository of the other registry.
#[derive(Default)]
struct Found {
    tags: BTreeMap<String, u64>,
    manifests: BTreeSet<Digest>,
    layers: BTreeSet<Digest>,
}

/// A manifest whose bytes match its digest.
#[derive(Clone)]
struct Whole {
    digest: Digest,
    bytes: Bytes,
    manifest: Manifest,
}

/// Why an item is skipped.
type Reason = String;

/// Imports all repositories. Can be run again: existing content stays, and a tag follows the other registry unless a
/// push set it here, or a rule makes it immutable. Damaged items are reported and skipped: manifests are hashed, and a blob's size is compared with
/// the size that its manifests state; if they differ, or if the blob is marked as lost, its bytes are read and hashed.
/// A blob that no manifest names is left alone, because its correct size is unknown. Counts the objects that it lists,
/// and then repositories, in `progress`.
///
/// # Errors
/// [`Error::NoRegistry`] if there is nothing at the root; when the store cannot be used at all, or the database cannot
/// be written.
pub async fn import(
    db: &Db,
    store: &Arc<dyn BlobStore>,
    permit: &CreateProjectPermit,
    options: &Options,
    now: Timestamp,
    progress: &Progress,
) -> Result<Imported> {
    let layout = Layout::new(&options.root);
    progress.begin(LISTED, None, None);
    let sizes = sizes(store, &layout, progress).await?;
    let (found, broken) = repositories(store, &layout, progress).await?;
    if sizes.is_empty() && found.is_empty() && broken.is_empty() {
        return Err(Error::NoRegistry(options.root.clone()));
    }
    let mut import = Import {
        db,
        store,
        permit,
        layout: &layout,
        sizes: &sizes,
        hashed: BTreeMap::new(),
        now,
        limit: options.limit,
        grace: options.grace,
        done: Imported::default(),
    };
    for link in &broken {
        import.skip(link, "it is a link that leads nowhere");
    }
    progress.begin("repositories", Some(found.len() as u64), None);
    for (name, found) in found {
        match target(&name, options.project.as_ref()) {
            Ok(target) => import.repository(&name, target, found).await?,
            Err(reason) => import.skip(&name, &reason),
        }
        progress.count();
    }
    Ok(import.done)
}

/// Makes all imported objects Gantry's own, to be collected like others; returns how many.
///
/// # Errors
/// When the database cannot be written.
pub async fn adopt(db: &Db, permit: &SystemPermit, now: Timestamp) -> Result<u64> {
    let subject = Subject::Installation(ResourceType::Import, "adopt".to_owned());
    let event = Event::new(now, permit.caller().origin(), Operation::Update, subject);
    let adopted = db.write(move |tx| {
        Box::pin(async move {
            let adopted = blob::adopt(tx).await?;
            tx.record(&event).await?;
            Ok::<_, db::Error>(adopted)
        })
    });
    Ok(adopted.await?)
}

/// All blobs of the other registry, and their sizes. A broken link is a missing blob.
async fn sizes(
    store: &Arc<dyn BlobStore>,
    layout: &Layout,
    progress: &Progress,
) -> Result<BTreeMap<Digest, u64>> {
    let mut walk = store.walk(&layout.blobs()).await?;
    let (mut sizes, mut broken) = (BTreeMap::new(), Vec::new());
    while let Some((key, size)) = whole(&mut walk, &mut broken).await? {
        progress.count();
        if let Some(digest) = layout.digest_of(&key) {
            sizes.insert(digest, size);
        }
    }
    Ok(sizes)
}

/// All repositories of the other registry, and the broken links below them.
async fn repositories(
    store: &Arc<dyn BlobStore>,
    layout: &Layout,
    progress: &Progress,
) -> Result<(BTreeMap<String, Found>, Vec<String>)> {
    let mut walk = store.walk(&layout.repositories()).await?;
    let (mut found, mut broken) = (BTreeMap::<String, Found>::new(), Vec::new());
    while let Some((key, size)) = whole(&mut walk, &mut broken).await? {
        progress.count();
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
    Ok((found, broken))
}

/// The next entry of a walk; broken links go into `broken`.
async fn whole(walk: &mut Walk, broken: &mut Vec<String>) -> Result<Option<(String, u64)>> {
    loop {
        match walk.try_next().await {
            Err(storage::Error::Missing(link)) => broken.push(link),
            next => return Ok(next?),
        }
    }
}

/// The repository's name in Gantry.
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
    permit: &'a CreateProjectPermit,
    layout: &'a Layout,
    sizes: &'a BTreeMap<Digest, u64>,
    /// Actual digests of blobs that were read because their size was doubtful.
    hashed: BTreeMap<Digest, Result<Digest, Reason>>,
    now: Timestamp,
    limit: StorageLimit,
    grace: Duration,
    done: Imported,
}

/// The target of a repository's rows.
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

/// What manifests state about a blob.
#[derive(Default)]
struct Stated {
    sizes: BTreeSet<i64>,
    /// True if one of them requires it in the repository.
    needed: bool,
}

/// All blobs that manifests name.
fn named_by(manifests: &[Whole]) -> BTreeMap<Digest, Stated> {
    let mut named: BTreeMap<Digest, Stated> = BTreeMap::new();
    let children = manifests.iter().flat_map(|whole| &whole.manifest.children);
    for child in children.filter(|child| child.kind != ChildKind::Manifest) {
        let stated = named.entry(child.digest).or_default();
        stated.sizes.insert(child.size);
        stated.needed |= child.kind == ChildKind::Blob;
    }
    named
}

impl Import<'_> {
    fn skip(&mut self, what: &str, reason: &str) {
        self.done.skipped.push(format!("{what}: {reason}"));
    }

    async fn repository(&mut self, source: &str, name: RepositoryName, found: Found) -> Result<()> {
        let manifests = self.read_manifests(&name, &found.manifests).await?;
        let blobs = self.sound_blobs(&name, &found.layers, &manifests).await?;
        let target = self.make(name).await?;
        let imported = self.link_blobs(&target, &blobs).await;
        let imported = match imported {
            Ok(()) => self.store_manifests(&target, manifests).await,
            failed => failed,
        };
        match imported {
            Err(Error::OverLimit(name, over)) => {
                let reason = format!(
                    "its project may hold {} bytes, holds {}, and would get {} more",
                    over.limit, over.used, over.adding
                );
                self.skip(name.as_str(), &reason);
            }
            imported => imported?,
        }
        self.tags(source, &target, &found.tags).await?;
        self.done.repositories += 1;
        Ok(())
    }

    /// Manifests that match their digests.
    async fn read_manifests(
        &mut self,
        name: &RepositoryName,
        digests: &BTreeSet<Digest>,
    ) -> Result<Vec<Whole>> {
        let reads = stream::iter(digests.iter().copied()).map(|digest| self.manifest(digest));
        let read: Vec<_> = reads.buffered(READS).try_collect().await?;
        let mut manifests = Vec::new();
        for (digest, manifest) in read {
            match manifest {
                Ok(manifest) => manifests.push(manifest),
                Err(reason) => self.skip(&format!("{name}@{digest}"), &reason),
            }
        }
        Ok(manifests)
    }

    async fn manifest(&self, digest: Digest) -> Result<(Digest, Result<Whole, Reason>)> {
        let Some(size) = self.sizes.get(&digest) else {
            return Ok((digest, Err(MISSING.to_owned())));
        };
        if *size > LARGEST_MANIFEST as u64 {
            let reason =
                format!("a manifest has at most {LARGEST_MANIFEST} bytes, this one {size}");
            return Ok((digest, Err(reason)));
        }
        let read = self.read(&self.layout.blob(&digest), *size).await?;
        Ok((digest, read.and_then(|bytes| parse(digest, bytes))))
    }

    /// Intact blobs that the repository links and a manifest names.
    async fn sound_blobs(
        &mut self,
        name: &RepositoryName,
        linked: &BTreeSet<Digest>,
        manifests: &[Whole],
    ) -> Result<Vec<(Digest, u64)>> {
        let mut sound = Vec::new();
        let named = named_by(manifests).into_iter();
        for (digest, stated) in named.filter(|(digest, _)| linked.contains(digest)) {
            let Some(size) = self.sizes.get(&digest) else {
                if stated.needed {
                    self.skip(&format!("{name}@{digest}"), MISSING);
                }
                continue;
            };
            let agreed = stated.sizes.iter().all(|stated| *stated as u64 == *size);
            let checked = if agreed {
                Ok(digest)
            } else {
                self.hash(digest, *size).await?
            };
            match checked {
                Ok(actual) if actual == digest => sound.push((digest, *size)),
                Ok(actual) => {
                    let sizes: Vec<String> = stated.sizes.iter().map(i64::to_string).collect();
                    let reason = format!(
                        "it has {size} bytes with digest {actual}, and its manifests state {} bytes",
                        sizes.join(" and ")
                    );
                    self.skip(&format!("{name}@{digest}"), &reason);
                }
                Err(reason) => self.skip(&format!("{name}@{digest}"), &reason),
            }
        }
        Ok(sound)
    }

    /// The digest of a blob's bytes, computed once however many repositories link it.
    async fn hash(&mut self, digest: Digest, size: u64) -> Result<Result<Digest, Reason>> {
        if let Some(known) = self.hashed.get(&digest) {
            return Ok(known.clone());
        }
        let hashed = match self
            .hash_object(&self.layout.blob(&digest), digest, size)
            .await
        {
            Ok(hashed) => Ok(hashed),
            Err(error) => Err(reason(error)?),
        };
        self.hashed.insert(digest, hashed.clone());
        Ok(hashed)
    }

    async fn hash_object(&self, key: &str, digest: Digest, size: u64) -> storage::Result<Digest> {
        let mut hasher = Hasher::new(digest.algorithm());
        let mut chunks = self.store.read(key, 0..size).await?;
        while let Some(bytes) = chunks.try_next().await? {
            hasher.update(&bytes);
        }
        Ok(hasher.finish())
    }

    /// The repository, and its project, which is created as private if missing.
    async fn make(&self, name: RepositoryName) -> Result<Target> {
        let (now, project) = (self.now, self.project(&name.project()).await?);
        let made = self.db.write_in(project, move |tx| {
            Box::pin(async move {
                Ok::<_, Error>(Target {
                    project,
                    repository: repository::ensure(tx, project, &name, now).await?,
                    name,
                })
            })
        });
        made.await
    }

    /// The project with a name, created if missing.
    async fn project(&self, name: &ProjectName) -> Result<ProjectId> {
        if let Some(id) = self.known_project(name).await? {
            return Ok(id);
        }
        let new = NewProject::named(name.clone(), false, self.limit);
        match tenancy::project::create(self.db, self.permit, new, self.now).await {
            // It was created meanwhile.
            Err(tenancy::Error::ProjectExists(_)) => {
                let known = self.known_project(name).await?;
                known.ok_or(Error::Database(db::Error::ProjectGone))
            }
            made => Ok(made?),
        }
    }

    async fn known_project(&self, name: &ProjectName) -> Result<Option<ProjectId>> {
        let found = project::by_name(&mut self.db.reader().await?, name).await?;
        Ok(found.map(|project| project.id))
    }

    async fn link_blobs(&mut self, target: &Target, blobs: &[(Digest, u64)]) -> Result<()> {
        for batch in blobs.chunks(BATCH) {
            let lost = self.link_batch(target, batch, Proof::Size).await?;
            let mut whole = Vec::new();
            for (digest, size) in lost {
                let hashed = self.hash(digest, size).await?;
                let reason = match hashed {
                    Ok(actual) if actual == digest => {
                        whole.push((digest, size));
                        continue;
                    }
                    Ok(actual) => format!("it has {size} bytes with digest {actual}"),
                    Err(reason) => reason,
                };
                self.skip(&format!("{}@{digest}", target.name), &reason);
            }
            self.link_batch(target, &whole, Proof::Bytes).await?;
        }
        Ok(())
    }

    /// Links blobs; returns those marked as lost, whose bytes must be read first.
    async fn link_batch(
        &mut self,
        target: &Target,
        batch: &[(Digest, u64)],
        proof: Proof,
    ) -> Result<Vec<(Digest, u64)>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let keyed = batch
            .iter()
            .map(|(digest, size)| (*digest, self.layout.blob(digest), *size));
        let (to, keyed) = (target.clone(), keyed.collect::<Vec<_>>());
        // Computed again: an import may take longer than a lease.
        let (now, lease) = (self.now, SystemClock.now().plus(self.grace));
        let linked = self.db.write_in(target.project, move |tx| {
            Box::pin(async move {
                quota::hold(tx, to.project).await?;
                let mut lost = Vec::new();
                for (digest, key, size) in &keyed {
                    let object = blob::Object { key, size: *size };
                    if !link(tx, &to, digest, (object, proof), (now, lease)).await? {
                        lost.push((*digest, *size));
                    }
                }
                Ok::<_, Error>(lost)
            })
        });
        let lost = linked.await?;
        self.done.blobs += (batch.len() - lost.len()) as u64;
        Ok(lost)
    }

    /// Stores manifests, children before their indexes.
    async fn store_manifests(&mut self, target: &Target, mut waiting: Vec<Whole>) -> Result<()> {
        while !waiting.is_empty() {
            let pending: BTreeSet<Digest> = waiting.iter().map(|whole| whole.digest).collect();
            let depends = |manifest: &Manifest| {
                let mut children = manifest.children.iter();
                children.any(|child| {
                    child.kind == ChildKind::Manifest && pending.contains(&child.digest)
                })
            };
            let (later, ready): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|whole| depends(&whole.manifest));
            if ready.is_empty() {
                for whole in later {
                    let what = format!("{}@{}", target.name, whole.digest);
                    self.skip(&what, "it lists itself");
                }
                return Ok(());
            }
            for batch in ready.chunks(BATCH) {
                self.store_batch(target, batch.to_vec()).await?;
            }
            waiting = later;
        }
        Ok(())
    }

    async fn store_batch(&mut self, target: &Target, batch: Vec<Whole>) -> Result<()> {
        let (to, now) = (target.clone(), self.now);
        let stored = self.db.write_in(to.project, move |tx| {
            Box::pin(async move {
                quota::hold(tx, to.project).await?;
                let mut stored = Vec::new();
                for whole in &batch {
                    stored.push((whole.digest, store(tx, &to, whole, now).await?));
                }
                repository::publish(tx, to.repository, now).await?;
                Ok::<_, Error>(stored)
            })
        });
        for (digest, stored) in stored.await? {
            let what = format!("{}@{digest}", target.name);
            match stored {
                Ok(warnings) => {
                    self.done.manifests += 1;
                    let warnings = warnings.iter().map(|warning| format!("{what}: {warning}"));
                    self.done.warnings.extend(warnings);
                }
                Err(reason) => self.skip(&what, &reason),
            }
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
            let origin = self.permit.caller().origin();
            let count = batch.len() as u64;
            let set = self.db.write_in(to.project, move |tx| {
                Box::pin(async move {
                    let rules = Immutability::of(tx, to.project).await?;
                    let mut left = Vec::new();
                    for (name, digest) in batch {
                        let (to, by) = ((&to, &rules), (now, origin.clone()));
                        if let Err(why) = set_tag(tx, to, (&name, &digest), by).await? {
                            left.push((name, why));
                        }
                    }
                    Ok::<_, Error>(left)
                })
            });
            let left = set.await?;
            self.done.tags += count - left.len() as u64;
            for (tag, why) in left {
                let what = format!("{}:{tag}", target.name);
                match why {
                    Left::WithoutManifest => self.skip(&what, "its manifest was not imported"),
                    Left::Pushed => self.done.kept.push(format!("{what}: {PUSHED}")),
                    Left::Immutable => self.done.kept.push(format!("{what}: {IMMUTABLE}")),
                }
            }
        }
        Ok(())
    }

    /// The digest that a tag points to; `None` if its link cannot be read.
    async fn pointed_at(
        &self,
        source: &str,
        tag: &str,
        size: u64,
    ) -> Result<(String, Option<Digest>)> {
        let key = self.layout.tag(source, tag);
        let link = self.read(&key, size.min(LINK)).await?.unwrap_or_default();
        let digest = str::from_utf8(&link)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        Ok((tag.to_owned(), digest))
    }

    /// The bytes of an object, or why they cannot be read.
    async fn read(&self, key: &str, size: u64) -> Result<Result<Bytes, Reason>> {
        let chunks: storage::Result<Vec<Bytes>> = match self.store.read(key, 0..size).await {
            Ok(chunks) => chunks.try_collect().await,
            Err(error) => Err(error),
        };
        match chunks {
            Ok(chunks) => Ok(Ok(chunks.concat().into())),
            Err(error) => Ok(Err(reason(error)?)),
        }
    }
}

const MISSING: &str = "its bytes are missing";
const PUSHED: &str = "it was pushed here, and stays where it points";
const IMMUTABLE: &str = "a rule makes it immutable, and it stays where it points";

/// Why one object cannot be read. Fails if no other one could be read either.
fn reason(error: storage::Error) -> Result<Reason> {
    match error {
        storage::Error::Missing(_) => Ok(MISSING.to_owned()),
        storage::Error::Truncated(_) => Ok("its bytes are cut short".to_owned()),
        storage::Error::Failed { source, .. } => Ok(format!("it cannot be read: {source}")),
        error => Err(error.into()),
    }
}

fn parse(digest: Digest, bytes: Bytes) -> Result<Whole, Reason> {
    let actual = Digest::of(digest.algorithm(), &bytes);
    if actual != digest {
        let size = bytes.len();
        return Err(format!("it has {size} bytes with digest {actual}"));
    }
    match Manifest::parse(None, &bytes) {
        Ok(manifest) => Ok(Whole {
            digest,
            bytes,
            manifest,
        }),
        Err(error) => Err(error.to_string()),
    }
}

/// Stores a manifest. Returns a warning about a stored one, or why it was not stored.
async fn store(
    tx: &mut Tx,
    to: &Target,
    whole: &Whole,
    now: Timestamp,
) -> Result<Result<Vec<String>, Reason>> {
    let children = &whole.manifest.children;
    let found = manifest::find_children(tx, to.repository, children).await?;
    let mut missing = children.iter().zip(&found);
    if let Some((child, _)) = missing.find(|(_, found)| **found == manifest::Found::Missing) {
        let (field, digest) = (child.field, child.digest);
        return Ok(Err(format!(
            "it names {digest} ({field}) that was not imported"
        )));
    }
    let new = manifest::New {
        digest: &whole.digest,
        manifest: &whole.manifest,
        payload: &whole.bytes,
        found: &found,
        tags: &[],
    };
    let stored = manifest::store(tx, to.place(), new, now).await?;
    stored.map_err(|over| Error::OverLimit(to.name.clone(), over))?;
    let wrong = wrong_sizes(&whole.manifest, &found);
    Ok(Ok(wrong.iter().map(ToString::to_string).collect()))
}

/// Why a tag was left unchanged.
enum Left {
    WithoutManifest,
    Pushed,
    Immutable,
}

/// Points a tag to its manifest.
async fn set_tag(
    tx: &mut Tx,
    (to, rules): (&Target, &Immutability),
    (tag, digest): (&Tag, &Digest),
    (now, origin): (Timestamp, Origin),
) -> Result<Result<(), Left>> {
    let (at, tags) = (to.place(), slice::from_ref(tag));
    let Ok(claim) = tag::claim(tx, (at, rules), tags, digest, Onto::Imported).await? else {
        return Ok(Err(Left::Immutable));
    };
    let Some(found) = manifest::hold(tx, to.repository, digest).await? else {
        return Ok(Err(Left::WithoutManifest));
    };
    let subject = Subject::Artifact {
        project: to.project,
        repository: to.name.clone(),
        tag: None,
        digest: *digest,
    };
    let event = Event::new(now, origin, Operation::Create, subject).with_detail("imported");
    let set = tag::set(tx, at, claim, found.id, &event).await?;
    let is_there = set.is_ok() || tag::target(tx, to.repository, tag).await? == Some(*digest);
    Ok(is_there.then_some(()).ok_or(Left::Pushed))
}

/// Links a blob; returns false for one marked as lost whose bytes were not read yet.
async fn link(
    tx: &mut Tx,
    target: &Target,
    digest: &Digest,
    (object, proof): (blob::Object<'_>, Proof),
    (now, lease): (Timestamp, Timestamp),
) -> Result<bool> {
    let Some(row) = blob::commit_foreign(tx, digest, object, proof, now).await? else {
        return Ok(false);
    };
    blob::link(tx, target.place(), &row, lease)
        .await?
        .map_err(|over| Error::OverLimit(target.name.clone(), over))?;
    Ok(true)
}
