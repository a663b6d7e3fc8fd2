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
    /// Bytes of the header that is coming in.
    size: usize,
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
            place: None,
            answer,
            replacement: None,
        }
    }

    /// Counts bytes that came in, where they are of a header.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        if self.state.is_answering() {
            self.size = 0;
            self.place = None;
            return Ok(());
        }
        self.size += bytes;
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
        Poll::Ready(self.count(buffer.filled().len() - before))
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
    use super::*;

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
