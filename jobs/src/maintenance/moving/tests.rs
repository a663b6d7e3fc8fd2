use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use db::Location;
use model::{Algorithm, Digest, ManualClock, Timestamp};
use storage::{
    BlobWriter, Checkpoint, Chunks, Existing, Finished, Identity, Memory, Moving, NotDeleted, Walk,
};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::stores::Place;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

/// A process that dies after so many steps: nothing it waits for comes back any more.
#[derive(Clone)]
struct Process {
    left: Arc<AtomicI64>,
    died: Arc<Notify>,
}

impl Process {
    fn of(steps: i64) -> Self {
        Self {
            left: Arc::new(steps.into()),
            died: Arc::default(),
        }
    }

    async fn step(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// A store as one process uses it. What was neither finished nor synced is lost when the power fails.
#[derive(Clone)]
struct Disk {
    process: Process,
    cached: Arc<Memory>,
    durable: Arc<Memory>,
}

impl Disk {
    fn new() -> Self {
        Self {
            process: Process::of(i64::MAX),
            cached: Arc::default(),
            durable: Arc::default(),
        }
    }

    fn used_by(&self, process: &Process) -> Arc<dyn BlobStore> {
        Arc::new(Self {
            process: process.clone(),
            ..self.clone()
        })
    }

    async fn after_power_loss(&self) -> Self {
        let after = Self::new();
        let objects: Vec<_> = self
            .durable
            .walk("")
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        for (key, _) in objects {
            transfer(&self.durable, &after.cached, &key).await;
            transfer(&self.durable, &after.durable, &key).await;
        }
        after
    }
}

async fn transfer(from: &Memory, to: &Memory, key: &str) {
    let size = from.size(key).await.unwrap().unwrap();
    let bytes: Vec<Bytes> = from
        .read(key, 0..size)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    to.discard(key).await.unwrap();
    put(to, key, &bytes.concat()).await;
}

async fn put(store: &dyn BlobStore, key: &str, bytes: &[u8]) {
    let writer = store
        .create(key, Hasher::new(Algorithm::Sha256))
        .await
        .unwrap();
    let bytes = vec![Bytes::copy_from_slice(bytes)];
    writer.finish(bytes).await.unwrap();
}

#[async_trait]
impl BlobStore for Disk {
    async fn create(&self, key: &str, hasher: Hasher) -> storage::Result<Box<dyn BlobWriter>> {
        self.process.step().await;
        let inner = self.cached.create(key, hasher).await?;
        let (disk, key) = (self.clone(), key.to_owned());
        Ok(Box::new(DiskWriter { disk, key, inner }))
    }

    async fn resume(&self, key: &str, at: Checkpoint) -> storage::Result<Box<dyn BlobWriter>> {
        self.cached.resume(key, at).await
    }

    async fn seal(&self, key: &str, at: Checkpoint) -> storage::Result<()> {
        self.cached.seal(key, at).await
    }

    async fn read(&self, key: &str, range: Range<u64>) -> storage::Result<Chunks> {
        self.process.step().await;
        self.cached.read(key, range).await
    }

    async fn size(&self, key: &str) -> storage::Result<Option<u64>> {
        self.process.step().await;
        self.cached.size(key).await
    }

    async fn sync(&self, key: &str) -> storage::Result<()> {
        self.process.step().await;
        self.cached.sync(key).await?;
        transfer(&self.cached, &self.durable, key).await;
        self.process.step().await;
        Ok(())
    }

    async fn detach(&self, _key: &str, finished: Finished) -> storage::Result<Finished> {
        Ok(finished)
    }

    async fn delete(&self, keys: &[String]) -> storage::Result<Vec<NotDeleted>> {
        self.process.step().await;
        self.cached.delete(keys).await?;
        self.durable.delete(keys).await?;
        self.process.step().await;
        Ok(Vec::new())
    }

    async fn discard(&self, key: &str) -> storage::Result<()> {
        self.delete(&[key.to_owned()]).await.map(|_| ())
    }

    async fn hours(&self) -> storage::Result<Vec<i64>> {
        self.cached.hours().await
    }

    async fn list(&self, hour: i64) -> storage::Result<Vec<String>> {
        self.cached.list(hour).await
    }

    async fn walk(&self, folder: &str) -> storage::Result<Walk> {
        self.cached.walk(folder).await
    }

    async fn forget_hour(&self, hour: i64) -> storage::Result<()> {
        self.cached.forget_hour(hour).await
    }

    async fn identity(&self) -> storage::Result<Option<Identity>> {
        self.cached.identity().await
    }

    async fn put_identity(
        &self,
        identity: &Identity,
        existing: Existing,
    ) -> storage::Result<Identity> {
        self.durable.put_identity(identity, existing).await?;
        self.cached.put_identity(identity, existing).await
    }

    async fn try_write(&self) -> storage::Result<()> {
        Ok(())
    }
}

struct DiskWriter {
    disk: Disk,
    key: String,
    inner: Box<dyn BlobWriter>,
}

#[async_trait]
impl BlobWriter for DiskWriter {
    async fn write(&mut self, batch: Vec<Bytes>) -> storage::Result<Option<Checkpoint>> {
        self.disk.process.step().await;
        self.inner.write(batch).await
    }

    async fn checkpoint(&mut self) -> storage::Result<Checkpoint> {
        self.inner.checkpoint().await
    }

    async fn abandon(self: Box<Self>) {
        self.inner.abandon().await;
    }

    async fn finish(self: Box<Self>, last: Vec<Bytes>) -> storage::Result<Finished> {
        let Self {
            disk,
            key,
            mut inner,
        } = *self;
        disk.process.step().await;
        let mut all = Bytes::from(last.concat());
        inner.write(vec![all.split_to(all.len() / 2)]).await?;
        disk.process.step().await;
        let finished = inner.finish(vec![all]).await?;
        disk.process.step().await;
        transfer(&disk.cached, &disk.durable, &key).await;
        disk.process.step().await;
        Ok(finished)
    }
}

/// A database with some blobs, and their bytes.
struct Installation {
    db: Db,
    clock: Arc<ManualClock>,
    blobs: Vec<(String, Vec<u8>)>,
    /// What waits to be deleted: an object, and what is left of one that was never finished.
    dead: [Garbage; 2],
    _folder: TempDir,
}

/// A file of somebody else, and an object that an import found: neither is removed.
const FOREIGN: &str = "2024/report.pdf";
const IMPORTED: &str = "docker/registry/v2/blobs/sha256/aa/data";

fn stores(from: Arc<dyn BlobStore>, to: Arc<dyn BlobStore>) -> Stores {
    let place = |store, name: &str| Place {
        store,
        name: name.to_owned(),
    };
    Stores {
        current: place(to, "the new store"),
        leaving: Some(place(from, "the old store")),
    }
}

impl Installation {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&Location::Sqlite(folder.path().join("t.db"))).await;
        let (db, clock) = (db.unwrap(), Arc::new(ManualClock::at(NOW)));
        let own = |number: u8| key::new(NOW, key::Process([7; 4]), [number; 16]);
        let mut blobs = vec![(IMPORTED.to_owned(), b"imported".to_vec())];
        blobs.push((own(1), vec![1; 3_000]));
        blobs.push((own(2), vec![2; 2_000]));
        let dead = [(own(3), false), (own(4), true)].map(|(key, unfinished)| Garbage {
            key,
            size: 0,
            unfinished,
        });
        let given_up = dead.clone();
        let add = db.write(move |tx| {
            Box::pin(async move {
                garbage::add(tx, &given_up, NOW.plus(Duration::from_secs(86_400))).await
            })
        });
        add.await.unwrap();
        for (key, bytes) in blobs.clone() {
            let digest = Digest::of(Algorithm::Sha256, &bytes);
            let size = bytes.len() as u64;
            let commit = db.write(move |tx| {
                Box::pin(async move {
                    let object = blob::Object { key: &key, size };
                    blob::commit(tx, &digest, object, NOW, NOW).await
                })
            });
            commit.await.unwrap();
        }
        Self {
            db,
            clock,
            blobs,
            dead,
            _folder: folder,
        }
    }

