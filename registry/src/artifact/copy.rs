//! Copying an artifact into another repository: it, everything that it lists, the accessories of all these, and the tags
//! of all. No byte moves: blobs are linked, manifests are stored again from their rows, in one transaction.

use std::collections::{BTreeMap, HashMap, HashSet};

use db::artifact::closure::{self, Member};
use db::blob::Place;
use db::{Tx, blob, manifest, repository};
use model::manifest::ChildKind;
use model::{
    Digest, Event, Manifest, ManifestId, Operation, PrincipalId, Reference, RepositoryId,
    RepositoryName, Subject, Tag, Timestamp,
};
use policy::{ProjectPermit, on, to};
use tracing::instrument;

use crate::immutability::Immutability;
use crate::manifest::refuse_missing;
use crate::named::hold;
use crate::tag::point_tags;
use crate::{Error, Registry, Result};

/// Maximum manifests of a copy.
const MANIFESTS: i64 = 1_000;
/// Maximum blobs of a copy.
const BLOBS: i64 = 5_000;
/// Maximum tags of a copy.
const TAGS: i64 = 1_000;
/// Maximum bytes of the manifests of a copy.
const BYTES: i64 = 64 << 20;

/// What is copied.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Who may read it.
    pub permit: &'a ProjectPermit<on::Artifact, to::Read>,
    /// Its repository, of the permit's project.
    pub repository: &'a RepositoryName,
    /// Which artifact it is.
    pub reference: &'a Reference,
}

impl Registry {
    /// Copies an artifact into a repository of the permit's project, which is made where it is absent. Tags that are
    /// there already are moved.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::CopiesAccessory`]; [`Error::CopyTooLarge`]; [`Error::QuotaExceeded`];
    /// [`Error::Immutable`] for a tag that a rule keeps at another artifact.
    #[instrument(name = "registry.artifact.copy", level = "debug", skip_all, fields(repo.name = %into))]
    pub async fn copy_artifact(
        &self,
        permit: &ProjectPermit<on::Artifact, to::Create>,
        into: &RepositoryName,
        source: Source<'_>,
    ) -> Result<Digest> {
        let (project, into, now) = (permit.project().id, into.clone(), self.clock.now());
        let lease = now.plus(self.limits.grace);
        let from = (source.permit.project().id, source.repository.clone());
        let (reference, origin) = (source.reference.clone(), permit.caller().origin());
        let by = permit.caller().id();
        let copied = self.charging(project, move |taking, tx| {
            let (into, from, reference) = (into.clone(), from.clone(), reference.clone());
            let origin = origin.clone();
            Box::pin(async move {
                let (source, root) = hold(tx, (from.0, &from.1), &reference).await?;
                let members = members(tx, (source, root.id)).await?;
                let at = Place {
                    project,
                    repository: repository::ensure(tx, project, &into, now).await?,
                    name: &into,
                    taking,
                };
                link(tx, at, &members, lease).await?;
                let rules = Immutability::of(tx, project).await?;
                let tags = store(tx, (at, &rules), members, root.id, (by, now)).await?;
                repository::publish(tx, at.repository, now).await?;
                let event = |tag| {
                    let subject = Subject::Artifact {
                        project,
                        repository: into.clone(),
                        tag,
                        digest: root.digest,
                    };
                    Event::new(now, origin.clone(), Operation::Create, subject)
                        .with_detail(format!("copied from {}@{}", from.1, root.digest))
                };
                let events: Vec<Event> = if tags.is_empty() {
                    vec![event(None)]
                } else {
                    tags.into_iter().map(|tag| event(Some(tag))).collect()
                };
                tx.record_all(&events).await?;
                Ok::<_, Error>(root.digest)
            })
        });
        copied.await
    }
}

/// What belongs to the artifact, itself included.
async fn members(
    tx: &mut Tx,
    (repository, root): (RepositoryId, ManifestId),
) -> Result<Vec<Member>> {
    if closure::is_accessory(tx, root).await? {
        return Err(Error::CopiesAccessory);
    }
    let members = closure::members(tx, (repository, root), MANIFESTS + 1).await?;
    if members.len() as i64 > MANIFESTS {
        return Err(Error::CopyTooLarge("manifests", MANIFESTS));
    }
    if members.iter().map(|member| member.size).sum::<i64>() > BYTES {
        return Err(Error::CopyTooLarge("bytes of manifests", BYTES));
    }
    Ok(members)
}

