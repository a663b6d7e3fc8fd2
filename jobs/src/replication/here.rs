//! This registry, as a source and as a destination. What is stored here is stored by the same functions as a client's
//! push: with quota, immutability and events, under the name of replication.

use std::collections::BTreeMap;

use bytes::Bytes;
use db::list::{Selection, Test};
use db::replication::source;
use db::{binding, label, project};
use futures_util::{StreamExt as _, TryStreamExt as _};
use model::replication::TagState;
use model::{
    Digest, LabelId, ManifestId, NewLabel, ProjectSetting, Reference, RepositoryName, Tag,
};
use policy::{DeletePermit, ProjectPermit, PullPermit, PushPermit, Standing, on, permit, to};
use registry::blob::Content;
use registry::manifest::NewManifest;
use registry::tag::version::{Accepted, ahead};
use remote::{Bytestream, RemoteLabel, Sent};
use tenancy::label::LabelPermit;
use tenancy::project::NewProject;

use super::error::{Copied, CopyError};
use super::works::Works;

/// Whether everyone may pull from a project, among its metadata.
pub(super) const PUBLIC: &str = "public";

/// Rows of a page.
const PAGE: i64 = 500;
/// Names of a page.
const NAMES: i64 = 1_000;

/// This registry.
#[derive(Clone)]
pub(crate) struct Here(pub(crate) Works);

/// An artifact of this registry, with its labels.
pub(crate) type Artifact = source::Artifact;

impl Here {
    async fn standing(&self, name: &RepositoryName) -> Copied<Option<Standing>> {
        let mut reader = self.0.db.reader().await?;
        let Some(project) = project::by_name(&mut reader, &name.project()).await? else {
            return Ok(None);
        };
        let caller = Works::caller();
        Ok(Some(
            binding::standing_in(&mut reader, &caller, project.facts()).await?,
        ))
    }

    /// `None` where there is no such project.
    async fn pulling(&self, name: &RepositoryName) -> Copied<Option<PullPermit>> {
        let standing = self.standing(name).await?;
        Ok(permit::permit_pull(&Works::caller(), name, standing.as_ref()).ok())
    }

    pub(super) async fn pushing(&self, name: &RepositoryName) -> Copied<PushPermit> {
        let standing = self.standing(name).await?;
        let permit = permit::permit_push(&Works::caller(), name, standing.as_ref());
        permit.map_err(|_| CopyError::Tenancy(tenancy::Error::ProjectGone))
    }

    async fn deleting(&self, name: &RepositoryName) -> Copied<Option<DeletePermit>> {
        let standing = self.standing(name).await?;
        Ok(permit::permit_delete(&Works::caller(), name, standing.as_ref()).ok())
    }

    /// Whether a repository has no project.
    pub(super) async fn lacks_project(&self, name: &RepositoryName) -> Copied<bool> {
        Ok(self.standing(name).await?.is_none())
    }

    /// What is set for the project of a repository.
    pub(super) async fn metadata(&self, name: &RepositoryName) -> Copied<BTreeMap<String, String>> {
        let mut reader = self.0.db.reader().await?;
        let Some(project) = project::by_name(&mut reader, &name.project()).await? else {
            return Ok(BTreeMap::new());
        };
        let mut metadata = project::metadata(&mut reader, project.id).await?;
        metadata.insert(PUBLIC.to_owned(), project.public.to_string());
        Ok(metadata)
    }

