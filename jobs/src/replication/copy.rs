//! Copying what a reference names, from the bytes up: see [`super`] for the order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Display;
use std::sync::{Arc, Weak};

use db::execution;
use db::replication::state::{self, Copied as State};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::accessory::referred_by;
use model::manifest::ChildKind;
use model::replication::{PolicyContent, TagState};
use model::{Digest, ExecutionId, Manifest, Reference, ReplicationPolicyId, Tag};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, OnceCell, OwnedMutexGuard, Semaphore};

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

/// What the tags of the repository at the other registry are, as of the beginning of the task.
#[derive(Debug)]
pub(super) struct Versions {
    pub(super) there: HashMap<Tag, TagState>,
}

/// What was brought of what is attached to a manifest, once it is known.
type Brought = OnceCell<Arc<[Digest]>>;

/// From where to where a policy copies.
pub(crate) struct Route {
    pub(crate) id: ReplicationPolicyId,
    pub(crate) execution: ExecutionId,
    pub(crate) policy: PolicyContent,
    pub(crate) source: Site,
    pub(crate) target: Site,
    /// Repositories of the destination that have blobs.
    known: Mutex<HashMap<Digest, Arc<str>>>,
    /// Blobs that are moving now: each by one of those that need it.
    moving: Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>,
}

impl Route {
    pub(crate) fn new(
        (id, execution): (ReplicationPolicyId, ExecutionId),
        policy: PolicyContent,
        source: Site,
        target: Site,
    ) -> Self {
        Self {
            id,
            execution,
            policy,
            source,
            target,
            known: Mutex::default(),
            moving: Mutex::default(),
        }
    }

