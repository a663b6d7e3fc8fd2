//! Specific to HTTP/1.1: memory for a header while it comes in, and the library's own answers to requests that it
//! cannot read, which are given the headers and the body of all other errors.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::StatusCode;
use storage::budget::{Budget, Holder, Reservation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::WireState;

/// Bytes of a header that every connection may use without taking memory.
const FREE: usize = 8 << 10;

/// The end of a header.
const END: &[u8] = b"\r\n\r\n";

/// The memory for large headers.
pub(super) struct HeadMemory {
    pub(super) budget: Arc<Budget>,
    pub(super) holder: Holder,
    /// Bytes taken for a large header.
    pub(super) bytes: usize,
}

/// The bytes of a connection between the library and TLS.
pub(super) struct Heads<T, A> {
    inner: T,
    state: Arc<WireState>,
    memory: HeadMemory,
    /// The number of bytes of the incoming header, and the last of them.
    size: usize,
    last: [u8; 3],
    place: Option<Reservation>,
    /// Makes the answer to a request that cannot be read.
    answer: A,
    /// The rest of such an answer.
    replacement: Option<Bytes>,
    /// There was no memory for a header: nothing more is read.
    refused: bool,
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
            refused: false,
        }
    }

    /// Counts incoming bytes if they belong to a header; false if there is no memory for it. A body that comes with the
    /// end of the header, or later, belongs to the request, which takes its own memory.
    fn count(&mut self, bytes: &[u8]) -> bool {
        if !self.state.awaits_header() {
            self.forget();
            self.last = [0; 3];
            return true;
        }
        if self.ends(bytes) {
            self.forget();
            return true;
        }
        self.size += bytes.len();
        if self.size > FREE && self.place.is_none() {
            let HeadMemory {
                budget,
                holder,
                bytes,
            } = &self.memory;
            self.place = budget.try_take(*holder, *bytes);
            return self.place.is_some();
        }
        true
    }

    /// Called at the end of a header.
    fn forget(&mut self) {
        self.size = 0;
        self.place = None;
    }

    /// Whether a header ends within these bytes or with the first of them.
    fn ends(&mut self, bytes: &[u8]) -> bool {
        // This is true of most requests without a body.
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

/// The status of one of the library's own answers.
fn status_of(head: &[u8]) -> Option<StatusCode> {
    let code = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status = StatusCode::from_bytes(code).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}

impl<T: AsyncWrite + Unpin, A: Fn(StatusCode) -> Bytes> Heads<T, A> {
    /// Writes the replacement for these bytes, if they are such an answer.
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
        ready!(self.poll_write_replacement(cx))?;
        Poll::Ready(Ok(true))
    }

    fn poll_write_replacement(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.replacement.as_mut().filter(|left| !left.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => left.advance(written),
            }
        }
        self.replacement = None;
        Poll::Ready(Ok(()))
    }

    /// Answers a header for which there is no memory, and closes: the library would close without an answer.
    fn poll_refuse(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.refused {
            self.refused = true;
            self.replacement = Some((self.answer)(StatusCode::SERVICE_UNAVAILABLE));
        }
        ready!(self.poll_write_replacement(cx))?;
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()))
    }
}

impl<T, A> AsyncRead for Heads<T, A>
where
    T: AsyncRead + AsyncWrite + Unpin,
    A: Fn(StatusCode) -> Bytes + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.refused {
            return self.poll_refuse(cx);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        if self.count(&buffer.filled()[before..]) {
            return Poll::Ready(Ok(()));
        }
        buffer.set_filled(before);
        self.poll_refuse(cx)
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
        if !self.state.awaits_header() {
            // An idle connection holds no memory.
            self.forget();
        }
        self.state.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    /// What is read from these pieces while there is no memory for a large header.
    async fn read(pieces: &[&[u8]]) -> io::Result<usize> {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        read_of(&mut client, server, Arc::default(), pieces).await
    }

    /// The same on a given connection.
    async fn read_of(
        client: &mut DuplexStream,
        server: DuplexStream,
        state: Arc<WireState>,
        pieces: &[&[u8]],
    ) -> io::Result<usize> {
        let budget = Budget::new(1 << 10);
        let _taken = budget.try_take(Holder::default(), 1 << 10);
        let memory = HeadMemory {
            budget,
            holder: Holder::default(),
            bytes: 64 << 10,
        };
        let answer = |status: StatusCode| Bytes::from(status.as_str().to_owned());
        let mut heads = Heads::new(server, state, memory, answer);
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
        let (bytes, last) = body.split_at(head.len() + 4);
        let one_by_one: Vec<_> = bytes.chunks(1).collect();
        let all = [&one_by_one[..], &[last]].concat();
        assert_eq!(read(&all).await.unwrap(), body.len());
        for large in [&[&[head, &rest].concat()[..]][..], &[head, &rest]] {
            let refused = read(large).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory);
        }
    }

    #[tokio::test]
    async fn the_rest_of_a_body_is_no_header() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let state = Arc::<WireState>::default();
        let _receiving = state.receiving();
        let rest = vec![b'a'; 20 << 10];
        let read = read_of(&mut client, server, state, &[&rest]).await;
        assert_eq!(read.unwrap(), rest.len());
    }

    #[tokio::test]
    async fn a_header_without_memory_is_answered() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let large = vec![b'a'; 20 << 10];
        let read = read_of(&mut client, server, Arc::default(), &[&large]).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "503");
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
