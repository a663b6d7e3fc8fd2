//! Manifests of another registry.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, Method, StatusCode};
use model::{Algorithm, Digest, Reference, media_type};

use crate::client::{Ask, deleting, pulling, pushing};
use crate::error::refused_kind;
use crate::{Error, Remote, Result};

/// A manifest of another registry.
#[derive(Clone, Debug)]
pub struct RemoteManifest {
    /// Its digest, which its bytes have.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The types that are accepted, the preferred ones first.
fn accepted() -> String {
    [
        media_type::OCI_INDEX,
        media_type::DOCKER_LIST,
        media_type::OCI_MANIFEST,
        media_type::DOCKER_MANIFEST,
        media_type::OCI_ARTIFACT,
    ]
    .join(", ")
}

fn path(repository: &str, reference: &Reference) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

impl Remote {
    /// The digest of a manifest; `None` where there is none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn digest_of(
        &self,
        repository: &str,
        reference: &Reference,
    ) -> Result<Option<Digest>> {
        let what = format!("look for {repository} {reference}");
        let ask = Ask::new(Method::HEAD, path(repository, reference), &what)
            .scope(pulling(repository))
            .header(ACCEPT, &accepted());
        let Some(answer) = self.found(ask).await? else {
            return Ok(None);
        };
        if let Some(told) = answer.header(&DIGEST).and_then(|text| text.parse().ok()) {
            return Ok(Some(told));
        }
        let found = self.manifest(repository, reference).await?;
        Ok(found.map(|manifest| manifest.digest))
    }

    /// A manifest; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::WrongBytes`] for other bytes than those of the digest.
    pub async fn manifest(
        &self,
        repository: &str,
        reference: &Reference,
    ) -> Result<Option<RemoteManifest>> {
        let what = format!("send the manifest {repository} {reference}");
        let ask = Ask::new(Method::GET, path(repository, reference), &what)
            .scope(pulling(repository))
            .header(ACCEPT, &accepted());
        let Some(answer) = self.found(ask).await? else {
            return Ok(None);
        };
        let told = answer.header(&DIGEST).and_then(|text| text.parse().ok());
        let expected = match reference {
            Reference::Digest(digest) => Some(*digest),
            Reference::Tag(_) => told,
        };
        let algorithm = expected.map_or(Algorithm::Sha256, |digest: Digest| digest.algorithm());
        let digest = Digest::of(algorithm, &answer.body);
        if expected.is_some_and(|expected| expected != digest) {
            return Err(Error::WrongBytes {
                host: self.host().to_owned(),
                what: format!("the manifest {repository} {reference}"),
            });
        }
        let media_type = answer.header(&CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        Ok(Some(RemoteManifest {
            digest,
            media_type: media_type.to_owned(),
            bytes: answer.body,
        }))
    }

    /// Whether the registry itself says that it does not have a manifest.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] where something else says so.
    pub async fn is_gone(&self, repository: &str, reference: &Reference) -> Result<bool> {
        let what = format!("send the manifest {repository} {reference}");
        let ask = Ask::new(Method::GET, path(repository, reference), &what)
            .scope(pulling(repository))
            .header(ACCEPT, &accepted());
        Ok(self.listed(ask).await?.is_none())
    }

    /// Stores a manifest under a tag, or by its digest.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &Reference,
        (media_type, bytes): (&str, Bytes),
    ) -> Result<()> {
        let what = format!("store the manifest {repository} {reference}");
        let ask = Ask::new(Method::PUT, path(repository, reference), &what)
            .scope(pushing(repository))
            .header(CONTENT_TYPE, media_type)
            .body(bytes);
        let answer = self.ask(ask).await?;
        if let Some(message) = refused_kind(answer.status, &answer.body) {
            let host = self.host().to_owned();
            return Err(Error::Kind {
                host,
                what,
                message,
            });
        }
        self.success(answer, &what).map(drop)
    }

    /// Deletes what a reference names. Returns false where there is no such one.
    ///
    /// # Errors
    /// [`Error::Refused`] by registries that delete nothing.
    pub async fn delete_manifest(&self, repository: &str, reference: &Reference) -> Result<bool> {
        let what = format!("delete {repository} {reference}");
        let ask = Ask::new(Method::DELETE, path(repository, reference), &what)
            .scope(deleting(repository));
        let answer = self.ask(ask).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self.success(answer, &what).map(|_| true),
        }
    }
}
