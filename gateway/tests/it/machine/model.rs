//! What ought to exist, as plain maps. Each step is told to the model with what was seen of it: the model says
//! whether that could be so, and follows.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{Blob, Manifest};
use super::step::{Project, Repository, Slot, Step, Stray, Tag};

/// The servers' `[gc] grace_secs`.
pub(crate) const GRACE: i64 = 2 * 3_600;
/// The servers' `[gc] hold_secs`.
pub(crate) const HOLD: i64 = 24 * 3_600;
/// The servers' `[uploads] expiry_secs`.
pub(crate) const EXPIRY: i64 = 10 * 24 * 3_600;
/// How long a manifest stays without a tag where the project has a policy.
pub(crate) const UNTAGGED: i64 = 3_600;

/// What was seen of a step.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// The status of an answer.
    Status(u16),
    /// How far an upload came, if it is still there.
    Progress(Option<u64>),
    /// How a command ended, and what it printed.
    Command(bool, String),
    /// As that, and which manifests had gone.
    Collected(bool, String, BTreeSet<(Repository, Manifest)>),
    /// Nothing but that it was done.
    Done,
}

/// Why something cannot be so.
pub(crate) type Surprise = String;

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// Seconds since the walk began.
    pub(crate) now: i64,
    pub(crate) projects: BTreeMap<Project, Held>,
    /// Deleted projects, as long as links of theirs wait to be collected.
    deleted: Vec<Held>,
    /// Where the bytes of each live blob are.
    pub(crate) bytes: BTreeMap<Blob, Bytes>,
    /// Blobs given up whose objects wait to be deleted, and since when.
    given_up: Vec<(Blob, Bytes, i64)>,
    uploads: BTreeMap<Slot, Upload>,
    /// Uploads that nobody goes on with.
    forsaken: Vec<Upload>,
    /// Objects of the other registry.
    pub(crate) foreign: BTreeSet<Blob>,
    /// Files that are nobody's business.
    pub(crate) strays: BTreeSet<String>,
    /// Whether blobs are on their way to another store.
    pub(crate) moving: bool,
    backup: Option<Box<Model>>,
    /// Projects made so far.
    made: u32,
}

/// Where the bytes of a blob are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// In an object of Gantry's.
    Own,
    /// In an object that the other registry made.
    Foreign,
    /// In such an object that is Gantry's now.
    Adopted,
}

/// A project.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    id: u32,
    pub(crate) limit: Option<u64>,
    pub(crate) untagged: bool,
    pub(crate) repositories: BTreeMap<Repository, Contents>,
}

/// What a repository has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    /// Blobs, and until when each stays even if no manifest names it.
    pub(crate) links: BTreeMap<Blob, i64>,
    pub(crate) manifests: BTreeMap<Manifest, Loose>,
    pub(crate) tags: BTreeMap<Tag, Manifest>,
}

/// Since when nothing keeps a manifest; nothing where it is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loose {
    /// Since when that is so.
    since: Option<i64>,
    /// When a collection first saw it so.
    noticed: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Upload {
    into: Repository,
    /// The project that it began in.
    project: Option<u32>,
    blob: Blob,
    offset: u64,
    expires: i64,
    /// Whether its bytes, if any, are in the store that is moved away from.
    old_store: bool,
}

/// Whether a project takes more bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    /// It depends on what unfinished uploads have reserved.
    Unsure,
    None,
}

impl Contents {
    /// Whether a manifest here names a blob.
    pub(crate) fn names(&self, blob: Blob) -> bool {
        self.manifests
            .keys()
            .any(|manifest| manifest.facts().blobs.contains(&blob))
    }

    fn listed_by(&self, manifest: Manifest) -> Option<Manifest> {
        let mut manifests = self.manifests.keys().copied();
        manifests.find(|index| index.facts().children.contains(&manifest))
    }

    fn is_tagged(&self, manifest: Manifest) -> bool {
        self.tags.values().any(|tagged| *tagged == manifest)
    }

    fn is_kept(&self, manifest: Manifest) -> bool {
        let subject = manifest.facts().subject;
        self.is_tagged(manifest)
            || self.listed_by(manifest).is_some()
            || subject.is_some_and(|subject| self.manifests.contains_key(&subject))
    }

