//! Copying what a reference names, from the bytes up: see [`super`] for the order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use db::replication::state::{self, Copied as State};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::accessory::referred_by;
use model::manifest::ChildKind;
use model::replication::PolicyContent;
use model::{Digest, Manifest, Reference, ReplicationPolicyId, Tag};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore};

use super::error::{Copied, CopyError};
use super::journal::Journal;
use super::site::{Found, Site};
use super::speed::Speed;

/// Blobs of a manifest that are looked at side by side.
const BLOBS: usize = 4;
/// Blobs of a task whose bytes move side by side.
const TRANSFERS: usize = 4;
/// How deep lists in lists, and what is attached to what is attached, are followed. Each level is one on the stack.
const DEEPEST: usize = 8;
/// Blobs whose place at the destination is remembered.
const MOST_KNOWN: usize = 100_000;

/// From where to where a policy copies.
pub(crate) struct Route {
    pub(crate) id: ReplicationPolicyId,
    pub(crate) policy: PolicyContent,
    pub(crate) source: Site,
    pub(crate) target: Site,
    /// Repositories of the destination that have blobs.
    known: Mutex<HashMap<Digest, Arc<str>>>,
}

impl Route {
    pub(crate) fn new(
        (id, policy): (ReplicationPolicyId, PolicyContent),
        source: Site,
        target: Site,
    ) -> Self {
        Self {
            id,
            policy,
            source,
            target,
            known: Mutex::default(),
        }
    }

    /// A repository of the destination that has a blob.
    pub(super) fn repository_with(&self, digest: &Digest) -> Option<String> {
        self.known.lock().get(digest).map(|name| name.to_string())
    }

    pub(super) fn note_blob(&self, digest: &Digest, repository: &str) {
        let mut known = self.known.lock();
        if known.len() < MOST_KNOWN {
            known.entry(*digest).or_insert_with(|| repository.into());
        }
    }
}

/// Whether something is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is.
    Copy,
    /// It is only said what would be.
    DryRun {
        /// Whether the destination has nothing at all, not even the project.
        is_empty: bool,
    },
}

/// Copying from one repository to another.
pub(crate) struct Copying<'a> {
    pub(super) route: &'a Route,
    pub(super) journal: &'a Journal,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) speed: Speed,
    pub(super) transfers: Semaphore,
    mode: Mode,
    /// Manifests that are there with all that they list. What lists one another by digest has no circles, so that nobody
    /// waits for themselves.
    contents: Mutex<HashMap<Digest, Arc<OnceCell<()>>>>,
    /// Manifests whose attachments were looked at. These may have circles, and nobody waits.
    attached: Mutex<HashSet<Digest>>,
    /// Tags of the source that name what is attached to a manifest.
    attaching: OnceCell<HashMap<Digest, Vec<Tag>>>,
}

impl<'a> Copying<'a> {
    pub(crate) fn new(
        (route, journal): (&'a Route, &'a Journal),
        (from, to): (String, String),
        mode: Mode,
    ) -> Self {
        Self {
            speed: Speed::of(route.policy.speed),
            route,
            journal,
            from,
            to,
            mode,
            transfers: Semaphore::new(TRANSFERS),
            contents: Mutex::default(),
            attached: Mutex::default(),
            attaching: OnceCell::new(),
        }
    }

    /// Copies what a reference names, and points the reference there. Where it is there, what is attached to it may still
    /// lack.
    pub(crate) async fn reference(&self, reference: &Reference, digest: &Digest) -> Copied<()> {
        let (from, to) = (&self.from, &self.to);
        let there = match self.mode {
            Mode::DryRun { is_empty: true } => None,
            Mode::Copy | Mode::DryRun { .. } => self.route.target.digest_of(to, reference).await?,
        };
        if let Some(other) = there.filter(|other| other != digest)
            && !self.route.policy.overrides
        {
            self.journal.warn(format!(
                "{to} {reference} is kept: it is {other} there, and {from} has {digest}; the policy does not override"
            ));
            self.journal.count(|counts| counts.kept += 1);
            return Ok(());
        }
        if self.is_dry_run() {
            self.say_what_would_be(reference, (digest, there.as_ref()));
            return Ok(());
        }
        let before = self.journal.counts().bytes;
        if there.as_ref() != Some(digest) {
            self.content(*digest, 0).await?;
        }
        self.attachments(*digest, 0).await?;
        if there.as_ref() == Some(digest) {
            self.journal.count(|counts| counts.present += 1);
        } else {
            if let Reference::Tag(_) = reference {
                let found = self.source_manifest(digest).await?;
                self.route.target.put(to, reference, &found, None).await?;
            }
            self.journal.count(|counts| counts.copied += 1);
            self.note(reference, digest);
            let bytes = self.journal.counts().bytes.saturating_sub(before);
            self.journal.info(format!(
                "{from} {reference} is copied to {to}: {digest}, {bytes} bytes moved"
            ));
        }
        Ok(())
    }

