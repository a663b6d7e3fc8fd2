//! Clients that push, pull and delete, each in a repository of its own, whatever happens to the replicas. What they
//! have to find there follows from what was acknowledged; what is in doubt after a failure is checked at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::content::Blob;
use testkit::dice::Dice;
use testkit::meter::parallel;
use testkit::registry::{Failed, Image, Registry, Way};
use testkit::target::Target;
use tokio::time::sleep;

use super::line::Line;
use super::watch::{Kind, Watch};
use crate::journal::{Journal, Operation, Repository, State};

pub(super) const PROJECT: &str = "fleet";
const CLIENTS: usize = 12;
/// Manifests that a client leaves there at most, and its tags.
const LIVE: usize = 25;
const TAGS: u64 = 10;
/// The ends of the addresses that clients call from: the balancer tells them apart by these.
const WRITERS: u8 = 10;
const READERS: u8 = 110;

/// Runs them until the watch is over; what each repository has to hold.
pub(super) async fn run(
    target: &Target,
    watch: &Watch,
    journal: &Journal,
    seed: u64,
) -> Result<State, String> {
    let registry = Registry::new(target)?;
    let ended = parallel(CLIENTS, async |number| {
        let (repository, last) = (format!("{PROJECT}/c{number}"), number as u8);
        let mut client = Client {
            journal,
            state: Repository::default(),
            writes: Line::new(watch, &registry.fresh(), WRITERS + last, &repository),
            reads: Line::new(watch, &registry, READERS + last, &repository),
            repository,
            dice: Dice::new(Some(seed.wrapping_add(number as u64))),
            live: Vec::new(),
            tags: BTreeMap::new(),
        };
        while !watch.is_over() {
            client.step().await;
            sleep(Duration::from_millis(client.dice.between(50, 250))).await;
        }
        (client.repository, client.state)
    });
    Ok(ended.await.into_iter().collect())
}

struct Client<'a> {
    journal: &'a Journal,
    repository: String,
    state: Repository,
    /// With a connection for each request: what changes something is not sent twice, so its connection must not be one
    /// that may close before.
    writes: Line<'a>,
    /// On a connection that it keeps as long as it can.
    reads: Line<'a>,
    dice: Dice,
    /// The manifests that are certainly there, and where tags certainly lead.
    live: Vec<String>,
    tags: BTreeMap<String, String>,
}

