//! `GET`, `HEAD` and `DELETE /v2/{name}/blobs/{digest}`.

mod multipart;

use db::blob::StoredBlob;
use http::{HeaderValue, Method, Response, StatusCode, header};
use model::range::Part;
use model::{ByteRanges, Digest, RepositoryName};
use policy::permit::PullPermit;
use registry::blob::Content;

use super::{Answer, CONTENT_DIGEST, Call, HEADERS};
use crate::http::answer::{envelope, status};
use crate::http::header::{has_etag, text};
use crate::http::response_body::Body;
use multipart::Multipart;

const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");

impl Call<'_> {
    pub(super) async fn get_blob(&self, name: RepositoryName, digest: Digest) -> Answer {
        let permit = self.may_pull(&name).await?;
        let linked = self.app.registry.stat_blob(&permit, &digest).await?;
        if self.method == Method::HEAD {
            self.app.registry.renew_blob(&permit, &linked).await?;
        }
        let blob = &linked.blob;
        let etag = digest.to_string();
        if has_etag(&self.headers, &etag) {
            let mut response = status(StatusCode::NOT_MODIFIED);
            describe(&mut response, &etag);
            return Ok(response);
        }
        let parts = match self.ranges(&etag, blob.size) {
            ByteRanges::Whole => Vec::new(),
            ByteRanges::Parts(parts) => parts,
            ByteRanges::Unsatisfiable => return Ok(unsatisfiable(blob.size)),
        };
        if self.bucket_may_answer(&parts)
            && let Some(redirect) = self.redirect(&permit, blob).await?
        {
            return Ok(redirect);
        }
        let mut response = match parts[..] {
            [] => self.whole(&permit, blob).await?,
            [part] => self.part(&permit, blob, part).await?,
            _ => Box::pin(self.parts(&permit, blob, parts)).await?,
        };
        describe(&mut response, &etag);
        Ok(response)
    }

    /// The requested ranges. `Range` applies only to GET, and only if `If-Range` matches the blob (RFC 9110, sections
    /// 13.1.5 and 14.2).
    fn ranges(&self, etag: &str, size: u64) -> ByteRanges {
        if self.method != Method::GET || !self.if_range_holds(etag) {
            return ByteRanges::Whole;
        }
        ByteRanges::parse(self.header(header::RANGE), size)
    }

    /// Whether there is no `If-Range`, or it holds the blob's strong entity tag. A date never matches, because no
    /// `Last-Modified` is sent.
    fn if_range_holds(&self, etag: &str) -> bool {
        let Some(value) = self.headers.get(header::IF_RANGE) else {
            return true;
        };
        let tag = value.to_str().ok().map(str::trim);
        let tag = tag.and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
        tag == Some(etag)
    }

    /// Whether a bucket would give the same answer: its entity tags differ, and it answers several ranges with the
    /// whole object.
    fn bucket_may_answer(&self, parts: &[Part]) -> bool {
        let conditional = !parts.is_empty() && self.headers.contains_key(header::IF_RANGE);
        self.method == Method::GET && parts.len() <= 1 && !conditional
    }

    async fn whole(&self, permit: &PullPermit, blob: &StoredBlob) -> Answer {
        let body = if self.method == Method::HEAD {
            Body::empty()
        } else {
            let registry = &self.app.registry;
            let content = registry.read_blob(permit, blob, 0..blob.size).await?;
            body(content, blob.size)
        };
        Ok(with_length(Response::new(body), blob.size, BINARY))
    }

    async fn part(&self, permit: &PullPermit, blob: &StoredBlob, part: Part) -> Answer {
        let registry = &self.app.registry;
        let content = registry.read_blob(permit, blob, part.range()).await?;
        let mut response = Response::new(body(content, part.length()));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {}-{}/{}", part.first, part.last, blob.size);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_RANGE, text(range));
        Ok(with_length(response, part.length(), BINARY))
    }

    async fn parts(&self, permit: &PullPermit, blob: &StoredBlob, parts: Vec<Part>) -> Answer {
        let Multipart {
            content_type,
            length,
            pieces,
        } = Multipart::of(&blob.digest, blob.size, parts);
        let registry = &self.app.registry;
        let content = registry.read_pieces(permit, blob, pieces).await?;
        let mut response = Response::new(body(content, length));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        Ok(with_length(response, length, text(content_type)))
    }

    pub(super) async fn delete_blob(&self, name: RepositoryName, digest: Digest) -> Answer {
        let permit = self.may_delete(&name).await?;
        self.app.registry.delete_blob(&permit, &digest).await?;
        Ok(status(StatusCode::ACCEPTED))
    }
}

fn body(content: Content, length: u64) -> Body {
    match content {
        Content::Bytes(bytes) => Body::full(bytes),
        Content::Stream(stream) => Body::blob(stream, length),
    }
}

fn with_length(
    mut response: Response<Body>,
    length: u64,
    content_type: HeaderValue,
) -> Response<Body> {
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
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
    let mut response = envelope(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", &message);
    response
        .headers_mut()
        .insert(header::CONTENT_RANGE, text(format!("bytes */{size}")));
    response
}
