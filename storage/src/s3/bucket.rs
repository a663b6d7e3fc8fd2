//! The bucket: one request per method, with errors that name the operation and the object.

use std::io;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::SdkBody;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption};
use bytes::Bytes;
use md5::{Digest as _, Md5};
use parking_lot::Mutex;
use tracing::instrument;

use super::client::Clients;
use super::error::{failed, of_bucket, unavailable};
use super::part::Pieces;
use super::settings::{Settings, Sse};
use super::state::Part;
use crate::{Error, Existing, Result};

/// A bucket, or a folder in one.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) clients: Clients,
    pub(super) name: String,
    /// Prefix of all keys; empty, or ends with a slash.
    pub(super) prefix: String,
    sse: Option<ServerSideEncryption>,
    sse_key: Option<String>,
    /// Leftovers that could not be removed.
    pub(super) leftovers: Mutex<Vec<String>>,
}

/// Metadata of an object.
pub(super) struct Head {
    pub(super) size: u64,
    etag: Option<String>,
}

impl Bucket {
    pub(super) fn open(settings: &Settings) -> Result<Self> {
        let folder = settings.prefix.trim_matches('/');
        let key = Some(settings.sse_kms_key_id.clone());
        Ok(Self {
            clients: Clients::new(settings)?,
            name: settings.bucket.clone(),
            prefix: if folder.is_empty() {
                String::new()
            } else {
                format!("{folder}/")
            },
            sse: match settings.sse {
                Sse::None => None,
                Sse::Aes256 => Some(ServerSideEncryption::Aes256),
                Sse::Kms => Some(ServerSideEncryption::AwsKms),
            },
            sse_key: key.filter(|key| settings.sse == Sse::Kms && !key.is_empty()),
            leftovers: Mutex::default(),
        })
    }

