//! Clients that push, mount, delete and pull images made of the same few blobs, while the server collects what nobody
//! refers to. Whatever was acknowledged and not deleted has to be there, whole, at all times; a push may be refused
//! because a blob went that the client had just found, and is then begun anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::content::{Blob, new_seed};
use testkit::dice::Dice;
use testkit::meter::{Counts, Figures, parallel, put};
use testkit::registry::{Failed, Image, Registry, Way, project};
use testkit::target::Target;
use tokio::time::sleep;

use crate::journal::{Operation, State};

const CLIENTS: usize = 16;
/// Blobs that all clients share, of which the first are configs.
const BLOBS: usize = 50;
const CONFIGS: usize = 10;
/// Configs and layers in use at a time; the others rest, so that they are collected and wanted again.
const ACTIVE: [usize; 2] = [3, 9];
/// Tags per client and repository.
const TAGS: u64 = 3;
/// Of one push, before being refused is a failure.
const TRIES: u32 = 50;

/// A manifest that was acknowledged. It belongs to the client that pushed it.
struct Live {
    repository: String,
    image: Image,
    until: Instant,
}

/// What all clients share.
struct Race {
    seed: u64,
    grace: Duration,
    began: Instant,
    blobs: Vec<Blob>,
    repositories: Vec<String>,
    counts: Counts,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    /// Images whose deletion nobody has asked for.
    live: Vec<Arc<Live>>,
    state: State,
    failures: Vec<String>,
}

/// Runs them; what they did, what has to be stored and charged now that it is over, and the state to verify.
pub(super) async fn run(
    target: &Target,
    length: Duration,
    grace: Duration,
) -> Result<(Figures, State), String> {
    let registry = Registry::new(target)?;
    let mut repositories = Vec::new();
    for name in ["race-a", "race-b"] {
        registry.make_project_of(name).await?;
        repositories.extend((0..3).map(|number| format!("{name}/r{number}")));
    }
    let race = Race {
        seed: new_seed(),
        grace,
        blobs: content(),
        repositories,
        counts: Counts::default(),
        books: Mutex::default(),
        began: Instant::now(),
    };
    parallel(CLIENTS, async |number| {
        let mut client = Client {
            race: &race,
            registry: registry.clone(),
            number,
            dice: Dice::new(Some(race.seed.wrapping_add(number as u64))),
            own: Vec::new(),
            tags: BTreeMap::new(),
        };
        // A run that has failed often enough to be understood ends early.
        while race.began.elapsed() < length && race.books().failures.len() < 20 {
            if let Err(error) = client.step().await {
                let after = race.began.elapsed();
                let failure = format!("{after:.1?}: client {number}: {error}");
                race.books().failures.push(failure);
            }
        }
    })
    .await;
    race.report()
}

/// The same in each run. One layer is empty, a few are large enough for several parts.
fn content() -> Vec<Blob> {
    let configs =
        (1..=CONFIGS as u64).map(|seed| Blob::seeded_config(seed, 300 + seed as usize * 50));
    let layers = (100..100 + (BLOBS - CONFIGS - 1) as u64).map(|seed| {
        let size = match seed % 8 {
            0 => 300_000 * (1 + seed % 3),
            _ => 1000 + 1777 * (seed - 100),
        };
        Blob::seeded(seed, size)
    });
    configs.chain([Blob::of("")]).chain(layers).collect()
}

impl Race {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configs and layers in use at this moment: others than a while ago, and the same for all clients, so that
    /// blobs rest for about the grace and are then wanted by many at once.
    fn active(&self) -> [Vec<Blob>; 2] {
        let epoch = self.began.elapsed().as_millis() / (self.grace.as_millis() * 2 / 3);
        let mut dice = Dice::new(Some(self.seed ^ (epoch as u64).wrapping_mul(0x9E37_79B9)));
        let (configs, layers) = self.blobs.split_at(CONFIGS);
        let mut some = |of: &[Blob], count| {
            let mut all = of.to_vec();
            dice.shuffle(&mut all);
            all.truncate(count);
            all
        };
        [some(configs, ACTIVE[0]), some(layers, ACTIVE[1])]
    }

    fn acknowledged(&self, repository: &str, operation: &Operation) {
        let mut books = self.books();
        let state = books.state.entry(repository.to_owned()).or_default();
        state.apply(operation, true);
    }

