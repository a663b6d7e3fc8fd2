//! Copying an artifact into another repository, with everything that it lists and the accessories of all of these. Its
//! tags are copied, and those by which clients find its accessories, but no other tags. No bytes move: blobs are
//! linked, manifests are stored again from their rows, in one transaction.
//!
//! What to store is read and parsed before that transaction, which checks that it is still current. So the transaction
//! only writes, within the limits below: on SQLite, all other writers wait for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use db::artifact::closure::{self, Member};
use db::blob::Place;
use db::immutability::Immutability;
use db::tag::{self, Claim, Onto};
use db::{Reader, Tx, blob, manifest, repository};
use model::accessory::referred_by;
use model::{
    Digest, Event, Manifest, ManifestId, Operation, Reference, RepositoryId, RepositoryName,
    Subject, Tag, Timestamp,
};
use policy::{ProjectPermit, on, to};
use tracing::instrument;

use crate::manifest::refuse_missing;
use crate::named::{find, hold};
use crate::{ATTEMPTS, Error, Registry, Result};

/// Maximum manifests of a copy.
const MANIFESTS: i64 = 1_000;
/// Maximum blobs of a copy.
const BLOBS: i64 = 5_000;
/// Maximum references in the manifests of a copy, to manifests and blobs.
const REFERENCES: i64 = 10_000;
/// Maximum tags of a copy.
const TAGS: i64 = 1_000;
/// Maximum bytes of the manifests of a copy.
const BYTES: i64 = 64 << 20;

/// The source of a copy.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Permission to pull it.
    pub permit: &'a ProjectPermit<on::Repository, to::Pull>,
    /// Its repository, of the permit's project.
    pub repository: &'a RepositoryName,
    /// Which artifact it is.
    pub reference: &'a Reference,
}

impl Registry {
    /// Copies an artifact into a repository of the permit's project, which is created if absent. Existing tags are
    /// moved.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::CopiesAccessory`]; [`Error::CopyTooLarge`]; [`Error::QuotaExceeded`];
    /// [`Error::Immutable`] for a tag that a rule protects at another artifact.
    #[instrument(name = "registry.artifact.copy", level = "debug", skip_all, fields(repo.name = %into))]
    pub async fn copy_artifact(
        &self,
        permit: &ProjectPermit<on::Repository, to::Push>,
        into: &RepositoryName,
        source: Source<'_>,
    ) -> Result<Digest> {
        for _ in 0..ATTEMPTS {
            let plan = self.plan(permit, source).await?;
            if let Some(copied) = self.store_copy(permit, into, source, plan).await? {
                return Ok(copied);
            }
        }
        Err(Error::Database(db::Error::Contended("the artifact")))
    }

    /// Reads what to store.
    async fn plan(
        &self,
        permit: &ProjectPermit<on::Repository, to::Push>,
        source: Source<'_>,
    ) -> Result<Plan> {
        let named = (source.permit.project().id, source.repository);
        let mut reader = self.db.reader().await?;
        let (repository, digest) = find(&mut reader, named, source.reference).await?;
        let root = manifest::id(&mut reader, repository, &digest).await?;
        let unknown = || Error::manifest_unknown(source.repository, source.reference);
        let root = root.ok_or_else(unknown)?;
        let members = members(&mut reader, (repository, root)).await?;
        drop(reader);
        let bytes = members.iter().map(|member| member.size).sum::<i64>();
        let memory = self.memory.for_copy(permit.caller(), bytes as usize);
        let memory = memory.await?;
        let payloads = closure::payloads(&mut self.db.reader().await?, &ids(&members)).await?;
        let parsed = tokio::task::spawn_blocking(move || parse(members, payloads));
        let parsed = parsed.await;
        let manifests = parsed.map_err(|error| Error::Interrupted("parse the manifests", error))?;
        Ok(Plan {
            root,
            manifests: manifests?,
            _memory: memory,
        })
    }

