//! Clients that push and delete at random until the server is gone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper::Method;
use testkit::content::{Blob, new_seed};
use testkit::dice::Dice;
use testkit::registry::{Call, Failed, Image, Registry, Way};
use testkit::target::Target;

use crate::journal::Certainty::Absent;
use crate::journal::{Journal, Operation, Repository, State};

pub(crate) const CLIENTS: usize = 8;
const TAGS: u64 = 10;
const UNTAGGED: usize = 12;
/// They end after so long if the server lives on.
const LIMIT: Duration = Duration::from_secs(30);

/// Lets them loose, each on a repository of its own; how many operations succeeded. A 5xx counts as the end of the
/// server where it is tolerated: its disk may be gone.
pub(crate) async fn work(
    target: &Target,
    state: &mut State,
    journal: &Journal,
    tolerant: bool,
) -> Result<u64, String> {
    for number in 0..CLIENTS {
        state.entry(name(number as u64)).or_default();
    }
    let registry = Registry::new(target)?;
    let (operations, end) = (AtomicU64::new(0), Instant::now() + LIMIT);
    let client = async |(repository, state): (&String, &mut Repository)| {
        let mut client = Client {
            registry: registry.clone(),
            journal,
            repository,
            state,
            dice: Dice::new(Some(new_seed())),
        };
        while Instant::now() < end {
            match client.step().await {
                Ok(()) => operations.fetch_add(1, Ordering::Relaxed),
                Err(Failed::Cut(_)) => return Ok(()),
                Err(error) if tolerant && error.status() >= 500 => return Ok(()),
                Err(error) => return Err(format!("{repository}: {error}")),
            };
        }
        Ok(())
    };
    let ended = join_all(state.iter_mut().map(client)).await;
    let wrong: Vec<String> = ended.into_iter().filter_map(Result::err).collect();
    match wrong.is_empty() {
        true => Ok(operations.into_inner()),
        false => Err(format!(
            "answers that should not have been given: {}",
            wrong.join("\n")
        )),
    }
}

fn name(number: u64) -> String {
    format!("crash/c{number}")
}

struct Client<'a> {
    registry: Registry,
    journal: &'a Journal,
    repository: &'a str,
    state: &'a mut Repository,
    dice: Dice,
}

impl Client<'_> {
    /// Does one thing at random.
    async fn step(&mut self) -> Result<(), Failed> {
        let untagged = self.state.untagged();
        if untagged.len() > UNTAGGED {
            let digest = self.dice.pick(&untagged).clone();
            return self.delete_manifest(digest).await;
        }
        let tags = self.state.tagged();
        match self.dice.below(20) {
            ..11 => {
                let tag = format!("t{}", self.dice.below(TAGS));
                self.push(Some(tag)).await
            }
            11..13 => self.push(None).await,
            _ if tags.is_empty() => self.push(Some("t0".to_owned())).await,
            13..15 => {
                let tag = self.dice.pick(&tags).clone();
                self.delete(Operation::Untag(tag.clone()), &tag).await
            }
            15..18 => {
                let tag = self.dice.pick(&tags);
                let digest = self.state.tags[tag].first().cloned();
                self.delete_manifest(digest.unwrap_or_default()).await
            }
            _ => self.drop_blob().await,
        }
    }

    /// Journals an operation around the request that carries it out.
    async fn done(
        &mut self,
        operation: Operation,
        request: impl Future<Output = Result<(), Failed>>,
    ) -> Result<(), Failed> {
        let id = self.journal.begin(self.repository, &operation);
        let done = request.await;
        if done.is_ok() {
            self.journal.acknowledge(id);
        }
        self.state.apply(&operation, done.is_ok());
        done
    }

    async fn push(&mut self, tag: Option<String>) -> Result<(), Failed> {
        let config = Blob::config(200 + self.dice.below(1000) as usize);
        let layers: Vec<Blob> = (0..=self.dice.below(3)).map(|_| self.layer()).collect();
        let image = Image::new(config, &layers);
        let mut blobs: Vec<&Blob> = image.blobs.iter().collect();
        blobs.sort_by_key(|blob| &blob.digest);
        blobs.dedup_by_key(|blob| &blob.digest);
        for blob in blobs {
            self.push_blob(blob).await?;
        }
        let (registry, repository) = (self.registry.clone(), self.repository);
        let digest = image.manifest.digest.clone();
        let reference = tag.clone().unwrap_or_else(|| digest.clone());
        let blobs = image.blobs.iter().map(|blob| blob.digest.clone()).collect();
        let push = registry.push_manifest(repository, &reference, &image.manifest);
        self.done(Operation::Push { tag, digest, blobs }, push)
            .await
    }

    /// New or, one time in four, one of a few that all clients push: the same digest in many repositories at once.
    fn layer(&mut self) -> Blob {
        if self.dice.below(4) == 0 {
            let seed = self.dice.below(20);
            return Blob::seeded(seed, 2000 + seed * 3000);
        }
        Blob::random(match self.dice.below(16) {
            0 => self.dice.below(3 << 20),
            1 | 2 => self.dice.below(200 << 10),
            _ => self.dice.below(8 << 10),
        })
    }

    async fn push_blob(&mut self, blob: &Blob) -> Result<(), Failed> {
        let (registry, repository) = (self.registry.clone(), self.repository);
        let from = name(self.dice.below(CLIENTS as u64));
        let way = [Way::Put, Way::Patch, Way::Post, Way::Chunks];
        let way = way.get(self.dice.below(5) as usize);
        let push = async {
            match way {
                Some(way) => registry.push_blob(repository, blob, *way).await,
                None => match registry.mount(repository, &from, &blob.digest).await? {
                    None => Ok(()),
                    Some(_) => registry.push_blob(repository, blob, Way::Put).await,
                },
            }
        };
        self.done(Operation::Blob(blob.digest.clone()), push).await
    }

    async fn delete_manifest(&mut self, digest: String) -> Result<(), Failed> {
        self.delete(Operation::Delete(digest.clone()), &digest)
            .await
    }

    async fn delete(&mut self, operation: Operation, reference: &str) -> Result<(), Failed> {
        let (registry, repository) = (self.registry.clone(), self.repository);
        self.done(operation, registry.delete(repository, reference))
            .await
    }

    /// Deletes a blob that no manifest of the repository names.
    async fn drop_blob(&mut self) -> Result<(), Failed> {
        let known = self
            .state
            .blobs
            .iter()
            .filter(|(_, state)| **state != Absent);
        let free: Vec<&String> = known
            .map(|(digest, _)| digest)
            .filter(|digest| !self.state.names(digest))
            .collect();
        if free.is_empty() {
            return Ok(());
        }
        let digest = (*self.dice.pick(&free)).clone();
        let (registry, repository) = (self.registry.clone(), self.repository);
        let path = format!("/v2/{repository}/blobs/{digest}");
        let drop = async {
            // 404: collected already, which is as good.
            let call = Call::new(Method::DELETE, &path, repository);
            registry.send(call, &[202, 404]).await.map(drop)
        };
        self.done(Operation::Drop(digest), drop).await
    }
}
