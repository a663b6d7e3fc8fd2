//! What HTTP/1.1 has of its own: the memory that a header takes while it comes in, and the answers that the library
//! gives by itself to what it cannot read, which get the headers and the body of all other errors.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::StatusCode;
use storage::budget::{Budget, Holder, Reservation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::WireState;

/// Bytes of a header that every connection may have.
const FREE: usize = 8 << 10;

/// What a header ends with.
const END: &[u8] = b"\r\n\r\n";

/// Where the memory for large headers comes from.
pub(super) struct HeadMemory {
    pub(super) budget: Arc<Budget>,
    pub(super) holder: Holder,
    /// Bytes that are taken for one.
    pub(super) bytes: usize,
}

/// The bytes of a connection between the library and TLS.
pub(super) struct Heads<T, A> {
    inner: T,
    state: Arc<WireState>,
    memory: HeadMemory,
    /// Bytes of the header that is coming in, and the last of them.
    size: usize,
    last: [u8; 3],
    place: Option<Reservation>,
    /// Makes the answer to a request that cannot be read.
    answer: A,
    /// What is left of such an answer.
    replacement: Option<Bytes>,
}

impl<T, A: Fn(StatusCode) -> Bytes> Heads<T, A> {
    pub(super) fn new(inner: T, state: Arc<WireState>, memory: HeadMemory, answer: A) -> Self {
        Self {
            inner,
            state,
            memory,
            size: 0,
            last: [0; 3],
            place: None,
            answer,
            replacement: None,
        }
    }

    /// Counts bytes that came in, where they are of a header. The body that comes along with its end is the request's,
    /// which takes its own place.
    fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.state.is_answering() {
            self.size = 0;
            self.place = None;
            return Ok(());
        }
        if self.ends(bytes) {
            self.size = 0;
            return Ok(());
        }
        self.size += bytes.len();
        if self.size > FREE && self.place.is_none() {
            let HeadMemory {
                budget,
                holder,
                bytes,
            } = &self.memory;
            let place = budget.try_take(*holder, *bytes);
            self.place = Some(place.ok_or(io::ErrorKind::OutOfMemory)?);
        }
        Ok(())
    }

    /// Whether a header ends within these bytes, or with the first of them.
    fn ends(&mut self, bytes: &[u8]) -> bool {
        // So it is with most requests that have no body.
        if bytes.ends_with(END) {
            self.last = [0; 3];
            return true;
        }
        let ends = |bytes: &[u8]| bytes.windows(END.len()).any(|some| some == END);
        let seam = [&self.last[..], &bytes[..bytes.len().min(3)]].concat();
        let last = bytes.last_chunk().or(seam.last_chunk());
        self.last = last.copied().unwrap_or_default();
        ends(&seam) || ends(bytes)
    }
}

/// The status of an answer that the library gives by itself.
fn status_of(head: &[u8]) -> Option<StatusCode> {
    let code = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status = StatusCode::from_bytes(code).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

impl<T: AsyncWrite + Unpin, A: Fn(StatusCode) -> Bytes> Heads<T, A> {
    /// Writes what stands for these bytes, if they are such an answer.
    fn poll_replace(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<bool>> {
        if self.replacement.is_none() {
            if self.state.is_answering() {
                return Poll::Ready(Ok(false));
            }
            let Some(status) = status_of(bytes) else {
                return Poll::Ready(Ok(false));
            };
            self.replacement = Some((self.answer)(status));
        }
        while let Some(left) = self.replacement.as_mut().filter(|left| !left.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => left.advance(written),
            }
        }
        self.replacement = None;
        Poll::Ready(Ok(true))
    }
}

impl<T: AsyncRead + Unpin, A: Fn(StatusCode) -> Bytes + Unpin> AsyncRead for Heads<T, A> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        Poll::Ready(self.count(&buffer.filled()[before..]))
    }
}

impl<T: AsyncWrite + Unpin, A: Fn(StatusCode) -> Bytes + Unpin> AsyncWrite for Heads<T, A> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if ready!(self.poll_replace(cx, bytes))? {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.first().map_or(&[][..], |slice| slice);
        if ready!(self.poll_replace(cx, first))? {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.state.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What is read of these pieces while there is no memory for a large header.
    async fn read(pieces: &[&[u8]]) -> io::Result<usize> {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let budget = Budget::new(1 << 10);
        let _taken = budget.try_take(Holder::default(), 1 << 10);
        let memory = HeadMemory {
            budget,
            holder: Holder::default(),
            bytes: 64 << 10,
        };
        let mut heads = Heads::new(server, Arc::default(), memory, |_| Bytes::new());
        let mut read = 0;
        for piece in pieces {
            client.write_all(piece).await?;
            read += heads.read(&mut vec![0; 256 << 10]).await?;
        }
        Ok(read)
    }

    #[tokio::test]
    async fn only_a_header_needs_memory_for_headers() {
        let (head, rest) = (&b"PUT / HTTP/1.1\r\nA: "[..], [b'a'; 10 << 10]);
        let body = [head, b"b\r\n\r\n", &rest].concat();
        assert_eq!(read(&[&body]).await.unwrap(), body.len());
        for split in 1..5 {
            let (one, two) = body.split_at(head.len() + split);
            assert_eq!(read(&[one, two]).await.unwrap(), body.len());
        }
        let one_by_one: Vec<_> = body[..head.len() + 5].chunks(1).collect();
        let all = [&one_by_one[..], &[&rest]].concat();
        assert_eq!(read(&all).await.unwrap(), body.len());
        for large in [&[&[head, &rest].concat()[..]][..], &[head, &rest]] {
            let refused = read(large).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory);
        }
    }

    #[test]
    fn only_errors_are_taken_for_answers_of_the_library() {
        assert_eq!(
            status_of(b"HTTP/1.1 400 Bad Request\r\n"),
            Some(StatusCode::BAD_REQUEST)
        );
        assert_eq!(status_of(b"HTTP/1.0 431 "), StatusCode::from_u16(431).ok());
        for other in [
            &b"HTTP/1.1 100 Continue\r\n"[..],
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1",
            b"x",
            b"",
        ] {
            assert_eq!(status_of(other), None);
        }
    }
}