fn ids(members: &[Member]) -> Vec<ManifestId> {
    members.iter().map(|member| member.id).collect()
}

/// Links the blobs that the manifests name.
async fn link(tx: &mut Tx, at: Place<'_>, members: &[Member], lease: Timestamp) -> Result<()> {
    let blobs = closure::hold_blobs(tx, &ids(members), BLOBS + 1).await?;
    if blobs.len() as i64 > BLOBS {
        return Err(Error::CopyTooLarge("blobs", BLOBS));
    }
    for found in &blobs {
        let linked = blob::link(tx, at, found, lease).await?;
        linked.map_err(Error::QuotaExceeded)?;
    }
    Ok(())
}

/// A manifest to be stored again.
struct Copied {
    digest: Digest,
    manifest: Manifest,
    payload: Vec<u8>,
    tags: Vec<Tag>,
}

/// Stores the manifests, what is listed before what lists it; the tags of the artifact itself.
async fn store(
    tx: &mut Tx,
    (at, rules): (Place<'_>, &Immutability),
    members: Vec<Member>,
    root: ManifestId,
    (by, now): (Option<PrincipalId>, Timestamp),
) -> Result<Vec<Tag>> {
    let mut own = Vec::new();
    for (id, copied) in in_order(read(tx, members).await?) {
        let repository = (at.repository, at.name);
        let tags = rules
            .movable(tx, repository, &copied.tags, &copied.digest)
            .await?;
        let found = manifest::find_children(tx, at.repository, &copied.manifest.children).await?;
        refuse_missing(&copied.manifest, &found)?;
        let new = manifest::New {
            digest: &copied.digest,
            manifest: &copied.manifest,
            payload: &copied.payload,
            found: &found,
            tags: &copied.tags,
        };
        let stored = manifest::store(tx, at, new, now).await?;
        let row = stored.map_err(Error::QuotaExceeded)?;
        point_tags(tx, repository, &tags, (row, by, now)).await?;
        if id == root {
            own = tags;
        }
    }
    Ok(own)
}

/// The manifests with their tags, by their rows.
async fn read(tx: &mut Tx, members: Vec<Member>) -> Result<BTreeMap<i64, Copied>> {
    let ids = ids(&members);
    let tags = closure::tags(tx, &ids, TAGS + 1).await?;
    if tags.len() as i64 > TAGS {
        return Err(Error::CopyTooLarge("tags", TAGS));
    }
    let mut tags_of: HashMap<ManifestId, Vec<Tag>> = HashMap::new();
    for (manifest, tag) in tags {
        tags_of.entry(manifest).or_default().push(tag);
    }
    let payloads = closure::payloads(tx, &ids).await?;
    let mut payloads: HashMap<ManifestId, Vec<u8>> = payloads.into_iter().collect();
    let mut copied = BTreeMap::new();
    for member in members {
        let payload = payloads.remove(&member.id).unwrap_or_default();
        let parsed = Manifest::parse(Some(&member.media_type), &payload);
        let one = Copied {
            digest: member.digest,
            manifest: parsed.map_err(Error::ManifestInvalid)?,
            payload,
            tags: tags_of.remove(&member.id).unwrap_or_default(),
        };
        copied.insert(member.id.0, one);
    }
    Ok(copied)
}

/// The manifests so that what is listed comes before what lists it.
fn in_order(mut copied: BTreeMap<i64, Copied>) -> Vec<(ManifestId, Copied)> {
    let mut ordered = Vec::with_capacity(copied.len());
    while !copied.is_empty() {
        let waiting: HashSet<Digest> = copied.values().map(|one| one.digest).collect();
        let is_ready = |one: &Copied| {
            let mut children = one.manifest.children.iter();
            !children
                .any(|child| child.kind == ChildKind::Manifest && waiting.contains(&child.digest))
        };
        let ready: Vec<i64> = copied
            .iter()
            .filter(|(_, one)| is_ready(one))
            .map(|(id, _)| *id)
            .collect();
        // Digests make circles impossible.
        if ready.is_empty() {
            break;
        }
        for id in ready {
            let one = copied.remove(&id);
            ordered.extend(one.map(|one| (ManifestId(id), one)));
        }
    }
    ordered
}