    /// Notes what is kept now and what is not any more.
    fn look(&mut self, now: i64) {
        for manifest in self.manifests.keys().copied().collect::<Vec<_>>() {
            let loose = match (self.is_kept(manifest), self.manifests[&manifest]) {
                (true, _) => Loose::default(),
                (false, Loose { since: None, .. }) => Loose {
                    since: Some(now),
                    noticed: None,
                },
                (false, loose) => loose,
            };
            self.manifests.insert(manifest, loose);
        }
    }

    /// Takes a manifest away, with its tags, its referrers, and what it lists and nothing else keeps.
    fn delete(&mut self, manifest: Manifest, now: i64) {
        let mut going = vec![manifest];
        while let Some(manifest) = going.pop() {
            self.manifests.remove(&manifest);
            self.tags.retain(|_, tagged| *tagged != manifest);
            for blob in &manifest.facts().blobs {
                if let Some(lease) = self.links.get_mut(blob) {
                    *lease = (*lease).max(now + GRACE);
                }
            }
            let referrers = self.manifests.keys().copied().filter(|referrer| {
                referrer.facts().subject == Some(manifest) && self.listed_by(*referrer).is_none()
            });
            going.extend(referrers.collect::<Vec<_>>());
            let mut hanging = manifest.facts().children.clone();
            hanging.retain(|child| {
                self.manifests.contains_key(child)
                    && !self.is_kept(*child)
                    && !going.contains(child)
            });
            going.extend(hanging);
        }
        self.look(now);
    }
}

impl Held {
    fn holds(&self, blob: Blob) -> bool {
        self.repositories
            .values()
            .any(|contents| contents.links.contains_key(&blob))
    }

    /// Bytes of blobs, each once, and of manifests.
    fn stored(&self) -> u64 {
        let blobs = Blob::ALL.into_iter().filter(|blob| self.holds(*blob));
        let manifests = self
            .repositories
            .values()
            .flat_map(|contents| contents.manifests.keys());
        blobs.map(Blob::size).sum::<u64>()
            + manifests
                .map(|manifest| manifest.facts().bytes.len() as u64)
                .sum::<u64>()
    }
}

impl Model {
    /// What a repository has; nothing where there is none.
    pub(crate) fn contents(&self, at: Repository) -> Option<&Contents> {
        self.projects.get(&at.project())?.repositories.get(&at)
    }

    fn contents_mut(&mut self, at: Repository) -> &mut Contents {
        let project = self
            .projects
            .get_mut(&at.project())
            .expect("the project was looked for");
        project.repositories.entry(at).or_default()
    }

    /// The least and the most that a project's usage may be: an upload may be charged for ahead.
    pub(crate) fn usage(&self, project: Project) -> Option<(u64, u64)> {
        let held = self.projects.get(&project)?;
        let stored = held.stored();
        Some((stored, stored + self.reserved(held.id)))
    }

    /// What unfinished uploads into a project may have reserved.
    fn reserved(&self, project: u32) -> u64 {
        let uploads = self.uploads.values().chain(&self.forsaken);
        let of_project = uploads.filter(|upload| upload.project == Some(project));
        of_project.map(|upload| upload.blob.size()).sum()
    }

    fn room(&self, project: Project, bytes: u64) -> Room {
        let held = &self.projects[&project];
        let Some(limit) = held.limit else {
            return Room::Enough;
        };
        let stored = held.stored();
        if stored + bytes > limit {
            Room::None
        } else if stored + self.reserved(held.id) + bytes > limit {
            Room::Unsure
        } else {
            Room::Enough
        }
    }

    /// Whether a step makes sense now. What does not is passed over.
    pub(crate) fn applies(&self, step: &Step) -> bool {
        match step {
            Step::Patch(slot) | Step::KillInPatch(slot) => {
                let left = |upload: &Upload| upload.blob.size() - upload.offset;
                self.uploads
                    .get(slot)
                    .is_some_and(|upload| left(upload) > upload.blob.piece())
            }
            Step::Progress(slot) | Step::Commit(slot) | Step::Cancel(slot) => {
                self.uploads.contains_key(slot)
            }
            Step::Quota(project, _) | Step::Untagged(project, _) => {
                self.projects.contains_key(project)
            }
            // The other registry is not to be used once its objects are adopted, and what is imported does not move.
            Step::Import => {
                let limited = self
                    .projects
                    .values()
                    .any(|project| project.limit.is_some());
                !limited && !self.moving && !self.has(Bytes::Adopted)
            }
            Step::OtherCollects => !self.foreign.is_empty() && !self.has(Bytes::Adopted),
            Step::BeginMove => {
                // The other registry stays where it is.
                let is_alone = self.foreign.is_empty() && !self.has(Bytes::Adopted);
                !self.moving && is_alone && !self.has(Bytes::Foreign)
            }
            Step::CopyBlobs { .. } => self.moving,
            Step::Backup => !self.moving,
            Step::Restore => self.backup.as_ref().is_some_and(|backup| {
                // Objects of blobs that were deleted since are still held.
                !self.moving && self.now < backup.now + HOLD - 3_600
            }),
            _ => true,
        }
    }

