//! A source or a destination: this registry, or another one.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{Digest, ProjectSetting, Reference, RepositoryName, Tag};
use remote::{Remote, RemoteLabel};
use serde_json::Value;

use super::error::{Copied, CopyError};
use super::here::{Here, PUBLIC};

/// A source or a destination.
#[derive(Clone)]
pub(crate) enum Site {
    /// This registry.
    Here(Here),
    /// Another one.
    There(Remote),
}

/// A manifest, and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

/// A name of this registry.
pub(super) fn own(name: &str) -> Copied<RepositoryName> {
    name.parse().map_err(|error| {
        let invalid =
            model::replication::InvalidMapping::Name(name.to_owned(), name.to_owned(), error);
        CopyError::Mapping(invalid)
    })
}

impl Site {
    /// What it is called in logs.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Here(_) => "this registry",
            Self::There(remote) => remote.host(),
        }
    }

    /// Makes the project that a repository needs to be pushed to. Returns whether it was made.
    pub(crate) async fn make_project(
        &self,
        repository: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Copied<bool> {
        let name = own(repository)?;
        match self {
            Self::Here(here) => Box::pin(here.make_project(&name, metadata)).await,
            Self::There(remote) => Ok(Box::pin(remote.make_project(repository, metadata)).await?),
        }
    }

    /// Whether a repository has no project yet, at a registry with projects: nothing can be asked about it there.
    pub(crate) async fn lacks_project(&self, repository: &str) -> Copied<bool> {
        match self {
            Self::There(remote) if remote.kind().has_projects() => {
                Ok(!Box::pin(remote.has_project(repository)).await?)
            }
            Self::Here(here) => Box::pin(here.lacks_project(&own(repository)?)).await,
            Self::There(_) => Ok(false),
        }
    }

    /// What is set for the project of a repository, as far as that can be known and means the same elsewhere.
    pub(crate) async fn metadata(&self, repository: &str) -> Copied<BTreeMap<String, String>> {
        let mut metadata = match self {
            Self::Here(here) => Box::pin(here.metadata(&own(repository)?)).await?,
            Self::There(remote) if remote.kind().has_projects() => {
                Box::pin(remote.metadata(repository)).await?
            }
            Self::There(_) => BTreeMap::new(),
        };
        metadata
            .retain(|name, value| name == PUBLIC || ProjectSetting::parse(name, value).is_some());
        Ok(metadata)
    }

    /// Whether artifacts have labels.
    pub(crate) fn has_labels(&self) -> bool {
        match self {
            Self::Here(_) => true,
            Self::There(remote) => remote.kind().has_projects(),
        }
    }

    /// Labels of an artifact.
    pub(crate) async fn labels(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Copied<Vec<RemoteLabel>> {
        match self {
            Self::Here(here) => Box::pin(here.labels(&own(repository)?, digest)).await,
            Self::There(remote) => Ok(Box::pin(remote.labels_of(repository, digest)).await?),
        }
    }

    /// Puts a label on an artifact.
    pub(crate) async fn put_label(
        &self,
        (repository, digest): (&str, &Digest),
        label: &RemoteLabel,
    ) -> Copied<()> {
        match self {
            Self::Here(here) => Box::pin(here.put_label((&own(repository)?, digest), label)).await,
            Self::There(remote) => {
                Ok(Box::pin(remote.put_label((repository, digest), label)).await?)
            }
        }
    }

    pub(crate) async fn tags(&self, repository: &str) -> Copied<Vec<Tag>> {
        match self {
            Self::Here(here) => Box::pin(here.tags(&own(repository)?)).await,
            Self::There(remote) => Ok(Box::pin(remote.tags(repository)).await?),
        }
    }

    pub(crate) async fn digest_of(
        &self,
        repository: &str,
        reference: &Reference,
    ) -> Copied<Option<Digest>> {
        match self {
            Self::Here(here) => {
                let found = Box::pin(here.manifest(&own(repository)?, reference)).await?;
                Ok(found.map(|(digest, ..)| digest))
            }
            Self::There(remote) => Ok(Box::pin(remote.digest_of(repository, reference)).await?),
        }
    }

    /// Whether the source itself says that it does not have something: its database, or the error of a registry.
    pub(crate) async fn is_gone(&self, repository: &str, reference: &Reference) -> Copied<bool> {
        match self {
            Self::Here(_) => Ok(self.digest_of(repository, reference).await?.is_none()),
            Self::There(remote) => Ok(Box::pin(remote.is_gone(repository, reference)).await?),
        }
    }

    /// Whether what the source does not have may be deleted elsewhere: it must be well, and have something at all. A
    /// registry that was installed anew has lost everything, and nobody has deleted it.
    pub(crate) async fn can_be_believed(&self) -> Copied<bool> {
        match self {
            Self::Here(_) => Ok(true),
            Self::There(remote) => {
                Box::pin(remote.ping()).await?;
                Ok(Box::pin(remote.lists_something()).await?)
            }
        }
    }

    /// Whether a tag names a manifest.
    pub(crate) async fn has_tags(&self, repository: &str, digest: &Digest) -> Copied<bool> {
        match self {
            Self::Here(here) => Box::pin(here.has_tags(&own(repository)?, digest)).await,
            Self::There(remote) => Ok(Box::pin(remote.has_tags(repository, digest)).await?),
        }
    }

    /// Whether everyone may pull from a repository, as far as that is known.
    pub(crate) async fn is_public(&self, repository: &str) -> Copied<bool> {
        match self {
            Self::Here(here) => {
                let found = Box::pin(here.repository(&own(repository)?)).await?;
                Ok(found.is_some_and(|found| found.public))
            }
            Self::There(_) => Ok(false),
        }
    }

    pub(crate) async fn manifest(
        &self,
        repository: &str,
        reference: &Reference,
    ) -> Copied<Option<Found>> {
        Ok(match self {
            Self::Here(here) => Box::pin(here.manifest(&own(repository)?, reference))
                .await?
                .map(|(digest, media_type, bytes)| Found {
                    digest,
                    media_type,
                    bytes,
                }),
            Self::There(remote) => {
                let found = Box::pin(remote.manifest(repository, reference)).await?;
                found.map(|found| Found {
                    digest: found.digest,
                    media_type: found.media_type,
                    bytes: found.bytes,
                })
            }
        })
    }

    pub(crate) async fn referrers(
        &self,
        repository: &str,
        subject: &Digest,
    ) -> Copied<Vec<Digest>> {
        match self {
            Self::Here(here) => Box::pin(here.referrers(&own(repository)?, subject)).await,
            Self::There(remote) => Ok(Box::pin(remote.referrers(repository, subject)).await?),
        }
    }

    pub(crate) async fn has_blob(&self, repository: &str, digest: &Digest) -> Copied<bool> {
        Ok(match self {
            Self::Here(here) => Box::pin(here.blob_size(&own(repository)?, digest)).await?,
            Self::There(remote) => Box::pin(remote.blob_size(repository, digest)).await?,
        }
        .is_some())
    }

    /// Those of the referrers of a manifest that a registry without an API for them does not list.
    pub(crate) async fn unlisted(
        &self,
        repository: &str,
        subject: &Digest,
        referrers: &[Digest],
    ) -> Copied<Vec<Digest>> {
        match self {
            Self::Here(_) => Ok(Vec::new()),
            Self::There(remote) => {
                Ok(Box::pin(remote.unlisted(repository, subject, referrers)).await?)
            }
        }
    }

    /// Lists these among the referrers of a manifest.
    pub(crate) async fn list_referrers(
        &self,
        repository: &str,
        subject: &Digest,
        descriptors: Vec<Value>,
    ) -> Copied<()> {
        match self {
            Self::There(remote) if !descriptors.is_empty() => {
                Ok(Box::pin(remote.list_referrers(repository, subject, descriptors)).await?)
            }
            Self::Here(_) | Self::There(_) => Ok(()),
        }
    }

    /// Stores a manifest.
    pub(crate) async fn put(
        &self,
        repository: &str,
        reference: &Reference,
        found: &Found,
    ) -> Copied<()> {
        let content = (found.media_type.as_str(), found.bytes.clone());
        match self {
            Self::Here(here) => {
                Box::pin(here.put_manifest(&own(repository)?, reference, content)).await
            }
            Self::There(remote) => {
                Ok(Box::pin(remote.put_manifest(repository, reference, content)).await?)
            }
        }
    }

    /// Deletes what a reference names; false where it is not there. A tag is deleted alone where the registry can do that.
    pub(crate) async fn delete(&self, repository: &str, reference: &Reference) -> Copied<bool> {
        match (self, reference) {
            (Self::Here(here), _) => Box::pin(here.delete(&own(repository)?, reference)).await,
            (Self::There(remote), Reference::Tag(tag)) if remote.kind().has_projects() => {
                Ok(Box::pin(remote.delete_tag(repository, tag)).await?)
            }
            (Self::There(remote), _) => {
                Ok(Box::pin(remote.delete_manifest(repository, reference)).await?)
            }
        }
    }
}