impl Client<'_> {
    /// Does one thing at random.
    async fn step(&mut self) {
        if self.live.is_empty() {
            return self.push().await;
        }
        if self.live.len() > LIVE {
            return self.delete().await;
        }
        match self.dice.below(10) {
            ..4 => self.push().await,
            4 => self.delete().await,
            5 => self.untag().await,
            6 => self.pull_tag().await,
            _ => {
                let digest = self.dice.pick(&self.live).clone();
                self.pull(&digest, &digest).await;
            }
        }
    }

    /// Pushes a new image by a tag or, one time in three, by its digest.
    async fn push(&mut self) {
        let image = self.compose();
        if self.push_blobs(&image.blobs).await {
            self.push_manifest(&image).await;
        }
    }

    async fn push_blobs(&mut self, blobs: &[Blob]) -> bool {
        for blob in blobs {
            let ways = [Way::Put, Way::Patch, Way::Post, Way::Chunks];
            let way = *self.dice.pick(&ways);
            let (registry, repository) = (&self.writes.registry, &self.repository);
            let push = async || registry.push_blob(repository, blob, way).await;
            if self.writes.write(Kind::Push, push).await.is_none() {
                return false;
            }
        }
        true
    }

    async fn push_manifest(&mut self, image: &Image) {
        let (manifest, digest) = (&image.manifest, image.manifest.digest.clone());
        let tag = (self.dice.below(3) > 0).then(|| format!("t{}", self.dice.below(TAGS)));
        let reference = tag.clone().unwrap_or_else(|| digest.clone());
        let operation = Operation::Push {
            tag: tag.clone(),
            digest: digest.clone(),
            blobs: image.blobs.iter().map(|blob| blob.digest.clone()).collect(),
        };
        self.tags.remove(&reference);
        let (registry, repository) = self.writer();
        let push = async || {
            registry
                .push_manifest(&repository, &reference, manifest)
                .await
        };
        if self.carry_out(&operation, Kind::Push, push).await {
            self.tags.extend(tag.map(|tag| (tag, digest.clone())));
            self.live.push(digest);
        }
    }

    /// For a request that is journalled.
    fn writer(&self) -> (Registry, String) {
        (self.writes.registry.clone(), self.repository.clone())
    }

    /// A config and a few layers, all new. One layer in 16 is of several parts.
    fn compose(&mut self) -> Image {
        let mut seed = || self.dice.below(u64::MAX);
        let config = Blob::seeded_config(seed(), 500);
        let layers = (0..=seed() % 3).map(|_| {
            let size = match seed() % 16 {
                0 => 2 << 20,
                _ => 1 + seed() % (64 << 10),
            };
            Blob::seeded(seed(), size)
        });
        Image::new(config, &layers.collect::<Vec<_>>())
    }

    async fn delete(&mut self) {
        let at = self.dice.below(self.live.len() as u64) as usize;
        let digest = self.live.swap_remove(at);
        self.tags.retain(|_, target| *target != digest);
        self.remove(&Operation::Delete(digest.clone()), &digest)
            .await;
    }

    async fn untag(&mut self) {
        if let Some((tag, _)) = self.any_tag() {
            self.tags.remove(&tag);
            self.remove(&Operation::Untag(tag.clone()), &tag).await;
        }
    }

    fn any_tag(&mut self) -> Option<(String, String)> {
        let all: Vec<_> = self.tags.clone().into_iter().collect();
        (!all.is_empty()).then(|| self.dice.pick(&all).clone())
    }

    /// Deletes a manifest or tag, which is gone once that is acknowledged.
    async fn remove(&mut self, operation: &Operation, reference: &str) {
        let (registry, repository) = self.writer();
        let delete = async || registry.delete(&repository, reference).await;
        if !self.carry_out(operation, Kind::Delete, delete).await {
            return;
        }
        let registry = &self.reads.registry;
        let look = async || match registry.pull_manifest(&repository, reference).await {
            Err(error) if error.status() == 404 => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(Failed::Wrong(format!("{reference} is there"))),
        };
        self.reads.read(look).await;
    }

    async fn pull_tag(&mut self) {
        if let Some((tag, digest)) = self.any_tag() {
            self.pull(&tag, &digest).await;
        }
    }

    /// Pulls what a tag or digest leads to, and all that it names.
    async fn pull(&self, reference: &str, wanted: &str) {
        let (registry, repository) = (&self.reads.registry, &self.repository);
        let manifest = async || {
            let got = registry.pull_manifest(repository, reference).await?;
            if got.digest != wanted {
                let leads = format!("{reference} leads to {}", got.digest);
                return Err(Failed::Wrong(format!("{leads}, not to {wanted}")));
            }
            Ok(got)
        };
        let Some(manifest) = self.reads.read(manifest).await else {
            return;
        };
        for digest in manifest.names() {
            let blob = async || registry.pull_blob(repository, &digest).await;
            if self.reads.read(blob).await.is_none() {
                return;
            }
        }
    }

    /// Journals an operation around the request that carries it out; whether it was acknowledged.
    async fn carry_out(
        &mut self,
        operation: &Operation,
        kind: Kind,
        request: impl AsyncFn() -> Result<(), Failed>,
    ) -> bool {
        let id = self.journal.begin(&self.repository, operation);
        let done = self.writes.write(kind, request).await.is_some();
        if done {
            self.journal.acknowledge(id);
        }
        self.state.apply(operation, done);
        done
    }
}
