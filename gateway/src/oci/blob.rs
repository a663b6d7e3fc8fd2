//! `GET`, `HEAD` and `DELETE /v2/{name}/blobs/{digest}`.

use http::{HeaderValue, Method, Response, StatusCode, header};
use model::{ByteRange, Digest, RepositoryName};
use registry::blob::Content;

use super::{Answer, CONTENT_DIGEST, Call, HEADERS, status, text};
use crate::http::response_body::Body;

impl Call<'_> {
    pub(super) async fn get_blob(&self, name: RepositoryName, digest: Digest) -> Answer {
        let permit = self.may_pull(&name).await?;
        let linked = self.app.registry.stat_blob(&permit, &digest).await?;
        if self.method == Method::HEAD {
            self.app.registry.renew_blob(&permit, &linked).await?;
        }
        let blob = &linked.blob;
        let etag = digest.to_string();
        if self.has(&etag) {
            let mut response = status(StatusCode::NOT_MODIFIED);
            describe(&mut response, &etag);
            return Ok(response);
        }
        let range = match self.method {
            Method::GET => ByteRange::parse(self.header(header::RANGE), blob.size),
            _ => ByteRange::Whole,
        };
        let (code, first, length) = match range {
            ByteRange::Whole => (StatusCode::OK, 0, blob.size),
            ByteRange::Part { first, last } => {
                (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
            }
            ByteRange::Unsatisfiable => return Ok(unsatisfiable(blob.size)),
        };
        if self.method == Method::GET
            && let Some(redirect) = self.redirect(&permit, blob).await?
        {
            return Ok(redirect);
        }
        let body = if self.method == Method::HEAD {
            Body::empty()
        } else {
            match self
                .app
                .registry
                .read_blob(&permit, blob, first..first + length)
                .await?
            {
                Content::Bytes(bytes) => Body::full(bytes),
                Content::Stream(stream) => Body::blob(stream, length),
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = code;
        describe(&mut response, &etag);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        headers.insert(header::CONTENT_LENGTH, length.into());
        if code == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {first}-{}/{}", first + length - 1, blob.size);
            headers.insert(header::CONTENT_RANGE, text(range));
        }
        Ok(response)
    }

    pub(super) async fn delete_blob(&self, name: RepositoryName, digest: Digest) -> Answer {
        let permit = self.may_delete(&name).await?;
        self.app.registry.delete_blob(&permit, &digest).await?;
        Ok(status(StatusCode::ACCEPTED))
    }
}

fn describe(response: &mut Response<Body>, digest: &str) {
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=31536000, immutable"),
    );
    headers.insert(header::ETAG, text(format!("\"{digest}\"")));
    headers.insert(CONTENT_DIGEST, text(digest));
}

fn unsatisfiable(size: u64) -> Response<Body> {
    let message = format!("the blob has {size} bytes");
    let mut response =
        crate::http::envelope(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", &message);
    response
        .headers_mut()
        .insert(header::CONTENT_RANGE, text(format!("bytes */{size}")));
    response
}