    fn has(&self, bytes: Bytes) -> bool {
        let given_up = self.given_up.iter().map(|(_, bytes, _)| bytes);
        self.bytes.values().chain(given_up).any(|of| *of == bytes)
    }

    /// The upload in a slot: where it goes, its blob and its offset.
    pub(crate) fn upload(&self, slot: Slot) -> (Repository, Blob, u64) {
        let upload = &self.uploads[&slot];
        (upload.into, upload.blob, upload.offset)
    }

    /// Repositories that a step may have changed.
    pub(crate) fn touched(&self, step: &Step) -> Vec<Repository> {
        match step {
            Step::Start(_, at, _)
            | Step::PushBlob(at, _)
            | Step::Head(at, _)
            | Step::DeleteBlob(at, _)
            | Step::Push(at, ..)
            | Step::Put(at, ..)
            | Step::DeleteTag(at, _)
            | Step::DeleteManifest(at, _) => vec![*at],
            Step::Mount { from, to, .. } => vec![*from, *to],
            Step::Patch(slot) | Step::Progress(slot) | Step::Commit(slot) | Step::Cancel(slot) => {
                self.uploads
                    .get(slot)
                    .map(|upload| upload.into)
                    .into_iter()
                    .collect()
            }
            Step::Quota(..)
            | Step::Untagged(..)
            | Step::Clock(_)
            | Step::Backup
            | Step::Leave(_) => vec![],
            _ => Repository::ALL.to_vec(),
        }
    }

    /// The steps that a step consists of: those of a client, for a push.
    pub(crate) fn expand(&self, step: &Step) -> Vec<Step> {
        match *step {
            Step::Push(at, manifest, tag) => self.push(at, manifest, tag),
            Step::RecreateProject(project) => {
                vec![Step::DeleteProject(project), Step::CreateProject(project)]
            }
            step => vec![step],
        }
    }

    fn push(&self, at: Repository, manifest: Manifest, tag: Option<Tag>) -> Vec<Step> {
        let facts = manifest.facts();
        let mut steps = Vec::new();
        for child in &facts.children {
            steps.extend(self.push(at, *child, None));
        }
        for blob in &facts.blobs {
            let there = self
                .contents(at)
                .is_some_and(|contents| contents.links.contains_key(blob));
            steps.push(match there {
                true => Step::Head(at, *blob),
                false => Step::PushBlob(at, *blob),
            });
        }
        steps.push(Step::Put(at, manifest, tag));
        steps
    }

