//! Gathers HTTP/2 output. The library writes and flushes frame by frame, and a frame of 16 KiB with its head is
//! slightly larger than a TLS record; gathered, four frames are one write of full records.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes gathered: four frames of the usual size, with their heads.
const GATHERED: usize = 4 * (16_384 + 9);

/// The bytes of a connection, flushed only by [`Cork::poll_flush_now`] or when enough is gathered. The library owns one
/// handle and the connection the other; the same task uses both.
pub(super) struct Cork<T>(Arc<Mutex<Gathering<T>>>);

struct Gathering<T> {
    inner: T,
    gathered: BytesMut,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Cork<T> {
    pub(super) fn new(inner: T) -> Self {
        Self(Arc::new(Mutex::new(Gathering {
            inner,
            gathered: BytesMut::new(),
        })))
    }

    /// Another handle to the same bytes.
    pub(super) fn handle(&self) -> Self {
        Self(self.0.clone())
    }

    /// Writes everything gathered.
    pub(super) fn poll_flush_now(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.0.lock();
        ready!(this.poll_write_gathered(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }
}

impl<T: AsyncWrite + Unpin> Gathering<T> {
    fn poll_write_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let written = Pin::new(&mut self.inner).poll_write(cx, &self.gathered);
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.gathered.advance(written),
            }
        }
        // An idle connection keeps no memory for it.
        self.gathered = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn gather<'s>(
        &mut self,
        cx: &mut Context<'_>,
        slices: impl Iterator<Item = &'s [u8]> + Clone,
    ) -> Poll<io::Result<usize>> {
        let length: usize = slices.clone().map(<[u8]>::len).sum();
        if !self.gathered.is_empty() && self.gathered.len() + length > GATHERED {
            ready!(self.poll_write_gathered(cx))?;
        }
        let mut free = GATHERED - self.gathered.len();
        let before = self.gathered.len();
        if before == 0 && length > 1_024 {
            self.gathered.reserve(GATHERED);
        }
        for slice in slices {
            let part = slice.len().min(free);
            self.gathered.extend_from_slice(&slice[..part]);
            free -= part;
        }
        Poll::Ready(Ok(self.gathered.len() - before))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Cork<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Cork<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().gather(cx, std::iter::once(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0
            .lock()
            .gather(cx, slices.iter().map(|slice| &**slice))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: the connection flushes when the library has nothing more to write.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.0.lock();
        ready!(this.poll_write_gathered(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn poll<R>(work: impl FnOnce(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
        work(&mut Context::from_waker(Waker::noop()))
    }

    fn write<T: AsyncRead + AsyncWrite + Unpin>(cork: &mut Cork<T>, bytes: &[u8]) -> Poll<usize> {
        let written = poll(|cx| Pin::new(cork).poll_write(cx, bytes));
        written.map(|written| written.unwrap())
    }

    #[tokio::test]
    async fn frames_go_out_together_and_in_order() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut cork = Cork::new(server);
        for byte in 0..4 {
            assert_eq!(write(&mut cork, &[byte; 16_393]), Poll::Ready(16_393));
            assert!(poll(|cx| Pin::new(&mut cork).poll_flush(cx)).is_ready());
        }
        let mut byte = [0];
        assert!(
            poll(|cx| Pin::new(&mut client).poll_read(cx, &mut ReadBuf::new(&mut byte)))
                .is_pending()
        );
        assert!(poll(|cx| cork.handle().poll_flush_now(cx)).is_ready());
        let mut all = vec![0; 4 * 16_393];
        client.read_exact(&mut all).await.unwrap();
        assert!(
            all.chunks(16_393)
                .zip(0..)
                .all(|(frame, byte)| frame.iter().all(|b| *b == byte))
        );
    }

    #[test]
    fn a_full_cork_waits_for_the_socket() {
        let (_client, server) = tokio::io::duplex(10);
        let mut cork = Cork::new(server);
        assert_eq!(write(&mut cork, &[1; 100_000]), Poll::Ready(GATHERED));
        assert_eq!(write(&mut cork, &[1; 10]), Poll::Pending);
    }
}
