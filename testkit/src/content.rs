//! Bytes to push: random enough not to compress, cheap enough not to disturb a measurement, and the same again for
//! the same seed, so that nothing of them has to be kept.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_lc_rs::digest::{Context as Hash, SHA256, digest};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::dice::splitmix;

/// The body of a request.
pub type Sent = UnsyncBoxBody<Bytes, io::Error>;

/// Content is made of pieces of this size.
const BLOCK: u64 = 64 << 10;
const BASE: usize = 4 << 20;

/// The random buffer whose windows all large content is made of.
fn base() -> &'static Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    BYTES.get_or_init(|| random(0x9E37_79B9_7F4A_7C15, BASE))
}

fn random(seed: u64, size: usize) -> Bytes {
    let mut state = seed;
    let words = std::iter::repeat_with(|| splitmix(&mut state).to_le_bytes());
    let mut bytes: Vec<u8> = words.take(size.div_ceil(8)).flatten().collect();
    bytes.truncate(size);
    bytes.into()
}

/// A seed that was not given before, in this run or another.
pub fn new_seed() -> u64 {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    let first = || AtomicU64::new(RandomState::new().build_hasher().finish());
    let next = NEXT.get_or_init(first);
    splitmix(&mut next.fetch_add(0x1_0001, Ordering::Relaxed))
}

/// Large content, made up while it is read.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    seed: u64,
    size: u64,
}

impl Content {
    pub fn new(size: u64) -> Self {
        let seed = new_seed();
        Self { seed, size }
    }

    /// The next bytes from an offset on: 64 KiB windows of the base buffer, each stamped with seed and position.
    fn piece(self, offset: u64) -> Bytes {
        let (index, within) = (offset / BLOCK, (offset % BLOCK) as usize);
        let left = usize::try_from(self.size - offset).unwrap_or(usize::MAX);
        let mut piece = if within < 16 {
            let stamp = [self.seed.to_le_bytes(), index.to_le_bytes()].concat();
            Bytes::from(stamp).slice(within..)
        } else {
            let mut state = self.seed ^ index.wrapping_mul(0xD1B5_4A32_D192_ED03);
            let start = (splitmix(&mut state) as usize % (BASE - BLOCK as usize)) & !63;
            base().slice(start + within..start + BLOCK as usize)
        };
        piece.truncate(left);
        piece
    }

    /// All bytes from an offset to another.
    pub fn pieces(self, from: u64, to: u64) -> impl Iterator<Item = Bytes> {
        let mut offset = from;
        std::iter::from_fn(move || {
            let mut piece = (offset < to).then(|| self.piece(offset))?;
            piece.truncate(usize::try_from(to - offset).unwrap_or(usize::MAX));
            offset += piece.len() as u64;
            Some(piece)
        })
    }

    /// Its bytes from an offset on, as the body of a request.
    pub fn stream(self, from: u64) -> Stream {
        Stream {
            content: self,
            from,
            offset: from,
            to: self.size,
            pace: 0.0,
            stall: u64::MAX,
            began: None,
            pause: None,
            progress: Arc::default(),
        }
    }
}

/// A body that is sent no faster than it may, and says how far it is.
pub struct Stream {
    content: Content,
    from: u64,
    offset: u64,
    to: u64,
    /// Bytes in a second at most; 0 for no bound.
    pace: f64,
    stall: u64,
    began: Option<Instant>,
    pause: Option<Pin<Box<Sleep>>>,
    progress: Arc<AtomicU64>,
}

impl Stream {
    pub fn until(self, to: u64) -> Self {
        Self { to, ..self }
    }

    pub fn paced(self, pace: f64) -> Self {
        Self { pace, ..self }
    }

    /// Stands still at an offset.
    pub fn stalling_at(self, stall: u64) -> Self {
        Self { stall, ..self }
    }

    /// Raises this to the offset that was reached.
    pub fn telling(self, progress: &Arc<AtomicU64>) -> Self {
        let progress = Arc::clone(progress);
        Self { progress, ..self }
    }