    /// Compares what was seen of a step with what may be, and follows it.
    pub(crate) fn follow(&mut self, step: &Step, seen: &Seen) -> Result<(), Surprise> {
        match *step {
            Step::Start(slot, at, blob) => self.start(slot, at, blob, status(seen)?),
            Step::Patch(slot) => self.patch(slot, status(seen)?),
            Step::Progress(slot) => self.progress(slot, seen),
            Step::Commit(slot) => self.commit(slot, status(seen)?),
            Step::Cancel(slot) => self.cancel(slot, status(seen)?),
            Step::PushBlob(at, blob) => self.push_blob(at, blob, status(seen)?),
            Step::Mount { from, to, blob } => self.mount((from, to), blob, status(seen)?),
            Step::Head(at, blob) => self.head(at, blob, status(seen)?),
            Step::DeleteBlob(at, blob) => self.delete_blob(at, blob, status(seen)?),
            Step::Push(..) | Step::RecreateProject(_) => unreachable!("it is expanded"),
            Step::Put(at, manifest, tag) => self.put(at, manifest, tag, status(seen)?),
            Step::DeleteTag(at, tag) => self.delete_tag(at, tag, status(seen)?),
            Step::DeleteManifest(at, manifest) => self.delete_manifest(at, manifest, status(seen)?),
            Step::CreateProject(project) => self.create_project(project, status(seen)?),
            Step::DeleteProject(project) => self.delete_project(project, status(seen)?),
            Step::Quota(project, limit) => {
                one_of(status(seen)?, &[200])?;
                self.project_mut(project).limit = limit.bytes();
                Ok(())
            }
            Step::Untagged(project, delete) => {
                succeeded(seen)?;
                self.project_mut(project).untagged = delete;
                Ok(())
            }
            Step::Collect => self.collect(seen),
            Step::Clock(jump) => {
                self.now += jump.seconds();
                Ok(())
            }
            Step::KillInPatch(slot) => self.progress(slot, seen),
            Step::Restart | Step::Kill | Step::HandOver | Step::Leave(_) => Ok(()),
            Step::Import => {
                succeeded(seen)?;
                self.import();
                Ok(())
            }
            Step::OtherCollects => {
                for blob in self.collected_elsewhere() {
                    self.foreign.remove(&blob);
                }
                self.backup = None;
                Ok(())
            }
            Step::Adopt => {
                succeeded(seen)?;
                for bytes in self.bytes.values_mut() {
                    if *bytes == Bytes::Foreign {
                        *bytes = Bytes::Adopted;
                    }
                }
                Ok(())
            }
            Step::BeginMove => {
                self.moving = true;
                self.backup = None;
                for upload in self.uploads.values_mut().chain(&mut self.forsaken) {
                    upload.old_store = true;
                }
                Ok(())
            }
            Step::CopyBlobs { .. } => self.copy_blobs(seen),
            Step::Backup => {
                succeeded(seen)?;
                let snapshot = Model {
                    backup: None,
                    ..self.clone()
                };
                self.backup = Some(Box::new(snapshot));
                Ok(())
            }
            Step::Restore => {
                succeeded(seen)?;
                self.restore();
                Ok(())
            }
        }
    }

    /// Notes a file that is not Gantry's.
    pub(crate) fn leave(&mut self, stray: Stray, hour: i64) -> String {
        let key = stray.key(hour);
        self.strays.insert(key.clone());
        key
    }

    fn project_mut(&mut self, project: Project) -> &mut Held {
        self.projects.get_mut(&project).expect("the step applies")
    }

    fn project_id(&self, at: Repository) -> Option<u32> {
        self.projects.get(&at.project()).map(|held| held.id)
    }

    fn start(
        &mut self,
        slot: Slot,
        into: Repository,
        blob: Blob,
        status: u16,
    ) -> Result<(), Surprise> {
        if !self.projects.contains_key(&into.project()) {
            return one_of(status, MISSING_PROJECT);
        }
        refusable(status, 202, self.room(into.project(), 0))?;
        if status == 202 {
            let upload = Upload {
                into,
                project: self.project_id(into),
                blob,
                offset: 0,
                expires: self.now + EXPIRY,
                old_store: false,
            };
            self.forsaken.extend(self.uploads.insert(slot, upload));
        }
        Ok(())
    }

    /// Whether an upload's project is still there. An upload of one that is not has failed, and is forgotten.
    fn goes_on(&mut self, slot: Slot, status: u16) -> Result<bool, Surprise> {
        let upload = self.uploads[&slot];
        if upload.project == self.project_id(upload.into) {
            return Ok(true);
        }
        let upload = self.uploads.remove(&slot);
        self.forsaken.extend(upload);
        one_of(status, MISSING_PROJECT)?;
        Ok(false)
    }

    fn patch(&mut self, slot: Slot, status: u16) -> Result<(), Surprise> {
        if !self.goes_on(slot, status)? {
            return Ok(());
        }
        let upload = self.uploads[&slot];
        let piece = upload.blob.piece();
        let room = match self.room(upload.into.project(), upload.offset + piece) {
            // Charged for only where the bytes have not all come at once.
            Room::None => Room::Unsure,
            room => room,
        };
        refusable(status, 202, room)?;
        if status == 202 {
            let now = self.now;
            let upload = self.uploads.get_mut(&slot).expect("it was there");
            upload.offset += piece;
            upload.expires = now + EXPIRY;
        }
        Ok(())
    }

