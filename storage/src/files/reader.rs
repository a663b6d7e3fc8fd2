//! Reading a file: bytes in the page cache are copied inline, without a thread hop; others are first read into it off
//! the async threads.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::JoinHandle;

use crate::{Error, Result};

/// Bytes per chunk: the cheapest trade-off between system calls and the processor's cache.
const CHUNK: usize = 64 << 10;
/// Bytes to read into the page cache at a time.
const WARM: u64 = 1 << 20;

/// Set once the file system refuses non-blocking reads.
static NO_NOWAIT: AtomicBool = AtomicBool::new(false);

/// The bytes of a file within a range.
pub(super) struct Reader {
    key: String,
    file: Arc<File>,
    at: u64,
    end: u64,
    warming: Option<JoinHandle<io::Result<()>>>,
    /// Up to here reads are served from the page cache and may be ordinary reads.
    warm_until: u64,
    spare: Arc<Spare>,
}

/// Returned buffers of this reader.
#[derive(Default)]
struct Spare(Mutex<Vec<Box<[u8]>>>);

/// A chunk on its way to the socket; its buffer returns to the reader.
struct Chunk {
    buffer: Box<[u8]>,
    length: usize,
    home: Arc<Spare>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut home = self.home.0.lock();
        if home.len() < 2 {
            home.push(std::mem::take(&mut self.buffer));
        }
    }
}

impl Reader {
    pub(super) fn new(key: &str, file: File, range: Range<u64>) -> Self {
        Self {
            key: key.to_owned(),
            file: Arc::new(file),
            at: range.start,
            end: range.end,
            warming: None,
            warm_until: 0,
            spare: Arc::default(),
        }
    }

    /// Reads the next chunk from the page cache; `None` if it is not there.
    fn cached(&mut self) -> Option<io::Result<Bytes>> {
        let wanted = (self.end - self.at).min(CHUNK as u64) as usize;
        let spare = self.spare.0.lock().pop();
        let size = if self.end - self.at < CHUNK as u64 {
            wanted
        } else {
            CHUNK
        };
        let mut buffer = match spare {
            Some(buffer) if buffer.len() >= wanted => buffer,
            _ => vec![0; size].into_boxed_slice(),
        };
        let flags = if self.at < self.warm_until || NO_NOWAIT.load(Ordering::Relaxed) {
            ReadWriteFlags::empty()
        } else {
            ReadWriteFlags::NOWAIT
        };
        let slices = &mut [IoSliceMut::new(&mut buffer[..wanted])];
        match rustix::io::preadv2(&self.file, slices, self.at, flags) {
            Ok(0) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(length) => {
                self.at += length as u64;
                let chunk = Chunk {
                    buffer,
                    length,
                    home: self.spare.clone(),
                };
                Some(Ok(Bytes::from_owner(chunk)))
            }
            Err(Errno::AGAIN) => None,
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) if !flags.is_empty() => {
                NO_NOWAIT.store(true, Ordering::Relaxed);
                None
            }
            Err(Errno::INTR) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    fn warm(&mut self) {
        let (file, range) = (self.file.clone(), self.at..(self.at + WARM).min(self.end));
        self.warming = Some(tokio::task::spawn_blocking(move || warm(&file, range)));
    }

    fn fail(&mut self, error: io::Error) -> Error {
        self.at = self.end;
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Error::Truncated(self.key.clone());
        }
        Error::Failed {
            action: "read",
            key: self.key.clone(),
            source: error,
        }
    }
}

impl Stream for Reader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if let Some(job) = &mut self.warming {
                let done = ready!(Pin::new(job).poll(cx));
                self.warming = None;
                match done.unwrap_or_else(|error| Err(io::Error::other(error))) {
                    Ok(()) => self.warm_until = (self.at + WARM).min(self.end),
                    Err(error) => return Poll::Ready(Some(Err(self.fail(error)))),
                }
            }
            if self.at >= self.end {
                return Poll::Ready(None);
            }
            if NO_NOWAIT.load(Ordering::Relaxed) && self.at >= self.warm_until {
                self.warm();
                continue;
            }
            match self.cached() {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(Err(error)) => return Poll::Ready(Some(Err(self.fail(error)))),
                None => self.warm(),
            }
        }
    }
}

/// Loads a range into the page cache by reading it.
fn warm(file: &File, range: Range<u64>) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let _ = rustix::fs::fadvise(file, range.start, None, rustix::fs::Advice::Sequential);
    let mut scratch = vec![0; CHUNK];
    let mut at = range.start;
    while at < range.end {
        let wanted = (range.end - at).min(CHUNK as u64) as usize;
        match file.read_at(&mut scratch[..wanted], at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => at += length as u64,
        }
    }
    Ok(())
}