    /// The old store with all blobs, the new one with a copy of the last that has its length and nothing else,
    /// and which no disk has; both with identities.
    async fn disks(&self) -> (Disk, Disk) {
        let (from, to) = (Disk::new(), Disk::new());
        for (key, bytes) in &self.blobs {
            put(&from, key, bytes).await;
        }
        for object in &self.dead {
            put(&from, &object.key, b"given up").await;
        }
        put(&from, FOREIGN, b"quarterly").await;
        let (damaged, bytes) = self.blobs.last().unwrap();
        put(&*to.cached, damaged, &vec![0xff; bytes.len()]).await;
        (from, to)
    }

    async fn run(&self, (from, to): (&Disk, &Disk), process: &Process) -> Option<Moved> {
        let stores = stores(from.used_by(process), to.used_by(process));
        let clock: Arc<dyn Clock> = self.clock.clone();
        let progress = Progress::default();
        let moving = move_all(&self.db, &stores, Old::Removed, &clock, |_| {}, &progress);
        let moved = tokio::select! {
            moved = moving => Some(moved.unwrap()),
            () = process.died.notified() => None,
        };
        // The lease of a process that died ends.
        self.clock.advance(Duration::from_secs(60));
        moved
    }

    /// Fails unless every blob can be read, as a server reads it while blobs are moved.
    async fn is_whole(&self, from: &Disk, to: &Disk) {
        let store = Moving::new(Arc::new(from.clone()), Arc::new(to.clone()));
        for (key, bytes) in &self.blobs {
            let size = bytes.len() as u64;
            let digest = content::digest(&store, key, size, Algorithm::Sha256).await;
            assert_eq!(
                digest.unwrap(),
                Digest::of(Algorithm::Sha256, bytes),
                "{key}"
            );
        }
    }
}

