//! Manifests: push, pull, delete. A push is one transaction.

use std::sync::Arc;

use bytes::Bytes;
use db::blob::Place;
use db::immutability::Immutability;
use db::manifest::{Found, StoredManifest, When};
use db::tag::{self, Onto};
use db::{manifest, repository};
use model::event::with_tags;
use model::{Algorithm, Digest, Manifest, Operation, Reference, RepositoryId, Subject, Tag};
use policy::{DeletePermit, PullPermit, PushPermit};
use tracing::instrument;

use crate::immutability::refuse_manifest;
use crate::pull_log::Purpose;
use crate::size::wrong_sizes;
use crate::{Error, LARGEST_MANIFEST, Registry, Result, TOLD};

/// What a client pushes.
#[derive(Clone, Debug)]
pub struct NewManifest {
    /// The reference in the request's path.
    pub reference: Reference,
    /// Further tags.
    pub tags: Vec<Tag>,
    /// The `Content-Type`.
    pub content_type: Option<String>,
    /// The bytes.
    pub payload: Bytes,
}

/// What was stored.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The manifest's digest.
    pub digest: Digest,
    /// Its subject.
    pub subject: Option<Digest>,
    /// Tags that now point to it.
    pub tags: Vec<Tag>,
}

/// Payloads above this size are parsed and hashed off the async threads.
const LARGE: usize = 64 << 10;

impl Registry {
    /// The manifest that a reference names.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`], or [`Error::NameUnknown`] if there is no such repository.
    pub async fn manifest(
        &self,
        permit: &PullPermit,
        reference: &Reference,
    ) -> Result<Arc<StoredManifest>> {
        match manifest::find(&self.db, permit.project(), permit.repository(), reference).await? {
            Some(found) => Ok(found),
            // Boxed, so that the future of a pull stays small.
            None => Err(Box::pin(self.not_found(permit, reference)).await?),
        }
    }

    async fn not_found(&self, permit: &PullPermit, reference: &Reference) -> Result<Error> {
        let mut tx = self.db.reader().await?;
        let name = permit.repository();
        Ok(
            match repository::published_in(&mut tx, permit.project(), name).await? {
                Some(_) => Error::manifest_unknown(name, reference),
                None => Error::NameUnknown(name.clone()),
            },
        )
    }

    /// As [`Registry::manifest`], and records it as a pull.
    ///
    /// # Errors
    /// As there; also when the pull cannot be recorded.
    pub async fn pull_manifest(
        &self,
        permit: &PullPermit,
        reference: &Reference,
        purpose: Purpose,
    ) -> Result<Arc<StoredManifest>> {
        let found = self.manifest(permit, reference).await?;
        self.record_pull(permit, reference, &found.digest, purpose)
            .await?;
        Ok(found)
    }

    /// Stores a manifest and points its tags to it.
    ///
    /// # Errors
    /// When it is malformed or too large, its digest differs from the stated one, or it names something that is
    /// missing.
    #[instrument(name = "registry.manifest.push", level = "debug", skip_all, fields(repo.name = %permit.repository()))]
    pub async fn push_manifest(&self, permit: &PushPermit, new: NewManifest) -> Result<Pushed> {
        if new.payload.len() > LARGEST_MANIFEST {
            return Err(Error::ManifestTooLarge);
        }
        let (parsed, digest) = read(&new).await?;
        let mut tags = new.tags;
        if let Reference::Tag(tag) = &new.reference
            && !tags.contains(tag)
        {
            tags.insert(0, tag.clone());
        }
        let pushed = Pushed {
            digest,
            subject: parsed.subject,
            tags: tags.clone(),
        };
        let (project, name, now) = (
            permit.project(),
            permit.repository().clone(),
            self.clock.now(),
        );
        let subject = Subject::Artifact {
            project,
            repository: name.clone(),
            tag: None,
            digest,
        };
        let event = self.event(permit.caller(), Operation::Create, subject);
        let (parsed, payload) = (Arc::new(parsed), new.payload);
        let tags: Arc<[Tag]> = tags.into();
        let stored = self.charging(project, move |taking, tx| {
            let (parsed, payload) = (parsed.clone(), payload.clone());
            let (name, tags, event) = (name.clone(), tags.clone(), event.clone());
            Box::pin(async move {
                let id = repository::ensure(tx, project, &name, now).await?;
                let at = Place {
                    project,
                    repository: id,
                    name: &name,
                    taking,
                };
                let rules = Immutability::of(tx, project).await?;
                let claim = tag::claim(tx, (at, &rules), &tags, &digest, Onto::Anything).await?;
                let claim = claim.map_err(|kept| Error::kept(at, kept))?;
                let found = manifest::find_children(tx, id, &parsed.children).await?;
                refuse_missing(&parsed, &found)?;
                refuse_wrong_sizes(tx, (id, &digest), &parsed, &found).await?;
                let new = manifest::New {
                    digest: &digest,
                    manifest: &parsed,
                    payload: &payload,
                    found: &found,
                    tags: &tags,
                };
                let stored = manifest::store(tx, at, new, now).await?;
                let row = stored.map_err(Error::QuotaExceeded)?;
                if tags.is_empty() {
                    tx.record(&event).await?;
                }
                let set = tag::set(tx, at, claim, row, &event).await?;
                set.map_err(|kept| Error::kept(at, kept))?;
                Ok::<_, Error>(repository::publish(tx, id, now).await?)
            })
        });
        stored.await?;
        Ok(pushed)
    }