    /// Stores the plan; `None` if the source has changed since.
    async fn store_copy(
        &self,
        permit: &ProjectPermit<on::Repository, to::Push>,
        into: &RepositoryName,
        source: Source<'_>,
        plan: Plan,
    ) -> Result<Option<Digest>> {
        let (project, into, now) = (permit.project().id, into.clone(), self.clock.now());
        let lease = now.plus(self.limits.grace);
        let from = (source.permit.project().id, source.repository.clone());
        let (reference, origin) = (source.reference.clone(), permit.caller().origin());
        let plan = Arc::new(plan);
        let copied = self.charging(project, move |taking, tx| {
            let (into, from, reference) = (into.clone(), from.clone(), reference.clone());
            let (origin, plan) = (origin.clone(), plan.clone());
            Box::pin(async move {
                let (source, root) = hold(tx, (from.0, &from.1), &reference).await?;
                if !plan.is_of(tx, (source, root.id)).await? {
                    return Ok(None);
                }
                let at = Place {
                    project,
                    repository: repository::ensure(tx, project, &into, now).await?,
                    name: &into,
                    taking,
                };
                link(tx, at, &plan.ids(), lease).await?;
                let detail = format!("copied from {}@{}", from.1, root.digest);
                let event = |digest| {
                    let subject = Subject::Artifact {
                        project,
                        repository: into.clone(),
                        tag: None,
                        digest,
                    };
                    Event::new(now, origin.clone(), Operation::Create, subject)
                        .with_detail(detail.clone())
                };
                store(tx, at, &plan, event).await?;
                repository::publish(tx, at.repository, now).await?;
                Ok::<_, Error>(Some(root.digest))
            })
        });
        copied.await
    }
}

/// What to store.
struct Plan {
    root: ManifestId,
    /// Children before the indexes that list them.
    manifests: Vec<Copied>,
    _memory: storage::budget::Reservation,
}

/// A manifest to store again.
struct Copied {
    id: ManifestId,
    digest: Digest,
    manifest: Manifest,
    payload: Vec<u8>,
}

impl Plan {
    fn ids(&self) -> Vec<ManifestId> {
        self.manifests.iter().map(|copied| copied.id).collect()
    }

    /// Whether the plan has exactly the artifact and what belongs to it.
    async fn is_of(
        &self,
        tx: &mut Tx,
        (repository, root): (RepositoryId, ManifestId),
    ) -> Result<bool> {
        if root != self.root {
            return Ok(false);
        }
        let members = closure::members(tx, (repository, root), MANIFESTS + 1).await?;
        let mut ids = ids(&members);
        ids.sort_unstable();
        Ok(ids == self.ids())
    }
}

/// The artifact and everything that belongs to it.
async fn members(
    reader: &mut Reader,
    (repository, root): (RepositoryId, ManifestId),
) -> Result<Vec<Member>> {
    if closure::is_accessory(reader, root).await? {
        return Err(Error::CopiesAccessory);
    }
    let members = closure::members(reader, (repository, root), MANIFESTS + 1).await?;
    let at_most = |what, count: i64, most| match count > most {
        true => Err(Error::CopyTooLarge(what, most)),
        false => Ok(()),
    };
    at_most("manifests", members.len() as i64, MANIFESTS)?;
    let bytes = members.iter().map(|member| member.size).sum();
    at_most("bytes of manifests", bytes, BYTES)?;
    let references = closure::references(reader, &ids(&members), REFERENCES + 1).await?;
    at_most("entries of manifests", references, REFERENCES)?;
    Ok(members)
}

fn ids(members: &[Member]) -> Vec<ManifestId> {
    members.iter().map(|member| member.id).collect()
}

