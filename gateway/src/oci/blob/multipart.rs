//! Several ranges of a blob as one body: `multipart/byteranges` (RFC 9110, section 14.6).

use std::fmt::Write as _;

use bytes::Bytes;
use model::Digest;
use model::range::Part;
use registry::blob::Piece;

/// A body that is yet to be read.
pub(super) struct Multipart {
    pub(super) content_type: String,
    /// Bytes of the body.
    pub(super) length: u64,
    pub(super) pieces: Vec<Piece>,
}

impl Multipart {
    /// The parts of a blob of `size` bytes, in this order.
    pub(super) fn of(digest: &Digest, size: u64, parts: &[Part]) -> Self {
        let boundary = boundary(digest);
        let mut body = Self {
            content_type: format!("multipart/byteranges; boundary={boundary}"),
            length: 0,
            pieces: Vec::with_capacity(2 * parts.len() + 1),
        };
        let mut between = String::new();
        for part in parts {
            let Part { first, last } = part;
            // Writing to a text never fails.
            let _ = write!(
                between,
                "--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                 Content-Range: bytes {first}-{last}/{size}\r\n\r\n"
            );
            body.push(std::mem::replace(&mut between, "\r\n".to_owned()));
            body.length += part.length();
            body.pieces.push(Piece::Part(part.range()));
        }
        between += &format!("--{boundary}--\r\n");
        body.push(between);
        body
    }

    fn push(&mut self, text: String) {
        self.length += text.len() as u64;
        self.pieces.push(Piece::Bytes(Bytes::from(text)));
    }
}

/// What stands between parts and in none of them: 256 bits of the blob's own digest, which nobody can write into
/// the blob that has it.
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
            let body = Multipart::of(&digest, 10, &parts);
            let bytes = body.pieces.iter().map(|piece| match piece {
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
