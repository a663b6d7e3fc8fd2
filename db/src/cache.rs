//! Caches of database reads. With SQLite all writes pass through one writer, which invalidates what it changed before
//! the commit is reported. With PostgreSQL other replicas write too: data that never changes is cached, and permissions
//! for a moment, for callers that accept this.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use model::{Digest, ManifestId, PrincipalId, ProjectId, ProjectName, RepositoryName, Tag};
use moka::sync::Cache;
use parking_lot::Mutex;
use policy::{Authority, ProjectFacts, Roles};
use tokio::sync::Notify;

use crate::content::{LinkedBlob, StoredManifest};
use crate::touch::Touch;

/// How old an answer may be if other processes write too; otherwise all answers are current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Current.
    Now,
    /// Up to a second, for permission to pull: a revoked right ends within two.
    Moments,
}

/// The maximum age for [`Age::Moments`].
const MOMENTS: Duration = Duration::from_secs(1);

/// All caches.
pub struct Caches {
    /// Projects by name; absent ones too, so that timing does not reveal hidden ones.
    pub projects: Cached<ProjectName, Option<Arc<ProjectFacts>>>,
    /// Principals' own rights.
    pub principals: Cached<PrincipalId, Arc<Authority>>,
    /// Roles of principals in projects, including none.
    pub bindings: Cached<(PrincipalId, ProjectId), Roles>,
    /// What a tag points at.
    pub tags: Cached<(RepositoryName, Tag), Digest>,
    /// Manifests of a repository.
    pub manifests: Cached<(RepositoryName, Digest), Arc<StoredManifest>>,
    /// Blobs that a repository links.
    pub blobs: Cached<(RepositoryName, Digest), Arc<LinkedBlob>>,
    /// Manifests by row and digest, which never change; only where `manifests` holds none. The digest is part of the
    /// key because a server that lost its last transactions assigns the same ids again.
    pub rows: Option<Cache<(ManifestId, Digest), Arc<StoredManifest>>>,
    /// Not a cache, but notified by commits in the same way: this process added jobs.
    pub(crate) jobs_added: Notify,
}

fn manifests<K: Hash + Eq + Send + Sync + 'static>() -> Cache<K, Arc<StoredManifest>> {
    Cache::builder()
        .max_capacity(MANIFEST_BYTES)
        .weigher(|_, manifest: &Arc<StoredManifest>| {
            u32::try_from(manifest.payload.len() + 512).unwrap_or(u32::MAX)
        })
        .build()
}

/// Maximum bytes of cached manifests.
const MANIFEST_BYTES: u64 = 24 << 20;
/// Maximum entries of the other caches.
const ENTRIES: u64 = 50_000;

impl Caches {
    pub(crate) fn alone() -> Self {
        Self {
            projects: Cached::new(Some(Cache::new(ENTRIES))),
            principals: Cached::new(Some(Cache::new(ENTRIES))),
            bindings: Cached::new(Some(Cache::new(ENTRIES))),
            tags: Cached::new(Some(Cache::new(ENTRIES))),
            manifests: Cached::new(Some(manifests())),
            blobs: Cached::new(Some(Cache::new(ENTRIES))),
            rows: None,
            jobs_added: Notify::new(),
        }
    }

    pub(crate) fn shared() -> Self {
        Self {
            projects: Cached::recent(),
            principals: Cached::recent(),
            bindings: Cached::recent(),
            tags: Cached::new(None),
            manifests: Cached::new(None),
            blobs: Cached::new(None),
            rows: Some(manifests()),
            jobs_added: Notify::new(),
        }
    }

    pub(crate) fn apply(&self, touched: &[Touch]) {
        for touch in touched {
            match touch {
                Touch::Project(name) => self.projects.forget(name),
                Touch::Principal(principal) => self.principals.forget(principal),
                Touch::Member(principal, project) => self.bindings.forget(&(*principal, *project)),
                Touch::Bindings => self.bindings.forget_all(),
                Touch::Tag(repository, tag) => self.tags.forget(&(repository.clone(), tag.clone())),
                Touch::Manifest(repository, digest) => {
                    self.manifests.forget(&(repository.clone(), *digest));
                }
                Touch::Blob(repository, digest) => {
                    self.blobs.forget(&(repository.clone(), *digest))
                }
                Touch::Jobs => self.jobs_added.notify_one(),
                Touch::Everything => self.forget_everything(),
            }
        }
    }

    fn forget_everything(&self) {
        self.projects.forget_all();
        self.principals.forget_all();
        self.bindings.forget_all();
        self.tags.forget_all();
        self.manifests.forget_all();
        self.blobs.forget_all();
    }

    /// Names of the caches and their numbers of entries, for metrics.
    pub fn sizes(&self) -> [(&'static str, u64); 6] {
        let rows = self.rows.as_ref().map_or(0, Cache::entry_count);
        [
            ("projects", self.projects.len()),
            ("principals", self.principals.len()),
            ("bindings", self.bindings.len()),
            ("tags", self.tags.len()),
            ("manifests", self.manifests.len() + rows),
            ("blobs", self.blobs.len()),
        ]
    }
}

/// A cache whose entries are never older than the last invalidation: a value read before an invalidation is not
/// inserted after it.
pub struct Cached<K, V> {
    entries: Option<Cache<K, V>>,
    /// Whether entries stay valid until they are invalidated.
    exact: bool,
    /// Counts invalidations; locked while an entry is inserted or removed, never while one is read.
    generation: Mutex<u64>,
}

/// Proof of when a value was read.
#[derive(Clone, Copy)]
pub struct ReadAt(u64);

impl<K, V> Cached<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn new(entries: Option<Cache<K, V>>) -> Self {
        Self {
            entries,
            exact: true,
            generation: Mutex::new(0),
        }
    }

    /// A cache whose entries are valid for a moment.
    fn recent() -> Self {
        let entries = Cache::builder()
            .max_capacity(ENTRIES)
            .time_to_live(MOMENTS)
            .build();
        Self {
            exact: false,
            ..Self::new(Some(entries))
        }
    }

    /// The entry, if there is a valid one.
    pub fn get(&self, key: &K) -> Option<V> {
        self.get_of(key, Age::Now)
    }

    /// The entry, if there is one of that age.
    pub fn get_of(&self, key: &K, age: Age) -> Option<V> {
        if age == Age::Now && !self.exact {
            return None;
        }
        self.entries.as_ref()?.get(key)
    }

    /// Call this before reading the database.
    pub fn before_read(&self) -> ReadAt {
        ReadAt(*self.generation.lock())
    }

    /// Stores what was read, unless something was invalidated since.
    pub fn put(&self, read_at: ReadAt, key: K, value: V) {
        let Some(entries) = &self.entries else { return };
        let generation = self.generation.lock();
        if *generation == read_at.0 {
            entries.insert(key, value);
        }
    }

    fn forget(&self, key: &K) {
        let Some(entries) = &self.entries else { return };
        let mut generation = self.generation.lock();
        *generation += 1;
        entries.invalidate(key);
    }

    fn forget_all(&self) {
        let Some(entries) = &self.entries else { return };
        let mut generation = self.generation.lock();
        *generation += 1;
        entries.invalidate_all();
    }

    fn len(&self) -> u64 {
        self.entries.as_ref().map_or(0, Cache::entry_count)
    }
}