    /// Labels of an artifact.
    pub(super) async fn labels(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Copied<Vec<RemoteLabel>> {
        let mut reader = self.0.db.reader().await?;
        let labels = source::labels(&mut reader, name, digest).await?;
        let labels = labels.into_iter();
        let labels = labels.map(|it| RemoteLabel::new(it.name, it.description, it.color));
        Ok(labels.collect())
    }

    /// Tags of an artifact.
    pub(super) async fn tags_of(&self, name: &RepositoryName, digest: &Digest) -> Copied<Vec<Tag>> {
        let mut reader = self.0.db.reader().await?;
        Ok(source::tags_of(&mut reader, name, digest).await?)
    }

    /// Puts a label on an artifact: the one of this name of the installation, or else of the project, where it is made
    /// unless it is there.
    pub(super) async fn put_label(
        &self,
        (name, digest): (&RepositoryName, &Digest),
        label: &RemoteLabel,
    ) -> Copied<()> {
        let standing = self.standing(name).await?;
        let caller = Works::caller();
        let gone = |_| CopyError::Tenancy(tenancy::Error::ProjectGone);
        let permit = permit::permit_project(&caller, standing.as_ref()).map_err(gone)?;
        let id = match self.label_named(&permit, &label.name).await? {
            Some(id) => id,
            None => {
                let (description, color) = (label.description.clone(), label.color.clone());
                let new = NewLabel::new(&label.name, description, color)
                    .map_err(|error| CopyError::Label(label.name.clone(), error))?;
                let making = permit::permit_project(&caller, standing.as_ref()).map_err(gone)?;
                let making = LabelPermit::Project(making);
                let now = self.0.now().await?;
                match tenancy::label::create(&self.0.db, &making, new, now).await {
                    Ok(id) => id,
                    Err(error @ tenancy::Error::LabelExists(..)) => {
                        let found = self.label_named(&permit, &label.name).await?;
                        found.ok_or(CopyError::Tenancy(error))?
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let artifact = (name.clone(), Reference::Digest(*digest));
        let now = self.0.now().await?;
        match tenancy::label::attach(&self.0.db, &permit, artifact, id, now).await {
            Ok(()) | Err(tenancy::Error::LabelAttached(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn label_named(
        &self,
        permit: &ProjectPermit<on::ArtifactLabel, to::Create>,
        name: &str,
    ) -> Copied<Option<LabelId>> {
        let mut reader = self.0.db.reader().await?;
        for scope in [None, Some(permit.project().id)] {
            let named = Selection::all().with(label::NAME, Test::Is(name.to_owned()));
            let (found, _) = label::list(&mut reader, scope, &named).await?;
            if let Some(found) = found.into_iter().next() {
                return Ok(Some(found.id));
            }
        }
        Ok(None)
    }

    /// Makes the project of a repository. Returns false where it is there.
    pub(super) async fn make_project(
        &self,
        name: &RepositoryName,
        metadata: &BTreeMap<String, String>,
    ) -> Copied<bool> {
        let settings = self.0.settings.current();
        let creation = settings.project_creation_restriction;
        let permit = permit::permit_create_project(&Works::caller(), creation);
        let permit = permit.map_err(|_| CopyError::Tenancy(tenancy::Error::ProjectGone))?;
        let parsed = metadata.iter();
        let parsed = parsed.filter_map(|(name, value)| ProjectSetting::parse(name, value));
        let new = NewProject {
            name: name.project(),
            public: metadata.get(PUBLIC).is_some_and(|value| value == "true"),
            limit: settings.new_project_limit(),
            settings: parsed.collect(),
        };
        match tenancy::project::create(&self.0.db, &permit, new, self.0.now().await?).await {
            Ok(_) => Ok(true),
            Err(tenancy::Error::ProjectExists(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Repositories that have artifacts, after a name.
    pub(super) async fn repositories(
        &self,
        projects: Option<&[String]>,
        after: &str,
    ) -> Copied<Vec<source::Repository>> {
        let mut reader = self.0.db.for_lists().reader().await?;
        Ok(source::repositories(&mut reader, projects, after, PAGE).await?)
    }

    /// Artifacts of a repository after a row.
    pub(super) async fn artifacts(
        &self,
        repository: &source::Repository,
        after: ManifestId,
    ) -> Copied<Vec<Artifact>> {
        let mut reader = self.0.db.for_lists().reader().await?;
        Ok(source::artifacts(&mut reader, repository.id, after, PAGE).await?)
    }

    /// Names of all tags of a repository.
    pub(super) async fn tags(&self, name: &RepositoryName) -> Copied<Vec<Tag>> {
        let Some(permit) = self.pulling(name).await? else {
            return Ok(Vec::new());
        };
        let mut all: Vec<Tag> = Vec::new();
        loop {
            let last = all.last().map(Tag::as_str);
            let page = match self.0.registry.tags(&permit, last, NAMES).await {
                Err(registry::Error::NameUnknown(_)) => return Ok(all),
                page => page?,
            };
            let before = all.len();
            all.extend(page.names.iter().filter_map(|name| name.parse().ok()));
            if !page.more || all.len() == before {
                return Ok(all);
            }
        }
    }

    /// Media type and bytes of a manifest, with its digest.
    pub(super) async fn manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Copied<Option<(Digest, String, Bytes)>> {
        let Some(permit) = self.pulling(name).await? else {
            return Ok(None);
        };
        match self.0.registry.manifest(&permit, reference).await {
            Ok(found) => {
                let media_type = found.media_type.clone();
                Ok(Some((found.digest, media_type, found.payload.clone())))
            }
            Err(registry::Error::ManifestUnknown(_) | registry::Error::NameUnknown(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Digests of what is attached to a manifest.
    pub(super) async fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Copied<Vec<Digest>> {
        let Some(permit) = self.pulling(name).await? else {
            return Ok(Vec::new());
        };
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self
                .0
                .registry
                .referrers(&permit, subject, None, (after, PAGE));
            let page = page.await?;
            let digests = page.descriptors.iter();
            all.extend(digests.filter_map(|found| found.digest.parse::<Digest>().ok()));
            match page.next {
                Some(next) if next > after => after = next,
                _ => return Ok(all),
            }
        }
    }

    /// The size of a blob that a repository has, whose lease is renewed: it is not collected before it is named.
    pub(super) async fn blob_size(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Copied<Option<u64>> {
        let Some(permit) = self.pulling(name).await? else {
            return Ok(None);
        };
        let found = match self.0.registry.stat_blob(&permit, digest).await {
            Ok(found) => found,
            Err(registry::Error::BlobUnknown(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match self.0.registry.renew_blob(&permit, &found).await {
            Ok(()) => Ok(Some(found.blob.size)),
            Err(registry::Error::BlobUnknown(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes of a blob from an offset on.
    pub(super) async fn read_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        range: std::ops::Range<u64>,
    ) -> Copied<Bytestream> {
        let missing = || CopyError::Missing(format!("the blob {digest} of {name}"));
        let permit = self.pulling(name).await?.ok_or_else(missing)?;
        let found = self.0.registry.stat_blob(&permit, digest).await;
        let found = found.map_err(|error| match error {
            registry::Error::BlobUnknown(_) => missing(),
            other => other.into(),
        })?;
        let range = range.start..range.end.min(found.blob.size);
        let content = self
            .0
            .registry
            .blob_content(&permit, &found.blob, range)
            .await?;
        Ok(match content {
            Content::Bytes(bytes) => Box::pin(futures_util::stream::iter([Ok(bytes)])),
            Content::Stream(bytes) => bytes
                .map_err(|error| remote::Error::Source("there".to_owned(), error.to_string()))
                .boxed(),
        })
    }

    /// Takes a blob from another repository of this registry.
    pub(super) async fn mount(
        &self,
        name: &RepositoryName,
        (digest, from): (&Digest, Option<&str>),
    ) -> Copied<bool> {
        let permit = self.pushing(name).await?;
        let mut sources = self.0.registry.siblings_with(&permit, digest).await?;
        sources.extend(from.and_then(|from| from.parse().ok()));
        for source in sources {
            let Some(pull) = self.pulling(&source).await? else {
                continue;
            };
            if self.0.registry.mount_blob(&permit, &pull, digest).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stores a manifest under a tag, or by its digest.
    pub(super) async fn put_manifest(
        &self,
        name: &RepositoryName,
        reference: &Reference,
        (media_type, bytes): (&str, Bytes),
    ) -> Copied<()> {
        let permit = self.pushing(name).await?;
        let new = NewManifest {
            reference: reference.clone(),
            tags: Vec::new(),
            content_type: Some(media_type.to_owned()),
            payload: bytes,
        };
        self.0.registry.push_manifest(&permit, new).await?;
        Ok(())
    }

    /// Takes the version of a tag of another site, unless what the tag is here is later.
    pub(super) async fn accept(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        state: &TagState,
    ) -> Copied<Sent> {
        if let Some(ahead) = ahead(state.at, self.0.now().await?) {
            return Err(CopyError::Ahead(format!("{name} {tag}"), ahead));
        }
        let standing = self.standing(name).await?;
        let (caller, version) = (Works::caller(), (state.at, state.origin));
        let gone = || CopyError::Tenancy(tenancy::Error::ProjectGone);
        let registry = &self.0.registry;
        let accepted = match state.digest {
            Some(digest) => {
                let permit = permit::permit_project(&caller, standing.as_ref());
                let permit = permit.map_err(|_| gone())?;
                registry
                    .accept_tag(&permit, name, (tag, digest), version)
                    .await?
            }
            None => {
                let permit = permit::permit_project(&caller, standing.as_ref());
                let permit = permit.map_err(|_| gone())?;
                registry
                    .accept_deletion(&permit, name, tag, version)
                    .await?
            }
        };
        Ok(match accepted {
            Accepted::Taken(_) => Sent::Taken,
            Accepted::Same => Sent::Same,
            Accepted::Kept(kept) => Sent::Kept(kept),
        })
    }

    /// Deletes what a reference names; false where it is not there.
    pub(super) async fn delete(
        &self,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Copied<bool> {
        let Some(permit) = self.deleting(name).await? else {
            return Ok(false);
        };
        match self.0.registry.delete_manifest(&permit, reference).await {
            Ok(()) => Ok(true),
            Err(registry::Error::ManifestUnknown(_) | registry::Error::NameUnknown(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Here {
    /// One repository.
    pub(super) async fn repository(
        &self,
        name: &RepositoryName,
    ) -> Copied<Option<source::Repository>> {
        let mut reader = self.0.db.for_lists().reader().await?;
        Ok(source::repository(&mut reader, name).await?)
    }

    /// Whether a tag names a manifest.
    pub(super) async fn has_tags(&self, name: &RepositoryName, digest: &Digest) -> Copied<bool> {
        let mut reader = self.0.db.reader().await?;
        let Some(found) = source::repository(&mut reader, name).await? else {
            return Ok(false);
        };
        Ok(source::is_tagged(&mut reader, found.id, digest).await?)
    }
}