    /// Waits until nobody else moves a blob, and is the one that does until the guard is dropped.
    pub(super) async fn moving(&self, digest: &Digest) -> OwnedMutexGuard<()> {
        let turn = {
            let mut moving = self.moving.lock();
            match moving.get(digest).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    // Those that nobody holds or waits for any more.
                    moving.retain(|_, turn| turn.strong_count() > 0);
                    let turn = Arc::<AsyncMutex<()>>::default();
                    moving.insert(*digest, Arc::downgrade(&turn));
                    turn
                }
            }
        };
        turn.lock_owned().await
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
    /// What the tags are at the other end, where the later version wins.
    pub(super) versions: Option<Versions>,
    /// Artifacts of which a list said that they have no labels.
    pub(super) unlabelled: HashSet<Digest>,
    /// Manifests that are there with all that they list. What lists one another by digest has no circles, so that nobody
    /// waits for themselves.
    contents: Mutex<HashMap<Digest, Arc<OnceCell<()>>>>,
    /// What was brought that is attached to manifests, each without what is attached to that: attachments may have circles.
    around: Mutex<HashMap<Digest, Arc<Brought>>>,
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
            versions: None,
            unlabelled: HashSet::new(),
            transfers: Semaphore::new(TRANSFERS),
            contents: Mutex::default(),
            around: Mutex::default(),
            attaching: OnceCell::new(),
        }
    }

    /// Copies what a reference names, and points the reference there. Where it is there, what is attached to it may still
    /// lack.
    pub(crate) async fn reference(&self, reference: &Reference, digest: &Digest) -> Copied<()> {
        match (&self.versions, reference) {
            (Some(versions), Reference::Tag(tag)) => Box::pin(self.versioned(versions, tag)).await,
            (_, reference) => Box::pin(self.overriding(reference, digest)).await,
        }
    }

    /// The source wins where the policy overrides; else what the destination has is left.
    async fn overriding(&self, reference: &Reference, digest: &Digest) -> Copied<()> {
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
        self.attachments(*digest).await?;
        self.labels(digest).await?;
        if there.as_ref() == Some(digest) {
            self.journal.count(|counts| counts.present += 1);
        } else {
            let found = self.source_manifest(digest).await?;
            if let Some(subject) = parsed(&found)?.subject {
                self.list_attached(&subject, &[*digest]).await?;
            }
            if let Reference::Tag(_) = reference {
                self.put(reference, &found).await?;
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
            Reference::Tag(tag) => {
                let done = self.attaching_tag(tag).await;
                self.or_skipped(done, || self.not_attached(tag, &subject))?;
                Ok(())
            }
            Reference::Digest(digest) => {
                let done = self.content(*digest, 0).await;
                let done = self.or_skipped(done, || self.not_attached(digest, &subject))?;
                if done.is_none() {
                    return Ok(());
                }
                self.list_attached(&subject, &[*digest]).await?;
                self.attachments(*digest).await?;
                self.journal.count(|counts| counts.copied += 1);
                self.journal
                    .info(format!("{} {digest} is attached to {subject}", self.to));
                Ok(())
            }
        }
    }

    /// What came of a part without which the rest goes on where the other registry does not take its kind.
    fn or_skipped<T>(&self, done: Copied<T>, what: impl FnOnce() -> String) -> Copied<Option<T>> {
        match done {
            Err(error) if error.is_refused_kind() => {
                self.journal.skip(&what(), &error);
                Ok(None)
            }
            done => done.map(Some),
        }
    }

    fn not_attached(&self, what: impl Display, subject: &Digest) -> String {
        let from = &self.from;
        format!("{from} {what}, which is attached to {subject}, was not copied")
    }

    pub(super) const fn is_dry_run(&self) -> bool {
        matches!(self.mode, Mode::DryRun { .. })
    }

    pub(super) fn say_what_would_be(
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
    pub(super) fn note(&self, reference: &Reference, digest: &Digest) {
        self.journal.state(State {
            repository: self.to.clone(),
            reference: reference.to_string(),
            source: self.from.clone(),
            digest: *digest,
            copied_at: self.journal.works().clock.now(),
        });
    }

    /// Stores a manifest at the destination, unless the execution was stopped.
    async fn put(&self, reference: &Reference, found: &Found) -> Copied<()> {
        self.refuse_stopped().await?;
        self.route.target.put(&self.to, reference, found).await
    }

    /// Fails once the execution was stopped. What is written here fails by itself then.
    pub(super) async fn refuse_stopped(&self) -> Copied<()> {
        if matches!(self.route.target, Site::Here(_)) {
            return Ok(());
        }
        let mut reader = self.journal.works().db.reader().await?;
        let found = execution::get(&mut reader, self.route.execution).await?;
        match found.is_some_and(|found| !found.status.is_final()) {
            true => Ok(()),
            false => Err(CopyError::Stopped),
        }
    }

    async fn source_manifest(&self, digest: &Digest) -> Copied<Found> {
        let by_digest = Reference::Digest(*digest);
        let found = self.route.source.manifest(&self.from, &by_digest).await?;
        found.ok_or_else(|| CopyError::Missing(format!("the manifest {digest} of {}", self.from)))
    }

    /// Brings a manifest, by its digest, with its blobs and all that it lists.
    pub(super) fn content(&self, digest: Digest, depth: usize) -> BoxFuture<'_, Copied<()>> {
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
        self.children(&digest, &manifest, depth).await?;
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
        self.put(&by_digest, &found).await
    }

    /// Brings the manifests that a list names. One whose kind the other registry does not take is skipped, such as the
    /// provenance of an image, unless all are: a list that leads nowhere is not put.
    async fn children(&self, list: &Digest, manifest: &Manifest, depth: usize) -> Copied<()> {
        let (mut is_any_there, mut refused) = (false, None);
        for child in &manifest.children {
            if child.kind != ChildKind::Manifest {
                continue;
            }
            match self.content(child.digest, depth + 1).await {
                Ok(()) => is_any_there = true,
                Err(error) if error.is_refused_kind() => {
                    let (from, child) = (&self.from, child.digest);
                    let what = format!("{from} {child}, which {list} lists, was not copied");
                    self.journal.skip(&what, &error);
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) if !is_any_there => Err(error),
            _ => Ok(()),
        }
    }

    /// Brings what is attached to a manifest, and to what it lists: by its subject, and by tags that name it. Whoever asks
    /// waits until all of it is there, whoever brings it.
    pub(super) async fn attachments(&self, root: Digest) -> Copied<()> {
        let mut seen = HashSet::from([root]);
        let mut waiting = VecDeque::from([(root, 0)]);
        while let Some((digest, depth)) = waiting.pop_front() {
            within(&digest, depth)?;
            let cell = self.around.lock().entry(digest).or_default().clone();
            let around = cell.get_or_try_init(|| Box::pin(self.bring_around(digest)));
            for next in around.await?.iter() {
                if seen.insert(*next) {
                    waiting.push_back((*next, depth + 1));
                }
            }
        }
        Ok(())
    }

    /// Brings what is attached to one manifest, without what the other registry refuses for its kind: the manifest's tag is
    /// put all the same. Returns what may have attachments too: that, and what the manifest lists.
    async fn bring_around(&self, digest: Digest) -> Copied<Arc<[Digest]>> {
        let found = self.source_manifest(&digest).await?;
        let manifest = parsed(&found)?;
        let listed = manifest.children.iter();
        let listed = listed.filter(|child| child.kind == ChildKind::Manifest);
        let mut around: Vec<Digest> = listed.map(|child| child.digest).collect();
        let mut referrers = Vec::new();
        for referrer in self.route.source.referrers(&self.from, &digest).await? {
            let done = self.content(referrer, 0).await;
            let done = self.or_skipped(done, || self.not_attached(referrer, &digest))?;
            referrers.extend(done.map(|()| referrer));
        }
        self.list_attached(&digest, &referrers).await?;
        around.extend(referrers);
        for tag in self.attaching_tags(&digest).await? {
            let done = Box::pin(self.attaching_tag(&tag)).await;
            let done = self.or_skipped(done, || self.not_attached(&tag, &digest))?;
            around.extend(done.flatten());
        }
        Ok(around.into())
    }

    /// Lists what is attached to a manifest, unless the other registry does not take such a list.
    async fn list_attached(&self, subject: &Digest, referrers: &[Digest]) -> Copied<()> {
        let done = self.list_referrers(subject, referrers).await;
        let to = &self.to;
        let what = || format!("the list of what is attached to {to} {subject} was not stored");
        self.or_skipped(done, what)?;
        Ok(())
    }

    /// Lists what is attached to a manifest at a registry that does not do so by itself: also what is there already, in
    /// case another writer of the list removed it.
    async fn list_referrers(&self, subject: &Digest, referrers: &[Digest]) -> Copied<()> {
        if referrers.is_empty() {
            return Ok(());
        }
        let target = &self.route.target;
        let unlisted = target.unlisted(&self.to, subject, referrers).await?;
        let mut descriptors = Vec::with_capacity(unlisted.len());
        for referrer in unlisted {
            let found = self.source_manifest(&referrer).await?;
            descriptors.push(descriptor(&found, &parsed(&found)?));
        }
        target.list_referrers(&self.to, subject, descriptors).await
    }

    /// A tag that names what is attached to a manifest moves with every attachment: the source's one counts, unless it is
    /// another one than this policy put there and the policy does not override.
    async fn attaching_tag(&self, tag: &Tag) -> Copied<Option<Digest>> {
        if let Some(versions) = &self.versions {
            return self.versioned_attaching(versions, tag).await;
        }
        let by_tag = Reference::Tag(tag.clone());
        let Some(digest) = self.route.source.digest_of(&self.from, &by_tag).await? else {
            return Ok(None);
        };
        let there = self.route.target.digest_of(&self.to, &by_tag).await?;
        if there == Some(digest) {
            return Ok(Some(digest));
        }
        if let Some(other) = there
            && !self.route.policy.overrides
            && !self.has_put(&by_tag, &other).await?
        {
            self.journal.warn(format!(
                "{} {tag} is kept: it is {other} there, which this policy did not copy, and it does not override",
                self.to
            ));
            return Ok(None);
        }
        self.content(digest, 0).await?;
        let found = self.source_manifest(&digest).await?;
        self.put(&by_tag, &found).await?;
        self.note(&by_tag, &digest);
        self.journal
            .info(format!("{} {tag} comes along: {digest}", self.from));
        Ok(Some(digest))
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