    fn progress(&mut self, slot: Slot, seen: &Seen) -> Result<(), Surprise> {
        let Seen::Progress(progress) = *seen else {
            return Err(format!("unexpected: {seen:?}"));
        };
        let status = if progress.is_some() { 204 } else { 404 };
        if !self.goes_on(slot, status)? {
            return Ok(());
        }
        let offset = progress.ok_or("an upload is gone")?;
        let upload = self.uploads.get_mut(&slot).expect("it goes on");
        // What was on its way in a crash may have come, or not.
        let most = upload.offset + upload.blob.piece();
        if !(upload.offset..=most).contains(&offset) {
            return Err(format!("an upload of {upload:?} stands at {offset}"));
        }
        upload.offset = offset;
        Ok(())
    }

    fn commit(&mut self, slot: Slot, status: u16) -> Result<(), Surprise> {
        if !self.goes_on(slot, status)? {
            return Ok(());
        }
        let upload = self.uploads.remove(&slot).expect("it goes on");
        let (at, blob) = (upload.into, upload.blob);
        let room = self.room_for_blob(at, blob);
        refusable(status, 201, room)?;
        if status == 201 {
            self.link_bytes(at, blob);
        } else {
            self.forsaken.push(upload);
        }
        Ok(())
    }

    /// Room for a blob, which a project that holds it is not charged for but as long as it is on its way.
    fn room_for_blob(&self, at: Repository, blob: Blob) -> Room {
        let project = at.project();
        let held = self.projects[&project].holds(blob);
        match self.room(project, blob.size()) {
            Room::None if held => Room::Unsure,
            room => room,
        }
    }

    fn cancel(&mut self, slot: Slot, status: u16) -> Result<(), Surprise> {
        if !self.goes_on(slot, status)? {
            return Ok(());
        }
        one_of(status, &[204])?;
        self.uploads.remove(&slot);
        Ok(())
    }

    fn push_blob(&mut self, at: Repository, blob: Blob, status: u16) -> Result<(), Surprise> {
        if !self.projects.contains_key(&at.project()) {
            return one_of(status, MISSING_PROJECT);
        }
        refusable(status, 201, self.room_for_blob(at, blob))?;
        if status == 201 {
            self.link_bytes(at, blob);
        } else {
            // A session of it may be left behind.
            self.forsaken.push(Upload {
                into: at,
                project: self.project_id(at),
                blob,
                offset: 0,
                expires: self.now + EXPIRY,
                old_store: false,
            });
        }
        Ok(())
    }

    fn link(&mut self, at: Repository, blob: Blob) {
        let lease = self.now + GRACE;
        self.contents_mut(at).links.insert(blob, lease);
    }

    /// Links a blob whose bytes came with it.
    fn link_bytes(&mut self, at: Repository, blob: Blob) {
        self.link(at, blob);
        let bytes = self.bytes.entry(blob).or_insert(Bytes::Own);
        if *bytes == Bytes::Foreign {
            *bytes = Bytes::Own;
        }
    }

    fn mount(
        &mut self,
        (from, to): (Repository, Repository),
        blob: Blob,
        status: u16,
    ) -> Result<(), Surprise> {
        if !self.projects.contains_key(&to.project()) {
            return one_of(status, MISSING_PROJECT);
        }
        let there = self
            .contents(from)
            .is_some_and(|contents| contents.links.contains_key(&blob));
        if !there {
            return refusable(status, 202, self.room(to.project(), 0));
        }
        let room = match self.projects[&to.project()].holds(blob) {
            true => Room::Enough,
            false => self.room(to.project(), blob.size()),
        };
        refusable(status, 201, room)?;
        if status == 201 {
            self.link(to, blob);
        }
        Ok(())
    }

    fn head(&mut self, at: Repository, blob: Blob, status: u16) -> Result<(), Surprise> {
        let now = self.now;
        if !self.projects.contains_key(&at.project()) {
            return one_of(status, MISSING_PROJECT);
        }
        let Some(contents) = self.contents(at) else {
            return one_of(status, &[404]);
        };
        let Some(lease) = contents.links.get(&blob) else {
            return one_of(status, &[404]);
        };
        one_of(status, &[200])?;
        if *lease < now + GRACE / 2 && !contents.names(blob) {
            self.link(at, blob);
        }
        Ok(())
    }