/// The manifests in the order of their rows, so that children come first: they were stored earlier.
fn parse(members: Vec<Member>, payloads: Vec<(ManifestId, Vec<u8>)>) -> Result<Vec<Copied>> {
    let mut payloads: HashMap<ManifestId, Vec<u8>> = payloads.into_iter().collect();
    let parse = |member: Member| {
        let payload = payloads.remove(&member.id).unwrap_or_default();
        let parsed = Manifest::parse(Some(&member.media_type), &payload);
        Ok(Copied {
            id: member.id,
            digest: member.digest,
            manifest: parsed.map_err(Error::ManifestInvalid)?,
            payload,
        })
    };
    let mut copied: Vec<Copied> = members.into_iter().map(parse).collect::<Result<_>>()?;
    copied.sort_unstable_by_key(|copied| copied.id);
    Ok(copied)
}

/// Links the blobs that the manifests name.
async fn link(
    tx: &mut Tx,
    at: Place<'_>,
    manifests: &[ManifestId],
    lease: Timestamp,
) -> Result<()> {
    let blobs = closure::hold_blobs(tx, manifests, BLOBS + 1).await?;
    if blobs.len() as i64 > BLOBS {
        return Err(Error::CopyTooLarge("blobs", BLOBS));
    }
    for found in &blobs {
        let linked = blob::link(tx, at, found, lease).await?;
        linked.map_err(Error::QuotaExceeded)?;
    }
    Ok(())
}

/// Stores the manifests and sets their tags.
async fn store(
    tx: &mut Tx,
    at: Place<'_>,
    plan: &Plan,
    event: impl Fn(Digest) -> Event + Send + Sync,
) -> Result<()> {
    let mut claims = claims(tx, at, plan).await?;
    for copied in &plan.manifests {
        let (tags, claims) = claims.remove(&copied.id).unwrap_or_default();
        let found = manifest::find_children(tx, at.repository, &copied.manifest.children).await?;
        refuse_missing(&copied.manifest, &found)?;
        let new = manifest::New {
            digest: &copied.digest,
            manifest: &copied.manifest,
            payload: &copied.payload,
            found: &found,
            tags: &tags,
        };
        let event = event(copied.digest);
        let stored = manifest::store(tx, at, new, event.at).await?;
        let row = stored.map_err(Error::QuotaExceeded)?;
        if copied.id == plan.root && claims.iter().all(Claim::is_empty) {
            tx.record(&event).await?;
        }
        for claim in claims {
            let set = tag::set(tx, at, claim, row, &event).await?;
            set.map_err(|kept| Error::kept(at, kept))?;
        }
    }
    Ok(())
}

/// The tags to copy, claimed for their manifests: those of the artifact itself, and for the others those by which a
/// client that knows the subject finds them.
async fn claims(
    tx: &mut Tx,
    at: Place<'_>,
    plan: &Plan,
) -> Result<HashMap<ManifestId, (Vec<Tag>, Vec<Claim>)>> {
    let digests: HashMap<ManifestId, Digest> = (plan.manifests.iter())
        .map(|copied| (copied.id, copied.digest))
        .collect();
    let known: HashSet<Digest> = digests.values().copied().collect();
    let mut tags = closure::tags(tx, plan.root, &plan.ids(), TAGS + 1).await?;
    if tags.len() as i64 > TAGS {
        return Err(Error::CopyTooLarge("tags", TAGS));
    }
    tags.retain(|(id, tag)| {
        *id == plan.root || referred_by(tag).is_some_and(|subject| known.contains(&subject))
    });
    let rules = Immutability::of(tx, at.project).await?;
    let mut claims: HashMap<ManifestId, (Vec<Tag>, Vec<Claim>)> = HashMap::new();
    // By name, so that transactions lock in the same order.
    for (id, tag) in tags {
        let Some(digest) = digests.get(&id) else {
            continue;
        };
        let one = std::slice::from_ref(&tag);
        let claim = tag::claim(tx, (at, &rules), one, digest, Onto::Anything).await?;
        let claim = claim.map_err(|kept| Error::kept(at, kept))?;
        let (tags, claimed) = claims.entry(id).or_default();
        tags.push(tag);
        claimed.push(claim);
    }
    Ok(claims)
}