    fn report(self) -> Result<(Figures, State), String> {
        let books = self
            .books
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut figures = Figures::new();
        self.counts.report("", &mut figures);
        put(&mut figures, "seconds", self.began.elapsed().as_secs_f64());
        let mut stored = BTreeMap::new();
        let mut charged: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for repository in &self.repositories {
            charged.entry(project(repository)).or_default();
        }
        for live in &books.live {
            let of = charged.entry(project(&live.repository)).or_default();
            let manifest = &live.image.manifest;
            of.insert(&manifest.digest, manifest.size());
            for blob in &live.image.blobs {
                stored.insert(&*blob.digest, blob.size);
                of.insert(&blob.digest, blob.size);
            }
        }
        let sum = |sizes: &BTreeMap<&str, u64>| sizes.values().sum::<u64>() as f64;
        put(&mut figures, "live_manifests", books.live.len() as f64);
        put(&mut figures, "reachable_blobs", stored.len() as f64);
        put(&mut figures, "reachable_bytes", sum(&stored));
        for (name, of) in &charged {
            put(&mut figures, &format!("usage_{name}"), sum(of));
        }
        match books.failures.len() {
            0 => Ok((figures, books.state)),
            count => Err(format!(
                "{count} requests were not answered as they had to be\n  failed: {}",
                books.failures.join("\n  failed: ")
            )),
        }
    }
}

/// Owns some images and looks at those of all.
struct Client<'a> {
    race: &'a Race,
    registry: Registry,
    number: usize,
    dice: Dice,
    own: Vec<Arc<Live>>,
    /// What each repository and tag points at; no other client sets these tags.
    tags: BTreeMap<(String, String), Arc<Live>>,
}