    fn delete_blob(&mut self, at: Repository, blob: Blob, status: u16) -> Result<(), Surprise> {
        if !self.projects.contains_key(&at.project()) {
            return one_of(status, MISSING_PROJECT);
        }
        let there = self
            .contents(at)
            .filter(|contents| contents.links.contains_key(&blob));
        let Some(contents) = there else {
            // Named, but missing: of a type that may be.
            let named = self
                .contents(at)
                .is_some_and(|contents| contents.names(blob));
            return one_of(status, if named { &[404, 405] } else { &[404] });
        };
        if contents.names(blob) {
            return one_of(status, &[405]);
        }
        one_of(status, &[202])?;
        self.contents_mut(at).links.remove(&blob);
        self.give_up();
        Ok(())
    }

    fn put(
        &mut self,
        at: Repository,
        manifest: Manifest,
        tag: Option<Tag>,
        status: u16,
    ) -> Result<(), Surprise> {
        if !self.projects.contains_key(&at.project()) {
            return one_of(status, MISSING_PROJECT);
        }
        let facts = manifest.facts();
        let nothing = Contents::default();
        let contents = self.contents(at).unwrap_or(&nothing);
        let missing_blob = facts
            .blobs
            .iter()
            .any(|blob| !facts.optional.contains(blob) && !contents.links.contains_key(blob));
        let missing_child = facts
            .children
            .iter()
            .any(|child| !contents.manifests.contains_key(child));
        if missing_blob || missing_child {
            return one_of(status, &[400]);
        }
        let room = match contents.manifests.contains_key(&manifest) {
            true => Room::Enough,
            false => self.room(at.project(), facts.bytes.len() as u64),
        };
        refusable(status, 201, room)?;
        if status == 201 {
            self.store(at, manifest, tag);
        }
        Ok(())
    }

    fn store(&mut self, at: Repository, manifest: Manifest, tag: Option<Tag>) {
        let now = self.now;
        let contents = self.contents_mut(at);
        let loose = contents.manifests.entry(manifest).or_default();
        loose.noticed = None;
        if let Some(tag) = tag {
            contents.tags.insert(tag, manifest);
        }
        contents.look(now);
    }

    fn delete_tag(&mut self, at: Repository, tag: Tag, status: u16) -> Result<(), Surprise> {
        if !self.projects.contains_key(&at.project()) {
            return one_of(status, MISSING_PROJECT);
        }
        let there = self
            .contents(at)
            .is_some_and(|contents| contents.tags.contains_key(&tag));
        one_of(status, if there { &[202] } else { &[404] })?;
        if there {
            let now = self.now;
            let contents = self.contents_mut(at);
            contents.tags.remove(&tag);
            contents.look(now);
        }
        Ok(())
    }

    fn delete_manifest(
        &mut self,
        at: Repository,
        manifest: Manifest,
        status: u16,
    ) -> Result<(), Surprise> {
        if !self.projects.contains_key(&at.project()) {
            return one_of(status, MISSING_PROJECT);
        }
        let there = self
            .contents(at)
            .filter(|contents| contents.manifests.contains_key(&manifest));
        let Some(contents) = there else {
            return one_of(status, &[404]);
        };
        if contents.listed_by(manifest).is_some() {
            return one_of(status, &[412]);
        }
        one_of(status, &[202])?;
        let now = self.now;
        self.contents_mut(at).delete(manifest, now);
        Ok(())
    }

    fn create_project(&mut self, project: Project, status: u16) -> Result<(), Surprise> {
        if self.projects.contains_key(&project) {
            return one_of(status, &[409]);
        }
        one_of(status, &[201])?;
        self.make_project(project);
        Ok(())
    }

    fn make_project(&mut self, project: Project) {
        self.made += 1;
        let held = Held {
            id: self.made,
            ..Held::default()
        };
        self.projects.insert(project, held);
    }

    fn delete_project(&mut self, project: Project, status: u16) -> Result<(), Surprise> {
        let Some(held) = self.projects.get(&project) else {
            return one_of(status, &[403, 404]);
        };
        if held
            .repositories
            .values()
            .any(|contents| !contents.manifests.is_empty())
        {
            return one_of(status, &[412]);
        }
        one_of(status, &[200])?;
        self.deleted.extend(self.projects.remove(&project));
        Ok(())
    }