/// Ties both stores to the database as a server does: first the old one alone, then with the new one.
async fn attach(installation: &Installation, from: &Disk, to: &Disk) -> [Identity; 2] {
    let (empty, target) = (Disk::new(), Disk::new());
    let place = |disk: &Disk| Place {
        store: Arc::new(disk.clone()),
        name: "a store".to_owned(),
    };
    let alone = Stores {
        current: place(&empty),
        leaving: None,
    };
    let clock = &*installation.clock;
    stores::attach(&installation.db, &alone, clock)
        .await
        .unwrap();
    let both = Stores {
        current: place(&target),
        leaving: Some(place(&empty)),
    };
    let attached = stores::attach(&installation.db, &both, clock)
        .await
        .unwrap();
    let identities = [attached.leaving.unwrap(), attached.current];
    for (disk, identity) in [from, to].into_iter().zip(&identities) {
        disk.put_identity(identity, Existing::Replaced)
            .await
            .unwrap();
    }
    identities
}

#[tokio::test]
async fn a_move_that_dies_at_any_step_loses_nothing() {
    let installation = Installation::new().await;
    let (from, to) = installation.disks().await;
    let identities = attach(&installation, &from, &to).await;
    for steps in 1.. {
        let (from, to) = installation.disks().await;
        for (disk, identity) in [&from, &to].into_iter().zip(&identities) {
            disk.put_identity(identity, Existing::Replaced)
                .await
                .unwrap();
        }
        let process = Process::of(steps);
        let moved = installation.run((&from, &to), &process).await;
        installation.is_whole(&from, &to).await;
        let (from_disk, to_disk) = (from.after_power_loss().await, to.after_power_loss().await);
        installation.is_whole(&from_disk, &to_disk).await;
        // The next run ends what this one began, and nothing but our own has gone.
        for (from, to) in [(&from, &to), (&from_disk, &to_disk)] {
            let again = installation
                .run((from, to), &Process::of(i64::MAX))
                .await
                .unwrap();
            assert_eq!(again.failed, Vec::<String>::new(), "after {steps} steps");
            let nothing = Disk::new();
            installation.is_whole(&nothing, to).await;
            let mut left: Vec<(String, u64)> =
                from.walk("").await.unwrap().try_collect().await.unwrap();
            left.retain(|(key, _)| key != storage::identity::KEY);
            let left: Vec<&str> = left.iter().map(|(key, _)| &**key).collect();
            assert_eq!(left, [FOREIGN, IMPORTED]);
            // Until it is due, a backup may need it.
            assert!(to.size(&installation.dead[0].key).await.unwrap().is_some());
        }
        if moved.is_some() {
            assert!(steps > 20, "only {steps} steps");
            return;
        }
    }
}

#[tokio::test]
async fn two_moves_do_not_run_at_once() {
    let installation = Installation::new().await;
    let clock: Arc<dyn Clock> = installation.clock.clone();
    let queue = Queue::of_command(installation.db.clone(), clock);
    let first = hold(&queue, Duration::ZERO).await;
    let first = first.unwrap().unwrap();
    let second = hold(&queue, Duration::ZERO).await;
    assert!(second.unwrap().is_none());
    first.run(async { Ok(()) }).await.unwrap();
    let third = hold(&queue, Duration::ZERO).await;
    assert!(third.unwrap().is_some());
}

#[tokio::test]
async fn what_was_lost_and_pushed_again_during_its_copy_leaves_no_copy_behind() {
    let installation = Installation::new().await;
    let (from, to) = (Disk::new(), Disk::new());
    let (key, bytes) = installation.blobs[1].clone();
    put(&from, &key, &bytes).await;
    let (digest, size) = (Digest::of(Algorithm::Sha256, &bytes), bytes.len() as u64);
    let mut tx = installation.db.reader().await.unwrap();
    let before = blob::live(&mut tx, &digest).await.unwrap().unwrap();
    drop(tx);
    let seen = before.clone();
    let healed = installation.db.write(move |tx| {
        Box::pin(async move {
            assert!(blob::mark_lost(tx, &seen, NOW).await?);
            let key = key::new(NOW, key::Process([7; 4]), [5; 16]);
            let object = blob::Object { key: &key, size };
            blob::commit(tx, &digest, object, NOW, NOW).await
        })
    });
    healed.await.unwrap();
    let (from, to): (Arc<dyn BlobStore>, Arc<dyn BlobStore>) = (Arc::new(from), Arc::new(to));
    let mover = Mover {
        db: &installation.db,
        from: &from,
        to: &to,
        old: Old::Removed,
        progress: &Progress::default(),
    };
    assert!(!mover.is_live(&before).await.unwrap());
    mover.move_one(&before).await.unwrap();
    assert_eq!(to.size(&key).await.unwrap(), None);
    assert!(
        from.size(&key).await.unwrap().is_some(),
        "it waits to be deleted"
    );
}