    /// Copies what happened to a reference here. What is attached to something goes where that is.
    pub(crate) async fn change(&self, reference: &Reference, takes_untagged: bool) -> Copied<()> {
        let subject = match reference {
            Reference::Tag(tag) => referred_by(tag),
            Reference::Digest(_) => {
                let found = self.route.source.manifest(&self.from, reference).await?;
                let Some(found) = found else {
                    return Ok(());
                };
                let subject = parsed(&found)?.subject;
                if subject.is_none() && !takes_untagged {
                    return Ok(());
                }
                subject
            }
        };
        let Some(subject) = subject else {
            let found = self.route.source.digest_of(&self.from, reference).await?;
            return match found {
                Some(digest) => Box::pin(self.reference(reference, &digest)).await,
                // It is gone again.
                None => Ok(()),
            };
        };
        let by_digest = Reference::Digest(subject);
        if self.is_dry_run()
            || self
                .route
                .target
                .digest_of(&self.to, &by_digest)
                .await?
                .is_none()
        {
            return Ok(());
        }
        match reference {
            Reference::Tag(tag) => self.attaching_tag(tag).await,
            Reference::Digest(digest) => {
                self.content(*digest, 0).await?;
                self.attachments(*digest, 0).await?;
                self.journal.count(|counts| counts.copied += 1);
                self.journal
                    .info(format!("{} {digest} is attached to {subject}", self.to));
                Ok(())
            }
        }
    }

    pub(super) const fn is_dry_run(&self) -> bool {
        matches!(self.mode, Mode::DryRun { .. })
    }

    fn say_what_would_be(
        &self,
        reference: &Reference,
        (digest, there): (&Digest, Option<&Digest>),
    ) {
        let (from, to) = (&self.from, &self.to);
        match there {
            Some(same) if same == digest => self.journal.count(|counts| counts.present += 1),
            Some(other) => {
                self.journal.count(|counts| counts.copied += 1);
                self.journal.info(format!(
                    "dry run: {from} {reference} would be copied to {to}, in place of {other}: {digest}"
                ));
            }
            None => {
                self.journal.count(|counts| counts.copied += 1);
                self.journal.info(format!(
                    "dry run: {from} {reference} would be copied to {to}: {digest}"
                ));
            }
        }
    }

    /// Notes what was put at the destination. What was there already is not the policy's, which may not delete it.
    fn note(&self, reference: &Reference, digest: &Digest) {
        self.journal.state(State {
            repository: self.to.clone(),
            reference: reference.to_string(),
            source: self.from.clone(),
            digest: *digest,
            copied_at: self.journal.works().clock.now(),
        });
    }

    async fn source_manifest(&self, digest: &Digest) -> Copied<Found> {
        let by_digest = Reference::Digest(*digest);
        let found = self.route.source.manifest(&self.from, &by_digest).await?;
        found.ok_or_else(|| CopyError::Missing(format!("the manifest {digest} of {}", self.from)))
    }