    fn collect(&mut self, seen: &Seen) -> Result<(), Surprise> {
        let Seen::Collected(done, said, gone) = seen else {
            return Err(format!("unexpected: {seen:?}"));
        };
        if !done {
            return Err(format!("the collection failed: {said}"));
        }
        self.delete_untagged(gone)?;
        let now = self.now;
        self.uploads.retain(|_, upload| upload.expires >= now);
        self.forsaken.retain(|upload| upload.expires >= now);
        for held in self.projects.values_mut().chain(&mut self.deleted) {
            for contents in held.repositories.values_mut() {
                let manifests = contents.manifests.keys();
                let named: BTreeSet<Blob> = manifests
                    .flat_map(|manifest| manifest.facts().blobs.clone())
                    .collect();
                contents
                    .links
                    .retain(|blob, lease| named.contains(blob) || *lease > now);
            }
        }
        self.deleted
            .retain(|held| held.repositories.values().any(|it| !it.links.is_empty()));
        let over = |(_, _, since): &&(Blob, Bytes, i64)| since + HOLD <= now;
        for (blob, bytes, _) in self.given_up.iter().filter(over) {
            if *bytes == Bytes::Adopted {
                self.foreign.remove(blob);
            }
        }
        self.given_up.retain(|given_up| !over(&given_up));
        self.give_up();
        Ok(())
    }

    /// Gives up the blobs that no repository links any more.
    fn give_up(&mut self) {
        let held = || self.projects.values().chain(&self.deleted);
        let unlinked: Vec<Blob> = self
            .bytes
            .keys()
            .copied()
            .filter(|blob| !held().any(|it| it.holds(*blob)))
            .collect();
        for blob in unlinked {
            let bytes = self.bytes.remove(&blob).expect("it is there");
            // The other registry's objects are not Gantry's to delete.
            if bytes != Bytes::Foreign {
                self.given_up.push((blob, bytes, self.now));
            }
        }
    }

    fn delete_untagged(&mut self, gone: &BTreeSet<(Repository, Manifest)>) -> Result<(), Surprise> {
        let now = self.now;
        for held in self.projects.values_mut() {
            let policy = held.untagged;
            for (at, contents) in &mut held.repositories {
                let mut going = Vec::new();
                for (manifest, loose) in &contents.manifests {
                    let over = |since: Option<i64>| {
                        policy && since.is_some_and(|since| since + UNTAGGED <= now)
                    };
                    let went = gone.contains(&(*at, *manifest));
                    // An untagged referrer goes with its subject.
                    let with_subject = manifest
                        .facts()
                        .subject
                        .is_some_and(|subject| gone.contains(&(*at, subject)));
                    let free =
                        !contents.is_tagged(*manifest) && contents.listed_by(*manifest).is_none();
                    // And what an index lists with the index.
                    let with_index = contents
                        .listed_by(*manifest)
                        .is_some_and(|index| gone.contains(&(*at, index)));
                    let is_due = over(loose.since) || (with_subject && free) || with_index;
                    if went && !is_due {
                        return Err(format!(
                            "{manifest:?} is gone from {}, and should not be: {loose:?}",
                            at.name()
                        ));
                    }
                    if !went && over(loose.noticed) {
                        return Err(format!(
                            "{manifest:?} of {} should be gone: {loose:?}",
                            at.name()
                        ));
                    }
                    if went {
                        going.push(*manifest);
                    }
                }
                // What comes loose as these go may be seen only by the next collection.
                if policy {
                    for loose in contents
                        .manifests
                        .values_mut()
                        .filter(|loose| loose.since.is_some())
                    {
                        loose.noticed.get_or_insert(now);
                    }
                }
                for manifest in going {
                    contents.delete(manifest, now);
                }
            }
        }
        Ok(())
    }

    /// What the other registry stores, by repository: an image and its tag.
    pub(crate) const ELSEWHERE: [(Repository, Manifest, Tag); 2] = [
        (Repository::RedApp, Manifest::ImageA, Tag::V2),
        (Repository::BlueApp, Manifest::Nondistributable, Tag::V2),
    ];

