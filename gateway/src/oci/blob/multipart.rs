//! Several ranges of a blob as one body: `multipart/byteranges` (RFC 9110, section 14.6).

use std::vec::IntoIter;

use bytes::Bytes;
use model::Digest;
use model::range::Part;
use registry::blob::Piece;

/// A body not yet read.
pub(super) struct Multipart {
    pub(super) content_type: String,
    /// Bytes of the body.
    pub(super) length: u64,
    pub(super) pieces: Pieces,
}

/// The pieces of a body, made one after the other: all at once would take ten times the memory of the parts, in each
/// request that waits for memory.
#[derive(Clone)]
pub(super) struct Pieces {
    boundary: String,
    /// Bytes of the blob.
    size: u64,
    parts: IntoIter<Part>,
    place: Place,
}

/// The position of the next piece in a body.
#[derive(Clone, Copy)]
enum Place {
    Start,
    /// Between a part's header and its bytes.
    Within(Part),
    Between,
    End,
}

impl Multipart {
    /// The parts of a blob of `size` bytes, in this order.
    pub(super) fn of(digest: &Digest, size: u64, parts: Vec<Part>) -> Self {
        let pieces = Pieces {
            boundary: boundary(digest),
            size,
            parts: parts.into_iter(),
            place: Place::Start,
        };
        let lengths = pieces.clone().map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Part(range) => range.end - range.start,
        });
        Self {
            content_type: format!("multipart/byteranges; boundary={}", pieces.boundary),
            length: lengths.sum(),
            pieces,
        }
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let before = match self.place {
            Place::Start => "",
            Place::Between => "\r\n",
            Place::Within(part) => {
                self.place = Place::Between;
                return Some(Piece::Part(part.range()));
            }
            Place::End => return None,
        };
        let (boundary, size) = (&self.boundary, self.size);
        let text = match self.parts.next() {
            Some(part) => {
                self.place = Place::Within(part);
                let Part { first, last } = part;
                format!(
                    "{before}--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                     Content-Range: bytes {first}-{last}/{size}\r\n\r\n"
                )
            }
            None => {
                self.place = Place::End;
                format!("{before}--{boundary}--\r\n")
            }
        };
        Some(Piece::Bytes(Bytes::from(text)))
    }
}

/// The boundary between parts, which must not occur in them: 256 bits of the blob's own digest, which nobody can put
/// into the blob itself.
fn boundary(digest: &Digest) -> String {
    let text = digest.to_string();
    let (_, hex) = text.split_once(':').unwrap_or_default();
    hex.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use model::Algorithm;

    use super::*;

    #[test]
    fn the_length_is_that_of_all_pieces() {
        let content = b"0123456789";
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, content);
            let parts = [(0, 1), (4, 4), (8, 9)].map(|(first, last)| Part { first, last });
            let body = Multipart::of(&digest, 10, parts.to_vec());
            let bytes = body.pieces.map(|piece| match piece {
                Piece::Bytes(bytes) => bytes.to_vec(),
                Piece::Part(range) => content[range.start as usize..range.end as usize].to_vec(),
            });
            let text = String::from_utf8(bytes.collect::<Vec<_>>().concat()).expect("it is text");
            assert_eq!(body.length, text.len() as u64);
            let (_, boundary) = body
                .content_type
                .split_once("boundary=")
                .expect("it is named");
            assert!(boundary.len() <= 70, "RFC 2046 allows no more");
            let part = |range: &str, bytes: &str| {
                format!(
                    "--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                     Content-Range: bytes {range}/10\r\n\r\n{bytes}\r\n"
                )
            };
            let expected = [part("0-1", "01"), part("4-4", "4"), part("8-9", "89")].concat();
            assert_eq!(text, format!("{expected}--{boundary}--\r\n"));
        }
    }
}
