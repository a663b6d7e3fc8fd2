//! Upload sessions: `POST /v2/{name}/blobs/uploads/`, and `GET`, `PATCH`, `PUT` and `DELETE` on its Location.

use http::header::HeaderName;
use http::{HeaderValue, Response, StatusCode, header};
use model::{Algorithm, Digest, RepositoryName};
use policy::permit::{self, PullPermit, PushPermit};
use registry::memory;
use registry::upload::{Chunk, Extent, Session};

use super::{Answer, CONTENT_DIGEST, Call};
use crate::http::answer::status;
use crate::http::header::text;
use crate::http::request_body::RequestBody;
use crate::http::response_body::Body;
use crate::oci_error::OciError;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

impl Call<'_> {
    pub(super) async fn start_upload(&self, name: RepositoryName, body: RequestBody) -> Answer {
        let permit = self.may_push(&name).await?;
        if let Some(mounted) = self.mount(&permit).await? {
            return Ok(mounted);
        }
        let algorithm = match self.parameter("digest-algorithm") {
            Some(text) => text
                .parse()
                .map_err(|error| OciError::bad("DIGEST_INVALID", format!("{error}")))?,
            None => Algorithm::Sha256,
        };
        if let Some(digest) = self.digest()? {
            let session = self.app.registry.begin_upload(&permit, digest.algorithm());
            let extent = Extent {
                range: None,
                length: self.content_length(),
            };
            return self
                .commit(&permit, &session.await?, digest, extent, body)
                .await;
        }
        let session = self.app.registry.begin_upload(&permit, algorithm).await?;
        Ok(self.progress(StatusCode::ACCEPTED, &name, session.id(), 0))
    }

    /// A mount, if one was requested, the source has the blob, and the caller may pull from it. Otherwise an upload
    /// begins: clients abort a push on an error here.
    async fn mount(&self, permit: &PushPermit) -> Result<Option<Response<Body>>, OciError> {
        let digest = self.parameter("mount").map(str::parse::<Digest>);
        let Some(Ok(digest)) = digest else {
            return Ok(None);
        };
        let sources = match self.parameter("from") {
            Some(from) => from.parse().into_iter().collect(),
            None => self.app.registry.siblings_with(permit, &digest).await?,
        };
        for source in sources {
            let Some(source) = self.source(&source).await? else {
                continue;
            };
            if self
                .app
                .registry
                .mount_blob(permit, &source, &digest)
                .await?
            {
                return Ok(Some(created(permit.repository(), &digest)));
            }
        }
        Ok(None)
    }

    /// A source from which the caller or its token may not pull is treated like one without the blob.
    async fn source(&self, name: &RepositoryName) -> Result<Option<PullPermit>, OciError> {
        let standing = self.standing(name).await?;
        Ok(permit::permit_pull(&self.caller, name, standing.as_ref()).ok())
    }

    pub(super) async fn upload_status(&self, name: RepositoryName, id: &str) -> Answer {
        let permit = self.may_push(&name).await?;
        let session = self.app.registry.upload_session(&permit, id)?;
        let size = self.app.registry.upload_size(&session).await?;
        Ok(self.progress(StatusCode::NO_CONTENT, &name, id, size))
    }

    pub(super) async fn append_upload(
        &self,
        name: RepositoryName,
        id: &str,
        body: RequestBody,
    ) -> Answer {
        let permit = self.may_push(&name).await?;
        let session = self.app.registry.upload_session(&permit, id)?;
        let chunk = Chunk {
            extent: self.extent()?,
            body: self.uploaded(body),
        };
        let taken = self
            .app
            .registry
            .append_upload(&permit, &session, chunk)
            .await;
        match taken {
            Ok(size) => Ok(self.progress(StatusCode::ACCEPTED, &name, id, size)),
            Err(error) => self.out_of_order(&name, error),
        }
    }

    pub(super) async fn finish_upload(
        &self,
        name: RepositoryName,
        id: &str,
        body: RequestBody,
    ) -> Answer {
        let permit = self.may_push(&name).await?;
        let session = self.app.registry.upload_session(&permit, id)?;
        let digest = self.digest()?;
        let digest = digest.ok_or_else(|| {
            OciError::bad(
                "DIGEST_INVALID",
                "the query must name the digest: ?digest=sha256:…",
            )
        })?;
        let extent = self.extent()?;
        self.commit(&permit, &session, digest, extent, body).await
    }

    pub(super) async fn cancel_upload(&self, name: RepositoryName, id: &str) -> Answer {
        let permit = self.may_push(&name).await?;
        let session = self.app.registry.upload_session(&permit, id)?;
        self.app.registry.cancel_upload(&permit, &session).await?;
        Ok(status(StatusCode::NO_CONTENT))
    }

    async fn commit(
        &self,
        permit: &PushPermit,
        session: &Session,
        digest: Digest,
        extent: Extent,
        body: RequestBody,
    ) -> Answer {
        let chunk = Chunk {
            extent,
            body: self.while_permitted(permit.repository(), self.uploaded(body)),
        };
        let finished = self
            .app
            .registry
            .finish_upload(permit, session, &digest, chunk)
            .await;
        match finished {
            Ok(blob) => {
                self.app.metrics.received.inc_by(blob.size);
                Ok(created(permit.repository(), &digest))
            }
            Err(error) => self.out_of_order(permit.repository(), error),
        }
    }

    fn uploaded(&self, body: RequestBody) -> registry::Body {
        Box::pin(body.for_upload(memory::holder(&self.caller)))
    }

    /// The answer to a chunk out of order gives the session's offset.
    fn out_of_order(&self, name: &RepositoryName, error: registry::Error) -> Answer {
        let registry::Error::ChunkOutOfOrder { session, expected } = &error else {
            return Err(error.into());
        };
        let place = self.progress(StatusCode::RANGE_NOT_SATISFIABLE, name, session, *expected);
        let mut response = OciError::Registry(error).response();
        for (header, value) in place.headers() {
            if *header != header::CONTENT_LENGTH {
                response.headers_mut().insert(header.clone(), value.clone());
            }
        }
        Ok(response)
    }

    fn digest(&self) -> Result<Option<Digest>, OciError> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|error| OciError::bad("DIGEST_INVALID", format!("digest: {error}")))
        };
        self.parameter("digest").map(parse).transpose()
    }

    /// The body's description in the headers.
    fn extent(&self) -> Result<Extent, OciError> {
        let length = self.content_length();
        let Some(value) = self.headers.get(header::CONTENT_RANGE) else {
            return Ok(Extent {
                range: None,
                length,
            });
        };
        let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
        let range = parsed.ok_or_else(|| {
            OciError::bad(
                "BLOB_UPLOAD_INVALID",
                model::range::InvalidContentRange.to_string(),
            )
        })?;
        Ok(Extent {
            range: Some(range),
            length,
        })
    }

    fn content_length(&self) -> Option<u64> {
        self.header(header::CONTENT_LENGTH)?.parse().ok()
    }

    fn progress(
        &self,
        code: StatusCode,
        name: &RepositoryName,
        id: &str,
        size: u64,
    ) -> Response<Body> {
        let mut response = status(code);
        let headers = response.headers_mut();
        headers.insert(
            header::LOCATION,
            text(format!("/v2/{name}/blobs/uploads/{id}")),
        );
        headers.insert(header::RANGE, text(format!("0-{}", size.saturating_sub(1))));
        headers.insert(UPLOAD_ID, text(id));
        if code == StatusCode::ACCEPTED {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        response
    }
}

fn created(name: &RepositoryName, digest: &Digest) -> Response<Body> {
    let mut response = status(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, text(format!("/v2/{name}/blobs/{digest}")));
    headers.insert(CONTENT_DIGEST, text(digest.to_string()));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}