    /// Deletes the target of a reference: only the tag, or a manifest with its tags and its referrers.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::ManifestInUse`] for a child of an index.
    #[instrument(name = "registry.manifest.delete", level = "debug", skip_all, fields(repo.name = %permit.repository()))]
    pub async fn delete_manifest(
        &self,
        permit: &DeletePermit,
        reference: &Reference,
    ) -> Result<()> {
        match reference {
            Reference::Tag(tag) => self.delete_tag(permit, tag).await,
            Reference::Digest(digest) => self.delete_digest(permit, digest).await,
        }
    }

    /// Deletes a manifest in one short transaction. Remaining dependent rows are purged later.
    async fn delete_digest(&self, permit: &DeletePermit, digest: &Digest) -> Result<()> {
        let (project, name, digest) = (permit.project(), permit.repository().clone(), *digest);
        let reference = Reference::Digest(digest);
        self.refuse_immutable((project, &name), &reference).await?;
        let (when, rows) = (self.deleting_now(), self.rows_at_once());
        let subject = Subject::Artifact {
            project,
            repository: name.clone(),
            tag: None,
            digest,
        };
        let event = self.event(permit.caller(), Operation::Delete, subject);
        let deleted = self.charging(project, move |taking, tx| {
            let (name, event) = (name.clone(), event.clone());
            Box::pin(async move {
                let id = repository::published_in(tx, project, &name).await?;
                let id = id.ok_or_else(|| Error::NameUnknown(name.clone()))?;
                let manifest = manifest::hold(tx, id, &digest)
                    .await?
                    .ok_or_else(|| Error::manifest_unknown(&name, &Reference::Digest(digest)))?;
                let rules = Immutability::of(tx, project).await?;
                refuse_manifest(tx, (&rules, &name), manifest.id).await?;
                if let Some(parent) = manifest::parent(tx, manifest.id).await? {
                    return Err(Error::ManifestInUse {
                        child: digest,
                        parent,
                    });
                }
                let at = Place {
                    project,
                    repository: id,
                    name: &name,
                    taking,
                };
                let tags = tag::of_manifest(tx, manifest.id, None, TOLD).await?;
                manifest::delete(tx, at, manifest.id, when, rows).await?;
                let event = event.with_detail(with_tags(&tags));
                Ok(tx.record(&event).await?)
            })
        });
        deleted.await
    }

    pub(crate) fn deleting_now(&self) -> When {
        let now = self.clock.now();
        When {
            now,
            lease_until: now.plus(self.limits.grace),
        }
    }

    /// Tags and manifests to remove per transaction. On SQLite, all other writers wait for it.
    pub(crate) fn rows_at_once(&self) -> i64 {
        if self.db.is_shared() { 100 } else { 30 }
    }
}

/// Parses and hashes a pushed manifest, and compares it with the digest in the path, if any.
async fn read(new: &NewManifest) -> Result<(Manifest, Digest)> {
    let algorithm = match &new.reference {
        Reference::Digest(digest) => digest.algorithm(),
        Reference::Tag(_) => Algorithm::Sha256,
    };
    let (payload, content_type) = (new.payload.clone(), new.content_type.clone());
    let work = move || {
        let parsed =
            Manifest::parse(content_type.as_deref(), &payload).map_err(Error::ManifestInvalid);
        (parsed, Digest::of(algorithm, &payload))
    };
    let (parsed, actual) = if new.payload.len() > LARGE {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| Error::Interrupted("parse the manifest", error))?
    } else {
        work()
    };
    match &new.reference {
        Reference::Digest(stated) if *stated != actual => Err(Error::DigestMismatch {
            stated: *stated,
            actual,
        }),
        _ => Ok((parsed?, actual)),
    }
}

/// Refuses a manifest that names what the repository does not have.
pub(crate) fn refuse_missing(parsed: &Manifest, found: &[Found]) -> Result<()> {
    let missing: Vec<Digest> = parsed
        .children
        .iter()
        .zip(found)
        .filter(|(_, found)| **found == Found::Missing)
        .map(|(child, _)| child.digest)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::ReferencesMissing(missing))
    }
}

/// Clients cannot pull an image with wrong sizes. An existing one, which was imported that way, may be tagged again.
async fn refuse_wrong_sizes(
    tx: &mut db::Tx,
    (repository, digest): (RepositoryId, &Digest),
    parsed: &Manifest,
    found: &[Found],
) -> Result<()> {
    let wrong = wrong_sizes(parsed, found);
    if wrong.is_empty() || manifest::id(tx, repository, digest).await?.is_some() {
        return Ok(());
    }
    Err(Error::WrongSizes(wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_is_not_parsed_to_its_end_is_no_failure_of_the_store() {
        let new = NewManifest {
            reference: Reference::Tag("v1".parse().unwrap()),
            tags: Vec::new(),
            content_type: None,
            payload: vec![b' '; LARGE + 1].into(),
        };
        let ended = tokio::runtime::Builder::new_current_thread().build();
        let ended = ended.unwrap();
        let threads = ended.handle().clone();
        ended.shutdown_background();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let read = runtime.unwrap().block_on(async {
            // As if the process were stopping.
            let _threads = threads.enter();
            read(&new).await
        });
        assert!(matches!(read, Err(Error::Interrupted(..))), "{read:?}");
    }
}
