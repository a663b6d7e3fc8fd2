//! This registry, as a source and as a destination. What is stored here is stored by the same functions as a client's
//! push: with quota, immutability and events, under the name of replication.

use bytes::Bytes;
use db::replication::source;
use db::{binding, project};
use futures_util::{StreamExt as _, TryStreamExt as _};
use model::{Digest, ManifestId, Reference, RepositoryName, Tag};
use policy::{DeletePermit, PullPermit, PushPermit, Standing, permit};
use registry::blob::Content;
use registry::manifest::NewManifest;
use remote::Bytestream;
use tenancy::project::NewProject;

use super::error::{Copied, CopyError};
use super::works::Works;

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

    /// Makes the project of a repository, unless it is there.
    pub(super) async fn prepare(&self, name: &RepositoryName) -> Copied<bool> {
        if self.standing(name).await?.is_some() {
            return Ok(false);
        }
        let settings = self.0.settings.current();
        let creation = settings.project_creation_restriction;
        let permit = permit::permit_create_project(&Works::caller(), creation);
        let permit = permit.map_err(|_| CopyError::Tenancy(tenancy::Error::ProjectGone))?;
        let new = NewProject::named(name.project(), false, settings.new_project_limit());
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
