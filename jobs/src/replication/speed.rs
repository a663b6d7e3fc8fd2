//! The speed of a task: its bytes wait for their turn.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use remote::Bytestream;
use tokio::time::Instant;

/// Bytes that may pass at once.
const BURST: f64 = 1_024_000.0;

/// The speed that all streams of a task share.
#[derive(Clone)]
pub(crate) struct Speed(Option<Arc<Bucket>>);

struct Bucket {
    bytes_per_second: f64,
    /// What may pass now, less than 0 where streams wait, and when it was computed.
    left: Mutex<(f64, Instant)>,
}

impl Speed {
    /// Of a policy's kilobits per second: 1 is 128 bytes, and 0 is no limit.
    pub(crate) fn of(kilobits: i64) -> Self {
        Self((kilobits > 0).then(|| {
            Arc::new(Bucket {
                bytes_per_second: kilobits as f64 * 128.0,
                left: Mutex::new((BURST, Instant::now())),
            })
        }))
    }

    /// The same bytes, at this speed.
    pub(crate) fn limit(&self, bytes: Bytestream) -> Bytestream {
        let Some(bucket) = self.0.clone() else {
            return bytes;
        };
        Box::pin(bytes.then(move |bytes| {
            let wait = match &bytes {
                Ok(bytes) => bucket.take(bytes),
                Err(_) => Duration::ZERO,
            };
            async move {
                tokio::time::sleep(wait).await;
                bytes
            }
        }))
    }
}

impl Bucket {
    /// How long these bytes wait.
    fn take(&self, bytes: &Bytes) -> Duration {
        let mut left = self.left.lock();
        let now = Instant::now();
        let came = (now - left.1).as_secs_f64() * self.bytes_per_second;
        *left = ((left.0 + came).min(BURST) - bytes.len() as f64, now);
        Duration::from_secs_f64((-left.0 / self.bytes_per_second).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_speed_after_a_burst() {
        let speed = Speed::of(8_000);
        let chunk = || Ok(Bytes::from(vec![0; 512_000]));
        let chunks: Bytestream = Box::pin(futures_util::stream::iter((0..6).map(move |_| chunk())));
        let begun = Instant::now();
        let passed: Vec<_> = speed.limit(chunks).collect().await;
        assert_eq!(passed.len(), 6);
        // 3,072,000 bytes, a third of them at once, the rest at 1,024,000 a second.
        let took = begun.elapsed().as_millis();
        assert!((1_990..2_100).contains(&took), "{took}");
    }
}
