//! The socket of a connection, whose writes fail if the client reads too slowly. It is below TLS, because bytes that
//! TLS buffers are not progress. Reading has other limits: of the handshake, the header, and each body. It is buffered
//! only while an upload is read, whose memory covers the buffer: on an idle connection a buffer would be most of its
//! memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pingora::protocols::{SocketDigest, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pace::{Least, Pace};
use crate::wire::WireState;

/// Bytes read at once for an upload: fewer system calls than TLS would make.
const READ: usize = 64 << 10;

/// A socket with a minimum speed of writing.
pub(super) struct Paced {
    inner: Stream,
    state: Arc<WireState>,
    /// The bytes read ahead, and how many of them were passed on.
    read: Vec<u8>,
    handed: usize,
    socket: Option<Arc<SocketDigest>>,
    pace: Pace,
    /// Bytes that the client had acknowledged at the last check.
    acknowledged: u64,
}

impl Paced {
    pub(super) fn new(inner: Stream, least: Least, state: Arc<WireState>) -> Self {
        Self {
            state,
            read: Vec::new(),
            handed: 0,
            socket: inner.get_socket_digest(),
            inner,
            pace: Pace::new(least),
            acknowledged: 0,
        }
    }

    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => self.pace.moved(bytes as u64),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                while self.pace.poll_late(cx).is_ready() {
                    // The kernel accepts more only once much of its buffer is sent, which may be megabytes.
                    let progress = self.acknowledged_since();
                    if progress == 0 {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    self.pace.moved(progress);
                }
            }
        }
        written
    }

    fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.read.resize(READ, 0);
        let mut buffer = ReadBuf::new(&mut self.read);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut buffer);
        let length = buffer.filled().len();
        self.read.truncate(length);
        self.handed = 0;
        polled
    }

    /// Bytes that the client acknowledged since the last call.
    fn acknowledged_since(&mut self) -> u64 {
        let info = self.socket.as_ref().and_then(|socket| socket.tcp_info());
        let now = info.map_or(0, |info| info.tcpi_bytes_acked);
        let before = std::mem::replace(&mut self.acknowledged, now);
        now.saturating_sub(before)
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.handed == this.read.len() {
            if !this.state.is_uploading() || buffer.remaining() >= READ {
                (this.read, this.handed) = (Vec::new(), 0);
                return Pin::new(&mut this.inner).poll_read(cx, buffer);
            }
            ready!(this.poll_read_ahead(cx))?;
        }
        let part = &this.read[this.handed..];
        let part = &part[..part.len().min(buffer.remaining())];
        buffer.put_slice(part);
        this.handed += part.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        let judged = self.judge(cx, flushed.map_ok(|()| 0));
        judged.map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
