//! Sending a large blob in chunks, each of which is there once it was answered. What breaks off goes on where the other
//! registry is, also in another process.

use std::time::Duration;

use model::Digest;
use remote::{Begun, Remote, Upload};

use super::copy::Copying;
use super::error::{Copied, CopyError};
use super::here::Here;

/// Bytes of a chunk.
const CHUNK: u64 = 32 << 20;
/// Failures in a row after which a blob fails, and the wait after the first one, which doubles.
const MOST_FAILURES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(2);

impl Copying<'_> {
    /// How many bytes were moved; 0 where the blob was mounted.
    pub(super) async fn send_chunks(
        &self,
        (here, remote): (&Here, &Remote),
        (digest, size): (&Digest, u64),
    ) -> Copied<u64> {
        let Some((mut at, mut upload)) = self.open(remote, (digest, size)).await? else {
            return Ok(0);
        };
        let (begun_at, mut failures) = (at, 0);
        while at < size {
            let length = CHUNK.min(size - at);
            let bytes = self.part(here, digest, at..at + length).await?;
            let sent = remote.append((&self.to, &upload), (at, length), bytes);
            match sent.await {
                Ok(next) => {
                    (at, upload, failures) = (at + length, next, 0);
                    self.keep_upload(digest, Some(&upload.location)).await?;
                }
                Err(error) => {
                    failures += 1;
                    self.journal.warn(format!(
                        "a part of the blob {digest} was not copied: {error}"
                    ));
                    if failures >= MOST_FAILURES {
                        return Err(error.into());
                    }
                    tokio::time::sleep(FIRST_WAIT * (1 << (failures - 1))).await;
                    (at, upload) = self.where_it_is(remote, &upload).await?;
                }
            }
        }
        let finished = remote.finish_upload((&self.to, &upload), digest).await;
        if !matches!(&finished, Err(error) if error.is_transient()) {
            self.keep_upload(digest, None).await?;
        }
        finished?;
        Ok(size.saturating_sub(begun_at).max(1))
    }

    /// An upload, and how far it is; `None` where the blob was mounted.
    async fn open(
        &self,
        remote: &Remote,
        (digest, size): (&Digest, u64),
    ) -> Copied<Option<(u64, Upload)>> {
        let kept = self.kept_upload(digest).await?;
        // Elsewhere the registry cannot be asked as the account.
        if let Some(location) = kept.filter(|location| remote.is_own(location)) {
            let kept = Upload { location };
            let found = remote.upload_size(&self.to, &kept).await;
            if let Ok(Some((at, upload))) = found
                && at <= size
            {
                self.journal
                    .info(format!("the blob {digest} goes on at byte {at} of {size}"));
                return Ok(Some((at, upload)));
            }
        }
        match self.begin(remote, digest).await? {
            Begun::Mounted => Ok(None),
            Begun::Open(upload) => {
                self.keep_upload(digest, Some(&upload.location)).await?;
                Ok(Some((0, upload)))
            }
        }
    }

    /// How far an upload is, or a new one where the registry does not know it any more.
    async fn where_it_is(&self, remote: &Remote, upload: &Upload) -> Copied<(u64, Upload)> {
        if let Some(found) = remote.upload_size(&self.to, upload).await? {
            return Ok(found);
        }
        match remote.begin_upload(&self.to, None).await? {
            Begun::Open(upload) => Ok((0, upload)),
            Begun::Mounted => Err(CopyError::Missing("an upload".to_owned())),
        }
    }
}