impl Client<'_> {
    /// Does one thing: what is due, or something at random.
    async fn step(&mut self) -> Result<(), Failed> {
        let now = Instant::now();
        if let Some(at) = self.own.iter().position(|live| live.until < now) {
            return self.delete(at).await;
        }
        match self.dice.below(10) {
            ..4 => self.push().await,
            4 => self.untag().await,
            5 => self.probe().await,
            6 => self.check_tag().await,
            _ => self.check().await,
        }
    }

    fn count(&self, what: &str) {
        self.race.counts.count(what);
    }

    /// Uploads what the server lacks, as docker does, and then the manifest.
    async fn push(&mut self) -> Result<(), Failed> {
        let (image, life) = self.compose();
        let repository = self.repository();
        let tag =
            (self.dice.below(3) > 0).then(|| format!("c{}-{}", self.number, self.dice.below(TAGS)));
        let reference = tag.as_ref().unwrap_or(&image.manifest.digest).clone();
        for _ in 0..TRIES {
            for blob in &image.blobs {
                self.provide(&repository, blob).await?;
            }
            if self.dice.below(150) == 0 {
                // A client that takes its time: what it found may be collected before it refers to it.
                let most = self.race.grace.as_millis() as u64 * 3 / 2;
                sleep(Duration::from_millis(self.dice.below(most))).await;
            }
            let manifest = &image.manifest;
            match self
                .registry
                .push_manifest(&repository, &reference, manifest)
                .await
            {
                Ok(()) => {
                    self.pushed(repository, tag, image, life);
                    return Ok(());
                }
                Err(error) if is_for_blob(&error) => self.count("refused"),
                Err(error) => return Err(error),
            }
        }
        let wrong = "although every blob had been found or uploaded";
        Err(format!("{repository}: refused {TRIES} times, {wrong}").into())
    }

    /// Makes an image, and says how long it is to live. Most are of blobs that are in use now and live for part of the
    /// grace; a few live long, all on the same few blobs, which are never collected. An annotation makes each manifest
    /// its own.
    fn compose(&mut self) -> (Image, Duration) {
        let [mut configs, mut layers] = self.race.active();
        let grace = self.race.grace.as_millis() as u64;
        let mut life = Duration::from_millis(self.dice.below(grace / 2));
        if self.dice.below(20) == 0 {
            configs = self.race.blobs[..1].to_vec();
            layers = self.race.blobs[CONFIGS..CONFIGS + 3].to_vec();
            life = self.race.grace * 6;
        }
        self.dice.shuffle(&mut layers);
        layers.truncate(1 + self.dice.below(3) as usize);
        let note = format!("{} {:x}", self.number, new_seed());
        let more = json!({ "annotations": { "test.race": note } });
        (
            Image::with(self.dice.pick(&configs).clone(), &layers, &more),
            life,
        )
    }

    fn repository(&mut self) -> String {
        self.dice.pick(&self.race.repositories).clone()
    }

    /// Sees to it that the repository has the blob: it is there, or is mounted, or is uploaded.
    async fn provide(&mut self, repository: &str, blob: &Blob) -> Result<(), Failed> {
        if self.registry.has_blob(repository, &blob.digest).await? {
            self.count("found");
            return Ok(());
        }
        let from = self.repository();
        if self.dice.below(2) == 0 && from != repository {
            let at = self.registry.mount(repository, &from, &blob.digest).await?;
            let Some(at) = at else {
                self.count("mounts");
                return Ok(());
            };
            self.count("uploads");
            return self.registry.put_blob(repository, &at, blob).await;
        }
        self.count("uploads");
        let way = *self
            .dice
            .pick(&[Way::Put, Way::Patch, Way::Post, Way::Chunks]);
        self.registry.push_blob(repository, blob, way).await
    }

    /// Notes an acknowledged manifest, which this client deletes when its time has come.
    fn pushed(&mut self, repository: String, tag: Option<String>, image: Image, life: Duration) {
        let operation = Operation::Push {
            tag: tag.clone(),
            digest: image.manifest.digest.clone(),
            blobs: image.blobs.iter().map(|blob| blob.digest.clone()).collect(),
        };
        let made = Arc::new(Live {
            repository: repository.clone(),
            image,
            until: Instant::now() + life,
        });
        self.own.push(Arc::clone(&made));
        self.race.books().live.push(Arc::clone(&made));
        self.race.acknowledged(&repository, &operation);
        self.count("pushes");
        if let Some(tag) = tag {
            self.tags.insert((repository, tag), made);
        }
    }

    /// Deletes a manifest of this client and its tags with it. From when that is asked for it may be gone.
    async fn delete(&mut self, at: usize) -> Result<(), Failed> {
        let live = self.own.swap_remove(at);
        self.race
            .books()
            .live
            .retain(|other| !Arc::ptr_eq(other, &live));
        self.tags.retain(|_, other| !Arc::ptr_eq(other, &live));
        let digest = live.image.manifest.digest.clone();
        self.remove(&live.repository, &digest).await?;
        self.count("deletes");
        self.race
            .acknowledged(&live.repository, &Operation::Delete(digest));
        Ok(())
    }

    /// Deletes one of this client's tags; the manifest stays.
    async fn untag(&mut self) -> Result<(), Failed> {
        let Some((repository, tag)) = self.any_tag() else {
            return self.push().await;
        };
        self.tags.remove(&(repository.clone(), tag.clone()));
        self.remove(&repository, &tag).await?;
        self.count("untags");
        self.race.acknowledged(&repository, &Operation::Untag(tag));
        Ok(())
    }

    /// Deletes a manifest or tag, which is gone once that is acknowledged.
    async fn remove(&self, repository: &str, reference: &str) -> Result<(), Failed> {
        self.registry.delete(repository, reference).await?;
        match self.registry.pull_manifest(repository, reference).await {
            Err(error) if error.status() == 404 => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(format!("{repository}: {reference} is there after its deletion").into()),
        }
    }

    fn any_tag(&mut self) -> Option<(String, String)> {
        let names: Vec<_> = self.tags.keys().cloned().collect();
        (!names.is_empty()).then(|| self.dice.pick(&names).clone())
    }

    /// Asks for one of this client's tags, which leads where it was last set to.
    async fn check_tag(&mut self) -> Result<(), Failed> {
        let Some((repository, tag)) = self.any_tag() else {
            return self.check().await;
        };
        let got = self.registry.pull_manifest(&repository, &tag).await?.digest;
        self.count("tags_pulled");
        let expected = &self.tags[&(repository.clone(), tag.clone())]
            .image
            .manifest
            .digest;
        match got == *expected {
            true => Ok(()),
            false => Err(format!("{repository}:{tag} leads to {got} instead of {expected}").into()),
        }
    }

    /// Pulls an image of any client whole. It may fail only where its deletion was asked for meanwhile.
    async fn check(&mut self) -> Result<(), Failed> {
        let live = {
            let books = self.race.books();
            (!books.live.is_empty()).then(|| Arc::clone(self.dice.pick(&books.live)))
        };
        let Some(live) = live else {
            return self.push().await;
        };
        let Err(error) = self.pull(&live).await else {
            self.count("pulls");
            return Ok(());
        };
        let doomed = !self
            .race
            .books()
            .live
            .iter()
            .any(|other| Arc::ptr_eq(other, &live));
        if doomed && (1..500).contains(&error.status()) {
            self.count("pulls_overtaken");
            return Ok(());
        }
        let (repository, digest) = (&live.repository, &live.image.manifest.digest);
        Err(format!("acknowledged and not deleted: {repository}@{digest}: {error}").into())
    }

    async fn pull(&self, live: &Live) -> Result<(), Failed> {
        let (repository, wanted) = (&live.repository, &live.image.manifest.digest);
        let got = self.registry.pull_manifest(repository, wanted).await?;
        if got.digest != *wanted {
            return Err(format!("its bytes are those of {}", got.digest).into());
        }
        for blob in got.names() {
            self.registry.pull_blob(repository, &blob).await?;
        }
        Ok(())
    }

    /// Asks for any blob anywhere: whole, or not there.
    async fn probe(&mut self) -> Result<(), Failed> {
        let (repository, blob) = (self.repository(), self.dice.pick(&self.race.blobs));
        match self.registry.pull_blob(&repository, &blob.digest).await {
            Ok(_) => self.count("probes_200"),
            Err(error) if error.status() == 404 => self.count("probes_404"),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn is_for_blob(error: &Failed) -> bool {
    let unknown = "MANIFEST_BLOB_UNKNOWN";
    matches!(error, Failed::Status { code: ..500, body, .. } if body.contains(unknown))
}
