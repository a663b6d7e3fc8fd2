//! Moving a blob to the destination: nothing where it is there, else from another repository there, else its bytes. Tasks
//! of an execution that need the same blob wait for the first one, and take it from there.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use db::replication::upload as uploads;
use futures_util::{StreamExt as _, stream};
use model::{ContentRange, Digest};
use parking_lot::Mutex;
use registry::upload::{Chunk, Extent};
use registry::{Body, BodyError};
use remote::{Begun, Bytestream, Remote, verified};
use tokio_util::sync::CancellationToken;

use super::copy::Copying;
use super::error::{Copied, CopyError};
use super::here::Here;
use super::site::{Site, own};

/// Attempts at a blob, and the wait after the first one, which doubles.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Blobs from this size on go in chunks, where the policy says so.
const LARGE: u64 = 10 << 20;
/// Downloads from this size on can be gone on with by another process.
const RESUMABLE: u64 = 64 << 20;

impl Copying<'_> {
    /// Moves a blob.
    pub(super) async fn blob(&self, digest: &Digest, size: u64) -> Copied<()> {
        // Who holds a blob waits for a place alone, and who has a place waits for nobody.
        let _only_one = self.route.moving(digest).await;
        // Never closed.
        let _turn = self.transfers.acquire().await;
        let mut attempts = 1;
        loop {
            let moved = Box::pin(self.blob_once(digest, size)).await;
            let wait = FIRST_WAIT * (1 << (attempts - 1));
            match moved {
                Err(error) if error.is_transient() && attempts < self.most_attempts() => {
                    self.journal.warn(format!(
                        "the blob {digest} was not copied: {error}; tried again in {} s",
                        wait.as_secs()
                    ));
                }
                done => return done,
            }
            tokio::time::sleep(wait).await;
            attempts += 1;
        }
    }

    /// A download goes on by itself where it broke off.
    const fn most_attempts(&self) -> u32 {
        match self.route.source {
            Site::Here(_) => ATTEMPTS,
            Site::There(_) => 1,
        }
    }

    async fn blob_once(&self, digest: &Digest, size: u64) -> Copied<()> {
        if self.route.target.has_blob(&self.to, digest).await? {
            self.route.note_blob(digest, &self.to);
            return Ok(());
        }
        let moved = match (&self.route.source, &self.route.target) {
            (Site::There(remote), Site::Here(here)) => {
                Box::pin(self.fetch((remote, here), (digest, size))).await?
            }
            (Site::Here(here), Site::There(remote)) => {
                Box::pin(self.send((here, remote), (digest, size))).await?
            }
            // Policies name exactly one other registry.
            (Site::Here(_), Site::Here(_)) | (Site::There(_), Site::There(_)) => {
                return Err(CopyError::Gone);
            }
        };
        self.route.note_blob(digest, &self.to);
        match moved {
            0 => self.journal.info(format!(
                "the blob {digest} is taken from another repository of {}",
                self.route.target.name()
            )),
            bytes => {
                self.journal.count(|counts| counts.bytes += bytes);
                self.journal
                    .info(format!("the blob {digest} of {size} bytes is copied"));
            }
        }
        Ok(())
    }

    /// To this registry. How many bytes were moved.
    async fn fetch(
        &self,
        (remote, here): (&Remote, &Here),
        (digest, size): (&Digest, u64),
    ) -> Copied<u64> {
        let name = own(&self.to)?;
        let known = self.route.repository_with(digest);
        if here.mount(&name, (digest, known.as_deref())).await? {
            return Ok(0);
        }
        let (permit, registry) = (here.pushing(&name).await?, &here.0.registry);
        let is_kept = size >= RESUMABLE;
        let mut open = None;
        if is_kept && let Some(id) = self.kept_upload(digest).await? {
            let session = registry.upload_session(&permit, &id).ok();
            if let Some(session) = session
                && let Ok(at) = registry.upload_size(&session).await
            {
                self.journal
                    .info(format!("the blob {digest} goes on at byte {at} of {size}"));
                open = Some((session, at.min(size)));
            }
        }
        let (session, at) = match open {
            Some(open) => open,
            None => {
                let session = registry.begin_upload(&permit, digest.algorithm()).await?;
                if is_kept {
                    self.keep_upload(digest, Some(session.id())).await?;
                }
                (session, 0)
            }
        };
        // The upload is written to its end whoever waits for it; its bytes end with this run.
        let over = CancellationToken::new();
        let _until_dropped = over.clone().drop_guard();
        let bytes = self.limited(remote.read_blob(&self.from, digest, at..size));
        let bytes = until(over, bytes);
        let failed = Arc::new(Mutex::new(None));
        let extent = Extent {
            range: (at > 0 && at < size).then(|| ContentRange {
                first: at,
                last: size - 1,
            }),
            length: Some(size - at),
        };
        let body = body_of(bytes, failed.clone());
        let chunk = Chunk { extent, body };
        let stored = registry
            .finish_upload(&permit, &session, digest, chunk)
            .await;
        let reason = failed.lock().take();
        let stored = match (stored, reason) {
            (Err(_), Some(error)) => Err(CopyError::Remote(error)),
            (Err(registry::Error::DigestMismatch { .. }), None) => {
                Err(CopyError::Remote(remote::Error::WrongBytes {
                    host: remote.host().to_owned(),
                    what: format!("the blob {digest}"),
                }))
            }
            (stored, _) => stored.map_err(CopyError::from),
        };
        let is_over = !matches!(&stored, Err(error) if error.is_transient());
        if is_kept && is_over {
            self.keep_upload(digest, None).await?;
        }
        stored.map(|_| size - at)
    }

    /// To another registry. How many bytes were moved.
    async fn send(
        &self,
        (here, remote): (&Here, &Remote),
        (digest, size): (&Digest, u64),
    ) -> Copied<u64> {
        if self.route.policy.copy_by_chunk && size > LARGE {
            return Box::pin(self.send_chunks((here, remote), (digest, size))).await;
        }
        let upload = match self.begin(remote, digest).await? {
            Begun::Mounted => return Ok(0),
            Begun::Open(upload) => upload,
        };
        let bytes = here.read_blob(&own(&self.from)?, digest, 0..size).await?;
        let bytes = verified(self.limited(bytes), (*digest, size), "this registry");
        remote
            .put_blob((&self.to, &upload), (digest, size), bytes)
            .await?;
        Ok(size)
    }

    /// Begins an upload, from a repository there that has the blob if one is known.
    pub(super) async fn begin(&self, remote: &Remote, digest: &Digest) -> Copied<Begun> {
        let mut known = self.route.repository_with(digest);
        if known.is_none() && remote.kind().has_projects() {
            known = remote.repository_with(digest).await?;
        }
        let mounted = known.as_deref().map(|from| (digest, from));
        Ok(remote.begin_upload(&self.to, mounted).await?)
    }

    /// Bytes of a blob of this registry.
    pub(super) async fn part(
        &self,
        here: &Here,
        digest: &Digest,
        range: Range<u64>,
    ) -> Copied<Bytestream> {
        let bytes = here.read_blob(&own(&self.from)?, digest, range).await?;
        Ok(self.limited(bytes))
    }

    fn limited(&self, bytes: Bytestream) -> Bytestream {
        self.speed.limit(bytes)
    }

    /// Where an upload of a blob was, if another process, or an earlier run, began one.
    pub(super) async fn kept_upload(&self, digest: &Digest) -> Copied<Option<String>> {
        let mut reader = self.journal.works().db.reader().await?;
        let at = (self.to.as_str(), digest);
        Ok(uploads::location(&mut reader, self.route.id, at).await?)
    }

    pub(super) async fn keep_upload(&self, digest: &Digest, location: Option<&str>) -> Copied<()> {
        let works = self.journal.works();
        let (policy, now) = (self.route.id, works.clock.now());
        let (to, digest) = (self.to.clone(), *digest);
        let location = location.map(str::to_owned);
        let written = works.db.write(move |tx| {
            Box::pin(async move {
                uploads::set(tx, policy, (&to, &digest), location.as_deref(), now).await
            })
        });
        Ok(written.await?)
    }
}

/// The bytes until something is over; they break off then.
fn until(over: CancellationToken, bytes: Bytestream) -> Bytestream {
    Box::pin(stream::unfold(bytes, move |mut bytes| {
        let over = over.clone();
        async move {
            let next = tokio::select! {
                biased;
                () = over.cancelled() => Some(Err(stopped())),
                next = bytes.next() => next,
            };
            next.map(|next| (next, bytes))
        }
    }))
}

fn stopped() -> remote::Error {
    let why = "the copy was stopped";
    remote::Error::Source("this registry".to_owned(), why.to_owned())
}

/// The bytes as a client would send them; why they break off is put aside.
fn body_of(bytes: Bytestream, failed: Arc<Mutex<Option<remote::Error>>>) -> Body {
    Box::pin(bytes.map(move |bytes| {
        bytes.map_err(|error| {
            *failed.lock() = Some(error);
            BodyError::Cut
        })
    }))
}
