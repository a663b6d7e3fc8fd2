//! Parts: how large they are, and their bytes as the body of a request, in the pieces they came in.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The highest part number that S3 knows.
pub(super) const LAST: u16 = 10_000;

/// Maximum size of an object: 273 GiB.
pub(super) const LARGEST: u64 = {
    let (mut all, mut number) = (0, 1);
    while number <= LAST {
        all += size(number);
        number += 1;
    }
    all
};

/// Size of a part: 8 MiB, doubled every 1,000 parts, at most 32 MiB. A part is held in memory until the server has it,
/// so that it can be retried: larger parts would exceed a client's share of memory ([`Room`]) and, on a slow line, a
/// request's timeout.
///
/// [`Room`]: super::room::Room
pub(super) const fn size(number: u16) -> u64 {
    const FIRST: u64 = 8 << 20;
    match number.saturating_sub(1) / 1_000 {
        0 => FIRST,
        1 => FIRST * 2,
        _ => FIRST * 4,
    }
}

/// Takes at most this many bytes from the front.
pub(super) fn take_front(batch: &mut VecDeque<Bytes>, mut most: u64) -> Vec<Bytes> {
    let mut taken = Vec::with_capacity(batch.len());
    while let Some(mut bytes) = batch.pop_front() {
        if bytes.len() as u64 > most {
            if most > 0 {
                taken.push(bytes.split_to(most as usize));
            }
            batch.push_front(bytes);
            break;
        }
        most -= bytes.len() as u64;
        taken.push(bytes);
    }
    taken
}

/// Bytes in the pieces in which they arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Bytes>,
    size: u64,
}

impl Pieces {
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn append(&mut self, batch: Vec<Bytes>) {
        self.size += length(&batch);
        self.pieces.extend(batch);
    }

    /// A body that can be retried; nothing is copied. As a stream it is signed without being hashed.
    pub(super) fn into_body(self) -> ByteStream {
        let (pieces, size) = (Arc::<[Bytes]>::from(self.pieces), self.size);
        ByteStream::new(SdkBody::retryable(move || {
            SdkBody::from_body_1_x(Replay {
                pieces: pieces.clone(),
                next: 0,
                left: size,
            })
        }))
    }
}

pub(super) fn length(batch: &[Bytes]) -> u64 {
    batch.iter().map(|bytes| bytes.len() as u64).sum()
}

/// Pieces on their way into a socket.
struct Replay {
    pieces: Arc<[Bytes]>,
    next: usize,
    left: u64,
}

impl Body for Replay {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(bytes) = self.pieces.get(self.next).cloned() else {
            return Poll::Ready(None);
        };
        self.next += 1;
        self.left -= bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_with_their_number() {
        let sizes = [1, 1_000, 1_001, 2_000, 2_001, LAST].map(size);
        assert_eq!(sizes, [8, 8, 16, 16, 32, 32].map(|mib: u64| mib << 20));
        assert_eq!(LARGEST >> 30, 273, "as docs/operators.md says");
    }

    #[test]
    fn the_front_of_a_batch_is_taken_to_the_byte() {
        let pieces = [&b"abc"[..], b"de", b"fgh"].map(Bytes::from_static);
        let mut batch = VecDeque::from(pieces);
        assert_eq!(take_front(&mut batch, 4).concat(), b"abcd");
        assert_eq!(take_front(&mut batch, 0), Vec::<Bytes>::new());
        assert_eq!(take_front(&mut batch, 9).concat(), b"efgh");
        assert!(batch.is_empty());
    }

    #[tokio::test]
    async fn a_body_can_be_sent_again() {
        let mut pieces = Pieces::default();
        pieces.append(vec![
            Bytes::from_static(b"one "),
            Bytes::from_static(b"two"),
        ]);
        let body = pieces.into_body().into_inner();
        assert_eq!(body.content_length(), Some(7));
        assert!(body.bytes().is_none(), "it would be hashed to be signed");
        for _ in 0..2 {
            let again = ByteStream::new(body.try_clone().unwrap());
            assert_eq!(again.collect().await.unwrap().to_vec(), b"one two");
        }
    }
}