    /// The object's name in the bucket.
    pub(super) fn path(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    pub(super) async fn probe(&self) -> Result<()> {
        let list = self.clients.small.list_objects_v2().bucket(&self.name);
        let answer = list.prefix(&self.prefix).max_keys(1).send().await;
        answer.map_err(|error| of_bucket(&self.name, error))?;
        Ok(())
    }

    #[instrument(name = "storage.s3.put", level = "debug", skip_all, fields(object.key = key))]
    pub(super) async fn put(&self, key: &str, pieces: Pieces) -> Result<()> {
        let put = self.clients.large.put_object().bucket(&self.name);
        let put = put
            .key(self.path(key))
            .set_server_side_encryption(self.sse.clone())
            .set_ssekms_key_id(self.sse_key.clone())
            .content_length(pieces.size() as i64)
            .body(pieces.into_body());
        put.send()
            .await
            .map_err(|error| failed("write", key, error))?;
        Ok(())
    }

    /// Reads a small object; `None` if there is none.
    pub(super) async fn get_small(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        let get = self.clients.small.get_object().bucket(&self.name);
        let get = get
            .key(self.path(key))
            .range(format!("bytes=0-{}", most - 1));
        let answer = match get.send().await {
            Ok(answer) => answer,
            Err(error) => {
                return match failed("read", key, error) {
                    Error::Missing(_) => Ok(None),
                    error => Err(error),
                };
            }
        };
        let body = answer.body.collect().await;
        let body = body.map_err(|error| unavailable("read", key.to_owned(), error.into()))?;
        Ok(Some(body.into_bytes()))
    }

    /// Writes a small object. If an existing one must be kept, the request is conditional; a server without conditional
    /// writes overwrites it.
    pub(super) async fn put_small(
        &self,
        key: &str,
        bytes: Vec<u8>,
        existing: Existing,
    ) -> Result<()> {
        let put = |condition: Option<&str>| {
            let put = self.clients.small.put_object().bucket(&self.name);
            put.key(self.path(key))
                .set_server_side_encryption(self.sse.clone())
                .set_ssekms_key_id(self.sse_key.clone())
                .set_if_none_match(condition.map(str::to_owned))
                .body(bytes.clone().into())
                .send()
        };
        let condition = (existing == Existing::Kept).then_some("*");
        let Err(error) = put(condition).await else {
            return Ok(());
        };
        match (error.code(), condition) {
            (Some("PreconditionFailed" | "ConditionalRequestConflict"), Some(_)) => Ok(()),
            (Some("NotImplemented"), Some(_)) => {
                let written = put(None).await;
                written.map_err(|error| failed("write", key, error))?;
                Ok(())
            }
            _ => Err(failed("write", key, error)),
        }
    }

    /// The bytes within a non-empty range: exactly those, or an error.
    #[instrument(name = "storage.s3.get", level = "debug", skip_all, fields(object.key = key))]
    pub(super) async fn get(&self, key: &str, range: Range<u64>) -> Result<SdkBody> {
        let get = self.clients.download.get_object().bucket(&self.name);
        let get = get
            .key(self.path(key))
            .range(format!("bytes={}-{}", range.start, range.end - 1));
        let answer = get.send().await;
        let answer = answer.map_err(|error| failed("read", key, error))?;
        if is_range(&answer, &range) {
            Ok(answer.body.into_inner())
        } else {
            Err(Error::Truncated(key.to_owned()))
        }
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<Head>> {
        let head = self.clients.small.head_object().bucket(&self.name);
        match head.key(self.path(key)).send().await {
            Ok(answer) => Ok(Some(Head {
                size: answer.content_length().unwrap_or(0).max(0) as u64,
                etag: answer.e_tag().map(bare),
            })),
            Err(error) => match failed("look at", key, error) {
                Error::Missing(_) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Starts a multipart upload; returns its ID.
    #[instrument(name = "storage.s3.begin", level = "debug", skip_all, fields(object.key = key))]
    pub(super) async fn begin(&self, key: &str) -> Result<String> {
        let begin = self.clients.small.create_multipart_upload();
        let begin = begin
            .bucket(&self.name)
            .key(self.path(key))
            .set_server_side_encryption(self.sse.clone())
            .set_ssekms_key_id(self.sse_key.clone());
        let answer = begin.send().await;
        let answer = answer.map_err(|error| failed("begin", key, error))?;
        answer
            .upload_id
            .ok_or_else(|| refused("begin", key, "the store names no upload"))
    }

    /// Uploads a part.
    #[instrument(name = "storage.s3.part", level = "debug", skip_all, fields(object.key = key, part = number))]
    pub(super) async fn part(
        &self,
        key: &str,
        upload: &str,
        number: u16,
        pieces: Pieces,
    ) -> Result<Part> {
        let part = self.clients.large.upload_part().bucket(&self.name);
        let part = part
            .key(self.path(key))
            .upload_id(upload)
            .part_number(number.into())
            .content_length(pieces.size() as i64)
            .body(pieces.into_body());
        let answer = part.send().await;
        let answer = answer.map_err(|error| failed("write", key, error))?;
        let etag = answer
            .e_tag()
            .ok_or_else(|| refused("write", key, "the store gives a part no ETag"))?;
        Ok(Part(number, bare(etag)))
    }

    /// Fails if a multipart upload no longer exists.
    pub(super) async fn must_have(&self, key: &str, upload: &str) -> Result<()> {
        let list = self.clients.small.list_parts().bucket(&self.name);
        let list = list.key(self.path(key)).upload_id(upload).max_parts(1);
        let answer = list.send().await;
        answer.map_err(|error| failed("go on with", key, error))?;
        Ok(())
    }

    /// Completes an object from exactly these parts. Also succeeds if an earlier attempt succeeded whose answer was
    /// lost.
    #[instrument(name = "storage.s3.end", level = "debug", skip_all, fields(object.key = key))]
    pub(super) async fn end(
        &self,
        key: &str,
        upload: &str,
        parts: Vec<Part>,
        size: u64,
    ) -> Result<()> {
        let Err(error) = self.complete(key, upload, &parts).await else {
            return Ok(());
        };
        match self.head(key).await {
            Ok(Some(head)) if head.is_of(&parts, size) => Ok(()),
            _ => Err(error),
        }
    }

    async fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<()> {
        let parts = parts.iter().map(|Part(number, etag)| {
            CompletedPart::builder()
                .part_number((*number).into())
                .e_tag(format!("\"{etag}\""))
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect()));
        let complete = self.clients.large.complete_multipart_upload();
        let complete = complete
            .bucket(&self.name)
            .key(self.path(key))
            .upload_id(upload)
            .multipart_upload(parts.build());
        let answer = complete.send().await;
        answer.map_err(|error| failed("complete", key, error))?;
        Ok(())
    }

    pub(super) async fn presigned(&self, key: &str, lasts: Duration) -> Result<String> {
        let lasts = PresigningConfig::expires_in(lasts);
        let lasts = lasts.map_err(|error| refused("sign a URL of", key, error))?;
        let get = self.clients.public.get_object().bucket(&self.name);
        let signed = get.key(self.path(key)).presigned(lasts).await;
        let signed = signed.map_err(|error| failed("sign a URL of", key, error))?;
        Ok(signed.uri().to_owned())
    }
}

impl Head {
    /// True if this is the object made of these parts.
    fn is_of(&self, parts: &[Part], size: u64) -> bool {
        if self.size != size {
            return false;
        }
        match (&self.etag, etag_of(parts)) {
            (Some(has), Some(expected)) => *has == expected,
            // Encrypted parts have ETags of another kind; nothing more can be checked.
            _ => true,
        }
    }
}

/// The ETag that S3 gives to an object of these parts: the MD5 of their MD5s, and their number. `None` if the parts'
/// own ETags are not MD5s.
fn etag_of(parts: &[Part]) -> Option<String> {
    let mut all = Md5::new();
    for Part(_, etag) in parts {
        let md5: [u8; 16] = hex::decode(etag).ok()?.try_into().ok()?;
        all.update(md5);
    }
    Some(format!("{}-{}", hex::encode(all.finalize()), parts.len()))
}

/// True if an answer has the requested bytes. A server without range support may send everything.
fn is_range(answer: &GetObjectOutput, range: &Range<u64>) -> bool {
    let length = answer.content_length().map(u64::try_from);
    let whole = range.start == 0;
    length == Some(Ok(range.end - range.start))
        && answer.content_range().map_or(whole, |given| {
            given.starts_with(&format!("bytes {}-{}/", range.start, range.end - 1))
        })
}

/// An ETag without quotes.
fn bare(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

pub(super) fn refused(action: &'static str, key: &str, cause: impl Into<crate::Cause>) -> Error {
    Error::Failed {
        action,
        key: key.to_owned(),
        source: io::Error::other(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_etag_of_parts_is_the_hash_of_their_hashes() {
        let part = |text: &str| Part(1, hex::encode(Md5::digest(text)));
        let expected = Md5::digest([Md5::digest("a"), Md5::digest("b")].concat());
        let expected = format!("{}-2", hex::encode(expected));
        assert_eq!(etag_of(&[part("a"), part("b")]), Some(expected));
        assert_eq!(etag_of(&[Part(1, "no md5".to_owned())]), None);
    }
}