    pub fn body(self) -> Sent {
        self.boxed_unsync()
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.offset >= self.to {
            return Poll::Ready(None);
        }
        if self.offset >= self.stall {
            return Poll::Pending;
        }
        if self.pace > 0.0 {
            let began = *self.began.get_or_insert_with(Instant::now);
            let sent = (self.offset - self.from) as f64;
            let due = began + Duration::from_secs_f64(sent / self.pace);
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let mut piece = self.content.piece(self.offset);
        piece.truncate(usize::try_from(self.to - self.offset).unwrap_or(usize::MAX));
        self.offset += piece.len() as u64;
        self.progress.fetch_max(self.offset, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.to - self.offset)
    }
}

/// Content by its digest.
#[derive(Clone, Debug)]
pub struct Blob {
    pub digest: String,
    pub size: u64,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Bytes(Bytes),
    Made(Content),
}

impl Blob {
    /// One whose bytes are known elsewhere.
    pub fn named(digest: &str, size: u64) -> Self {
        Self {
            digest: digest.to_owned(),
            size,
            source: Source::Bytes(Bytes::new()),
        }
    }

    pub fn of(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let hash = digest(&SHA256, &bytes);
        Self {
            digest: format!("sha256:{}", hex::encode(hash)),
            size: bytes.len() as u64,
            source: Source::Bytes(bytes),
        }
    }

    /// Random bytes; the digest is computed now, so that no push pays for it.
    pub fn random(size: u64) -> Self {
        Self::seeded(new_seed(), size)
    }

    pub fn seeded(seed: u64, size: u64) -> Self {
        if size <= BLOCK {
            return Self::of(random(seed, size as usize));
        }
        let made = Content { seed, size };
        let mut sum = Digester::default();
        made.pieces(0, size).for_each(|piece| sum.update(&piece));
        Self {
            digest: sum.finish(),
            size,
            source: Source::Made(made),
        }
    }

    /// A valid image config of about this size.
    pub fn config(size: usize) -> Self {
        Self::seeded_config(new_seed(), size)
    }

    pub fn seeded_config(seed: u64, size: usize) -> Self {
        let filler = hex::encode(random(seed, size / 2));
        let config = serde_json::json!({ "architecture": "amd64", "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [] }, "config": { "Labels": { "filler": filler } } });
        Self::of(config.to_string())
    }

    /// Many of one size, hashed on two threads.
    pub fn many(count: usize, size: u64) -> Vec<Self> {
        let some = |count: usize| (0..count).map(|_| Self::random(size)).collect::<Vec<_>>();
        std::thread::scope(|scope| {
            let half = scope.spawn(|| some(count / 2));
            let mut all = some(count - count / 2);
            all.extend(half.join().expect("making content does not panic"));
            all
        })
    }

    /// What it is made of, where that is more than some bytes.
    pub fn made(&self) -> Content {
        match self.source {
            Source::Made(content) => content,
            Source::Bytes(_) => panic!("a small blob is not made up"),
        }
    }

    /// Its bytes from one offset to another.
    pub fn stream(&self, from: u64, to: u64) -> Sent {
        match &self.source {
            Source::Bytes(bytes) => body(bytes.slice(from as usize..to as usize)),
            Source::Made(content) => content.stream(from).until(to).body(),
        }
    }

    pub fn pieces(&self) -> Vec<Bytes> {
        match &self.source {
            Source::Bytes(bytes) => vec![bytes.clone()],
            Source::Made(content) => content.pieces(0, self.size).collect(),
        }
    }
}

pub fn body(bytes: impl Into<Bytes>) -> Sent {
    let never = |never: std::convert::Infallible| match never {};
    Full::new(bytes.into()).map_err(never).boxed_unsync()
}

/// A digest that is computed piece by piece.
pub struct Digester(Hash, pub u64);

impl Default for Digester {
    fn default() -> Self {
        Self(Hash::new(&SHA256), 0)
    }
}

impl Digester {
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
        self.1 += piece.len() as u64;
    }

    pub fn finish(self) -> String {
        format!("sha256:{}", hex::encode(self.0.finish()))
    }
}
