//! Blobs of another registry, as they are read.

use std::ops::Range;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::header::{CONTENT_LENGTH, RANGE};
use http::{Method, StatusCode};
use model::Digest;
use outgoing::Received;

use crate::client::{Ask, pulling};
use crate::{Error, Remote, Result};

/// Bytes as they come.
pub type Bytestream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// Bytes that have to come until earlier failures of a download do not count any more.
const PROGRESS: u64 = 1 << 20;
/// How often a download is begun anew in all.
const MOST_RESUMED: u32 = 50;

fn path(repository: &str, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

impl Remote {
    /// The size of a blob that a repository has; `None` where it has none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn blob_size(&self, repository: &str, digest: &Digest) -> Result<Option<u64>> {
        let what = format!("look for the blob {digest} in {repository}");
        let ask =
            Ask::new(Method::HEAD, path(repository, digest), &what).scope(pulling(repository));
        let found = self.found(ask).await?;
        let size = |answer: crate::client::Answer| answer.header(&CONTENT_LENGTH)?.parse().ok();
        Ok(found.map(|answer| size(answer).unwrap_or_default()))
    }

    /// The bytes of a blob within a range. Where the connection breaks off, the rest is asked for.
    pub fn read_blob(&self, repository: &str, digest: &Digest, range: Range<u64>) -> Bytestream {
        let reading = Reading {
            remote: self.clone(),
            repository: repository.to_owned(),
            digest: *digest,
            first: range.start,
            at: range.start,
            end: range.end,
            body: None,
            failures: 0,
            failed_at: range.start,
            resumed: 0,
        };
        Box::pin(stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(None) => None,
                Ok(Some(bytes)) => Some((Ok(bytes), Some(reading))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    /// The bytes of a blob from an offset on.
    async fn open_blob(&self, repository: &str, digest: &Digest, from: u64) -> Result<Received> {
        let what = format!("send the blob {digest} of {repository}");
        let mut ask =
            Ask::new(Method::GET, path(repository, digest), &what).scope(pulling(repository));
        if from > 0 {
            ask = ask.header(RANGE, &format!("bytes={from}-"));
        }
        let response = Box::pin(self.open(&ask)).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => Ok(self.0.http.received(response.into_body())),
            StatusCode::OK => {
                // A registry without ranges sends all of it.
                let whole = self.0.http.received(response.into_body());
                Ok(skipping(whole, from))
            }
            _ => Err(self.refusal(response, &what).await),
        }
    }
}

/// A stream without its first bytes.
fn skipping(bytes: Received, first: u64) -> Received {
    let mut left = first;
    Box::pin(bytes.map(move |bytes| {
        bytes.map(|mut bytes| {
            let skipped = left.min(bytes.len() as u64);
            left -= skipped;
            bytes.split_off(skipped as usize)
        })
    }))
}

/// A download.
struct Reading {
    remote: Remote,
    repository: String,
    digest: Digest,
    first: u64,
    at: u64,
    end: u64,
    body: Option<Received>,
    /// Failures since there was progress, and where they began.
    failures: u32,
    failed_at: u64,
    resumed: u32,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.at < self.end {
            let body = match &mut self.body {
                Some(body) => body,
                None => {
                    let opened = (self.remote).open_blob(&self.repository, &self.digest, self.at);
                    match Box::pin(opened).await {
                        Ok(body) => self.body.insert(body),
                        Err(error) => {
                            self.failed(error).await?;
                            continue;
                        }
                    }
                }
            };
            match body.next().await {
                Some(Ok(mut bytes)) => {
                    // What is beyond the end is left unread.
                    bytes.truncate(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
                    self.at += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Some(Err(error)) => {
                    let error = Error::of_connection(self.remote.host(), error);
                    self.failed(error).await?;
                }
                None => self.failed(self.truncated()).await?,
            }
        }
        Ok(None)
    }

    /// Waits before the rest is asked for; fails where that would not help.
    async fn failed(&mut self, error: Error) -> Result<()> {
        self.body = None;
        if self.at - self.failed_at >= PROGRESS {
            self.failures = 0;
        }
        self.failed_at = self.at;
        self.failures += 1;
        self.resumed += 1;
        let wait = self.remote.wait(self.failures);
        match wait.filter(|_| error.is_transient() && self.resumed < MOST_RESUMED) {
            None if matches!(error, Error::Unreachable(..)) && self.at > self.first => {
                Err(self.truncated())
            }
            None => Err(error),
            Some(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
        }
    }

    fn truncated(&self) -> Error {
        Error::Truncated {
            host: self.remote.host().to_owned(),
            what: format!("the blob {}", self.digest),
            expected: self.end,
            got: self.at,
        }
    }
}