    /// Brings a manifest, by its digest, with its blobs and all that it lists.
    fn content(&self, digest: Digest, depth: usize) -> BoxFuture<'_, Copied<()>> {
        Box::pin(async move {
            within(&digest, depth)?;
            let cell = self.contents.lock().entry(digest).or_default().clone();
            cell.get_or_try_init(|| Box::pin(self.bring(digest, depth)))
                .await?;
            Ok(())
        })
    }

    async fn bring(&self, digest: Digest, depth: usize) -> Copied<()> {
        let by_digest = Reference::Digest(digest);
        let there = self.route.target.digest_of(&self.to, &by_digest).await?;
        if there.is_some() {
            return Ok(());
        }
        let found = self.source_manifest(&digest).await?;
        let manifest = parsed(&found)?;
        for child in &manifest.children {
            if child.kind == ChildKind::Manifest {
                self.content(child.digest, depth + 1).await?;
            }
        }
        let blobs = manifest.children.iter();
        let blobs = blobs.filter(|child| child.kind == ChildKind::Blob);
        let mut seen = HashSet::new();
        let blobs: Vec<(Digest, u64)> = blobs
            .map(|child| (child.digest, u64::try_from(child.size).unwrap_or_default()))
            .filter(|(digest, _)| seen.insert(*digest))
            .collect();
        stream::iter(blobs)
            .map(|(digest, size)| async move { Box::pin(self.blob(&digest, size)).await })
            .buffer_unordered(BLOBS)
            .try_collect::<()>()
            .await?;
        let attached = manifest.subject.as_ref();
        let attached = attached.map(|subject| (subject, descriptor(&found, &manifest)));
        let target = &self.route.target;
        target.put(&self.to, &by_digest, &found, attached).await
    }

    /// Brings what is attached to a manifest, and to what it lists: by its subject, and by tags that name it.
    fn attachments(&self, digest: Digest, depth: usize) -> BoxFuture<'_, Copied<()>> {
        Box::pin(async move {
            within(&digest, depth)?;
            if !self.attached.lock().insert(digest) {
                return Ok(());
            }
            let found = self.source_manifest(&digest).await?;
            if parsed(&found)?.media_type.is_index() {
                for child in parsed(&found)?.children {
                    if child.kind == ChildKind::Manifest {
                        self.attachments(child.digest, depth + 1).await?;
                    }
                }
            }
            for referrer in self.route.source.referrers(&self.from, &digest).await? {
                self.content(referrer, 0).await?;
                self.attachments(referrer, depth + 1).await?;
            }
            for tag in self.attaching_tags(&digest).await? {
                Box::pin(self.attaching_tag(&tag)).await?;
            }
            Ok(())
        })
    }

    /// A tag that names what is attached to a manifest moves with every attachment: the source's one counts, unless it is
    /// another one than this policy put there and the policy does not override.
    async fn attaching_tag(&self, tag: &Tag) -> Copied<()> {
        let by_tag = Reference::Tag(tag.clone());
        let Some(digest) = self.route.source.digest_of(&self.from, &by_tag).await? else {
            return Ok(());
        };
        let there = self.route.target.digest_of(&self.to, &by_tag).await?;
        if there == Some(digest) {
            return Ok(());
        }
        if let Some(other) = there
            && !self.route.policy.overrides
            && !self.has_put(&by_tag, &other).await?
        {
            self.journal.warn(format!(
                "{} {tag} is kept: it is {other} there, which this policy did not copy, and it does not override",
                self.to
            ));
            return Ok(());
        }
        self.content(digest, 0).await?;
        let found = self.source_manifest(&digest).await?;
        self.route
            .target
            .put(&self.to, &by_tag, &found, None)
            .await?;
        self.note(&by_tag, &digest);
        self.journal
            .info(format!("{} {tag} comes along: {digest}", self.from));
        Ok(())
    }

    /// Whether the policy has put a manifest where a reference is at the destination.
    async fn has_put(&self, reference: &Reference, there: &Digest) -> Copied<bool> {
        let mut reader = self.journal.works().db.reader().await?;
        let at = (self.from.as_str(), &*reference.to_string());
        let noted = state::find(&mut reader, self.route.id, at).await?;
        let is_it = |it: &State| it.repository == self.to && it.digest == *there;
        Ok(noted.iter().any(is_it))
    }

    async fn attaching_tags(&self, digest: &Digest) -> Copied<Vec<Tag>> {
        let all = self.attaching.get_or_try_init(|| async {
            let mut all: HashMap<Digest, Vec<Tag>> = HashMap::new();
            for tag in self.route.source.tags(&self.from).await? {
                // One without a dot lists referrers, which come by themselves, and are listed there anew.
                if let Some(subject) = referred_by(&tag)
                    && tag.as_str().contains('.')
                {
                    all.entry(subject).or_default().push(tag);
                }
            }
            Ok::<_, CopyError>(all)
        });
        Ok(all.await?.get(digest).cloned().unwrap_or_default())
    }
}

/// Whoever may push could have lists in lists without end.
fn within(digest: &Digest, depth: usize) -> Copied<()> {
    match depth <= DEEPEST {
        true => Ok(()),
        false => Err(CopyError::TooDeep(digest.to_string(), DEEPEST)),
    }
}

fn parsed(found: &Found) -> Copied<Manifest> {
    let media_type = (!found.media_type.is_empty()).then_some(found.media_type.as_str());
    Manifest::parse(media_type, &found.bytes)
        .map_err(|error| CopyError::Manifest(found.digest.to_string(), error.to_string()))
}

/// How a list of referrers names a manifest (OCI image specification, "Content Descriptors").
fn descriptor(found: &Found, manifest: &Manifest) -> Value {
    let mut descriptor = json!({
        "mediaType": manifest.media_type.as_str(),
        "digest": found.digest.to_string(),
        "size": found.bytes.len(),
    });
    if let Some(kind) = &manifest.artifact_type {
        descriptor["artifactType"] = json!(kind);
    }
    if !manifest.annotations.is_empty() {
        descriptor["annotations"] = json!(manifest.annotations);
    }
    descriptor
}