    fn import(&mut self) {
        for (at, manifest, tag) in Self::ELSEWHERE {
            if !self.projects.contains_key(&at.project()) {
                self.make_project(at.project());
            }
            for blob in &manifest.facts().blobs {
                self.foreign.insert(*blob);
                self.bytes.entry(*blob).or_insert(Bytes::Foreign);
                self.link(at, *blob);
            }
            // One that points elsewhere was pushed.
            let there = self
                .contents(at)
                .is_some_and(|contents| contents.tags.contains_key(&tag));
            self.store(at, manifest, (!there).then_some(tag));
        }
    }

    /// What the other registry may delete because Gantry has bytes of its own.
    pub(crate) fn collected_elsewhere(&self) -> Vec<Blob> {
        let own = |blob: &&Blob| self.bytes.get(blob) == Some(&Bytes::Own);
        self.foreign.iter().filter(own).copied().collect()
    }

    fn copy_blobs(&mut self, seen: &Seen) -> Result<(), Surprise> {
        let Seen::Command(done, said) = seen else {
            return Err(format!("unexpected: {seen:?}"));
        };
        let written = |upload: &&Upload| upload.old_store && upload.offset > 0;
        let holding_up = self.uploads.values().filter(written).count();
        let maybe = self
            .uploads
            .values()
            .chain(&self.forsaken)
            .filter(|upload| upload.old_store)
            .count();
        if *done && holding_up > 0 {
            return Err(format!("a move ended beside {holding_up} uploads: {said}"));
        }
        if !done && maybe == 0 {
            return Err(format!("a move failed: {said}"));
        }
        if *done {
            self.moving = false;
            for upload in self.uploads.values_mut().chain(&mut self.forsaken) {
                upload.old_store = false;
            }
        }
        Ok(())
    }

    fn restore(&mut self) {
        let backup = self.backup.take().expect("the step applies");
        let mut restored = Model {
            now: self.now,
            foreign: std::mem::take(&mut self.foreign),
            strays: std::mem::take(&mut self.strays),
            made: self.made,
            ..(*backup).clone()
        };
        let uploads = std::mem::take(&mut restored.uploads);
        restored.forsaken.extend(uploads.into_values());
        restored.backup = Some(backup);
        *self = restored;
    }

    /// Blobs whose bytes are in objects of Gantry's own.
    pub(crate) fn own_objects(&self) -> BTreeSet<Blob> {
        let own = self.bytes.iter().filter(|(_, bytes)| **bytes == Bytes::Own);
        own.map(|(blob, _)| *blob).collect()
    }

    /// Whether anything is to be collected later.
    pub(crate) fn is_waiting(&self) -> bool {
        let untagged = self.projects.values().filter(|held| held.untagged);
        let mut untagged = untagged.flat_map(|held| held.repositories.values());
        let mut all = self
            .projects
            .values()
            .flat_map(|held| held.repositories.values());
        !self.given_up.is_empty()
            || !self.deleted.is_empty()
            || untagged.any(|it| it.manifests.values().any(|loose| loose.since.is_some()))
            || all.any(|it| it.links.keys().any(|blob| !it.names(*blob)))
    }

    /// Nobody goes on with any upload.
    pub(crate) fn forsake_uploads(&mut self) {
        self.forsaken
            .extend(std::mem::take(&mut self.uploads).into_values());
    }
}

/// What is answered where there is no such project.
pub(crate) const MISSING_PROJECT: &[u16] = &[401, 404];

fn status(seen: &Seen) -> Result<u16, Surprise> {
    match seen {
        Seen::Status(status) => Ok(*status),
        seen => Err(format!("unexpected: {seen:?}")),
    }
}

fn succeeded(seen: &Seen) -> Result<(), Surprise> {
    match seen {
        Seen::Command(true, _) => Ok(()),
        Seen::Command(false, said) => Err(format!("the command failed: {said}")),
        seen => Err(format!("unexpected: {seen:?}")),
    }
}

fn one_of(status: u16, expected: &[u16]) -> Result<(), Surprise> {
    if expected.contains(&status) {
        return Ok(());
    }
    Err(format!("{status} was answered, and {expected:?} expected"))
}

/// As [`one_of`], where a quota may stand in the way.
fn refusable(status: u16, success: u16, room: Room) -> Result<(), Surprise> {
    match room {
        Room::Enough => one_of(status, &[success]),
        Room::Unsure => one_of(status, &[success, 403]),
        Room::None => one_of(status, &[403]),
    }
}
